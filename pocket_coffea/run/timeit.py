"""``run --timeit``: how long the events of each dataset take, measured here on a few chunks, one core."""

from __future__ import annotations

import dataclasses
import logging
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coffea.nanoevents import NanoAODSchema
from coffea.processor.executor import WorkItem

from pocket_coffea.config.digests import configuration_digests
from pocket_coffea.errors import InputFileError, NothingToDo
from pocket_coffea.executors.jobs.timing import FOLDER_NAME, Timing, read_timings, timing_file, write_timing
from pocket_coffea.run.filesets import Filesets
from pocket_coffea.run.option_set import per_sample
from pocket_coffea.run.options import RunOptions
from pocket_coffea.run.runner import PocketRunner
from pocket_coffea.run.summary import RunReport

__all__ = ["measure", "timeit_folder", "warn_of_old_timings"]

log = logging.getLogger(__name__)

#: Chunks of a dataset that are measured, unless limit-chunks says otherwise.
CHUNKS = 2
#: A dataset that took so long is measured well enough [s].
ENOUGH_S = 60.0
#: Events of the first chunk, which are not measured: imports and compilation happen once in a job.
WARM_UP = 1_000


def timeit_folder(options: RunOptions, cfg: str) -> Path:
    """Return where timings of a configuration are kept."""
    given = options.get("timeit-dir")
    return Path(given) if given else Path(cfg).resolve().parent / FOLDER_NAME


def measure(config: Any, options: RunOptions, executor: Any, folder: Path, report: RunReport) -> None:
    """Measure every dataset of a loaded configuration and write one file for each; ``report`` gets the
    numbers. A dataset without file that can be read, or without events, is left out with a warning.

    Raises ProcessingError for what user code raises, NothingToDo when nothing could be measured.
    """
    timer = _Timer(config, options, executor)
    for number, (name, fileset) in enumerate(config.filesets.items(), start=1):
        log.info("measuring %s (%d of %d)", name, number, len(config.filesets))
        try:
            timing = timer.measure(name, fileset)
        except (InputFileError, NothingToDo) as error:
            log.warning("%s is not measured: %s", name, error)
            continue
        if timing is None:
            log.warning("%s is not measured: its first files have no events", name)
            continue
        path = write_timing(folder, timing)
        log.info("%s: %.0f events/s, written to %s", name, timing.rate, path)
        numbers = {"events": timing.events, "chunks": timing.chunks, "seconds": timing.seconds}
        report.add_throughput({name: numbers})
    if not report.throughput:
        msg = f"None of the {len(config.filesets)} datasets could be measured; the reasons are above."
        raise NothingToDo(msg)


class _Timer:
    """Measures datasets one after the other; what happens once in a process is left out of all of them."""

    def __init__(self, config: Any, options: RunOptions, executor: Any) -> None:
        self.config = config
        self.options = options
        self.chunks = int(options["limit-chunks"] or CHUNKS)
        self.digest = configuration_digests(config)["configuration"]
        self.runner = PocketRunner(executor=executor, schema=NanoAODSchema, format="root")
        self.is_warm = False

    def measure(self, name: str, fileset: Mapping[str, Any]) -> Timing | None:
        """Return what a dataset takes; None when it has no events."""
        sample = str(fileset["metadata"]["sample"])
        size = int(
            per_sample(self.options["chunksize"], sample, "chunksize", self.options.origin("chunksize")) or 1
        )
        chunks = self._chunks({name: _few_files(fileset, self.chunks)}, size)
        if not chunks:
            return None
        self._warm_up(chunks[0])
        events, seconds, count = 0, 0.0, 0
        for chunk in chunks:
            took = self.runner.time_chunks([chunk], self.config.processor_instance)[name]
            events, seconds, count = events + int(took["events"]), seconds + took["seconds"], count + 1
            if seconds > ENOUGH_S:
                break
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Timing(name, sample, events, count, seconds, size, self.digest, platform.node(), now)

    def _chunks(self, filesets: Filesets, size: int) -> list[WorkItem]:
        """Return the first chunk of each file, then the second ones, up to the number that is wanted."""
        self.runner.chunksize = size
        by_file: dict[str, list[WorkItem]] = {}
        for chunk in self.runner.make_plan(filesets, "Events").chunks:
            if len(chunk):
                by_file.setdefault(chunk.filename, []).append(chunk)
        order = sorted(
            ((place, number) for number, mine in enumerate(by_file.values()) for place in range(len(mine))),
        )
        files = list(by_file.values())
        return [files[number][place] for place, number in order[: self.chunks]]

    def _warm_up(self, chunk: WorkItem) -> None:
        if self.is_warm:
            return
        self.is_warm = True
        stop = min(chunk.entrystop, chunk.entrystart + WARM_UP)
        self.runner.time_chunks([dataclasses.replace(chunk, entrystop=stop)], self.config.processor_instance)


def _few_files(fileset: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the fileset with ``count`` of its files, spread evenly: the first ones may not be like the
    others."""
    files = fileset["files"]
    names: Sequence[Any] = list(files)
    chosen = [names[len(names) * k // count] for k in range(count)] if len(names) > count else names
    part: Any = {name: files[name] for name in chosen} if isinstance(files, Mapping) else chosen
    return {**fileset, "files": part}


def warn_of_old_timings(config: Any, folder: Path) -> None:
    """Warn of timings of these datasets that were measured with another configuration."""
    timings = read_timings(folder, config.filesets)
    if not timings:
        return
    now = configuration_digests(config)["configuration"]
    old = [name for name, timing in timings.items() if timing.configuration != now]
    if old:
        log.warning(
            "%s: %d of %d datasets were measured with another configuration, so jobs may take another time "
            "(%s, ...). Measure again with --timeit, or remove the files.",
            folder,
            len(old),
            len(timings),
            timing_file(folder, old[0]).name,
        )
