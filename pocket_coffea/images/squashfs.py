"""The root file system as one compressed file, by the locked program: its version decides the bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pocket_coffea.images.debian import unpack_deb
from pocket_coffea.images.locks import Locks
from pocket_coffea.utils.process import run_command

__all__ = ["squashfs_tool", "tar_to_squashfs"]

_HOUR = 3600.0
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


def squashfs_tool(folder: Path, locks: Locks, blobs: Mapping[str, Path], name: str) -> list[str]:
    """Return the words that run ``mksquashfs`` or ``unsquashfs`` of the lock, unpacked below ``folder`` once.

    It runs with its own loader and libraries, so it needs nothing of this machine but the kernel.
    """
    home = folder / locks.digests()["apt-tools.txt"][:16]
    if not home.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder) as temporary:
            for item in locks.tools:
                unpack_deb(blobs[item.sha256], Path(temporary) / "root")
            _settle(Path(temporary) / "root", home)
    libraries = home / _LIBRARIES
    loader = libraries / "ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", str(libraries), str(home / "usr" / "bin" / name)]


def _settle(made: Path, home: Path) -> None:
    """Move an unpacked tool into place; another process may have been quicker."""
    try:
        made.rename(home)
    except OSError:
        if not home.exists():
            raise
        shutil.rmtree(made)


def tar_to_squashfs(mksquashfs: list[str], tar: Path, target: Path, epoch: int) -> None:
    """Write the tar of a root file system as squashfs. Raises CommandFailed, also for a full disk."""
    argv = [*mksquashfs, "-", str(target), "-tar", "-noappend", "-quiet", "-no-progress"]
    # level 9 takes twice the time for 3 % less; imports in an image are no slower with 5 (nor quicker with 3)
    argv += ["-comp", "zstd", "-Xcompression-level", "5", "-b", "128K"]
    # the root folder is not in the tar; without these it carries the builder's uid, mode and time
    argv += ["-root-mode", "0755", "-root-uid", "0", "-root-gid", "0", "-root-time", str(epoch)]
    argv += ["-p", f"dev D {epoch} 755 0 0"]
    # the time in the head of the squashfs comes from the environment
    env = {"TZ": "UTC", "LC_ALL": "C", "SOURCE_DATE_EPOCH": str(epoch)}
    with tar.open("rb") as stream:
        run_command(argv, timeout=_HOUR, env=env, stdin=stream)
