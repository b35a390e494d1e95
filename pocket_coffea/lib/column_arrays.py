"""Reading columns of the events for export: selected events, selected objects, slices of objects.

Each column is read once for a chunk and then indexed for every category.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib.lookup import field_of
from pocket_coffea.lib.masks import event_mask, jagged_mask, object_mask, repeat_mask
from pocket_coffea.types import Array, BoolArray, FloatArray, IntArray

__all__ = ["ColumnReader", "Slice", "Taken", "as_numpy", "filled", "flattened", "is_jagged", "take"]

NumpyArray = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Slice:
    """``[start:stop]`` over the objects of each event; None is no bound, negative ones count from the end."""

    start: int | None = None
    stop: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether all objects are in it."""
        return self.start is None and self.stop is None

    def bounds(self, counts: IntArray) -> tuple[IntArray, IntArray]:
        """First position in the slice and first after it, for lists of ``counts`` objects."""
        return self._position(self.start, 0 * counts, counts), self._position(self.stop, counts, counts)

    @staticmethod
    def _position(bound: int | None, default: IntArray, counts: IntArray) -> IntArray:
        if bound is None:
            return default
        return np.clip(bound if bound >= 0 else counts + bound, 0, counts)


@dataclasses.dataclass
class Taken:
    """The events, and perhaps the objects, that enter a category.

    ``events``: positions of the events. ``objects``: flat mask over the objects of one collection which has
    ``counts`` objects in each event of the chunk, or None when all objects of the events are taken. An event
    of which no object is selected is not taken.
    """

    events: IntArray
    objects: BoolArray | None = None
    counts: IntArray | None = None
    #: what was looked up for this category: (collection, slice) -> (positions of objects, number per event)
    found: dict[tuple[str, Slice], tuple[IntArray, IntArray]] = dataclasses.field(default_factory=dict)

    def weights(self, values: FloatArray, part: Slice) -> FloatArray:
        """One weight per taken event, or when objects are selected per taken object in the slice."""
        if self.objects is None or self.counts is None:
            return values[self.events]
        _, numbers = self.select("", self.counts, part)
        return values[np.repeat(self.events, numbers)]

    def select(self, collection: str, counts: IntArray, part: Slice) -> tuple[IntArray, IntArray]:
        """Return the positions of the taken objects in a flat column, and their number per taken event.

        ``counts``: objects of ``collection`` in each event of the chunk.
        """
        key = (collection, part)
        if key not in self.found:
            self.found[key] = self._select(counts, part)
        return self.found[key]

    def _select(self, counts: IntArray, part: Slice) -> tuple[IntArray, IntArray]:
        keep = self.objects
        if keep is None:
            wanted = np.zeros(len(counts), dtype=bool)
            wanted[self.events] = True
            keep = repeat_mask(wanted, counts)
        found = np.flatnonzero(keep)
        numbers = _sum_by_event(keep, counts)[self.events]
        if part.is_everything:
            return found, numbers
        first, end = part.bounds(numbers)
        rank = np.arange(len(found)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
        inside = (rank >= np.repeat(first, numbers)) & (rank < np.repeat(end, numbers))
        return found[inside], np.maximum(end - first, 0)

    def matches(self, counts: IntArray) -> bool:
        """Whether objects of a collection with these ``counts`` can be selected."""
        return self.counts is None or np.array_equal(self.counts, counts)


def take(masks: Sequence[Array | None], n_events: int, who: str) -> Taken:
    """AND masks over events, or over the objects of one collection (None: no condition).

    Raises CutError for arrays that are not masks, InvalidValue for masks over different collections.
    """
    over_events = np.ones(n_events, dtype=bool)
    objects: BoolArray | None = None
    counts: IntArray | None = None
    for mask in masks:
        if mask is None:
            continue
        if mask.ndim == 1:
            over_events = over_events & event_mask(mask, n_events, who)
            continue
        found = np.asarray(ak.num(mask, axis=1), dtype=np.int64)
        if counts is not None and not np.array_equal(counts, found):
            msg = f"{who}: the masks of the category and of the subsample are over different collections."
            raise InvalidValue(msg)
        flat = object_mask(mask, found, who)
        objects, counts = (flat if objects is None else objects & flat), found
    if objects is None or counts is None:
        return Taken(np.flatnonzero(over_events))
    objects = objects & repeat_mask(over_events, counts)
    return Taken(np.flatnonzero(_sum_by_event(objects, counts)), objects, counts)


def _sum_by_event(flat: BoolArray, counts: IntArray) -> IntArray:
    below = np.zeros(len(flat) + 1, dtype=np.int64)
    np.cumsum(flat, out=below[1:])
    stops = np.cumsum(counts)
    return below[stops] - below[stops - counts]


def is_jagged(array: Array) -> bool:
    """Whether lists of different lengths are allowed by the type, whatever this chunk holds."""
    layout = array.layout
    while True:
        if layout.is_option or layout.is_indexed or layout.is_regular:
            layout = layout.content
        else:
            return bool(layout.is_list)


class _Objects:
    """The objects of a collection: how many in each event."""

    def __init__(self, collection: Array) -> None:
        lengths = ak.num(collection, axis=1)
        self.counts = np.asarray(ak.fill_none(lengths, 0), dtype=np.int64)
        self.jagged = is_jagged(collection)


class ColumnReader:
    """Columns of the events of one pass."""

    def __init__(self, events: Array) -> None:
        self._events = events
        self._objects: dict[str, _Objects | None] = {}
        self._flat: dict[tuple[str, str], NumpyArray | None] = {}

    def sizes(self, collection: str, taken: Taken, part: Slice) -> IntArray | None:
        """Number of taken objects in each taken event; None for a collection that is not jagged."""
        objects = self._objects_of(collection)
        if objects is None or not objects.jagged:
            return None
        return self._select(collection, taken, part)[1]

    def flat(self, collection: str, column: str, taken: Taken, part: Slice, fill: float | None) -> NumpyArray:
        """Values of the taken objects (or events), one-dimensional, whatever lists they were in.

        ``fill`` replaces missing values. Raises MissingBranch, InvalidValue for missing values without it.
        """
        self._check_collection(collection, taken)
        values = self._flat_column(collection, column)
        if values is None:
            array = flattened(self.array(collection, column, taken, part, fill))
            chosen = as_numpy(array, f"{collection}_{column}")
        elif self._objects_of(collection) is None:
            chosen = values[taken.events]
        else:
            chosen = values[self._select(collection, taken, part)[0]]
        return filled(chosen, fill, f"{collection}.{column}")

    def array(self, collection: str, column: str, taken: Taken, part: Slice, fill: float | None) -> Array:
        """Values with their lists: awkward, the first axis is the taken events. Raises MissingBranch."""
        self._check_collection(collection, taken)
        array = self._column(collection, column)
        if taken.objects is not None and taken.counts is not None:
            array = array[jagged_mask(taken.objects, taken.counts)]
        array = array[taken.events]
        if not part.is_everything and self._objects_of(collection) is not None:
            array = array[:, part.start : part.stop]
        if fill is not None:
            for axis in range(array.ndim - 1):
                array = ak.fill_none(array, [], axis=axis) if _has_missing_lists(array, axis) else array
            array = ak.fill_none(array, _same_type(array, fill), axis=-1)
        return ak.to_packed(ak.Array(array.layout))

    def _column(self, collection: str, column: str) -> Array:
        who = f"the column {collection}_{column}"
        if collection == "events":
            return field_of(self._events, column, who)
        return field_of(field_of(self._events, collection, who), column, who, owner=f"events.{collection}")

    def _objects_of(self, collection: str) -> _Objects | None:
        if collection not in self._objects:
            objects = None
            if collection != "events":
                array = field_of(self._events, collection, "a column")
                objects = _Objects(array) if array.ndim > 1 else None
            self._objects[collection] = objects
        return self._objects[collection]

    def _check_collection(self, collection: str, taken: Taken) -> None:
        objects = self._objects_of(collection)
        if taken.objects is None or (objects is not None and taken.matches(objects.counts)):
            return
        msg = (
            f"Columns of {collection!r} are requested in a category or subsample that selects the objects of "
            "another collection. Request columns of that collection, or cut on events."
        )
        raise InvalidValue(msg)

    def _select(self, collection: str, taken: Taken, part: Slice) -> tuple[IntArray, IntArray]:
        self._check_collection(collection, taken)
        objects = self._objects_of(collection)
        assert objects is not None
        return taken.select(collection, objects.counts, part)

    def _flat_column(self, collection: str, column: str) -> NumpyArray | None:
        """All values as numpy, one per object (or event); None when there are lists inside of the objects."""
        key = (collection, column)
        if key not in self._flat:
            array = self._column(collection, column)
            if self._objects_of(collection) is not None:
                array = ak.flatten(array, axis=1)
            self._flat[key] = as_numpy(array, f"{collection}_{column}") if array.ndim == 1 else None
        return self._flat[key]


def _has_missing_lists(array: Array, axis: int) -> bool:
    return bool(ak.any(ak.is_none(array, axis=axis), axis=None))


def as_numpy(array: Array, name: str) -> NumpyArray:
    """``array`` as numpy, with a mask where values are missing.

    Raises InvalidValue for what is no column of values, for example a whole collection.
    """
    try:
        return ak.to_numpy(array, allow_missing=True)
    except (ValueError, TypeError) as exc:
        fields = ", ".join(ak.fields(array)[:8])
        what = f"is a collection with the fields {fields}" if fields else "does not hold plain values"
        msg = f"The column {name} {what}. Export single fields: ColOut(collection, [field, ...])."
        raise InvalidValue(msg) from exc


def flattened(array: Array) -> Array:
    """``array`` without its lists, one-dimensional; missing values stay."""
    while array.ndim > 1:
        array = ak.flatten(array, axis=1)
    return array


def filled(values: Any, fill: float | None, name: str) -> NumpyArray:
    """``values`` without mask; the type is kept when it can hold ``fill``.

    Raises InvalidValue when there are missing values and nothing to replace them.
    """
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if not np.ma.is_masked(values):
        return np.asarray(values.data)
    if fill is None:
        msg = (
            f"The column {name} has missing values, which the output cannot hold. Use fill_none=True, or "
            "write columns to parquet with the workflow option dump_columns_as_arrays_per_chunk."
        )
        raise InvalidValue(msg)
    masked: Any = values.astype(_type_for(values.dtype, fill))
    return masked.filled(fill)


def _same_type(array: Array, fill: float) -> Any:
    """Return ``fill`` in the type of the values of ``array``, when that can hold it."""
    layout = array.layout
    while hasattr(layout, "content"):
        layout = layout.content
    dtype = getattr(layout, "dtype", None)
    return fill if dtype is None else _type_for(dtype, fill).type(fill)


def _type_for(dtype: np.dtype[Any], fill: float) -> np.dtype[Any]:
    if dtype.kind == "f":
        return dtype
    if dtype.kind in "iu" and float(fill).is_integer():
        limits = np.iinfo(dtype)
        if limits.min <= fill <= limits.max:
            return dtype
    return np.dtype(np.float64)
