"""Reads ahead what ``import coffea`` needs of an image, while Python computes: on a processor that is idle.

Mounted with squashfuse, each piece of a library is asked of another process, which unpacks it while Python
waits. The first heavy import (see ``bytecode_archive.py``) starts this as a process, which asks for all of
them in the order of use, as listed in ``/opt/pocket-coffea/read_ahead.txt``. ``ci/image_reads.py`` makes the
list. A thread would not do: Python keeps its lock while it loads a library, when there is most to read, and
gives it up every 5 ms while it computes.
"""
# pathlib is not imported here: the import of coffea waits for this module

from __future__ import annotations

import _thread
import os
import sys

LIST = "/opt/pocket-coffea/read_ahead.txt"
#: Bytes that squashfuse unpacks at once: the blocks of the squashfs. The list counts in them.
BLOCK = 128 * 1024
#: All blocks of a file, for one that is listed without ranges: as many as one call reads.
WHOLE = "0-16383"


def start(path: str = LIST) -> bool:
    """Read ahead in a process; return whether one was started. With one processor there is nothing to gain.

    Raises OSError when this user can have no process more.
    """
    if len(os.sched_getaffinity(0)) < 2 or not sys.executable:
        return False
    # who reads the output of this program does not wait for the end of the other
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    # -I and -S: no variable of the user, no package, and not this again
    argv = [sys.executable, "-I", "-S", __file__, path, str(os.getpid())]
    process = os.posix_spawn(sys.executable, argv, {}, file_actions=silent)
    try:
        _thread.start_new_thread(_wait_for, (process,))
    except RuntimeError:
        # this user has no thread left: it is waited for when this process is gone
        return True
    return True


def _wait_for(process: int) -> None:
    try:
        os.waitpid(process, 0)
    except ChildProcessError:
        # the program waits for all of its processes itself
        return


def read(path: str, parent: int | None = None) -> int:
    """Bring what is listed into the page cache, until the parent ends; return the bytes of it.

    Raises OSError, ValueError: a bad list, or no parent any more.
    """
    with open(path) as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    null = os.open("/dev/null", os.O_WRONLY)
    try:
        return sum(_read_file(null, name, ranges or [WHOLE], parent) for name, *ranges in lines)
    finally:
        os.close(null)


def _read_file(null: int, name: str, ranges: list[str], parent: int | None) -> int:
    """Read blocks of a file, without a copy."""
    try:
        file = os.open(name, os.O_RDONLY)
    except FileNotFoundError:
        # another version is mounted over its package
        return 0
    try:
        total = 0
        for first, end in (map(int, item.split("-")) for item in ranges):
            if parent not in (None, os.getppid()):
                # Apptainer ends when all processes in the image have ended
                raise ProcessLookupError(parent)
            total += os.sendfile(null, file, first * BLOCK, (end - first) * BLOCK)
        return total
    finally:
        os.close(file)


def main(path: str, parent: str) -> None:
    """Read what is listed for a program; without it, that is read when it is needed."""
    # files and pipes that the program shares with its own processes
    os.closerange(3, 1 << 16)
    try:
        read(path, int(parent))
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
