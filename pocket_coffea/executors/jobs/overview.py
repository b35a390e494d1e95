"""What a look at a campaign shows, as plain data: for the screen, for lines without a terminal, for JSON."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.monitor import News, Poll
from pocket_coffea.batch.states import IN_QUEUE, Attempt, State
from pocket_coffea.executors.jobs.record import CampaignRecord

__all__ = ["JobRow", "Overview", "Rows", "forecast", "overview"]


@dataclasses.dataclass(frozen=True, slots=True)
class JobRow:
    """One job. events is 0 where the metadata does not tell; attempts that were sent."""

    number: int
    state: str
    samples: tuple[str, ...]
    datasets: tuple[str, ...]
    events: int
    attempts: int
    queue: str = ""
    memory_mb: int = 0
    host: str = ""
    reason: str = ""  # of the last end that was not a success; also of a hold
    given_up: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Overview:
    """A campaign at one moment. time in s since the epoch; seconds_left: a forecast, None without one."""

    folder: Path
    name: str
    executor: str
    time: float
    jobs: tuple[JobRow, ...]
    news: tuple[News, ...]
    sent: tuple[int, ...]
    blacklisted: tuple[str, ...]
    seconds_left: float | None
    is_over: bool  # for who acts: every job is done or given up
    elsewhere: str = ""  # who else acts on the campaign

    @property
    def counts(self) -> Counter[str]:
        """How many jobs are in each state."""
        return Counter(row.state for row in self.jobs)

    @property
    def given_up(self) -> Mapping[int, str]:
        """Reasons by job of those that nobody tries any more."""
        return {row.number: row.given_up for row in self.jobs if row.given_up}

    @property
    def unfinished(self) -> list[JobRow]:
        """Jobs that are neither done nor in the queue."""
        return [row for row in self.jobs if row.state != State.DONE and row.state not in IN_QUEUE]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is left in the queue and nobody sends anything again."""
        waits = any(row.state in IN_QUEUE for row in self.jobs if not row.given_up)
        return not waits and not self.elsewhere

    def exit_code(self, *, acting: bool) -> int:
        """Return 0: all done, 3: over and some jobs did not end well, 5: still running."""
        if not (self.is_over if acting else self.is_over or self.is_quiet):
            return 5
        return 0 if self.counts[State.DONE] == len(self.jobs) else 3

    def groups(self, by: str) -> dict[str, list[JobRow]]:
        """Return the jobs by "sample" or "dataset"; one that has several is in each of them."""
        found: dict[str, list[JobRow]] = {}
        for row in self.jobs:
            for name in row.samples if by == "sample" else row.datasets:
                found.setdefault(name, []).append(row)
        return found

    def as_mapping(self, *, acting: bool) -> dict[str, Any]:
        """Return plain data for programs."""
        return {
            "folder": str(self.folder),
            "name": self.name,
            "executor": self.executor,
            "time": round(self.time, 3),
            "total": len(self.jobs),
            "counts": {state.value: self.counts[state] for state in State},
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left),
            "sent": list(self.sent),
            "blacklisted_sites": list(self.blacklisted),
            "watched_by": self.elsewhere,
            "news": [{"job": each.job, "text": each.text} for each in self.news],
            "jobs": [dataclasses.asdict(row) for row in self.jobs],
            "exit_code": self.exit_code(acting=acting),
        }


class Rows:
    """The rows of a campaign, kept from look to look: most jobs have not changed since the last one."""

    def __init__(self, record: CampaignRecord) -> None:
        self._reads = [
            (
                tuple(dict.fromkeys(each.sample for each in job.datasets)),
                tuple(dict.fromkeys(each.dataset for each in job.datasets)),
                job.events,
            )
            for job in record.jobs
        ]
        self._known: list[tuple[object, JobRow] | None] = [None] * len(record.jobs)

    def at(self, campaign: Campaign, poll: Poll) -> tuple[JobRow, ...]:
        """Return a row for each job, as a poll found it."""
        return tuple(self._row(number, campaign, poll) for number in range(len(self._reads)))

    def _row(self, number: int, campaign: Campaign, poll: Poll) -> JobRow:
        attempts, state = campaign.jobs[number].attempts, poll.states[number]
        last = attempts[-1] if attempts else None
        given_up = poll.given_up.get(number, "")
        # all of a row that may change; attempts before the last one do not
        changing = last and (last.state, last.cause, last.reason, last.host)
        key = (state, len(attempts), changing, given_up)
        known = self._known[number]
        if known and known[0] == key:
            return known[1]
        row = JobRow(
            number,
            state.value,
            *self._reads[number],
            len(attempts),
            last.resources.queue if last else "",
            last.resources.memory_mb if last else 0,
            last.host if last else "",
            "" if state is State.DONE else _reason(attempts),
            given_up,
        )
        self._known[number] = key, row
        return row


def overview(
    record: CampaignRecord, campaign: Campaign, poll: Poll, rows: Rows, *, elsewhere: str = ""
) -> Overview:
    """Return what a poll of a campaign shows; ``rows`` are kept by the caller."""
    now, jobs = time.time(), rows.at(campaign, poll)
    return Overview(
        folder=record.folder,
        name=record.name,
        executor=record.executor,
        time=now,
        jobs=jobs,
        news=poll.news,
        sent=poll.sent,
        blacklisted=tuple(sorted(campaign.blacklisted)),
        seconds_left=forecast(jobs, campaign, now),
        is_over=poll.is_over,
        elsewhere=elsewhere,
    )


def _reason(attempts: Sequence[Attempt]) -> str:
    """Return what went wrong last."""
    for attempt in reversed(attempts):
        bad = attempt.cause and attempt.state is not State.DONE
        if bad or attempt.state is State.HELD:
            said = f"{attempt.cause}: {attempt.reason}" if attempt.reason else attempt.cause
            return said.removeprefix(": ")
    return ""


def forecast(rows: tuple[JobRow, ...], campaign: Campaign, now: float) -> float | None:
    """Return how long the jobs that may still end well will take [s], at the pace so far, by their events.

    None while too little is done for a forecast (fewer than 5 jobs, and less than a tenth of them).
    """
    done = [row.number for row in rows if row.state == State.DONE]
    left = [row for row in rows if row.state != State.DONE and not row.given_up]
    if not left:
        return 0.0
    if (len(done) < 5 and len(done) * 10 < len(rows)) or not done:
        return None
    weight = {row.number: max(row.events, 1) for row in rows}
    first = min(job.attempts[0].submitted for job in campaign.jobs.values() if job.attempts)
    newest = max(campaign.jobs[number].attempts[-1].changed for number in done)
    elapsed = max(newest - first, 1.0)
    pace = sum(weight[number] for number in done) / elapsed
    return max(sum(weight[row.number] for row in left) / pace - (now - newest), 0.0)
