"""Watches a campaign: observe -> reconcile with the flags -> decide -> act, one poll after the other."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pocket_coffea.batch.act import Planned, Slices, recover, send
from pocket_coffea.batch.campaign import Campaign, ended_record
from pocket_coffea.batch.decide import Cause, Policy
from pocket_coffea.batch.flags import set_flag, start_flag
from pocket_coffea.batch.judge import Judge
from pocket_coffea.batch.states import IN_QUEUE, Attempt, Job, State
from pocket_coffea.batch.systems import BatchSystem
from pocket_coffea.batch.watch import Watch
from pocket_coffea.errors import CommandFailed, NothingToDo, ResultsRefused, UnknownName
from pocket_coffea.utils.wording import count_of

__all__ = ["Monitor", "News", "Poll"]

log = logging.getLogger(__name__)

_REFUSED = (30.0, 600.0)  # seconds after a refusal: after the first, and at most


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """Something that happened, in words for people; ``job`` is None when it concerns the campaign."""

    job: int | None
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Poll:
    """What a poll found and did."""

    states: Mapping[int, State]
    given_up: Mapping[int, str]
    news: tuple[News, ...] = ()
    sent: tuple[int, ...] = ()
    asked: bool = False  # whether the batch system was asked because something did not add up

    @property
    def counts(self) -> Counter[State]:
        """How many jobs are in each state."""
        return Counter(self.states.values())

    @property
    def is_over(self) -> bool:
        """Whether every job is done or given up."""
        return all(state is State.DONE or job in self.given_up for job, state in self.states.items())

    @property
    def exit_code(self) -> int:
        """0: all done, 3: over and some given up, 5: still running."""
        if not self.is_over:
            return 5
        return 3 if self.given_up else 0


class Monitor:
    """One campaign under watch. Who wants it to act holds the campaign's ``lock.Lock``."""

    def __init__(
        self, campaign: Campaign, system: BatchSystem, slices: Slices, policy: Policy, *, acting: bool
    ) -> None:
        self.campaign = campaign
        self.system = system
        self.slices = slices
        self.acting = acting
        self.watch = Watch(campaign, system, slices)
        self.judge = Judge(campaign, slices, policy, self.watch)
        self._not_before: dict[int, float] = {}
        self._news: list[News] = []

    def poll(self, *, ask_all: bool = False) -> Poll:
        """Look once and, when acting, do what is to be done.

        ``ask_all`` asks the batch system about every job that was not seen to end: its files may have lost
        something, as on a disk that was full.
        Raises OutputError when ledger or flags cannot be written, ResultsRefused when it is not safe to act,
        InvalidValue when a job cannot be written into a submit file.
        """
        self._news = []
        asked = self._look(ask_all=ask_all)
        sent: tuple[int, ...] = ()
        if self.acting:
            self._reopen_marked()
            now = time.time()
            planned, dropped = self.judge.due(now, self._tell)
            self._drop(dropped)
            sent = self._send([each for each in planned if now >= self._not_before.get(each.job, 0.0)])
        return self._report(sent, asked=asked)

    def recreate(self, jobs: Iterable[int] | None = None, *, remove_running: bool = False) -> Poll:
        """Send jobs again whatever the policy's limits say: those named, or (None) all that are neither done
        nor in the queue.

        With ``remove_running`` those in the queue are removed first and sent again, too; without it naming
        one is refused (ResultsRefused). Raises UnknownName for what is no job, NothingToDo when none is left.
        """
        self._news = []
        asked = self._look(ask_all=True)
        self._reopen_marked()
        chosen = self._chosen(None if jobs is None else list(jobs), remove_running=remove_running)
        planned = [Planned(job.number, self.judge.again(job)) for job in chosen]
        ended = [ended_record(job.number, _cut_off(job)) for job in chosen if job.last and not job.last.cause]
        reopened = [{"kind": "reopened", "job": job.number, "reason": "recreated"} for job in chosen]
        self.campaign.write([*ended, *reopened])
        return self._report(self._send(planned), asked=asked)

    def _chosen(self, jobs: list[int] | None, *, remove_running: bool) -> list[Job]:
        known = self.campaign.jobs
        if unknown := [job for job in jobs or [] if job not in known]:
            msg = (
                f"jobs {_listed(unknown)} are not in {self.campaign.folder}, which has 0 to {len(known) - 1}."
            )
            raise UnknownName(msg)
        states = self.watch.all_states()
        active = {job for job, last in self._active(states)}
        if jobs is not None:
            wanted = list(dict.fromkeys(jobs))
        else:
            left = [job for job, state in states.items() if state is not State.DONE]
            wanted = [job for job in left if remove_running or job not in active]
        in_queue = [job for job in wanted if job in active]
        if in_queue and not remove_running:
            msg = (
                f"jobs {_listed(in_queue)} are in the queue or run; sent again they would write the same "
                "output twice. Add --remove-running to remove them first."
            )
            raise ResultsRefused(msg)
        if not wanted:
            msg = (
                f"no job of {self.campaign.folder} is to be sent again: the others are done or in the queue."
            )
            raise NothingToDo(msg)
        return [known[job] for job in wanted]

    def _active(self, states: Mapping[int, State]) -> Iterable[tuple[int, Attempt]]:
        """Yield jobs that the batch system may still start or run."""
        sending = self.campaign.sending
        for job in self.campaign.jobs.values():
            last = job.last
            if job.number in sending or (last and not last.cause and states[job.number] in IN_QUEUE):
                yield job.number, last or Attempt(1, "")

    # observe

    def _look(self, *, ask_all: bool = False) -> bool:
        if self.acting:
            self._settle()
        else:
            self.campaign.refresh()
        ended, asked = self.watch.look(lambda text: self._tell(None, text), ask_all=ask_all)
        for job, attempt in ended:
            if attempt.state is not State.DONE:
                self._tell(job.number, _told(attempt))
        if self.acting:
            self.campaign.write([ended_record(job.number, attempt) for job, attempt in ended])
            self._write_flags([job for job, _ in ended])
        return asked

    def _reopen_marked(self) -> None:
        """Send again what was done and is marked as failed: its output is missing, or damaged."""
        reason = "it was done, and is marked as failed since"
        marked = self.watch.marked()
        self.campaign.write([{"kind": "reopened", "job": job, "reason": reason} for job in marked])
        for job in marked:
            self._tell(job, reason)

    def _settle(self) -> None:
        """Find out what became of submissions that were interrupted."""
        if not self.campaign.open:
            return
        try:
            for line in recover(self.campaign, self.system):
                self._tell(None, line)
        except CommandFailed as error:
            self._tell(None, f"an interrupted submission is not settled yet: {error}")

    def _write_flags(self, ended: Sequence[Job]) -> None:
        """Make the flags say what was found, for people and for old tools."""
        folder = self.campaign.folder
        for job in ended:
            state = self.watch.states[job.number]
            set_flag(folder, job.number, state if state in (State.DONE, State.TIMEOUT) else State.FAILED)
        now, patience = time.time(), self.watch.limits.files
        for job, attempt in self.watch.living:
            flag = self.watch.flags.get(job.number)
            is_late = attempt.state is State.RUNNING and now - attempt.changed > patience
            if is_late and flag and flag.state is State.IDLE:  # a job that does not reach the folder
                start_flag(folder, job.number)

    # act

    def _send(self, planned: Sequence[Planned]) -> tuple[int, ...]:
        if not planned:
            return ()
        result = send(self.campaign, self.system, self.slices, planned)
        now = time.time()
        for job in result.postponed:
            times = self.campaign.refusals.get(job, 1)
            self._not_before[job] = now + min(_REFUSED[0] * 2 ** (times - 1), _REFUSED[1])
        for reason, number in Counter(result.postponed.values()).items():
            self._tell(
                None,
                f"{count_of(number, 'job was not sent and waits', 'jobs were not sent and wait')}: {reason}",
            )
        return result.jobs

    def _drop(self, dropped: Sequence[Job]) -> None:
        """Take out of the queue what is left of jobs that are given up."""
        left = [job.last for job in dropped if job.last and not job.last.gone]
        if not left:
            return
        try:
            self.system.remove([each.id for each in left], min(each.submitted for each in left))
            self.campaign.write([{"kind": "removed", "ids": [each.id for each in left]}])
        except CommandFailed as error:
            self._tell(None, str(error))

    # report

    def _tell(self, job: int | None, text: str) -> None:
        self._news.append(News(job, text))
        log.info("%s%s", "" if job is None else f"job {job}: ", text)

    def _report(self, sent: Sequence[int], *, asked: bool) -> Poll:
        given_up = {number: job.given_up for number, job in self.campaign.jobs.items() if job.given_up}
        return Poll(self.watch.all_states(), given_up, tuple(self._news), tuple(sent), asked)


def _told(attempt: Attempt) -> str:
    return f"{attempt.cause}: {attempt.reason}" if attempt.reason else attempt.cause


def _cut_off(job: Job) -> Attempt:
    """Return the last attempt of a job as ended by its removal."""
    last = job.last
    if last is None:
        msg = f"job {job.number} was never sent."
        raise UnknownName(msg)
    return dataclasses.replace(
        last, state=State.REMOVED, cause=Cause.RECREATED.value, reason="removed to be sent again"
    )


def _listed(jobs: Sequence[int]) -> str:
    return ", ".join(map(str, jobs[:20])) + (f" and {len(jobs) - 20} more" if len(jobs) > 20 else "")
