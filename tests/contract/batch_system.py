"""What every batch system has to do. Subclasses give a fixture ``farm``; tests/unit runs it on processes of
this machine, tests/lab on HTCondor and Slurm.
"""

from __future__ import annotations

import time

import pytest

from pocket_coffea.batch.states import ENDED, IN_QUEUE, Resources, State
from pocket_coffea.batch.systems import BatchSystem
from pocket_coffea.batch.tasks import Task

SCRIPT = """#!/bin/bash
echo "start $1" >> "{folder}/ran.txt"
echo "arguments:" "$#"
shift
case "$1" in
exit) exit "$2" ;;
sleep) sleep "$2"; echo "end" >> "{folder}/ran.txt" ;;
print) shift; printf '%s\\n' "$@" ;;
esac
"""


class Farm:
    """A batch system with a folder, and what it said so far."""

    patience = 60.0

    def __init__(self, system: BatchSystem, resources: Resources) -> None:
        self.system = system
        self.resources = resources
        self.since = time.time()
        self.ids: list[str] = []
        self.states: dict[str, list[State]] = {}
        self.last: dict[str, object] = {}
        script = system.template.executable
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(SCRIPT.format(folder=system.folder))
        script.chmod(0o755)

    def submit(self, tag, *words, resources=None):
        """Send a task for each tuple of arguments; return ids by job."""
        needs = resources or self.resources
        tasks = [Task(job, 1, (str(job), *each), needs) for job, each in enumerate(words)]
        submission = self.system.submit(tag, tasks)
        assert submission.refused == {}
        assert sorted(submission.ids) == list(range(len(words)))
        self.ids += submission.ids.values()
        return submission.ids

    def observe(self):
        for event in self.system.observe(self.ids, self.since):
            self.states.setdefault(event.id, []).append(event.state)
            self.last[event.id] = event

    def wait(self, ids, states=ENDED):
        """Observe until each of ``ids`` is in one of ``states``; return the last events."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            self.observe()
            if all(each in self.last and self.last[each].state in states for each in ids):
                return [self.last[each] for each in ids]
            time.sleep(0.2)
        pytest.fail(f"{self.system.name}: {[self.last.get(each) for each in ids]} after {self.patience} s")

    def wait_for_starts(self, number):
        """Wait until the jobs themselves say that they run."""
        deadline = time.monotonic() + self.patience
        while len(self.ran()) < number:
            assert time.monotonic() < deadline, self.ran()
            time.sleep(0.1)

    def ran(self):
        path = self.system.folder / "ran.txt"
        return path.read_text().splitlines() if path.exists() else []


class BatchSystemContract:
    """The tests themselves."""

    def test_each_job_ends_with_its_own_code(self, farm):
        ids = farm.submit("jobs_all", ("exit", "0"), ("exit", "3"), ("exit", "77"), ("exit", "0"))
        events = farm.wait(ids.values())
        assert [event.exit_code for event in events] == [0, 3, 77, 0]
        assert [event.state for event in events] == [State.DONE, State.FAILED, State.FAILED, State.DONE]
        assert sorted(farm.ran()) == ["start 0", "start 1", "start 2", "start 3"]
        assert all(event.time > farm.since - 60 for event in events)

    def test_arguments_arrive_as_they_were_given(self, farm):
        words = (
            "two words",
            "it's",
            'say "hi"',
            "a,b",
            "ü",
            "$HOME $(x) `id`",
            "",
            "#",
            "%A",
            "back\\slash",
            "*",
        )
        ids = farm.submit("jobs_all", ("print", *words))
        farm.wait(ids.values(), {State.DONE})
        (log,) = (farm.system.folder / farm.system.template.logs).glob("*.out")
        assert log.read_text().split("\n")[1:-1] == list(words)

    def test_what_runs_is_removed_and_gone_when_remove_returns(self, farm):
        ids = farm.submit("jobs_all", ("sleep", "300"), ("sleep", "300"))
        farm.wait(ids.values(), {State.RUNNING})
        farm.wait_for_starts(2)
        farm.system.remove(list(ids.values()), farm.since, timeout=60)
        events = farm.wait(ids.values())
        assert {event.state for event in events} == {State.REMOVED}
        known = farm.system.query(list(ids.values()), farm.since)
        assert not any(event.state in IN_QUEUE for event in known.values())
        assert "end" not in farm.ran()
        farm.system.remove(list(ids.values()), farm.since)  # once more changes nothing

    def test_what_nobody_knows_is_left_out(self, farm):
        ids = farm.submit("jobs_all", ("exit", "0"))
        farm.wait(ids.values())
        (known,) = ids.values()
        stranger = farm.stranger
        assert set(farm.system.query([known, stranger], farm.since)) == {known}
        farm.system.remove([stranger], farm.since, timeout=5)

    def test_an_accepted_submission_is_found_by_its_tag_and_no_other(self, farm):
        ids = farm.submit("jobs_all", ("sleep", "300"), ("exit", "0"))
        other = farm.submit("resubmit_1", ("exit", "0"))
        assert farm.system.find("jobs_all") == ids
        farm.wait([ids[1], *other.values()])
        assert farm.system.find("jobs_all") == ids
        assert farm.system.find("resubmit_1") == other
        assert farm.system.find("resubmit_2") == {}
        farm.system.remove([ids[0]], farm.since)

    def test_a_new_reader_learns_all_that_happened(self, farm):
        ids = farm.submit("jobs_all", ("exit", "5"))
        farm.wait(ids.values())
        again = type(farm.system)(farm.system.template, farm.system.campaign)
        (last,) = again.observe(list(ids.values()), farm.since)[-1:]
        assert (last.state, last.exit_code) == (State.FAILED, 5)

    def test_a_killed_job_names_its_signal(self, farm):
        ids = farm.submit("jobs_all", ("sleep", "300"))
        farm.wait(ids.values(), {State.RUNNING})
        farm.wait_for_starts(1)
        farm.kill(ids[0])
        (event,) = farm.wait(ids.values())
        assert (event.state, event.signal, event.exit_code) == (State.FAILED, 9, None)
