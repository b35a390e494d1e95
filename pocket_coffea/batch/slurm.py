"""Slurm: job arrays, one for each set of resources; accounting and controller say what happens."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pocket_coffea.batch.slurm_accounting import accounting
from pocket_coffea.batch.states import Event, Resources, State
from pocket_coffea.batch.submit_file import sbatch_text
from pocket_coffea.batch.systems import BatchSystem, Submission, known_only, wait_until_settled
from pocket_coffea.batch.tasks import Task
from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.process import run_command

__all__ = ["Slurm"]

_TIMEOUT = 120.0
_AT_ONCE = 500  # ids on one command line
_JOB = re.compile(r"^\d+")


class Slurm(BatchSystem):
    """Jobs of this user in the cluster that ``sbatch`` talks to."""

    name = "Slurm"
    is_cheap = False  # each look is a question to the accounting database

    def submit(self, tag: str, tasks: Sequence[Task]) -> Submission:
        """Send the tasks as arrays of equal resources; the scripts are ``TAG_<k>.slurm``."""
        groups = list(_groups(tasks, self.template.max_array))
        texts = [sbatch_text(self.template, group, self._mark(tag, k)) for k, group in enumerate(groups)]
        for k, text in enumerate(texts):
            write_whole(self._script(tag, k), text)
        (self.folder / self.template.logs).mkdir(parents=True, exist_ok=True)
        submission = Submission({}, {})
        for k, group in enumerate(groups):
            self._send(tag, k, group, submission)
        return submission

    def _send(self, tag: str, k: int, group: Sequence[Task], submission: Submission) -> None:
        try:
            said = run_command(["sbatch", "--parsable", str(self._script(tag, k))], timeout=_TIMEOUT).stdout
            found = _JOB.match(said.strip())
            if not found:
                msg = f"sbatch answered {said.strip()[:200]!r} instead of the number of a job."
                raise CommandFailed(msg)
            number: str | None = found[0]
        except CommandFailed as error:
            number = self._number(tag, k)  # an answer may be lost on its way
            if number is None:
                submission.refused.update({task.job: str(error) for task in group})
                return
        submission.ids.update({task.job: f"{number}_{index}" for index, task in enumerate(group)})

    def _mark(self, tag: str, k: int) -> str:
        return f"{self.campaign}-{tag}-{k}"

    def _script(self, tag: str, k: int) -> Any:
        return self.folder / f"{tag}_{k}.slurm"

    def find(self, tag: str) -> dict[int, str]:
        """Return what the controller has of a submission, by the names of its arrays and its scripts."""
        ids: dict[int, str] = {}
        for k in itertools.count():
            script = self._script(tag, k)
            if not script.exists():
                return ids
            wait_until_settled(str(script))
            number = self._number(tag, k)
            if number is not None:
                jobs = re.findall(
                    r"^(\d+)\) export POCKET_COFFEA_JOB=(\d+) ", script.read_text(), re.MULTILINE
                )
                ids.update({int(job): f"{number}_{index}" for index, job in jobs})
        raise AssertionError

    def _number(self, tag: str, k: int) -> str | None:
        """Return the number of an array by its unique name: in the queue, or in the accounting of a month."""
        name = self._mark(tag, k)
        queue = ["squeue", "--me", "--noheader", "--states=all", f"--name={name}", "--format=%F"]
        past = ["sacct", "--noheader", "--parsable2", "--allocations", f"--name={name}", "--format=JobID"]
        for argv in (queue, [*past, "--starttime=now-30days"]):
            if found := _JOB.match(run_command(argv, timeout=_TIMEOUT).stdout.strip()):
                return found[0]
        return None

    def observe(self, ids: Sequence[str], since: float) -> list[Event]:
        """Ask accounting and controller, once each for all ids."""
        return list(self.query(ids, since).values())

    def query(self, ids: Sequence[str], since: float) -> dict[str, Event]:
        """Ask both. The controller alone knows of holds, and of processes that are still being ended."""
        events = known_only(accounting(ids, since), ids)
        argv = ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T|%r"]
        listed = run_command(argv, timeout=_TIMEOUT).stdout.splitlines()
        live = {row[0]: row[1:] for line in listed if len(row := line.strip().split("|", 2)) == 3}
        for each in ids:
            state, why = live.get(each, ("", ""))
            if state in ("RUNNING", "COMPLETING"):
                events[each] = Event(each, State.RUNNING)
            elif state == "PENDING" and "held" in why.lower():
                events[each] = Event(each, State.HELD, reason=f"PENDING ({why})")
            elif state == "PENDING" and each not in events:
                events[each] = Event(each, State.IDLE)
        return events

    def cancel(self, ids: Sequence[str]) -> None:
        """Cancel by id; what has gone already does not matter."""
        for start in range(0, len(ids), _AT_ONCE):
            some = list(ids[start : start + _AT_ONCE])
            run_command(["scancel", "--quiet", *some], timeout=_TIMEOUT, check=False)

    def why(self, ids: Sequence[str], since: float) -> dict[str, str]:
        """Return the accounting's state and reason."""
        return {each: event.reason for each, event in self.query(ids, since).items() if event.reason}


def _groups(tasks: Sequence[Task], largest: int) -> Iterator[list[Task]]:
    """Yield tasks of equal resources, at most ``largest`` together."""
    groups: dict[Resources, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.resources, []).append(task)
    for group in groups.values():
        for start in range(0, len(group), largest):
            yield group[start : start + largest]
