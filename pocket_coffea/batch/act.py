"""What is done about decisions, as one batch: a death at any point loses and doubles nothing.

1. what is left of the old instances is removed, and waited for;
2. the job's input is rerouted (may be done twice);
3. ``submitting`` is written to the ledger, then the batch system is asked, then ``submitted`` is written;
4. the flags of the ends become ``idle``.

A ``submitting`` without ``submitted`` is settled by asking the batch system for its tag.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.decide import Action
from pocket_coffea.batch.flags import end_flags, flag_path, flag_time, requeue_flag, set_flag
from pocket_coffea.batch.states import Attempt, Resources, State
from pocket_coffea.batch.systems import BatchSystem, Submission
from pocket_coffea.batch.tasks import Task
from pocket_coffea.errors import CommandFailed, InvalidValue, PocketCoffeaError, ResultsRefused
from pocket_coffea.utils.wording import count_of

__all__ = ["Planned", "Sent", "Slices", "recover", "send"]

log = logging.getLogger(__name__)

#: Seconds after which a submission begun on another machine cannot be under way any more
_ELSEWHERE = 300.0


class Slices(Protocol):
    """What the owner of a campaign knows of its jobs and the batch room does not."""

    def resources(self, job: int) -> Resources:
        """Return what a job is first sent with."""

    def task(self, job: int, attempt: int, resources: Resources) -> Task:
        """Return what is to be sent for an attempt."""

    def delivered(self, job: int) -> bool:
        """Return whether the output of a job is there, whole."""

    def explain(self, job: int, attempt: Attempt) -> tuple[str, Sequence[str]]:
        """Return why an attempt failed as its logs say, in one line, and the addresses it could not read."""

    def site(self, address: str) -> str:
        """Return the site of an address; empty when it names none."""

    def reroute(
        self, job: int, bad: Sequence[str], avoid: frozenset[str], *, redirector: bool
    ) -> Mapping[str, str]:
        """Give ``bad`` addresses and those at sites to ``avoid`` another replica, or all the redirector.

        Returns the changes {old: new}; empty when there is no other replica. May be called twice.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """A job and what was decided about it."""

    job: int
    action: Action


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """What became of planned jobs: sent ones, and reasons by job of those that wait for another poll."""

    jobs: tuple[int, ...] = ()
    postponed: Mapping[int, str] = dataclasses.field(default_factory=dict)


def send(campaign: Campaign, system: BatchSystem, slices: Slices, planned: Sequence[Planned]) -> Sent:
    """Send all planned jobs as one batch. Raises OutputError when the ledger cannot be written."""
    postponed = _remove_the_old(campaign, system, planned)
    ready = [each for each in planned if each.job not in postponed]
    for each in ready:
        _reroute(campaign, slices, each)
    tasks = []
    for each in ready:
        number = len(campaign.jobs[each.job].attempts) + 1
        tasks.append(slices.task(each.job, number, each.action.resources))
    if not tasks:
        return Sent((), postponed)
    flags = _prepare_flags(campaign, tasks)
    tag = campaign.begin(tasks)
    try:
        submission = system.submit(tag, tasks)
    except InvalidValue as error:
        campaign.finish(tag, Submission({}, {task.job: str(error) for task in tasks}))
        raise
    except CommandFailed as error:  # its fate is settled at the next poll
        log.warning("%s", error)
        return Sent((), {**postponed, **{task.job: str(error) for task in tasks}})
    campaign.finish(tag, submission)
    for job in submission.ids:
        requeue_flag(campaign.folder, job, flags[job])
    return Sent(tuple(submission.ids), {**postponed, **submission.refused})


def _remove_the_old(campaign: Campaign, system: BatchSystem, planned: Sequence[Planned]) -> dict[int, str]:
    """Remove what the batch system may still have of the planned jobs; return those for which that failed."""
    old: dict[int, Attempt] = {}
    for each in planned:
        last = campaign.jobs[each.job].last
        if last and not last.gone:
            old[each.job] = last
    if not old:
        return {}
    ids = [attempt.id for attempt in old.values()]
    try:
        system.remove(ids, min(attempt.submitted for attempt in old.values()))
    except CommandFailed as error:
        log.warning("%s", error)
        return dict.fromkeys(old, str(error))
    campaign.write([{"kind": "removed", "ids": ids}])
    for attempt in old.values():
        attempt.gone = True
    return {}


def _reroute(campaign: Campaign, slices: Slices, planned: Planned) -> None:
    action = planned.action
    if not (action.bad or action.avoid or action.redirector):
        return
    try:
        changes = slices.reroute(planned.job, action.bad, action.avoid, redirector=action.redirector)
    except PocketCoffeaError as error:
        text = f"job {planned.job} keeps its files, no other replica could be looked up: {error}"
        log.warning("%s", text)
        campaign.write([{"kind": "note", "text": text}])
        return
    if changes:
        campaign.write([{"kind": "rerouted", "job": planned.job, "changes": dict(changes)}])


def _prepare_flags(campaign: Campaign, tasks: Sequence[Task]) -> dict[int, tuple[State, ...]]:
    """Return the flags of ends to be replaced once the jobs are accepted; others become idle at once."""
    flags = {}
    for task in tasks:
        flags[task.job] = end_flags(campaign.folder, task.job)
        if not flags[task.job] and not flag_path(campaign.folder, task.job, State.IDLE).exists():
            set_flag(campaign.folder, task.job, State.IDLE)
    return flags


def _age(campaign: Campaign, job: int, flag: State) -> float:
    return flag_time(campaign.folder, job, flag) or 0.0


def recover(campaign: Campaign, system: BatchSystem) -> list[str]:
    """Settle submissions whose fate is open; return a line about each.

    Raises CommandFailed when the batch system does not answer, ResultsRefused when a submission that was
    begun on another machine may still be under way there.
    """
    lines = []
    for intent in list(campaign.open.values()):
        is_here = intent.host == os.uname().nodename
        if not is_here and time.time() - intent.time < _ELSEWHERE:
            msg = f"a submission ({intent.tag}) was begun on {intent.host} just now. Wait {_ELSEWHERE:.0f} s."
            raise ResultsRefused(msg)
        ids = {job: each for job, each in system.find(intent.tag).items() if job in intent.tasks}
        why = "its submission was interrupted and the batch system does not have it"
        submission = Submission(ids, {job: why for job in intent.tasks if job not in ids})
        campaign.finish(intent.tag, submission)
        for job in ids:
            # flags that are newer were set by the new instances
            old = [
                flag for flag in end_flags(campaign.folder, job) if _age(campaign, job, flag) < intent.time
            ]
            requeue_flag(campaign.folder, job, tuple(old))
        lines.append(f"{intent.tag}: {len(ids)} of {count_of(len(intent.tasks), 'job')} had been accepted")
    return lines
