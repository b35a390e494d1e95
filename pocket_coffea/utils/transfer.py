"""Deliver a finished local file to where results are kept: a folder, or an XRootD server."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from pocket_coffea.errors import CommandFailed, OutputError
from pocket_coffea.utils.process import run_command

__all__ = ["deliver", "is_remote", "join"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 1800


def is_remote(destination: str) -> bool:
    """Tell whether the destination is an XRootD address."""
    return destination.startswith("root://")


def join(folder: str, *parts: str) -> str:
    """Join a folder or XRootD address with path components.

    >>> join("root://host//store/", "DY", "a.root")
    'root://host//store/DY/a.root'
    """
    return "/".join([folder.rstrip("/") if folder != "/" else "", *parts])


def deliver(local: Path, destination: str) -> str:
    """Move ``local`` to ``destination`` and return the address; the file appears there whole or not at all.

    Raises OutputError naming the file, the destination and the reason.
    """
    if is_remote(destination):
        _copy_xrootd(local, destination)
        local.unlink()
        return destination
    target = Path(destination)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(local, part)
        part.replace(target)
        local.unlink()
    except OSError as exc:
        with contextlib.suppress(OSError):
            part.unlink()
        msg = f"Cannot write {destination}: {exc.strerror or exc}."
        raise OutputError(msg) from exc
    return destination


def _copy_xrootd(local: Path, destination: str) -> None:
    program = shutil.which("xrdcp")
    if program is None:
        msg = (
            f"Cannot write {destination}: the program 'xrdcp' is not installed. "
            "Install XRootD, or use a local folder."
        )
        raise OutputError(msg)
    argv = [program, "--force", "--silent", "--path", str(local), destination]
    try:
        run_command(argv, timeout=_TIMEOUT_S)
    except CommandFailed as exc:
        msg = f"Cannot write {destination}: {exc}"
        raise OutputError(msg) from exc
    log.info("delivered %s", destination)
