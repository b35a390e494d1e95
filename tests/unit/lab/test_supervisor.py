"""The order in which services start, and what their status tells."""

from __future__ import annotations

import threading
import time

import pytest

from ci.lab.errors import LabError
from ci.lab.inside.service import Service
from ci.lab.inside.supervisor import Supervisor, with_needs


class Recorder(Service):
    """A service without daemons that notes what it is asked to do."""

    def __init__(
        self, name: str, said: list[str], needs: tuple[str, ...] = (), settle_needs: tuple[str, ...] = ()
    ) -> None:
        self.name, self.said, self.needs, self.settle_needs = name, said, needs, settle_needs
        self.may_start = threading.Event()

    def prepare(self) -> None:
        self.said.append(f"{self.name} prepares")
        self.may_start.wait(10)

    def check(self) -> str:
        return "well"

    def settle(self) -> None:
        self.said.append(f"{self.name} settles")


class Broken(Recorder):
    def prepare(self) -> None:
        msg = "no space"
        raise LabError(msg)


def states_when_settled(supervisor: Supervisor) -> dict[str, tuple[str, str]]:
    deadline = time.monotonic() + 10
    while True:
        rows = supervisor.status()["services"]
        if all(row["state"] in ("healthy", "failed") for row in rows):
            return {row["name"]: (row["state"], row["note"]) for row in rows}
        assert time.monotonic() < deadline, rows
        time.sleep(0.01)


def test_what_only_settle_needs_does_not_delay_the_start():
    said: list[str] = []
    slow, quick = Recorder("slow", said), Recorder("quick", said, settle_needs=("slow",))
    quick.may_start.set()
    supervisor = Supervisor({"slow": slow, "quick": quick})
    supervisor.bring_up()
    while not {"slow prepares", "quick prepares"} <= set(said):
        time.sleep(0.01)
    time.sleep(0.1)
    assert "quick settles" not in said
    slow.may_start.set()
    assert set(states_when_settled(supervisor).values()) == {("healthy", "well")}
    assert said[-2:] == ["slow settles", "quick settles"]


@pytest.mark.parametrize("kind", ["needs", "settle_needs"])
def test_a_service_fails_with_the_one_that_it_needs(kind):
    said: list[str] = []
    user = Recorder("user", said, **{kind: ("broken",)})
    user.may_start.set()
    supervisor = Supervisor({"user": user, "broken": Broken("broken", said)})
    supervisor.bring_up()
    states = states_when_settled(supervisor)
    assert states == {"broken": ("failed", "no space"), "user": ("failed", "needs broken, which failed")}
    assert "user settles" not in said


def test_a_service_is_chosen_with_all_that_it_needs():
    said: list[str] = []
    services = {
        "a": Recorder("a", said, needs=("b",)),
        "b": Recorder("b", said, settle_needs=("c",)),
        "c": Recorder("c", said),
        "d": Recorder("d", said),
    }
    assert list(with_needs(["a"], services)) == ["a", "b", "c"]
    assert list(with_needs([], services)) == list(services)
    with pytest.raises(LabError, match="unknown service 'e'; there are: a, b, c, d"):
        with_needs(["e"], services)


def test_a_defect_of_a_check_is_shown_and_not_lost_in_a_thread():
    service = Recorder("odd", [])
    service.may_start.set()
    supervisor = Supervisor({"odd": service})
    supervisor.bring_up()
    states_when_settled(supervisor)
    service.check = lambda: {}["absent"]
    (row,) = supervisor.status(now=True)["services"]
    assert (row["state"], row["note"]) == ("failed", "defect of the lab: KeyError('absent')")
