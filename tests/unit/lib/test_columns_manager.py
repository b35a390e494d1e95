"""Exported columns: names, values, weights, in the output and for parquet."""

import awkward as ak
import numpy as np
import pytest
from coffea.processor import accumulate

from pocket_coffea.errors import InvalidType, InvalidValue, MissingBranch
from pocket_coffea.lib.categorization import CartesianSelection, MultiCut, StandardSelection
from pocket_coffea.lib.columns_manager import ColOut, ColumnsManager
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.weights.weights import WeightData, WeightLambda
from pocket_coffea.lib.weights.weights_manager import WeightsManager
from pocket_coffea.parameters.cuts import passthrough


def field_cut(field):
    return Cut(field, {}, lambda events, params, **kwargs: events[field])


hard = Cut("hard", {}, lambda events, params, **kwargs: events.Jet.pt > 25, collection="Jet")


@pytest.fixture
def events():
    return ak.Array(
        {
            "Jet": [
                [{"pt": 50.0, "id": 1}, {"pt": 30.0, "id": 2}, {"pt": 20.0, "id": 3}],
                [],
                [{"pt": 10.0, "id": None}],
                [{"pt": 40.0, "id": 5}],
            ],
            "MET": [{"pt": 1.0}, {"pt": 2.0}, {"pt": 3.0}, {"pt": 4.0}],
            "ht": [100.0, 0.0, None, 40.0],
            "probs": ak.from_numpy(np.arange(8.0).reshape(4, 2)),
            "a": [True, True, False, True],
            "genw": [1.0, 2.0, 3.0, 4.0],
        }
    )


def prepared(categories, events):
    selection = categories if not isinstance(categories, dict) else StandardSelection(categories)
    selection.prepare(events, {})
    return selection


def values(filled, category, variation="nominal"):
    return {name: column.value.tolist() for name, column in filled[category][variation].items()}


def fill(requests, events, categories, variation="nominal", variations_config=None, **kwargs):
    selection = prepared(categories, events)
    manager = ColumnsManager(requests, selection, variations_config)
    return manager.fill_columns_accumulators(events, selection, variation, **kwargs)


ALL, SOME = {"all": [passthrough]}, {"some": [field_cut("a")]}


# ---------------------------------------------------------------- names and values


def test_columns_of_objects_and_events(events):
    requests = {"some": [ColOut("Jet", ["pt", "id"]), ColOut("MET", ["pt"]), ColOut("events", ["ht"])]}
    assert values(fill(requests, events, SOME), "some") == {
        "Jet_pt": [50.0, 30.0, 20.0, 40.0],
        "Jet_id": [1, 2, 3, 5],
        "Jet_N": [3, 0, 1],
        "MET_pt": [1.0, 2.0, 4.0],
        "events_ht": [100.0, 0.0, 40.0],
        "weight": [1.0, 1.0, 1.0],
    }


def test_missing_values_are_filled(events):
    request = {"all": [ColOut("Jet", ["id"], store_size=False), ColOut("events", ["ht"], fill_value=-1.0)]}
    filled = values(fill(request, events, ALL), "all")
    assert filled == {
        "Jet_id": [1, 2, 3, -999, 5],
        "events_ht": [100.0, 0.0, -1.0, 40.0],
        "weight": [1.0] * 4,
    }
    with pytest.raises(InvalidValue, match=r"Jet\.id has missing values"):
        fill({"all": [ColOut("Jet", ["id"], fill_none=False)]}, events, ALL)


def test_slices(events):
    request = {"all": [ColOut("Jet", ["pt"], pos_end=2)]}
    filled = values(fill(request, events, ALL), "all")
    assert filled["Jet_pt"] == [50.0, 30.0, 10.0, 40.0]
    assert filled["Jet_N"] == [2, 0, 1, 1]
    request = {"all": [ColOut("Jet", ["pt"], pos_start=1, pos_end=0)]}
    filled = values(fill(request, events, ALL), "all")
    assert filled["Jet_pt"] == [30.0, 20.0]
    assert filled["Jet_N"] == [2, 0, 0, 0]


def test_two_slices_of_one_collection_do_not_overwrite_each_other(events):
    requests = [ColOut("Jet", ["pt"], pos_end=1), ColOut("Jet", ["id", "pt"], pos_start=1)]
    filled = values(fill({"all": requests}, events, ALL), "all")
    assert filled == {
        "Jet_pt": [50.0, 10.0, 40.0],
        "Jet_N": [1, 0, 1, 1],
        "Jet_id": [2, 3],
        "Jet_pt_1_end": [30.0, 20.0],
        "Jet_N_1_end": [2, 0, 0, 0],
        "weight": [1.0] * 4,
    }


