"""Turns what happened to a campaign's jobs into what ``decide`` needs, and keeps its decisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from pocket_coffea.batch.act import Planned, Slices
from pocket_coffea.batch.campaign import Campaign, ended_record
from pocket_coffea.batch.decide import (
    Action,
    Cause,
    Failure,
    History,
    Kind,
    Policy,
    as_wanted,
    decide,
    longer,
)
from pocket_coffea.batch.states import Attempt, Job, State
from pocket_coffea.batch.watch import Watch

__all__ = ["Judge"]

Tell = Callable[[int, str], None]


class Judge:
    """Decides about jobs that failed, are held, or were never sent."""

    def __init__(self, campaign: Campaign, slices: Slices, policy: Policy, watch: Watch) -> None:
        self.campaign = campaign
        self.slices = slices
        self.policy = policy
        self.watch = watch
        self._decided: dict[tuple[int, int], Action] = {}
        self._left: set[tuple[int, int]] = set()

    def due(self, now: float, tell: Tell) -> tuple[list[Planned], list[Job]]:
        """Return what is to be sent now, and the jobs that are given up, as the ledger knows then.

        Raises OutputError when the ledger cannot be written.
        """
        planned: list[Planned] = []
        dropped: list[Job] = []
        sending = self.campaign.sending
        for job in list(self.campaign.jobs.values()):
            if job.done or job.given_up or job.number in sending:
                continue
            action = self._decision(job, tell)
            if action is None or action.kind is Kind.LEAVE:
                continue
            if action.kind is Kind.GIVE_UP:
                dropped.append(job)
            elif now >= (job.last.changed if job.last else 0.0) + action.wait:
                planned.append(Planned(job.number, action))
        self.campaign.write([self._given_up(job) for job in dropped])
        return planned, dropped

    def _given_up(self, job: Job) -> dict[str, Any]:
        reason = self._decided[job.number, len(job.attempts)].reason
        return {"kind": "given-up", "job": job.number, "reason": reason}

    def _decision(self, job: Job, tell: Tell) -> Action | None:
        last = job.last
        if last is None:
            return Action(Kind.RETRY, "first submission", self.slices.resources(job.number))
        key = (job.number, len(job.attempts))
        if key in self._decided:
            return self._decided[key]
        if last.state is State.HELD and not last.cause:
            return self._held(job, last, tell)
        return self._decide(job, last, tell) if last.cause else None

    def _decide(self, job: Job, last: Attempt, tell: Tell) -> Action:
        action = decide(failure_of(last), self.history(job), self.policy)
        records: list[dict[str, Any]] = [
            {
                "kind": "decided",
                "job": job.number,
                "attempt": last.number,
                "action": action.kind.value,
                "reason": action.reason,
                "resources": dataclasses.asdict(action.resources),
            }
        ]
        if action.blacklist:
            records.append({"kind": "blacklisted", "sites": sorted(action.blacklist)})
        self.campaign.write(records)
        self._decided[job.number, len(job.attempts)] = action
        tell(job.number, f"{action.kind.value}: {action.reason}")
        return action

    def _held(self, job: Job, last: Attempt, tell: Tell) -> Action:
        """Decide about a held job; unless it is left alone its attempt ends here."""
        self.watch.explain(job, last)
        action = decide(failure_of(last), self.history(job), self.policy)
        if action.kind is not Kind.LEAVE:
            self.campaign.write([ended_record(job.number, last)])
            return self._decide(job, last, tell)
        last.cause = ""  # it goes on when it is released
        if (job.number, last.number) not in self._left:
            self._left.add((job.number, last.number))
            tell(job.number, action.reason)
        return action

    def history(self, job: Job) -> History:
        """Return what happened to a job and to the sites of its campaign."""
        failures = {site: len(files) for site, files in self.campaign.bad_files.items()}
        first = job.attempts[0].resources if job.attempts else self.slices.resources(job.number)
        fitting = self.policy.fitting.get(job.number, "")
        return History(job.attempts, failures, frozenset(self.campaign.blacklisted), first, fitting)

    def again(self, job: Job) -> Action:
        """Return how a job is sent again because a person wants it, whatever the limits of the policy say."""
        policy = dataclasses.replace(self.policy, max_resubmit=10**9)
        last = job.last
        if last is None:
            return Action(Kind.RETRY, "recreated", self.slices.resources(job.number))
        if last.cause:
            action = decide(failure_of(last), self.history(job), policy)
            if action.kind is Kind.RETRY:
                return dataclasses.replace(action, wait=0.0)
        is_running = last.state is State.RUNNING
        resources = longer(last.resources, policy) if is_running and not policy.queue else last.resources
        plain = Action(Kind.RETRY, "recreated", resources)
        return as_wanted(plain, self.history(job), policy)


def failure_of(attempt: Attempt) -> Failure:
    """Return the failure that an explained attempt is."""
    files = tuple(address for addresses in attempt.unreadable.values() for address in addresses)
    return Failure(
        Cause(attempt.cause) if attempt.cause in set(Cause) else Cause.RECREATED,
        attempt.reason,
        files,
        frozenset(attempt.unreadable) - {""},
    )
