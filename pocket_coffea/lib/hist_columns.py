"""From awkward columns to the flat numpy arrays that histograms are filled with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.errors import FillError, MissingBranch, did_you_mean
from pocket_coffea.lib.hist_axes import Axis
from pocket_coffea.lib.lookup import dropped
from pocket_coffea.types import Array, BoolArray, IntArray

__all__ = ["Column", "EventColumns", "MissingInput", "flatten_column"]


class MissingInput(MissingBranch, ValueError):
    """A collection, field or metadata key that a histogram asks for does not exist."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column as flat arrays.

    ``values``: one per event if ``offsets`` is None, else one per object, those of event i being
    ``values[offsets[i]:offsets[i+1]]``. ``valid``: False where a value is missing; None if none is.
    """

    values: Any
    valid: BoolArray | None = None
    offsets: IntArray | None = None

    @property
    def n_events(self) -> int:
        """Number of events that the column spans."""
        return len(self.values) if self.offsets is None else len(self.offsets) - 1


def flatten_column(array: Array, where: str) -> Column:
    """Return ``array`` (n_events,) or (n_events, var) as a ``Column``; a missing list counts as an
    empty one.

    Raises FillError naming ``where`` for records, for lists of lists and for what is neither number
    nor text.
    """
    if isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "biufU":
        return Column(array)
    layout, valid = _split_option(ak.materialize(ak.to_layout(array), highlevel=False))
    if not layout.is_list or _is_text(layout):
        return Column(*_spread(_leaf(layout, where), valid))
    jagged = layout.to_ListOffsetArray64(True)
    offsets = np.asarray(jagged.offsets.data)
    inner, inner_valid = _split_option(jagged.content[: offsets[-1]])
    values, inner_valid = _spread(_leaf(inner, where), inner_valid)
    if valid is not None:
        counts = np.zeros(len(valid), dtype=np.int64)
        counts[valid] = np.diff(offsets)
        offsets = np.concatenate(([0], np.cumsum(counts)))
    return Column(values, inner_valid, offsets)


def _is_text(layout: Any) -> bool:
    """Tell whether ``layout`` holds strings."""
    return layout.parameter("__array__") in {"string", "bytestring"}


def _split_option(layout: Any) -> tuple[Any, BoolArray | None]:
    """Return the present items of ``layout``, and where in it they are (None: everywhere)."""
    valid: BoolArray | None = None
    while layout.is_indexed or layout.is_option:
        if layout.is_option:
            here = np.asarray(layout.mask_as_bool(valid_when=True))
            if valid is None:
                valid = here
            else:  # an option inside an option: the outer one counts its present items only
                outer = valid.copy()
                outer[valid] = here
                valid = outer
        layout = layout.project()
    if valid is not None and valid.all():
        valid = None
    return (layout.to_RegularArray() if layout.is_numpy and layout.purelist_depth > 1 else layout), valid


def _leaf(layout: Any, where: str) -> Any:
    """Return the values of a layout that should have no more levels. Raises FillError."""
    if layout.is_unknown:
        return np.zeros(0)
    if _is_text(layout):
        return np.asarray(ak.to_numpy(layout))
    if not layout.is_numpy:
        what = (
            f"a record with fields {', '.join(layout.fields)}"
            if layout.is_record
            else f"of type {ak.type(layout)}"
        )
        msg = f"{where} is {what}; a histogram needs one number per event or one per object."
        raise FillError(msg)
    values = np.asarray(layout.data)
    if values.dtype.kind not in "biuf":
        msg = f"{where} holds {values.dtype}; a histogram needs real numbers."
        raise FillError(msg)
    return values


def _spread(present: Any, valid: BoolArray | None) -> tuple[Any, BoolArray | None]:
    """Put the ``present`` values back at their places; missing ones get a zero of the same type."""
    if valid is None:
        return present, None
    values = np.zeros(len(valid), dtype=present.dtype)
    values[valid] = present
    return values, valid


class EventColumns:
    """The columns of one chunk of events, read once each whatever the number of histograms.

    ``events`` (n_events,) with its collections and ``metadata``; ``custom`` the processor's custom
    fields.
    """

    def __init__(self, events: Array, custom: Mapping[str, Any] | None = None) -> None:
        self.n_events = len(events)
        self._events = events
        self._custom = custom or {}
        self._collections: dict[str, Any] = {}
        self._columns: dict[tuple[str, str], Column | Any] = {}
        self._offsets: list[IntArray] = []

    def get(self, axis: Axis, where: str) -> Column | Any:
        """Return what ``axis`` reads: a ``Column``, or a scalar (a number or a string) that holds
        for all entries.

        Raises MissingInput (a ValueError) if it does not exist, FillError if it is not fillable;
        ``where`` names the histogram.
        """
        key = (axis.coll, axis.field)
        if key not in self._columns:
            self._columns[key] = self._read(axis.coll, axis.field, f"{where}, axis {axis.name!r}")
        return self._columns[key]

    def _read(self, coll: str, field: str, where: str) -> Column | Any:
        if coll == "metadata":
            metadata = getattr(self._events, "metadata", None)
            return _lookup(metadata or {}, field, f"{where}: events.metadata has no {field!r}.")
        if coll == "custom":
            source = _lookup(self._custom, field, f"{where}: custom_histogram_fields has no {field!r}.")
            if isinstance(source, str | bytes | int | float | np.generic):
                return source
        else:
            source = self._field(coll, field, where)
        column = flatten_column(source, f"{where}: {coll}.{field}")
        if column.n_events != self.n_events:
            msg = (
                f"{where}: {coll}.{field} has {column.n_events} entries but there are {self.n_events} "
                "events. "
                "Compute it after the preselection (process_extra_after_presel)."
            )
            raise FillError(msg)
        return self.shared(column)

    def _field(self, coll: str, field: str, where: str) -> Any:
        """Return the layout of ``events[coll][field]`` (``events[field]`` for coll="events").
        Raises MissingInput.
        """
        if coll == "events":
            self._require(field, self._events.fields, f"{where}: the events have no field {field!r}.")
            return self._events[field]
        if coll not in self._collections:
            self._require(coll, self._events.fields, f"{where}: the events have no collection {coll!r}.")
            self._collections[coll] = ak.to_layout(self._events[coll])
        layout = self._collections[coll]
        self._require(field, layout.fields, f"{where}: collection {coll!r} has no field {field!r}.")
        return layout[field]

    @staticmethod
    def _require(name: str, fields: list[str], problem: str) -> None:
        if name not in fields:
            msg = f"{problem} {did_you_mean(name, fields)}{dropped(name)}"
            raise MissingInput(msg)

    def shared(self, column: Column) -> Column:
        """Return ``column`` holding the one offsets object of its layout, so that layouts compare
        by identity.
        """
        if column.offsets is None:
            return column
        for offsets in self._offsets:
            if np.array_equal(offsets, column.offsets):
                return dataclasses.replace(column, offsets=offsets)
        self._offsets.append(column.offsets)
        return column


def _lookup(source: Mapping[str, Any], key: str, problem: str) -> Any:
    """Return ``source[key]``. Raises MissingInput with ``problem`` and the nearest keys."""
    if key not in source:
        msg = f"{problem} {did_you_mean(key, source)}"
        raise MissingInput(msg)
    return source[key]
