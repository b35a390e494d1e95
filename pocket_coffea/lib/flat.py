"""A jagged collection seen as row offsets and flat numpy columns, and back again.

Selections read a few columns of a collection with dozens of them. Going through the layout once, and then
reading only those columns as flat numpy arrays, avoids the projections that every single awkward operation
repeats on an array that was sliced before. The other columns are never touched, so virtual arrays stay
virtual.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidType, MissingBranch, did_you_mean
from pocket_coffea.types import Array, BoolArray, IntArray

__all__ = ["Flat", "candidates", "jagged"]


_Extra = Mapping[str, np.ndarray[Any, Any]] | None


class Flat:
    """The objects of a jagged collection, in order, without the lists around them.

    ``offsets`` (int64, n_events + 1, starts at 0) says which objects belong to which event; a missing event
    counts as one without objects. ``missing`` marks objects that are None, or is None when there are none of
    them.
    """

    def __init__(self, collection: Array, name: str = "collection") -> None:
        self.array = ak.Array(collection) if not isinstance(collection, ak.Array) else collection
        self.name = name
        self.offsets, index, content = _rows(self.array.layout, name)
        self._index, self._content = _objects(index, content)
        self.missing: BoolArray | None = None
        if self._index is not None and len(self._index) and self._index.min() < 0:
            self.missing = self._index < 0
        self._columns: dict[str, np.ndarray[Any, Any]] = {}

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @property
    def counts(self) -> IntArray:
        """Objects per event, missing ones included."""
        return np.diff(self.offsets)

    @property
    def fields(self) -> list[str]:
        """Names of the columns."""
        return list(self._content.fields)

    def __contains__(self, field: str) -> bool:
        return field in self._content.fields

    def column(self, field: str) -> np.ndarray[Any, Any]:
        """Values of one column, shape (number of objects,).

        Missing values are NaN, or 0 and False in columns that cannot hold NaN. Raises MissingBranch.
        """
        values = self._columns.get(field)
        if values is None:
            values = self._columns[field] = self._read(field)
        return values

    __getitem__ = column

    def _read(self, field: str) -> np.ndarray[Any, Any]:
        if field not in self._content.fields:
            msg = f"collection {self.name!r} has no branch {field!r}. {did_you_mean(field, self.fields)}"
            raise MissingBranch(msg)
        if self._content.is_record:
            return self._take(self._content.content(field))
        return self._take(ak.Array(self._content)[field].layout)  # electrons and muons in one collection

    def values(self) -> np.ndarray[Any, Any]:
        """Values of a collection that is plain jagged numbers, shape (number of objects,)."""
        return self._take(self._content)

    def _take(self, content: Any) -> np.ndarray[Any, Any]:
        index, leaf = _objects(self._index, content)
        if not leaf.is_numpy:
            return np.asarray(ak.to_numpy(ak.Array(leaf) if index is None else ak.Array(leaf)[index]))
        data = np.asarray(leaf.data)
        if index is None:
            return data
        if len(index) == 0 or index.min() >= 0:
            return data[index]
        taken = data[np.maximum(index, 0)] if len(data) else np.zeros(len(index), data.dtype)
        taken[index < 0] = np.nan if taken.dtype.kind == "f" else 0
        return taken

    def select(
        self,
        keep: BoolArray,
        extra: _Extra = None,
        aliases: Mapping[str, str] | None = None,
    ) -> Array:
        """The collection with only the objects where ``keep`` (shape (number of objects,)).

        extra: new columns, one value per object of the whole collection. aliases: {new name: existing field}.
        Columns read before are packed, the others stay lazily indexed.
        """
        offsets = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))[self.offsets]
        chosen = np.flatnonzero(keep)
        index = chosen if self._index is None else self._index[chosen]
        lazy = ak.index.Index64(index)
        if not self._content.is_record:
            return self._select_any(offsets, lazy, chosen, extra, aliases)
        optional = self.missing is not None and bool(len(index)) and bool(index.min() < 0)
        columns = {field: field for field in self._content.fields} | dict(aliases or {})
        composed: dict[int, Any] = {}
        contents = {
            name: self._chosen(field, chosen, lazy, composed, optional=optional)
            for name, field in columns.items()
        }
        for name, values in (extra or {}).items():
            contents[name] = ak.contents.NumpyArray(values[chosen])
        record = ak.contents.RecordArray(
            list(contents.values()), list(contents), length=len(chosen), parameters=self._content.parameters
        )
        return self._wrap(offsets, record)

    def _select_any(
        self, offsets: IntArray, lazy: Any, chosen: IntArray, extra: _Extra, aliases: Mapping[str, str] | None
    ) -> Array:
        """:meth:`select` for objects that are not all of one record type."""
        node = ak.contents.IndexedArray if self.missing is None else ak.contents.IndexedOptionArray
        result = self._wrap(offsets, node.simplified(lazy, self._content))
        columns = {name: self.column(field) for name, field in (aliases or {}).items()} | dict(extra or {})
        for name, values in columns.items():
            result = ak.with_field(result, jagged(offsets, values[chosen]), name)
        return result

    def _chosen(
        self, field: str, chosen: IntArray, lazy: Any, composed: dict[int, Any], *, optional: bool
    ) -> Any:
        """One column of the selection: packed when it was read already, else an index into what there is.

        composed: indexes of indexed columns, shared by the columns that share theirs.
        """
        content = self._content.contents[self._content.field_to_index(field)]
        read = self._columns.get(field)
        if read is not None and self.missing is None and _is_plain(content):
            leaf = content.content if content.is_indexed else content
            return ak.contents.NumpyArray(read[chosen], parameters=leaf.parameters)
        if optional:
            return ak.contents.IndexedOptionArray.simplified(lazy, content)
        if not (content.is_indexed and not content.is_option and content.parameter("__array__") is None):
            return ak.contents.IndexedArray.simplified(lazy, content)
        inner = content.index.data
        if id(inner) not in composed:
            composed[id(inner)] = ak.index.Index64(np.asarray(inner)[lazy.data])
        return ak.contents.IndexedArray(composed[id(inner)], content.content, parameters=content.parameters)

    def without_missing(self) -> Flat:
        """The same collection without the objects that are None."""
        return self if self.missing is None else Flat(self.select(~self.missing), self.name)

    def nth(self, field: str, n: int) -> np.ndarray[Any, Any]:
        """Values of the n-th object of each event, shape (n_events,); arbitrary where there is no such
        object.
        """
        values = self.column(field)
        if len(values) == 0:
            return np.zeros(len(self.offsets) - 1, dtype=values.dtype)
        return values[np.minimum(self.offsets[:-1] + n, len(values) - 1)]

    def mask(self, keep: BoolArray) -> Array:
        """``keep`` with the list structure of the collection: a jagged bool mask."""
        return self._wrap(self.offsets, ak.contents.NumpyArray(keep))

    def event_index(self) -> IntArray:
        """For each object the position of its event."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts)

    def _wrap(self, offsets: IntArray, content: Any) -> Array:
        layout = ak.contents.ListOffsetArray(ak.index.Index64(offsets), content)
        return ak.Array(layout, behavior=self.array.behavior, attrs=self.array.attrs)


