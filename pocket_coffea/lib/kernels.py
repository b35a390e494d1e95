"""Doors to the compiled loops: plain numpy in, plain numpy out, numba imported at the first call.

Every function takes collections as :class:`pocket_coffea.lib.flat.Flat`. Objects that are None match nothing
and are near nothing. Compiled code is kept on disk by numba, so only the first process of a machine pays for
it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib.flat import Flat
from pocket_coffea.types import BoolArray, FloatArray, IntArray

__all__ = ["Directions", "count_objects", "directions", "greedy_match", "is_far_from", "nearest_match"]


@functools.cache
def compiled() -> ModuleType:
    """The module of compiled loops. Imports numba."""
    from pocket_coffea.lib import _compiled

    return _compiled


def _frozen(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A contiguous read-only view: numba compiles once, not again for writeable and for read-only input."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def _columns(flat: Flat, *fields: str, keep_single: bool = False) -> list[np.ndarray[Any, Any]]:
    """Columns as float64, NaN where the object is None; float32 ones as they are with ``keep_single``."""
    columns = []
    for field in fields:
        values = flat.column(field)
        if not (keep_single and values.dtype == np.float32 and values.dtype.isnative):
            values = values.astype(np.float64, copy=False)
        if flat.missing is not None:
            values = np.where(flat.missing, values.dtype.type(np.nan), values)
        columns.append(_frozen(values))
    return columns


class Directions(NamedTuple):
    """The lists, eta and phi (float64) of a collection without the objects that are None."""

    offsets: IntArray
    eta: FloatArray
    phi: FloatArray


def directions(flat: Flat) -> Directions:
    """Return what :func:`is_far_from` needs to know of the other collection."""
    eta, phi = _columns(flat, "eta", "phi")
    if flat.missing is None:
        return Directions(_frozen(flat.offsets), eta, phi)
    there = ~flat.missing
    offsets = np.concatenate(([0], np.cumsum(there)))[flat.offsets]
    return Directions(_frozen(offsets), _frozen(eta[there]), _frozen(phi[there]))


def _same_events(flat: Flat, n_events: int, name: str) -> None:
    if len(flat.counts) != n_events:
        msg = (
            f"{flat.name!r} has {len(flat.counts)} events and {name!r} has {n_events}: "
            "compare collections of the same events"
        )
        raise InvalidValue(msg)


def is_far_from(
    flat: Flat, others: Iterable[Flat | Directions], dr_min: float, keep: BoolArray | None = None
) -> BoolArray:
    """True for objects with Delta-R > ``dr_min`` to every object of all ``others``, shape (number of
    objects,).

    With ``keep`` only objects that are already True there are looked at, and the others stay False. Needs eta
    and phi. Raises InvalidValue when the collections are not of the same events.
    """
    result = np.ones(len(flat), dtype=np.bool_) if keep is None else keep.copy()
    for other in others:
        _same_events(flat, len(other.offsets) - 1, getattr(other, "name", "the other collection"))
        around = directions(other) if isinstance(other, Flat) else other
        if len(around.eta) == 0:
            continue
        if flat.missing is not None:
            result &= ~flat.missing
        eta, phi = _columns(flat, "eta", "phi", keep_single=True)
        compiled().far_from((_frozen(flat.offsets), eta, phi), tuple(around), float(dr_min), result)
    return result


def greedy_match(
    flat: Flat, other: Flat, dr_max: float, dpt_max: FloatArray | float | None = None
) -> tuple[IntArray, FloatArray]:
    """One-to-one match, closest pair first. Returns for each object of ``other`` (position in ``flat`` or -1,
    Delta-R).

    Only pairs with Delta-R < ``dr_max`` and |pt difference| < ``dpt_max`` (one value, or one per object of
    ``other``) take part. Delta-R of an unmatched object is NaN.
    """
    _same_events(flat, len(other.counts), other.name)
    match, distance2 = np.full(len(other), -1, dtype=np.int64), np.full(len(other), np.nan)
    limit = np.inf if dpt_max is None else dpt_max
    limits = _frozen(np.broadcast_to(np.asarray(limit, dtype=np.float64), len(other)))
    fields = ("eta", "phi") if dpt_max is None else ("eta", "phi", "pt")
    first, second = _columns(flat, *fields), _columns(other, *fields)
    if dpt_max is None:
        first.append(np.zeros_like(first[0]))
        second.append(np.zeros_like(second[0]))
    objects, others = (_frozen(flat.offsets), *first), (_frozen(other.offsets), *second)
    dr2_max = float(dr_max) * abs(float(dr_max))  # nothing is closer than a negative distance
    compiled().greedy_match(objects, others, (dr2_max, limits), match, distance2)
    return match, np.sqrt(distance2)


def nearest_match(flat: Flat, other: Flat) -> tuple[IntArray, FloatArray]:
    """For each object of ``other`` (position of the nearest in ``flat`` or -1, Delta-R or inf)."""
    _same_events(flat, len(other.counts), other.name)
    match, distance2 = np.full(len(other), -1, dtype=np.int64), np.full(len(other), np.inf)
    objects = (_frozen(flat.offsets), *_columns(flat, "eta", "phi"))
    others = (_frozen(other.offsets), *_columns(other, "eta", "phi"))
    compiled().nearest_match(objects, others, match, distance2)
    return match, np.sqrt(distance2)


def count_objects(flat: Flat, keep: BoolArray) -> IntArray:
    """Number of objects per event where ``keep`` (shape (number of objects,)); int64, shape (n_events,)."""
    running = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))
    return np.diff(running[flat.offsets])
