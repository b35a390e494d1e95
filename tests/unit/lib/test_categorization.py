"""Selections: ANDs of cuts, products of bins, masks over objects."""

import itertools

import awkward as ak
import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import CutError, InvalidType, InvalidValue, MissingBranch
from pocket_coffea.lib.categorization import CartesianSelection, MaskStorage, MultiCut, StandardSelection
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.parameters.cuts import passthrough

CALLS: list[str] = []


def bit(events, params, **kwargs):
    CALLS.append(params["field"])
    return events[params["field"]]


def jet_bit(events, params, **kwargs):
    return events.Jet[params["field"]]


def cut(field):
    return Cut(field, {"field": field}, bit)


def jet_cut(field, collection="Jet"):
    return Cut(field, {"field": field}, jet_bit, collection=collection)


A, B, C = cut("a"), cut("b"), cut("c")
HARD, TAGGED = jet_cut("hard"), jet_cut("tagged")


@pytest.fixture
def events():
    CALLS.clear()
    return ak.Array(
        {
            "a": [True, True, False, False],
            "b": [True, False, True, False],
            "c": [True, True, True, False],
            "Jet": [
                [{"hard": True, "tagged": True}, {"hard": False, "tagged": True}],
                [],
                [{"hard": True, "tagged": False}],
                [{"hard": True, "tagged": True}],
            ],
        }
    )


def bits(text):
    return [char == "1" for char in text]


# ---------------------------------------------------------------- StandardSelection


def test_category_is_the_and_of_its_cuts(events):
    selection = StandardSelection({"all": [passthrough], "ab": [A, B], "c": [C], "empty": []})
    selection.prepare(events, {}, year="2018", sample="s", isMC=True)
    masks = dict(selection.get_masks())
    assert list(masks) == ["all", "ab", "c", "empty"]
    assert all(type(mask) is np.ndarray and mask.dtype == bool for mask in masks.values())
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "all": bits("1111"),
        "ab": bits("1000"),
        "c": bits("1110"),
        "empty": bits("1111"),
    }
    assert selection.get_mask("ab").tolist() == bits("1000")
    assert selection.template_mask.tolist() == bits("1111")
    assert not selection.is_multidim
    assert selection.mask_matrix().tolist() == [mask.tolist() for mask in masks.values()]


def test_equal_cuts_are_evaluated_once_and_share_masks(events):
    selection = StandardSelection({"one": [A, B], "two": [cut("b"), cut("a")], "three": [cut("a"), C, A]})
    selection.prepare(events, {})
    assert sorted(CALLS) == ["a", "b", "c"]
    assert selection.get_mask("one") is selection.get_mask("two")
    assert selection.categories == {"one": {A.id, B.id}, "two": {A.id, B.id}, "three": {A.id, C.id}}


def test_prepare_again_forgets_the_old_events(events):
    selection = StandardSelection({"a": [A]})
    selection.prepare(events, {})
    assert selection.get_mask("a").tolist() == bits("1100")
    selection.prepare(events[::-1][:3], {})
    assert selection.get_mask("a").tolist() == bits("001")


def test_arguments_reach_the_cuts(events):
    seen = {}

    def spy(events, params, processor_params, year, sample, isMC):
        seen.update(processor_params=processor_params, year=year, sample=sample, isMC=isMC)
        return np.ones(len(events), dtype=bool)

    StandardSelection({"x": [Cut("spy", {}, spy)]}).prepare(
        events, {"p": 1}, year="2017", sample="s", isMC=False
    )
    assert seen == {"processor_params": {"p": 1}, "year": "2017", "sample": "s", "isMC": False}


def test_names_and_iteration():
    selection = StandardSelection({"b": [A], "a": [B]})
    assert selection.keys() == ["b", "a"]
    assert list(selection) == ["b", "a"]
    assert dict(selection.items()) == {"b": {A.id}, "a": {B.id}}
    assert len(selection) == 2
    assert "a" in selection
    assert "c" not in selection


def test_at_most_64_distinct_cuts():
    StandardSelection({f"c{i}": [cut(str(i)), cut("0")] for i in range(64)})
    with pytest.raises(RuntimeError, match="65 distinct cuts, the limit is 64"):
        StandardSelection({f"c{i}": [cut(str(i))] for i in range(65)})
    with pytest.raises(RuntimeError, match="MultiCut 'm'"):
        MultiCut("m", [cut(str(i)) for i in range(65)])


@pytest.mark.parametrize(
    ("categories", "match"),
    [
        ({"a": [bit]}, "category 'a' must be a list of cuts.*function"),
        ({"a": A}, r"Write \[cut\]"),
        ([A], "dictionary"),
    ],
)
def test_other_things_than_cuts_are_refused(categories, match):
    with pytest.raises(InvalidType, match=match):
        StandardSelection(categories)


