"""Fault `disk full|free [/shared|/scratch]`: whoever writes there gets "No space left on device"."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ci.lab.errors import LabError
from ci.lab.host.enter import SCRATCH_SIZE, SHARED_SIZE
from ci.lab.layout import SCRATCH, SHARED
from ci.lab.process import run

if TYPE_CHECKING:
    from ci.lab.inside.supervisor import Supervisor

NAME = "disk"
SIZES = {SHARED: SHARED_SIZE, SCRATCH: SCRATCH_SIZE}
USAGE = f"disk full | disk free, then {' or '.join(map(str, SIZES))} (without: both)"


def switch(supervisor: Supervisor, words: list[str]) -> str:
    """Fill or free the file systems; raises LabError on other words than those of the usage."""
    match words:
        case [("full" | "free") as what, *names] if set(names) <= set(map(str, SIZES)):
            disks = [Path(name) for name in names] or list(SIZES)
        case _:
            msg = f"unknown words {' '.join(words)!r}; there are: {USAGE}"
            raise LabError(msg)
    for disk in disks:
        if what == "full":
            _fill(disk)
            supervisor.faults[f"{NAME} {disk}"] = f"{disk} full"
        else:
            _resize(disk, SIZES[disk])
            supervisor.faults.pop(f"{NAME} {disk}", None)
    sizes = ", ".join(f"{disk} has {shutil.disk_usage(disk).free / 1024**2:.0f} MiB free" for disk in disks)
    return f"{sizes}; `disk free` undoes it" if what == "full" else sizes


def _fill(disk: Path, attempts: int = 20) -> None:
    """Shrink the file system to what is in it; again when somebody wrote meanwhile."""
    for attempt in range(attempts):
        used = max(shutil.disk_usage(disk).used, 4096)  # a size of 0 would be no limit
        try:
            _resize(disk, str(used))
        except LabError:
            if attempt == attempts - 1:
                raise
        else:
            return


def _resize(disk: Path, size: str) -> None:
    run(["mount", "-o", f"remount,size={size}", disk], timeout=20)
