"""Fill the histograms of a pass for one slice of its events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hist
import numpy as np

from pocket_coffea.errors import FillError, did_you_mean
from pocket_coffea.lib.hist_binning import INT32_MAX, flat_bins, kernels
from pocket_coffea.lib.hist_columns import EventColumns
from pocket_coffea.lib.hist_entries import Entries, EventSlice, read_entries
from pocket_coffea.lib.hist_masks import CategoryMasks, Pair, Patterns
from pocket_coffea.lib.hist_requests import FillRequest, WeightGroup, WeightKey, WeightTable
from pocket_coffea.types import BoolArray, IntArray

__all__ = ["SliceFiller"]

#: storages that cut weights down to whole numbers
COUNTING_STORAGES = (hist.storage.Int64, hist.storage.AtomicInt64)


class SliceFiller:
    """Fills histograms with the events of one slice.

    ``pairs`` gives all (subsample, category) that use a kind of mask, ``groups`` the weights for a
    request.
    """

    def __init__(
        self,
        columns: EventColumns,
        masks: CategoryMasks,
        events: EventSlice,
        pairs: Callable[[str], list[Pair]],
        groups: Callable[[FillRequest], list[WeightGroup]],
    ) -> None:
        self._columns = columns
        self._masks = masks
        self._events = events
        self._pairs = pairs
        self._groups = groups
        self._patterns: dict[Any, Patterns] = {}
        self._tables: dict[WeightKey, WeightTable] = {}

    def fill(self, requests: Sequence[FillRequest]) -> None:
        """Fill all requests; the bins of a histogram are computed once for all its subsamples.

        Raises FillError and MissingInput (both ValueErrors) naming the histogram.
        """
        last: FillRequest | None = None
        for request in sorted(
            requests, key=lambda r: r.name
        ):  # stable: subsamples of a histogram are neighbours
            if last is None or last.name != request.name or last.binnings is not request.binnings:
                last = request
                entries = read_entries(request.axes, self._columns, self._events, request.where)
                flat = _flat_bins(request, entries)
            self._check_masks(request, entries)
            if flat is None:
                self._fill_plainly(request, entries)
            else:
                self._fill_rows(request, entries, flat)

    def _fill_rows(self, request: FillRequest, entries: Entries, flat: IntArray) -> None:
        """Add the entries to the memory of the histogram, for all categories and variations at
        once.
        """
        patterns, by_entry = self._patterns_for(request, entries)
        table = self._table(request)
        memory = _memory(request)
        n_bins = memory[0].shape[0]
        groups = tuple(
            tuple(name for name in group.categories if name in request.categories)
            for group in self._groups(request)
        )
        plan = patterns.plan(request.subsample, groups, n_bins, len(entries) / max(len(patterns.ids), 1))
        if not plan.n_rows:
            return
        buffers = [np.zeros((n_bins, plan.n_rows, table.weights.shape[1])) for _ in memory]
        sums = (buffers[0], buffers[1] if len(buffers) > 1 else np.zeros((0, 1, 1)))
        weights = (table.slot, table.weights)
        if plan.row is not None:
            kernels().fill_rows(flat, entries.parent, (plan.row, plan.group), by_entry, weights, sums)
        else:
            rows = (patterns.ids, plan.first, plan.rows, plan.group)
            kernels().fill_many_rows(flat, entries.parent, rows, by_entry, weights, sums)
        members = _positions(request, 0, plan.categories)[plan.members]
        variations = (
            _positions(request, 1, request.labels) if request.has_variation else np.zeros(1, np.int32)
        )
        for buffer, out in zip(buffers, memory, strict=True):
            kernels().add_rows(buffer, plan.start, members, variations, out)

    def _fill_plainly(self, request: FillRequest, entries: Entries) -> None:
        """Fill with ``Hist.fill``, one category and variation at a time."""
        _check_growth(request, entries)
        table = self._table(request)
        group_of = {name: g for g, group in enumerate(self._groups(request)) for name in group.categories}
        weighted = request.weighted or request.factor is not None
        for category in request.categories:
            _positions(request, 0, (category,))
            keep = self._entry_mask(request, entries, category)
            chosen = np.flatnonzero(keep if entries.valid is None else keep & entries.valid)
            if not len(chosen):
                continue
            values = {
                str(axis.name): value[chosen] if value.ndim else np.repeat(value, len(chosen))
                for axis, value in zip(request.axes, entries.values, strict=True)
            }
            lines = table.slot[entries.parent[chosen], group_of[category]]
            for v, label in enumerate(request.labels):
                where = {"cat": category, "variation": label} if request.has_variation else {"cat": category}
                labels = where if values else {key: [text] * len(chosen) for key, text in where.items()}
                _plain_fill(request, {**labels, **values}, table.weights[lines, v] if weighted else None)

    def _entry_mask(self, request: FillRequest, entries: Entries, category: str) -> BoolArray:
        """Return which entries (n_entries,) are in a category."""
        pair = (request.subsample, category)
        if entries.offsets is None or self._masks.get(pair).offsets is None:
            return self._events.take(self._masks.over_events(pair, request.collapse_mode))[entries.parent]
        mask = self._masks.over_objects(pair, entries.offsets, request.where)
        index = self._events.objects(entries.offsets)[1]
        return mask if index is None else mask[index]

    def _patterns_for(self, request: FillRequest, entries: Entries) -> tuple[Patterns, bool]:
        """Return the sets of categories of the events, or of the objects if masks select objects
        (then True).
        """
        own = [(request.subsample, category) for category in request.categories]
        if entries.offsets is not None and any(self._masks.get(pair).offsets is not None for pair in own):
            key: Any = (id(entries.offsets), request.subsample, request.categories)
            if key not in self._patterns:
                masks = [self._entry_mask(request, entries, category) for category in request.categories]
                self._patterns[key] = Patterns(masks, own, len(entries))
            return self._patterns[key], True
        key = request.collapse_mode
        if key not in self._patterns:
            pairs = self._pairs(key)
            masks = [self._events.take(self._masks.over_events(pair, key)) for pair in pairs]
            self._patterns[key] = Patterns(masks, pairs, self._events.n)
        return self._patterns[key], False

    def _table(self, request: FillRequest) -> WeightTable:
        """Return the weights for a request, times its factor. Raises FillError if its storage
        cannot hold them.
        """
        key = request.weight_key
        if key not in self._tables:
            self._tables[key] = self._ones() if key is None else self._weights(key[0], self._groups(request))
        table = self._tables[key]
        if request.factor is not None:
            table = (table if request.weighted else self._ones(each=True)).times(
                self._events.take(request.factor)
            )
        _check_counting(request, table)
        return table

    def _ones(self, each: bool = False) -> WeightTable:
        """Return ones as weights: a single line, or one for each event."""
        events = self._events.identity if each else np.zeros(1, dtype=np.int32)
        slot = self._events.identity if each else np.zeros(self._events.n, dtype=np.int32)
        return WeightTable(slot[:, np.newaxis], np.ones((len(events), 1)), events)

    def _weights(self, subsample: str, groups: Sequence[WeightGroup]) -> WeightTable:
        """Collect the weights of the events that each group has: (n_lines, n_labels), contiguous
        for each event.
        """
        chosen = [self._events_of(subsample, group) for group in groups]
        first = np.concatenate(([0], np.cumsum([len(events) for events in chosen])))
        slot = np.zeros((self._events.n, len(groups)), dtype=np.int32)
        weights = np.empty((int(first[-1]), len(groups[0].arrays)))
        ones = np.ones(self._masks.n_events)
        for g, (group, events) in enumerate(zip(groups, chosen, strict=True)):
            slot[events, g] = np.arange(first[g], first[g + 1])
            everywhere = events if self._events.events is None else self._events.events[events]
            arrays = [
                ones if array is None else np.asarray(array, dtype=np.float64) for array in group.arrays
            ]
            kernels().take_rows(np.stack(arrays), everywhere, weights[first[g] : first[g + 1]])
        return WeightTable(slot, weights, np.concatenate(chosen))

    def _events_of(self, subsample: str, group: WeightGroup) -> IntArray:
        """Return the events of the slice that are in some category of a group."""
        inside = np.zeros(self._events.n, dtype=bool)
        for category in group.categories:
            inside |= self._events.take(self._masks.over_events((subsample, category)))
        return np.flatnonzero(inside)

    def _check_masks(self, request: FillRequest, entries: Entries) -> None:
        """Raise FillError if a category selects objects but the histogram has one entry per event."""
        if entries.offsets is not None or request.conf.collapse_2D_masks:
            return
        for category in request.categories:
            if self._masks.get((request.subsample, category)).offsets is not None:
                msg = (
                    f"{request.where} has one entry per event, but category {category!r} selects objects. "
                    "Set HistConf(collapse_2D_masks=True, collapse_2D_masks_mode='OR' or 'AND'), or "
                    "leave the "
                    "category out with exclude_categories."
                )
                raise FillError(msg)


def _flat_bins(request: FillRequest, entries: Entries) -> IntArray | None:
    """Return the flat bins of the entries, None if only ``Hist.fill`` can fill this histogram.
    Raises FillError.
    """
    if request.binnings is None:
        return None
    for binning, value in zip(request.binnings, entries.values, strict=True):
        if not value.ndim:
            binning.check_label(value, f"{request.where}, axis {binning.config.name!r}")
    return flat_bins(request.binnings, entries.values, entries.valid, len(entries))


def _check_growth(request: FillRequest, entries: Entries) -> None:
    """Raise FillError before an axis of integers grows without limit."""
    for axis, value in zip(request.axes, entries.values, strict=True):
        if axis.growth and axis.type == "int" and np.any(np.abs(value) >= INT32_MAX):
            msg = (
                f"{request.where}, axis {axis.name!r}: a growing axis of integers got a value that is "
                "not finite "
                "or too large."
            )
            raise FillError(msg)


def _memory(request: FillRequest) -> list[Any]:
    """Return the memory of a histogram as arrays (bin, variation, category): values, and variances
    if it has them.
    """
    histogram = request.conf.hist_obj
    view = np.asarray(histogram.view(flow=True))
    # boost-histogram runs fastest over the first axis
    n_categories = view.shape[0]
    n_variations = view.shape[1] if request.has_variation else 1
    block = view.T.reshape(-1, n_variations, n_categories)
    assert np.shares_memory(block, view), "the memory of the histogram is not laid out as expected"
    return [block["value"], block["variance"]] if block.dtype.names else [block]


def _positions(request: FillRequest, axis: int, names: Sequence[str]) -> IntArray:
    """Return the bins of category or variation names. Raises FillError for one that is not on the
    axis.
    """
    labels = {label: i for i, label in enumerate(request.conf.hist_obj.axes[axis])}
    unknown = [name for name in names if name not in labels]
    if unknown:
        kind = "variation" if axis else "category"
        msg = f"{request.where} has no {kind} {unknown[0]!r}. {did_you_mean(unknown[0], labels)}"
        raise FillError(msg)
    return np.array([labels[name] for name in names], dtype=np.int32)


def _plain_fill(request: FillRequest, values: dict[str, Any], weight: Any) -> None:
    """Call ``Hist.fill``. Raises FillError with what it says."""
    try:
        request.conf.hist_obj.fill(**values, **({} if weight is None else {"weight": weight}))
    except (ValueError, TypeError, KeyError) as exc:
        msg = f"{request.where} cannot be filled: {exc}"
        raise FillError(msg) from exc


def _check_counting(request: FillRequest, table: WeightTable) -> None:
    """Raise FillError if a storage of whole numbers would cut the weights."""
    if request.conf.hist_obj.storage_type not in COUNTING_STORAGES or np.array_equal(
        table.weights, np.rint(table.weights)
    ):
        return
    msg = (
        f"{request.where}: storage {request.conf.storage!r} counts whole entries, but the weights are "
        "not whole "
        "numbers. Use storage='weight', or no_weights=True."
    )
    raise FillError(msg)
