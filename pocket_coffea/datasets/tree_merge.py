"""Several NanoAOD files become one, with uproot alone: Events, Runs and LuminosityBlocks."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from pocket_coffea.errors import InputFileError, OutputError

__all__ = ["MERGED_FROM", "TREES", "merge_files", "unreadable_input"]

log = logging.getLogger(__name__)

#: Trees that are merged; the first must be in every file.
TREES = ("Events", "Runs", "LuminosityBlocks")
#: Key of the merged file with the digest of what it was made from.
MERGED_FROM = "merged_from"

_WEIGHTS = ("genWeight", "skimRescaleGenWeight")
_BLOCK = ("run", "luminosityBlock")
#: Bytes in memory at which events are written: reading later is quick when baskets are large.
_BLOCK_BYTES = 100_000_000
_TOLERANCE = 1e-9
_CANNOT = " cannot be read:"
#: For so many blocks there is room in the tree; with more it is written anew, which takes long.
_BASKETS = 32


@dataclass(frozen=True)
class _Branches:
    """Branches of a tree: {name: (type, counter or "")}; counters themselves are left out."""

    types: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, tree: Any, where: str) -> _Branches:
        counter_of = {branch.name: _counter(branch) for branch in tree.branches}
        counters = set(counter_of.values())
        return cls(
            {
                branch.name: (_numbers(branch, where), counter_of[branch.name])
                for branch in tree.branches
                if branch.name not in counters
            }
        )


def _counter(branch: Any) -> str:
    """Return the name of the branch that counts the entries of a jagged one, "" for a flat one."""
    counting = branch.count_branch  # a mapping, and empty: its truth says nothing
    return "" if counting is None else str(counting.name)


def _numbers(branch: Any, where: str) -> str:
    """Return the type of the numbers of a flat or singly jagged branch."""
    shown = branch.interpretation
    inner = getattr(shown, "content", shown)
    dtype = getattr(inner, "to_dtype", None)
    if dtype is None or dtype.shape or dtype.fields:
        msg = f"{where}: the branch {branch.name!r} ({branch.typename}) is not made of plain numbers."
        raise InputFileError(msg)
    return str(dtype.newbyteorder("="))


class _OtherBranchesError(Exception):
    """A file has other branches than the first one."""


@dataclass
class _Sums:
    """What must be the same before and after."""

    entries: int = 0
    weights: list[float] = field(default_factory=list)

    def add(self, block: Mapping[str, Any]) -> None:
        self.entries += len(next(iter(block.values()))) if block else 0
        if all(name in block for name in _WEIGHTS):
            product = np.asarray(block[_WEIGHTS[0]], dtype=float) * np.asarray(
                block[_WEIGHTS[1]], dtype=float
            )
            self.weights.append(float(math.fsum(product)))


def merge_files(
    inputs: Sequence[str], target: Path, made_from: str, between: Callable[[], None] = lambda: None
) -> int:
    """Write the events of all inputs, in their order, to a new file; return how many.

    Rows of Runs are kept as they are, so that their sums are those of all files; pairs (run, luminosityBlock)
    come once when the tree has nothing else. A branch of bools that some files lack (trigger bits of other
    periods) is False there, which is said in the log. ``made_from`` is stored under ``merged_from``;
    ``between`` is called after every block that was written, and may end it all by raising.

    The number of events and the sum of genWeight x skimRescaleGenWeight are compared with the inputs'. Raises
    InputFileError for an input that cannot be read or does not fit, OutputError when writing fails or loses
    something; the target is then removed.
    """
    try:
        with uproot.recreate(target, compression=uproot.ZSTD(5)) as file:
            sums = [_merge_tree(file, name, inputs, between) for name in TREES]
            file[MERGED_FROM] = made_from
        _compare(target, sums[0])
    except (InputFileError, OutputError):
        target.unlink(missing_ok=True)
        raise
    except OSError as error:
        target.unlink(missing_ok=True)
        msg = f"{target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    return sums[0].entries


def _merge_tree(file: Any, name: str, inputs: Sequence[str], between: Callable[[], None]) -> _Sums:
    """Merge one tree; does nothing if no input has it."""
    having = [path for path in inputs if name == TREES[0] or _has(path, name)]
    if not having:
        return _Sums()
    with _opened(having[0], name) as first:
        branches = _Branches.of(first, having[0])
    try:
        return _write_tree(file, name, having, branches, between)
    except _OtherBranchesError:
        return _write_tree(file, name, having, _united(having, name), between)


def _write_tree(
    file: Any, name: str, inputs: Sequence[str], branches: _Branches, between: Callable[[], None]
) -> _Sums:
    sums, tree = _Sums(), None
    for block in _blocks(inputs, name, branches):
        sums.add(block)
        content = _as_collections(block, branches)
        if tree is None:
            types = {key: _type(array) for key, array in content.items()}
            tree = file.mktree(name, types, title=name, initial_basket_capacity=_BASKETS)
        tree.extend(content)
        between()
    return sums


def _type(array: Any) -> Any:
    return array.type.content if isinstance(array, ak.Array) else array.dtype


def _has(path: str, name: str) -> bool:
    with _open(path) as file:
        return name in file


def _open(path: str) -> Any:
    try:
        return uproot.open(path)
    except Exception as error:  # whatever a damaged file or a server does to the reader
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> InputFileError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return InputFileError(f"{path}{_CANNOT} {reason}")


def unreadable_input(error: InputFileError, inputs: Sequence[str]) -> str:
    """Return the input that cannot be read, as an error of ``merge_files`` says; "" for other errors."""
    return next((path for path in inputs if str(error).startswith(path + _CANNOT)), "")


class _opened:
    """``with _opened(path, tree) as tree``: raises InputFileError when it is not there."""

    def __init__(self, path: str, name: str) -> None:
        self.path, self.name = path, name

    def __enter__(self) -> Any:
        self.file = _open(self.path)
        if self.name not in self.file:
            self.file.close()
            msg = f"{self.path} has no tree {self.name!r}."
            raise InputFileError(msg)
        try:
            return self.file[self.name]
        except (OSError, ValueError, KeyError) as error:
            self.file.close()
            raise _unreadable(self.path, error) from error

    def __exit__(self, *_error: object) -> None:
        self.file.close()


def _united(inputs: Sequence[str], name: str) -> _Branches:
    """Return the branches of all files. Raises InputFileError if they do not go together."""
    found: dict[str, tuple[str, str]] = {}
    origin: dict[str, str] = {}
    count: dict[str, int] = {}
    for path in inputs:
        with _opened(path, name) as tree:
            types = _Branches.of(tree, path).types
        for branch, kind in types.items():
            if found.setdefault(branch, kind) != kind:
                msg = f"{branch!r} is {kind[0]} in {path}, but {found[branch][0]} in {origin[branch]}."
                raise InputFileError(msg)
            origin.setdefault(branch, path)
            count[branch] = count.get(branch, 0) + 1
    lacking = [branch for branch in found if count[branch] < len(inputs)]
    wrong = [branch for branch in lacking if found[branch] != ("bool", "")]
    if wrong:
        msg = (
            f"{len(wrong)} branches of {name} are not in all files, as {wrong[0]!r}, which is in "
            f"{origin[wrong[0]]} and missing in {len(inputs) - count[wrong[0]]} others."
        )
        raise InputFileError(msg)
    log.warning("%d flags are not in all files and False there: %s", len(lacking), ", ".join(lacking[:5]))
    return _Branches(found)


def _blocks(inputs: Sequence[str], name: str, branches: _Branches) -> Iterator[dict[str, Any]]:
    """Yield the content of all files in blocks of about ``_BLOCK_BYTES``; a jagged branch is jagged still."""
    waiting: list[dict[str, Any]] = []
    size = 0
    for path in inputs:
        for part in _read(path, name, branches):
            waiting.append(part)
            size += sum(array.nbytes for array in part.values())
            if size >= _BLOCK_BYTES and not _is_list_of_blocks(name, branches):
                yield _joined(waiting, branches)
                waiting, size = [], 0
    if waiting:
        block = _joined(waiting, branches)
        yield _distinct(block) if _is_list_of_blocks(name, branches) else block


def _is_list_of_blocks(name: str, branches: _Branches) -> bool:
    return name == "LuminosityBlocks" and set(branches.types) == set(_BLOCK)


def _distinct(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return each pair once, sorted."""
    pairs = np.unique(np.stack([np.asarray(block[name]) for name in _BLOCK], axis=1), axis=0)
    return {name: np.ascontiguousarray(pairs[:, column]) for column, name in enumerate(_BLOCK)}


