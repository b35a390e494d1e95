"""What a batch job is, and the states that it and each of its attempts go through."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

__all__ = ["ENDED", "IN_QUEUE", "UNSUCCESSFUL", "Attempt", "Event", "Job", "Resources", "State"]


class State(StrEnum):
    """Where a job, or one attempt of it, is."""

    IDLE = "idle"  # waits in the queue, or was never sent
    RUNNING = "running"
    DONE = "done"  # ended with 0 and delivered
    FAILED = "failed"  # ended with another code, by a signal, or delivered nothing
    TIMEOUT = "timeout"  # stopped at the time limit, by itself or by the batch system
    HELD = "held"  # is in the queue and does not start before somebody releases it
    REMOVED = "removed"  # taken out of the queue by a person or a policy that is not the time limit
    MISSING = "missing"  # the batch system does not know it, and no end was seen


#: States of what the batch system still has.
IN_QUEUE = frozenset({State.IDLE, State.RUNNING, State.HELD})
#: States that no event leads out of.
ENDED = frozenset({State.DONE, State.FAILED, State.TIMEOUT, State.REMOVED, State.MISSING})
#: States about which something has to be decided.
UNSUCCESSFUL = (ENDED - {State.DONE}) | {State.HELD}


@dataclasses.dataclass(frozen=True, slots=True)
class Resources:
    """What an attempt asks of the batch system; 0 or "" leaves it to the batch system."""

    queue: str = ""
    seconds: int = 0  # wall time of that queue
    cpus: int = 1
    memory_mb: int = 0
    disk_mb: int = 0

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Resources:
        """Return the resources that ``dataclasses.asdict`` wrote; keys of later versions are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """What the batch system says of an instance, named by its ``id`` ("37.0", "34_1")."""

    id: str
    state: State
    time: float = 0.0  # seconds since the epoch; 0 when it is not known
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""  # in the batch system's own words
    code: int | None = None  # hold code of HTCondor
    subcode: int | None = None
    host: str = ""
    memory_mb: int | None = None  # what it used


@dataclasses.dataclass(slots=True)
class Attempt:
    """One submission of a job to the batch system."""

    number: int  # from 1
    id: str  # what the batch system calls it
    resources: Resources = dataclasses.field(default_factory=Resources)
    submitted: float = 0.0
    state: State = State.IDLE
    changed: float = 0.0  # time of the last event
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    code: int | None = None
    subcode: int | None = None
    host: str = ""
    memory_mb: int | None = None
    cause: str = ""  # of a failure, as ``decide.Cause`` names it
    unreadable: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)  # addresses by site
    gone: bool = False  # the batch system itself has said that it has ended
    starts: int = 0  # how often it was started; more than once after evictions

    def apply(self, event: Event) -> None:
        """Take over what an event says. What ended stays ended, whatever comes late or twice."""
        if self.state in ENDED:
            return
        if event.state is State.RUNNING and self.state is not State.RUNNING:
            self.starts += 1
        self.state = event.state
        self.gone = event.state in ENDED
        self.changed = event.time
        self.exit_code, self.signal = event.exit_code, event.signal
        self.reason, self.code, self.subcode = event.reason, event.code, event.subcode
        self.host = event.host or self.host
        self.memory_mb = event.memory_mb or self.memory_mb


@dataclasses.dataclass(slots=True)
class Job:
    """One opaque slice of a campaign, with what was tried so far."""

    number: int
    attempts: list[Attempt] = dataclasses.field(default_factory=list)
    given_up: str = ""  # the reason; empty while something can still be tried
    done: bool = False

    @property
    def last(self) -> Attempt | None:
        """The newest attempt; None when the job was never sent."""
        return self.attempts[-1] if self.attempts else None
