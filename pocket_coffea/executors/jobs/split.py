"""How the datasets are split into jobs.

==========================  ==================================================================================
run options                 jobs
==========================  ==================================================================================
max-events-per-job: {..}    every dataset alone; a job is full at the number of its sample, or of ``default``
max-events-per-job: M       in the order of the files, across datasets; a job is full at M events
scaleout: N                 N jobs of about the same number of events, in the order of the files
target-time, or scaleout    every dataset alone, into the number of jobs that its measured speed says
with timings
==========================  ==================================================================================

Events of a file are not counted for that: a dataset's ``nevents`` counts evenly for its files. A file is
never cut, so one that has more events than a job may have is a job of its own; with ``split-files: true``
the entries of such files are counted, and jobs get ranges of them.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pocket_coffea.errors import ConfigurationError, OptionError, did_you_mean
from pocket_coffea.executors.jobs.payload import TREE
from pocket_coffea.executors.jobs.record import JobSlice
from pocket_coffea.utils.wording import count_of

__all__ = ["JobPlan", "Rules", "plan_of", "split"]

log = logging.getLogger(__name__)

Filesets = Mapping[str, Mapping[str, Any]]
PerSample = int | Mapping[str, int]
#: Returns how many entries each of the files has.
Counter = Callable[[Sequence[str]], Mapping[str, int]]


class Piece(NamedTuple):
    """A file of a dataset, or a range of its entries. events is an estimate for whole files."""

    dataset: str
    file: str
    events: int
    steps: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job: its filesets as coffea has them, what they are in short, and its chunksize."""

    filesets: dict[str, dict[str, Any]]
    datasets: tuple[JobSlice, ...]
    chunksize: int

    @property
    def events(self) -> int:
        """Events, as far as the metadata tells."""
        return sum(each.events for each in self.datasets)

    @property
    def files(self) -> int:
        """Files, those of which it has a range included."""
        return sum(each.files for each in self.datasets)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the run options say. scaleout is None where nobody gave it: its default is not meant for jobs.

    jobs: number of jobs by dataset, where measured speeds say it; max_events wins over it."""

    scaleout: int | None = None
    max_events: PerSample | None = None
    chunksize: PerSample = 150_000
    split_files: bool = False
    jobs: Mapping[str, int] | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Rules:
        """Return the rules of run options."""
        return cls(
            options.get("scaleout"),
            options.get("max-events-per-job"),
            options.get("chunksize") or 150_000,
            bool(options.get("split-files")),
        )


def split(filesets: Filesets, rules: Rules, count: Counter | None = None) -> list[JobPlan]:
    """Return the jobs. ``count`` looks into files that may have to be cut, for ``split-files``.

    Raises OptionError when the options do not say how to split, or not for each sample; ConfigurationError
    for a dataset without ``nevents`` where it is needed.
    """
    if rules.max_events is None and rules.scaleout is None and rules.jobs is None:
        raise OptionError(_question(filesets))
    _warn_unknown("max-events-per-job", rules.max_events, filesets)
    _warn_unknown("chunksize", rules.chunksize, filesets)
    budgets = _budgets(filesets, rules)
    weights = _weights(filesets, needed=rules.max_events is not None or rules.jobs is not None)
    pieces = list(_pieces(filesets, weights, budgets, count if rules.split_files else None))
    if isinstance(rules.max_events, Mapping):
        groups = _by_dataset(pieces, budgets)
    elif rules.max_events is not None:
        groups = _filled(pieces, rules.max_events)
    elif rules.jobs is not None:
        groups = _numbered(pieces, rules.jobs)
    else:
        if unknown := _without_events(filesets):
            log.warning(
                "No nevents in the metadata of %s: files are shared out, not events", ", ".join(unknown)
            )
        _warn_fewer(rules, len(pieces))
        groups = _shared(pieces, rules.scaleout or 1)
    return [_plan(number, group, filesets, rules.chunksize) for number, group in enumerate(groups)]


def _warn_fewer(rules: Rules, pieces: int) -> None:
    if rules.scaleout is not None and pieces < rules.scaleout:
        whole = "" if rules.split_files else ", and files stay whole; split-files: true cuts them"
        log.warning(
            "scaleout = %d asks for more jobs than there are files%s: %s",
            *(rules.scaleout, whole, count_of(pieces, "job")),
        )


def plan_of(number: int, filesets: Filesets, rules: Rules) -> JobPlan:
    """Return the job that filesets of a user's own splitting are. Raises OptionError for its chunksize."""
    pieces = [
        Piece(dataset, file, 0, _steps(entry["files"], file))
        for dataset, entry in filesets.items()
        for file in entry["files"]
    ]
    plan = _plan(number, pieces, filesets, rules.chunksize)
    return JobPlan({name: dict(entry) for name, entry in filesets.items()}, plan.datasets, plan.chunksize)


