"""Processing the slice of a job: as ``pocket-coffea run`` does it, with the chunks of earlier attempts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coffea.nanoevents import NanoAODSchema

from pocket_coffea.errors import OutputError, ProcessingError
from pocket_coffea.executors.jobs.facts import OPTIONS_NAME, JobFacts
from pocket_coffea.executors.worker_pool import WorkerPool
from pocket_coffea.run.groups import GroupRunner
from pocket_coffea.run.job_clock import JobClock
from pocket_coffea.run.job_reading import (
    JobFutures,
    JobIterative,
    Ranges,
    Replicas,
    SliceRunner,
    entry_ranges,
    replicas_of,
)
from pocket_coffea.run.ledger import join_ranges
from pocket_coffea.run.options import RunOptions
from pocket_coffea.run.outputs import OutputFolder
from pocket_coffea.run.progress import LineProgress
from pocket_coffea.run.resume import CheckpointStore
from pocket_coffea.run.runner import PocketRunner
from pocket_coffea.run.session import RunRequest, merge_options
from pocket_coffea.run.split import split_output
from pocket_coffea.run.summary import RunReport
from pocket_coffea.utils.output_file import load_output
from pocket_coffea.utils.transfer import is_remote
from pocket_coffea.utils.wording import count_of

__all__ = [
    "JobGroup",
    "KeptChunks",
    "SliceRun",
    "checked_output",
    "file_folders",
    "is_on_device_of",
    "missing_skims",
    "split_by_category",
]

log = logging.getLogger(__name__)


def file_folders(config: Any) -> list[str]:
    """Return where chunks write files to, besides their output: skims, or columns by chunk."""
    skims = config.save_skimmed_files_folder if config.save_skimmed_files else None
    by_chunk = config.workflow_options.get("dump_columns_as_arrays_per_chunk")
    return [str(folder) for folder in (skims, by_chunk) if folder is not None]


def is_on_device_of(address: str, folder: Path) -> bool:
    """Return whether files for ``address`` end up in the file system that a folder is in, as seen here."""
    path = Path(address)
    if is_remote(address) or not path.is_absolute():
        return False
    for each in (path, *path.parents):
        with contextlib.suppress(OSError):
            # the root stands for what is not mounted here
            return each != Path(path.anchor) and each.stat().st_dev == folder.stat().st_dev
    return False


class _Progress(LineProgress):
    """Says how far the job is, and lets it stop between two chunks."""

    def __init__(self, clock: JobClock) -> None:
        super().__init__(every=60.0)
        self._limits = clock
        self._left = 0

    def start(self, name: str, chunks: Iterable[Any]) -> None:
        listed = list(chunks)
        self._left = len(listed)
        super().start(name, listed)

    def __call__(self, chunk: Any, summary: dict[str, Any]) -> None:
        super().__call__(chunk, summary)
        self._left -= 1
        if self._left and not summary.get("stored"):
            self._limits.check()


class _Executors:
    """Makes the executor of a job: one process for each of its cores."""

    def __init__(self, facts: JobFacts, cpus: int, fan_in: int, replicas: Replicas) -> None:
        self.facts = facts
        self.settings: dict[str, Any] = {
            "treereduction": fan_in,
            "status": False,
            "replicas": replicas,
            "retries": facts.read_retries,
        }
        self.pool = WorkerPool(cpus) if cpus > 1 else None

    def get(self) -> Any:
        """Return the executor."""
        if self.pool is None:
            return JobIterative(**self.settings)
        return JobFutures(workers=self.pool.size, processes=self.pool, **self.settings)

    def provenance(self) -> dict[str, Any]:
        """Return in what the job runs."""
        return dict(self.facts.workers)

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.close()


class JobGroup(GroupRunner):
    """Processes the datasets of a slice as one group."""

    def __init__(self, *args: Any, ranges: Ranges, checkpoints: Path, **named: Any) -> None:
        super().__init__(*args, **named)
        self.resume = checkpoints
        self.ranges = ranges
        self.kept: KeptChunks | None = None

    def _runner(self) -> PocketRunner:
        return SliceRunner(
            executor=self.factory.get(),
            chunksize=self._chunksize(),
            skipbadfiles=self.options["skip-bad-files"],
            schema=NanoAODSchema,
            format="root",
            observer=self.progress,
            ranges=self.ranges,
        )

    def _store(self, name: str, digest: str, plan: Any, identity: dict[str, Any]) -> CheckpointStore:
        del name, identity
        self.kept = KeptChunks(self.resume / digest[:16], self._fan_in(), plan.chunks)
        log.info("%d of %d chunks are completed already", self.kept.count(), len(plan.chunks))
        return self.kept


class KeptChunks(CheckpointStore):
    """Completed chunks of a job, which stay until its output is delivered."""

    @property
    def stage(self) -> Path:
        """Where the files that these chunks wrote wait for the end of the job."""
        return self.folder / "files"

    def clear(self) -> None:
        """Keep them."""


@dataclass
class SliceRun:
    """Processes a slice on the cores of this job. ``report`` gets what was processed and skipped."""

    facts: JobFacts
    config_file: Path
    filesets: Mapping[str, Any]
    config: Any
    job: int
    chunksize: int
    cpus: int
    clock: JobClock
    scratch: Path
    checkpoints: Path
    report: RunReport = field(default_factory=RunReport)
    group: JobGroup | None = None

    @property
    def replicas(self) -> Replicas:
        """The replicas of the slice, and what could not be read."""
        return Replicas(replicas_of(self.filesets), self.scratch / "unreadable.txt")

    @property
    def kept(self) -> KeptChunks | None:
        """What is completed; None before it is known what is to be done."""
        return None if self.group is None else self.group.kept

    def run(self) -> Path:
        """Return the output, on scratch.

        Raises TimeUp, InputFileError, ProcessingError, OutputError and whatever else processing raises.
        """
        cores = max(self.cpus, 1)
        options = _options(self.config_file, cores, self.chunksize)
        self.config.load()
        executors = _Executors(self.facts, cores, int(options["tree-reduction"]), self.replicas)
        name = self.config_file.name
        self.group = JobGroup(
            self.config,
            options,
            OutputFolder(self.scratch / "output"),
            executors,
            self.report,
            request=RunRequest(cfg=name, outputdir="", executor=self.facts.executor, resume=True),
            progress=_Progress(self.clock),
            ranges=entry_ranges(self.filesets),
            checkpoints=self.checkpoints,
        )
        try:
            self.group.run_group(f"job_{self.job}", self.config.filesets)
        finally:
            executors.close()
        return self.report.outputs[-1]


def _options(config_file: Path, cores: int, chunksize: int) -> RunOptions:
    """Return the run options of the job: those that were shipped with it, and its own chunksize."""
    shipped = config_file.with_name(OPTIONS_NAME)
    flags: dict[str, Any] = {"chunksize": chunksize} if chunksize > 0 else {}
    if cores > 1:
        flags["scaleout"] = cores
    request = RunRequest(
        cfg=str(config_file),
        outputdir="",
        executor="futures" if cores > 1 else "iterative",
        custom_run_options=(str(shipped),) if shipped.is_file() else (),
        flags=flags,
    )
    return merge_options(request)


# -- the output


def checked_output(path: Path, filesets: Mapping[str, Any]) -> None:
    """Open an output and compare what is in it with the slice.

    Raises OutputError when it cannot be opened, ProcessingError when something is missing or too much.
    """
    try:
        ledger = load_output(path, variables=(), columns=False)["ledger"]
    except (OSError, KeyError) as error:
        msg = f"The output {path} cannot be read again: {error}."
        raise OutputError(msg) from error
    wanted = {
        (dataset, name): steps
        for dataset, fileset in filesets.items()
        for name, steps in _planned(fileset["files"]).items()
    }
    found = {(dataset, name): entry for dataset, files in ledger.items() for name, entry in files.items()}
    wrong = sorted(set(wanted) ^ set(found))
    wrong += [key for key in wanted if key in found and not _is_complete(found[key], wanted[key])]
    if wrong:
        dataset, name = wrong[0]
        msg = (
            f"The output is not what the job was given: dataset {dataset}, file {name} "
            f"({count_of(len(wrong), 'file differs', 'files differ')}). This is a mistake in PocketCoffea: "
            "please report it."
        )
        raise ProcessingError(msg)


def missing_skims(path: Path, destinations: Collection[str]) -> list[str]:
    """Return the skimmed files that an output tells of and that are not among those to be delivered."""
    told = load_output(path, variables=(), columns=False).get("skimmed_files", {})
    return sorted({str(name) for names in told.values() for name in names} - set(destinations))


def _planned(files: Any) -> dict[str, list[list[int]] | None]:
    if not isinstance(files, Mapping):
        return dict.fromkeys(map(str, files))
    return {
        str(name): what.get("steps") if isinstance(what, Mapping) else None for name, what in files.items()
    }


def _is_complete(entry: Mapping[str, Any], steps: list[list[int]] | None) -> bool:
    holes = [hole["range"] for hole in entry.get("skipped", ())]
    if None in holes:
        return not entry["ranges"]
    wanted = join_ranges(steps) if steps else [[0, entry["entries"]]]
    return join_ranges([*entry["ranges"], *holes]) == wanted


def split_by_category(path: Path, job: int) -> list[Path]:
    """Return the files, one for each block of categories, that an output was split into; it is removed."""
    parts = []
    for number, part in enumerate(split_output(path, by="category", overwrite=True), start=1):
        target = part.with_name(f"output_category{number}_job_{job}.coffea")
        parts.append(part.replace(target))
    path.unlink()
    return parts
