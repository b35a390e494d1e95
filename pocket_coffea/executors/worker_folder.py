"""The private folder of one run, with what its workers need: start script, proxy, certificates of the run.

It is removed at the end of the run. That of a run that was killed is removed by the next one that starts
beside it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import tempfile
from pathlib import Path

from pocket_coffea.errors import OutputError

__all__ = ["WorkerFolder"]

log = logging.getLogger(__name__)

_PREFIX = ".workers-"
_OWNER = ".owner.json"


class WorkerFolder:
    """A new folder in ``parent``, which is made when needed. Others can neither enter nor read it."""

    def __init__(self, parent: Path) -> None:
        """Raises OutputError when it cannot be made."""
        parent = Path(parent).absolute()
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(parent)
            # mkdtemp: mode 0700
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        except OSError as error:
            msg = f"No folder for the workers can be made in {parent}: {error.strerror or error}."
            raise OutputError(msg) from error
        self.add(_OWNER, json.dumps(_this_process()).encode())

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that was added, by name."""
        return tuple(sorted(path for path in self.path.iterdir() if not path.name.startswith(".")))

    def add(self, name: str, content: bytes | str, secret: bool = True) -> Path:
        """Write a file, whole or not at all; return its path. The mode is 0600, 0700 when not ``secret``.

        Raises OutputError.
        """
        path = self.path / name
        temporary = path.with_name(f".{name}.tmp")
        data = content.encode() if isinstance(content, str) else content
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600 if secret else 0o700)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            msg = f"{path} cannot be written: {error.strerror or error}."
            raise OutputError(msg) from error
        return path

    def copy(self, source: Path) -> Path:
        """Copy a file under its own name, whole or not at all; return the copy. Raises OutputError."""
        path = self.path / source.name
        temporary = path.with_name(f".{source.name}.tmp")
        try:
            shutil.copyfile(source, temporary)
            temporary.chmod(0o600)
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            msg = f"{source} cannot be copied to {path}: {error.strerror or error}."
            raise OutputError(msg) from error
        return path

    def close(self) -> None:
        """Remove the folder; a second time does nothing."""
        _remove(self.path)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of runs of this machine that have ended without doing so."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            owner = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
            abandoned = owner["host"] == _host() and _started(owner["pid"]) != owner["started"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # just being made, or not ours
        if abandoned:
            log.info("removing %s, left behind by a run that was killed", folder)
            _remove(folder)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s cannot be removed (%s); it holds secrets of the run: remove it", folder, error)


def _this_process() -> dict[str, object]:
    pid = os.getpid()
    return {"host": _host(), "pid": pid, "started": _started(pid)}


def _host() -> str:
    """Return what process numbers belong to: a container may have numbers of its own."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _started(pid: int) -> str:
    """Return when a process started, in the kernel's words with the boot they belong to; empty when it is
    gone. A process number alone is used again."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return f"{words.split()[19]} {boot}"
