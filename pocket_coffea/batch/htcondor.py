"""HTCondor: one cluster for each submission; the event log says what happens, the schedd only in doubt."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.batch.condor_log import CondorLog
from pocket_coffea.batch.states import Event, State
from pocket_coffea.batch.submit_file import condor_submit_text
from pocket_coffea.batch.systems import BatchSystem, Submission, known_only, wait_until_settled
from pocket_coffea.batch.tasks import Task
from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.process import run_command

__all__ = ["HTCondor"]

_TIMEOUT = 120.0
_AT_ONCE = 500  # clusters named on one command line
_ATTRIBUTES = (
    "ClusterId",
    "ProcId",
    "JobStatus",
    "HoldReason",
    "HoldReasonCode",
    "HoldReasonSubCode",
    "RemoveReason",
    "ExitCode",
    "ExitBySignal",
    "ExitSignal",
    "EnteredCurrentStatus",
    "LastRemoteHost",
    "PocketCoffeaJob",
)
#: JobStatus of a job's ClassAd
_STATUS = {
    1: State.IDLE,
    2: State.RUNNING,
    3: State.REMOVED,
    4: State.DONE,
    5: State.HELD,
    6: State.RUNNING,
    7: State.RUNNING,
}
_ACCEPTED = re.compile(r"^(\d+)\.(\d+) - (\d+)\.(\d+)$", re.MULTILINE)


class HTCondor(BatchSystem):
    """Jobs of this user in the local schedd."""

    name = "HTCondor"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._logs: dict[str, CondorLog] = {}

    def submit(self, tag: str, tasks: Sequence[Task]) -> Submission:
        """Send all tasks as one cluster, in one transaction of the schedd; the submit file is ``TAG.sub``."""
        path = self.folder / f"{tag}.sub"
        write_whole(
            path, condor_submit_text(self.template, tasks, {"PocketCoffeaSubmission": self._mark(tag)})
        )
        (self.folder / self.template.logs).mkdir(parents=True, exist_ok=True)
        try:
            said = run_command(
                ["condor_submit", "-terse", str(path)], timeout=_TIMEOUT, cwd=self.folder
            ).stdout
        except CommandFailed as error:
            return self._refused(tag, tasks, str(error))
        clusters = [tuple(map(int, found)) for found in _ACCEPTED.findall(said)]
        ids = [f"{first}.{proc}" for first, low, _, high in clusters for proc in range(low, high + 1)]
        if len(ids) != len(tasks):
            msg = f"condor_submit took {len(ids)} jobs instead of {len(tasks)}: {said.strip()!r}."
            raise CommandFailed(msg)
        return Submission({task.job: each for task, each in zip(tasks, ids, strict=True)}, {})

    def _refused(self, tag: str, tasks: Sequence[Task], reason: str) -> Submission:
        """Find out what the schedd took of a submission that failed: an answer may be lost on its way."""
        ids = self.find(tag)
        return Submission(ids, {task.job: reason for task in tasks if task.job not in ids})

    def _mark(self, tag: str) -> str:
        return f"{self.campaign}/{tag}"

    def find(self, tag: str) -> dict[int, str]:
        """Return what the schedd's queue and history have of a submission."""
        wait_until_settled(str(self.folder / f"{tag}.sub"))
        constraint = ["-constraint", f'PocketCoffeaSubmission == "{self._mark(tag)}"']
        ads = [*self._ads("condor_history", constraint), *self._ads("condor_q", constraint)]
        return {int(ad["PocketCoffeaJob"]): _id(ad) for ad in ads}

    def observe(self, ids: Sequence[str], since: float) -> list[Event]:  # noqa: ARG002 # logs need no start
        """Read the event logs on; no daemon is asked."""
        events: list[Event] = []
        for cluster in dict.fromkeys(each.partition(".")[0] for each in ids):
            if cluster not in self._logs:
                path = self.folder / self.template.logs / f"job_{cluster}.log"
                self._logs[cluster] = CondorLog(path)
            events += self._logs[cluster].read()
        return events

    def query(self, ids: Sequence[str], since: float) -> dict[str, Event]:  # noqa: ARG002 # ids are enough
        """Ask the schedd: the queue, and then the history for what has left it."""
        events: dict[str, Event] = {}
        for program in ("condor_q", "condor_history"):
            missing = [each for each in ids if each not in events]
            ads = [ad for words in _named(missing) for ad in self._ads(program, words)]
            found = known_only(map(_event, ads), missing)
            if program == "condor_q":
                found = {each: _leaving(event) for each, event in found.items()}
            events |= found
        return events

    def cancel(self, ids: Sequence[str]) -> None:
        """Remove by id; ``condor_rm`` fails for what has gone already, and the caller looks again anyway."""
        for words in _named(ids, whole_clusters=False):
            run_command(["condor_rm", *words], timeout=_TIMEOUT, check=False)

    def why(self, ids: Sequence[str], since: float) -> dict[str, str]:
        """Return HoldReason or RemoveReason."""
        return {each: event.reason for each, event in self.query(ids, since).items() if event.reason}

    def _ads(self, program: str, words: Sequence[str]) -> list[dict[str, Any]]:
        argv = [program, *words, "-json", "-attributes", ",".join(_ATTRIBUTES)]
        text = run_command(argv, timeout=_TIMEOUT).stdout.strip()
        if not text:
            return []
        try:
            return list(json.loads(text))
        except (ValueError, TypeError) as error:
            msg = f"{program} answered {text[:200]!r}, which is no JSON."
            raise CommandFailed(msg) from error


def _named(ids: Sequence[str], *, whole_clusters: bool = True) -> Iterator[list[str]]:
    """Yield ids in pieces that fit on a command line; with ``whole_clusters`` just their clusters."""
    names = list(dict.fromkeys(each.partition(".")[0] if whole_clusters else each for each in ids))
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


def _id(ad: dict[str, Any]) -> str:
    return f"{ad['ClusterId']}.{ad['ProcId']}"


def _event(ad: dict[str, Any]) -> Event:
    state = _STATUS.get(ad.get("JobStatus", 1), State.IDLE)
    code = ad.get("ExitCode")
    if state is State.DONE and (ad.get("ExitBySignal") or code != 0):
        state = State.FAILED
    reason = ad.get("HoldReason") if state is State.HELD else ad.get("RemoveReason")
    if state is State.REMOVED and "wall time exceeded" in (reason or ""):
        state = State.TIMEOUT
    has_run = state in (State.DONE, State.FAILED)
    return Event(
        _id(ad),
        state,
        float(ad.get("EnteredCurrentStatus") or 0),
        exit_code=code if has_run and not ad.get("ExitBySignal") else None,
        signal=ad.get("ExitSignal") if has_run and ad.get("ExitBySignal") else None,
        reason=reason or "",
        code=ad.get("HoldReasonCode") if state is State.HELD else None,
        subcode=ad.get("HoldReasonSubCode") if state is State.HELD else None,
        host=str(ad.get("LastRemoteHost") or "").rpartition("@")[2],
    )


def _leaving(event: Event) -> Event:
    """Return the event of a job in the queue: a removed one may still be running there."""
    is_ending = event.state in (State.REMOVED, State.TIMEOUT)
    return dataclasses.replace(event, state=State.RUNNING) if is_ending else event


def log_path(folder: Path, logs: str, job_id: str, job: int, ending: str) -> Path:
    """Return where HTCondor puts the ``out`` or ``err`` of an attempt."""
    return folder / logs / f"job_{job_id.partition('.')[0]}.{job}.{ending}"
