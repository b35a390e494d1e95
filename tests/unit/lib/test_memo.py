import gc
import pickle
import weakref

import awkward as ak
import numpy as np
import pytest
from omegaconf import OmegaConf

from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.memo import MEMO_KEY, ByValue, freeze, memoised


class Counter:
    """Counts how often something was computed."""

    def __init__(self, result=None):
        self.calls = 0
        self.result = result

    def __call__(self):
        self.calls += 1
        return self.calls if self.result is None else self.result


def make_events(n=6):
    counts = np.arange(n) % 3
    pt = np.arange(counts.sum(), dtype=np.float32)
    jets = ak.unflatten(ak.zip({"pt": pt, "eta": -pt}, with_name="Jet"), counts)
    return ak.Array({"Jet": jets, "Muon": jets[jets.pt > 2], "event": np.arange(n)})


def call(events, inputs, counter, key="k"):
    return memoised(events, key, inputs, counter)


def test_the_same_inputs_are_computed_once():
    events, counter = make_events(), Counter()
    assert [call(events, ["Jet"], counter) for _ in range(3)] == [1, 1, 1]
    assert call(events, ["Jet"], counter, key="another") == 2
    assert call(events, ["Jet", "Muon"], counter) == 3
    assert call(events, ["Jet.pt"], counter) == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda events: ak.with_field(events.Jet, events.Jet.pt * 2, "pt"),
        lambda events: events.Jet[events.Jet.pt > 3],
        lambda events: ak.with_field(events.Jet, events.Jet.pt, "new"),
        lambda events: ak.with_name(events.Jet, "FatJet"),
        lambda events: ak.with_field(events.Jet, ak.values_astype(events.Jet.pt, np.float64), "pt"),
        lambda events: events.Jet[["eta", "pt"]],
        lambda events: ak.copy(events.Jet),
    ],
    ids=["values", "objects", "field", "name", "dtype", "order", "copy"],
)
def test_a_replaced_collection_is_computed_again_and_its_return_is_recognised(change):
    events, counter = make_events(), Counter()
    assert call(events, ["Jet"], counter) == 1
    original = events.Jet
    events["Jet"] = change(events)
    assert call(events, ["Jet"], counter) == 2
    events["Jet"] = original
    assert call(events, ["Jet"], counter) == 1


def test_other_fields_do_not_matter():
    events, counter = make_events(), Counter()
    assert call(events, ["Jet"], counter) == 1
    events["Muon"] = events.Muon[events.Muon.pt > 4]
    events["new"] = np.ones(len(events))
    assert call(events, ["Jet"], counter) == 1
    assert call(events, ["Muon"], Counter()) == 1


def test_slices_of_the_events_are_told_apart():
    events, counter = make_events(), Counter()
    call(events, [], Counter())  # slices made from now on share the results
    half, other = events[np.arange(6) % 2 == 0], events[np.arange(6) % 2 == 1]
    assert [call(one, ["Jet"], counter) for one in (events, half, other)] == [1, 2, 3]
    assert call(half, ["Jet"], counter) == 2
    half["Muon"] = half.Muon[half.Muon.pt > 3]
    assert call(half, ["Jet"], counter) == 2
    half["Jet"] = other.Jet
    assert call(half, ["Jet"], counter) == 3


def test_addresses_are_not_mistaken_when_memory_is_used_again():
    events, counter = make_events(), Counter()
    for expected in range(1, 30):
        events["Jet"] = ak.with_field(events.Jet, np.full(int(ak.sum(ak.num(events.Jet))), expected), "pt")
        gc.collect()
        assert call(events, ["Jet"], counter) == expected


def test_buffers_of_a_kept_result_are_kept():
    events = make_events()
    array = np.arange(4.0)
    call(events, [array], Counter())
    reference = weakref.ref(array)
    del array
    gc.collect()
    assert reference() is not None


def test_the_first_result_and_the_latest_are_kept():
    events, counter = make_events(), Counter()
    nominal = events.Jet
    shifted = [ak.with_field(nominal, nominal.pt * factor, "pt") for factor in (2, 3, 4, 5)]
    for number, jets in enumerate([nominal, *shifted], start=1):
        events["Jet"] = jets
        assert call(events, ["Jet"], counter) == number
    events["Jet"] = nominal
    assert call(events, ["Jet"], counter) == 1
    events["Jet"] = shifted[3]
    assert call(events, ["Jet"], counter) == 5
    events["Jet"] = shifted[0]
    assert call(events, ["Jet"], counter) == 6
    assert len(events.attrs[MEMO_KEY]["k"]) == 3


