"""Which file differs between two images: by content, then by mode, owner, time and kind."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pocket_coffea.errors import InputFileError
from pocket_coffea.images.sif import PARTITION, SifObject, file_sha256, read_sif
from pocket_coffea.utils.process import run_command

__all__ = ["compare_images"]

_HOUR = 3600.0
#: mode, owner, size or device, date, time, path (and where a link points)
_LINE = re.compile(r"^(\S{10}) (\S+) +(\d+(?:, *\d+)?) (\S+ \S+) squashfs-root(/.*)?$")


def compare_images(first: Path, second: Path, unsquashfs: Sequence[str]) -> list[str]:
    """Return one line for each difference, none when the files are equal byte for byte.

    ``unsquashfs``: the words that run it. Raises InputFileError for what is no image, CommandFailed.
    """
    if file_sha256(first) == file_sha256(second):
        return []
    one, other = read_sif(first), read_sif(second)
    lines = list(_objects(one, other))
    with _root(one, unsquashfs) as (tree_one, list_one), _root(other, unsquashfs) as (tree_other, list_other):
        lines += _listings(list_one, list_other)
        lines += _contents(tree_one, tree_other, sorted(list_one.keys() & list_other.keys()))
    return lines or ["Only the bytes around the objects differ (header, order or compression)."]


def _objects(one: Sequence[SifObject], other: Sequence[SifObject]) -> Iterator[str]:
    names_one, names_other = ({item.name: item for item in side} for side in (one, other))
    for name in sorted(names_one.keys() ^ names_other.keys()):
        yield f"object {name}: only in the {'first' if name in names_one else 'second'} image"
    for name in sorted(names_one.keys() & names_other.keys()):
        small = names_one[name].kind != PARTITION
        if small and names_one[name].read() != names_other[name].read():
            yield f"object {name}: differs"


@contextmanager
def _root(objects: Sequence[SifObject], unsquashfs: Sequence[str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give the unpacked root file system and its listing, path -> mode, owner, size and time."""
    system = next((item for item in objects if item.kind == PARTITION), None)
    if system is None:
        msg = f"{objects[0].path if objects else 'The image'} has no root file system in it."
        raise InputFileError(msg)
    with tempfile.TemporaryDirectory(prefix="pocket-coffea-diff-", ignore_cleanup_errors=True) as name:
        offset = ["-offset", str(system.offset)]
        list_words = ["-lln", "-full-precision", "-UTC", *offset, str(system.path)]
        listed = run_command([*unsquashfs, *list_words], timeout=_HOUR)
        tree = Path(name) / "root"
        # owners and device files need root; contents do not
        options = ["-no-xattrs", "-quiet", "-no-progress", "-no-exit-code", "-dest", str(tree), *offset]
        run_command([*unsquashfs, *options, str(system.path)], timeout=_HOUR)
        try:
            yield tree, dict(_entries(listed.stdout))
        finally:
            _make_removable(tree)
            shutil.rmtree(tree, ignore_errors=True)


def _entries(listing: str) -> Iterator[tuple[str, str]]:
    for line in listing.splitlines():
        match = _LINE.match(line)
        if match:
            mode, owner, size, time, path = match.groups()
            name, _, points = (path or "/").partition(" -> ")
            # the size of a folder is that of its table in the squashfs
            shown = "" if mode.startswith("d") else f" size {size}"
            yield name, f"{mode} {owner}{shown} {time}{' -> ' + points if points else ''}"


def _listings(one: dict[str, str], other: dict[str, str]) -> Iterator[str]:
    for name in sorted(one.keys() | other.keys()):
        if name not in other:
            yield f"{name}: only in the first image"
        elif name not in one:
            yield f"{name}: only in the second image"
        elif one[name] != other[name]:
            yield f"{name}: {one[name]} | {other[name]}"


def _contents(one: Path, other: Path, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        paths = (one / name.lstrip("/"), other / name.lstrip("/"))
        if all(path.is_file() and not path.is_symlink() for path in paths) and _differ(*paths):
            yield f"{name}: content differs"


def _differ(one: Path, other: Path) -> bool:
    return one.stat().st_size != other.stat().st_size or file_sha256(one) != file_sha256(other)


def _make_removable(tree: Path) -> None:
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
