"""Folders that builds work in: they have room for a root file system, and are gone when their builder is.

What a killed builder leaves is removed by the next one. A builder holds a lock in its folder, which the
kernel takes from it when it ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pocket_coffea.errors import CommandFailed, OutputError
from pocket_coffea.utils.process import run_command

__all__ = ["SPACE", "remove_leftovers", "work_folder"]

#: Bytes free that a build needs for its work.
SPACE = 5 * 10**9
_PREFIX = "pocket-coffea-image-"
_LOCK = ".builder"
_LIMIT = 600.0
#: What is killed is gone within these seconds.
_DYING = 10.0
_DAY = 86400.0


@contextmanager
def work_folder() -> Iterator[Path]:
    """Give a folder below ``TMPDIR`` that the users of a user namespace can read.

    Raises OutputError when there is no room, and for what the disk does while it is used.
    """
    try:
        # nobody sees it by its name before its lock is held
        hidden = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
        hidden.chmod(0o755)
        lock = (hidden / _LOCK).open("w", encoding="utf-8")
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = hidden.rename(hidden.with_name(hidden.name.removeprefix(".")))
        free = shutil.disk_usage(folder).free
    except OSError as error:
        why = error.strerror or error
        msg = f"No folder for the work can be made: {why}. Name one that has room: TMPDIR=..."
        raise OutputError(msg) from error
    try:
        with lock:
            _require_open(folder)
            _require_room(folder, free)
            yield folder
    except OSError as error:
        if isinstance(error, OutputError) or error.errno is None:
            raise
        msg = f"The build could not go on: {error.strerror} ({error.filename or folder})."
        raise OutputError(msg) from error
    finally:
        _remove(folder)


def remove_leftovers(say: Callable[[str], None]) -> list[Path]:
    """Remove the work folders of this user's builders that are no more below ``TMPDIR``; return them.

    One that cannot be removed stays; ``say`` is told.
    """
    removed = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        with _if_dead(folder) as dead:
            if dead and _end_processes(folder) and _remove(folder):
                removed.append(folder)
            elif dead:
                say(f"{folder} is left from a build that was killed, and cannot be removed.")
    return removed


@contextmanager
def _if_dead(folder: Path) -> Iterator[bool]:
    """Give whether a folder is this user's and its builder is no more; its lock is then held.

    One without a lock is of an older version, or half removed: it is dead after a day.
    """
    lock: IO[str] | None = None
    dead = False
    try:
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
            dead = status.st_mtime < time.time() - _DAY
            if (folder / _LOCK).exists():
                lock = (folder / _LOCK).open("r+", encoding="utf-8")
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                dead = True
    except OSError:
        # a builder has it, or another one has just removed it
        yield False
    else:
        yield dead
    finally:
        if lock is not None:
            lock.close()


def _end_processes(folder: Path) -> bool:
    """End what goes on in the folder of a dead builder: mmdebstrap names it, and its other processes end with
    it. Return whether all are gone. Its owner may signal the users of a namespace, too."""
    named = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if _names(path, folder)]
    for process in named:
        with suppress(OSError):
            os.kill(int(process.name), signal.SIGKILL)
    limit = time.monotonic() + _DYING
    while any(process.exists() for process in named):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def _names(cmdline: Path, folder: Path) -> bool:
    """Return whether an argument of a process is the folder or a path in it."""
    try:
        words = cmdline.read_bytes().split(b"\0")
    except OSError:
        return False
    beginning = os.fsencode(folder)
    return any(word == beginning or word.startswith(beginning + b"/") for word in words)


def _remove(folder: Path) -> bool:
    """Remove a folder; return whether it is gone."""
    if os.geteuid() != 0:
        # the root file system belongs to subordinate ids, and only their namespace may remove it
        with suppress(CommandFailed):
            argv = ["unshare", "--map-root-user", "--map-auto", "rm", "-rf", "--", str(folder)]
            run_command(argv, timeout=_LIMIT)
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _require_room(folder: Path, free: int) -> None:
    if free < SPACE:
        msg = (
            f"{folder.parent} has {free / 1e9:.1f} GB free; a build needs {SPACE / 1e9:.0f} GB. "
            "Name a folder that has them: TMPDIR=..."
        )
        raise OutputError(msg)


def _require_open(folder: Path) -> None:
    """The users of a user namespace must get to the work. Raises OutputError naming what is closed."""
    closed = [path for path in folder.resolve().parents if path.stat().st_mode & 0o001 == 0]
    if os.geteuid() != 0 and closed:
        msg = (
            f"{closed[0]} is closed to the users that a build has in its user namespace. Open it (chmod o+x "
            f"{closed[0]}), or name another folder for the work: TMPDIR=..."
        )
        raise OutputError(msg)
