"""Prepares a campaign: everything that its jobs need, in a jobs folder that appears whole or not at all."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.states import State
from pocket_coffea.batch.submit_file import condor_submit_text, sbatch_text
from pocket_coffea.batch.tasks import Task
from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.extra_files import extra_files
from pocket_coffea.executors.jobs.facts import (
    CHECKPOINTS,
    FACTS_NAME,
    OPTIONS_NAME,
    JobFacts,
    checkpoints_name,
)
from pocket_coffea.executors.jobs.folder import NewFolder
from pocket_coffea.executors.jobs.inner_options import inner_options_text
from pocket_coffea.executors.jobs.jobs_config import JOBS_CONFIG, jobs_config_text
from pocket_coffea.executors.jobs.owner import CampaignSlices
from pocket_coffea.executors.jobs.payload import PAYLOAD_NAME, slice_bytes, write_payload
from pocket_coffea.executors.jobs.queues import FirstAttempts, first_attempts
from pocket_coffea.executors.jobs.record import CampaignRecord, JobRecord, Rung, Work, config_name
from pocket_coffea.executors.jobs.split import JobPlan
from pocket_coffea.executors.jobs.template import (
    SYSTEMS,
    Place,
    find_place,
    job_template,
    storage_of,
    with_binds,
)
from pocket_coffea.executors.jobs.wrapper import JOB_SCRIPT, job_script
from pocket_coffea.executors.proxy import GridProxy, find_proxy
from pocket_coffea.executors.setup import EXPECTATION, PROXY, SCRIPT, write_worker_files
from pocket_coffea.executors.worker_environment import WorkerEnvironment, plan_environment

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Site

__all__ = ["Order", "prepare"]

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be prepared. site: with what the run options replace. folder: the jobs folder to be.

    output: a folder or an address. configuration: the pickled Configurator for merging. extra_lines: shell
    lines of a factory's ``get_worker_env``. run_times: forecast of each job [s], for ``queue: auto``. work:
    what the jobs do.
    """

    executor: str
    site: Site
    options: Mapping[str, Any]
    name: str
    folder: Path
    output: str
    configuration: str
    extra_lines: Sequence[str] = ()
    run_times: Sequence[float] | None = None
    work: Work = "events"


@dataclasses.dataclass(frozen=True, slots=True)
class _Surroundings:
    """In what the jobs run, found out before anything is written."""

    place: Place
    environment: WorkerEnvironment
    proxy: GridProxy | None
    attempts: FirstAttempts
    extra: Sequence[Path]


def prepare(order: Order, config: Any, plans: Sequence[JobPlan]) -> CampaignRecord:
    """Write the jobs folder and return its record; nothing is submitted. Only events need a ``config``.

    Raises ConfigurationError, ResultsRefused, InvalidValue for names that the batch system cannot be told,
    OutputError. Nothing is left behind then.
    """
    around = _surroundings(order, plans)
    record = _record(order, around, plans)
    with NewFolder(record.folder) as new:
        if record.payload:
            record = dataclasses.replace(record, payload_sha256=write_payload(new.path, config))
        for path in around.extra:
            new.copy(path)
        campaign = Campaign.create(new.path, record.system, len(plans))
        _facts(order, around, record, campaign.id).write(new.path)
        write_worker_files(
            order.site, order.options, around.environment, around.proxy, new, order.extra_lines
        )
        new.add(JOB_SCRIPT, _job_script(around), secret=False)
        new.write(OPTIONS_NAME, inner_options_text(order.options))
        (new.path / record.template.logs).mkdir()
        _write_slices(new, record, plans)
        _write_submit_files(new, record, campaign)
        if order.work == "events":
            new.write(JOBS_CONFIG, jobs_config_text(record, plans, order.configuration))
        record.write(new.path)
    return record


def _surroundings(order: Order, plans: Sequence[JobPlan]) -> _Surroundings:
    site, options = order.site, order.options
    if site.batch not in SYSTEMS:
        msg = f"{order.executor}: {site.name} has no batch system that jobs can be submitted to."
        raise ConfigurationError(msg)
    place = find_place(site, options, order.folder, order.output)
    attempts = first_attempts(site, options, order.run_times)
    environment = plan_environment(with_binds(site, place), options)
    proxy = None
    if place.delivery.way == "xrootd" or _reads_remote_files(plans):
        proxy = find_proxy(options, attempts.longest or None)
    return _Surroundings(place, environment, proxy, attempts, extra_files(options))


def _reads_remote_files(plans: Sequence[JobPlan]) -> bool:
    return any(
        str(file).startswith(("root://", "roots://"))
        for plan in plans
        for entry in plan.filesets.values()
        for file in entry["files"]
    )


