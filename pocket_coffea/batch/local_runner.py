"""``python -m pocket_coffea.batch.local_runner FOLDER``: runs the tasks of a submission to this machine.

Ends when all tasks have ended. When it is killed its tasks go on, and nobody learns of their ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pocket_coffea.batch.states import State
from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import Process, start_command

__all__ = ["INSTANCE", "Runner", "instance", "main"]

#: Variable by which a task's process is known, also when its runner is gone
INSTANCE = "POCKET_COFFEA_INSTANCE"
_STEP = 0.05
#: Seconds between the request to end and the end by force
GRACE = 5.0
_NOT_STARTED = 127


def instance(place: Path, number: str) -> str:
    """Return the value of INSTANCE for a task."""
    return f"{place}/{number}"


class _Running:
    """A task's process and when it has to end."""

    def __init__(self, task: dict[str, Any], process: Process) -> None:
        self.task = task
        self.process = process
        self.limit = time.monotonic() + task["seconds"] if task["seconds"] else None
        self.asked_at = 0.0
        self.why = ""  # nobody asked it to end

    def ask(self, why: str) -> None:
        if not self.why:
            self.why, self.asked_at = why, time.monotonic()
            self._signal(signal.SIGTERM)

    def force(self) -> None:
        if self.why and time.monotonic() > self.asked_at + GRACE:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class Runner:
    """Starts tasks in their order, as many at once as there are slots."""

    def __init__(self, place: Path) -> None:
        content = json.loads((place / "tasks.json").read_text())
        self.place = place
        self.folder: str = content["folder"]
        self.slots: int = content["slots"]
        self.environment: dict[str, str] = content["environment"]
        self.waiting: list[dict[str, Any]] = content["tasks"][::-1]
        self.running: list[_Running] = []
        self.events = os.open(place / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def run(self) -> None:
        """Run all tasks to their ends."""
        for task in reversed(self.waiting):
            self.write(task["id"], State.IDLE)
        while self.waiting or self.running:
            removed = self.removed()
            self.waiting = [task for task in self.waiting if not self.is_dropped(task, removed)]
            while self.waiting and len(self.running) < self.slots:
                self.start(self.waiting.pop())
            self.running = [each for each in self.running if not self.has_ended(each, removed)]
            time.sleep(_STEP)

    def removed(self) -> set[str]:
        folder = self.place / "removed"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()

    def is_dropped(self, task: dict[str, Any], removed: set[str]) -> bool:
        if task["id"] not in removed:
            return False
        self.write(task["id"], State.REMOVED, reason="removed before it was started")
        return True

    def start(self, task: dict[str, Any]) -> None:
        env = {**os.environ, **self.environment, "POCKET_COFFEA_JOB": str(task["job"])}
        env["POCKET_COFFEA_ATTEMPT"] = str(task["attempt"])
        env[INSTANCE] = instance(self.place, task["id"])
        try:
            with open(f"{task['log']}.out", "ab") as out, open(f"{task['log']}.err", "ab") as err:
                process = start_command(task["argv"], stdout=out, stderr=err, env=env, cwd=self.folder)
        except (CommandFailed, OSError) as error:
            self.write(task["id"], State.FAILED, _NOT_STARTED, str(error))
            return
        self.running.append(_Running(task, process))
        self.write(task["id"], State.RUNNING, reason=f"process {process.pid}")

    def has_ended(self, each: _Running, removed: set[str]) -> bool:
        code = each.process.poll()
        if code is not None:
            self.end(each, code)
            return True
        if each.task["id"] in removed:
            each.ask("removed")
        elif each.limit is not None and time.monotonic() > each.limit:
            each.ask("wall time exceeded")
        each.force()
        return False

    def end(self, each: _Running, code: int) -> None:
        state = State.DONE if code == 0 else State.FAILED
        if each.why and code != 0:
            state = State.REMOVED if each.why == "removed" else State.TIMEOUT
        self.write(each.task["id"], state, code, each.why)

    def write(self, number: str, state: State, code: int | None = None, reason: str = "") -> None:
        line = json.dumps([number, state.value, round(time.time(), 3), code, reason])
        os.write(self.events, f"{line}\n".encode())


def main(argv: list[str]) -> int:
    """Run the tasks of the folder ``argv[0]``; 0 when all have ended, whatever their codes."""
    Runner(Path(argv[0])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
