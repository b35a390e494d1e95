"""What the batch system and the flag files say together: one pure function, ``reconcile``.

The batch system knows whether a job runs or has ended; the job itself knows whether it has delivered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from pocket_coffea.batch.states import ENDED, Attempt, State

__all__ = ["Limits", "Seen", "Verdict", "reconcile"]

_TIMEOUT_CODE = 75
_BAD_END_FLAGS = frozenset({State.FAILED, State.TIMEOUT})
_END_FLAGS = _BAD_END_FLAGS | {State.DONE}
_CLOCKS = 60.0  # seconds by which clocks may differ


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Patience, in seconds."""

    files: float = 60.0  # until a file that a job wrote is seen on the submit side
    log: float = 120.0  # until the batch system reports what a flag says already
    silence: float = 600.0  # without any event after a submission
    overtime: float = 1800.0  # running beyond the wall time of its queue


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of an attempt at a poll; the callables are asked only when needed."""

    attempt: Attempt
    flag: State | None
    flag_time: Callable[[], float | None]
    delivered: Callable[[], bool]
    now: float


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The state of an attempt; ``doubt`` says what does not add up, so that the batch system is asked."""

    state: State
    doubt: str = ""
    reason: str = ""


def reconcile(seen: Seen, limits: Limits) -> Verdict:
    """Return the state that both sources give together."""
    attempt = seen.attempt
    if attempt.state is State.DONE:
        return _ended_with_0(seen, limits)
    if attempt.state in ENDED:
        return _ended_badly(seen)
    if attempt.state is State.HELD:
        return Verdict(State.HELD)
    return _in_queue(seen, limits)


def _is_fresh(seen: Seen) -> bool:
    """Return whether the flag was set by this attempt."""
    since = seen.flag_time()
    return since is not None and since > seen.attempt.submitted - _CLOCKS


def _was_started_again(seen: Seen) -> bool:
    """Return whether the flag is that of a start which failed, and the batch system has put the job back."""
    attempt = seen.attempt
    if attempt.state is not State.IDLE or not attempt.starts or seen.flag not in _BAD_END_FLAGS:
        return False
    since = seen.flag_time()
    return since is not None and since < attempt.changed + _CLOCKS


def _ended_with_0(seen: Seen, limits: Limits) -> Verdict:
    if seen.flag is State.DONE or (seen.flag not in _END_FLAGS and seen.delivered()):
        return Verdict(State.DONE)
    if seen.flag in (State.FAILED, State.TIMEOUT) and _is_fresh(seen):
        return Verdict(seen.flag, reason=f"it ended with 0 and set the flag {seen.flag.value}")
    if seen.delivered():
        return Verdict(State.DONE)
    if seen.now - seen.attempt.changed < limits.files:
        return Verdict(State.RUNNING)
    return Verdict(State.FAILED, reason="it ended with 0 and delivered nothing")


def _ended_badly(seen: Seen) -> Verdict:
    if seen.flag is State.DONE and _is_fresh(seen) and seen.delivered():
        return Verdict(State.DONE)
    if seen.attempt.exit_code == _TIMEOUT_CODE:
        return Verdict(State.TIMEOUT)
    if seen.flag is State.TIMEOUT and seen.attempt.state is State.FAILED and _is_fresh(seen):
        return Verdict(State.TIMEOUT)
    return Verdict(seen.attempt.state)


def _in_queue(seen: Seen, limits: Limits) -> Verdict:
    attempt, now = seen.attempt, seen.now
    if _was_started_again(seen):
        return Verdict(State.IDLE)
    if seen.flag in _END_FLAGS and _is_fresh(seen):
        since = seen.flag_time() or now
        late = now - since > limits.log
        return Verdict(State.RUNNING, f"its flag says {seen.flag.value}, its log does not" if late else "")
    state = State.RUNNING if State.RUNNING in (attempt.state, seen.flag) else State.IDLE
    if not attempt.changed and now - attempt.submitted > limits.silence:
        return Verdict(state, "no event since its submission")
    limit = attempt.resources.seconds
    if attempt.state is State.RUNNING and limit and now - attempt.changed > limit + limits.overtime:
        return Verdict(state, "it runs longer than its queue allows")
    return Verdict(state)
