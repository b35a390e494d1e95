"""Packages by their sha256: from the cache of this machine, else from its mirrors and package index."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pocket_coffea.errors import CommandFailed, InputFileError, OutputError
from pocket_coffea.images.locks import DebianPackage, Wheel, write_wheels
from pocket_coffea.images.sif import file_sha256
from pocket_coffea.utils.process import run_command

__all__ = ["PYTHON", "WHEEL_PLATFORMS", "BlobCache", "fetch_debs", "fetch_wheels", "mirrors", "pip_command"]

#: Python of Debian 13 and its C library 2.41: what a wheel must be made for.
PYTHON = "3.13"
WHEEL_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(41, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
)
_HELPER = "/usr/lib/apt/apt-helper"
_HOUR = 3600.0
_SOURCE = re.compile(r"^'([^']+)/dists/", re.MULTILINE)
#: What apt says of a mirror that it cannot reach: each further package would take as long to fail.
_UNREACHABLE = re.compile(
    r"(?:Could not (?:connect|resolve)|Temporary failure resolving|Unable to connect|Network is unreachable|"
    r"Connection (?:failed|timed out)).*"
)


class BlobCache:
    """Files by content: ``<folder>/<sha256>/<name>``. What does not have its digest is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, sha256: str) -> Path | None:
        """Return the file, read in full and checked; a damaged one is thrown away."""
        home = self.folder / sha256
        for path in sorted(home.glob("[!.]*")):
            if file_sha256(path) == sha256:
                return path
            path.unlink()
        return None

    def put(self, path: Path, sha256: str) -> Path:
        """Move a file in. Raises InputFileError when its digest is another, OutputError."""
        found = file_sha256(path)
        if found != sha256:
            msg = (
                f"{path.name} has sha256 {found}; the lock says {sha256}. Either what the mirror or index "
                "gave was changed, or the lock is wrong: renew it with `pocket-coffea image lock`."
            )
            raise InputFileError(msg)
        target = self.folder / sha256 / path.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # the source may be on another disk: copy beside the target, then rename
            number, temporary = tempfile.mkstemp(prefix=".", dir=target.parent)
            os.close(number)
            shutil.copyfile(path, temporary)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except OSError as error:
            msg = f"{target} cannot be written: {error.strerror or error}."
            raise OutputError(msg) from error
        return target


def mirrors() -> list[str]:
    """Return the addresses of Debian mirrors: $MIRROR (several with blanks between), else apt's own.

    Raises InputFileError when neither says any.
    """
    given = os.environ.get("MIRROR", "").split()
    if not given:
        try:
            # says where it would look, and does not
            told = run_command(["apt-get", "update", "--print-uris"], timeout=60).stdout
        except CommandFailed:
            told = ""
        given = [address for address in _SOURCE.findall(told) if "debian" in address.rpartition("/")[2]]
    if not given:
        msg = "No Debian mirror is known: apt's sources name none. Give one: MIRROR=<address of a mirror>."
        raise InputFileError(msg)
    return list(dict.fromkeys(address.rstrip("/") for address in given))


def fetch_debs(cache: BlobCache, packages: Sequence[DebianPackage]) -> dict[str, Path]:
    """Return sha256 -> file for all packages. Raises InputFileError naming those that no mirror has, and
    the mirrors that could not be reached.
    """
    unreachable = []
    have = {item.sha256: cache.get(item.sha256) for item in packages}
    missing = [item for item in packages if have[item.sha256] is None]
    with tempfile.TemporaryDirectory(prefix="pocket-coffea-fetch-") as folder:
        for mirror in mirrors() if missing else []:
            if reason := _download(mirror, missing, Path(folder)):
                unreachable.append(f"{mirror} ({reason})")
            came = [item for item in missing if (Path(folder) / Path(item.path).name).exists()]
            have |= {
                item.sha256: cache.put(Path(folder) / Path(item.path).name, item.sha256) for item in came
            }
            missing = [item for item in missing if have[item.sha256] is None]
    if missing:
        names = ", ".join(f"{item.name} {item.version} ({item.path})" for item in missing[:8])
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        offline = f" Mirrors that cannot be reached: {'; '.join(unreachable)}." if unreachable else ""
        msg = (
            f"No mirror has {names}{more}.{offline} Two ways on: give a mirror that keeps old packages "
            "(MIRROR=<address of a snapshot of Debian>), or make a new lock with `pocket-coffea image lock`."
        )
        raise InputFileError(msg)
    return {sha256: path for sha256, path in have.items() if path}