def _read(path: str, name: str, branches: _Branches) -> Iterator[dict[str, Any]]:
    with _opened(path, name) as tree:
        own = _Branches.of(tree, path).types
        if any(branches.types.get(branch) != kind for branch, kind in own.items()):
            raise _OtherBranchesError
        lacking = [branch for branch in branches.types if branch not in own]
        if any(branches.types[branch] != ("bool", "") for branch in lacking):
            raise _OtherBranchesError
        try:
            for part in tree.iterate(list(own), step_size=_step(tree), how=dict, library="ak"):
                n = len(next(iter(part.values())))
                yield {**part, **{branch: ak.Array(np.zeros(n, dtype=bool)) for branch in lacking}}
        except (OSError, ValueError, uproot.exceptions.KeyInFileError) as error:
            raise _unreadable(path, error) from error


def _step(tree: Any) -> int:
    """Return how many entries take about ``_BLOCK_BYTES``. uproot would look at each basket to tell, which is
    a question to the server each."""
    size = sum(int(branch.member("fTotBytes")) for branch in tree.branches)
    return max(1, int(_BLOCK_BYTES * tree.num_entries / size)) if size else max(1, tree.num_entries)


def _joined(parts: list[dict[str, Any]], branches: _Branches) -> dict[str, Any]:
    if len(parts) == 1:
        return {branch: parts[0][branch] for branch in branches.types}
    return {branch: ak.concatenate([part[branch] for part in parts]) for branch in branches.types}


