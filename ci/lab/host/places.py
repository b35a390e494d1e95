"""Folders of the lab on the host: everything is below one cache folder."""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ci.lab.errors import LabError

PROJECT = Path(__file__).resolve().parents[3]
RECIPE = PROJECT / "ci" / "lab" / "recipe"
LOCKS = PROJECT / "containers" / "locks"


def cache() -> Path:
    """Return the project's cache folder: $POCKET_COFFEA_CACHE, else ~/.cache/pocket-coffea."""
    chosen = os.environ.get("POCKET_COFFEA_CACHE")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "pocket-coffea"


def lab_cache() -> Path:
    return cache() / "lab"


def make_lab_cache() -> None:
    """Make the folder of the labs; root's alone, since a lab's users have numbers of the host's users."""
    lab_cache().mkdir(parents=True, exist_ok=True)
    lab_cache().chmod(0o700)


def remove(folder: Path, attempts: int = 5) -> None:
    """Remove a folder and all in it, if it is there; raises LabError when something of it stays.

    Again when it is not empty: what wrote in it may have been killed a moment ago.
    """
    if mounted := mounts_below(folder):
        msg = f"{mounted[-1]} is a mount, so {folder} is not removed; end it: umount '{mounted[-1]}'"
        raise LabError(msg)
    for attempt in range(1, attempts + 1):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError as error:
            if attempt == attempts:
                msg = f"{folder} cannot be removed: {error}"
                raise LabError(msg) from error
            time.sleep(0.2)
        else:
            return


def mounts_below(folder: Path) -> list[str]:
    """Return what is mounted in a folder (proc(5), mountinfo: blanks and the like are octal there)."""
    rows = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), row.split()[4]) for row in rows]
    return [point for point in points if point.startswith(f"{folder}/")]


def image_store() -> Path:
    chosen = os.environ.get("POCKET_COFFEA_IMAGES")
    return Path(chosen).absolute() if chosen else cache() / "images"


@dataclass(frozen=True)
class Instance:
    """The folder of one lab: its writable layer, work folder, logs, control socket and pid."""

    name: str

    @property
    def folder(self) -> Path:
        return lab_cache() / "instances" / self.name

    @property
    def pid_file(self) -> Path:
        return self.folder / "init.pid"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def layers(self) -> Path:
        return self.folder / "layers"
