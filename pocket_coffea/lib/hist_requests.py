"""What to fill: one request per histogram and subsample, and the weights that go with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from pocket_coffea.lib.hist_axes import Axis, HistConf
from pocket_coffea.lib.hist_binning import AxisBinning
from pocket_coffea.types import FloatArray, IntArray

__all__ = ["FillRequest", "WeightGroup", "WeightKey", "WeightOf", "WeightTable"]

#: (category, subsample, variation label) -> weights of all events, None for ones
WeightOf = Callable[[str, str, str], FloatArray | None]
#: (subsample, labels), None for ones
WeightKey = tuple[str, tuple[str, ...]] | None


@dataclasses.dataclass(frozen=True)
class FillRequest:
    """One histogram of one subsample, and what to fill it with in this pass.

    ``axes``: the configured dense axes, and ``binnings`` how they map to memory, None if only
    ``Hist.fill`` can fill it; ``labels``: the variation bins to fill (one dummy for data, which has
    no such axis); ``weighted=False`` fills ones; ``factor`` (n_events,) multiplies.
    """

    name: str
    subsample: str
    conf: HistConf
    axes: Sequence[Axis]
    binnings: Sequence[AxisBinning] | None
    labels: tuple[str, ...]
    categories: tuple[str, ...]
    weighted: bool = True
    has_variation: bool = True
    factor: FloatArray | None = None

    @property
    def where(self) -> str:
        """How messages call it."""
        return f"Histogram {self.name!r}"

    @property
    def collapse_mode(self) -> str:
        """How masks over objects are reduced where there is one entry per event."""
        return self.conf.collapse_2D_masks_mode if self.conf.collapse_2D_masks else "OR"

    @property
    def weight_key(self) -> WeightKey:
        """Requests with equal keys use the same weights."""
        return (self.subsample, self.labels) if self.weighted else None


@dataclasses.dataclass(frozen=True)
class WeightGroup:
    """The categories that have the same weights.

    ``arrays``: the weights (n_events,) of each label, None for ones.
    """

    categories: tuple[str, ...]
    arrays: tuple[FloatArray | None, ...]


@dataclasses.dataclass(frozen=True)
class WeightTable:
    """The weights of the events of a slice.

    For group g, event i has line ``slot[i, g]`` of ``weights`` (n_lines, n_labels); line l is of
    event ``events[l]``.
    """

    slot: IntArray
    weights: FloatArray
    events: IntArray

    def times(self, factor: FloatArray) -> WeightTable:
        """Return the table multiplied by one number per event of the slice."""
        return WeightTable(self.slot, self.weights * factor[self.events, np.newaxis], self.events)
