"""How a job delivers: all its files or none, each with a checksum and first under a temporary name.

==========  ==========================================================================
a file for  goes
==========  ==========================================================================
``root://``  by xrdcp, with wall-clock limits
a folder     by a copy, where it is mounted; else by xrdcp to the site's address of it
(transfer)   into an archive that the batch system brings back
==========  ==========================================================================
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pocket_coffea.errors import CommandFailed, OutputError
from pocket_coffea.executors.jobs.facts import JobFacts, packed_outputs_name
from pocket_coffea.executors.jobs.packing import adler32_of, pack_outputs
from pocket_coffea.utils.process import run_command
from pocket_coffea.utils.transfer import is_remote

__all__ = ["Parcel", "deliver_all", "deliver_to_servers", "storage_address"]

log = logging.getLogger(__name__)

_SHORT_S = 120.0  # for questions to a server
_ADDRESS = re.compile(r"(?P<server>roots?://[^/]+)/(?P<path>/.*)")
_FIRST_PAUSE_S = 5.0


@dataclass(frozen=True)
class Parcel:
    """A finished file on scratch and its destination: a path, or an address."""

    file: Path
    destination: str
    size: int
    adler32: str

    @classmethod
    def of(cls, file: Path, destination: str) -> Parcel:
        """Measure a file. Raises OutputError when it cannot be read."""
        try:
            return cls(file, destination, file.stat().st_size, adler32_of(file))
        except OSError as error:
            msg = f"{file}, which goes to {destination}, cannot be read: {error.strerror or error}."
            raise OutputError(msg) from error

    def about(self) -> dict[str, Any]:
        """Return what reports say of it."""
        return {"path": self.destination, "size": self.size, "adler32": self.adler32}


class _Way(Protocol):
    """Brings one file, in two steps."""

    def send(self) -> None:
        """Bring it under its temporary name. Raises OutputError."""

    def settle(self) -> None:
        """Give it its name. Raises OutputError."""

    def drop(self) -> None:
        """Remove what is left under the temporary name."""


def deliver_all(
    parcels: Sequence[Parcel],
    facts: JobFacts,
    back: Path,
    job: int,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Deliver all files, the first one last. ``back``: the folder that the batch system fetches files from.

    Raises OutputError, naming file and destination; nothing is left under a temporary name then.
    """
    packed = [each for each in parcels if facts.way == "transfer" and not is_remote(each.destination)]
    ways = [_way(each, facts) for each in parcels if each not in packed]
    archive = back / packed_outputs_name(job)

    def pack() -> None:
        if packed:
            pack_outputs(archive, [(each.file, each.about()) for each in packed])

    _all_or_none(ways, facts.delivery_retries, pause, pack)