def test_before_prepare_there_are_no_masks(events):
    for selection in (StandardSelection({"a": [A]}), CartesianSelection([MultiCut("m", [A])])):
        assert not selection.ready
        for use in (lambda s=selection: s.get_mask("a"), lambda s=selection: list(s.get_masks())):
            with pytest.raises(CutError, match="prepare"):
                use()
        with pytest.raises(CutError, match="prepare"):
            _ = selection.template_mask
        selection.prepare(events, {})
        assert selection.ready


def test_unknown_category_names_the_nearest(events):
    for selection in (StandardSelection({"baseline": [A]}), CartesianSelection([], {"baseline": [A]})):
        selection.prepare(events, {})
        for error in (ValueError, KeyError):
            with pytest.raises(error, match=r"'basline'.*Did you mean 'baseline'"):
                selection.get_mask("basline")


def test_wrong_length_names_the_cut(events):
    short = Cut("short", {}, lambda events, params, **kwargs: np.ones(2, dtype=bool))
    with pytest.raises(CutError, match=r"cut 'short'.*2 values for 4 events"):
        StandardSelection({"a": [short]}).prepare(events, {})


# ---------------------------------------------------------------- masks over objects


def test_object_cuts_make_the_selection_multidimensional(events):
    selection = StandardSelection({"a": [A], "hard": [HARD], "both": [C, HARD, TAGGED]})
    assert selection.is_multidim
    assert selection.multidim_collection == "Jet"
    selection.prepare(events, {})
    masks = {name: mask.to_list() for name, mask in selection.get_masks()}
    assert masks == {
        "a": [bits("11"), [], bits("0"), bits("0")],
        "hard": [bits("10"), [], bits("1"), bits("1")],
        "both": [bits("10"), [], bits("0"), bits("0")],
    }
    assert selection.template_mask.to_list() == [bits("11"), [], bits("1"), bits("1")]
    assert selection.mask_matrix().tolist() == [ak.flatten(selection.get_mask(c)).to_list() for c in masks]
    assert ak.all(ak.num(events.Jet[selection.get_mask("hard")]) == [1, 0, 1, 1])


def test_one_collection_only():
    with pytest.raises(InvalidValue, match="Jet and Muon"):
        StandardSelection({"a": [HARD], "b": [jet_cut("hard", "Muon")]})
    with pytest.raises(InvalidValue, match="mixes cuts on Jet, events"):
        MultiCut("m", [HARD, A])
    with pytest.raises(InvalidValue, match="Jet and Muon"):
        CartesianSelection([MultiCut("m", [HARD]), MultiCut("n", [jet_cut("hard", "Muon")])])


def test_missing_collection(events):
    with pytest.raises(MissingBranch, match="Did you mean 'Jet'"):
        StandardSelection({"a": [jet_cut("hard", "Jets")]}).prepare(events, {})


# ---------------------------------------------------------------- CartesianSelection


def test_products_are_named_and_ordered():
    selection = CartesianSelection(
        [MultiCut("nj", [A, B], cuts_names=["3j", "4j"]), MultiCut("nb", [B, C, A], ["0b", "1b", "2b"])],
        common_cats={"inclusive": [passthrough], "signal": [C]},
    )
    assert selection.categories == [
        *("inclusive", "signal"),
        *("3j_0b", "3j_1b", "3j_2b", "4j_0b", "4j_1b", "4j_2b"),
    ]
    assert selection.keys() == list(selection) == selection.categories
    assert dict(selection.items()) == {
        "inclusive": "inclusive",
        "signal": "signal",
        **dict(zip(selection.categories[2:], itertools.product(range(2), range(3)), strict=True)),
    }


def test_product_is_the_and_of_the_bins(events):
    selection = CartesianSelection([MultiCut("x", [A, B]), MultiCut("y", [C, A])], {"b": [B]})
    selection.prepare(events, {})
    assert {name: mask.tolist() for name, mask in selection.get_masks()} == {
        "b": bits("1010"),
        "a_c": bits("1100"),
        "a_a": bits("1100"),
        "b_c": bits("1010"),
        "b_a": bits("1000"),
    }
    assert sorted(CALLS) == ["a", "b", "c"]
    assert selection.mask_matrix().tolist() == [mask.tolist() for _, mask in selection.get_masks()]
    assert selection.template_mask.tolist() == bits("1111")


def test_product_over_objects(events):
    selection = CartesianSelection([MultiCut("x", [A, C]), MultiCut("y", [HARD, TAGGED])], {"b": [B]})
    assert selection.multidim_collection == "Jet"
    selection.prepare(events, {})
    assert {name: mask.to_list() for name, mask in selection.get_masks()} == {
        "b": [bits("11"), [], bits("1"), bits("0")],
        "a_hard": [bits("10"), [], bits("0"), bits("0")],
        "a_tagged": [bits("11"), [], bits("0"), bits("0")],
        "c_hard": [bits("10"), [], bits("1"), bits("0")],
        "c_tagged": [bits("11"), [], bits("0"), bits("0")],
    }
    flat = [ak.flatten(mask).to_list() for _, mask in selection.get_masks()]
    assert selection.mask_matrix().tolist() == flat


