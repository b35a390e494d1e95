"""Processes of this machine as a batch system: for tests, laptops, and a whole campaign without a farm.

A submission is a folder ``local/TAG`` of the jobs folder: ``tasks.json`` says what to run, a runner of its
own (``local_runner``) starts at most ``slots`` tasks at once and writes ``events``, one JSON list a line. The
runner outlives whoever sent the tasks.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.batch.local_runner import INSTANCE, instance
from pocket_coffea.batch.states import ENDED, Event, State
from pocket_coffea.batch.systems import BatchSystem, Submission, in_flight, known_only
from pocket_coffea.batch.tasks import JOB, Task
from pocket_coffea.errors import CommandFailed, OutputError
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.process import start_command

__all__ = ["LocalProcesses", "read_events"]

_START = 30.0  # seconds that a runner may take to start


class LocalProcesses(BatchSystem):
    """Jobs that run here, as this user."""

    name = "this machine"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._offsets: dict[str, int] = {}

    def _place(self, tag: str) -> Path:
        return self.folder / "local" / tag

    def submit(self, tag: str, tasks: Sequence[Task]) -> Submission:
        """Write the tasks and start their runner."""
        place = self._place(tag)
        logs = self.folder / self.template.logs
        logs.mkdir(parents=True, exist_ok=True)
        content = {
            "slots": self.template.slots,
            "folder": str(self.folder),
            "environment": dict(self.template.environment),
            "tasks": [self._task(f"{tag}.{index}", task, logs) for index, task in enumerate(tasks)],
        }
        ids = {task.job: f"{tag}.{index}" for index, task in enumerate(tasks)}
        argv = [sys.executable, "-m", "pocket_coffea.batch.local_runner", str(place)]
        try:
            write_whole(place / "tasks.json", json.dumps(content))
            # this process imports the package from where it is, not from where the runner starts
            env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            with (place / "runner.log").open("ab") as log:
                runner = start_command(argv, stdout=log, stderr=log, env=env, cwd=self.folder)
        except (OSError, OutputError, CommandFailed) as error:
            return Submission({}, {task.job: str(error) for task in tasks})
        self._wait_for_start(place, runner)
        return Submission(ids, {})

    def _task(self, number: str, task: Task, logs: Path) -> dict[str, Any]:
        words = [word.replace(JOB, str(task.job)) for word in task.arguments]
        return {
            "id": number,
            "job": task.job,
            "attempt": task.attempt,
            "argv": [str(self.template.executable), *words],
            "seconds": task.resources.seconds,
            "log": str(logs / f"job_{number}.{task.job}"),
        }

    def _wait_for_start(self, place: Path, runner: Any) -> None:
        deadline = time.monotonic() + _START
        while not (place / "events").exists():
            if runner.poll() is not None or time.monotonic() > deadline:
                text = (place / "runner.log").read_text(errors="replace").strip()
                msg = f"the runner of {place} did not start: {text[-500:] or 'it said nothing'}."
                raise CommandFailed(msg)
            time.sleep(0.02)

    def find(self, tag: str) -> dict[int, str]:
        """Return the tasks of a runner that has started."""
        place = self._place(tag)
        deadline = time.monotonic() + _START
        while not (place / "events").exists():
            if not in_flight(str(place)) or time.monotonic() > deadline:
                return {}
            time.sleep(0.05)
        tasks = json.loads((place / "tasks.json").read_text())["tasks"]
        return {int(task["job"]): task["id"] for task in tasks}

    def observe(self, ids: Sequence[str], since: float) -> list[Event]:  # noqa: ARG002 # files need no start
        """Read the runners' files on."""
        events: list[Event] = []
        for tag in dict.fromkeys(each.rpartition(".")[0] for each in ids):
            found, self._offsets[tag] = read_events(self._place(tag) / "events", self._offsets.get(tag, 0))
            events += found
        return events

    def query(self, ids: Sequence[str], since: float) -> dict[str, Event]:  # noqa: ARG002 # as above
        """Read what the runners wrote; tasks without an end whose runner is gone are not known any more."""
        events: dict[str, Event] = {}
        for tag in dict.fromkeys(each.rpartition(".")[0] for each in ids):
            is_alive = in_flight(str(self._place(tag)))  # before reading: it may end meanwhile
            last = known_only(read_events(self._place(tag) / "events", 0)[0], ids)
            events |= {
                each: event
                for each, event in last.items()
                if is_alive or event.state in ENDED or self._process(tag, event)
            }
        return events

    def _process(self, tag: str, event: Event) -> int:
        """Return the number of a task's process while it lives; 0 otherwise."""
        number = event.reason.removeprefix("process ")
        if event.state is not State.RUNNING or not number.isdigit():
            return 0
        wanted = f"{INSTANCE}={instance(self._place(tag), event.id)}".encode()
        try:
            lives = wanted in Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
        except OSError:
            return 0
        return int(number) if lives else 0

    def cancel(self, ids: Sequence[str]) -> None:
        """Tell the runners, which end the processes; those whose runner is gone are ended from here."""
        for each in ids:
            tag = each.rpartition(".")[0]
            place = self._place(tag)
            if not place.exists():
                continue
            write_whole(place / "removed" / each, "")
            event = None if in_flight(str(place)) else self.query([each], 0).get(each)
            if event and (number := self._process(tag, event)):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(number, signal.SIGKILL)

    def why(self, ids: Sequence[str], since: float) -> dict[str, str]:
        """Return how a process ended."""
        return {each: event.reason for each, event in self.query(ids, since).items() if event.reason}


def read_events(path: Path, start: int) -> tuple[list[Event], int]:
    """Return the whole lines from byte ``start`` on as events, and the byte after them."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read()
    except FileNotFoundError:
        return [], start
    end = data.rfind(b"\n") + 1
    return [_event(json.loads(line)) for line in data[:end].splitlines()], start + end


def _event(values: Sequence[Any]) -> Event:
    number, state, when, code, reason = values
    by_signal = code is not None and code < 0
    return Event(
        number,
        State(state),
        when,
        exit_code=None if by_signal else code,
        signal=-code if by_signal else None,
        reason=reason or (f"killed by {signal.Signals(-code).name}" if by_signal else ""),
        host=os.uname().nodename,
    )
