"""The report that a job writes at the end of every attempt, as those who watch it read it.

It is ``logs/job_<i>.<attempt>.json``; where the batch system carries all files it first comes back as
``job_<i>_report.json``. A job whose Python never started has none.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocket_coffea.executors.jobs.facts import report_name, returned_report_name

__all__ = ["Output", "Report", "brought_report_path", "read_report", "report_path"]

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """A file that a job delivered. path: its final address; size in bytes; adler32 in 8 hex digits."""

    path: str
    size: int
    adler32: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What an attempt says of itself. seconds: of processing; times in s since the epoch."""

    job: int
    attempt: int
    campaign: str
    exit_code: int
    reason: str = ""
    unreadable: tuple[str, ...] = ()
    skipped: tuple[tuple[str, ...], ...] = ()  # (dataset, file, reason)
    outputs: tuple[Output, ...] = ()
    events: int = 0
    seconds: float = 0.0
    datasets: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    host: str = ""
    memory_mb: int | None = None
    began: float = 0.0
    ended: float = 0.0
    image: str = ""
    chunks_kept: int = 0


def report_path(folder: Path, job: int, attempt: int) -> Path:
    """Return where the report of an attempt is."""
    return folder / "logs" / report_name(job, attempt)


def brought_report_path(folder: Path, job: int) -> Path:
    """Return where the batch system puts the report of the newest attempt, where it carries all files."""
    return folder / returned_report_name(job)


def read_report(folder: Path, job: int, attempt: int, campaign: str) -> Report | None:
    """Return the report of an attempt of this campaign; None when there is none, or it is damaged."""
    for path in (report_path(folder, job, attempt), brought_report_path(folder, job)):
        report = _read(path)
        if report and (report.job, report.attempt) == (job, attempt) and report.campaign == campaign:
            return report
    return None


def _read(path: Path) -> Report | None:
    try:
        return _from_json(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("the report %s cannot be read: %s: %s", path, type(error).__name__, error)
        return None


def _from_json(content: Mapping[str, Any]) -> Report:
    known = {field.name for field in dataclasses.fields(Report)}
    values = {key: value for key, value in content.items() if key in known}
    values |= {
        "exit_code": int(content["exit_code"]),
        "reason": " ".join(str(content.get("reason", "")).split()),
        "unreadable": tuple(map(str, content.get("unreadable", ()))),
        "skipped": tuple(tuple(map(str, each)) for each in content.get("skipped", ())),
        "outputs": tuple(
            Output(str(each["path"]), int(each["size"]), str(each.get("adler32", "")))
            for each in content.get("outputs", ())
        ),
    }
    return Report(**values)
