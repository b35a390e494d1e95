"""Why an attempt of a job failed: its report says so; where there is none, the end of its log.

Log lines that name files that could not be read are those of XRootD's client, of uproot and of older jobs:
``OSError: XRootD error`` and ``FileNotFoundError: file not found``, with the address in a line that follows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pocket_coffea.batch.states import Attempt
from pocket_coffea.errors import PocketCoffeaError
from pocket_coffea.executors.jobs.payload import read_slice
from pocket_coffea.executors.jobs.record import CampaignRecord, config_name
from pocket_coffea.executors.jobs.report import read_report

__all__ = ["addresses_of", "attempt_logs", "explain_attempt", "last_line", "log_tail", "unreadable_in"]

_TAIL = 64 * 1024  # bytes at the end of a log
_LONGEST = 300  # characters of a reason
_ERROR = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Interrupt|Refused|Failed|FATAL)\b.*|^ERROR\b.*")
_UNREADABLE = re.compile(
    r"XRootD error|file not found|\[FATAL\]|\[3011\]|Auth failed|Operation expired|cannot be read",
    re.IGNORECASE,
)
_AFTER = 4  # lines after such a line in which its address stands
_ADDRESS = re.compile(r"roots?://[^\s'\"<>|,;)\]}]+")
#: XRootD's parameters behind a name say nothing of the file.
_PARAMETERS = re.compile(r"[?].*$")
_KILLED = (137, 143)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
#: Lines of the batch system and of shells that stand at the end of every log
_NOISE = re.compile(r"^(?:slurmstepd: error: \*\*\* JOB|srun: |\+ )")


def explain_attempt(
    record: CampaignRecord, campaign: str, job: int, attempt: Attempt
) -> tuple[str, Sequence[str]]:
    """Return why an attempt failed, in one line ("" when nothing tells), and what it could not read.

    Memory and host that the job itself has seen are noted in ``attempt``.
    """
    report = read_report(record.folder, job, attempt.number, campaign)
    if report is not None:
        attempt.memory_mb = max(attempt.memory_mb or 0, report.memory_mb or 0) or None
        attempt.host = attempt.host or report.host
        return report.reason, report.unreadable
    was_killed = attempt.signal is not None or attempt.exit_code in _KILLED
    for path in attempt_logs(record, job, attempt):
        lines = log_tail(path)
        if why := last_line(lines, errors_only=was_killed):
            return why, unreadable_in(lines, _of_the_job(record.folder, job))
    return "", ()


def attempt_logs(record: CampaignRecord, job: int, attempt: Attempt) -> list[Path]:
    """Return the ``.err`` and ``.out`` of an attempt, as each batch system names them."""
    number = attempt.id.partition(".")[0] + f".{job}" if record.system == "htcondor" else attempt.id
    if record.system not in ("htcondor", "slurm"):
        number = f"{attempt.id}.{job}"
    logs = record.folder / record.template.logs
    return [logs / f"job_{number}.{ending}" for ending in ("err", "out")]


def log_tail(path: Path) -> list[str]:
    """Return the last lines of a log without control characters; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = (_CONTROL.sub("", line).rstrip() for line in text.splitlines())
    return [line for line in lines if line.strip()]


def last_line(lines: Sequence[str], *, errors_only: bool = False) -> str:
    """Return the last line that looks like an error, else (not ``errors_only``) the last that is no noise.

    What a job wrote before it was killed says nothing of why.
    """
    telling = [line for line in lines if not _NOISE.match(line)]
    errors = [line for line in telling if _ERROR.match(line)]
    chosen = (errors or ([] if errors_only else telling) or [""])[-1].strip()
    return chosen if len(chosen) <= _LONGEST else chosen[: _LONGEST - 3] + "..."


def unreadable_in(lines: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return those of the ``known`` addresses that a log names near an error of reading, in its order."""
    by_name = {_PARAMETERS.sub("", address): address for address in known}
    named: list[str] = []
    for index, line in enumerate(lines):
        if _UNREADABLE.search(line):
            named += _ADDRESS.findall("\n".join(lines[index : index + 1 + _AFTER]))
    plain = (_PARAMETERS.sub("", address.rstrip(".:")) for address in named)
    return tuple(dict.fromkeys(by_name[name] for name in plain if name in by_name))


def _of_the_job(folder: Path, job: int) -> list[str]:
    try:
        filesets = read_slice(folder / config_name(job))["filesets"]
    except PocketCoffeaError:
        return []
    return [address for each in filesets.values() for address in addresses_of(each)]


def addresses_of(fileset: dict[str, object]) -> list[str]:
    """Return the addresses that a dataset of a slice is read from, in their order."""
    files = fileset.get("files", ())
    return [str(address) for address in files] if isinstance(files, (list, dict, tuple)) else []
