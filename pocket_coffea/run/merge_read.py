"""Reading many outputs: files are read and unpacked ahead in threads, and handed out one by one, in order."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pocket_coffea.errors import InputFileError, ProcessingError
from pocket_coffea.run.merge_source import Source, copy_here, size_of
from pocket_coffea.utils.output_file import is_zip, load_output, read_packed, unpickle_output

__all__ = ["MemoryLimit", "natural_order", "read_output", "read_outputs"]

#: Files are read ahead as long as they have this many bytes together; one is in any case.
AHEAD_BYTES = 16_000_000
_GB = 1024.0**3


def read_outputs(
    paths: Sequence[Source], ahead: int, cache: str | None = None
) -> Iterator[tuple[Source, dict[str, Any] | InputFileError]]:
    """Yield (path, output) in order, or the error in place of an output that cannot be read.

    Every file is unpickled once. At most ``ahead`` files are kept in memory besides the one that is handed
    out, and of large files only one. ``cache``: folder for copies of what is on a server.
    """
    waiting = deque(paths)
    reads: deque[tuple[Source, Future[Any], int]] = deque()
    read_one = functools.partial(_read, cache=cache)
    with ThreadPoolExecutor(min(ahead, os.cpu_count() or 1), thread_name_prefix="read-output") as pool:
        try:
            while waiting or reads:
                _start_reading(functools.partial(pool.submit, read_one), waiting, reads, ahead)
                path, read, _ = reads.popleft()
                box = [_finish(path, read)]
                del read
                _start_reading(functools.partial(pool.submit, read_one), waiting, reads, ahead)
                yield path, box.pop()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_reading(
    read: Callable[[Source], Future[Any]],
    waiting: deque[Source],
    reads: deque[tuple[Source, Future[Any], int]],
    ahead: int,
) -> None:
    size = sum(each for *_, each in reads)
    while waiting and len(reads) < ahead:
        try:
            mine = size_of(waiting[0])
        except OSError:
            mine = 0  # reading it says why
        if reads and size + mine > AHEAD_BYTES:
            return
        path = waiting.popleft()
        reads.append((path, read(path), mine))
        size += mine


def _read(path: Source, cache: str | None) -> bytes | dict[str, Any]:
    with copy_here(path, cache) as file:
        return load_output(file) if is_zip(file) else read_packed(file)


def read_output(path: Source, cache: str | None = None) -> dict[str, Any]:
    """Return one output. Raises InputFileError."""
    with copy_here(path, cache) as file:
        return load_output(file)


def _finish(path: Source, read: Future[Any]) -> dict[str, Any] | InputFileError:
    try:
        found = read.result()
        return found if isinstance(found, dict) else unpickle_output(found, path)
    except InputFileError as exc:
        return exc


class MemoryLimit:
    """What the process may take, in GB; by default what is free when it starts (on Linux; else no limit)."""

    def __init__(self, gigabytes: float | None) -> None:
        free = _proc("/proc/meminfo", "MemAvailable:")
        self.limit = free + _proc("/proc/self/status", "VmRSS:") if gigabytes is None else gigabytes
        self._option = "what is free" if gigabytes is None else "--max_mem_gb"

    def check(self) -> None:
        """Raise ProcessingError when the process has more."""
        used = _proc("/proc/self/status", "VmRSS:")
        if self.limit and used > self.limit:
            msg = (
                f"Merging takes {used:.1f} GB of memory, more than {self._option} ({self.limit:.1f} GB); "
                "nothing was written. Merge where there is more, or in parts: `pocket-coffea split-output "
                "-b category` on each input, or split-by-category for the jobs, then a merge for each block."
            )
            raise ProcessingError(msg)


def _proc(path: str, key: str) -> float:
    """Return a number of kB from /proc, in GB; 0 where there is none."""
    try:
        text = Path(path).read_text(encoding="ascii")
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith(key)), f"{key} 0")
    return int(line.split()[1]) * 1024 / _GB


def natural_order(path: Source) -> list[tuple[int, str]]:
    """Return a key that sorts files as people do: job_2 before job_10.

    >>> sorted([Path("job_10"), Path("job_2")], key=natural_order)[0].name
    'job_2'
    """
    parts: list[str] = []
    for character in str(path):
        if parts and parts[-1][-1].isdecimal() == character.isdecimal():
            parts[-1] += character
        else:
            parts.append(character)
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]
