"""The first submission of a campaign: what watching does with jobs that were never sent."""

from __future__ import annotations

import logging
from shlex import quote

from pocket_coffea.errors import CommandFailed
from pocket_coffea.executors.jobs.record import CampaignRecord
from pocket_coffea.executors.jobs.watching import Watching, Wishes

__all__ = ["submit"]

log = logging.getLogger(__name__)


def submit(record: CampaignRecord) -> int:
    """Send all jobs of a prepared folder and return how many the batch system accepted.

    Raises CommandFailed when it accepted none, ResultsRefused when a monitor is at work.
    """
    with Watching(record.folder, Wishes(resubmit=True), acting=True) as watching:
        poll = watching.monitor.poll()
    said = [news.text for news in poll.news]
    if not poll.sent:
        again = f"pocket-coffea check-jobs -j {quote(str(record.folder))} --resubmit"
        msg = (
            f"No job was submitted: {'; '.join(said) or 'the batch system gave no reason'}. The jobs stay in "
            f"{record.folder}; to send them: {again}"
        )
        raise CommandFailed(msg)
    for text in said:
        log.warning("%s", text)
    return len(poll.sent)
