"""Sums and angles of four-vectors given as plain numpy columns (pt [GeV], eta, phi [rad], mass [GeV])."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pocket_coffea.types import FloatArray

__all__ = ["delta_phi", "polar", "sum_p4"]


def delta_phi(phi1: Any, phi2: Any) -> Any:
    """Difference of two angles, the shorter way round: in [-pi, pi).

    >>> float(round(delta_phi(3.1, -3.1), 3))
    -0.083
    """
    return (phi1 - phi2 + np.pi) % (2 * np.pi) - np.pi


def polar(px: Any, py: Any) -> tuple[FloatArray, FloatArray]:
    """(pt, phi) of transverse components."""
    x, y = np.asarray(px, dtype=np.float64), np.asarray(py, dtype=np.float64)
    return np.hypot(x, y), np.arctan2(y, x)


def components(
    pt: Any, eta: Any, phi: Any, mass: Any
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(px, py, pz, E) in double precision."""
    pt, eta, phi, mass = (np.asarray(column, dtype=np.float64) for column in (pt, eta, phi, mass))
    pz = pt * np.sinh(eta)
    return pt * np.cos(phi), pt * np.sin(phi), pz, np.sqrt(mass**2 + pt**2 + pz**2)


def from_components(
    px: Any, py: Any, pz: Any, energy: Any
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(pt, eta, phi, mass); eta is 0 at rest, a negative mass squared counts as 0."""
    pt, phi = polar(px, py)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.where((pt == 0) & (pz == 0), 0.0, np.arcsinh(pz / pt))
    mass = np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0.0))
    return pt, eta, phi, mass


def sum_p4(vectors: Iterable[Sequence[Any]]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(pt, eta, phi, mass) of the sum of vectors given as (pt, eta, phi, mass), event by event."""
    parts = [components(*vector) for vector in vectors]
    return from_components(*(sum(part[axis] for part in parts) for axis in range(4)))
