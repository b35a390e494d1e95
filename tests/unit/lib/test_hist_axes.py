"""Axis and HistConf: defaults, checks, serialization."""

from __future__ import annotations

import json
import pickle

import hist
import numpy as np
import pytest
from omegaconf import OmegaConf

from pocket_coffea.errors import InvalidType, InvalidValue
from pocket_coffea.lib.hist_axes import Axis, HistConf, get_hist_axis_from_config

PT = Axis("pt", "p_T", 30, 0, 300, "JetGood")


def test_defaults_and_positional_arguments():
    assert (PT.name, PT.coll, PT.type, PT.pos, PT.lim) == ("JetGood.pt", "JetGood", "regular", None, (0, 0))
    assert (PT.underflow, PT.overflow, PT.growth, PT.transform) == (True, True, False, None)
    assert Axis(field="x", label="", pos=1).name == "events.x"
    conf = HistConf([PT], "double", False, False, ["a"], ["b"], ["c"], ["d"], ["e"], True, True)
    assert (conf.storage, conf.autofill, conf.variations, conf.only_variations) == (
        "double",
        False,
        False,
        ["a"],
    )
    assert (conf.exclude_samples, conf.only_samples) == (["b"], ["c"])
    assert (conf.exclude_categories, conf.only_categories) == (["d"], ["e"])
    assert (conf.no_weights, conf.metadata_hist) == (True, True)
    assert (conf.collapse_2D_masks, conf.collapse_2D_masks_mode, conf.hist_obj) == (False, "OR", None)


@pytest.mark.parametrize(
    ("options", "kind", "edges"),
    [
        ({"bins": 2, "start": 0, "stop": 1}, hist.axis.Regular, [0, 0.5, 1]),
        ({"bins": 2.0, "start": 0, "stop": 1}, hist.axis.Regular, [0, 0.5, 1]),
        ({"bins": [0, 1, 5]}, hist.axis.Variable, [0, 1, 5]),
        ({"bins": (0, 1, 5), "type": "variable"}, hist.axis.Variable, [0, 1, 5]),
        ({"bins": np.array([0, 1, 5]), "type": "variable"}, hist.axis.Variable, [0, 1, 5]),
        ({"bins": OmegaConf.create([0, 1, 5])}, hist.axis.Variable, [0, 1, 5]),
        ({"type": "int", "start": 2, "stop": 4}, hist.axis.Integer, [2, 3, 4]),
        ({"type": "intcat", "bins": [4, 0], "coll": "custom"}, hist.axis.IntCategory, None),
        ({"type": "strcat", "bins": ["b", "a"], "coll": "metadata"}, hist.axis.StrCategory, None),
        (
            {"bins": 2, "start": 1, "stop": 100, "transform": hist.axis.transform.log},
            hist.axis.Regular,
            [1, 10, 100],
        ),
    ],
)
def test_types(options, kind, edges):
    config = Axis(**{"field": "x", "label": "a label", "name": "name", **options})
    axis = get_hist_axis_from_config(config)
    assert type(axis) is kind
    assert (axis.name, axis.label) == ("name", "a label")
    if edges is None:
        assert list(axis) == config.bins
        assert not axis.traits.underflow
    else:
        np.testing.assert_allclose(axis.edges, edges)


@pytest.mark.parametrize("underflow", [True, False])
@pytest.mark.parametrize("overflow", [True, False])
@pytest.mark.parametrize("options", [{"bins": 2}, {"bins": [0, 1, 2]}, {"type": "int"}])
def test_flow_bins(options, underflow, overflow):
    config = Axis(
        **{"field": "x", "label": "", "start": 0, "stop": 2, **options},
        underflow=underflow,
        overflow=overflow,
    )
    traits = get_hist_axis_from_config(config).traits
    assert (traits.underflow, traits.overflow, traits.growth) == (underflow, overflow, False)


