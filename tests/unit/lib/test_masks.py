"""Masks: numpy for events, flat plus counts for objects, None is false."""

import itertools

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import CutError
from pocket_coffea.lib.masks import event_mask, jagged_mask, object_counts, object_mask, repeat_mask

COUNTS = np.array([2, 0, 1])


@pytest.mark.parametrize(
    "raw",
    [
        np.array([True, False, True]),
        np.ma.masked_array([True, True, True], mask=[False, True, False]),
        ak.Array([True, None, True]),
        ak.Array([True, False, True]),
        [True, False, True],
    ],
)
def test_event_mask_is_plain_numpy(raw):
    mask = event_mask(raw, 3, "cut 'x'")
    assert type(mask) is np.ndarray
    assert mask.dtype == np.bool_
    assert mask.tolist() == [True, False, True]


def test_event_mask_is_not_copied():
    raw = np.array([True, False])
    assert event_mask(raw, 2, "c") is raw


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (np.array([1, 0, 1]), "cut 'x' returned an array of int64"),
        (np.array([True, False]), "2 values for 3 events"),
        (ak.Array([[True], [False], []]), "2 dimensions.*one value per event"),
        (ak.Array([{"a": 1}] * 3), "not a mask"),
        (ak.Array(["a", "b", "c"]), "not a mask|dimensions"),
        (True, "bool True"),
        (None, "NoneType"),
        (ak.Array([True, 1, 2.0]), "not a mask"),
    ],
)
def test_event_mask_refuses(raw, match):
    with pytest.raises(CutError, match=match):
        event_mask(raw, 3, "cut 'x'")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (ak.Array([[True, False], [], [True]]), [True, False, True]),
        (ak.Array([[True, None], [], [None]]), [True, False, False]),
        (ak.Array([None, [], [True]]), [False, False, True]),
        ([[True, True], [], [False]], [True, True, False]),
    ],
)
def test_object_mask_is_flat(raw, expected):
    mask = object_mask(raw, COUNTS, "cut 'x'")
    assert type(mask) is np.ndarray
    assert mask.tolist() == expected


def test_object_mask_of_a_regular_array():
    assert object_mask(np.ones((2, 3), dtype=bool), np.array([3, 3]), "c").all()


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (ak.Array([[True], [], [True]]), "returned 1 values for the 2 objects of event 0"),
        (ak.Array([[True, True], [True], None]), "1 values for the 0 objects of event 1"),
        (ak.Array([[1, 0], [], [1]]), "not a mask"),
        (np.array([True, False, True]), r"1 dimension\(s\)"),
        (ak.Array([[True, False], []]), "2 events, but there are 3"),
        (7, "one value per object"),
    ],
)
def test_object_mask_refuses(raw, match):
    with pytest.raises(CutError, match=match):
        object_mask(raw, COUNTS, "cut 'x'")


def test_object_counts():
    events = ak.Array({"Jet": [[{"pt": 1.0}], []], "MET": [{"pt": 3.0}, {"pt": 2.0}]})
    assert object_counts(events, "Jet", "c").tolist() == [1, 0]
    with pytest.raises(Exception, match=r"events\.Jets.*Did you mean 'Jet'"):
        object_counts(events, "Jets", "c")
    with pytest.raises(CutError, match="collection='events'"):
        object_counts(events, "MET", "c")


@given(st.lists(st.lists(st.booleans(), max_size=4), max_size=8))
def test_flat_and_jagged_are_the_same(lists):
    counts = np.array([len(inner) for inner in lists], dtype=np.int64)
    array = ak.values_astype(ak.unflatten(ak.Array(list(itertools.chain(*lists))), counts), bool)
    flat = object_mask(array, counts, "c")
    assert jagged_mask(flat, counts).to_list() == lists
    per_event = counts > 2
    assert jagged_mask(repeat_mask(per_event, counts), counts).to_list() == [
        [len(inner) > 2] * len(inner) for inner in lists
    ]
