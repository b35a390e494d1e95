"""Observes a campaign and reconciles what the batch system says with the flags: half of a poll, read only.

Files are read. The batch system is asked when something does not add up, or when it has no files that tell
(Slurm).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence

from pocket_coffea.batch.act import Slices
from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.decide import Cause, cause_of
from pocket_coffea.batch.flags import Flag, flag_time, read_flags
from pocket_coffea.batch.reconcile import Limits, Seen, Verdict, reconcile
from pocket_coffea.batch.states import ENDED, IN_QUEUE, Attempt, Job, State
from pocket_coffea.batch.systems import BatchSystem
from pocket_coffea.errors import CommandFailed

__all__ = ["DONE_CAUSE", "Watch"]

#: In the place of a cause, for attempts that succeeded
DONE_CAUSE = "done"
_MISSING_AFTER = 120.0  # seconds after a submission; an accounting database is not faster
_DOUBT_EVERY = 60.0  # seconds between two questions about the same job

Pair = tuple[Job, Attempt]


class Watch:
    """The states of all jobs, brought up to date by ``look``."""

    def __init__(self, campaign: Campaign, system: BatchSystem, slices: Slices) -> None:
        self.campaign = campaign
        self.system = system
        self.slices = slices
        self.limits = Limits()
        self.slow_step = 20.0  # seconds between two looks at a batch system without files
        self.states: dict[int, State] = {}  # of jobs with an attempt
        self.flags: dict[int, Flag] = {}
        self.living: list[Pair] = []
        self._looked = 0.0
        self._asked: dict[str, float] = {}

    def look(self, tell: Callable[[str], None], *, ask_all: bool = False) -> tuple[list[Pair], bool]:
        """Return what has ended since the last look, with its cause, and whether the batch system was asked.

        ``tell`` gets a line when it does not answer; ``ask_all`` asks about all that was not seen to end.
        """
        now = time.time()
        self.living = list(self.campaign.living())
        self._observe(tell, now)
        self.flags = read_flags(self.campaign.folder)
        doubted: list[tuple[Job, Attempt, str]] = []
        ended: list[Pair] = []
        for job, attempt in self.living:
            verdict = self._verdict(job, attempt, now)
            self.states[job.number] = verdict.state
            if verdict.state in ENDED:
                self._end(job, attempt, verdict)
                ended.append((job, attempt))
            elif ask_all or (verdict.doubt and self._may_ask(attempt, now)):
                doubted.append((job, attempt, verdict.doubt or "it was not seen to end"))
        ended += self._ask(doubted, tell, now)
        return ended, bool(doubted)

    def _observe(self, tell: Callable[[str], None], now: float) -> None:
        if not self.living or (not self.system.is_cheap and now - self._looked < self.slow_step):
            return
        self._looked = now
        attempts = {attempt.id: attempt for _, attempt in self.living}
        try:
            events = self.system.observe(list(attempts), min(each.submitted for each in attempts.values()))
        except CommandFailed as error:
            tell(f"{self.system.name} does not answer: {error}")
            return
        for event in events:
            if event.id in attempts:
                attempts[event.id].apply(event)

    def _verdict(self, job: Job, attempt: Attempt, now: float) -> Verdict:
        flag = self.flags.get(job.number)
        is_quiet = now - (attempt.changed or attempt.submitted) > self.limits.silence
        is_waiting = attempt.state is State.IDLE and attempt.changed > 0
        if (
            flag
            and flag.state is attempt.state
            and attempt.state in IN_QUEUE
            and (is_waiting or not is_quiet)
        ):
            return Verdict(attempt.state)  # the common case, without a closer look
        folder, number = self.campaign.folder, job.number
        seen = Seen(
            attempt,
            flag.state if flag else None,
            lambda: (flag.time or flag_time(folder, number, flag.state)) if flag else None,
            functools.partial(self.slices.delivered, number),
            now,
        )
        return reconcile(seen, self.limits)

    def _may_ask(self, attempt: Attempt, now: float) -> bool:
        if now - self._asked.get(attempt.id, 0.0) < _DOUBT_EVERY:
            return False
        self._asked[attempt.id] = now
        return True

    def _ask(
        self, doubted: Sequence[tuple[Job, Attempt, str]], tell: Callable[[str], None], now: float
    ) -> list[Pair]:
        """Ask the batch system about what does not add up; return what turns out to have ended."""
        if not doubted:
            return []
        ids = [attempt.id for _, attempt, _ in doubted]
        try:
            known = self.system.query(ids, min(attempt.submitted for _, attempt, _ in doubted))
        except CommandFailed as error:
            tell(f"{self.system.name} does not answer: {error}")
            return []
        ended = []
        for job, attempt, doubt in doubted:
            event = known.get(attempt.id)
            if event:
                attempt.apply(event)
            elif now - attempt.submitted > _MISSING_AFTER:
                self._lose(job, attempt, doubt)
            verdict = self._verdict(job, attempt, now)
            self.states[job.number] = verdict.state
            if verdict.state in ENDED:
                self._end(job, attempt, verdict)
                ended.append((job, attempt))
        return ended

    def _lose(self, job: Job, attempt: Attempt, doubt: str) -> None:
        """Take a job out of the queue that the batch system does not know; what it said itself counts."""
        flag = self.flags.get(job.number)
        attempt.gone, attempt.reason = True, f"{self.system.name} does not know it ({doubt})"
        attempt.state = State.MISSING
        if flag and flag.state in (State.FAILED, State.TIMEOUT):
            attempt.state, attempt.reason = flag.state, f"its flag says {flag.state.value}"

    def _end(self, job: Job, attempt: Attempt, verdict: Verdict) -> None:
        """Fill in state, cause and reason of an attempt that has ended."""
        attempt.state = verdict.state
        attempt.reason = verdict.reason or attempt.reason
        if attempt.state is State.DONE:
            attempt.cause = DONE_CAUSE
        else:
            self.explain(job, attempt)

    def explain(self, job: Job, attempt: Attempt) -> None:
        """Fill in the cause of a failure, and what the job's own logs say of it."""
        cause = cause_of(attempt)
        why, addresses = self.slices.explain(job.number, attempt)
        if addresses and cause in (Cause.OTHER_CODE, Cause.PROCESSING):
            cause = Cause.INPUT  # wrappers that know one exit code only
        attempt.cause = cause.value
        if why and attempt.state is State.FAILED:
            attempt.reason = why
        by_site: dict[str, list[str]] = {}
        for address in addresses:
            by_site.setdefault(self.slices.site(address), []).append(address)
        attempt.unreadable = by_site

    def marked(self) -> list[int]:
        """Return jobs that are done, and that a person or a merge has given the flag ``failed`` since."""
        return [number for number, job in self.campaign.jobs.items() if job.done and self._is_marked(job)]

    def _is_marked(self, job: Job) -> bool:
        flag = self.flags.get(job.number)
        if flag is None or flag.state is not State.FAILED or job.last is None:
            return False
        since = flag.time or flag_time(self.campaign.folder, job.number, flag.state)
        return since is not None and since > job.last.changed

    def all_states(self) -> Mapping[int, State]:
        """Return the state of every job of the campaign."""
        sending = self.campaign.sending
        found = {}
        for number, job in self.campaign.jobs.items():
            if job.done:
                found[number] = State.FAILED if self._is_marked(job) else State.DONE
            elif job.last is None or number in sending:
                found[number] = State.IDLE
            elif job.last.cause:
                found[number] = job.last.state
            else:
                found[number] = self.states.get(number, job.last.state)
        return found
