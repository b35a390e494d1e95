"""Compiled loops over flat collections. Import through :mod:`pocket_coffea.lib.kernels`, which does it late.

A collection is ``offsets`` (n_events + 1) and flat columns. Differences in phi are taken as the shorter way
round; distances are computed in double precision whatever the columns are. A NaN is never near anything.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from pocket_coffea.lib._numba import kernel
from pocket_coffea.types import Array

__all__ = ["far_from", "fill_builder", "greedy_match", "nearest_match", "ttbar_partons"]

_jit = kernel(error_model="numpy")
#: (offsets, eta, phi) and (offsets, eta, phi, pt)
_Jagged3 = tuple[Array, Array, Array]
_Jagged4 = tuple[Array, Array, Array, Array]
_TWO_PI = 2.0 * math.pi


@_jit
def _distance2(eta1: float, phi1: float, eta2: float, phi2: float) -> float:
    deta = float(eta1) - float(eta2)
    dphi = abs(float(phi1) - float(phi2))
    if dphi > math.pi:
        dphi = abs(dphi - _TWO_PI * math.floor(dphi / _TWO_PI + 0.5))
    return deta * deta + dphi * dphi


@_jit
def _is_near(eta: float, phi: float, others: _Jagged3, event: int, dr: float) -> bool:
    offsets, eta2, phi2 = others
    dr2 = dr * abs(dr)  # everything is further than a negative distance
    for j in range(offsets[event], offsets[event + 1]):
        if abs(float(eta) - eta2[j]) > dr and phi == phi and phi2[j] == phi2[j]:  # noqa: PLR0124 -- NaN
            continue
        if not _distance2(eta, phi, eta2[j], phi2[j]) > dr2:
            return True
    return False


@_jit
def far_from(objects: _Jagged3, others: _Jagged3, dr: float, keep: Array) -> None:
    """Clear ``keep`` where an object is not further than ``dr`` from all of the others: (offsets, eta, phi)
    each.
    """
    offsets, eta, phi = objects
    for event in range(len(offsets) - 1):
        if others[0][event] == others[0][event + 1]:
            continue
        for i in range(offsets[event], offsets[event + 1]):
            if keep[i] and _is_near(eta[i], phi[i], others, event, dr):
                keep[i] = False


@_jit
def _closest(
    objects: _Jagged4, others: _Jagged4, limits: tuple[float, Array], event: int, used: Array, match: Array
) -> tuple[float, int, int]:
    offsets, eta, phi, pt = objects
    offsets2, eta2, phi2, pt2 = others
    best, best_i, best_j = limits[0], -1, -1
    for i in range(offsets[event], offsets[event + 1]):
        if used[i]:
            continue
        for j in range(offsets2[event], offsets2[event + 1]):
            d2 = _distance2(eta[i], phi[i], eta2[j], phi2[j])
            if match[j] < 0 and d2 < best and abs(pt[i] - pt2[j]) < limits[1][j]:
                best, best_i, best_j = d2, i, j
    return best, best_i, best_j


@_jit
def greedy_match(
    objects: _Jagged4, others: _Jagged4, limits: tuple[float, Array], match: Array, distance2: Array
) -> None:
    """For each of the others the position of its partner among the objects, -1 for none.

    objects, others: (offsets, eta, phi, pt). limits: (largest Delta-R squared, largest difference of pt per
    other one). The closest allowed pair of an event is taken first, then the closest of what is left, and so
    on.
    """
    offsets, offsets2 = objects[0], others[0]
    used = np.zeros(len(objects[1]), dtype=np.bool_)
    for event in range(len(offsets) - 1):
        for _ in range(min(offsets[event + 1] - offsets[event], offsets2[event + 1] - offsets2[event])):
            best, i, j = _closest(objects, others, limits, event, used, match)
            if i < 0:
                break
            used[i] = True
            match[j] = i
            distance2[j] = best


@_jit
def _nearest(eta: float, phi: float, objects: _Jagged3, event: int) -> tuple[float, int]:
    offsets, eta1, phi1 = objects
    best, best_i = np.inf, -1
    for i in range(offsets[event], offsets[event + 1]):
        d2 = _distance2(eta1[i], phi1[i], eta, phi)
        if d2 < best:
            best, best_i = d2, i
    return best, best_i


@_jit
def nearest_match(objects: _Jagged3, others: _Jagged3, match: Array, distance2: Array) -> None:
    """For each of the others the nearest object, which may be taken many times: (offsets, eta, phi) each."""
    offsets2, eta2, phi2 = others
    for event in range(len(offsets2) - 1):
        for j in range(offsets2[event], offsets2[event + 1]):
            distance2[j], match[j] = _nearest(eta2[j], phi2[j], objects, event)


@_jit
def _last(ids: Array, first: int, last: int, wanted: tuple[int, int]) -> int:
    for i in range(last - 1, first - 1, -1):
        if ids[i] == wanted[0] or ids[i] == wanted[1]:
            return i
    return -1


@_jit
def _first(ids: Array, first: int, last: int, wanted: int) -> int:
    for i in range(first, last):
        if ids[i] == wanted:
            return i
    return -1


@_jit
def _label_w(ids: Array, labels: Array, first: int, last: int, sign: int) -> bool:
    """Label the quarks of the W of this charge; False when it decayed to leptons."""
    up = _last(ids, first, last, (2 * sign, 4 * sign))
    down = _last(ids, first, last, (-1 * sign, -3 * sign))
    if up < 0 or down < 0:
        return False
    labels[up] = 5
    labels[down] = 5
    return True


@_jit
def _label_top(ids: Array, labels: Array, first: int, last: int, sign: int, extra_bb: bool) -> None:
    hadronic = _label_w(ids, labels, first, last, sign)
    top_b = _last(ids, first, last, (5 * sign, 5 * sign))
    if top_b < 0:
        return
    labels[top_b] = 2 if hadronic else 3
    extra = _first(ids, first, last, 5 * sign)
    if extra_bb and extra != top_b:
        labels[extra] = 1


@_jit
def ttbar_partons(offsets: Array, ids: Array, higgs: bool, extra_bb: bool, labels: Array) -> None:
    """Label the partons of ttH (the last two come from the Higgs), tt + bb (the first pair is extra) or tt
    events.
    """
    for event in range(len(offsets) - 1):
        first, last = offsets[event], offsets[event + 1]
        if higgs:
            last = max(first, last - 2)
            labels[last : offsets[event + 1]] = 1
        labels[first:last] = 4
        for sign in (1, -1):
            _label_top(ids, labels, first, last, sign, extra_bb)


@numba.njit(nogil=True)  # a builder holds pointers, so this one cannot be cached on disk
def fill_builder(offsets: Array, values: Array, builder: Array) -> Array:
    """Append one list of integers per event to an ``ak.ArrayBuilder``."""
    for event in range(len(offsets) - 1):
        builder.begin_list()
        for i in range(offsets[event], offsets[event + 1]):
            builder.integer(values[i])
        builder.end_list()
    return builder
