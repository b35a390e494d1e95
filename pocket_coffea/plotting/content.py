"""Contents of histograms as arrays: summed over datasets, with one row for each category and variation.

A histogram of an output has the axes ``cat``, ``variation`` (simulation only), and one or more of its own. A
``Block`` holds what such histograms of one layout have in common, under- and overflow included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pocket_coffea.errors import FillError, InvalidValue

__all__ = [
    "NOMINAL",
    "Array",
    "Binning",
    "Block",
    "add_blocks",
    "block_of",
    "common_binnings",
    "rebinned",
    "with_flow",
]

Array = npt.NDArray[np.float64]

NOMINAL = "nominal"
_CATEGORY, _VARIATION = "cat", "variation"


@dataclass(frozen=True)
class Binning:
    """One drawn axis: edges (n + 1), its label, and the names of its bins if it counts categories."""

    edges: tuple[float, ...]
    label: str
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.edges) - 1


@dataclass(frozen=True)
class Block:
    """Sums of weights and their variances, shape (category, variation, bins...).

    While ``flow`` is true, each axis of bins begins with its underflow and ends with its overflow.
    """

    categories: tuple[str, ...]
    variations: tuple[str, ...]
    binnings: tuple[Binning, ...]
    values: Array
    variances: Array
    flow: bool = True

    def scaled(self, factor: float) -> Block:
        """Return the block times a factor; variances get its square."""
        if factor == 1:
            return self
        return replace(self, values=self.values * factor, variances=self.variances * factor**2)

    def with_empty_as_nominal(self) -> Block:
        """Return the block with rows of variations that were never filled replaced by the nominal ones.

        A variation is not computed in every category; its row is then empty, which is no shift of -100 %.
        """
        if len(self.variations) < 2 or NOMINAL not in self.variations:
            return self
        nominal = self.variations.index(NOMINAL)
        axes = tuple(range(2, self.values.ndim))
        empty = ~np.any((self.values != 0) | (self.variances != 0), axis=axes)
        if not np.any(empty & ~empty[:, nominal : nominal + 1]):
            return self
        values, variances = self.values.copy(), self.variances.copy()
        for category, variation in np.argwhere(empty):
            values[category, variation] = self.values[category, nominal]
            variances[category, variation] = self.variances[category, nominal]
        return replace(self, values=values, variances=variances)


def block_of(histogram: Any, origin: str) -> Block:
    """Return the block of one histogram of an output; axes of categories besides the drawn one are summed.

    origin: for messages. Raises FillError for a histogram without an axis ``cat`` or with nothing to draw.
    """
    axes = list(histogram.axes)
    names = [axis.name for axis in axes]
    if _CATEGORY not in names:
        msg = f"{origin}: the histogram has no axis {_CATEGORY!r}, its axes are {', '.join(names)}."
        raise FillError(msg)
    drawn = _drawn_axes(axes)
    if not drawn:
        msg = f"{origin}: the histogram has no axis to draw, its axes are {', '.join(names)}."
        raise FillError(msg)
    values = np.asarray(histogram.values(flow=True), dtype=np.float64)
    found = histogram.variances(flow=True)
    variances = values if found is None else np.asarray(found, dtype=np.float64)
    has_variations = _VARIATION in names
    first = [names.index(_CATEGORY), *([names.index(_VARIATION)] if has_variations else [])]
    others = [i for i in range(len(axes)) if i not in (*first, *drawn)]
    arrays = [
        _arranged(array, (first, drawn, others), [axes[i] for i in drawn]) for array in (values, variances)
    ]
    categories = tuple(axes[first[0]])
    variations = tuple(axes[first[1]]) if has_variations else (NOMINAL,)
    if not has_variations:
        arrays = [array[:, np.newaxis] for array in arrays]
    arrays = [array[: len(categories), : len(variations)] for array in arrays]
    return Block(categories, variations, tuple(_binning(axes[i]) for i in drawn), arrays[0], arrays[1])


def _is_category(axis: Any) -> bool:
    return type(axis).__name__ in ("StrCategory", "IntCategory")


def _drawn_axes(axes: Sequence[Any]) -> list[int]:
    own = [i for i, axis in enumerate(axes) if axis.name not in (_CATEGORY, _VARIATION)]
    numeric = [i for i in own if not _is_category(axes[i])]
    return numeric or own[:1]


def _arranged(array: Array, order: tuple[list[int], list[int], list[int]], drawn: Sequence[Any]) -> Array:
    """Categories and variations first, then the drawn axes with both flow bins; the others summed."""
    first, bins, others = order
    array = array.transpose(*first, *bins, *others)
    if others:
        array = array.sum(axis=tuple(range(len(first) + len(bins), array.ndim)))
    pad = [(0, 0)] * len(first) + [
        (int(not axis.traits.underflow), int(not axis.traits.overflow)) for axis in drawn
    ]
    return np.pad(array, pad) if any(map(any, pad)) else array


def _binning(axis: Any) -> Binning:
    label = str(axis.label or axis.name)
    if _is_category(axis):
        names = tuple(str(name) for name in axis)
        return Binning(tuple(float(i) for i in range(len(names) + 1)), label, names)
    return Binning(tuple(float(edge) for edge in axis.edges), label)


def add_blocks(blocks: Iterable[Block], origin: str) -> Block:
    """Return the sum. A variation that one of them lacks is its nominal content; a category it lacks is 0.

    Raises FillError when they have different bins.
    """
    blocks = list(blocks)
    first = blocks[0]
    common_binnings(blocks, origin)
    categories = tuple(dict.fromkeys(name for block in blocks for name in block.categories))
    variations = tuple(dict.fromkeys(name for block in blocks for name in block.variations))
    aligned = [_aligned(block, categories, variations) for block in blocks]
    return replace(
        first,
        categories=categories,
        variations=variations,
        values=np.sum([block.values for block in aligned], axis=0),
        variances=np.sum([block.variances for block in aligned], axis=0),
    )


def common_binnings(blocks: Sequence[Block], origin: str) -> tuple[Binning, ...]:
    """Return the bins that all blocks have, nothing without a block. Raises FillError when they differ."""
    if not blocks:
        return ()
    first = blocks[0]
    if any(block.binnings != first.binnings or block.flow != first.flow for block in blocks):
        found = {_describe(block) for block in blocks}
        if len(found) == 1:  # other edges between, or another label
            found = {f"{_describe(block)} {block.binnings[0]}" for block in blocks}
        msg = f"{origin}: histograms with different bins cannot be added: {' and '.join(sorted(found))}."
        raise FillError(msg)
    return first.binnings


def _describe(block: Block) -> str:
    return " x ".join(
        f"{len(binning)} bins [{binning.edges[0]:g}, {binning.edges[-1]:g}]" for binning in block.binnings
    )


def _aligned(block: Block, categories: tuple[str, ...], variations: tuple[str, ...]) -> Block:
    if block.categories == categories and block.variations == variations:
        return block
    nominal = block.variations.index(NOMINAL) if NOMINAL in block.variations else 0
    columns = [block.variations.index(name) if name in block.variations else nominal for name in variations]
    rows = [block.categories.index(name) for name in categories if name in block.categories]
    places = [i for i, name in enumerate(categories) if name in block.categories]
    shape = (len(categories), len(variations), *block.values.shape[2:])
    values, variances = np.zeros(shape), np.zeros(shape)
    values[places] = block.values[rows][:, columns]
    variances[places] = block.variances[rows][:, columns]
    return replace(block, categories=categories, variations=variations, values=values, variances=variances)


def rebinned(block: Block, how: int | Sequence[float], origin: str) -> Block:
    """Return a one-dimensional block with wider bins: ``how`` many make one, or the edges to keep.

    Bins beyond the last one that is whole, or outside the edges, become overflow and underflow. Raises
    InvalidValue for edges that the histogram does not have.
    """
    (binning,) = block.binnings
    if binning.names:
        msg = f"rebin of {origin}: its bins are names and cannot be joined."
        raise InvalidValue(msg)
    kept = _kept_edges(binning, how, origin)
    edges = tuple(binning.edges[i] for i in kept)
    # flow included, bin i of the old axis is at i + 1: everything below the first edge is underflow
    starts = [0, *(i + 1 for i in kept)]
    return replace(
        block,
        binnings=(replace(binning, edges=edges),),
        values=np.add.reduceat(block.values, starts, axis=-1),
        variances=np.add.reduceat(block.variances, starts, axis=-1),
    )


def _kept_edges(binning: Binning, how: int | Sequence[float], origin: str) -> list[int]:
    n_bins = len(binning)
    if isinstance(how, int):
        if not 1 <= how <= n_bins:
            msg = f"rebin of {origin}: {how} bins cannot be joined, it has {n_bins}. Allowed: 1 to {n_bins}."
            raise InvalidValue(msg)
        return list(range(0, n_bins - n_bins % how + 1, how))
    edges = np.asarray(binning.edges)
    wanted = [float(edge) for edge in how]
    if len(wanted) < 2 or wanted != sorted(set(wanted)):
        msg = f"rebin of {origin}: {wanted} are not the increasing edges of one or more bins."
        raise InvalidValue(msg)
    kept = [int(np.argmin(np.abs(edges - edge))) for edge in wanted]
    width = np.diff(edges).min()
    for edge, index in zip(wanted, kept, strict=True):
        if abs(edges[index] - edge) > 1e-6 * width:
            msg = f"rebin of {origin}: {edge:g} is not one of its edges; the nearest is {edges[index]:g}."
            raise InvalidValue(msg)
    return kept


def with_flow(block: Block, how: str) -> Block:
    """Return the block without flow bins: added to the first and last bin (``sum``) or dropped.

    The bins of names have no flow that could be drawn: it is dropped.
    """
    values, variances = block.values, block.variances
    for axis, binning in enumerate(block.binnings, start=2):
        folded = how == "sum" and not binning.names
        values, variances = (_without_flow(array, axis, folded) for array in (values, variances))
    return replace(block, values=values, variances=variances, flow=False)


def _without_flow(array: Array, axis: int, folded: bool) -> Array:
    array = np.moveaxis(array, axis, -1)
    inner = array[..., 1:-1].copy()
    if folded:
        inner[..., 0] += array[..., 0]
        inner[..., -1] += array[..., -1]
    return np.moveaxis(inner, -1, axis)
