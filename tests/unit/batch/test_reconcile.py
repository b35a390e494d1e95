"""What the batch system and a flag say together."""

from __future__ import annotations

import pytest

from pocket_coffea.batch.reconcile import Limits, Seen, reconcile
from pocket_coffea.batch.states import Attempt, State

NOW = 100_000.0


def seen(flag: State, since: float, **attempt: object) -> Seen:
    """Return an attempt that was sent an hour ago, and a flag of that age [s]."""
    known = {"submitted": NOW - 3600, "changed": NOW - 1800, **attempt}
    return Seen(Attempt(1, "7.0", **known), flag, lambda: NOW - since, lambda: False, NOW)


@pytest.mark.parametrize(
    ("starts", "flag", "since", "state", "is_doubted"),
    [
        (1, State.FAILED, 1801, State.IDLE, False),  # HTCondor has put it back into the queue
        (1, State.TIMEOUT, 1801, State.IDLE, False),
        (1, State.FAILED, 600, State.RUNNING, True),  # it has failed since, and its log does not say it
        (0, State.FAILED, 1801, State.RUNNING, True),  # its log does not even say that it has started
        (1, State.DONE, 1801, State.RUNNING, True),
    ],
)
def test_a_failed_start_that_waits_again_is_idle(starts, flag, since, state, is_doubted):
    verdict = reconcile(seen(flag, since, starts=starts), Limits())
    assert verdict.state is state
    assert bool(verdict.doubt) is is_doubted
