"""The lock that keeps a second monitor out of a jobs folder, and says who has it.

The lock is the kernel's (flock), so that the death of its owner frees it at once. The file names the owner,
because file systems as AFS and EOS do not carry flock from one machine to another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shlex
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pocket_coffea.errors import OutputError, ResultsRefused

__all__ = ["LOCK_NAME", "Lock", "Owner"]

LOCK_NAME = ".check_jobs.lock"


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """The process that has the lock."""

    hostname: str
    pid: int
    start_time: float  # of the process, in seconds since the epoch
    command_line: str

    @classmethod
    def this_process(cls) -> Owner:
        pid = os.getpid()
        return cls(os.uname().nodename, pid, _start_of(pid) or time.time(), shlex.join(sys.argv))

    @classmethod
    def from_text(cls, text: str) -> Owner | None:
        """Return the owner that a lock file names; None when it names none, or was torn."""
        try:
            values = json.loads(text)
            return cls(
                str(values["hostname"]),
                int(values["pid"]),
                float(values["start_time"]),
                str(values["command_line"]),
            )
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def is_elsewhere(self) -> bool:
        return self.hostname != os.uname().nodename

    @property
    def lives(self) -> bool:
        """Whether that process still runs on this machine; a later process of the same number is another."""
        start = _start_of(self.pid)
        return start is not None and abs(start - self.start_time) < 2.0

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.start_time))
        return f"process {self.pid} on {self.hostname}, started {since}: {self.command_line}"


def _start_of(pid: int) -> float | None:
    """Return when a process of this machine started; None when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    except (OSError, StopIteration):
        return None
    if fields[0] == "Z":
        return None
    return int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


class Lock:
    """``with Lock(folder): ...``. Raises ResultsRefused naming the owner when another monitor has it."""

    def __init__(self, folder: Path, *, override: bool = False) -> None:
        """``override`` takes it from an owner on another machine, whose life cannot be seen from here."""
        self.path = folder / LOCK_NAME
        self.override = override
        self._file = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock. Raises ResultsRefused naming its owner, OutputError when it cannot be made."""
        try:
            self._file = self._open()
            self._refuse_a_living_owner()
            text = json.dumps(dataclasses.asdict(Owner.this_process()))
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text.encode(), 0)
            os.fsync(self._file)
        except OSError as error:
            self._close()
            msg = f"the lock {self.path} cannot be taken: {error.strerror or error}."
            raise OutputError(msg) from error

    def _open(self) -> int:
        """Return the open and locked file, which still is the one of that name."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = Owner.from_text(_text(descriptor))
                os.close(descriptor)
                raise self._refusal(owner) from None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                    return descriptor
            os.close(descriptor)  # its owner has just removed it

    def _refuse_a_living_owner(self) -> None:
        owner = Owner.from_text(_text(self._file))
        if owner is None or self.override:
            return
        if owner.is_elsewhere or owner.lives:
            refusal = self._refusal(owner)
            self._close()
            raise refusal

    def _refusal(self, owner: Owner | None) -> ResultsRefused:
        who = str(owner) if owner else "a process that has not written its name yet"
        step = "End it first."
        if owner and owner.is_elsewhere:
            step = f"End it there; if it does not run any more, remove {self.path}."
        msg = f"{self.path.parent} is watched already by {who}. Two monitors would send jobs twice. {step}"
        return ResultsRefused(msg)

    def release(self) -> None:
        """Give the lock back; the file goes with it."""
        if self._file >= 0:
            self.path.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 65536, 0).decode("utf-8", "replace")