def test_common_categories_over_objects(events):
    selection = CartesianSelection([MultiCut("x", [A])], StandardSelection({"h": [HARD]}))
    selection.prepare(events, {})
    assert selection.get_mask("a").to_list() == [bits("11"), [], bits("0"), bits("0")]
    assert selection.get_mask("h").to_list() == [bits("10"), [], bits("1"), bits("1")]


def test_wrong_products():
    with pytest.raises(ValueError, match="2 cuts, but 1 names"):
        MultiCut("x", [A, B], cuts_names=["a"])
    with pytest.raises(InvalidValue, match="two categories are called 'a'"):
        CartesianSelection([MultiCut("x", [A])], {"a": [A]})
    with pytest.raises(InvalidType, match="MultiCut"):
        CartesianSelection([A])


def test_multicut(events):
    bins = MultiCut("x", [A, B])
    assert bins.ncuts == 2
    assert bins.cuts_names == ["a", "b"]
    bins.prepare(events, {})
    assert bins.get_mask(1).tolist() == bits("1010")
    with pytest.raises(InvalidValue, match="no bin 2"):
        bins.get_mask(2)


def test_only_common_categories(events):
    selection = CartesianSelection([], {"b": [B]})
    selection.prepare(events, {})
    assert {name: mask.tolist() for name, mask in selection.get_masks()} == {"b": bits("1010")}
    assert selection.mask_matrix().tolist() == [bits("1010")]


@given(st.integers(0, 20), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 2**31))
def test_products_agree_with_numpy(n_events, sizes, seed):
    rng = np.random.default_rng(seed)
    fields = {f"f{i}_{j}": rng.random(n_events) < 0.5 for i, size in enumerate(sizes) for j in range(size)}
    events = ak.Array(fields)
    multicuts = [MultiCut(f"m{i}", [cut(f"f{i}_{j}") for j in range(size)]) for i, size in enumerate(sizes)]
    selection = CartesianSelection(multicuts)
    selection.prepare(events, {})
    for name, indices in selection.items():
        expected = np.ones(n_events, dtype=bool)
        for i, j in enumerate(indices):
            expected &= fields[f"f{i}_{j}"]
        assert np.array_equal(selection.get_mask(name), expected)


# ---------------------------------------------------------------- both


@pytest.mark.parametrize(
    "selection",
    [
        StandardSelection({"a": [A, C], "h": [HARD]}),
        CartesianSelection([MultiCut("x", [A, B]), MultiCut("y", [HARD])], {"c": [C]}),
    ],
)
def test_selections_travel_without_masks(events, selection):
    empty = len(cloudpickle.dumps(selection))
    selection.prepare(ak.concatenate([events] * 1000), {})
    _ = dict(selection.get_masks())
    assert len(cloudpickle.dumps(selection)) < empty + 100
    assert selection.ready
    again = cloudpickle.loads(cloudpickle.dumps(selection))
    assert not again.ready
    assert again.keys() == selection.keys()
    again.prepare(events, {})
    selection.prepare(events, {})
    assert [m.to_list() for _, m in again.get_masks()] == [m.to_list() for _, m in selection.get_masks()]


def test_serialize():
    plain = StandardSelection({"ab": [A, B]}).serialize()
    assert plain["type"] == "StandardSelection"
    assert [entry["name"] for entry in plain["categories"]["ab"]] == ["a", "b"]
    plain = CartesianSelection([MultiCut("x", [A], ["bin"])], {"b": [B]}).serialize()
    assert plain["categories"] == ["b", "bin"]
    assert plain["multicuts"][0]["cuts_names"] == ["bin"]
    assert list(plain["common_cats"]["categories"]) == ["b"]


# ---------------------------------------------------------------- MaskStorage


def test_storage_of_event_masks():
    store = MaskStorage()
    store.add("a", ak.Array([True, None, True]))
    store.add("b", np.array([True, True, False]))
    assert store.names == ["a", "b"]
    assert store.all(["a", "b"]).tolist() == bits("100")
    assert store.all([]).tolist() == bits("111")
    with pytest.raises(CutError, match=r"dim=1"):
        store.add("c", ak.Array([[True], [], []]))
    with pytest.raises(CutError, match="2 values for 3 events"):
        store.add("c", np.array([True, False]))
    with pytest.raises(KeyError, match="no mask 'x'"):
        store.all(["x"])


def test_storage_of_object_masks():
    store = MaskStorage(dim=2, counts=[2, 0, 1])
    store.add("event", np.array([True, True, False]))
    store.add("object", ak.Array([[True, False], [], [True]]))
    assert store.all(["event", "object"]).to_list() == [bits("10"), [], bits("0")]
    assert store.all(["object"], unflatten=False).tolist() == bits("101")
    assert store.masks["event"].tolist() == bits("110")


def test_storage_limits():
    with pytest.raises(NotImplementedError):
        MaskStorage(dim=3)
    with pytest.raises(ValueError, match="counts"):
        MaskStorage(dim=2)
    store = MaskStorage()
    for i in range(64):
        store.add(str(i), np.array([True]))
    with pytest.raises(RuntimeError, match="65"):
        store.add("64", np.array([True]))
