"""Debian packages as files: what a ``.deb`` says and has, and a folder of them that apt can read."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pocket_coffea.errors import InputFileError
from pocket_coffea.images.locks import DebianPackage

__all__ = ["make_pool", "packages_index", "unpack_deb"]


def _member(path: Path, prefix: str) -> tarfile.TarFile:
    """Return the archive in a ``.deb`` (an ``ar`` file) whose name begins with ``prefix``."""
    data = path.read_bytes()
    position = 8
    while data.startswith(b"!<arch>\n") and position + 60 <= len(data):
        name = data[position : position + 16].decode(errors="replace").strip().rstrip("/")
        size = int(data[position + 48 : position + 58])
        if name.startswith(prefix):
            return tarfile.open(fileobj=io.BytesIO(data[position + 60 : position + 60 + size]))
        position += 60 + size + size % 2
    msg = f"{path} is no Debian package: it has no {prefix}."
    raise InputFileError(msg)


def unpack_deb(path: Path, folder: Path) -> None:
    """Unpack the files of a package below ``folder``. Raises InputFileError."""
    with _member(path, "data.tar") as archive:
        archive.extractall(folder, filter="data")


def packages_index(packages: Sequence[DebianPackage], files: Mapping[str, Path]) -> str:
    """Return the text of a ``Packages`` file: control fields of each package, its path, size and sha256."""
    stanzas = []
    for item in packages:
        with _member(files[item.sha256], "control.tar") as archive:
            control = archive.extractfile("./control")
            text = control.read().decode().rstrip("\n") if control else ""
        stanzas.append(f"{text}\nFilename: {item.path}\nSize: {item.size}\nSHA256: {item.sha256}\n")
    return "\n".join(stanzas)


def make_pool(folder: Path, suite: str, packages: Sequence[DebianPackage], files: Mapping[str, Path]) -> None:
    """Make a Debian mirror that has these packages and no others: pool, ``Packages`` and ``Release``."""
    for item in packages:
        target = folder / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[item.sha256], target)
        target.chmod(0o644)
    index = packages_index(packages, files).encode()
    name = "main/binary-amd64/Packages"
    target = folder / "dists" / suite / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(index)
    digest = hashlib.sha256(index).hexdigest()
    (folder / "dists" / suite / "Release").write_text(
        f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: main\n"
        f"Date: Thu, 01 Jan 1970 00:00:00 UTC\nSHA256:\n {digest} {len(index)} {name}\n"
    )