def test_growth():
    for options in (
        {"bins": 2},
        {"bins": [0, 1, 2]},
        {"type": "int"},
        {"type": "strcat", "bins": ["a"], "coll": "custom"},
    ):
        config = Axis(**{"field": "x", "label": "", "start": 0, "stop": 2, **options}, growth=True)
        assert get_hist_axis_from_config(config).traits.growth


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "regulra", "bins": 1}, "unknown type 'regulra'. Did you mean 'regular'"),
        ({"type": "variable", "bins": 5}, r"needs bins=\[edge"),
        ({"type": "variable", "bins": "abc"}, r"needs bins=\[edge"),
        ({"type": "variable", "bins": [3, 2, 1]}, "not possible"),
        ({"bins": 5, "start": 0}, "needs stop"),
        ({}, "needs bins, start, stop"),
        ({"bins": 0, "start": 0, "stop": 1}, "not possible"),
        ({"bins": 2.5, "start": 0, "stop": 1}, "not a whole number"),
        ({"bins": 2, "start": 0, "stop": 0}, "not possible"),
        ({"type": "int", "start": 0}, "needs stop"),
        ({"type": "intcat", "coll": "custom"}, r"needs bins=\[label"),
        ({"type": "intcat", "bins": [1]}, "coll='metadata' or coll='custom', not from 'events'"),
        ({"bins": 1, "start": 0, "stop": 1, "pos": -1}, "pos is -1"),
        (
            {"bins": 1, "start": 1, "stop": 2, "growth": True, "transform": hist.axis.transform.log},
            "growth=False",
        ),
    ],
)
def test_wrong_axes_are_named(options, message):
    config = Axis(**{"field": "x", "label": "", "name": "my_axis", **options})
    with pytest.raises(InvalidValue, match=f"^Axis, axis 'my_axis': .*{message}") as caught:
        get_hist_axis_from_config(config)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(InvalidValue, match=f"^Histogram 'h', axis 'my_axis': .*{message}"):
        HistConf([config]).build_axes("h")


@pytest.mark.parametrize(
    ("conf", "error", "message"),
    [
        (HistConf([PT], storage="wieght"), InvalidValue, "unknown storage 'wieght'. Did you mean 'weight'"),
        (HistConf([PT], collapse_2D_masks_mode="XOR"), InvalidValue, "must be 'OR' or 'AND', not 'XOR'"),
        (HistConf([PT, PT]), InvalidValue, "more than one axis named 'JetGood.pt'"),
        (HistConf([Axis("x", "", 1, 0, 1, name="cat")]), InvalidValue, "axis 'cat': the name is taken"),
        (HistConf(PT), InvalidType, "must be a list of Axis"),
        (HistConf(["pt"]), InvalidType, "must be a list of Axis"),
    ],
)
def test_wrong_histograms_are_named(conf, error, message):
    with pytest.raises(error, match=f"^Histogram 'my_hist'.*{message}") as caught:
        conf.build_axes("my_hist")
    assert type(pickle.loads(pickle.dumps(caught.value))) is error


def test_serialize_keeps_the_axes():
    axis = Axis("eta", "eta", np.array([0, 1.5]), coll="JetGood", transform=None, type="variable", lim=(0, 1))
    conf = HistConf([PT, axis], only_samples=["a"], collapse_2D_masks=True, hist_obj=object())
    out = json.loads(json.dumps(conf.serialize()))
    assert [a["name"] for a in out["axes"]] == ["JetGood.pt", "JetGood.eta"]
    assert out["axes"][1]["bins"] == [0, 1.5]
    assert out["axes"][1]["lim"] == [0, 1]
    assert out["axes"][0]["bins"] == 30
    assert (out["only_samples"], out["collapse_2D_masks"], out["storage"]) == (["a"], True, "weight")
    assert "hist_obj" not in out
    logarithmic = Axis("x", "", 2, 1, 10, transform=hist.axis.transform.log)
    assert isinstance(json.loads(json.dumps(logarithmic.serialize()))["transform"], str)
