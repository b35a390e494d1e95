"""From what a weight returns to float64 arrays with one number per event, and whether they are finite."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.errors import WeightError
from pocket_coffea.types import FloatArray

__all__ = ["Origin", "as_float_array", "check_finite", "check_length", "is_finite"]


@dataclasses.dataclass(frozen=True)
class Origin:
    """What an array of weights belongs to; every message starts with it."""

    weight: str
    sample: str
    dataset: str
    variation: str = "nominal"

    def of(self, variation: str) -> Origin:
        """The same weight, another variation."""
        return dataclasses.replace(self, variation=variation)

    def __str__(self) -> str:
        return (
            f"weight {self.weight!r} (variation {self.variation!r}) of sample {self.sample!r}, "
            f"dataset {self.dataset!r}"
        )


def check_length(values: Any, size: int, origin: Origin) -> None:
    """Raise WeightError unless ``values`` is an array with one entry for each of the ``size`` events."""
    try:
        length = len(values)
    except TypeError:
        msg = (
            f"{origin}: a {type(values).__name__} ({values!r:.60}) was returned where an array of {size} "
            "numbers is needed. For a constant write np.full(size, value)."
        )
        raise WeightError(msg) from None
    if length != size:
        msg = (
            f"{origin}: {length} values for {size} events. A weight has one value per event of the events "
            "that compute() was called with."
        )
        raise WeightError(msg)


def as_float_array(values: Any, size: int, origin: Origin) -> FloatArray:
    """Return (size,) float64 values; None and masked entries become 1, as everywhere in coffea.

    A float64 numpy array is returned as it is, so that the result must not be modified. Raises WeightError
    for another shape, type or length. Whether the values are finite is not looked at.
    """
    check_length(values, size, origin)
    flat = _to_numpy(values, origin)
    if flat.ndim != 1:
        msg = (
            f"{origin}: an array of shape {flat.shape} instead of ({size},). Reduce it to one value per "
            "event, for example with ak.prod(..., axis=1)."
        )
        raise WeightError(msg)
    if flat.dtype.kind not in "fiub":
        msg = f"{origin}: values of type {flat.dtype} are not numbers."
        raise WeightError(msg)
    return flat.astype(np.float64, copy=False)


def _to_numpy(values: Any, origin: Origin) -> np.ndarray[Any, Any]:
    if isinstance(values, ak.Array):
        try:
            values = ak.to_numpy(values, allow_missing=True)
        except ValueError as exc:
            msg = (
                f"{origin}: an array of type {ak.type(values)} instead of one number per event. Reduce the "
                "inner dimension, for example with ak.prod(..., axis=1)."
            )
            raise WeightError(msg) from exc
    if isinstance(values, np.ma.MaskedArray):
        return values.filled(1)
    return np.asarray(values)


def is_finite(values: FloatArray) -> bool:
    """Return whether no value is NaN or infinite."""
    with np.errstate(all="ignore"):
        total = float(values.sum())
    # A NaN or an infinity does not survive in a finite sum, which is quicker than looking at each value.
    return math.isfinite(total) or bool(np.isfinite(values).all())


def check_finite(values: FloatArray, origin: Origin | str, hint: str = "") -> None:
    """Raise WeightError naming the number of values that are NaN or infinite and the first of them."""
    if is_finite(values):
        return
    bad = np.flatnonzero(~np.isfinite(values))
    first = int(bad[0])
    msg = (
        f"{origin}: {len(bad)} of {len(values)} events have a weight that is not finite; the first is event "
        f"number {first} of those it was computed for, with value {values[first]}. "
        f"{hint or 'Look for a division by zero, a logarithm or a correction outside its range.'}"
    )
    raise WeightError(msg)
