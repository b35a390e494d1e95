"""``merge-columns``: the parquet files of the chunks of a run into one file for each leaf folder."""

from __future__ import annotations

import itertools
import logging
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import awkward as ak

from pocket_coffea.errors import InputFileError, NothingToDo, OptionError, ResultsRefused
from pocket_coffea.run.merge_read import natural_order
from pocket_coffea.utils.atomic import whole_file

__all__ = ["merge_columns"]

log = logging.getLogger(__name__)

#: ``<file uuid>_<tree>_<start>-<stop>``: the chunk that a file is of.
_CHUNK = re.compile(r"(?P<file>.+)_(?P<start>\d+)-(?P<stop>\d+)")


def merge_columns(
    folder: str | os.PathLike[str], *, jobs: int = 1, force: bool = False
) -> dict[Path, tuple[int, int]]:
    """Write ``<folder>_merged/<leaf>.parquet`` for each folder with parquet files; one row group per chunk.

    Returns {file: (number of files merged, number of rows)}. At most one chunk of each of the ``jobs`` leaves
    that are merged at once is in memory. Raises ResultsRefused for chunks that overlap and for results that
    exist, unless ``force``; NothingToDo; InputFileError for a file that is damaged or of another schema.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        msg = f"There is no folder {root}."
        raise OptionError(msg)
    if jobs < 1:
        msg = f"-j {jobs}: at least one leaf is merged at a time."
        raise OptionError(msg)
    leaves = _leaves(root)
    if not leaves:
        msg = f"There are no parquet files in {root} or below it."
        raise NothingToDo(msg)
    merged = root.with_name(f"{root.resolve().name}_merged")
    targets = {leaf: _target(merged, root, leaf) for leaf in leaves}
    for leaf, files in leaves.items():
        _check_chunks(leaf, files)
        if targets[leaf].exists() and not force:
            msg = f"{targets[leaf]} already exists. Use -f to overwrite it."
            raise ResultsRefused(msg)
    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(_merge, leaves.values(), targets.values()))
    return {targets[leaf]: (len(leaves[leaf]), n_rows) for leaf, n_rows in zip(leaves, rows, strict=True)}


def _leaves(root: Path) -> dict[Path, list[Path]]:
    leaves: dict[Path, list[Path]] = {}
    for file in root.rglob("*.parquet"):
        leaves.setdefault(file.parent, []).append(file)
    return {leaf: sorted(leaves[leaf], key=natural_order) for leaf in sorted(leaves)}


def _target(merged: Path, root: Path, leaf: Path) -> Path:
    name = leaf.relative_to(root)
    return merged / (f"{name}.parquet" if name.parts else f"{root.resolve().name}.parquet")


def _check_chunks(leaf: Path, files: Sequence[Path]) -> None:
    """Refuse files of chunks that have entries in common, as a run with another chunk size leaves them."""
    found = [(match, file) for file in files if (match := _CHUNK.fullmatch(file.stem))]
    spans = sorted((m["file"], int(m["start"]), int(m["stop"]), file.name) for m, file in found)
    for before, span in itertools.pairwise(spans):
        if before[0] == span[0] and span[1] < before[2]:
            msg = (
                f"{leaf}: entries {span[1]}-{min(before[2], span[2])} are in {before[3]} and in {span[3]}: "
                "they would be counted twice. Are there files of an earlier run? Remove those."
            )
            raise ResultsRefused(msg)


def _merge(files: Sequence[Path], target: Path) -> int:
    counts: list[int] = []
    with whole_file(target) as part:
        ak.to_parquet_row_groups(_arrays(files, counts), part)
    return sum(counts)


def _arrays(files: Sequence[Path], counts: list[int]) -> Iterator[Any]:
    kind: Any = None
    for file in files:
        try:
            array = ak.from_parquet(file)
        except Exception as exc:
            msg = f"{file} cannot be read: {type(exc).__name__}: {exc}"
            raise InputFileError(msg) from exc
        kind = kind or array.type.content
        if not array.type.content.is_equal_to(kind):
            msg = f"{file} has other columns than {files[0].name}: {array.type.content} and {kind}."
            raise ResultsRefused(msg)
        counts.append(len(array))
        yield array