def _as_collections(block: Mapping[str, Any], branches: _Branches) -> dict[str, Any]:
    """Return what uproot writes as flat branches and, with one counter each, collections."""
    content: dict[str, Any] = {}
    collections: dict[str, dict[str, Any]] = {}
    for branch, (_, counter) in branches.types.items():
        prefix = counter.removeprefix("n")
        if counter.startswith("n") and branch.startswith(f"{prefix}_"):
            collections.setdefault(prefix, {})[branch.removeprefix(f"{prefix}_")] = block[branch]
        elif counter:
            content[branch] = ak.Array(ak.to_packed(block[branch]).layout)
        else:
            content[branch] = np.asarray(block[branch])
    for prefix, fields in collections.items():
        content[prefix] = ak.zip({name: ak.to_packed(array) for name, array in fields.items()})
    return content


def _compare(target: Path, sums: _Sums) -> None:
    """Raise OutputError unless the file has all that was put into it."""
    with uproot.open(target) as file:
        if TREES[0] not in file:
            msg = f"{target}: no input has events."
            raise InputFileError(msg)
        tree = file[TREES[0]]
        if tree.num_entries != sums.entries:
            msg = f"{target} has {tree.num_entries} events instead of {sums.entries}: is the disk full?"
            raise OutputError(msg)
        if not sums.weights:
            return
        weight, rescale = (tree[name].array(library="np").astype(float) for name in _WEIGHTS)
    before, after = math.fsum(sums.weights), math.fsum(weight * rescale)
    if not math.isclose(before, after, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
        msg = f"{target}: the sum of generator weights is {after} instead of {before}."
        raise OutputError(msg)