def deliver_to_servers(
    parcels: Sequence[Parcel],
    *,
    retries: int = 3,
    seconds: float = 1800.0,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Deliver files to addresses, as a job does; a copy may take ``seconds``.

    Raises OutputError, naming file and destination; nothing is left under a temporary name then.
    """
    _all_or_none([_XRootD(each, each.destination, seconds) for each in parcels], retries, pause)


def _all_or_none(
    ways: Sequence[_Way],
    retries: int,
    pause: Callable[[float], None],
    between: Callable[[], None] = lambda: None,
) -> None:
    """Send all, then settle all, the first one last; ``between`` is done when all was sent."""
    try:
        for way in ways:
            _again(way.send, retries, pause)
        between()
        for way in ways[::-1]:
            _again(way.settle, retries, pause)
    except BaseException:
        for way in ways:
            way.drop()
        raise


def _again(step: Callable[[], None], retries: int, pause: Callable[[float], None]) -> None:
    for attempt in range(retries + 1):
        try:
            return step()
        except OutputError as error:
            if attempt == retries:
                raise
            wait = _FIRST_PAUSE_S * 2**attempt
            log.warning("%s Tried again in %.0f s.", error, wait)
            pause(wait)
    return None


def storage_address(path: str, storage: Sequence[tuple[str, str]]) -> str | None:
    """Return the address of a path by the storage of the site; None when it has none.

    >>> storage_address("/eos/user/j/jdoe/a", [("/eos/user", "root://eosuser.cern.ch/")])
    'root://eosuser.cern.ch//eos/user/j/jdoe/a'
    """
    matching = [(len(prefix), url) for prefix, url in storage if path.startswith(prefix)]
    return f"{max(matching)[1].rstrip('/')}/{path}" if matching else None


def _way(parcel: Parcel, facts: JobFacts) -> _Way:
    """Choose how a file travels."""
    if is_remote(parcel.destination):
        return _XRootD(parcel, parcel.destination, facts.delivery_seconds)
    is_output = Path(parcel.destination).parent == Path(facts.target)
    folder = Path(parcel.destination).parent
    if not (folder.is_dir() if is_output else _is_mounted(folder)):
        address = storage_address(parcel.destination, facts.storage)
        if address is not None:
            return _XRootD(parcel, address, facts.delivery_seconds)
    return _Copy(parcel, may_make=not is_output)


def _is_mounted(folder: Path) -> bool:
    """Return whether any part of a path exists here."""
    return any(each.is_dir() for each in (folder, *folder.parents) if each != Path(each.anchor))


def _failed(parcel: Parcel, address: str, reason: object) -> OutputError:
    return OutputError(f"{parcel.file.name} cannot be delivered to {address}: {reason}.")


class _Copy:
    """A copy into a folder that is mounted."""

    def __init__(self, parcel: Parcel, *, may_make: bool) -> None:
        self.parcel = parcel
        self.target = Path(parcel.destination)
        self.part = self.target.with_name(f".{self.target.name}.part")
        self.may_make = may_make

    def send(self) -> None:
        """Copy, and read the copy again."""
        try:
            if self.may_make and _is_mounted(self.target.parent):
                self.target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(self.parcel.file, self.part)
            with self.part.open("rb") as file:
                os.fsync(file.fileno())
            if adler32_of(self.part) != self.parcel.adler32:
                raise _failed(self.parcel, str(self.target), "the copy has another checksum")
        except OSError as error:
            self.drop()
            if isinstance(error, OutputError):
                raise
            where = "" if self.target.parent.is_dir() else f" ({self.target.parent} is not there)"
            raise _failed(self.parcel, str(self.target), f"{error.strerror or error}{where}") from error

    def settle(self) -> None:
        """Rename; a second time does nothing."""
        try:
            if self.part.exists() or not self.target.exists():
                self.part.replace(self.target)
        except OSError as error:
            raise _failed(self.parcel, str(self.target), error.strerror or error) from error

    def drop(self) -> None:
        """Remove the copy."""
        with contextlib.suppress(OSError):
            self.part.unlink(missing_ok=True)


def _link_or_copy(source: Path, target: Path) -> None:
    """Make ``target`` the same as ``source``, which stays. In one file system that takes no second place.

    Raises OSError.
    """
    try:
        os.link(source, target)
    except OSError:  # another file system, one without links, or something is there
        if not (target.exists() and target.samefile(source)):
            shutil.copyfile(source, target)


class _XRootD:
    """A copy to an XRootD server. No step takes longer than its limit, whatever the server does."""

    def __init__(self, parcel: Parcel, address: str, seconds: float) -> None:
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise _failed(parcel, address, "it is not of the form root://host//path")
        self.parcel = parcel
        self.address = address
        self.seconds = seconds
        self.server, self.path = found["server"], found["path"]
        folder, _, name = self.path.rpartition("/")
        self.part = f"{folder}/.{name}.part"
        self._settled = False

    def send(self) -> None:
        """Copy, and compare the checksum that the server computes; its size, when it computes none."""
        if shutil.which("xrdcp") is None:
            raise _failed(self.parcel, self.address, "the program xrdcp is not installed here")
        target = f"{self.server}/{self.part}"
        argv = ["xrdcp", "--force", "--nopbar", "--path", str(self.parcel.file), target]
        self._run(argv, self.seconds)
        found = self._checksum()
        if found is None:
            said = self._run(["xrdfs", self.server, "stat", self.part])
            size = re.search(r"^Size:\s+(\d+)", said, re.MULTILINE)
            good = size is not None and int(size[1]) == self.parcel.size
        else:
            good = int(found, 16) == int(self.parcel.adler32, 16)
        if not good:
            raise _failed(self.parcel, self.address, "the copy there has another checksum or size")

    def _checksum(self) -> str | None:
        try:
            said = self._run(["xrdfs", self.server, "query", "checksum", self.part])
        except OutputError as error:
            log.info("%s: no checksum from the server: %s", self.address, error)
            return None
        found = re.match(r"\s*adler32\s+([0-9a-fA-F]{1,8})\s*$", said)
        return found[1] if found else None

    def settle(self) -> None:
        """Rename. What an earlier attempt left there is replaced."""
        if self._settled:
            return
        move = ["xrdfs", self.server, "mv", self.part, self.path]
        try:
            self._run(move)
        except OutputError:
            with contextlib.suppress(OutputError):
                self._run(["xrdfs", self.server, "rm", self.path])
            self._run(move)
        self._settled = True

    def drop(self) -> None:
        """Remove the copy, if the server answers."""
        if not self._settled:
            with contextlib.suppress(OutputError):
                self._run(["xrdfs", self.server, "rm", self.part])

    def _run(self, argv: list[str], seconds: float = _SHORT_S) -> str:
        try:
            return run_command(argv, timeout=seconds).stdout
        except CommandFailed as error:
            raise _failed(self.parcel, self.address, error) from error
