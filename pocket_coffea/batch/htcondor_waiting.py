"""What HTCondor says of jobs that wait: condor_q, condor_history, and its analysis of what matches."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any

from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command

__all__ = ["analysis_in_words", "reasons"]

_LIMIT = 60.0
#: The analysis asks the collector for every machine of the pool.
_ANALYSIS_LIMIT = 180.0
_STATES = {1: "idle", 2: "running", 3: "being removed", 4: "completed", 5: "held", 6: "sending its output"}
_ATTRIBUTES = (
    "ClusterId,ProcId,JobStatus,HoldReason,HoldReasonCode,LastRejMatchReason,QDate,EnteredCurrentStatus,"
    "RemoteHost,ExitCode,ExitBySignal,ExitSignal,RemoveReason,AutoClusterId,NumJobStarts"
)
_CONDITION = re.compile(r"^\[\d+\]\s+(\d+)\s+(.+)$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^ {4}(?:MY\.)?(\w+) = (.+)$", re.MULTILINE)
_MACHINES = re.compile(r"Of (\d+) machines,\s+(\d+) are rejected by your job's requirements")
_BUSY = re.compile(r"^\s*(\d+) match but are serving other users", re.MULTILINE)


def reasons(jobs: Sequence[str]) -> dict[str, str]:
    """Return one line for each job. Raises CommandFailed when the schedd does not answer."""
    queued = _by_job(_ask(["condor_q", *jobs, "-json", "-attributes", _ATTRIBUTES]), jobs)
    missing = [job for job in jobs if job not in queued]
    words = ["condor_history", *missing, "-json", "-limit", str(len(missing)), "-attributes", _ATTRIBUTES]
    ended = _by_job(_ask(words), missing) if missing else {}
    analysed: dict[Any, str] = {}
    said = {}
    for job in jobs:
        ad = queued.get(job)
        if ad is None:
            said[job] = _of_ended(ended.get(job))
        elif ad.get("JobStatus") == 1:
            group = ad.get("AutoClusterId", job)
            analysed[group] = analysed.get(group) or _of_idle(_id(ad), ad)
            said[job] = analysed[group]
        else:
            said[job] = _of_queued(ad)
    return said


def _ask(argv: list[str]) -> list[dict[str, Any]]:
    printed = run_command(argv, timeout=_LIMIT).stdout.strip()
    try:
        found = json.loads(printed) if printed else []
    except ValueError as error:
        msg = f"{argv[0]} printed no JSON: {printed[:200]}"
        raise CommandFailed(msg) from error
    return found if isinstance(found, list) else []


def _id(ad: dict[str, Any]) -> str:
    return f"{ad.get('ClusterId')}.{ad.get('ProcId')}"


def _by_job(ads: Sequence[dict[str, Any]], jobs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the attributes by the names that were asked for; a cluster is told by its first job."""
    found: dict[str, dict[str, Any]] = {}
    for ad in ads:
        for name in (_id(ad), str(ad.get("ClusterId"))):
            if name in jobs:
                found.setdefault(name, ad)
    return found


def _of_queued(ad: dict[str, Any]) -> str:
    status = int(ad.get("JobStatus", 0))
    if status == 5:
        return f"held: {_line(ad.get('HoldReason', 'no reason given'))} (code {ad.get('HoldReasonCode')})"
    since = _span(time.time() - float(ad.get("EnteredCurrentStatus", time.time())))
    if status == 2:
        return f"running for {since} on {ad.get('RemoteHost', 'an unknown machine')}"
    return f"{_STATES.get(status, f'in state {status}')} for {since}"


def _of_idle(job: str, ad: dict[str, Any]) -> str:
    waits = f"idle for {_span(time.time() - float(ad.get('QDate', time.time())))}"
    if ad.get("NumJobStarts"):
        waits += f", started {ad['NumJobStarts']} times before"
    if "LastRejMatchReason" not in ad:
        return f"{waits}: HTCondor has not looked for a machine yet"
    try:
        printed = run_command(["condor_q", "-better-analyze", job], timeout=_ANALYSIS_LIMIT).stdout
    except CommandFailed:
        printed = ""
    return f"{waits}: {analysis_in_words(printed) or _line(ad['LastRejMatchReason'])}"


def analysis_in_words(printed: str) -> str:
    """Return what ``condor_q -better-analyze`` says of one job, empty when that is nothing of machines."""
    machines = _MACHINES.search(printed)
    if not machines:
        return ""
    total, rejected = int(machines[1]), int(machines[2])
    if rejected < total or total == 0:
        busy = _BUSY.search(printed)
        others = f", {busy[1]} of them serve other users" if busy and busy[1] != "0" else ""
        return f"{total - rejected} of {total} machines match{others}" if total else "the pool has no machine"
    attributes = dict(_ATTRIBUTE.findall(printed))
    unmet = [text.strip() for count, text in _CONDITION.findall(printed) if int(count) == 0]
    conditions = [attributes.get(text, text) for text in unmet]
    asks = [f"{name} = {value}" for name, value in attributes.items() if name.startswith("Request")]
    return (
        f"no match: its requirements reject all {total} machines. Met by none: "
        f"{'; '.join(conditions) or 'all conditions together'} ({', '.join(asks)})"
    )


def _of_ended(ad: dict[str, Any] | None) -> str:
    if ad is None:
        return "not in the queue, and not in condor_history"
    if ad.get("JobStatus") == 3:
        return f"removed: {_line(ad.get('RemoveReason', 'no reason given'))}"
    if ad.get("ExitBySignal"):
        return f"ended already, by signal {ad.get('ExitSignal')}"
    return f"ended already with exit code {ad.get('ExitCode')}"


def _line(text: Any) -> str:
    return " ".join(str(text).split())


def _span(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"
