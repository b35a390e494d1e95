"""The entries of a histogram: one per event or one per object, for the events that are in some
category.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pocket_coffea.errors import FillError
from pocket_coffea.lib.hist_axes import Axis
from pocket_coffea.lib.hist_binning import kernels, to_axis_values
from pocket_coffea.lib.hist_columns import Column, EventColumns
from pocket_coffea.types import Array, BoolArray, IntArray

__all__ = ["Entries", "EventSlice", "read_entries"]

#: sources whose jagged fields have no collection of their own
LOOSE = ("events", "custom")


@dataclasses.dataclass(frozen=True)
class Entries:
    """What one histogram is filled with.

    ``parent`` (n,): the event of each entry, counted in the slice; ``values``: for each axis an
    array (n,) or a scalar array; ``valid`` (n,): False where any value is missing; ``offsets``: the
    layout of the objects, None for one per event.
    """

    parent: IntArray
    values: list[Any]
    valid: BoolArray | None
    offsets: IntArray | None

    def __len__(self) -> int:
        return len(self.parent)


class EventSlice:
    """The events that are looked at: ``events`` (n,), increasing, or None for all ``n_events``."""

    def __init__(self, events: IntArray | None, n_events: int) -> None:
        self.events = events
        self.n = n_events if events is None else len(events)
        self.identity = np.arange(self.n, dtype=np.int32)
        self._objects: dict[int, tuple[IntArray, IntArray, IntArray | None]] = {}

    def take(self, per_event: Array) -> Array:
        """Return the items of the slice from an array over all events."""
        return per_event if self.events is None else per_event[self.events]

    def objects(self, offsets: IntArray) -> tuple[IntArray, IntArray | None]:
        """Return the event of each object of the slice, and where the objects are (None: all of
        them).
        """
        key = id(offsets)
        if key not in self._objects:
            counts = self.take(np.diff(offsets))
            parent = np.repeat(self.identity, counts)
            index = None
            if self.events is not None:
                first = np.cumsum(counts) - counts
                index = np.arange(len(parent)) + np.repeat(offsets[self.events] - first, counts)
            self._objects[key] = (offsets, parent, index)  # holding offsets keeps its id from being reused
        return self._objects[key][1:]

    def values(self, column: Column) -> tuple[Array, BoolArray | None]:
        """Return the values of the slice, one per event or per object, and where they are valid."""
        index = self.events if column.offsets is None else self.objects(column.offsets)[1]
        if index is None:
            return column.values, column.valid
        return column.values[index], None if column.valid is None else column.valid[index]

    def at(self, column: Column, pos: int) -> tuple[Array, BoolArray | None]:
        """Return the ``pos``-th object of each event (n,); events with fewer objects have a missing
        value.
        """
        events = self.identity if self.events is None else self.events
        values = np.zeros(self.n, dtype=column.values.dtype)
        exists = np.empty(self.n, dtype=bool)
        kernels().take_at(column.values, column.offsets, events, pos, (values, exists))
        if column.valid is not None:
            valid = np.zeros(self.n, dtype=bool)
            kernels().take_at(column.valid, column.offsets, events, pos, (valid, exists))
            exists = valid
        return values, exists


def read_entries(axes: Sequence[Axis], columns: EventColumns, events: EventSlice, where: str) -> Entries:
    """Return the entries of a histogram with these axes.

    Raises FillError or MissingInput (both ValueErrors) naming ``where`` and the axis.
    """
    inputs = [columns.get(axis, where) for axis in axes]
    offsets = _common_layout(axes, inputs, where)
    values, valid = [], None
    for axis, source in zip(axes, inputs, strict=True):
        if not isinstance(source, Column):
            values.append(to_axis_values(axis, source, f"{where}, axis {axis.name!r}"))
            continue
        array, here = events.values(source) if axis.pos is None else events.at(source, axis.pos)
        values.append(to_axis_values(axis, array, f"{where}, axis {axis.name!r}"))
        if here is not None:
            valid = here if valid is None else valid & here
    parent = events.identity if offsets is None else events.objects(offsets)[0]
    return Entries(parent, values, valid, offsets)


def _common_layout(axes: Sequence[Axis], inputs: Sequence[Any], where: str) -> IntArray | None:
    """Return the offsets of the objects on the axes, None if there is one entry per event. Raises
    FillError.
    """
    flat: list[tuple[Axis, Column]] = []
    jagged: list[tuple[Axis, Column]] = []
    for axis, column in zip(axes, inputs, strict=True):
        if not isinstance(column, Column):
            continue
        if axis.pos is not None and column.offsets is None:
            msg = (
                f"{where}, axis {axis.name!r}: pos={axis.pos}, but {axis.coll}.{axis.field} has one "
                "value per event."
            )
            raise FillError(msg)
        (jagged if column.offsets is not None and axis.pos is None else flat).append((axis, column))
    if not jagged:
        return None
    if flat:
        msg = (
            f"{where} mixes axes with one value per object ({jagged[0][0].name!r}) and per event "
            f"({flat[0][0].name!r}). Give pos=... to the first, or broadcast the second to the "
            "objects in the processor."
        )
        raise FillError(msg)
    collections = sorted({axis.coll for axis, _ in jagged if axis.coll not in LOOSE})
    first_axis, first = jagged[0]
    other = next((axis for axis, column in jagged if not _same_layout(first, column)), None)
    if len(collections) > 1 or other is not None:
        second = next(axis for axis, _ in jagged if axis.coll != first_axis.coll) if other is None else other
        msg = (
            f"{where}: the axes {first_axis.name!r} and {second.name!r} run over the objects of different "
            f"collections ({first_axis.coll}.{first_axis.field}, {second.coll}.{second.field}). Give "
            "pos=... to both."
        )
        raise FillError(msg)
    return first.offsets


def _same_layout(one: Column, two: Column) -> bool:
    if one.offsets is None or two.offsets is None:
        return one.offsets is two.offsets
    return one.offsets is two.offsets or np.array_equal(one.offsets, two.offsets)
