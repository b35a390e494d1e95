"""Deliver a finished local file to where results are kept, a folder or an XRootD server; bring one here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pocket_coffea.errors import CommandFailed, InputFileError, OutputError
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.process import run_command

__all__ = ["STAGE", "absolute", "deliver", "fetch", "is_remote", "join", "staged"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 1800
#: Variable that names the folder in which a job keeps files until all that it makes is delivered together.
STAGE = "POCKET_COFFEA_STAGE"
_DATA, _ABOUT = ".data", ".json"


def is_remote(destination: str) -> bool:
    """Tell whether the destination is an XRootD address."""
    return destination.startswith("root://")


def absolute(folder: str) -> str:
    """Return a folder as it is called from everywhere, ``~`` expanded; an address stays as it is."""
    return folder if "://" in folder else str(Path(folder).expanduser().absolute())


def join(folder: str, *parts: str) -> str:
    """Join a folder or XRootD address with path components.

    >>> join("root://host//store/", "DY", "a.root")
    'root://host//store/DY/a.root'
    """
    return "/".join([folder.rstrip("/") if folder != "/" else "", *parts])


def deliver(local: Path, destination: str) -> str:
    """Move ``local`` to ``destination`` and return the address; the file appears there whole or not at all.

    In a job with a stage it waits there, see :func:`staged`. Raises OutputError naming the file, the
    destination and the reason.
    """
    if stage := os.environ.get(STAGE):
        return _stage(local, destination, Path(stage))
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


def fetch(address: str, local: Path) -> None:
    """Copy a file from an XRootD server. Raises InputFileError naming the address and the reason."""
    program = shutil.which("xrdcp")
    if program is None:
        msg = f"Cannot read {address}: the program 'xrdcp' is not installed. Install XRootD, or copy it here."
        raise InputFileError(msg)
    try:
        run_command([program, "--force", "--silent", "--nopbar", address, str(local)], timeout=_TIMEOUT_S)
    except CommandFailed as exc:
        msg = f"Cannot read {address}: {exc}"
        raise InputFileError(msg) from exc


def _stage(local: Path, destination: str, stage: Path) -> str:
    name = hashlib.sha256(destination.encode()).hexdigest()[:32]
    try:
        stage.mkdir(parents=True, exist_ok=True)
        part = stage / f".{name}.{os.getpid()}.part"
        shutil.move(local, part)
        part.replace(stage / (name + _DATA))
    except OSError as exc:
        msg = f"Cannot keep {local} for {destination} in {stage}: {exc.strerror or exc}."
        raise OutputError(msg) from exc
    write_whole(stage / (name + _ABOUT), json.dumps({"destination": destination}))
    return destination


def staged(stage: Path) -> Iterator[tuple[Path, str]]:
    """Yield (file, destination) of what waits in a stage, by destination. Raises OutputError."""
    found = {}
    for about in stage.glob(f"*{_ABOUT}"):
        try:
            found[str(json.loads(about.read_bytes())["destination"])] = about.with_suffix(_DATA)
        except (OSError, ValueError, KeyError) as exc:
            msg = f"{about}, which says where a file goes, cannot be read: {exc}."
            raise OutputError(msg) from exc
    for destination in sorted(found):
        yield found[destination], destination


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
