"""The history of a campaign: what was sent, how each attempt ended, what was decided, and how fast it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.batch.flags import read_flags
from pocket_coffea.batch.ledger import read_records
from pocket_coffea.batch.states import ENDED, Attempt, Job, State
from pocket_coffea.executors.jobs.record import RECORD_NAME, CampaignRecord
from pocket_coffea.executors.jobs.report import Report, read_report

__all__ = ["history_of"]

_GIVEN_UP = "given up"
#: Kinds of records of the ledger that are told beside the attempts of their job.
_TOLD = ("decided", "rerouted", "given-up", "reopened")


def history_of(folder: Path) -> dict[str, Any]:
    """Return the history of the campaign in a jobs folder, as plain data.

    Times are seconds since the epoch, memory in MB. Raises InputFileError when the ledger or the record
    cannot be read, OutputError when the folder cannot.
    """
    campaign = Campaign(folder)
    records, _ = read_records(campaign.path)
    record = CampaignRecord.read(folder) if (folder / RECORD_NAME).exists() else None
    told = _told_by_job(records)
    flags = read_flags(folder)
    reports = {
        (job.number, attempt.number): report
        for job in campaign.jobs.values()
        for attempt in job.attempts
        if (report := read_report(folder, job.number, attempt.number, campaign.id))
    }
    jobs = []
    for job in campaign.jobs.values():
        flag = flags.get(job.number)
        state = _state(job, None if flag is None else flag.state)
        jobs.append(_job(job, state, told.get(job.number, []), reports, record))
    return {
        "id": campaign.id,
        "system": campaign.system,
        "record": _record(record),
        "jobs": jobs,
        "states": dict(Counter(job["state"] for job in jobs).most_common()),
        "causes": _causes(campaign.jobs.values()),
        "notes": _notes(records),
        "blacklisted": sorted(campaign.blacklisted),
        "submissions": campaign.submissions,
        "open": sorted(campaign.open),
        "begun": records[0].get("time") if records else None,
        "ended": _last_end(campaign.jobs.values()),
        "throughput": _throughput(campaign, reports),
    }


def _state(job: Job, flag: State | None) -> str:
    """Return where a job is, as the ledger says, and its flag where the ledger does not yet know."""
    if job.done:
        return State.DONE.value
    if job.given_up:
        return _GIVEN_UP
    last = job.last
    if last is None:
        return State.IDLE.value
    if last.cause or last.state in ENDED:
        return last.state.value
    return (flag or last.state).value


def _told_by_job(records: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    told: dict[int, list[Mapping[str, Any]]] = {}
    for record in records:
        if record["kind"] in _TOLD:
            told.setdefault(int(record["job"]), []).append(record)
    return told


def _job(
    job: Job,
    state: str,
    told: Sequence[Mapping[str, Any]],
    reports: Mapping[tuple[int, int], Report],
    record: CampaignRecord | None,
) -> dict[str, Any]:
    mine = record.jobs[job.number] if record and job.number < len(record.jobs) else None
    return {
        "number": job.number,
        "state": state,
        "given_up": job.given_up,
        "datasets": [each.dataset for each in mine.datasets] if mine else [],
        "events": mine.events if mine else None,
        "files": mine.files if mine else None,
        "attempts": [_attempt(each, reports.get((job.number, each.number))) for each in job.attempts],
        "decisions": [_decision(each) for each in told],
    }


def _attempt(attempt: Attempt, report: Report | None) -> dict[str, Any]:
    began = report.began if report else 0.0
    return {
        "number": attempt.number,
        "id": attempt.id,
        "state": attempt.state.value,
        "cause": _cause(attempt),
        "reason": attempt.reason,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "host": attempt.host or (report.host if report else ""),
        "queue": attempt.resources.queue,
        "asked_mb": attempt.resources.memory_mb or None,
        "used_mb": attempt.memory_mb or (report.memory_mb if report else None),
        "submitted": attempt.submitted or None,
        "began": began or None,
        "ended": attempt.changed if attempt.cause or attempt.state in ENDED else None,
        "events": report.events if report else None,
        "unreadable": sorted(address for found in attempt.unreadable.values() for address in found),
    }


def _cause(attempt: Attempt) -> str:
    """Return the cause of a failure; the ledger also says "done" there."""
    return "" if attempt.state is State.DONE else attempt.cause


def _decision(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a decision, a reroute, a giving up or a reopening: when, about which attempt, what and why."""
    kind = record["kind"]
    if kind == "rerouted":
        changes = record.get("changes", {})
        reason = "; ".join(f"{old} → {new}" for old, new in list(changes.items())[:3])
        reason += f"; and {len(changes) - 3} more files" if len(changes) > 3 else ""
        return {"time": record.get("time"), "attempt": None, "action": "other replicas", "reason": reason}
    action = record["action"] if kind == "decided" else {"given-up": _GIVEN_UP}.get(kind, kind)
    return {
        "time": record.get("time"),
        "attempt": record.get("attempt"),
        "action": action,
        "reason": record.get("reason", ""),
    }


