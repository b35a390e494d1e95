"""Masks as the engine uses them: numpy for events, flat numpy plus counts for the objects of a collection."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.errors import CutError
from pocket_coffea.lib.lookup import field_of
from pocket_coffea.types import Array, BoolArray, IntArray

__all__ = ["event_mask", "jagged_mask", "object_counts", "object_mask", "repeat_mask"]


def event_mask(raw: Any, n_events: int, who: str) -> BoolArray:
    """Return ``raw`` as a numpy mask over events, shape ``(n_events,)``; missing values count as false.

    ``who`` opens the message of the CutError that says what is wrong: the type, the dimensions, the length.
    """
    if getattr(raw, "ndim", 1) != 1:
        msg = (
            f"{who} returned an array with {raw.ndim} dimensions, but one value per event is needed. Reduce "
            "it over the objects (ak.any, ak.all, ak.sum with axis=1), or declare the cut on its collection: "
            "Cut(..., collection=...)."
        )
        raise CutError(msg)
    mask = _to_bool(raw, who)
    if len(mask) != n_events:
        msg = f"{who} returned {len(mask)} values for {n_events} events."
        raise CutError(msg)
    return mask


def _to_bool(raw: Any, who: str) -> BoolArray:
    """One-dimensional ``raw`` as numpy, checked to be boolean."""
    try:
        flat = ak.to_numpy(raw, allow_missing=True) if isinstance(raw, ak.Array) else np.asanyarray(raw)
    except (ValueError, TypeError) as exc:
        msg = f"{who} returned {_describe(raw)}, which is not a mask (an array of bool)."
        raise CutError(msg) from exc
    if isinstance(flat, np.ma.MaskedArray):
        flat = flat.filled(False)
    if flat.ndim == 1 and flat.size == 0:  # an array without content has no type of its own
        return np.zeros(0, dtype=bool)
    if flat.ndim != 1 or flat.dtype != np.bool_:
        msg = f"{who} returned {_describe(raw)}, which is not a mask (an array of bool)."
        raise CutError(msg)
    return flat


def _describe(raw: Any) -> str:
    if isinstance(raw, ak.Array):
        return f"an array of type {raw.type}"
    if isinstance(raw, np.ndarray):
        return f"an array of {raw.dtype} with shape {raw.shape}"
    return f"{type(raw).__name__} {raw!r}"[:200]


def object_counts(events: Array, collection: str, who: str) -> IntArray:
    """Number of objects of ``collection`` in each event, int64 ``(n_events,)``.

    Raises MissingBranch when the events have no such collection, CutError when it is not a list per event.
    """
    objects = field_of(events, collection, who)
    if objects.ndim < 2:
        msg = f"{who}: events.{collection} has no list of objects per event; use collection='events'."
        raise CutError(msg)
    return np.asarray(ak.num(objects, axis=1), dtype=np.int64)


def object_mask(raw: Any, counts: IntArray, who: str) -> BoolArray:
    """Return ``raw``, one value per object, as a flat numpy mask of length ``counts.sum()``.

    Missing values (an object, or the list of a whole event) count as false. Raises CutError when the inner
    lengths are not ``counts``.
    """
    array = ak.Array(raw) if isinstance(raw, np.ndarray | list) else raw
    if not isinstance(array, ak.Array) or array.ndim != 2:
        dims = f" with {array.ndim} dimension(s)" if isinstance(array, ak.Array) else ""
        msg = f"{who} returned {_describe(raw)}{dims}, but one value per object is needed."
        raise CutError(msg)
    if len(array) != len(counts):
        msg = f"{who} returned lists for {len(array)} events, but there are {len(counts)}."
        raise CutError(msg)
    lengths = ak.num(array, axis=1)
    missing = None
    if lengths.layout.is_option:
        missing = np.asarray(ak.is_none(lengths))
        lengths = ak.fill_none(lengths, 0)
    _check_counts(np.asarray(lengths), counts, missing, who)
    flat = _to_bool(ak.flatten(array, axis=1), who)
    if missing is None:
        return flat
    mask = np.zeros(int(counts.sum()), dtype=bool)
    mask[np.repeat(~missing, counts)] = flat
    return mask


def _check_counts(got: IntArray, counts: IntArray, missing: BoolArray | None, who: str) -> None:
    wrong = got != counts
    if missing is not None:
        wrong &= ~missing
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        msg = (
            f"{who} returned {got[first]} values for the {counts[first]} objects of event {first} of the "
            f"chunk ({int(wrong.sum())} events disagree): the inner lengths must be those of the collection."
        )
        raise CutError(msg)


def repeat_mask(mask: BoolArray, counts: IntArray) -> BoolArray:
    """Give every object the value of its event: flat mask of length ``counts.sum()``."""
    return np.repeat(mask, counts)


def jagged_mask(flat: BoolArray, counts: IntArray) -> Array:
    """Awkward mask ``(n_events, var)`` over a flat one, without copying it."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    content = ak.contents.NumpyArray(flat)
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), content))
