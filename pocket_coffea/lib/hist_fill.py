"""Fill many histograms in one pass over the events: all categories and all weight variations at
once.

For each histogram the flat bin of every entry is computed once. Entries whose events are in the
same set of categories go to the same line of a small buffer, for all weight variations together,
and the buffer is added to the memory of the histogram at the end. Histograms that this cannot do
(growing axes, other storages) are filled by ``Hist.fill``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pocket_coffea.errors import FillError
from pocket_coffea.lib.hist_columns import EventColumns
from pocket_coffea.lib.hist_entries import EventSlice
from pocket_coffea.lib.hist_masks import CategoryMasks, Pair
from pocket_coffea.lib.hist_requests import FillRequest, WeightGroup, WeightKey, WeightOf
from pocket_coffea.lib.hist_slice import SliceFiller
from pocket_coffea.types import FloatArray

__all__ = ["FillPass"]

#: weights held at the same time; more events are done in several rounds
MAX_WEIGHT_BYTES = 256 * 2**20
#: look only at the events in some category if they are fewer than this part of all
SPARSE = 0.9


class FillPass:
    """One pass over the events (nominal, or one shape variation) for all histograms of all
    subsamples.
    """

    def __init__(self, columns: EventColumns, masks: CategoryMasks, weight_of: WeightOf) -> None:
        self._columns = columns
        self._masks = masks
        self._weight_of = weight_of
        self._groups: dict[WeightKey, list[WeightGroup]] = {}
        self._mode_pairs: dict[str, dict[Pair, None]] = {}

    def fill(self, requests: Sequence[FillRequest]) -> None:
        """Fill the requested histograms. Raises FillError and MissingInput (ValueErrors) naming
        histogram and axis.
        """
        requests = [request for request in requests if request.categories and request.labels]
        for request in requests:
            if request.weighted:
                self._add_groups(request)
        for request in requests:
            pairs = self._mode_pairs.setdefault(request.collapse_mode, {})
            pairs.update(((request.subsample, category), None) for category in request.categories)
        for events in self._slices():
            SliceFiller(self._columns, self._masks, events, self.pairs, self.groups).fill(requests)

    def groups(self, request: FillRequest) -> list[WeightGroup]:
        """Return the weights for a request, one group per set of categories that share them."""
        if not request.weighted:
            return [WeightGroup(request.categories, (None,))]
        return self._groups[request.weight_key]

    def pairs(self, mode: str) -> list[Pair]:
        """Return the (subsample, category) of all requests that use this kind of mask."""
        return list(self._mode_pairs[mode])

    def _add_groups(self, request: FillRequest) -> None:
        """Look up the weights of the categories of a request and group those with identical arrays."""
        known = self._groups.setdefault(request.weight_key, [])
        done = {name for group in known for name in group.categories}
        new: dict[tuple[int, ...], tuple[list[str], tuple[FloatArray | None, ...]]] = {
            tuple(map(id, group.arrays)): (list(group.categories), group.arrays) for group in known
        }
        for category in request.categories:
            if category in done:
                continue
            arrays = tuple(
                self._checked_weight(category, request.subsample, label) for label in request.labels
            )
            new.setdefault(tuple(map(id, arrays)), ([], arrays))[0].append(category)
        self._groups[request.weight_key] = [
            WeightGroup(tuple(names), arrays) for names, arrays in new.values()
        ]

    def _checked_weight(self, category: str, subsample: str, label: str) -> FloatArray | None:
        weight = self._weight_of(category, subsample, label)
        if weight is not None and np.shape(weight) != (self._masks.n_events,):
            msg = (
                f"The weight of category {category!r}, subsample {subsample!r}, variation {label!r} "
                "has shape "
                f"{np.shape(weight)}, but there are {self._masks.n_events} events."
            )
            raise FillError(msg)
        return weight

    def _slices(self) -> Iterator[EventSlice]:
        """Yield the events that are in some category, in as many pieces as their weights need
        memory for.
        """
        n_events = self._masks.n_events
        inside = np.zeros(n_events, dtype=bool)
        for pair in {pair: None for pairs in self._mode_pairs.values() for pair in pairs}:
            inside |= self._masks.over_events(pair)
        selected = int(np.count_nonzero(inside))
        if not selected:
            return
        columns = sum(len(group.arrays) for groups in self._groups.values() for group in groups)
        rounds = -(-selected * columns * 8 // MAX_WEIGHT_BYTES)
        if rounds <= 1 and selected > SPARSE * n_events:
            yield EventSlice(None, n_events)
            return
        for piece in np.array_split(np.flatnonzero(inside), max(rounds, 1)):
            yield EventSlice(piece, n_events)
