"""Awkward columns as flat arrays, whatever their layout."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket_coffea.errors import FillError
from pocket_coffea.lib.hist_axes import Axis
from pocket_coffea.lib.hist_columns import EventColumns, flatten_column
from pocket_coffea.lib.hist_entries import EventSlice, read_entries


def back(column):
    """The column as nested lists again."""
    valid = np.ones(len(column.values), bool) if column.valid is None else column.valid
    flat = [v if ok else None for v, ok in zip(column.values.tolist(), valid, strict=True)]
    if column.offsets is None:
        return flat
    return [flat[a:b] for a, b in zip(column.offsets[:-1], column.offsets[1:], strict=True)]


NUMBER = st.one_of(st.none(), st.integers(-5, 5))
NESTED = st.lists(st.one_of(st.none(), st.lists(NUMBER, max_size=3)), max_size=6)


@settings(max_examples=100, deadline=None)
@given(values=NESTED, keep=st.lists(st.booleans(), min_size=6, max_size=6))
def test_jagged_columns_survive(values, keep):
    array = ak.values_astype(ak.Array([*values, [1], None, [None]])[3:], np.int64)
    expected = [item or [] for item in array.to_list()]
    assert back(flatten_column(array, "x")) == expected
    mask = np.array(keep)[: len(array)]
    if len(mask) == len(array):
        assert back(flatten_column(array[mask], "x")) == [e for e, k in zip(expected, mask, strict=True) if k]


@settings(max_examples=50, deadline=None)
@given(values=st.lists(NUMBER, min_size=1, max_size=6))
def test_flat_columns_survive(values):
    array = ak.values_astype(ak.Array([*values, 1, None]), np.float64)
    assert back(flatten_column(array, "x")) == array.to_list()
    assert back(flatten_column(array[::-1], "x")) == array.to_list()[::-1]


def test_other_layouts():
    assert back(flatten_column(np.array([1.0, 2.0]), "x")) == [1, 2]
    assert back(flatten_column(ak.Array(np.ones((2, 3))), "x")) == [[1] * 3] * 2
    assert back(flatten_column(ak.to_regular(ak.Array([[1, 2], [3, 4]])), "x")) == [[1, 2], [3, 4]]
    assert back(flatten_column(ak.Array(["a", "bc"]), "x")) == ["a", "bc"]
    assert back(flatten_column(ak.Array([[], []]), "x")) == [[], []]
    assert back(flatten_column(ak.firsts(ak.Array([[True], [], [False]])), "x")) == [True, None, False]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (ak.Array([{"a": 1}]), "record with fields a"),
        (ak.Array([[[1]]]), "of type"),
        (ak.Array([1, "a"]), "of type"),
        (np.array([1j]), "complex"),
        (np.array(["2018-01-01"], dtype="datetime64[D]"), "datetime64"),
    ],
)
def test_what_is_no_column(array, message):
    with pytest.raises(FillError, match=f"^where .*{message}"):
        flatten_column(array, "where")


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=8), pos=st.integers(0, 3), data=st.data())
def test_positions_and_slices(counts, pos, data):
    values = ak.unflatten(ak.Array(np.arange(sum(counts)) + 0.5), counts)
    values = ak.mask(values, values != 1.5)
    events = ak.zip({"J": ak.zip({"pt": values})}, depth_limit=1)
    chosen = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts))))
    columns = EventColumns(events)
    axis = {"coll": "J", "field": "pt", "label": "", "bins": 1, "start": 0, "stop": 1}
    for piece, part in ((None, values), (chosen, values[chosen])):
        taken = EventSlice(piece, len(counts))
        entries = read_entries([Axis(**axis, pos=pos)], columns, taken, "h")
        found = [v if ok else None for v, ok in zip(entries.values[0], entries.valid, strict=True)]
        assert found == ak.pad_none(part, pos + 1)[:, pos].to_list()
        assert entries.parent.tolist() == list(range(len(part)))
        entries = read_entries([Axis(**axis)], columns, taken, "h")
        valid = np.ones(len(entries), bool) if entries.valid is None else entries.valid
        assert entries.values[0][valid].tolist() == ak.drop_none(ak.flatten(part)).to_list()
        assert entries.parent.tolist() == np.repeat(np.arange(len(part)), ak.num(part)).tolist()


def test_columns_are_read_once_and_share_layouts():
    events = ak.zip({"J": ak.zip({"pt": [[1.0], []], "eta": [[1.0], []]}), "js": [[2.0], []]}, depth_limit=1)
    columns = EventColumns(events)
    axes = [Axis(coll=c, field=f, label="") for c, f in (("J", "pt"), ("J", "eta"), ("events", "js"))]
    found = [columns.get(axis, "h") for axis in axes]
    assert columns.get(axes[0], "h") is found[0]
    assert found[0].offsets is found[1].offsets is found[2].offsets
