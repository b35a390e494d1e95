"""What an attempt says of itself at its end: an exit code, a reason, and the report."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import InputFileError, OutputError, PocketCoffeaError
from pocket_coffea.executors.worker_pool import RemoteTraceback
from pocket_coffea.run.job_clock import TimeUp
from pocket_coffea.utils.atomic import write_whole

__all__ = [
    "DELIVERY",
    "INPUT",
    "MEMORY",
    "PAYLOAD",
    "PROCESSING",
    "TIME",
    "WrongPayload",
    "exit_code_of",
    "reason_of",
    "usage",
    "write_report",
]

PAYLOAD, INPUT, DELIVERY, TIME, PROCESSING, MEMORY = 72, 73, 74, 75, 76, 77
_LONGEST_REASON = 400


class WrongPayload(PocketCoffeaError):
    """What the job got is not what was submitted."""

    exit_code = PAYLOAD


def exit_code_of(error: BaseException) -> int:
    """Return with which code a job ends after an error."""
    if isinstance(error, WrongPayload):
        return PAYLOAD
    if isinstance(error, TimeUp):
        return TIME
    if any(map(_is_memory, _chain(error))):
        return MEMORY
    if isinstance(error, InputFileError):
        return INPUT
    return DELIVERY if isinstance(error, OutputError) else PROCESSING


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_memory(error: BaseException) -> bool:
    """Return whether an error is about memory: here, in a worker process, or of one that was killed."""
    if isinstance(error, RemoteTraceback):
        last = error.text.strip().splitlines()[-1:]
        return "MemoryError" in error.text or any("std::bad_alloc" in line for line in last)
    return isinstance(error, MemoryError) or "killed by SIGKILL" in str(error)


def reason_of(error: BaseException) -> str:
    """Return an error in one line."""
    text = " ".join(str(error).split())
    if not isinstance(error, PocketCoffeaError):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 3]}..."


def usage() -> dict[str, Any]:
    """Return where this process runs and the most memory [MB] that it and its largest child have used."""
    used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"host": socket.getfqdn(), "memory_mb": round(sum(used) * 1024 / 1e6)}


def write_report(places: Sequence[Path], content: Mapping[str, Any]) -> list[str]:
    """Write a report to every place, whole or not at all; return what went wrong, a line each."""
    problems = []
    for place in places:
        try:
            write_whole(place, json.dumps(dict(content), indent=1) + "\n")
        except OutputError as error:
            problems.append(str(error))
    return problems
