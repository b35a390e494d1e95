"""What a service of the lab is: files, daemons, a health check, and what clients need to know."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ci.lab.errors import LabError, NotReadyError

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Daemon:
    """One process of a service, kept in the foreground by its supervisor."""

    name: str
    command: Sequence[str]
    user: str = "root"
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/"


class Service:
    """A service; a module of ``ci/lab/services`` defines one as ``SERVICE``.

    Subclasses set ``name`` and override what they need. Everything runs inside the lab, as root.
    """

    name = ""
    needs: tuple[str, ...] = ()  # services that must be healthy first
    settle_needs: tuple[str, ...] = ()  # services that must be healthy before `settle` only
    ports: tuple[int, ...] = ()  # that its daemons will listen on
    stop_seconds = 8.0  # what its daemons get to end by themselves
    up_seconds = 60.0

    def prepare(self) -> None:
        """Write configuration and folders; called once before the daemons start. May raise LabError."""

    def daemons(self) -> list[Daemon]:
        """Return the processes to start, in order."""
        return []

    def check(self) -> str:
        """Return a short text for the status when a client gets an answer; raise NotReadyError if not."""
        raise NotImplementedError

    def settle(self) -> None:
        """Fill the running service with what clients expect; called once, after the first good check."""

    def environment(self) -> Mapping[str, str]:
        """Return environment variables of every user of the lab."""
        return {}


def until_ready(check: Callable[[], Answer], seconds: float, late: str) -> Answer:
    """Call ``check`` until it raises no NotReadyError; return what it returned.

    Raises LabError with ``late`` and the last reason when that takes longer than ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return check()
        except NotReadyError as error:
            if time.monotonic() > deadline:
                msg = f"{late}: {error}"
                raise LabError(msg) from error
        time.sleep(0.25)


def must_listen(port: int, host: str = "127.0.0.1", timeout: float = 1.0) -> None:
    """Raise NotReadyError unless something accepts connections at the port."""
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError as error:
        msg = f"nothing listens on {host}:{port}"
        raise NotReadyError(msg) from error


def write(path: Path | str, text: str, mode: int = 0o644, owner: str = "root") -> Path:
    """Write a configuration file with its mode and owner, and the folders above it."""
    import shutil

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    shutil.chown(path, owner, owner)
    path.chmod(mode)
    return path


def folder(path: Path | str, owner: str = "root", mode: int = 0o755) -> Path:
    """Make a folder with its owner and mode."""
    import shutil

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    shutil.chown(path, owner, owner)
    path.chmod(mode)
    return path