def _steps(files: Any, file: str) -> tuple[int, int] | None:
    return tuple(files[file]["steps"][0]) if isinstance(files, Mapping) else None


def _question(filesets: Filesets) -> str:
    files = sum(len(entry["files"]) for entry in filesets.values())
    known = [_events(name, entry) for name, entry in filesets.items() if "nevents" in entry["metadata"]]
    events = f"{count_of(sum(known), 'event')} in " if len(known) == len(filesets) else ""
    return (
        f"Into how many jobs? {count_of(len(filesets), 'dataset')} with {events}{count_of(files, 'file')} "
        "to be split, and neither scaleout nor max-events-per-job says how. Give one of them: `--scaleout "
        f"50` makes 50 jobs of about {count_of(max(1, files // 50), 'file')} each; max-events-per-job: "
        "500_000, in a file for --custom-run-options, makes jobs of at most so many events; after --timeit, "
        "target-time: 2h makes jobs that take so long. With dry-run: true nothing is submitted."
    )


def _warn_unknown(option: str, value: PerSample | None, filesets: Filesets) -> None:
    if not isinstance(value, Mapping):
        return
    samples = _samples(filesets)
    for name in value:
        if name != "default" and name not in samples:
            log.warning(
                "%s: no dataset of this run has the sample %r. %s", option, name, did_you_mean(name, samples)
            )


def _samples(filesets: Filesets) -> list[str]:
    return list(dict.fromkeys(str(entry["metadata"]["sample"]) for entry in filesets.values()))


def _of_sample(option: str, value: PerSample, sample: str) -> int:
    """Return the number of a sample. Raises OptionError when it has none."""
    if not isinstance(value, Mapping):
        return value
    found = value.get(sample, value.get("default"))
    if found is None:
        msg = (
            f"{option} has no entry for the sample {sample!r} and no 'default', only: "
            f"{', '.join(sorted(value))}. Add one of them."
        )
        raise OptionError(msg)
    return int(found)


def _events(dataset: str, entry: Mapping[str, Any]) -> int:
    given = entry["metadata"].get("nevents")
    try:
        return int(given)
    except (TypeError, ValueError) as error:
        found = "no nevents" if given is None else f"nevents = {given!r}"
        msg = (
            f"dataset {dataset!r} has {found} in its metadata, by which jobs are sized. Add it to the "
            "dataset file (build-datasets writes it), or give --scaleout alone, which then shares out files."
        )
        raise ConfigurationError(msg) from error


