"""A campaign as its ledger tells it: jobs, attempts, submissions whose fate is open, sites that fail."""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.batch.ledger import Ledger, read_records
from pocket_coffea.batch.states import Attempt, Job, Resources, State
from pocket_coffea.batch.systems import Submission
from pocket_coffea.batch.tasks import Task
from pocket_coffea.errors import InputFileError, ResultsRefused

__all__ = ["LEDGER_NAME", "Campaign", "Intent"]

LEDGER_NAME = "campaign.jsonl"
_ATTEMPT_FIELDS = (
    "state",
    "exit_code",
    "signal",
    "reason",
    "code",
    "subcode",
    "host",
    "memory_mb",
    "cause",
    "gone",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Intent:
    """A submission that was begun: what was to be sent, and from where."""

    tag: str
    time: float
    host: str
    tasks: Mapping[int, tuple[int, Resources]]  # job -> number of the attempt, its resources


class Campaign:
    """The state of a jobs folder. Every change goes to the ledger first, then into memory."""

    def __init__(self, folder: Path) -> None:
        """Read the ledger of a jobs folder. Raises InputFileError when there is none to be read."""
        self.folder = folder
        self.path = folder / LEDGER_NAME
        self.id = ""
        self.system = ""
        self.jobs: dict[int, Job] = {}
        self.open: dict[str, Intent] = {}
        self.submissions = 0
        self.refusals: dict[int, int] = {}  # job -> how often the batch system refused it in a row
        self.bad_files: dict[str, set[str]] = {}  # site -> addresses that could not be read
        self.blacklisted: set[str] = set()
        self._ledger: Ledger | None = None
        self._read = 0
        self.refresh()
        if not self.id:
            msg = f"{folder} has no campaign ({self.path.name}). Submit one first with `pocket-coffea run`."
            raise InputFileError(msg)

    @classmethod
    def create(cls, folder: Path, system: str, jobs: int) -> Campaign:
        """Begin the ledger of a new campaign. Raises ResultsRefused when the folder has one."""
        path = folder / LEDGER_NAME
        if read_records(path)[0]:
            msg = f"{folder} holds a campaign already. Give another job-name, or remove that folder."
            raise ResultsRefused(msg)
        with Ledger(path) as ledger:
            ledger.append(
                [{"kind": "campaign", "campaign": uuid.uuid4().hex, "system": system, "jobs": jobs}]
            )
        return cls(folder)

    def refresh(self) -> None:
        """Read what another process has added. Raises InputFileError."""
        records, self._read = read_records(self.path, self._read)
        for record in records:
            self._apply(record)

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Put records on disk, then into memory. Raises OutputError; memory is unchanged then."""
        if not records:
            return
        if self._ledger is None:
            self._ledger = Ledger(self.path)
        now = round(time.time(), 3)
        dated = [{"time": now, **record} for record in records]
        self._ledger.append(dated)
        for record in dated:
            self._apply(record)

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger:
            self._ledger.close()
            self._ledger = None

    def _apply(self, record: Mapping[str, Any]) -> None:
        handle = _HANDLERS.get(record["kind"])
        if handle:
            handle(self, record)

    # what each kind of record means

    def _campaign(self, record: Mapping[str, Any]) -> None:
        self.id, self.system = record["campaign"], record["system"]
        self.jobs = {number: Job(number) for number in range(record["jobs"])}

    def _submitting(self, record: Mapping[str, Any]) -> None:
        resources = [Resources.from_mapping(each) for each in record["resources"]]
        tasks = {job: (attempt, resources[index]) for job, attempt, index in record["tasks"]}
        self.open[record["tag"]] = Intent(record["tag"], record["time"], record["host"], tasks)
        self.submissions += 1

    def _submitted(self, record: Mapping[str, Any]) -> None:
        intent = self.open.pop(record["tag"], None)
        if intent is None:
            return
        for number, job_id in record["ids"].items():
            job = self.jobs[int(number)]
            attempt, resources = intent.tasks[job.number]
            job.attempts.append(Attempt(attempt, job_id, resources, submitted=intent.time))
            job.done, job.given_up = False, ""
            self.refusals.pop(job.number, None)
        for number in record["refused"]:
            self.refusals[int(number)] = self.refusals.get(int(number), 0) + 1

    def _ended(self, record: Mapping[str, Any]) -> None:
        job = self.jobs[record["job"]]
        attempt = next((each for each in job.attempts if each.number == record["attempt"]), None)
        if attempt is None:
            return
        for name in _ATTEMPT_FIELDS:
            setattr(attempt, name, record[name])
        attempt.state = State(record["state"])
        attempt.changed = record["time"]
        job.done = job.done or attempt.state is State.DONE
        attempt.unreadable = record.get("unreadable", {})
        for site, addresses in attempt.unreadable.items():
            self.bad_files.setdefault(site, set()).update(addresses)

    def _blacklisted(self, record: Mapping[str, Any]) -> None:
        self.blacklisted |= set(record["sites"])

    def _given_up(self, record: Mapping[str, Any]) -> None:
        self.jobs[record["job"]].given_up = record["reason"]

    def _reopened(self, record: Mapping[str, Any]) -> None:
        job = self.jobs[record["job"]]
        job.given_up, job.done = "", False

    # the records that the monitor writes

    def begin(self, tasks: Sequence[Task]) -> str:
        """Record that ``tasks`` are about to be sent; return the tag of their submission."""
        resources = list(dict.fromkeys(task.resources for task in tasks))
        place = {each: index for index, each in enumerate(resources)}
        tag = "jobs_all" if self.submissions == 0 else f"resubmit_{self.submissions}"
        record = {
            "kind": "submitting",
            "tag": tag,
            "host": os.uname().nodename,
            "tasks": [[task.job, task.attempt, place[task.resources]] for task in tasks],
            "resources": [dataclasses.asdict(each) for each in resources],
        }
        self.write([record])
        return tag

    def finish(self, tag: str, submission: Submission) -> None:
        """Record what the batch system made of a submission."""
        self.write(
            [
                {
                    "kind": "submitted",
                    "tag": tag,
                    "ids": {str(job): each for job, each in submission.ids.items()},
                    "refused": {str(job): reason for job, reason in submission.refused.items()},
                }
            ]
        )

    @property
    def sending(self) -> set[int]:
        """Jobs of submissions whose fate is not known."""
        return {job for intent in self.open.values() for job in intent.tasks}

    def living(self) -> Iterable[tuple[Job, Attempt]]:
        """Yield the jobs whose last attempt was not seen to end, with that attempt."""
        for job in self.jobs.values():
            if job.attempts and not job.attempts[-1].cause and not job.done:
                yield job, job.attempts[-1]


def ended_record(job: int, attempt: Attempt) -> dict[str, Any]:
    """Return the record of the end of an attempt."""
    values = {name: getattr(attempt, name) for name in _ATTEMPT_FIELDS}
    values["state"] = attempt.state.value
    record = {"kind": "ended", "job": job, "attempt": attempt.number, "id": attempt.id, **values}
    if attempt.unreadable:
        record["unreadable"] = {site: list(files) for site, files in attempt.unreadable.items()}
    return record


_HANDLERS: dict[str, Callable[[Campaign, Mapping[str, Any]], None]] = {
    "campaign": Campaign._campaign,
    "submitting": Campaign._submitting,
    "submitted": Campaign._submitted,
    "ended": Campaign._ended,
    "blacklisted": Campaign._blacklisted,
    "given-up": Campaign._given_up,
    "reopened": Campaign._reopened,
}
