import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket_coffea.errors import InvalidType, MissingBranch
from pocket_coffea.lib.flat import Flat, candidates, jagged

NUMBER = st.floats(-5, 5, width=32)
EVENTS = st.lists(st.lists(st.tuples(NUMBER, NUMBER), max_size=4), max_size=8)


def collection(events):
    counts = np.array([len(event) for event in events], dtype=np.int64)
    flat = np.array([pair for event in events for pair in event], dtype=np.float32).reshape(-1, 2)
    columns = {"pt": flat[:, 0], "eta": flat[:, 1]}
    return ak.unflatten(ak.zip(columns, with_name="Jet"), counts)


def as_it_is(array):
    return array


def every_second_event(array):
    return array[np.arange(len(array)) % 2 == 0]


def events_backwards(array):
    return array[np.arange(len(array))[::-1]]


def positive_only(array):
    return array[array.pt > 0]


def positive_of_sliced(array):
    sliced = every_second_event(array)
    return sliced[sliced.pt > 0]


def a_slice_of_events(array):
    return array[1:-1]


def as_list_array(array):
    lists = array.layout
    return ak.Array(ak.contents.ListArray(lists.starts, lists.stops, lists.content))


def with_new_field(array):
    sliced = every_second_event(array)
    return ak.with_field(sliced, sliced.pt * 2, "pt")


DISGUISES = [
    as_it_is,
    every_second_event,
    events_backwards,
    positive_only,
    positive_of_sliced,
    a_slice_of_events,
    as_list_array,
    with_new_field,
]


@pytest.mark.parametrize("disguise", DISGUISES)
@settings(max_examples=30, deadline=None)
@given(events=EVENTS)
def test_columns_and_selection_are_those_of_awkward(disguise, events):
    array = disguise(collection(events))
    flat = Flat(array)
    assert flat["pt"].tolist() == ak.flatten(array.pt).tolist()
    assert flat.counts.tolist() == ak.num(array).tolist()
    keep = flat["pt"] > 1
    selected = flat.select(keep, {"new": flat["eta"] * 2}, {"alias": "eta"})
    expected = array[array.pt > 1]
    assert selected.pt.tolist() == expected.pt.tolist()
    assert selected.eta.tolist() == selected.alias.tolist() == expected.eta.tolist()
    assert selected.new.tolist() == (expected.eta * 2).tolist()
    assert flat.mask(keep).tolist() == (array.pt > 1).tolist()
    assert ak.parameters(selected).get("__record__") is None
    assert selected.layout.content.parameter("__record__") == "Jet"


@settings(max_examples=30, deadline=None)
@given(events=EVENTS)
def test_none_objects_are_marked_and_stay_none_when_kept(events):
    array = ak.pad_none(collection(events), 3)
    flat = Flat(array)
    missing = ak.flatten(ak.is_none(array, axis=1), axis=1)
    expected = np.zeros(len(flat), bool) if flat.missing is None else flat.missing
    assert missing.tolist() == expected.tolist()
    assert np.isnan(flat["pt"])[expected].all()
    assert flat.select(np.ones(len(flat), bool)).pt.tolist() == array.pt.tolist()
    assert flat.without_missing()["pt"].tolist() == ak.flatten(ak.drop_none(array.pt)).tolist()


def test_missing_events_count_as_empty():
    array = ak.Array([[{"pt": 1.0}], None, [{"pt": 2.0}]])
    flat = Flat(array)
    assert flat.offsets.tolist() == [0, 1, 1, 2]
    assert flat["pt"].tolist() == [1.0, 2.0]


def test_a_missing_event_among_reordered_ones():
    array = ak.Array([[{"pt": 1.0}], None, [{"pt": 2.0}, {"pt": 3.0}]])[[2, 1, 0]]
    flat = Flat(array)
    assert flat.offsets.tolist() == [0, 2, 2, 3]
    assert flat["pt"].tolist() == [2.0, 3.0, 1.0]


def test_missing_values_in_a_column():
    array = ak.Array([[{"pt": 1.0, "n": 3, "ok": True}, {"pt": None, "n": None, "ok": None}]])
    flat = Flat(array)
    assert flat.missing is None
    assert np.isnan(flat["pt"][1])
    assert flat["n"].tolist() == [3, 0]
    assert flat["ok"].tolist() == [True, False]
    assert flat.select(np.array([False, True])).pt.tolist() == [[None]]


def test_two_kinds_of_records_in_one_collection():
    muons = ak.Array([[{"pt": 3.0, "iso": 1}], []])
    electrons = ak.Array([[{"pt": 2.0, "sc": 5}], [{"pt": 1.0, "sc": 6}]])
    both = ak.concatenate([muons, electrons], axis=1)
    flat = Flat(both)
    assert flat["pt"].tolist() == [3.0, 2.0, 1.0]
    assert "iso" not in flat
    selected = flat.select(flat["pt"] < 2.5, {"x": flat["pt"] + 1}, {"y": "pt"})
    assert selected.pt.tolist() == selected.y.tolist() == [[2.0], [1.0]]
    assert selected.x.tolist() == [[3.0], [2.0]]


def test_columns_that_were_not_read_stay_unread():
    loaded = []

    def load(name):
        loaded.append(name)
        return np.arange(3.0)

    form = ak.forms.ListOffsetForm(
        "i64",
        ak.forms.RecordForm(
            [ak.forms.NumpyForm("float64", form_key=name) for name in ("pt", "eta")],
            ["pt", "eta"],
            form_key="r",
        ),
        form_key="l",
    )
    container = {
        "l-offsets": np.array([0, 2, 3]),
        "pt-data": lambda: load("pt"),
        "eta-data": lambda: load("eta"),
    }
    array = ak.from_buffers(form, 2, container)
    flat = Flat(array)
    selected = flat.select(flat["pt"] > 0.5)
    assert loaded == ["pt"]
    assert selected.eta.tolist() == [[1.0], [2.0]]
    assert loaded == ["pt", "eta"]


def test_errors_say_what_was_asked():
    flat = Flat(collection([[(1, 2)]]), "Jet")
    with pytest.raises(MissingBranch, match=r"'Jet' has no branch 'ptt'. Did you mean 'pt'"):
        flat.column("ptt")
    with pytest.raises(InvalidType, match="'MET' is not one list of objects per event"):
        Flat(ak.Array([1.0, 2.0]), "MET")


def test_nth_candidates_and_jagged():
    flat = Flat(collection([[(1, 2), (3, 4)], []]))
    assert flat.nth("pt", 1)[0] == 3
    assert Flat(collection([[], []])).nth("pt", 0).tolist() == [0, 0]
    assert candidates({"pt": np.ones(2)}, ak.Array([1])).charge.tolist() == [0, 0]
    assert jagged(np.array([0, 1, 1]), np.array([7])).tolist() == [[7], []]
