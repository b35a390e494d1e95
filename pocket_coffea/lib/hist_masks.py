"""Category and subsample masks of one pass, stacked once and shared by all histograms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pocket_coffea.errors import FillError
from pocket_coffea.lib.hist_binning import kernels
from pocket_coffea.lib.hist_columns import Column, flatten_column
from pocket_coffea.types import Array, BoolArray, IntArray

__all__ = ["CategoryMasks", "Patterns", "RowPlan", "collapse_mask", "read_masks"]

#: (subsample, category)
Pair = tuple[str, str]
#: the categories that share weights, for each kind of weights
Groups = tuple[tuple[str, ...], ...]
#: categories in one word of a pattern
WORD = 64


def collapse_mask(values: BoolArray, offsets: IntArray, mode: str = "OR") -> BoolArray:
    """Reduce a mask over objects to one over events (n_events,).

    ``values`` (n_objects,), ``offsets`` (n_events + 1,). ``"OR"``: any object selected; ``"AND"``:
    all, and at least one (an event without objects never enters, as it may have failed a cut on the
    event that the mask cannot show).

    >>> collapse_mask(np.array([True, False, True]), np.array([0, 2, 2, 3]), "AND").tolist()
    [False, False, True]
    """
    passed = np.concatenate(([0], np.cumsum(values)))
    passed = passed[offsets[1:]] - passed[offsets[:-1]]
    if mode == "OR":
        return passed > 0
    counts = np.diff(offsets)
    return (passed == counts) & (counts > 0)


def read_masks(
    masks: Iterable[tuple[str, Array]], n_events: int, shared: Callable[[Column], Column]
) -> dict[str, Column]:
    """Return the masks of a prepared selection as bool columns; missing entries are False.

    Raises FillError if a mask is not of ``n_events``.
    """
    out = {}
    for name, mask in masks:
        column = shared(flatten_column(mask, f"The mask of category {name!r}"))
        values = column.values.astype(bool, copy=False)
        if column.valid is not None:
            values = values & column.valid
        if column.n_events != n_events:
            msg = (
                f"The mask of category {name!r} has {column.n_events} entries but there are "
                f"{n_events} events."
            )
            raise FillError(msg)
        out[name] = Column(values, None, column.offsets)
    return out


@dataclasses.dataclass(frozen=True)
class RowPlan:
    """Which lines (rows) of the fill buffer a unit (event or object) is added to, and what they
    count for.

    ``members[start[r]:start[r+1]]``: positions in ``categories`` that row r counts for;
    ``group[r]``: whose weights it takes. The rows of pattern p are ``rows[first[p]:first[p+1]]``;
    ``row`` is the one row of each unit (-1: none) where no unit has more.
    """

    categories: tuple[str, ...]
    start: IntArray
    members: IntArray
    group: IntArray
    first: IntArray
    rows: IntArray
    row: IntArray | None

    @property
    def n_rows(self) -> int:
        """Number of lines."""
        return len(self.group)


class Patterns:
    """The sets of (subsample, category) that units have in common: ``ids`` (n_units,) numbers the
    set of each unit.
    """

    def __init__(self, masks: Sequence[BoolArray], pairs: Sequence[Pair], n_units: int) -> None:
        words = np.zeros((n_units, max(1, -(-len(pairs) // WORD))), dtype=np.uint64)
        for i, mask in enumerate(masks):
            words[:, i // WORD] |= mask.astype(np.uint64) << np.uint64(i % WORD)
        self.ids = np.empty(n_units, dtype=np.int32)
        first = np.empty(n_units, dtype=np.int32)
        table = np.full(1 << (2 * n_units + 1).bit_length(), -1, dtype=np.int32)
        count = kernels().number_patterns(words, self.ids, first, table)
        self._counts = np.bincount(self.ids, minlength=count)
        self._table = (
            np.stack([mask[first[:count]] for mask in masks], axis=1) if masks else np.zeros((count, 0), bool)
        )
        self._column = {pair: i for i, pair in enumerate(pairs)}
        self._plans: dict[Any, RowPlan] = {}
        self._sets: dict[Any, list[tuple[IntArray, BoolArray]]] = {}

    def plan(self, subsample: str, groups: Groups, n_bins: int, per_unit: float) -> RowPlan:
        """Return the cheaper way to fill a histogram: a row per set of categories, or a row per
        category.

        ``groups``: the categories that share weights, as tuples, some maybe empty; ``n_bins`` of
        the histogram; ``per_unit``: its mean number of entries per unit.
        """
        key = (subsample, groups)
        if key not in self._sets:
            self._sets[key] = [self._analyse(subsample, group) for group in groups]
        sets = self._sets[key]
        every = self._inside(subsample, tuple(category for group in groups for category in group))
        grouped_adds = sum(int(self._counts @ (row >= 0)) for row, _ in sets)
        grouped = per_unit * grouped_adds + n_bins * sum(int(members.sum()) for _, members in sets)
        direct = per_unit * int(self._counts @ every.sum(axis=1)) + n_bins * every.shape[1]
        plan_key = (key, direct < grouped)
        if plan_key not in self._plans:
            self._plans[plan_key] = (
                self._direct(groups, every) if direct < grouped else self._grouped(groups, sets)
            )
        return self._plans[plan_key]

    def _inside(self, subsample: str, categories: tuple[str, ...]) -> BoolArray:
        """Return which categories each pattern has: (n_patterns, n_categories)."""
        columns = [self._column[subsample, category] for category in categories]
        return np.asarray(self._table[:, columns], dtype=bool)

    def _analyse(self, subsample: str, categories: tuple[str, ...]) -> tuple[IntArray, BoolArray]:
        """Return the number of the set of categories of each pattern (-1: none of them), and the
        sets.
        """
        sets, row = np.unique(self._inside(subsample, categories), axis=0, return_inverse=True)
        row = row.reshape(-1)
        if len(sets) and not sets[0].any():  # the empty set sorts first
            sets, row = sets[1:], row - 1
        return row, sets

    def _grouped(self, groups: Groups, sets: list[tuple[IntArray, BoolArray]]) -> RowPlan:
        """Give a row to every set of categories that occurs in a group."""
        n_rows = [len(members) for _, members in sets]
        offsets = np.concatenate(([0], np.cumsum(n_rows)))
        counts = np.array([len(group) for group in groups])
        members = np.zeros((int(offsets[-1]), int(counts.sum())), dtype=bool)
        per_pattern = np.full((len(self._counts), len(groups)), -1)
        column = 0
        for g, (row, inside) in enumerate(sets):
            members[offsets[g] : offsets[g + 1], column : column + counts[g]] = inside
            per_pattern[:, g] = np.where(row >= 0, row + offsets[g], -1)
            column += counts[g]
        used = per_pattern >= 0
        one = per_pattern.max(axis=1, initial=-1)[self.ids] if np.all(used.sum(axis=1) <= 1) else None
        first = _starts(used.sum(axis=1))
        group = np.repeat(np.arange(len(groups)), n_rows)
        return _row_plan(groups, members, group, (first, per_pattern[used]), one)

    def _direct(self, groups: Groups, every: BoolArray) -> RowPlan:
        """Give a row to every category."""
        group = np.repeat(np.arange(len(groups)), [len(names) for names in groups])
        rows = (_starts(every.sum(axis=1)), np.nonzero(every)[1])
        return _row_plan(groups, np.eye(every.shape[1], dtype=bool), group, rows, None)


def _row_plan(groups: Groups, members: BoolArray, group: Any, rows: tuple[Any, Any], one: Any) -> RowPlan:
    """Return the plan with integers of the type that the compiled loops take."""
    categories = tuple(category for names in groups for category in names)
    start, column, group, first, row = (
        np.asarray(a, dtype=np.int32)
        for a in (_starts(members.sum(axis=1)), np.nonzero(members)[1], group, *rows)
    )
    row_of_unit = None if one is None else np.asarray(one, dtype=np.int32)
    return RowPlan(categories, start, column, group, first, row, row_of_unit)


def _starts(counts: Any) -> Any:
    """Return where each of ``counts`` items begins, and the end."""
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))


class CategoryMasks:
    """The masks of one pass for every (subsample, category), category and subsample ANDed."""

    def __init__(
        self, categories: Mapping[str, Column], subsamples: Mapping[str, Column | None], n_events: int
    ) -> None:
        self._categories = categories
        self._subsamples = subsamples
        self.n_events = n_events
        self._pairs: dict[Pair, Column] = {}
        self._events: dict[tuple[Pair, str], BoolArray] = {}

    def get(self, pair: Pair) -> Column:
        """Return the mask of (subsample, category): over events, or over objects where either
        selects objects.
        """
        if pair not in self._pairs:
            self._pairs[pair] = self._both(self._categories[pair[1]], self._subsamples[pair[0]], pair)
        return self._pairs[pair]

    def over_events(self, pair: Pair, mode: str = "OR") -> BoolArray:
        """Return the mask (n_events,) of a pair; a mask over objects is collapsed by ``mode``."""
        mask = self.get(pair)
        if mask.offsets is None:
            return mask.values
        if (pair, mode) not in self._events:
            self._events[pair, mode] = collapse_mask(mask.values, mask.offsets, mode)
        return self._events[pair, mode]

    def over_objects(self, pair: Pair, offsets: IntArray, where: str) -> BoolArray:
        """Return the mask of a pair over the objects that ``offsets`` describes. Raises FillError
        if they are others.
        """
        mask = self.get(pair)
        if mask.offsets is None:
            return np.repeat(mask.values, np.diff(offsets))
        if mask.offsets is not offsets and not np.array_equal(mask.offsets, offsets):
            msg = (
                f"{where}: category {pair[1]!r} selects objects of another collection than the one on the "
                f"axes ({mask.offsets[-1]} and {offsets[-1]} objects in {self.n_events} events). "
                "Leave the category out with exclude_categories, or fill a variable of that collection."
            )
            raise FillError(msg)
        return mask.values

    def _both(self, category: Column, subsample: Column | None, pair: Pair) -> Column:
        if subsample is None:
            return category
        if subsample.offsets is None:
            return _narrowed(category, subsample.values)
        if category.offsets is None:
            return _narrowed(subsample, category.values)
        if not np.array_equal(category.offsets, subsample.offsets):
            msg = f"Category {pair[1]!r} and subsample {pair[0]!r} select objects of different collections."
            raise FillError(msg)
        return Column(category.values & subsample.values, None, category.offsets)


def _narrowed(mask: Column, events: BoolArray) -> Column:
    """Return ``mask`` (over events or objects) where ``events`` (n_events,) is True too."""
    if mask.offsets is None:
        return Column(mask.values & events)
    return Column(mask.values & np.repeat(events, np.diff(mask.offsets)), None, mask.offsets)
