"""``merge-outputs``: one output from many, with every event exactly once.

Inputs are added in the natural order of their names, so that the order in which they are given, and the
number of threads that read them, change nothing in the result.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from pocket_coffea.errors import OptionError, ResultsRefused, did_you_mean
from pocket_coffea.run.merge_config import Configurations
from pocket_coffea.run.merge_jobs import JobsFolder, read_jobs
from pocket_coffea.run.merge_ledger import Gap
from pocket_coffea.run.merge_provenance import KINDS
from pocket_coffea.run.merge_read import MemoryLimit, natural_order
from pocket_coffea.run.merge_source import RemoteOutput, Source, look_up, output_at, size_of
from pocket_coffea.run.merge_target import check_targets, folder_of, target_at, whole_results, with_ending
from pocket_coffea.run.merge_task import MergeTask
from pocket_coffea.run.skims import SkimDefinition
from pocket_coffea.utils.output_file import FORMATS, format_of
from pocket_coffea.utils.wording import count_of

__all__ = ["MergeReport", "MergeRequest", "merge_outputs"]

log = logging.getLogger(__name__)

#: Categories in one block of split-output, which jobs with split-by-category use.
CATEGORIES_PER_BLOCK = 8


@dataclass(frozen=True)
class MergeRequest:
    """What is asked for on the command line; see ``pocket-coffea merge-outputs --help``.

    cache_dir: folder for copies of what is on a server; None for that of temporary files."""

    files: Sequence[str] = ()
    output: str | None = None
    jobs_config: str | None = None
    configurations: Sequence[str] = ()
    reduction: int = 5
    max_mem_gb: float | None = None
    cache_dir: str | None = None
    force: bool = False
    replace: bool = False
    skip_check: bool = False
    mark_failed: bool = False
    skip_initial_events_check: Sequence[str] = ()
    format: str | None = None
    allow_mixed: Sequence[str] = ()

    def __post_init__(self) -> None:
        if bool(self.files) == (self.jobs_config is not None):
            msg = "Give either the files to merge, or the jobs folder with -jc: one of the two."
            raise OptionError(msg)
        if self.replace and (self.jobs_config is not None or len(self.files) < 2):
            msg = "--replace needs a first file and at least one that replaces datasets of it; not with -jc."
            raise OptionError(msg)
        if self.mark_failed and self.jobs_config is None:
            msg = "--mark-failed marks jobs: it needs the jobs folder, -jc."
            raise OptionError(msg)
        if self.output is None and self.jobs_config is None:
            msg = "Say where the result goes: -o OUTPUT."
            raise OptionError(msg)
        for kind in self.allow_mixed:
            if kind not in KINDS:
                msg = f"--allow-mixed {kind}: {did_you_mean(kind, KINDS)}"
                raise OptionError(msg)
        if self.reduction < 1 or (self.max_mem_gb is not None and self.max_mem_gb <= 0):
            msg = "-n and -m must be positive."
            raise OptionError(msg)


@dataclass
class MergeReport:
    """What a merge wrote, and what is missing in it."""

    outputs: list[Source] = field(default_factory=list)
    skim_definition: Path | None = None
    n_inputs: int = 0
    replaced: list[str] = field(default_factory=list)
    #: job or file -> why it is not in the result
    left_out: dict[str, str] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    skipped: list[Gap] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0: all there; 3: some of what was asked for is not."""
        return 3 if self.left_out or self.gaps or self.skipped else 0


def merge_outputs(request: MergeRequest) -> MergeReport:
    """Merge outputs and write the result; nothing is written unless all of it is right.

    Raises ResultsRefused when events would be lost or counted twice, or results mixed; OptionError for wrong
    options; InputFileError, OutputError and ProcessingError as their names say.
    """
    limit = MemoryLimit(request.max_mem_gb)
    if request.jobs_config is not None:
        return _merge_jobs(request, limit)
    inputs = _existing(request.files)
    target = target_at(request.output)
    _check_targets([target], inputs, request)
    configurations = Configurations(request.configurations) if request.configurations else None
    base = inputs[0] if request.replace else None
    others = [path for path in inputs if path != base]
    others.sort(key=lambda path: natural_order(path.resolve()))
    task = MergeTask(request, configurations, MergeReport(), limit)
    task.skim_folder = folder_of(target) if configurations else None
    with _all_or_none(task.report, request) as deliver:
        deliver(task, others, target, base)
    return task.report


Deliver = Callable[[MergeTask, Sequence[Source], Source, Source | None], None]


