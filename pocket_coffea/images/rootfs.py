"""The root file system of an image, made by mmdebstrap from locked packages: two layers, one tar each.

The sections of the definition files run inside of it, in an environment with nothing of the machine that
builds. Works as root and, with a range of subordinate user ids, as anybody.
"""

from __future__ import annotations

import io
import os
import shlex
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from pocket_coffea.errors import CommandFailed
from pocket_coffea.images.debian import make_pool
from pocket_coffea.images.definition import Definition
from pocket_coffea.images.locks import DebianPackage, Locks
from pocket_coffea.utils.process import run_command

__all__ = ["Context", "build_base", "build_site"]

_HOUR = 3600.0
#: Lines of output in the message of a failed build.
_SHOWN = 25
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SOURCES = "deb [trusted=yes] file:/.build/pool {suite} main\n"
#: As root mmdebstrap mounts parts of this machine: in namespaces of its own they are gone with the builder,
#: however it ends, and nobody can remove files through them.
_ENDING_WITH_US = (
    *("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation=private", "--mount-proc"),
    *("--pid", "--fork", "--kill-child", "--"),
)
#: Not wanted in an image; licences stay.
_DPKG = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)


class Context:
    """Files for the root file system, in a tar with fixed owner, mode and time."""

    def __init__(self, path: Path, epoch: int) -> None:
        self.path, self.epoch = path, epoch
        self._archive = tarfile.open(path, "w", format=tarfile.PAX_FORMAT, dereference=True)  # noqa: SIM115
        self._folders: set[str] = set()

    def text(self, name: str, content: str, mode: int = 0o644) -> None:
        """Add a file with this text."""
        data = content.encode()
        self._archive.addfile(self._entry(name, len(data), mode), io.BytesIO(data))

    def tree(self, source: Path, name: str) -> None:
        """Add a file, or a folder with all that is in it. Raises CommandFailed when it is not there."""
        if not source.exists():
            msg = f"%files: {source} is not there."
            raise CommandFailed(msg)
        paths = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
        for path in paths:
            target = name if path == source else f"{name}/{path.relative_to(source)}"
            with path.open("rb") as file:
                self._archive.addfile(self._entry(target, path.stat().st_size, 0o644), file)

    def _entry(self, name: str, size: int, mode: int) -> tarfile.TarInfo:
        name = name.lstrip("/")
        for parent in reversed(Path(name).parents[:-1]):
            if parent.as_posix() not in self._folders and parent.as_posix() not in ("etc", "etc/apt", "opt"):
                self._folders.add(parent.as_posix())
                folder = tarfile.TarInfo(parent.as_posix())
                folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, self.epoch
                self._archive.addfile(folder)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size, mode, self.epoch
        return entry

    def close(self) -> Path:
        """Finish the tar and return where it is."""
        self._archive.close()
        return self.path


def build_base(
    definition: Definition, locks: Locks, blobs: Mapping[str, Path], context: Context, target: Path
) -> None:
    """Build the layer that all sites share into the tar ``target``. Raises CommandFailed with the output."""
    work, suite = target.parent, definition.header["OSVersion"]
    packages = locks.packages_of(definition.name)
    make_pool(work / "pool", suite, packages, blobs)
    _common(context, definition, packages)
    argv = ["--variant=minbase", f"--include={','.join(sorted(item.name for item in packages))}"]
    argv += [f"--dpkgopt={option}" for option in _DPKG]
    argv += _hooks(context.close(), locks.epoch)
    _mmdebstrap(
        [*argv, suite, str(target), f"deb [trusted=yes] copy:{work / 'pool'} {suite} main"], work, locks
    )


def build_site(
    chain: Sequence[Definition],
    locks: Locks,
    blobs: Mapping[str, Path],
    context: Context,
    paths: tuple[Path, Path],
) -> None:
    """Build a site's layer on the first of ``paths`` (the tar of the base) into the second.

    Raises CommandFailed with the output of what failed.
    """
    base, target = paths
    suite = chain[0].header["OSVersion"]
    below = set(locks.packages_of(chain[0].name))
    extra = [item for item in locks.packages_of(*(item.name for item in chain)) if item not in below]
    make_pool(target.parent / "pool", suite, extra, blobs)
    context.tree(target.parent / "pool", "/.build/pool")
    context.text("/etc/apt/sources.list", _SOURCES.format(suite=suite))
    for definition in chain[1:]:
        _common(context, definition, [*below, *extra])
    # by way of standard input: in a user namespace the store of the user may be unreadable
    unpack = 'tar --extract --numeric-owner --xattrs --xattrs-include="*" --directory "$1"'
    argv = ["--variant=custom", "--skip=update", f"--setup-hook={unpack}"]
    argv += _hooks(context.close(), locks.epoch)
    with base.open("rb") as stream:
        _mmdebstrap([*argv, "", str(target)], target.parent, locks, stream)


def _common(context: Context, definition: Definition, packages: Iterable[DebianPackage]) -> None:
    """Add what both layers have: %files, %post, the last step, and the packages that must be there."""
    root = definition.path.parent.parent
    for source, name in definition.files():
        context.tree(root / source, name)
    context.text("/.build-post", definition.script("post"))
    context.text("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n")
    context.text("/etc/resolv.conf", "")
    context.tree(definition.path.parent / "steps" / "finish.sh", "/.build-finish")
    lines = sorted(f"{item.name} {item.version} {item.architecture}\n" for item in packages)
    context.text("/.packages-locked", "".join(lines))


def _hooks(context: Path, epoch: int) -> list[str]:
    """Return the options that copy the context in and run %post and the last step.

    mmdebstrap takes commands as shell text; ``$1`` is the root file system.
    """
    clean = {
        "PATH": _PATH,
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(epoch),
    }
    words = shlex.join(["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in clean.items())])
    # no network and no name of this machine: nothing can come in that is not locked
    alone = 'unshare --net --uts sh -c \'hostname localhost && exec chroot "$@"\' sh "$1"'
    return [
        f"--customize-hook=tar-in {shlex.quote(str(context))} /",
        f"--customize-hook={alone} {words} /bin/sh -e /.build-post",
        f"--customize-hook={alone} {words} /bin/sh -e /.build-finish",
    ]


def _mmdebstrap(arguments: Sequence[str], work: Path, locks: Locks, stdin: IO[bytes] | None = None) -> None:
    mode = "root" if os.geteuid() == 0 else "unshare"
    env = {
        "PATH": _PATH,
        "HOME": str(work),
        "TMPDIR": str(work),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(locks.epoch),
    }
    # the last step has removed lists and caches; mmdebstrap would start apt for it once more
    skipped = "--skip=output/dev,cleanup/apt"
    argv = ["mmdebstrap", f"--mode={mode}", "--format=tar", skipped, *arguments]
    if mode == "root":
        argv = [*_ENDING_WITH_US, *argv]
    done = run_command(argv, timeout=_HOUR, env=env, cwd=work, stdin=stdin, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if not line.startswith("I: ")]
        msg = f"The root file system cannot be built; mmdebstrap ended with {done.returncode}:\n" + "\n".join(
            said[-_SHOWN:]
        )
        raise CommandFailed(msg)
