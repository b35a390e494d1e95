"""Matching of two collections in Delta-R, one to one or many to one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib import kernels
from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.four_vectors import delta_phi
from pocket_coffea.types import Array, BoolArray, FloatArray, IntArray

__all__ = [
    "deltaR_matching_nonunique",
    "metric_eta",
    "metric_phi",
    "metric_pt",
    "object_matching",
]


def metric_pt(obj: Array, obj2: Array) -> Array:
    """|pt difference| [GeV]; for the ``metric`` of nearest and metric_table."""
    return abs(obj.pt - obj2.pt)


def metric_eta(obj: Array, obj2: Array) -> Array:
    """|eta difference|; for the ``metric`` of nearest and metric_table."""
    return abs(obj.eta - obj2.eta)


def metric_phi(obj: Array, obj2: Array) -> Array:
    """|phi difference|, the shorter way round: in [0, pi]; for the ``metric`` of nearest and metric_table."""
    return abs(delta_phi(obj.phi, obj2.phi))


def _limits(dpt_max: Any, other: Flat) -> FloatArray | float | None:
    """One limit for all, or one per object of ``other``; given per object, per event or as one number."""
    if dpt_max is None or isinstance(dpt_max, (int, float, np.number)):
        return None if dpt_max is None else float(dpt_max)
    if not isinstance(dpt_max, Iterable):
        msg = f"object_matching: dpt_max={dpt_max!r} is neither a number nor one number per object"
        raise InvalidValue(msg)
    given = ak.Array(dpt_max)
    if given.ndim == 1:
        values = np.asarray(ak.to_numpy(given), dtype=np.float64)
        if len(values) == len(other.counts):
            return np.repeat(values, other.counts)
    else:
        flat = Flat(given, "dpt_max")
        if np.array_equal(flat.counts, other.counts):
            return flat.values().astype(np.float64)
    msg = (
        "object_matching: dpt_max needs one number in all, per event, or per object of the second collection"
    )
    raise InvalidValue(msg)


def _pick(array: Array, positions: IntArray, offsets: IntArray) -> Array:
    """Objects at flat ``positions`` (None for -1) in lists of the second collection."""
    flattened = ak.flatten(array, axis=1) if array.ndim > 1 else array
    layout = ak.contents.IndexedOptionArray.simplified(ak.index.Index64(positions), flattened.layout)
    lists = ak.contents.ListOffsetArray(ak.index.Index64(offsets), layout)
    return ak.Array(lists, behavior=array.behavior, attrs=array.attrs)


def _optional(values: Any, there: BoolArray, offsets: IntArray) -> Array:
    layout = ak.contents.ByteMaskedArray(
        ak.index.Index8(there.astype(np.int8)), ak.contents.NumpyArray(values), valid_when=True
    )
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), layout))


def object_matching(
    obj: Array, obj2: Array, dr_min: float, dpt_max: Any = None, return_indices: bool = False
) -> tuple[Array, ...]:
    """Match two collections of the same events one to one, closest pair first.

    obj, obj2: (n_events, var) with eta, phi (and pt with ``dpt_max``). Pairs with Delta-R < ``dr_min``, and
    |pt difference| < ``dpt_max`` (a number, one per event, or one per object of obj2), are taken from the
    closest on, each object at most once. Returns (matched obj, matched obj2, Delta-R), each with the lists of
    obj2 and None where an object of obj2 has no partner. ``return_indices`` adds: position in obj of the
    partner, position in obj2 (both None where unmatched), and Delta-R of the matched ones alone.
    Raises InvalidValue when the events or the limits do not correspond, MissingBranch.
    """
    first, second = Flat(obj, "obj"), Flat(obj2, "obj2")
    match, distance = kernels.greedy_match(first, second, float(dr_min), _limits(dpt_max, second))
    there, offsets = match >= 0, second.offsets
    matched = _pick(obj, match, offsets)
    own = np.where(there, np.arange(len(second)), -1)
    matched2 = _pick(obj2, own, offsets)
    delta_r = _optional(distance, there, offsets)
    if not return_indices:
        return matched, matched2, delta_r
    event = second.event_index()
    local = np.where(there, match - first.offsets[:-1][event], 0)
    local2 = np.where(there, np.arange(len(second)) - offsets[:-1][event], 0)
    return (
        matched,
        matched2,
        delta_r,
        _optional(local, there, offsets),
        _optional(local2, there, offsets),
        ak.drop_none(delta_r, axis=1),
    )


def deltaR_matching_nonunique(obj1: Array, obj2: Array, radius: float = 0.4) -> Array:
    """Return for each object of obj1 the objects of obj2 that are nearer to it than to any other of obj1.

    Shape (n_events, var as obj1, var): an object of obj2 appears at most once, an object of obj1 may get
    many. Only Delta-R < ``radius``; it is the field ``dR``. The inner order is that of obj2.
    """
    first, second = Flat(obj1, "obj1"), Flat(obj2, "obj2")
    match, distance = kernels.nearest_match(first, second)
    chosen = np.flatnonzero((match >= 0) & (distance < radius))
    chosen = chosen[np.argsort(match[chosen], kind="stable")]
    inner = np.concatenate(([0], np.cumsum(np.bincount(match[chosen], minlength=len(first)))))
    objects = ak.with_field(ak.flatten(obj2, axis=1)[chosen], distance[chosen], "dR")
    lists = ak.contents.ListOffsetArray(ak.index.Index64(inner), objects.layout)
    nested = ak.contents.ListOffsetArray(ak.index.Index64(first.offsets), lists)
    return ak.Array(nested, behavior=obj2.behavior, attrs=obj2.attrs)