def test_by_value_inputs_are_compared_by_content():
    events, counter = make_events(), Counter()
    assert call(events, ["Jet", ByValue(np.array([1.0, 2.0]))], counter) == 1
    assert call(events, ["Jet", ByValue(np.array([1.0, 2.0]))], counter) == 1
    assert call(events, ["Jet", ByValue(np.array([1.0, 2.5]))], counter) == 2
    assert call(events, ["Jet", ByValue(np.array([1.0, 2.0], np.float32))], counter) == 3
    assert call(events, ["Jet", ByValue(np.array([1.0]))], counter) == 4
    assert call(events, ["Jet"], counter) == 5


def test_a_field_added_to_a_result_stays_with_the_caller():
    events = make_events()
    counter = Counter((events.Jet, {"mask": events.Jet.pt > 1}, [1]))
    jets, masks, _ = call(events, ["Jet"], counter)
    jets["mine"] = jets.pt
    masks["mine"] = 1
    again, masks, _ = call(events, ["Jet"], counter)
    assert again.fields == ["pt", "eta"]
    assert list(masks) == ["mask"]
    assert again.behavior is events.Jet.behavior
    assert counter.calls == 1


def test_numpy_results_are_read_only():
    values = call(make_events(), ["Jet"], Counter(np.arange(3)))
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 7


def virtual_events(loaded):
    """Six events, two jets each, whose lists and columns are loaded when they are looked at."""

    def load(name, values):
        loaded.append(name)
        return values

    record = ak.forms.RecordForm([ak.forms.NumpyForm("float64", form_key="pt")], ["pt"], form_key="r")
    jets = ak.forms.ListOffsetForm("i64", record, form_key="jets")
    form = ak.forms.RecordForm([jets], ["Jet"], form_key="events")
    return ak.from_buffers(
        form,
        6,
        {
            "jets-offsets": lambda: load("offsets", np.arange(0, 13, 2)),
            "pt-data": lambda: load("pt", np.arange(12.0)),
        },
    )


def test_virtual_columns_are_not_loaded_for_the_fingerprint():
    loaded = []
    events, counter = virtual_events(loaded), Counter()
    assert [call(events, ["Jet"], counter) for _ in range(3)] == [1, 1, 1]
    assert loaded == []
    events.Jet.pt.tolist()
    assert sorted(loaded) == ["offsets", "pt"]
    assert call(events, ["Jet"], counter) == 1


def test_setting_the_first_field_of_sliced_events_keeps_the_results():
    loaded = []
    events, counter = virtual_events(loaded), Counter()
    half = events[np.arange(6) % 2 == 0]
    assert [call(half, ["Jet"], counter) for _ in range(2)] == [1, 1]
    half["new"] = np.ones(3)
    half["other"] = np.ones(3)
    assert call(half, ["Jet"], counter) == 1
    assert loaded == []


def test_a_longer_field_is_told_from_a_cut_one():
    content = ak.contents.NumpyArray(np.arange(5.0))
    counter = Counter()
    long = ak.Array(ak.contents.RecordArray([content], ["x"], length=5), attrs={MEMO_KEY: {}})
    short = ak.Array(ak.contents.RecordArray([content], ["x"], length=3), attrs=long.attrs)
    assert call(long, ["x"], counter) == 1
    assert call(short, ["x"], counter) == 2


def test_results_do_not_keep_the_events_alive():
    events = make_events()
    call(events, ["Jet"], Counter(events.Jet))
    reference = weakref.ref(events)
    gc.disable()
    try:
        del events
        assert reference() is None
    finally:
        gc.enable()


def test_results_are_not_pickled():
    events = make_events()
    call(events, ["Jet"], Counter(events.Jet))
    assert MEMO_KEY not in pickle.loads(pickle.dumps(events)).attrs


def test_an_error_is_not_kept():
    events = make_events()
    with pytest.raises(ZeroDivisionError):
        memoised(events, "k", ["Jet"], lambda: 1 / 0)
    assert call(events, ["Jet"], Counter()) == 1


def test_a_key_that_cannot_be_hashed():
    with pytest.raises(InvalidType, match="freeze"):
        call(make_events(), ["Jet"], Counter(), key=("a", {"pt": 1}))


def test_freeze():
    plain = {"pt": 15, "wp": {"2018": "M"}, "ids": ["a", {"b": 1}]}
    assert freeze(plain) == freeze(OmegaConf.create(plain))
    assert freeze(plain) != freeze(plain | {"pt": 16})
    assert freeze({"a": 1, "b": 2}) == freeze({"b": 2, "a": 1})
    assert hash(freeze(plain | {"s": {1, 2}, "o": [object]})) is not None
