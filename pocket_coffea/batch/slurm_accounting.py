"""What ``sacct`` says of jobs and of the tasks of arrays: one call for all of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

from pocket_coffea.batch.states import Event, State
from pocket_coffea.utils.process import run_command

__all__ = ["accounting", "parse_accounting"]

_FIELDS = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "Reason")
_TIMEOUT = 120.0
#: Slurm's states. What is not here (COMPLETING is shown as the state it had) counts as idle.
_STATES = {
    "PENDING": State.IDLE,
    "CONFIGURING": State.IDLE,
    "REQUEUED": State.IDLE,
    "RUNNING": State.RUNNING,
    "COMPLETING": State.RUNNING,
    "SUSPENDED": State.RUNNING,
    "RESIZING": State.RUNNING,
    "STOPPED": State.RUNNING,
    "STAGE_OUT": State.RUNNING,
    "REQUEUE_HOLD": State.HELD,
    "SPECIAL_EXIT": State.HELD,
    "RESV_DEL_HOLD": State.HELD,
    "COMPLETED": State.DONE,
    "FAILED": State.FAILED,
    "BOOT_FAIL": State.FAILED,
    "NODE_FAIL": State.FAILED,
    "OUT_OF_MEMORY": State.FAILED,
    "LAUNCH_FAILED": State.FAILED,
    "RECONFIG_FAIL": State.FAILED,
    "TIMEOUT": State.TIMEOUT,
    "DEADLINE": State.TIMEOUT,
    "CANCELLED": State.REMOVED,
    "PREEMPTED": State.REMOVED,
    "REVOKED": State.REMOVED,
}
#: Reasons with which a pending job waits for a person.
_HELD = re.compile(r"JobHeld\w+|launch_failed_requeued_held|.*requeued.*held.*", re.IGNORECASE)
_TASKS = re.compile(r"(\d+)_\[([\d,\-]+)(?:%\d+)?\]")


def accounting(ids: Sequence[str], since: float) -> list[Event]:
    """Return what Slurm's accounting has for the jobs ``ids`` ("34", "34_1"), submitted after ``since``.

    Raises CommandFailed when it does not answer.
    """
    if not ids:
        return []
    arrays = sorted({each.partition("_")[0] for each in ids}, key=int)
    start = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(since - 86400))  # a day for clocks that differ
    argv = ["sacct", "--noheader", "--parsable2", "--allocations", f"--starttime={start}"]
    argv += [f"--format={','.join(_FIELDS)}", f"--jobs={','.join(arrays)}"]
    wanted = set(ids)
    answer = run_command(argv, timeout=_TIMEOUT).stdout
    return [event for event in parse_accounting(answer) if event.id in wanted]


def parse_accounting(text: str) -> list[Event]:
    """Return an event for each job and array task in what ``sacct --parsable2`` printed.

    Lines that do not have the fields are passed over.
    """
    events: dict[str, Event] = {}
    for line in text.splitlines():
        fields = line.split("|", len(_FIELDS) - 1)
        if len(fields) == len(_FIELDS) and fields[1]:
            for number in _expand(fields[0]):
                events[number] = _event(number, fields)  # of a requeued job the last line is the newest
    return list(events.values())


def _expand(number: str) -> Iterator[str]:
    """Yield the tasks of an id; those that wait are listed together.

    >>> list(_expand("34_[1,3-5%2]"))
    ['34_1', '34_3', '34_4', '34_5']
    """
    several = _TASKS.fullmatch(number)
    if not several:
        yield number
        return
    for part in several[2].split(","):
        first, _, last = part.partition("-")
        yield from (f"{several[1]}_{task}" for task in range(int(first), int(last or first) + 1))


def _event(number: str, fields: list[str]) -> Event:
    _, words, codes, start, end, host, why = fields
    name = words.split()[0].rstrip("+")
    state = _STATES.get(name, State.IDLE)
    if state is State.IDLE and _HELD.fullmatch(why):
        state = State.HELD
    code, signal = _exit(codes)
    has_ended = state in (State.DONE, State.FAILED, State.TIMEOUT, State.REMOVED)
    reason = words if why in ("", "None") or has_ended else f"{words} ({why})"
    return Event(
        number,
        state,
        _seconds(end if has_ended else start),
        exit_code=code if has_ended and not signal else None,
        signal=signal or None if has_ended else None,
        reason="" if state in (State.DONE, State.RUNNING) else reason,
        host="" if host.startswith("None") else host,
    )


def _exit(codes: str) -> tuple[int | None, int]:
    """Return exit code and signal of ``0:125``; Slurm writes a death by signal as ``0:9``."""
    code, _, signal = codes.partition(":")
    return (int(code) if code.isdigit() else None), (int(signal) if signal.isdigit() else 0)


def _seconds(text: str) -> float:
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except (ValueError, OverflowError):  # Unknown, None
        return 0.0
