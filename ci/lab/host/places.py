"""Folders of the lab on the host: everything is below one cache folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
RECIPE = PROJECT / "ci" / "lab" / "recipe"
LOCKS = PROJECT / "containers" / "locks"


def cache() -> Path:
    """Return the project's cache folder: $POCKET_COFFEA_CACHE, else ~/.cache/pocket-coffea."""
    chosen = os.environ.get("POCKET_COFFEA_CACHE")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "pocket-coffea"


def lab_cache() -> Path:
    return cache() / "lab"


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