def jagged(offsets: IntArray, values: np.ndarray[Any, Any], like: Array | None = None) -> Array:
    """Wrap flat ``values`` into lists: event i holds ``values[offsets[i]:offsets[i+1]]``."""
    layout = ak.contents.ListOffsetArray(ak.index.Index64(offsets), ak.contents.NumpyArray(values))
    if like is None:
        return ak.Array(layout)
    return ak.Array(layout, behavior=like.behavior, attrs=like.attrs)


@functools.cache
def _let_fields_hide_delta_r() -> None:
    """Let ``pairs.deltaR`` be the field of that name, for candidates that have one.

    The vectors of coffea 0.7 had no method deltaR, so analyses read the field as an attribute; now the method
    would hide it. Candidates without the field keep the method, and ``delta_r`` works for all.
    """
    from coffea.nanoevents.methods.candidate import PtEtaPhiMCandidate

    def delta_r(self: Any, other: Any) -> Any:
        return super(PtEtaPhiMCandidate, self).deltaR(other)

    def field_or_method(self: Any) -> Any:
        return self["deltaR"] if "deltaR" in self.fields else functools.partial(delta_r, self)

    PtEtaPhiMCandidate.delta_r = delta_r
    PtEtaPhiMCandidate.deltaR = property(field_or_method)


