"""Exported columns: in the output, and as parquet files."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from pocket_coffea.lib.columns_manager import ColOut
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.lib.weights.weights import WeightLambda

DATA_WEIGHT = WeightLambda.wrap_func(
    name="columns_test_data_weight",
    function=lambda params, metadata, events, size, shape_variation: np.full(size, 3.0),
    isMC_only=False,
)


def test_columns_of_a_subsample_have_weights_and_variation_level(make_config, analysis):
    config = make_config(
        subsamples={"DY": {"high": [analysis.met_above(20)]}},
        columns={"bysample": {"DY": {"bycategory": {"2j": [ColOut("JetGood", ["pt"])]}}}},
    )
    (events,) = analysis.chunks(config, 400)
    output = analysis.run(config)
    columns = output["columns"]["DY__high"]["DY_2018"]["2j"]["nominal"]
    jets = events.Jet[events.Jet.pt > 30]
    selected = (ak.num(jets) >= 2) & (events.MET.pt > 20)
    np.testing.assert_array_equal(columns["JetGood_N"].value, ak.to_numpy(ak.num(jets)[selected]))
    np.testing.assert_allclose(columns["JetGood_pt"].value, ak.to_numpy(ak.flatten(jets.pt[selected])))
    np.testing.assert_allclose(columns["weight"].value, ak.to_numpy(events.genWeight[selected]))
    assert set(output["columns"]) == {"DY__high"}


def test_weights_of_data_reach_the_weight_column(make_config, analysis):
    config = make_config(
        datasets={"D_2018": ("D", "data_singlemuon", 50, {})},
        weights={"common": {"inclusive": [DATA_WEIGHT.name]}},
        weights_classes=[*common_weights, DATA_WEIGHT],
        columns={"common": {"inclusive": [ColOut("MET", ["pt"])]}},
    )
    output = analysis.run(config)
    assert output["columns"]["D"]["D_2018"]["all"]["nominal"]["weight"].value.tolist() == [3.0] * 50
    assert output["variables"]["met"]["D"]["D_2018"][{"cat": "all"}].sum(flow=True).value == pytest.approx(
        150
    )


@pytest.mark.parametrize("subsamples", [{}, {"DY": {"high": ["cut"]}}])
def test_parquet_mode_writes_one_file_per_chunk(make_config, analysis, tmp_path, subsamples):
    if subsamples:
        subsamples = {"DY": {"high": [analysis.met_above(20)]}}
    config = make_config(
        subsamples=subsamples,
        columns={"common": {"bycategory": {"2j": [ColOut("JetGood", ["pt", "eta"], flatten=False)]}}},
        workflow_options={"dump_columns_as_arrays_per_chunk": str(tmp_path / "columns")},
    )
    (events,) = analysis.chunks(config, 400)
    output = analysis.run(config)
    assert output["columns"] == {}
    folder = tmp_path / "columns" / "DY_2018" / ("high" if subsamples else "") / "2j" / "nominal"
    files = sorted(folder.glob("*.parquet"))
    assert len(files) == 3
    assert files[0].name.endswith("_%2FEvents%3B1_0-150.parquet")
    assert not (folder.parent.parent / "all").exists()
    jets = events.Jet[events.Jet.pt > 30]
    selected = (ak.num(jets) >= 2) & ((events.MET.pt > 20) if subsamples else True)
    stored = ak.concatenate(sorted((ak.from_parquet(file) for file in files), key=lambda array: 0))
    assert len(stored) == ak.sum(selected)
    assert {"JetGood_pt", "JetGood_eta", "weight"} <= set(stored.fields)
    assert ak.sum(stored.JetGood_pt) == pytest.approx(ak.sum(jets.pt[selected]), rel=1e-5)


def test_no_columns_no_entry(make_config, analysis):
    assert analysis.run(make_config())["columns"] == {}