def _budgets(filesets: Filesets, rules: Rules) -> dict[str, int]:
    """Return the most events that a job may have of each dataset."""
    if rules.max_events is not None:
        samples = {name: str(entry["metadata"]["sample"]) for name, entry in filesets.items()}
        numbers = {
            name: _of_sample("max-events-per-job", rules.max_events, sample)
            for name, sample in samples.items()
        }
        return {name: max(1, number) for name, number in numbers.items()}
    if rules.jobs is not None:
        return {
            name: max(1, -(-events // rules.jobs[name]))
            for name, events in _weights(filesets, needed=True).items()
        }
    total = sum(_weights(filesets, needed=False).values())
    return dict.fromkeys(filesets, max(1, -(-total // (rules.scaleout or 1))))


def _weights(filesets: Filesets, *, needed: bool) -> dict[str, int]:
    """Return events by dataset; where any of them does not tell and none is needed, files count as one."""
    if needed or not _without_events(filesets):
        return {name: _events(name, entry) for name, entry in filesets.items()}
    return {name: len(entry["files"]) for name, entry in filesets.items()}


def _without_events(filesets: Filesets) -> list[str]:
    """Return the datasets that do not tell how many events they have."""
    return [name for name, entry in filesets.items() if "nevents" not in entry["metadata"]]


def _pieces(
    filesets: Filesets, weights: Mapping[str, int], budgets: Mapping[str, int], count: Counter | None
) -> Iterator[Piece]:
    files = {dataset: list(entry["files"]) for dataset, entry in filesets.items()}
    shares = {dataset: _shares(weights[dataset], len(mine)) for dataset, mine in files.items()}
    large = [] if count is None else [name for name, mine in shares.items() if max(mine) > budgets[name]]
    entries = count([file for name in large for file in files[name]]) if count and large else {}
    for dataset, mine in files.items():
        if dataset not in large:
            yield from map(Piece, [dataset] * len(mine), mine, shares[dataset])
            continue
        for file in mine:
            yield from _cut(Piece(dataset, file, entries[file]), budgets[dataset])


def _shares(weight: int, files: int) -> list[int]:
    """Return the weight of each file, whole numbers that differ by one at most."""
    return [weight * (k + 1) // files - weight * k // files for k in range(files)]


def _cut(piece: Piece, budget: int) -> Iterator[Piece]:
    """Yield equal ranges of a file, none of them over the budget; a file that fits stays whole."""
    parts = -(-piece.events // budget)
    if parts <= 1:
        yield piece
        return
    edges = [piece.events * k // parts for k in range(parts + 1)]
    for start, stop in itertools.pairwise(edges):
        yield piece._replace(events=stop - start, steps=(start, stop))


def _by_dataset(pieces: Iterable[Piece], budgets: Mapping[str, int]) -> Iterator[list[Piece]]:
    for dataset, mine in _apart(pieces).items():
        yield from _filled(mine, budgets[dataset])


def _numbered(pieces: Iterable[Piece], jobs: Mapping[str, int]) -> Iterator[list[Piece]]:
    for dataset, mine in _apart(pieces).items():
        yield from _shared(mine, jobs[dataset])


def _apart(pieces: Iterable[Piece]) -> dict[str, list[Piece]]:
    by_dataset: dict[str, list[Piece]] = {}
    for piece in pieces:
        by_dataset.setdefault(piece.dataset, []).append(piece)
    return by_dataset


def _filled(pieces: Iterable[Piece], budget: int) -> Iterator[list[Piece]]:
    """Yield groups of neighbours with at most ``budget`` events, or one piece that alone has more."""
    group: list[Piece] = []
    events = 0
    for piece in pieces:
        if group and events + piece.events > budget:
            yield group
            group, events = [], 0
        group.append(piece)
        events += piece.events
    if group:
        yield group


def _shared(pieces: Sequence[Piece], jobs: int) -> Iterator[list[Piece]]:
    """Yield ``jobs`` groups of neighbours of about the same size; fewer when there are fewer pieces."""
    jobs = min(jobs, len(pieces))
    total = sum(piece.events for piece in pieces)
    group: list[Piece] = []
    done = made = 0
    for place, piece in enumerate(pieces):
        group.append(piece)
        done += piece.events
        left = len(pieces) - place - 1
        is_full = done * jobs >= total * (made + 1)
        if made < jobs - 1 and left >= jobs - made - 1 and (is_full or left == jobs - made - 1):
            yield group
            group = []
            made += 1
    if group:
        yield group


def _plan(number: int, pieces: Sequence[Piece], filesets: Filesets, chunksize: PerSample) -> JobPlan:
    by_dataset = _apart(pieces)
    samples = {name: str(filesets[name]["metadata"]["sample"]) for name in by_dataset}
    if isinstance(chunksize, Mapping) and len(set(samples.values())) > 1:
        msg = (
            f"chunksize is given per sample, but job {number} covers multiple samples: "
            f"{', '.join(dict.fromkeys(samples.values()))}. Give max-events-per-job per sample, too "
            "(every job then has one sample), or one number for chunksize."
        )
        raise OptionError(msg)
    size = _of_sample("chunksize", chunksize, next(iter(samples.values())))
    is_known = not _without_events(filesets)  # else a piece has the weight of a file
    slices = tuple(
        JobSlice(
            name,
            samples[name],
            sum(piece.events for piece in mine) if is_known or mine[0].steps else 0,
            len({piece.file for piece in mine}),
        )
        for name, mine in by_dataset.items()
    )
    return JobPlan(
        {name: _fileset(filesets[name], mine) for name, mine in by_dataset.items()}, slices, max(1, size)
    )


def _fileset(entry: Mapping[str, Any], pieces: Sequence[Piece]) -> dict[str, Any]:
    """Return the part of a dataset that the pieces are."""
    names = list(dict.fromkeys(piece.file for piece in pieces))
    files: Any = names
    if any(piece.steps for piece in pieces):
        steps: dict[str, list[list[int]]] = {}
        for piece in pieces:
            begin, end = piece.steps or (0, piece.events)
            mine = steps.setdefault(piece.file, [])
            if mine and mine[-1][1] == begin:
                mine[-1][1] = end
            else:
                mine.append([begin, end])
        files = {name: {"object_path": TREE, "steps": ranges} for name, ranges in steps.items()}
    part = {**entry, "files": files, "metadata": entry["metadata"]}
    if entry.get("replicas"):
        part["replicas"] = {name: entry["replicas"][name] for name in names if name in entry["replicas"]}
    return part
