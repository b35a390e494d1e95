"""One call of ``pocket-coffea run``: from a configuration file and options to outputs and a report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pocket_coffea.errors import OptionError
from pocket_coffea.run.failed_jobs import choose_failed, failed_elsewhere
from pocket_coffea.run.filesets import (
    Filesets,
    filter_filesets,
    group_filesets,
    needs_grid,
    warn_of_unknown_samples,
)
from pocket_coffea.run.option_list import JOBS
from pocket_coffea.run.option_set import USER_ORIGINS
from pocket_coffea.run.options import Kind, Option, RunOptions, merge_run_options, parse_executor
from pocket_coffea.run.outputs import OutputFolder
from pocket_coffea.run.progress import LineProgress, Progress
from pocket_coffea.run.recovery import refuse_recovery_options, send_again
from pocket_coffea.run.skims import SkimDefinition
from pocket_coffea.run.summary import RunReport
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.hosts import require_submit_host
from pocket_coffea.sites.site import adjusted
from pocket_coffea.utils.interrupt import stop_if_interrupted
from pocket_coffea.utils.transfer import absolute, is_remote

__all__ = ["RunRequest", "merge_options", "output_folder", "run_analysis", "wait_until"]

log = logging.getLogger(__name__)

#: Flags of the command that have no effect on jobs of an earlier submission.
_NOT_FOR_SENT_JOBS = (
    *("filter_years", "filter_samples", "filter_datasets"),
    *("process_separately", "resubmit_failed", "resume", "timeit"),
)


@dataclass(frozen=True)
class RunRequest:
    """What the user asks for; names as on the command line.

    ``flags`` are named run options, ``extra`` any other; both are checked by the schema of run options.
    """

    cfg: str
    outputdir: str
    executor: str | None = None
    custom_run_options: tuple[str, ...] = ()
    site_files: tuple[str, ...] = ()
    test: bool = False
    process_separately: bool = False
    resubmit_failed: bool = False
    resume: bool = False
    timeit: bool = False
    executor_custom_setup: str | None = None
    filter_years: tuple[str, ...] = ()
    filter_samples: tuple[str, ...] = ()
    filter_datasets: tuple[str, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def executor_name(self) -> str:
        return self.executor or "iterative"


def run_analysis(request: RunRequest, progress: Progress | None = None) -> RunReport:
    """Run an analysis and write its outputs.

    With ``process_separately`` a group of datasets that fails is recorded and the others go on; without it
    the error is raised. Raises ConfigurationError for what is wrong before anything is processed,
    NothingToDo for an empty selection. With ``timeit`` nothing is written but how long events take.
    """
    began = time.monotonic()
    options = merge_options(request)
    folder = output_folder(request)
    if request.resubmit_failed and not request.process_separately:
        msg = "--resubmit-failed works on the jobs of --process-separately: give both."
        raise OptionError(msg)
    if options.get("recreate-jobs"):
        return _recreate(request, options, folder)
    if request.executor_custom_setup is None:
        refuse_recovery_options(options)
    failed = folder.read_failed() if request.resubmit_failed else None
    _check_executor(request)
    if request.timeit:
        return _timeit(request, options, folder, began)
    _check_host(request, options)
    config, every = _configuration(request, options, folder)
    groups = _groups(request, options, config, failed, every)
    wait_until(options)
    stop_if_interrupted()
    from pocket_coffea.executors.registry import make_factory
    from pocket_coffea.run.groups import GroupRunner

    factory = make_factory(
        request.executor_name,
        _executor_options(options, config.filesets, request),
        request.outputdir if is_remote(request.outputdir) else str(folder.path),
        request.executor_custom_setup,
        SiteBook(request.site_files),
    )
    report = RunReport(workers=int(options["scaleout"]) if request.executor_name != "iterative" else 1)
    try:
        if getattr(factory, "handles_submission", False):
            _submit(factory, request, options, config, folder)
            report.submitted = True
            return report
        runner = GroupRunner(
            config, options, folder, factory, report, request=request, progress=progress or LineProgress()
        )
        runner.skims = SkimDefinition(folder, check_initial_events=not _is_limited(options))
        runner.failed_elsewhere = failed_elsewhere(
            folder.failed_before(), groups, options["group-samples"], every, request.resubmit_failed
        )
        runner.run(groups)
    finally:
        _close(factory)
    report.wall_seconds = time.monotonic() - began
    return report


def output_folder(request: RunRequest) -> OutputFolder:
    """Return the folder of this machine that the run writes into: for jobs whose outputs go to an address
    it is ``jobs-dir``. Raises OutputError."""
    name, _ = parse_executor(request.executor_name)
    if is_remote(request.outputdir) and name in JOBS:
        jobs_dir = merge_options(request).get("jobs-dir")
        if not jobs_dir:
            msg = (
                f"--outputdir {request.outputdir} is an address. Give the run option jobs-dir, too: a folder "
                "of this machine, where the jobs are prepared."
            )
            raise OptionError(msg)
        return OutputFolder(jobs_dir)
    return OutputFolder(request.outputdir)


def _recreate(request: RunRequest, options: RunOptions, folder: OutputFolder) -> RunReport:
    """Send jobs of an earlier submission again; their folder says all that is needed."""
    send_again(options, folder.path, {flag: getattr(request, flag) for flag in _NOT_FOR_SENT_JOBS})
    report = RunReport()
    report.submitted = True
    return report


def _timeit(request: RunRequest, options: RunOptions, folder: OutputFolder, began: float) -> RunReport:
    """Measure how long events take, and show what follows for an executor that submits jobs."""
    from pocket_coffea.executors.registry import make_factory
    from pocket_coffea.run.timeit import measure, timeit_folder

    _refuse(
        request,
        ("process_separately", "resume", "resubmit_failed"),
        "is not for --timeit: it writes no output",
    )
    config, _ = _configuration(request, options)
    plain = _executor_options(options, config.filesets, request)
    if not needs_grid(config.filesets):
        plain["ignore-grid-certificate"] = True
    here = make_factory("iterative", plain, str(folder.path))
    report = RunReport()
    try:
        measure(config, options, here.get(), timeit_folder(options, request.cfg), report)
    finally:
        _close(here)
    report.wall_seconds = time.monotonic() - began
    if parse_executor(request.executor_name)[0] in JOBS and request.executor_custom_setup is None:
        sites = SiteBook(request.site_files)
        jobs: Any = make_factory(request.executor_name, plain, str(folder.path), sites=sites)
        if any(plain.get(key) is not None for key in ("scaleout", "max-events-per-job", "target-time")):
            jobs.show_forecast(config.filesets)
        else:
            log.info(
                "Give --scaleout, target-time or max-events-per-job, too, to see a forecast of the jobs."
            )
    return report


def _refuse(request: RunRequest, flags: Iterable[str], why: str) -> None:
    for flag in flags:
        if getattr(request, flag):
            msg = f"--{flag.replace('_', '-')} {why}. Leave it out."
            raise OptionError(msg)


def _submit(
    factory: Any, request: RunRequest, options: RunOptions, config: Any, folder: OutputFolder
) -> None:
    """Hand the run to a factory that submits jobs itself."""
    from pocket_coffea.run.timeit import timeit_folder, warn_of_old_timings

    why = (
        f"is not for {request.executor_name}: each job has an output of its own, and `pocket-coffea "
        "check-jobs` sends failed ones again"
    )
    _refuse(request, ("process_separately", "resume", "resubmit_failed"), why)
    warn_of_old_timings(config, timeit_folder(options, request.cfg))
    if options["limit-chunks"] is not None:
        log.warning("limit-chunks = %s holds for each job and dataset, not for all", options["limit-chunks"])
    stop_if_interrupted()
    factory.submit(config, config.filesets, str(folder.path))


def merge_options(request: RunRequest) -> RunOptions:
    """Return the run options of a request, each with its origin. Raises OptionError and SiteError."""
    return merge_run_options(
        request.executor_name,
        files=request.custom_run_options,
        test=request.test,
        flags=request.flags,
        extra=request.extra,
        options=_own_options(request.executor_custom_setup),
        sites=SiteBook(request.site_files),
        custom=request.executor_custom_setup is not None,
    )


def _own_options(custom_setup: str | None) -> list[Option]:
    """Return the run options that a user's executor module adds: ``RUN_OPTIONS = {name: default}``."""
    if custom_setup is None:
        return []
    from pocket_coffea.executors.registry import load_custom_setup

    added = getattr(load_custom_setup(custom_setup), "RUN_OPTIONS", {})
    return [
        Option(name.replace("_", "-"), _kind_of(default), f"An option of {custom_setup}.", default=default)
        for name, default in added.items()
    ]


