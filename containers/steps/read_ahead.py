"""Reads ahead what ``import coffea`` needs of an image, while Python computes: on a processor that is idle.

Mounted with squashfuse, each piece of a library is asked of another process, which unpacks it while Python
waits. The first heavy import (see ``bytecode_archive.py``) starts a thread that asks for all of them in the
order of use, as listed in ``/opt/pocket-coffea/read_ahead.txt``. ``ci/image_reads.py`` makes the list.
"""
# pathlib is not imported here: the import of coffea waits for this module

from __future__ import annotations

import _thread
import os

LIST = "/opt/pocket-coffea/read_ahead.txt"
#: Bytes that squashfuse unpacks at once: the blocks of the squashfs. The list counts in them.
BLOCK = 128 * 1024
#: All blocks of a file, for one that is listed without ranges: as many as one call reads.
WHOLE = "0-16383"


def start(path: str = LIST) -> bool:
    """Read ahead in a thread; return whether one was started. With one processor there is nothing to gain."""
    if len(os.sched_getaffinity(0)) < 2:
        return False
    try:
        _thread.start_new_thread(_in_thread, (path,))
    except RuntimeError:
        # this user has no thread left: all is read when it is needed
        return False
    return True


def _in_thread(path: str) -> None:
    try:
        read(path)
    except (OSError, ValueError):
        # nothing depends on it: what is not read ahead is read when it is needed, and errors are said there
        return


def read(path: str) -> int:
    """Bring what is listed into the page cache; return its bytes. Raises OSError, ValueError: a bad list."""
    with open(path) as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    null = os.open("/dev/null", os.O_WRONLY)
    try:
        return sum(_read_file(null, name, ranges or [WHOLE]) for name, *ranges in lines)
    finally:
        os.close(null)


def _read_file(null: int, name: str, ranges: list[str]) -> int:
    """Read blocks of a file. Each is one call, without the lock of the interpreter and without a copy."""
    try:
        file = os.open(name, os.O_RDONLY)
    except FileNotFoundError:
        # another version is mounted over its package
        return 0
    try:
        total = 0
        for first, end in (map(int, item.split("-")) for item in ranges):
            total += os.sendfile(null, file, first * BLOCK, (end - first) * BLOCK)
        return total
    finally:
        os.close(file)