def test_equal_requests_count_once(events):
    selection = prepared(ALL, events)
    manager = ColumnsManager({"all": [ColOut("Jet", ["pt"]), ColOut("Jet", ["pt"])]}, selection, None)
    assert manager.ncols == 1
    manager.add_column(ColOut("MET", ["pt"]))
    manager.add_column(ColOut("Jet", ["pt"]), categories=["all"])
    assert manager.ncols == 2
    filled = manager.fill_columns_accumulators(events, selection, "nominal")
    assert set(filled["all"]["nominal"]) == {"Jet_pt", "Jet_N", "MET_pt", "weight"}


def test_same_column_with_other_options_warns(events, caplog):
    requests = [ColOut("events", ["ht"]), ColOut("events", ["ht"], fill_value=-5.0)]
    filled = values(fill({"all": requests}, events, ALL), "all")
    assert filled["events_ht"][2] == -5.0
    assert "events_ht is requested twice" in caplog.text


def test_every_category_has_the_weight(events):
    filled = fill({"some": [ColOut("MET", ["pt"])]}, events, {**ALL, **SOME})
    assert values(filled, "all") == {"weight": [1.0] * 4}
    assert set(values(filled, "some")) == {"MET_pt", "weight"}


def test_nothing_is_filled_without_requests(events):
    assert fill({}, events, ALL) == {}
    assert fill({"all": []}, events, ALL) == {}


def test_regular_arrays_keep_their_shape_and_lists_are_refused(events):
    filled = values(fill({"all": [ColOut("events", ["probs"], flatten=False)]}, events, ALL), "all")
    assert filled["events_probs"] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    filled = values(fill({"all": [ColOut("events", ["probs"])]}, events, ALL), "all")
    assert filled["events_probs"] == list(range(8))
    with pytest.raises(InvalidValue, match=r"Jet_pt is jagged.*dump_columns_as_arrays_per_chunk"):
        fill({"all": [ColOut("Jet", ["pt"], flatten=False)]}, events, ALL)


def test_chunks_add_up(events):
    requests = {"some": [ColOut("Jet", ["pt", "id"]), ColOut("events", ["ht"])]}
    parts = [
        fill(requests, events[:1], SOME),
        fill(requests, events[1:3], SOME),
        fill(requests, events[3:], SOME),
    ]
    assert values(accumulate(parts), "some") == values(fill(requests, events, SOME), "some")


def test_shape_variation_is_a_level_of_the_output(events):
    filled = fill({"all": [ColOut("MET", ["pt"])]}, events, ALL, variation="JESUp")
    assert list(filled["all"]) == ["JESUp"]


# ---------------------------------------------------------------- masks over objects


def test_categories_over_objects(events):
    categories = {"hard": [hard], "hard_a": [hard, field_cut("a")], "all": [passthrough]}
    filled = fill({"hard": [ColOut("Jet", ["pt"])], "hard_a": [ColOut("Jet", ["id"])]}, events, categories)
    assert values(filled, "hard") == {"Jet_pt": [50.0, 30.0, 40.0], "Jet_N": [2, 1], "weight": [1.0] * 3}
    assert values(filled, "hard_a") == {"Jet_id": [1, 2, 5], "Jet_N": [2, 1], "weight": [1.0] * 3}
    assert values(filled, "all") == {"weight": [1.0] * 5}


def test_weights_are_broadcast_to_selected_objects(events):
    manager = weights_manager(events)
    filled = fill({"hard": [ColOut("Jet", ["pt"])]}, events, {"hard": [hard]}, weights_manager=manager)
    assert values(filled, "hard")["weight"] == [1.0, 1.0, 4.0]


def test_weights_follow_the_slice_of_selected_objects(events):
    request = {"hard": [ColOut("Jet", ["pt"], pos_end=1)]}
    manager = weights_manager(events)
    filled = fill(request, events, {"hard": [hard]}, weights_manager=manager)
    assert values(filled, "hard") == {"Jet_pt": [50.0, 40.0], "Jet_N": [1, 1], "weight": [1.0, 4.0]}
    result = arrays(request, events, {"hard": [hard]}, weights_manager=manager)
    assert result["hard"].to_list() == [{"Jet_pt": 50.0, "weight": 1.0}, {"Jet_pt": 40.0, "weight": 4.0}]


def test_only_the_selected_collection_can_be_exported(events):
    for request in (ColOut("MET", ["pt"]), ColOut("events", ["ht"])):
        with pytest.raises(InvalidValue, match="select the objects of 'Jet'"):
            fill({"hard": [request]}, events, {"hard": [hard]})
    with pytest.raises(InvalidValue, match="objects of another collection"):
        fill({"all": [ColOut("MET", ["pt"])]}, events, ALL, subsample_mask=events.Jet.pt > 25)