def _kind_of(default: Any) -> Kind:
    kinds = {bool: Kind.BOOLEAN, int: Kind.INTEGER, list: Kind.NAMES, tuple: Kind.NAMES, dict: Kind.MAPPING}
    return kinds.get(type(default), Kind.TEXT)


def _check_executor(request: RunRequest) -> None:
    """Refuse an unknown executor before the configuration is read, and prepare for the known ones."""
    from pocket_coffea.executors.registry import check_executor

    if request.executor_custom_setup is not None:
        return
    if check_executor(request.executor_name, SiteBook(request.site_files)) == "futures":
        from pocket_coffea.executors.worker_pool import start_server

        start_server()  # its imports run while this process reads the configuration


def _check_host(request: RunRequest, options: RunOptions) -> None:
    """Refuse to submit jobs of a site from a machine that is none of its own."""
    name, at = parse_executor(request.executor_name)
    if at is None or request.executor_custom_setup is not None or name in ("iterative", "futures"):
        return
    site = SiteBook(request.site_files).get(at)
    require_submit_host(adjusted(site, options), request.executor_name)


def _configuration(
    request: RunRequest, options: RunOptions, folder: OutputFolder | None = None
) -> tuple[Any, Filesets]:
    """Return the loaded configuration with what the filters leave, and its filesets before them.

    folder: where the configuration is written, with all datasets: a run of some of them must not take the
    others from it, whose outputs may be there and are merged with it.
    """
    from pocket_coffea.utils.utils import load_config

    config = load_config(request.cfg, save_config=False)
    _settle_folders(config)
    every = dict(config.filesets)
    filters = {
        "years": request.filter_years,
        "samples": request.filter_samples,
        "datasets": request.filter_datasets,
    }
    kept = filter_filesets(every, **filters)
    if folder is not None:
        config.save_config(folder.path)
    if len(kept) < len(every):
        config.set_filesets_manually(kept)
    if options["limit-files"] is not None:
        config.filter_dataset(options["limit-files"])
    return config, every