def _download(mirror: str, packages: Iterable[DebianPackage], folder: Path) -> str:
    """Let apt, with its own proxy and certificates, fetch what this mirror has.

    Return why the mirror cannot be reached, "" when it can.
    """
    for item in packages:
        target = folder / Path(item.path).name
        if not Path(_HELPER).exists():
            msg = f"{_HELPER} is missing: apt fetches packages. Build on Debian or Ubuntu, or in the lab."
            raise CommandFailed(msg)
        done = run_command(
            [_HELPER, "download-file", f"{mirror}/{item.path}", str(target)], timeout=_HOUR, check=False
        )
        if done.returncode:
            target.unlink(missing_ok=True)
            if said := _UNREACHABLE.search(done.stdout + done.stderr):
                return said[0].rstrip(".")
    return ""


def fetch_wheels(cache: BlobCache, wheels: Sequence[Wheel]) -> dict[str, Path]:
    """Return sha256 -> file for all wheels. Raises InputFileError naming what the index does not have."""
    have = {item.sha256: cache.get(item.sha256) for item in wheels}
    missing = [item for item in wheels if have[item.sha256] is None]
    if missing:
        with tempfile.TemporaryDirectory(prefix="pocket-coffea-fetch-") as name:
            folder = Path(name)
            write_wheels(folder / "missing.txt", missing)
            pip_download(folder / "missing.txt", folder / "wheels")
            came = {file_sha256(path): path for path in (folder / "wheels").glob("*.whl")}
            wanted = came.keys() & {item.sha256 for item in missing}
            have |= {sha256: cache.put(came[sha256], sha256) for sha256 in wanted}
    lost = [f"{item.name} {item.version}" for item in wheels if have[item.sha256] is None]
    if lost:
        msg = (
            f"The package index did not give {', '.join(lost)}. Make a new lock: `pocket-coffea image lock`."
        )
        raise InputFileError(msg)
    return {sha256: path for sha256, path in have.items() if path}


def pip_download(requirements: Path, folder: Path) -> None:
    """Download the wheels of a hash-pinned file. Raises InputFileError with what pip says."""
    platforms = [word for name in WHEEL_PLATFORMS for word in ("--platform", name)]
    argv = [*pip_command(), "download", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    argv += ["--implementation", "cp", "--python-version", PYTHON, *platforms]
    argv += ["--dest", str(folder), "--requirement", str(requirements)]
    try:
        run_command(argv, timeout=_HOUR)
    except CommandFailed as error:
        said = [line for line in str(error).splitlines()[1:] if "WARNING" not in line and line.strip()]
        msg = (
            "The Python packages of the lock cannot be downloaded. pip says:\n"
            + "\n".join(said[-12:])
            + "\nIf the lock is out of date, make a new one: `pocket-coffea image lock`."
        )
        raise InputFileError(msg) from error


def pip_command() -> list[str]:
    """Return a pip that works: of this interpreter, else of the machine. Raises CommandFailed."""
    for python in (sys.executable, shutil.which("python3") or "", "/usr/bin/python3"):
        if python:
            try:
                run_command([python, "-m", "pip", "--version"], timeout=60)
            except CommandFailed:
                continue
            return [python, "-m", "pip", "--disable-pip-version-check"]
    msg = "No pip was found (python3 -m pip). Install it: apt-get install python3-pip."
    raise CommandFailed(msg)
