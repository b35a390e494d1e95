"""Cutflow and sums of weights against plain numpy."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.weights.weights import WeightLambda

MET_WEIGHT = WeightLambda.wrap_func(
    name="counting_test_weight",
    function=lambda params, metadata, events, size, shape_variation: 1 + np.asarray(events.MET.pt) / 100,
)


def reference(config, analysis):
    (events,) = analysis.chunks(config, 400)
    njet = np.asarray(ak.sum(events.Jet.pt > 30, axis=1))
    return njet, np.asarray(events.MET.pt, dtype=float), np.asarray(events.genWeight, dtype=float)


def test_counts_and_sums_match_numpy(make_config, analysis):
    config = make_config(preselections=[analysis.met_above(10)])
    njet, met, weight = reference(config, analysis)
    output = analysis.run(config, size=130, postprocess=False)
    inside = met > 10
    assert output["cutflow"]["initial"] == {"DY_2018": 400}
    assert output["cutflow"]["skim"] == {"DY_2018": 400}
    assert output["cutflow"]["presel"] == {"DY_2018": {"nominal": int(inside.sum())}}
    for category, selected in (("all", inside), ("2j", inside & (njet >= 2))):
        assert output["cutflow"][category] == {"DY_2018": {"DY": {"nominal": int(selected.sum())}}}
        assert output["sumw"][category]["DY_2018"]["DY"]["nominal"] == pytest.approx(weight[selected].sum())
        squares = (weight[selected] ** 2).sum()
        assert output["sumw2"][category]["DY_2018"]["DY"]["nominal"] == pytest.approx(squares)
    assert output["sum_genweights"]["DY_2018"] == pytest.approx(weight.sum())
    assert output["sum_signOf_genweights"]["DY_2018"] == pytest.approx(np.sign(weight).sum())


def test_subsamples_come_after_the_sample_and_carry_their_weights(make_config, analysis):
    config = make_config(
        subsamples={"DY": {"low": [low_met()], "high": [analysis.met_above(20)]}},
        weights={
            "common": {"inclusive": ["genWeight"]},
            "bysample": {"DY__high": {"inclusive": [MET_WEIGHT.name]}},
        },
        weights_classes=[*make_weights(), MET_WEIGHT],
    )
    njet, met, weight = reference(config, analysis)
    output = analysis.run(config, size=130, postprocess=False)
    assert list(output["cutflow"]["2j"]["DY_2018"]) == ["DY", "DY__low", "DY__high"]
    two = njet >= 2
    high = two & (met > 20)
    assert output["cutflow"]["2j"]["DY_2018"]["DY__high"]["nominal"] == int(high.sum())
    sums = {name: content["nominal"] for name, content in output["sumw"]["2j"]["DY_2018"].items()}
    assert sums["DY"] == pytest.approx(weight[two].sum())
    assert sums["DY__low"] == pytest.approx(weight[two & (met <= 20)].sum())
    assert sums["DY__high"] == pytest.approx((weight * (1 + met / 100))[high].sum())
    assert set(output["variables"]["met"]) == {"DY__low", "DY__high"}


def test_masks_over_objects_count_events_with_any_object(make_config, analysis):
    hard = Cut(
        name="hard_jets", params={}, function=lambda events, **_: events.JetGood.pt > 60, collection="JetGood"
    )
    config = make_config(
        categories={"hard": [hard]},
        variables={},
        weights={"common": {"inclusive": ["genWeight"]}},
    )
    (events,) = analysis.chunks(config, 400)
    expected = int(ak.sum(ak.any(events.Jet.pt > 60, axis=1)))
    output = analysis.run(config, postprocess=False)
    assert 0 < expected < 400
    assert output["cutflow"]["hard"]["DY_2018"]["DY"]["nominal"] == expected


def low_met():
    return Cut(name="low_met", params={}, function=lambda events, **_: events.MET.pt <= 20)


def make_weights():
    from pocket_coffea.lib.weights.common import common_weights

    return list(common_weights)