def _settle_folders(config: Any) -> None:
    """Make the folders of skims and of columns by chunk absolute: workers and jobs run in other folders."""
    from pocket_coffea.config.checks import COLUMNS_BY_CHUNK

    if config.save_skimmed_files_folder is not None:
        config.save_skimmed_files_folder = absolute(config.save_skimmed_files_folder)
    by_chunk = config.workflow_options.get(COLUMNS_BY_CHUNK)
    if isinstance(by_chunk, str | Path):
        config.workflow_options[COLUMNS_BY_CHUNK] = absolute(str(by_chunk))


def _groups(
    request: RunRequest, options: RunOptions, config: Any, failed: list[str] | None, every: Filesets
) -> dict[str, Filesets]:
    if not request.process_separately:
        if options["group-samples"]:
            log.warning("group-samples has no effect without --process-separately")
        return {"all": config.filesets}
    warn_of_unknown_samples(every, options["group-samples"])
    groups = group_filesets(config.filesets, options["group-samples"])
    if failed is None:
        return groups
    return choose_failed(failed, groups, options["group-samples"], every)


def _executor_options(
    options: RunOptions, filesets: Mapping[str, Any], request: RunRequest
) -> dict[str, Any]:
    """Return the options for the factory. A run on local files never needs a grid proxy."""
    plain = options.as_dict()
    if parse_executor(options.executor)[0] in JOBS:
        if not options.origin("scaleout").startswith(USER_ORIGINS):
            plain.pop("scaleout", None)  # the default is not meant as a number of jobs
        from pocket_coffea.run.timeit import timeit_folder

        plain["timeit-dir"] = str(timeit_folder(options, request.cfg))
        return plain  # what jobs need the proxy for is found out there
    if not needs_grid(filesets):
        plain["ignore-grid-certificate"] = True
    return plain


def _is_limited(options: RunOptions) -> bool:
    return options["limit-files"] is not None or options["limit-chunks"] is not None


def _close(factory: Any) -> None:
    try:
        factory.close()
    except Exception as exc:  # noqa: BLE001  (foreign code; the results are written already)
        log.warning("closing the executor failed: %s: %s", type(exc).__name__, exc)


def wait_until(
    options: RunOptions,
    now: Callable[[], datetime] = datetime.now,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for the time of the run option ``starting-time`` (local clock)."""
    start = options.starting_time()
    if start is None:
        return
    if start <= now():
        log.warning("starting-time %s has passed: starting now", start)
        return
    log.info("waiting until %s", start)
    while now() < start:
        stop_if_interrupted()
        sleep(1.0)
