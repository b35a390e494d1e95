"""The owner of a campaign of manual jobs: what the batch room asks of it, and how a jobs folder is opened.

The batch room watches and recovers opaque tasks; ``CampaignSlices`` tells it what a job is sent with, whether
its output is there, why it failed, and gives it other replicas to read.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pocket_coffea.batch.act import Slices
from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.states import Attempt, Resources
from pocket_coffea.batch.systems import BatchSystem, batch_system
from pocket_coffea.batch.tasks import Task
from pocket_coffea.errors import InputFileError, OutputError, ResultsRefused
from pocket_coffea.executors.jobs.explain import explain_attempt
from pocket_coffea.executors.jobs.outputs import is_there
from pocket_coffea.executors.jobs.packing import collect, prepare_transfer
from pocket_coffea.executors.jobs.payload import sha256_of
from pocket_coffea.executors.jobs.record import CampaignRecord, config_name
from pocket_coffea.executors.jobs.report import read_report
from pocket_coffea.executors.jobs.reroute import Rerouter

__all__ = ["CampaignSlices", "Opened", "open_campaign"]

log = logging.getLogger(__name__)

#: Errors that say nothing of what was brought: it is collected when they are over.
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE)


class CampaignSlices(Slices):
    """What the campaign's record, its slices and the reports of its jobs say."""

    def __init__(
        self,
        record: CampaignRecord,
        campaign: Campaign,
        rerouter: Rerouter | None = None,
        *,
        acting: bool = False,
    ) -> None:
        """Who is not ``acting`` writes nothing: what the batch system brought is then only looked at."""
        self.record = record
        self.campaign = campaign
        self.rerouter = rerouter or Rerouter(record, campaign)
        self.acting = acting

    def resources(self, job: int) -> Resources:
        """Return what a job is first sent with."""
        return self.record.resources_of(job)

    def task(self, job: int, attempt: int, resources: Resources) -> Task:
        """Return what is to be sent for an attempt.

        A slice that cannot be read is sent with a digest that no file has: the job says so, and the others
        go on. Raises OutputError.
        """
        name = config_name(job)
        try:
            digest = sha256_of(self.record.folder / name)
        except InputFileError as error:
            log.warning("%s", error)
            digest = "unreadable"
        if not self.record.flags:
            prepare_transfer(self.record.folder, job)
        numbers = (self.record.jobs[job].chunksize, attempt, resources.seconds, resources.cpus)
        return Task(job, attempt, (str(job), name, digest, *map(str, numbers)), resources)

    def delivered(self, job: int) -> bool:
        """Return whether the last attempt says that it succeeded, and its outputs are there, whole."""
        last = self.campaign.jobs[job].last
        if last is None:
            return False
        self._collect(job, last.number)
        report = read_report(self.record.folder, job, last.number, self.campaign.id)
        if report is None or report.exit_code != 0:
            return False
        return all(is_there(self.record, output) for output in report.outputs)

    def _collect(self, job: int, attempt: int) -> None:
        """Put into place what the batch system brought. Raises OutputError for what passes (a full disk)."""
        if not self.acting or self.record.flags:
            return
        try:
            collect(self.record, job, attempt)
        except OutputError as error:
            if getattr(error.__cause__, "errno", None) in _PASSING:
                raise
            log.warning("job_%d: %s", job, error)  # it has delivered nothing, which is decided about

    def explain(self, job: int, attempt: Attempt) -> tuple[str, Sequence[str]]:
        """Return why an attempt failed, in one line, and the addresses that it could not read."""
        self._collect(job, attempt.number)
        return explain_attempt(self.record, self.campaign.id, job, attempt)

    def site(self, address: str) -> str:
        """Return the site of an address; empty for a redirector and for a local file."""
        return self.rerouter.site(address)

    def reroute(
        self, job: int, bad: Sequence[str], avoid: frozenset[str], *, redirector: bool
    ) -> Mapping[str, str]:
        """Give ``bad`` files and those at ``avoid`` another replica, or all the redirector."""
        return self.rerouter.reroute(job, bad, avoid, redirector=redirector)


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """A campaign that was opened, with all that a monitor needs."""

    record: CampaignRecord
    campaign: Campaign
    system: BatchSystem
    slices: CampaignSlices


def open_campaign(
    folder: Path,
    *,
    acting: bool = False,
    blocked: Collection[str] = (),
) -> Opened:
    """Open a jobs folder whose record and ledger were written.

    Who is ``acting`` holds the campaign's lock; ``blocked`` are sites that files are never moved to. Raises
    InputFileError when the folder holds no campaign, ResultsRefused when ``acting`` on one that was moved.
    """
    record = CampaignRecord.read(folder)
    if not _is_same(record.folder, folder):
        if acting:
            msg = (
                f"{folder} was prepared as {record.folder}, where its jobs look for it. Move it back, or "
                "prepare the jobs again with `pocket-coffea run`."
            )
            raise ResultsRefused(msg)
        template = dataclasses.replace(record.template, folder=folder)
        record = dataclasses.replace(record, folder=folder, template=template)
    campaign = Campaign(folder)
    if len(campaign.jobs) != len(record.jobs):
        msg = (
            f"{folder}: the record has {len(record.jobs)} jobs and the ledger {len(campaign.jobs)}; they are "
            "not of one campaign. Prepare the jobs again under another job-name."
        )
        raise InputFileError(msg)
    slices = CampaignSlices(record, campaign, Rerouter(record, campaign, blocked=blocked), acting=acting)
    return Opened(record, campaign, batch_system(record.system, record.template, campaign.id), slices)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