def _record(order: Order, around: _Surroundings, plans: Sequence[JobPlan]) -> CampaignRecord:
    site, place = order.site, around.place
    image = around.environment.provenance.get("image") or {}
    template = job_template(
        *(site, order.options, place, around.environment),
        _files(around, order.work),
        f"PocketCoffea {order.name}",
    )
    return CampaignRecord(
        name=order.name,
        executor=order.executor,
        site=site.name,
        system=SYSTEMS[site.batch],
        folder=place.folder,
        output=place.output,
        outdir_local=place.outdir_local,
        template=template,
        resources=around.attempts.resources,
        exceptions=around.attempts.exceptions,
        payload=PAYLOAD_NAME if order.work == "events" else "",
        payload_sha256="",
        delivery=place.delivery,
        flags=place.flags,
        jobs=tuple(JobRecord(plan.datasets, plan.chunksize) for plan in plans),
        ladder=tuple(Rung(queue.name, queue.seconds) for queue in site.queues),
        options={key: value for key, value in order.options.items() if value is not None},
        image=str(image.get("location", "")),
        image_digest=str(image.get("digest", "")),
        split_by_category=bool(order.options.get("split-by-category")),
        outputdir=order.output,
        work=order.work,
    )


def _files(around: _Surroundings, work: Work) -> list[str]:
    """Return the names of the files that every job needs."""
    names = [*([PAYLOAD_NAME] if work == "events" else []), FACTS_NAME, OPTIONS_NAME, SCRIPT]
    if around.environment.expectation is not None:
        names.append(EXPECTATION)
    if around.proxy is not None:
        names.append(PROXY)
    for path in around.extra:
        if path.name in (*names, JOBS_CONFIG, JOB_SCRIPT):
            msg = f"run option extra-input-files: {path} has the name of a file of the jobs. Rename it."
            raise ConfigurationError(msg)
    return [*names, *(path.name for path in around.extra)]


def _facts(order: Order, around: _Surroundings, record: CampaignRecord, campaign: str) -> JobFacts:
    seconds = around.attempts.shortest
    return JobFacts(
        campaign=campaign,
        executor=order.executor,
        way=record.delivery.way,
        target=record.delivery.target,
        payload_sha256=record.payload_sha256,
        folder=str(record.folder) if record.flags else "",
        split_by_category=record.split_by_category,
        storage=storage_of(order.site, order.options),
        # short queues have little time to spare
        margin=max(5.0, min(120.0, 0.1 * seconds)) if seconds else 120.0,
        image=record.image_digest,
        work=record.work,
        workers={"site": order.site.name, **around.environment.provenance},
    )


def _job_script(around: _Surroundings) -> str:
    place, environment = around.place, around.environment
    return job_script(
        folder=str(place.folder) if place.flags else "",
        prefix=environment.prefix,
        python=environment.python,
        transferred=not place.flags,
    )


def _write_slices(new: NewFolder, record: CampaignRecord, plans: Sequence[JobPlan]) -> None:
    def files(job: int) -> Iterator[tuple[str, bytes]]:
        content = slice_bytes(record.folder, job, plans[job].filesets, record.payload_sha256)
        yield config_name(job), content
        yield f"job_{job}.{State.IDLE.value}", b""
        if not record.flags:
            yield f"{CHECKPOINTS}/{checkpoints_name(job)}", b""

    if not record.flags:
        (new.path / CHECKPOINTS).mkdir()
    new.write_all(len(plans), files)


def _write_submit_files(new: NewFolder, record: CampaignRecord, campaign: Campaign) -> None:
    """Write ``jobs_all`` and one file for each job. The batch room writes ``jobs_all`` anew.

    A script of Slurm has one partition and time, so there is one for each queue where there are several.
    """
    slices = CampaignSlices(dataclasses.replace(record, folder=new.path), campaign)
    tasks = [slices.task(job, 1, record.resources_of(job)) for job in range(len(record.jobs))]
    suffix, text = {"htcondor": (".sub", _condor), "slurm": (".slurm", _slurm)}.get(record.system, ("", None))
    if text is None:
        return
    if record.system == "slurm" and record.exceptions:
        for resources in dict.fromkeys(task.resources for task in tasks):
            mine = [task for task in tasks if task.resources == resources]
            new.write(f"jobs_all_{resources.queue}{suffix}", text(record, mine))
    else:
        new.write(f"jobs_all{suffix}", text(record, tasks))
    new.write_all(len(tasks), lambda job: [(f"job_{job}{suffix}", text(record, [tasks[job]]).encode())])


def _condor(record: CampaignRecord, tasks: Sequence[Task]) -> str:
    return condor_submit_text(record.template, tasks)


def _slurm(record: CampaignRecord, tasks: Sequence[Task]) -> str:
    return sbatch_text(record.template, tasks, record.name, is_array=len(tasks) > 1)