def _causes(jobs: Any) -> list[list[Any]]:
    """Return [[cause, attempts, jobs], ...] of failures, the most frequent first."""
    attempts: Counter[str] = Counter()
    concerned: dict[str, set[int]] = {}
    for job in jobs:
        for attempt in job.attempts:
            if cause := _cause(attempt):
                attempts[cause] += 1
                concerned.setdefault(cause, set()).add(job.number)
    return [[cause, number, len(concerned[cause])] for cause, number in attempts.most_common()]


def _notes(records: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Return [[time, text], ...] of what concerns the campaign as a whole."""
    found = []
    for record in records:
        if record["kind"] == "note":
            found.append([record.get("time"), str(record.get("text", ""))])
        elif record["kind"] == "blacklisted":
            sites = ", ".join(map(str, record.get("sites", ())))
            found.append([record.get("time"), f"no file is read from {sites} any more"])
        elif record["kind"] == "submitted" and record.get("refused"):
            number, reason = len(record["refused"]), next(iter(record["refused"].values()))
            found.append([record.get("time"), f"{record['tag']}: {number} jobs were refused: {reason}"])
    return found


def _record(record: CampaignRecord | None) -> list[list[str]]:
    """Return [[name, value], ...] of how the campaign was submitted."""
    if record is None:
        return []
    asked = record.resources
    rows = [
        ["job name", record.name],
        ["executor", record.executor],
        ["site", record.site],
        ["outputs", record.output],
        ["queue", ", ".join(dict.fromkeys(each.queue for each in (asked, *record.exceptions.values())))],
        ["memory", f"{asked.memory_mb} MB" if asked.memory_mb else ""],
        ["cpus", str(asked.cpus)],
        ["image", record.image],
        ["digest of the image", record.image_digest],
    ]
    return [row for row in rows if row[1]]


def _last_end(jobs: Any) -> float | None:
    ends = [each.changed for job in jobs for each in job.attempts if each.state in ENDED and each.changed]
    return max(ends, default=None)


def _throughput(campaign: Campaign, reports: Mapping[tuple[int, int], Report]) -> dict[str, Any] | None:
    """Return events and seconds of processing of the attempts that succeeded, in all and by dataset."""
    good = [
        reports[key]
        for job in campaign.jobs.values()
        if job.done and job.last and (key := (job.number, job.last.number)) in reports
    ]
    if not good:
        return None
    by_dataset: dict[str, dict[str, float]] = {}
    for report in good:
        for dataset, numbers in report.datasets.items():
            mine = by_dataset.setdefault(dataset, {"events": 0, "seconds": 0.0})
            for name in mine:
                mine[name] += numbers.get(name, 0)
    began = min((each.began for each in good if each.began), default=0.0)
    ended = max((each.ended for each in good), default=0.0)
    return {
        "jobs": len(good),
        "events": sum(each.events for each in good),
        "core_seconds": sum(each.seconds for each in good),
        "wall_seconds": max(ended - began, 0.0),
        "datasets": [[name, each["events"], each["seconds"]] for name, each in sorted(by_dataset.items())],
    }
