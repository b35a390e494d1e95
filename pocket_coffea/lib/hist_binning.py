"""From values to the flat bin over the dense axes of a histogram, with the rules of
boost-histogram.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import hist
import numpy as np

from pocket_coffea.errors import FillError, did_you_mean
from pocket_coffea.lib.hist_axes import Axis
from pocket_coffea.types import BoolArray, IntArray

__all__ = ["AxisBinning", "flat_bins", "kernels", "make_binnings", "to_axis_values"]

#: cells of the table that gives a first guess of a variable bin
N_HINTS = 1024
INT32_MAX = 2**31 - 1
#: storages whose memory the compiled loops write to
DIRECT_STORAGES = (hist.storage.Weight, hist.storage.Double, hist.storage.Int64)


def kernels() -> ModuleType:
    """Return the compiled loops; numba is imported at the first call."""
    from pocket_coffea.lib import hist_kernels

    return hist_kernels


def to_axis_values(config: Axis, values: Any, where: str) -> Any:
    """Return ``values`` (array or scalar) in the type that the axis takes: text, whole numbers or
    float64.

    Raises FillError naming ``where`` if that loses something (text on a number axis, 3.7 on an axis
    of integers).
    """
    array = np.asarray(values)
    if config.type == "strcat":
        return array.astype(str)
    if array.dtype.kind in "USO":
        array = _numbers_from_text(array, where)
    if config.type not in {"int", "intcat"}:
        return array.astype(np.float64, copy=False)
    if array.dtype.kind in "biu":
        return array.astype(np.int64, copy=False)
    # infinities and NaN belong to the flow bins
    whole = np.nan_to_num(array.astype(np.float64), nan=INT32_MAX, posinf=INT32_MAX, neginf=-INT32_MAX)
    if np.any(whole != np.rint(whole)):
        wrong = np.ravel(whole)[np.ravel(whole != np.rint(whole))][0]
        msg = f"{where}: type {config.type!r} takes whole numbers, got {wrong}. Use type='regular'."
        raise FillError(msg)
    return whole.astype(np.int64)


def _numbers_from_text(array: Any, where: str) -> Any:
    """Return text as numbers (metadata such as a year are often text). Raises FillError."""
    try:
        return array.astype(np.float64)
    except (ValueError, TypeError) as exc:
        msg = f"{where}: {np.ravel(array)[:1]} is no number; use type='strcat' for text."
        raise FillError(msg) from exc


class AxisBinning:
    """The bins of one dense axis: where in memory a value goes.

    ``axis`` is the axis of the histogram, made from ``config``.
    """

    def __init__(self, axis: Any, config: Axis) -> None:
        self.axis = axis
        self.config = config
        self.extent: int = axis.extent
        self.shift = int(axis.traits.underflow)
        self.grows: bool = axis.traits.growth
        self._labels: dict[Any, int] | None = None
        self._hint: Any = None
        self._edges: Any = None
        plain = not axis.traits.circular
        self._is_regular = plain and isinstance(axis, hist.axis.Regular) and config.transform is None
        self._is_variable = plain and isinstance(axis, hist.axis.Variable)
        self._is_integer = plain and isinstance(axis, hist.axis.Integer)

    def index(self, values: Any) -> IntArray:
        """Return the bin of each value, int32: -1 below the axis, its size above (and for NaN or
        unknown labels).
        """
        if self._is_regular:
            start, stop = float(self.config.start or 0), float(self.config.stop or 0)
            out = np.empty(len(values), dtype=np.int32)
            kernels().index_regular(
                values, start, stop - start, self.axis.size, self.axis.traits.overflow, out
            )
            return out
        if self._is_variable:
            return self._variable(values)
        if self._is_integer:
            low = int(self.axis.edges[0])
            return np.clip(values - low, -1, self.axis.size).astype(np.int32)
        if self.config.is_categorical:
            return self._category(values)
        return np.asarray(self.axis.index(values), dtype=np.int32)

    def _variable(self, values: Any) -> IntArray:
        if self._edges is None:
            self._edges = np.ascontiguousarray(self.axis.edges, dtype=np.float64)
            cells = np.linspace(self._edges[0], self._edges[-1], N_HINTS, endpoint=False)
            hint = np.searchsorted(self._edges, cells, side="right") - 1
            self._hint = np.clip(hint, 0, self.axis.size - 1).astype(np.int32)
        out = np.empty(len(values), dtype=np.int32)
        kernels().index_variable(values, self._edges, self.axis.traits.overflow, self._hint, out)
        return out

    def _category(self, values: Any) -> IntArray:
        if self._labels is None:
            self._labels = {label: i for i, label in enumerate(self.axis)}
        distinct, inverse = np.unique(values, return_inverse=True)
        bins = [self._labels.get(value, self.axis.size) for value in distinct.tolist()]
        return np.asarray(bins, dtype=np.int32)[inverse]

    def check_label(self, value: Any, where: str) -> None:
        """Raise FillError if one label that holds for the whole chunk is not on the axis: it would
        vanish in overflow.
        """
        label = value.item()
        if self.config.is_categorical and not self.grows and label not in list(self.axis):
            msg = f"{where}: the value {label!r} is not on the axis. {did_you_mean(label, list(self.axis))}"
            raise FillError(msg)


def make_binnings(histogram: Any, axes: Sequence[Axis], dense: Sequence[Any]) -> list[AxisBinning] | None:
    """Return how the ``dense`` axes of a histogram, made from ``axes``, map to memory.

    None if only ``Hist.fill`` can fill it: a growing axis, a storage of another kind, or too many
    bins.
    """
    binnings = [AxisBinning(axis, config) for axis, config in zip(dense, axes, strict=True)]
    size = math.prod(binning.extent for binning in binnings)
    if histogram.storage_type not in DIRECT_STORAGES or size >= INT32_MAX or any(b.grows for b in binnings):
        return None
    return binnings


def flat_bins(
    axes: Sequence[AxisBinning], values: Sequence[Any], valid: BoolArray | None, n: int
) -> IntArray:
    """Return the flat bin of each of ``n`` entries, int32, the first axis fastest; -1 for "do not
    fill".

    ``values``: for each axis an array (n,) or a scalar array; ``valid`` (n,): False where a value
    is missing.
    """
    flat = np.zeros(n, dtype=np.int32)
    stride = 1
    for axis, value in zip(axes, values, strict=True):
        index = axis.index(value) if value.ndim else np.repeat(axis.index(value[np.newaxis]), n)
        kernels().combine(flat, index, axis.shift, axis.extent, stride)
        stride *= axis.extent
    if valid is not None:
        flat[~valid] = -1
    return flat
