"""HTCondor's job event log, read from where the last reading stopped.

An event starts with ``NNN (cluster.proc.subproc) time text`` and ends with a line of three dots. What is
not whole yet is left for the next reading. A log that was replaced or cut is read again from its start;
what its predecessor still had to say is read from ``LOG.old`` when HTCondor rotated it.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pocket_coffea.batch.states import Event, State
from pocket_coffea.errors import InputFileError

__all__ = ["CondorLog", "parse_events"]

#: Header of an event: number, cluster, proc, time, rest of the line.
_HEADER = re.compile(
    r"^(\d{3}) \((\d+)\.(\d+)\.\d+\) ((?:\d{4}-)?\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d)"
    r"(?:\.\d+)?(Z|[+-]\d\d:?\d\d)? ?(.*)$",
    re.MULTILINE | re.ASCII,
)
_END = "\n...\n"
_HEAD = 256  # bytes at the start by which a log is known again
_CHUNK = 32 * 1024 * 1024  # bytes read at once
_RETURNED = re.compile(r"return value (-?\d+)")
_SIGNALLED = re.compile(r"\(signal (\d+)\)")
_CODES = re.compile(r"^\s*Code (\d+)(?: Subcode (-?\d+))?", re.MULTILINE)
_MEMORY = re.compile(r"^\s*Memory \(MB\)\s*:\s*(\d+)", re.MULTILINE)
_HOST = re.compile(r"(?:SlotName: (?:\S+@)?|alias=|<)([^\s&>:]+)")
_TIME_IS_OVER = ("SYSTEM_PERIODIC_REMOVE", "wall time exceeded")
#: HTCondor's hold codes for a job whose own time limit (allowed_job_duration, ..._execute_duration) is over
_DURATION_CODES = {46, 47}


@dataclasses.dataclass(slots=True)
class _Raw:
    """An event as it stands in the log."""

    id: str
    time: str
    line: str  # rest of the first line
    body: str  # the further lines


def _reason(raw: _Raw) -> str:
    """Return the first line that says why, without the codes below it."""
    for line in raw.body.splitlines():
        text = line.strip()
        if text and not _CODES.match(line):
            return text
    return raw.line.strip()


def _plain(state: State, raw: _Raw) -> Event:
    return Event(raw.id, state, _seconds(raw.time))


def _with_reason(state: State, raw: _Raw) -> Event:
    return Event(raw.id, state, _seconds(raw.time), reason=_reason(raw))


def _executing(raw: _Raw) -> Event:
    found = _HOST.search(raw.body) or _HOST.search(raw.line)
    return Event(raw.id, State.RUNNING, _seconds(raw.time), host=found[1] if found else "")


def _terminated(raw: _Raw) -> Event:
    returned, signalled = _RETURNED.search(raw.body), _SIGNALLED.search(raw.body)
    memory = _MEMORY.search(raw.body)
    code = int(returned[1]) if returned else None
    return Event(
        raw.id,
        State.DONE if code == 0 else State.FAILED,
        _seconds(raw.time),
        exit_code=code,
        signal=int(signalled[1]) if signalled else None,
        memory_mb=int(memory[1]) if memory else None,
    )


def _aborted(raw: _Raw) -> Event:
    reason = _reason(raw)
    is_over = all(words in raw.body for words in _TIME_IS_OVER)
    return Event(raw.id, State.TIMEOUT if is_over else State.REMOVED, _seconds(raw.time), reason=reason)


def _held(raw: _Raw) -> Event:
    codes = _CODES.search(raw.body)
    code = int(codes[1]) if codes else None
    subcode = int(codes[2]) if codes and codes[2] else None
    return Event(raw.id, State.HELD, _seconds(raw.time), reason=_reason(raw), code=code, subcode=subcode)


#: What each event means; the others (image size, file transfer, ...) change no state.
_MEANING: dict[str, Callable[[_Raw], Event]] = {
    "000": functools.partial(_plain, State.IDLE),
    "001": _executing,
    "002": functools.partial(_with_reason, State.IDLE),  # cannot be executed: a hold follows
    "004": functools.partial(_with_reason, State.IDLE),  # evicted
    "005": _terminated,
    "007": functools.partial(_with_reason, State.IDLE),  # shadow exception
    "009": _aborted,
    "010": functools.partial(_plain, State.RUNNING),  # suspended
    "011": functools.partial(_plain, State.RUNNING),
    "012": _held,
    "013": functools.partial(_with_reason, State.IDLE),  # released
    "021": functools.partial(_with_reason, State.RUNNING),  # an error at the worker; what follows says more
    "022": functools.partial(_with_reason, State.RUNNING),  # disconnected, may come back
    "023": functools.partial(_with_reason, State.RUNNING),
    "024": functools.partial(_with_reason, State.IDLE),  # cannot come back
}


def parse_events(text: str) -> tuple[list[Event], int]:
    """Return the events of whole blocks of ``text`` that change a state, and the length of those blocks.

    Lines that belong to no event, and an event that another one interrupts, are passed over.
    """
    end = text.rfind(_END)
    if end < 0:
        return [], 0
    end += len(_END)
    headers = list(_HEADER.finditer(text, 0, end))
    events = []
    for position, found in enumerate(headers):
        meaning = _MEANING.get(found[1])
        if meaning is None:
            continue
        limit = headers[position + 1].start() if position + 1 < len(headers) else end
        stop = text.find(_END, found.end(), limit)
        if stop < 0 and position + 1 < len(headers):
            continue  # torn: the schedd died while it wrote
        raw = _Raw(
            f"{int(found[2])}.{int(found[3])}",
            found[4] + (found[5] or ""),
            found[6],
            text[found.end() : stop],
        )
        events.append(meaning(raw))
    return events, end


@functools.lru_cache(maxsize=4096)
def _seconds(text: str) -> float:
    """Return seconds since the epoch: of a local time, or of one with a zone; this year when it has none."""
    text = text.replace("/", "-").replace("T", " ").replace("Z", "+0000")
    if text[4] != "-":
        text = f"{time.localtime().tm_year}-{text}"
    try:
        if len(text) > 19:
            return time.mktime(time.strptime(text[:19], "%Y-%m-%d %H:%M:%S")) - _zone(text)
        return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
    except (ValueError, OverflowError):
        return 0.0


def _zone(text: str) -> float:
    """Return by how many seconds the zone of a time is ahead of the local one."""
    digits = text[19:].replace(":", "")
    ahead = (int(digits[1:3]) * 3600 + int(digits[3:5]) * 60) * (-1 if digits[0] == "-" else 1)
    local = time.localtime(time.mktime(time.strptime(text[:19], "%Y-%m-%d %H:%M:%S"))).tm_gmtoff
    return ahead - local


class CondorLog:
    """One log, read piece by piece."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._inode: tuple[int, int] | None = None
        self._head = b""
        self._seen: tuple[int, int] | None = None  # size and mtime_ns at the last reading

    def read(self) -> list[Event]:
        """Return what was logged since the last reading; nothing while there is no log.

        After a replacement events may come again. Raises InputFileError when the log cannot be read.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._error(error) from error
        inode, mark = (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns)
        if inode == self._inode and mark == self._seen:
            return []
        try:
            events = self._rest_of_the_old() if self._inode not in (None, inode) else []
            if inode != self._inode or not self._goes_on(status.st_size):
                self._inode, self._offset, self._head = inode, 0, b""
            events += self._read_on(self.path)
        except OSError as error:
            raise self._error(error) from error
        self._seen = mark
        return events

    def _goes_on(self, size: int) -> bool:
        """Return whether this is the log that was read so far, only longer."""
        if size < self._offset:
            return False
        with self.path.open("rb") as file:
            return file.read(len(self._head)) == self._head

    def _rest_of_the_old(self) -> list[Event]:
        """Read on in the log that the present one has replaced, when it is still there."""
        for old in (self.path.with_name(f"{self.path.name}{ending}") for ending in (".old", ".1")):
            try:
                status = old.stat()
            except OSError:
                continue
            if (status.st_dev, status.st_ino) == self._inode:
                return self._read_on(old)
        return []

    def _read_on(self, path: Path) -> list[Event]:
        events: list[Event] = []
        with path.open("rb") as file:
            if len(self._head) < _HEAD:
                self._head = file.read(min(_HEAD, os.fstat(file.fileno()).st_size))
            file.seek(self._offset)
            rest = b""
            while data := file.read(_CHUNK):
                rest += data
                whole = rest[: rest.rfind(b"\n...\n") + len(_END)] if b"\n...\n" in rest else b""
                # latin-1 keeps one character for one byte, so lengths are offsets; reasons are decoded again
                found, length = parse_events(whole.decode("latin-1"))
                events += map(_decoded, found)
                self._offset += length
                rest = rest[length:]
        return events

    def _error(self, error: OSError) -> InputFileError:
        msg = f"the event log {self.path} cannot be read: {error.strerror or error}."
        return InputFileError(msg)


def _decoded(event: Event) -> Event:
    if event.reason.isascii():
        return event
    return dataclasses.replace(event, reason=event.reason.encode("latin-1").decode("utf-8", "replace"))


def read_logs(logs: Iterable[CondorLog]) -> list[Event]:
    """Return what is new in all logs."""
    return [event for log in logs for event in log.read()]
