"""Patterns of categories and how they become rows of the fill buffer."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket_coffea.errors import FillError
from pocket_coffea.lib.hist_columns import Column
from pocket_coffea.lib.hist_masks import CategoryMasks, Patterns, collapse_mask, read_masks


def rows_of(plan, patterns, unit):
    if plan.row is not None:
        return [] if plan.row[unit] < 0 else [plan.row[unit]]
    p = patterns.ids[unit]
    return list(plan.rows[plan.first[p] : plan.first[p + 1]])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_categories=st.sampled_from([1, 3, 64, 65, 130]),
    n_units=st.integers(0, 40),
    n_bins=st.sampled_from([1, 10**6]),
    split=st.booleans(),
)
def test_rows_count_for_exactly_the_categories_of_a_unit(seed, n_categories, n_units, n_bins, split):
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(n_categories)]
    masks = list(rng.random((n_categories, n_units)) < 0.3)
    patterns = Patterns(masks, [("s", name) for name in names], n_units)
    groups = (tuple(names[::2]), tuple(names[1::2])) if split else (tuple(names),)
    plan = patterns.plan("s", groups, n_bins, 1.0)
    for unit in range(n_units):
        found = []
        for r in rows_of(plan, patterns, unit):
            members = [plan.categories[m] for m in plan.members[plan.start[r] : plan.start[r + 1]]]
            assert set(members) <= set(groups[plan.group[r]])
            found += members
        assert sorted(found) == sorted(name for name, mask in zip(names, masks, strict=True) if mask[unit])


def test_plan_chooses_what_costs_less():
    n = 10_000
    masks = [np.arange(n) % 7 == i for i in range(7)]
    masks += [mask.copy() for mask in masks]
    names = [f"c{i}" for i in range(14)]
    patterns = Patterns(masks, [("s", name) for name in names], n)
    grouped = patterns.plan("s", (tuple(names),), 50, 1.0)
    assert grouped.n_rows == 7
    assert grouped.row is not None
    overlapping = [np.random.default_rng(i).random(n) < 0.5 for i in range(14)]
    patterns = Patterns(overlapping, [("s", name) for name in names], n)
    assert patterns.plan("s", (tuple(names),), 10_000, 1.0).n_rows == 14


@pytest.mark.parametrize(
    ("mode", "expected"), [("OR", [True, False, False, True]), ("AND", [False, False, False, True])]
)
def test_collapse(mode, expected):
    mask = ak.Array([[True, False], [], [False], [True, True]])
    offsets = np.array([0, 2, 2, 3, 5])
    assert collapse_mask(ak.to_numpy(ak.flatten(mask)), offsets, mode).tolist() == expected


def test_read_masks():
    masks = {
        "flat": np.array([True, False]),
        "missing": ak.Array([None, True]),
        "jagged": ak.Array([[True, None], [False]]),
    }
    columns = read_masks(masks.items(), 2, lambda column: column)
    assert columns["flat"].values.tolist() == [True, False]
    assert columns["missing"].values.tolist() == [False, True]
    assert columns["jagged"].values.tolist() == [True, False, False]
    assert columns["jagged"].offsets.tolist() == [0, 2, 3]
    with pytest.raises(FillError, match="'flat' has 2 entries but there are 3 events"):
        read_masks(masks.items(), 3, lambda column: column)


def test_masks_of_different_collections_do_not_mix():
    one = Column(np.array([True, True]), None, np.array([0, 1, 2]))
    two = Column(np.array([True, True]), None, np.array([0, 2, 2]))
    masks = CategoryMasks({"c": one}, {"s": two}, 2)
    with pytest.raises(FillError, match="different collections"):
        masks.get(("s", "c"))
    alone = CategoryMasks({"c": one}, {"s": None}, 2)
    with pytest.raises(FillError, match="Histogram 'h': category 'c' selects objects of another collection"):
        alone.over_objects(("s", "c"), two.offsets, "Histogram 'h'")