def test_subsample_masks_over_events_and_objects(events):
    request = {"some": [ColOut("Jet", ["pt"])]}
    filled = fill(request, events, SOME, subsample_mask=np.array([False, True, True, True]))
    assert values(filled, "some")["Jet_pt"] == [40.0]
    filled = fill(request, events, SOME, subsample_mask=events.Jet.pt > 25)
    assert values(filled, "some")["Jet_pt"] == [50.0, 30.0, 40.0]
    filled = fill(
        {"hard": [ColOut("Jet", ["pt"])]}, events, {"hard": [hard]}, subsample_mask=events.Jet.pt < 45
    )
    assert values(filled, "hard")["Jet_pt"] == [30.0, 40.0]


def test_cartesian_categories(events):
    selection = CartesianSelection([MultiCut("x", [field_cut("a"), passthrough])], {"all": [passthrough]})
    filled = fill({"a": [ColOut("MET", ["pt"])]}, events, selection)
    assert list(filled) == ["all", "a", "passthrough"]
    assert values(filled, "a")["MET_pt"] == [1.0, 2.0, 4.0]


# ---------------------------------------------------------------- weights

gen = WeightLambda.wrap_func("cm_gen", lambda params, metadata, events, size, shape: events.genw)
two = WeightLambda.wrap_func(
    "cm_two",
    lambda params, metadata, events, size, shape: (
        np.full(size, 2.0),
        np.full(size, 4.0),
        np.full(size, 1.0),
    ),
    has_variations=True,
)
sub = WeightLambda.wrap_func(
    "cm_sub",
    lambda params, metadata, events, size, shape: WeightData(
        "cm_sub", np.full(size, 3.0), np.full(size, 6.0)
    ),
    has_variations=True,
)

WEIGHTS = {
    "inclusive": ["cm_gen"],
    "bycategory": {"all": [], "some": ["cm_two"]},
    "is_split_bycat": True,
    "by_subsample": {
        "s__sub": {
            "inclusive": ["cm_sub"],
            "bycategory": {"all": [], "some": []},
            "is_split_bycat": False,
        }
    },
}
VARIATIONS = {
    "weights": {"all": ["cm_two"], "some": ["cm_two"]},
    "shape": {"all": ["jes"], "some": ["jes"]},
    "by_subsample": {
        "s__sub": {"weights": {"all": [], "some": ["cm_sub"]}, "shape": {"all": [], "some": []}}
    },
}


def weights_manager(events, variation="nominal", conf=None, isMC=True):
    conf = conf or {"inclusive": ["cm_gen"], "bycategory": {}, "is_split_bycat": False, "by_subsample": {}}
    manager = WeightsManager({}, conf, [gen, two, sub], {"sample": "s", "dataset": "d", "isMC": isMC})
    manager.compute(events, len(events), variation)
    return manager


def test_weight_variations_of_the_sample(events):
    filled = fill(
        {"some": [ColOut("MET", ["pt"])]},
        events,
        {**ALL, **SOME},
        variations_config=VARIATIONS,
        weights_manager=weights_manager(events, conf=WEIGHTS),
    )
    assert values(filled, "some") == {
        "MET_pt": [1.0, 2.0, 4.0],
        "weight": [2.0, 4.0, 8.0],
        "weight_variation_cm_twoUp": [4.0, 8.0, 16.0],
        "weight_variation_cm_twoDown": [1.0, 2.0, 4.0],
    }
    # the weight is not applied in this category: its variations are the nominal weight
    assert values(filled, "all") == {
        "weight": [1.0, 2.0, 3.0, 4.0],
        "weight_variation_cm_twoUp": [1.0, 2.0, 3.0, 4.0],
        "weight_variation_cm_twoDown": [1.0, 2.0, 3.0, 4.0],
    }


def test_weights_of_subsamples_are_in_every_weight_column(events):
    filled = fill(
        {"some": [ColOut("MET", ["pt"])]},
        events,
        SOME,
        variations_config=VARIATIONS,
        weights_manager=weights_manager(events, conf=WEIGHTS),
        subsample="s__sub",
        subsample_mask=np.array([True, False, True, True]),
    )
    assert values(filled, "some") == {
        "MET_pt": [1.0, 4.0],
        "weight": [6.0, 24.0],
        "weight_variation_cm_twoUp": [12.0, 48.0],
        "weight_variation_cm_twoDown": [3.0, 12.0],
        "weight_variation_cm_subUp": [12.0, 48.0],
        "weight_variation_cm_subDown": [3.0, 12.0],
    }


def test_shape_passes_and_data_have_nominal_weights_only(events):
    filled = fill(
        {"some": [ColOut("MET", ["pt"])]},
        events,
        SOME,
        variation="jesUp",
        variations_config=VARIATIONS,
        weights_manager=weights_manager(events, "jesUp", conf=WEIGHTS),
    )
    assert values(filled, "some", "jesUp") == {"MET_pt": [1.0, 2.0, 4.0], "weight": [2.0, 4.0, 8.0]}
    filled = fill({"some": [ColOut("MET", ["pt"])]}, events, SOME, weights_manager=weights_manager(events))
    assert set(values(filled, "some")) == {"MET_pt", "weight"}


