"""What the images are made of: Debian packages and Python wheels, each with its sha256.

``apt.txt`` has the packages of the images and which definition files need them, ``apt-tools.txt`` those of
the program that writes the squashfs (its version decides bytes, too), ``image.txt`` the wheels in pip's
format, ``backend.txt`` those that build the project's own wheel.
No address of a mirror or index is in a lock; what to fetch from is this machine's own business.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.utils.atomic import write_whole

__all__ = [
    "DebianPackage",
    "Locks",
    "Wheel",
    "read_apt",
    "read_locks",
    "read_wheels",
    "write_apt",
    "write_wheels",
]

_HEAD = """\
# Written by `pocket-coffea image lock`; do not edit.
# used-by name version architecture sha256 size path
"""
_WHEEL = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) +(?:\\\n +)?--hash=sha256:([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class DebianPackage:
    """A Debian package: where it is below a mirror (``pool/...``), its size in bytes, who needs it."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    path: str
    used_by: tuple[str, ...] = ()

    def line(self) -> str:
        """Return the line of the lock."""
        fields = (self.name, self.version, self.architecture, self.sha256, str(self.size), self.path)
        return " ".join((",".join(self.used_by), *fields))


@dataclass(frozen=True, slots=True)
class Wheel:
    """A Python package of which exactly one wheel fits."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Locks:
    """All locks of the images. ``epoch``: the one time in the images, seconds since 1970."""

    epoch: int
    packages: tuple[DebianPackage, ...]
    tools: tuple[DebianPackage, ...]
    wheels: tuple[Wheel, ...]
    backend: tuple[Wheel, ...]
    folder: Path

    def packages_of(self, *definitions: str) -> list[DebianPackage]:
        """Return the packages that any of these definition files needs."""
        return [item for item in self.packages if set(item.used_by) & set(definitions)]

    def digests(self) -> dict[str, str]:
        """Return file name -> sha256 of the locks."""
        names = ("apt.txt", "apt-tools.txt", "image.txt", "backend.txt")
        return {name: hashlib.sha256((self.folder / name).read_bytes()).hexdigest() for name in names}


def read_locks(folder: Path) -> Locks:
    """Read the locks of a folder. Raises ConfigurationError, naming file and line."""
    epoch, packages = read_apt(folder / "apt.txt")
    return Locks(
        epoch,
        packages,
        read_apt(folder / "apt-tools.txt")[1],
        read_wheels(folder / "image.txt"),
        read_wheels(folder / "backend.txt"),
        folder,
    )


def read_wheels(path: Path) -> tuple[Wheel, ...]:
    """Read a lock of wheels. Raises ConfigurationError."""
    text = _read(path)
    wheels = tuple(Wheel(*match) for match in _WHEEL.findall(text))
    if not wheels or len(wheels) != text.count("=="):
        msg = f"{path}: each package is 'NAME==VERSION --hash=sha256:HEX', with one hash."
        raise ConfigurationError(msg)
    return wheels


def read_apt(path: Path) -> tuple[int, tuple[DebianPackage, ...]]:
    """Return SOURCE_DATE_EPOCH (0 when there is none) and the packages. Raises ConfigurationError."""
    epoch, packages = 0, []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        parts = line.split()
        if line.startswith("SOURCE_DATE_EPOCH="):
            epoch = int(line.partition("=")[2])
        elif line and not line.startswith("#"):
            if len(parts) != 7 or not re.fullmatch(r"[0-9a-f]{64}", parts[4]) or not parts[5].isdigit():
                msg = f"{path}, line {number}: {line!r} is not 'used-by name version arch sha256 size path'."
                raise ConfigurationError(msg)
            users = tuple(parts[0].split(","))
            packages.append(
                DebianPackage(parts[1], parts[2], parts[3], parts[4], int(parts[5]), parts[6], users)
            )
    return epoch, tuple(packages)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        why = error.strerror or error
        msg = f"The lock {path} cannot be read: {why}. Make it with `pocket-coffea image lock`."
        raise ConfigurationError(msg) from error


def write_apt(path: Path, packages: Iterable[DebianPackage], epoch: int | None = None) -> None:
    """Write a lock of Debian packages. Raises OutputError."""
    time = "" if epoch is None else f"SOURCE_DATE_EPOCH={epoch}\n"
    write_whole(path, _HEAD + time + "".join(f"{item.line()}\n" for item in sorted(packages)))


def write_wheels(path: Path, wheels: Sequence[Wheel]) -> None:
    """Write a lock of wheels. Raises OutputError."""
    lines = (f"{item.name}=={item.version} \\\n    --hash=sha256:{item.sha256}\n" for item in wheels)
    write_whole(path, "".join(lines))
