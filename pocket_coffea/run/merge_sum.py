"""Adding up outputs: numbers are summed, lists joined, metadata united."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any

import awkward as ak
import numpy as np
from coffea.processor import column_accumulator

from pocket_coffea.errors import ProcessingError, ResultsRefused
from pocket_coffea.executors.reduction import merge
from pocket_coffea.utils.metadata import to_bool

__all__ = ["OutputSum", "with_sorted_sets"]

#: Parts of an output that say what it is; :mod:`merge_ledger` and :mod:`merge_provenance` unite them.
DESCRIPTIONS = ("ledger", "provenance")


class OutputSum:
    """The sum of outputs, in the order in which they are added.

    The columns of the parts are joined once, at the end, so that the time does not grow with the square of
    their number.
    """

    def __init__(self) -> None:
        self._sum: dict[str, Any] = {}
        self._columns: dict[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self._from: dict[str, tuple[str, bool]] = {}

    @property
    def normalised(self) -> list[str]:
        """Datasets that are postprocessed already."""
        return [name for name, (_, done) in self._from.items() if done]

    @property
    def raw(self) -> list[str]:
        """Datasets that are not postprocessed yet."""
        return [name for name, (_, done) in self._from.items() if not done]

    def add(self, output: dict[str, Any], name: str) -> None:
        """Add an output, whose objects are used up; ``name`` is its name in messages.

        Raises ResultsRefused when it has another structure than those before, other metadata for the same
        dataset, or a dataset that was normalised before it was complete.
        """
        rest = {key: value for key, value in output.items() if key not in DESCRIPTIONS}
        metadata = rest.pop("datasets_metadata", None) or {}
        self._note_datasets(rest, metadata, name)
        _unite(self._metadata, metadata, ("datasets_metadata",), name)
        try:
            _collect(self._columns, rest.pop("columns", {}), ("columns",))
            merge(self._sum, rest)
        except ProcessingError as exc:
            reason = str(exc).removeprefix("the outputs of two chunks cannot be added at ")
            reason = reason.removesuffix(" Every chunk must return the same structure.")
            msg = f"{name} does not fit the outputs before it, at {reason}"
            raise ResultsRefused(msg) from exc

    def _note_datasets(self, output: Mapping[str, Any], metadata: Mapping[str, Any], name: str) -> None:
        done = metadata.get("by_dataset", {})
        for dataset in output.get("cutflow", {}).get("initial", {}):
            other, other_done = self._from.setdefault(dataset, (name, dataset in done))
            if other == name or not (other_done or dataset in done):
                continue
            if to_bool(done.get(dataset, {}).get("isMC"), True) or dataset not in done or not other_done:
                # each part was divided by its own sum of generator weights
                which = [file for file, is_done in ((other, other_done), (name, dataset in done)) if is_done]
                msg = (
                    f"Dataset {dataset!r} is in {other} and in {name}, and is normalised already, to the "
                    f"events of that file alone, in {' and in '.join(which)}: the sum would be wrong. Merge "
                    "outputs that are not postprocessed, or take the dataset from one file."
                )
                raise ResultsRefused(msg)

    def result(self) -> dict[str, Any]:
        """Return the sum. The object is used up."""
        output = self._sum
        if "columns" in output or self._columns:
            output["columns"] = _joined(self._columns)
        output["datasets_metadata"] = self._metadata
        return output


def _unite(mine: dict[str, Any], other: Mapping[str, Any], path: tuple[str, ...], name: str) -> None:
    """Take over what is new; what both have must be equal, or be sets, which are united."""
    for key, value in other.items():
        if key not in mine:
            mine[key] = value
        elif isinstance(value, Mapping) and isinstance(mine[key], dict):
            _unite(mine[key], value, (*path, str(key)), name)
        elif isinstance(value, set) and isinstance(mine[key], set):
            mine[key] |= value
        elif mine[key] != value:
            where = " -> ".join((*path, str(key)))
            msg = f"{name} says {value!r} at {where}, an output before it {mine[key]!r}: which one is right?"
            raise ResultsRefused(msg)


# -- columns


class _Pieces:
    """The arrays of one column, one from each output."""

    def __init__(self) -> None:
        self.arrays: list[Any] = []


def _collect(mine: MutableMapping[str, Any], other: Mapping[str, Any], path: tuple[str, ...]) -> None:
    for key, value in other.items():
        where = (*path, str(key))
        if isinstance(value, column_accumulator):
            pieces = mine.setdefault(key, _Pieces())
            _check(pieces, value.value, where)
            pieces.arrays.append(value.value)
        elif isinstance(value, Mapping):
            inner = mine.setdefault(key, {})
            if not isinstance(inner, MutableMapping):
                raise _unlike(where, "a column", "a dictionary")
            _collect(inner, value, where)
        else:
            mine[key] = merge(mine[key], value) if key in mine else value


def _check(pieces: Any, array: Any, where: tuple[str, ...]) -> None:
    if not isinstance(pieces, _Pieces):
        raise _unlike(where, type(pieces).__name__, "a column")
    before = pieces.arrays[-1:] or [array]
    shapes = [_shape(each) for each in (*before, array)]
    if shapes[0] != shapes[1]:
        raise _unlike(where, *shapes)


def _shape(array: Any) -> str:
    if isinstance(array, np.ndarray):
        return f"an array of shape (n{''.join(f', {size}' for size in array.shape[1:])})"
    return f"an awkward array of {array.ndim} dimensions"


def _unlike(where: tuple[str, ...], first: str, second: str) -> ProcessingError:
    return ProcessingError(f"{' -> '.join(where)}: {first} and {second}.")


def _joined(columns: dict[str, Any]) -> dict[str, Any]:
    """Join the pieces of every column in place, one column after the other; return ``columns``."""
    for key, value in columns.items():
        if isinstance(value, _Pieces):
            arrays, value.arrays = value.arrays, []
            together = np.concatenate if isinstance(arrays[0], np.ndarray) else ak.concatenate
            columns[key] = column_accumulator(together(arrays) if len(arrays) > 1 else arrays[0])
        elif isinstance(value, dict):
            _joined(value)
    return columns


# -- files that are the same each time


class _SortedSet(set[Any]):
    """A set that is pickled in order, and read back as a set."""

    def __reduce__(self) -> tuple[Callable[..., set[Any]], tuple[list[Any]]]:
        return set, (sorted(self, key=repr),)


def with_sorted_sets(content: Any) -> Any:
    """Make the sets in nested dictionaries and lists such that equal outputs are pickled to equal bytes.

    The order in which Python goes through a set of text differs from process to process. Works in place.
    """
    items: Collection[tuple[Any, Any]] = ()
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content))
    for key, value in items:
        if type(value) is set:
            content[key] = _SortedSet(value)
        elif isinstance(value, dict | list):
            with_sorted_sets(value)
    return content
