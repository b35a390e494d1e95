"""Histograms of two axes for the page: sums in cells, of data and of simulation.

A page of many maps would be large. Neighbouring bins are added up where an axis has more than ``MOST_BINS``,
and all maps of a page together have ``MOST_BYTES``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pocket_coffea.errors import FillError
from pocket_coffea.plotting.content import Array, Binning
from pocket_coffea.plotting.stack import Samples
from pocket_coffea.report.labels import plain, runs_of

__all__ = ["MOST_BINS", "MOST_BYTES", "map_of"]

#: Bins that an axis of a map has at most; the coarser ones are for pages that would be too large.
MOST_BINS = (60, 30, 15)
#: What the maps of a page take together, packed [bytes].
MOST_BYTES = 2_000_000


def map_of(samples: Samples, most: int) -> dict[str, Any]:
    """Return the maps of a variable in all its categories, with at most ``most`` bins on each axis.

    Cells of x = 0 come first, in the order of y. Data of which a part is hidden have no map. Raises FillError
    for more than ``most`` named bins, which cannot be added up.
    """
    x, y = (_starts(binning, most) for binning in samples.binnings)
    categories = {}
    for category in samples.categories:
        stack = samples.stack(category)
        content: dict[str, Any] = {"mc": [], "signals": []}
        if stack.mc:
            content["simulation"] = _cells(stack.total.values, x, y)
        if stack.data is not None and stack.shown.all():
            content["observed"] = _cells(stack.data.values, x, y)
        categories[category] = content
    across, upward = samples.binnings
    return {
        "edges": _edges(across, x),
        "names": [plain(name) for name in across.names],
        "up": {"edges": _edges(upward, y), "names": [plain(name) for name in upward.names]},
        "axes": [runs_of(across.label), runs_of(upward.label)],
        "categories": categories,
    }


def _starts(binning: Binning, most: int) -> list[int]:
    """Return with which bins the drawn ones begin."""
    together = -(-len(binning) // most)
    if together > 1 and binning.names:
        msg = f"its axis {binning.label} has {len(binning)} named bins; the page draws {most}"
        raise FillError(msg)
    return list(range(0, len(binning), together))


def _edges(binning: Binning, starts: list[int]) -> list[float]:
    return [float(f"{binning.edges[place]:.10g}") for place in (*starts, len(binning))]


def _cells(values: Array, x: list[int], y: list[int]) -> list[float | int]:
    """Return sums with three significant digits, integers as such."""
    added = np.add.reduceat(np.add.reduceat(np.nan_to_num(values), x, axis=0), y, axis=1)
    rounded = [float(f"{value:.3g}") for value in added.ravel().tolist()]
    return [int(value) if value.is_integer() and abs(value) < 1e15 else value for value in rounded]
