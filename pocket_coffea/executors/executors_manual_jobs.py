"""Executors that submit one self-contained batch job per group of files: ``condor@lxplus``,
``condor@rubin``, ``condor@lpc``, ``slurm@T3_CH_PSI``.

::

    from pocket_coffea.executors.executors_lxplus import ExecutorFactoryCondorCERN

    class MyJobs(ExecutorFactoryCondorCERN):
        def get_worker_env(self):
            return [*super().get_worker_env(), "export MY_VARIABLE=1"]

What they do is in :mod:`pocket_coffea.executors.jobs`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pocket_coffea.errors import ConfigurationError, InputFileError
from pocket_coffea.executors.executors_base import ExecutorFactoryABC
from pocket_coffea.executors.jobs.inner_options import WHITELIST, write_inner_options
from pocket_coffea.executors.jobs.record import CampaignRecord, Work
from pocket_coffea.executors.jobs.split import JobPlan, Rules, plan_of, split
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.site import Batch, Runtime, Site, adjusted
from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.datasets.skim_plan import SkimGroup

__all__ = [
    "INNER_RUN_OPTIONS_FILENAME",
    "INNER_RUN_OPTIONS_WHITELIST",
    "ExecutorFactoryManualABC",
    "ensure_job_sh_forwards_inner_yaml",
    "ensure_sub_transfers_inner_yaml",
    "write_inner_run_options",
]

log = logging.getLogger(__name__)

#: The run options that a job gets, and the file that carries them.
INNER_RUN_OPTIONS_FILENAME = "inner_run_options.yaml"
INNER_RUN_OPTIONS_WHITELIST = WHITELIST

#: Name of the executor, by the batch system of a site, and the batch system of an executor.
_NAMES = {"htcondor": "condor", "slurm": "slurm", "none": "jobs"}
_BATCH: dict[str, Batch] = {"condor": "htcondor", "slurm": "slurm"}


class ExecutorFactoryManualABC(ExecutorFactoryABC):
    """Splits datasets into jobs of the site named ``site``, prepares and submits them."""

    handles_submission: ClassVar[bool] = True
    #: Name of the site.
    site: ClassVar[str] = ""

    def setup(self) -> None:
        """Find the site; everything else waits for the datasets."""
        #: The site's data, with what the run options replace.
        self.site_data = _with_batch(adjusted(self.get_site(), self.run_options), self.kwargs.get("executor"))
        #: The pickled Configurator that a merge post-processes with.
        self.configuration = ""
        self.config: Any = None
        self.filesets: Mapping[str, Any] = {}

    def get_site(self) -> Site:
        """Return the site: the one that was found for the executor string, else the one named ``site``."""
        given = self.kwargs.get("site")
        return (
            given if isinstance(given, Site) else SiteBook(self.kwargs.get("site_files", ())).get(self.site)
        )

    @property
    def executor(self) -> str:
        """The executor string, ``condor@lxplus``."""
        name = self.kwargs.get("executor") or _NAMES.get(self.site_data.batch, self.site_data.batch)
        return f"{name}@{self.site_data.name}"

    def get_worker_env(self) -> list[str]:
        """Return further shell lines that prepare a job. A line that fails is logged, and no more."""
        return []

    def get(self) -> NoReturn:
        """Raise ConfigurationError: jobs are submitted, there is no executor that waits for them."""
        msg = f"{self.executor} submits jobs and ends; it cannot be used as an executor. Call submit()."
        raise ConfigurationError(msg)

    def submit(self, config: Any, filesets: Mapping[str, Any], outputdir: str) -> None:
        """Split ``filesets`` into jobs, prepare and submit them; with ``dry-run`` only prepare them.

        outputdir: where the run has put ``configurator.pkl``. Raises ConfigurationError for options that do
        not fit and when the jobs folder exists, CommandFailed when no job was accepted.
        """
        self.config, self.filesets = config, filesets
        self.configuration = str(Path(outputdir).absolute() / "configurator.pkl")
        splits = self.prepare_splitting(filesets)
        self._hand_over(self.prepare_jobs(splits))

    def _hand_over(self, record: CampaignRecord) -> None:
        if self.run_options.get("dry-run"):
            self._say_dry(record)
        else:
            self.submit_jobs(record)

    def submit_merges(self, groups: Sequence[SkimGroup], samples: Mapping[str, str]) -> None:
        """Prepare and submit a job for each file that skimmed files are merged into; see :meth:`submit`.

        samples: of which sample a dataset is.
        """
        from pocket_coffea.executors.jobs.merge_plan import merge_plans
        from pocket_coffea.executors.jobs.prepare import prepare

        record = prepare(self._order(work="skims"), None, merge_plans(groups, samples))
        self._show(record)
        self._hand_over(record)

    def prepare_splitting(self, filesets: Mapping[str, Any]) -> Sequence[Any]:
        """Return the jobs: as :func:`pocket_coffea.executors.jobs.split.split` gives them, or filesets."""
        from pocket_coffea.executors.jobs.entries import count_entries
        from pocket_coffea.executors.jobs.forecast import timed_jobs

        rules = replace(Rules.of(self.run_options), jobs=timed_jobs(filesets, self.run_options))
        return split(filesets, rules, count_entries)

    def prepare_jobs(self, splits: Sequence[Any]) -> CampaignRecord:
        """Write what the jobs need into a new jobs folder, and return its record.

        Shows how long they are going to take, where that was measured, and asks about those that may not
        fit into their queue (NothingToDo for a no, OptionError when there is nobody to ask).
        """
        from pocket_coffea.executors.jobs.prepare import prepare

        plans = self._plans(splits)
        run_times = self._forecast(plans, asks=not self.run_options.get("dry-run"))
        record = prepare(self._order(run_times), self.config, plans)
        self._show(record)
        return record

    def _show(self, record: CampaignRecord) -> None:
        from pocket_coffea.executors.jobs.table import jobs_table

        for line in jobs_table(record.jobs):
            log.info("%s", line)

    def show_forecast(self, filesets: Mapping[str, Any]) -> None:
        """Show into which jobs datasets would be split, and how long they would take; nothing is written."""
        self.filesets = filesets
        self._forecast(self._plans(self.prepare_splitting(filesets)), asks=False)

    def _plans(self, splits: Sequence[Any]) -> list[JobPlan]:
        rules = Rules.of(self.run_options)
        return [
            each if isinstance(each, JobPlan) else plan_of(number, each, rules)
            for number, each in enumerate(splits)
        ]

    def _forecast(self, plans: Sequence[JobPlan], *, asks: bool) -> tuple[float, ...] | None:
        """Show the forecast and return the seconds of each job, None when nothing was measured."""
        from pocket_coffea.executors.jobs.forecast import forecast_of, require_fit, show_lines
        from pocket_coffea.executors.jobs.queues import first_attempts, threshold_of

        forecast = forecast_of(plans, self.filesets, self.run_options)
        run_times = None if forecast is None else forecast.seconds
        attempts = first_attempts(self.site_data, self.run_options, run_times)
        if forecast is None:
            return None
        show_lines(forecast.table(attempts, threshold_of(self.run_options)))
        if asks:
            require_fit(forecast, attempts, self.run_options)
        return run_times

    def _order(self, run_times: Sequence[float] | None = None, work: Work = "events") -> Any:
        from pocket_coffea.executors.jobs.folder import jobs_folder
        from pocket_coffea.executors.jobs.prepare import Order

        output = str(self.outputdir or ".")
        if "://" not in output:
            output = str(Path(output).absolute())
        name = str(self.run_options.get("job-name") or "job")
        return Order(
            executor=self.executor,
            site=self.site_data,
            options=self.run_options,
            name=name,
            folder=jobs_folder(str(self.run_options.get("jobs-dir") or output), name),
            output=output,
            configuration=self.configuration,
            extra_lines=self.get_worker_env(),
            run_times=run_times,
            work=work,
        )

    def submit_jobs(self, jobs_config: CampaignRecord) -> None:
        """Hand the jobs to the batch system. Raises CommandFailed when it accepts none."""
        from pocket_coffea.executors.jobs.submit import submit

        sent = submit(jobs_config)
        jobs = count_of(len(jobs_config.jobs), "job")
        part = "" if sent == len(jobs_config.jobs) else f"{sent:,} of "
        log.info("Submitted %s%s with %s", part, jobs, self.executor)
        log.info("Watch them: pocket-coffea check-jobs -j %s", quote(str(jobs_config.folder)))

    def recreate_jobs(self, jobs_to_redo: str) -> None:
        """Submit some jobs of the jobs folder again: ``auto``, or their numbers."""
        from pocket_coffea.executors.jobs.recreate import recreate

        parent = Path(str(self.run_options.get("jobs-dir") or self.outputdir or "."))
        recreate(parent, {**self.run_options, "recreate-jobs": jobs_to_redo.split(",")})

    def _say_dry(self, record: CampaignRecord) -> None:
        log.info("Dry run, not submitting jobs. You can find all files: %s", record.folder)
        log.info("To submit them: pocket-coffea check-jobs -j %s --resubmit", quote(str(record.folder)))


def _with_batch(site: Site, executor: str | None) -> Site:
    """Return a site with several batch systems as one with that of the executor."""
    batch = _BATCH.get(executor or "", site.batch)
    if batch == site.batch:
        return site
    runtime: Runtime = "apptainer" if site.container.runtime == "htcondor" else site.container.runtime
    return replace(site, batch=batch, container=replace(site.container, runtime=runtime))


def write_inner_run_options(jobs_dir: str, run_options: Mapping[str, Any]) -> str:
    """Write the run options that a job gets; return the path of the file."""
    return str(write_inner_options(jobs_dir, run_options))


def ensure_job_sh_forwards_inner_yaml(job_sh: str) -> None:
    """Raise ConfigurationError for a job script that passes no run options on: those of this version do."""
    _require(job_sh, "pocket_coffea.run.job")


def ensure_sub_transfers_inner_yaml(sub_file: str, inner_yaml: str = INNER_RUN_OPTIONS_FILENAME) -> None:
    """Raise ConfigurationError for a submit file that ships no run options: those of this version do."""
    _require(sub_file, Path(inner_yaml).name)


def _require(path: str, text: str) -> None:
    try:
        content = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise InputFileError(msg) from error
    if text not in content:
        msg = f"{path} was written by another version: {text} is not in it. Prepare the jobs again."
        raise ConfigurationError(msg)