@contextlib.contextmanager
def _all_or_none(report: MergeReport, request: MergeRequest) -> Iterator[Deliver]:
    """Give ``deliver(task, inputs, target, base)``: its targets appear together when the block ends, or none
    does."""
    done: list[tuple[Source, SkimDefinition | None, MergeTask]] = []
    with whole_results(request.cache_dir) as place:

        def deliver(task: MergeTask, inputs: Sequence[Source], target: Source, base: Source | None) -> None:
            done.append((target, task.run(inputs, place(target), base), task))

        yield deliver
    for target, skims, task in done:
        report.outputs.append(target)
        if skims is not None and task.configurations is not None:
            report.skim_definition = skims.write(task.configurations.filesets)


def _existing(files: Sequence[str]) -> list[Source]:
    paths = [output_at(Path(), file) for file in files]
    look_up(paths)
    seen: dict[Source, Source] = {}
    for path in paths:
        _check_input(path)
        other = seen.setdefault(path.resolve(), path)
        if other is not path:
            msg = f"{path} and {other} are the same file: its events would be counted twice."
            raise ResultsRefused(msg)
    return paths


def _check_input(path: Source) -> None:
    if isinstance(path, RemoteOutput):
        try:
            size_of(path)
        except OSError as exc:
            msg = f"The input {path} is not there, or cannot be looked at: {exc.strerror or exc}"
            raise OptionError(msg) from exc
    elif not path.is_file():
        what = "does not exist"
        if path.is_dir():
            what = f"is a folder: name the files in it, or give a jobs folder with -jc {quote(str(path))}"
        msg = f"The input {path} {what}."
        raise OptionError(msg)


def _check_targets(targets: Sequence[Source], inputs: Sequence[Source], request: MergeRequest) -> None:
    for target in targets:
        format_of(target.name, request.format)
    check_targets(targets, inputs, force=request.force)


# -- jobs


def _merge_jobs(request: MergeRequest, limit: MemoryLimit) -> MergeReport:
    jobs = read_jobs(str(request.jobs_config))
    if not request.configurations and not jobs.configuration.is_file():
        msg = (
            f"The configuration of the jobs, {jobs.configuration}, is not there: the result could not be "
            "normalised. Say where it is with -cfg."
        )
        raise OptionError(msg)
    default = jobs.output_dir / f"output_merged{FORMATS[request.format or 'coffea']}"
    target: Source = target_at(request.output) if request.output else default
    configurations = Configurations(request.configurations or [jobs.configuration])
    blocks = _blocks(jobs, configurations)
    outputs: dict[int, dict[str, Source]] = {
        block: {name: job.block(block) for name, job in jobs.jobs.items()} for block in blocks
    }
    targets = {block: with_ending(target, f"_category{block}") if block else target for block in blocks}
    _check_targets(list(targets.values()), [p for each in outputs.values() for p in each.values()], request)
    report = MergeReport()
    missing = _incomplete(jobs, outputs, request, report)
    with _all_or_none(report, request) as deliver:
        for block, each in targets.items():
            task = MergeTask(request, configurations, report, limit, jobs=jobs)
            task.owners = {str(path): name for name, path in outputs[block].items()}
            task.skim_folder = jobs.output_dir if block == blocks[0] else None
            inputs = [path for name, path in outputs[block].items() if name not in missing]
            deliver(task, inputs, each, None)
    return report


def _blocks(jobs: JobsFolder, configurations: Configurations) -> list[int]:
    """Return the numbers of the blocks of categories; [0] when all categories are in one file."""
    if not jobs.split_by_category:
        return [0]
    expected = -(-configurations.n_categories // CATEGORIES_PER_BLOCK)
    return sorted({*jobs.blocks(), *range(1, expected + 1)})


def _incomplete(
    jobs: JobsFolder,
    outputs: dict[int, dict[str, Source]],
    request: MergeRequest,
    report: MergeReport,
) -> dict[str, str]:
    """Return the jobs without a whole output, if that is allowed, and mark them if that is asked for."""
    missing: dict[str, str] = {}
    for each in outputs.values():
        missing.update(jobs.incomplete(each))
    if not missing:
        return missing
    if request.mark_failed:
        before = jobs.mark_failed(missing)
        active = [name for name, flag in before.items() if flag in ("idle", "running")]
        marked = count_of(len(before), "job is", "jobs are")
        log.warning("%s marked as failed (%d were idle or running)", marked, len(active))
    if not request.skip_check:
        lines = "".join(f"\n  {name}: {reason}" for name, reason in list(missing.items())[:20])
        more = f"\n  ... and {len(missing) - 20} more" if len(missing) > 20 else ""
        msg = (
            f"Not all jobs are done yet. {count_of(len(missing), 'job is', 'jobs are')} incomplete. Use "
            f"--skip-check to force merging.{lines}{more}"
        )
        raise ResultsRefused(msg)
    report.left_out.update(missing)
    return missing