# ---------------------------------------------------------------- parquet


def arrays(requests, events, categories, **kwargs):
    selection = prepared(categories, events)
    return ColumnsManager(requests, selection, None).fill_ak_arrays(events, selection, "nominal", **kwargs)


def test_arrays_for_parquet(events, tmp_path):
    requests = {"some": [ColOut("Jet", ["pt", "id"], flatten=False, pos_end=2), ColOut("events", ["ht"])]}
    result = arrays(requests, events, {**ALL, **SOME}, weights_manager=weights_manager(events))
    assert list(result) == ["some"]
    expected = [
        {"Jet_pt": [50.0, 30.0], "Jet_id": [1, 2], "events_ht": 100.0, "weight": 1.0},
        {"Jet_pt": [], "Jet_id": [], "events_ht": 0.0, "weight": 2.0},
        {"Jet_pt": [40.0], "Jet_id": [5], "events_ht": 40.0, "weight": 4.0},
    ]
    assert result["some"].to_list() == expected
    ak.to_parquet(result["some"], tmp_path / "part.parquet")
    assert ak.from_parquet(tmp_path / "part.parquet").to_list() == expected


def test_no_selected_event_still_gives_a_readable_file(events, tmp_path):
    requests = {"some": [ColOut("Jet", ["pt"], flatten=False)]}
    result = arrays(requests, events, SOME, subsample_mask=np.zeros(4, dtype=bool))
    ak.to_parquet(result["some"], tmp_path / "part.parquet")
    assert ak.from_parquet(tmp_path / "part.parquet").to_list() == []


def test_columns_of_different_lengths_cannot_share_a_file(events):
    with pytest.raises(InvalidValue, match=r"Jet_pt: 5, MET_pt: 4.*flatten=False"):
        arrays({"all": [ColOut("Jet", ["pt"]), ColOut("MET", ["pt"])]}, events, ALL)


def test_objects_for_parquet(events):
    weights = weights_manager(events)
    result = arrays({"hard": [ColOut("Jet", ["pt"])]}, events, {"hard": [hard]}, weights_manager=weights)
    assert result["hard"].to_list() == [
        {"Jet_pt": 50.0, "weight": 1.0},
        {"Jet_pt": 30.0, "weight": 1.0},
        {"Jet_pt": 40.0, "weight": 4.0},
    ]
    requests = {"hard": [ColOut("Jet", ["pt"], flatten=False)]}
    result = arrays(requests, events, {"hard": [hard]}, weights_manager=weights)
    assert result["hard"].to_list() == [
        {"Jet_pt": [50.0, 30.0], "weight": 1.0},
        {"Jet_pt": [40.0], "weight": 4.0},
    ]


# ---------------------------------------------------------------- mistakes


def test_unknown_names(events):
    with pytest.raises(ValueError, match=r"category 'al'.*Did you mean 'all'"):
        ColumnsManager({"al": [ColOut("Jet", ["pt"])]}, StandardSelection(ALL), None)
    with pytest.raises(MissingBranch, match=r"events\.Jets.*Did you mean 'Jet'"):
        fill({"all": [ColOut("Jets", ["pt"])]}, events, ALL)
    with pytest.raises(MissingBranch, match=r"events\.Jet\.ptt.*Did you mean 'pt'"):
        fill({"all": [ColOut("Jet", ["ptt"])]}, events, ALL)


def test_wrong_requests():
    with pytest.raises(InvalidType, match=r"\['pt'\]"):
        ColOut("Jet", "pt")
    with pytest.raises(InvalidType, match="are names"):
        ColOut("Jet", [1])
    with pytest.raises(InvalidType, match="ColOut"):
        ColumnsManager({"all": ["Jet_pt"]}, StandardSelection(ALL), None)


@pytest.mark.parametrize("flatten", [True, False])
def test_a_whole_collection_is_no_column(events, flatten):
    events["MET", "tags"] = [["a"], [], ["b"], []]
    events["words"] = ak.Array([1, "a", [2.0], None])
    with pytest.raises(InvalidValue, match=r"events_MET is a collection with the fields pt, tags\. Export"):
        fill({"all": [ColOut("events", ["MET"], flatten=flatten)]}, events, ALL)
    with pytest.raises(InvalidValue, match="events_words does not hold plain values"):
        fill({"all": [ColOut("events", ["words"], flatten=flatten, fill_none=False)]}, events, ALL)


def test_requests_compare_by_content():
    assert ColOut("Jet", ("pt",)) == ColOut("Jet", ["pt"])
    assert ColOut("Jet", ["pt"]) != ColOut("Jet", ["pt"], pos_end=1)
