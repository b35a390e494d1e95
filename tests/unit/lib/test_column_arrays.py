"""Selections and slices of columns, against plain Python lists."""

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib.column_arrays import ColumnReader, Slice, filled, is_jagged, take

WHOLE = Slice()


def test_jagged_is_a_matter_of_type():
    lists = ak.Array([[1, 2], [3, 4]])
    assert is_jagged(lists)
    assert is_jagged(lists[[1, None, 0]])
    assert not is_jagged(ak.to_regular(lists))
    assert not is_jagged(ak.Array([1, None]))
    assert not is_jagged(ak.from_numpy(np.ones((2, 2))))
    assert is_jagged(ak.Array([[[1], []]])[:, 0])


def test_filled_keeps_the_type_where_it_can():
    masked = np.ma.masked_array([1, 2], mask=[False, True])
    assert filled(masked.astype(np.int32), -999.0, "c").dtype == np.int32
    assert filled(masked.astype(np.int32), -999.0, "c").tolist() == [1, -999]
    assert filled(masked.astype(np.uint8), -999.0, "c").tolist() == [1.0, -999.0]
    assert filled(masked.astype(np.float32), -999.0, "c").dtype == np.float32
    assert filled(masked.astype(bool), -1.0, "c").tolist() == [1.0, -1.0]
    assert filled(np.ma.masked_array([1, 2]), None, "c").tolist() == [1, 2]
    with pytest.raises(InvalidValue, match=r"column c has missing values.*fill_none=True"):
        filled(masked, None, "c")


def test_take_joins_masks_of_events_and_objects():
    events, objects = np.array([True, True, False]), ak.Array([[True, False], [], [True]])
    assert take([None], 3, "c").events.tolist() == [0, 1, 2]
    assert take([events, None], 3, "c").events.tolist() == [0, 1]
    both = take([objects, events], 3, "c")
    assert both.events.tolist() == [0]
    assert both.objects.tolist() == [True, False, False]
    assert both.weights(np.array([2.0, 3.0, 4.0]), WHOLE).tolist() == [2.0]
    assert take([objects, objects], 3, "c").events.tolist() == [0, 2]
    with pytest.raises(InvalidValue, match="different collections"):
        take([objects, ak.Array([[True], [], []])], 3, "c")


lists_of_objects = st.lists(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=4), max_size=6)
bound = st.none() | st.integers(-4, 4)


@given(lists_of_objects, st.data(), bound, bound)
def test_slices_and_masks_agree_with_lists(lists, data, start, stop):
    counts = np.array([len(inner) for inner in lists], dtype=np.int64)
    pairs = [pair for inner in lists for pair in inner]
    columns = {
        "x": np.array([x for x, _ in pairs], dtype=np.int64),
        "good": np.array([good for _, good in pairs], dtype=bool),
    }
    events = ak.Array({"Jet": ak.unflatten(ak.zip(columns), counts)})
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(lists), max_size=len(lists))), dtype=bool)
    part, reader = Slice(start, stop), ColumnReader(events)

    plain = [[x for x, _ in inner][start:stop] for inner, keep in zip(lists, mask, strict=True) if keep]
    taken = take([mask], len(lists), "c")
    assert reader.flat("Jet", "x", taken, part, None).tolist() == [x for inner in plain for x in inner]
    assert reader.sizes("Jet", taken, part).tolist() == [len(inner) for inner in plain]
    assert reader.array("Jet", "x", taken, part, None).to_list() == plain

    good = [[x for x, ok in inner if ok] for inner, keep in zip(lists, mask, strict=True) if keep]
    selected = [inner[start:stop] for inner in good if inner]
    taken = take([mask, events.Jet.good], len(lists), "c")
    assert reader.flat("Jet", "x", taken, part, None).tolist() == [x for inner in selected for x in inner]
    assert reader.sizes("Jet", taken, part).tolist() == [len(inner) for inner in selected]
    assert reader.array("Jet", "x", taken, part, None).to_list() == selected


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float32", "float32"), ("int16", "int16"), ("uint8", "float64")]
)
def test_lists_keep_the_type_of_their_values_where_it_can_hold_the_fill(dtype, expected):
    values = ak.values_astype(ak.Array([[1, None], []]), dtype)
    events = ak.Array({"Jet": ak.zip({"x": values})})
    array = ColumnReader(events).array("Jet", "x", take([None], 2, "c"), Slice(), -999.0)
    assert str(array.type) == f"2 * var * {expected}"
    assert array.tolist() == [[1, -999], []]


def test_missing_values_and_lists():
    events = ak.Array({"Jet": [[{"x": 1}, {"x": None}], None, []], "met": [1.5, None, 2.5]})
    reader, taken = ColumnReader(events), take([], 3, "c")
    assert reader.flat("Jet", "x", taken, WHOLE, -1.0).tolist() == [1, -1]
    assert reader.flat("events", "met", taken, WHOLE, -1.0).tolist() == [1.5, -1.0, 2.5]
    assert reader.sizes("Jet", taken, WHOLE).tolist() == [2, 0, 0]
    assert reader.array("Jet", "x", taken, WHOLE, -1.0).to_list() == [[1, -1], [], []]
    assert reader.array("Jet", "x", taken, WHOLE, None).to_list() == [[1, None], None, []]


def test_lists_inside_of_objects_are_flattened_too():
    events = ak.Array({"Jet": [[{"idx": [1, 2]}, {"idx": []}], [], [{"idx": [3]}]]})
    reader = ColumnReader(events)
    assert reader.flat("Jet", "idx", take([], 3, "c"), WHOLE, -1.0).tolist() == [1, 2, 3]
    assert reader.flat("Jet", "idx", take([], 3, "c"), Slice(1, None), -1.0).tolist() == []
