"""How long the events of a dataset take, as ``run --timeit`` measured it, and what follows for jobs.

One file for each dataset, ``timeit/<dataset>.json`` next to the configuration. Times are in seconds of one
core of the machine that measured.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pocket_coffea.errors import ConfigurationError, InputFileError
from pocket_coffea.executors.jobs.record import JobSlice
from pocket_coffea.utils.atomic import write_whole

__all__ = [
    "FOLDER_NAME",
    "Rate",
    "Size",
    "Timing",
    "jobs_by_dataset",
    "rates_of",
    "read_timings",
    "run_time",
    "sizes_of",
    "target_of",
    "timing_file",
    "write_timing",
]

#: Name of the folder next to the configuration.
FOLDER_NAME = "timeit"


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """What was measured of one dataset. configuration: sha256 of what the events went through."""

    dataset: str
    sample: str
    events: int
    chunks: int
    seconds: float
    chunksize: int
    configuration: str
    host: str
    measured: str  # when, ISO 8601

    @property
    def rate(self) -> float:
        """Events per second of one core."""
        return self.events / self.seconds


class Rate(NamedTuple):
    """Events per second of one core; is_guess: the median of the other datasets."""

    value: float
    is_guess: bool = False


class Size(NamedTuple):
    """Events and files of a dataset."""

    events: int
    files: int


def timing_file(folder: Path, dataset: str) -> Path:
    """Return the file of a dataset."""
    return folder / f"{dataset.replace('/', '_')}.json"


def write_timing(folder: Path, timing: Timing) -> Path:
    """Write what was measured of a dataset and return the file. Raises OutputError."""
    path = timing_file(folder, timing.dataset)
    content = {**dataclasses.asdict(timing), "events_per_second": round(timing.rate, 3)}
    write_whole(path, json.dumps(content, indent=2) + "\n")
    return path


def read_timings(folder: Path, datasets: Iterable[str]) -> dict[str, Timing]:
    """Return what is known of the datasets; those that were not measured are left out.

    Raises InputFileError for a file that is damaged.
    """
    found = ((name, _read(timing_file(folder, name))) for name in datasets)
    return {name: timing for name, timing in found if timing is not None}


def _read(path: Path) -> Timing | None:
    try:
        content = json.loads(path.read_bytes())
        known = {field.name for field in dataclasses.fields(Timing)}
        timing = Timing(**{key: value for key, value in content.items() if key in known})
        if not (float(timing.seconds) > 0 and int(timing.events) > 0):
            msg = f"{timing.events} events in {timing.seconds} s is no speed"
            raise ValueError(msg)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        msg = (
            f"{path}, which says how long events take, cannot be used: {error}. Remove it, or measure "
            "again: pocket-coffea run --timeit"
        )
        raise InputFileError(msg) from error
    return timing


def rates_of(datasets: Iterable[str], timings: Mapping[str, Timing]) -> dict[str, Rate]:
    """Return the speed of every dataset; nothing when none was measured.

    >>> rates_of(["TT"], {})
    {}
    """
    if not timings:
        return {}
    guess = Rate(statistics.median(timing.rate for timing in timings.values()), is_guess=True)
    return {name: Rate(timings[name].rate) if name in timings else guess for name in datasets}


def sizes_of(filesets: Mapping[str, Mapping[str, Any]]) -> dict[str, Size]:
    """Return events and files of the datasets. Raises ConfigurationError for one without ``nevents``."""
    sizes = {}
    for name, entry in filesets.items():
        given = entry["metadata"].get("nevents")
        try:
            sizes[name] = Size(int(given), len(entry["files"]))
        except (TypeError, ValueError) as error:
            found = "no nevents" if given is None else f"nevents = {given!r}"
            msg = (
                f"dataset {name!r} has {found} in its metadata, so how long it takes cannot be told. Add it "
                "to the dataset file (build-datasets writes it), or leave target-time and queue: auto out."
            )
            raise ConfigurationError(msg) from error
    return sizes


def target_of(sizes: Mapping[str, Size], rates: Mapping[str, Rate], scaleout: int) -> float:
    """Return how long a job takes [s] when the time of all events is shared out to ``scaleout`` jobs.

    >>> target_of({"TT": Size(3000, 3), "DY": Size(500, 1)}, {"TT": Rate(10.0), "DY": Rate(5.0)}, 4)
    100.0
    """
    return sum(size.events / rates[name].value for name, size in sizes.items()) / scaleout


def jobs_by_dataset(
    sizes: Mapping[str, Size], rates: Mapping[str, Rate], target: float, *, split_files: bool = False
) -> dict[str, int]:
    """Return into how many jobs of about ``target`` seconds each dataset goes: at least one, and no more
    than it has files, unless those may be cut.

    >>> jobs_by_dataset({"TT": Size(3000, 3), "DY": Size(500, 1)}, {"TT": Rate(10.0), "DY": Rate(5.0)}, 40.0)
    {'TT': 3, 'DY': 1}
    """
    jobs = {}
    for name, size in sizes.items():
        seconds = size.events / rates[name].value
        wanted = math.ceil(seconds / target - 1e-9) if target > 0 else 1
        jobs[name] = max(1, min(wanted, size.events if split_files else size.files))
    return jobs


def run_time(
    slices: Sequence[JobSlice],
    sizes: Mapping[str, Size],
    rates: Mapping[str, Rate],
    *,
    cores: int = 1,
    chunksize: int = 150_000,
) -> float:
    """Return how long a job takes [s]; no more cores are busy than it has chunks.

    >>> run_time([JobSlice("TT", "TT", 3000, 3)], {"TT": Size(3000, 3)}, {"TT": Rate(10.0)}, cores=2)
    150.0
    """
    seconds, chunks = 0.0, 0
    for part in slices:
        events = part.events or _share(part, sizes[part.dataset])
        seconds += events / rates[part.dataset].value
        chunks += max(part.files, math.ceil(events / chunksize))  # a chunk is of one file
    return seconds / max(1, min(cores, chunks))


def _share(part: JobSlice, size: Size) -> float:
    """Return the events of a part that does not tell them: as if the files of the dataset were equal."""
    return size.events * min(part.files, size.files) / size.files if size.files else 0.0