def candidates(fields: Mapping[str, np.ndarray[Any, Any]], like: Array) -> Array:
    """One PtEtaPhiMCandidate per event from flat columns; the charge is 0 unless given."""
    if "deltaR" in fields:
        _let_fields_hide_delta_r()
    columns = dict(fields)
    columns.setdefault("charge", np.zeros(len(columns["pt"])))
    contents = [ak.contents.NumpyArray(np.ascontiguousarray(values)) for values in columns.values()]
    record = ak.contents.RecordArray(contents, list(columns), parameters={"__record__": "PtEtaPhiMCandidate"})
    return ak.Array(record, behavior=like.behavior, attrs=like.attrs)


def _is_plain(content: Any) -> bool:
    """True for numbers without None, directly or through an index."""
    return bool(
        content.is_numpy or (content.is_indexed and not content.is_option and content.content.is_numpy)
    )


def _compose(outer: IntArray | None, inner: IntArray) -> IntArray:
    """Positions in the innermost content: ``inner[outer]``, where -1 stays -1."""
    if outer is None:
        return inner
    if len(outer) == 0 or outer.min() >= 0:
        return inner[outer]
    if len(inner) == 0:
        return np.full(len(outer), -1, dtype=np.int64)
    return np.where(outer < 0, -1, inner[np.maximum(outer, 0)])


def _objects(index: IntArray | None, content: Any) -> tuple[IntArray | None, Any]:
    """Strip the index and option nodes from ``content`` into one index (-1: missing)."""
    while content.is_indexed or content.is_option:
        if content.is_option and not content.is_indexed:
            if not hasattr(content, "to_IndexedOptionArray64"):
                break
            if type(content).__name__ == "UnmaskedArray":
                content = content.content
                continue
            content = content.to_IndexedOptionArray64()
        inner = np.asarray(content.index.data).astype(np.int64, copy=False)
        index = _compose(index, np.where(inner < 0, -1, inner) if content.is_option else inner)
        content = content.content
    return index, content


def _rows(layout: Any, name: str) -> tuple[IntArray, IntArray | None, Any]:
    """Return (offsets, positions of the objects or None when they are all of content in order, content)."""
    rows, lists = _objects(None, layout)
    if not lists.is_list:
        msg = f"{name!r} is not one list of objects per event: its type is {layout.form.type}"
        raise InvalidType(msg)
    if lists.is_regular:
        lists = lists.to_ListOffsetArray64(True)
    if rows is None and hasattr(lists, "offsets"):
        return _contiguous(lists)
    starts = np.asarray(lists.starts.data).astype(np.int64, copy=False)
    stops = np.asarray(lists.stops.data).astype(np.int64, copy=False)
    if rows is not None:
        starts, stops = _gather(starts, rows), _gather(stops, rows)
    counts = stops[: len(starts)] - starts
    offsets = np.concatenate(([0], np.cumsum(counts)))
    index = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
    return offsets, index, lists.content


def _gather(bounds: np.ndarray[Any, Any], rows: IntArray) -> np.ndarray[Any, Any]:
    if len(rows) == 0 or rows.min() >= 0:
        return bounds[rows]
    taken = bounds[np.maximum(rows, 0)] if len(bounds) else np.zeros(len(rows), np.int64)
    taken[rows < 0] = 0
    return taken


def _contiguous(lists: Any) -> tuple[IntArray, IntArray | None, Any]:
    offsets = np.asarray(lists.offsets.data).astype(np.int64, copy=False)
    first, last = int(offsets[0]), int(offsets[-1])
    content = lists.content
    if first == 0 and content.length == last:
        return offsets, None, content
    return offsets - first, np.arange(first, last), content
