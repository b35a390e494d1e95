"""The lab's processes as the kernel shows them: their descent and memory; and ending them hard."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One process; ``memory`` is what it has in RAM, in bytes."""

    pid: int
    parent: int
    name: str
    memory: int


def table() -> dict[int, Process]:
    """Return all live processes of the lab by pid; ended ones that wait for their parent are left out."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            before, _, after = (folder / "stat").read_text(errors="replace").rpartition(")")
            fields = after.split()
            if fields[0] not in "ZX":
                pid, _, name = before.partition(" (")
                found[int(pid)] = Process(int(pid), int(fields[1]), name, int(fields[21]) * PAGE)
    return found


def descendants(roots: Iterable[int], processes: Mapping[int, Process]) -> set[int]:
    """Return the pids of the processes below ``roots``, without these."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    todo = list(roots)
    while todo:
        new = [pid for pid in children.get(todo.pop(), []) if pid not in found]
        found.update(new)
        todo += new
    return found


def command_line(pid: int) -> str:
    """Return the command line of a process, its parts separated by blanks; empty when it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def kill_trees(roots: Iterable[int], *, spare_roots: bool = False) -> int:
    """End the processes ``roots`` and all below them with SIGKILL and return how many these were.

    All are stopped first, so that none sees another one die, and none gets away by a fork.
    """
    roots = set(roots)
    stopped: set[int] = set() if spare_roots else roots
    _signal(stopped, signal.SIGSTOP)
    while new := descendants(roots, table()) - stopped:
        _signal(new, signal.SIGSTOP)
        stopped = stopped | new
    _signal(stopped, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while stopped & set(table()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(stopped)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
