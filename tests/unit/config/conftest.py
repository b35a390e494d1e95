"""A small analysis to configure: two simulated samples, one of data, weights and calibrators of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from omegaconf import OmegaConf

from pocket_coffea.config.configurator import Configurator
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.hist_manager import Axis, HistConf
from pocket_coffea.lib.weights.common.common import common_weights
from pocket_coffea.lib.weights.weights import WeightLambda

DATASETS = {
    "TTbar_2018": {
        "files": ["tt_1.root", "tt_2.root", "tt_3.root", "tt_4.root"],
        "metadata": {"sample": "TTbar", "year": "2018", "isMC": "True", "xsec": "88.3", "nevents": "1000"},
    },
    "DY_2018": {
        "files": ["dy.root"],
        "metadata": {"sample": "DY", "year": 2018, "isMC": True, "xsec": 6077.22, "nevents": 500},
    },
    "DY_2017": {
        "files": ["dy17.root"],
        "metadata": {"sample": "DY", "year": "2017", "isMC": "True", "xsec": "6077.22", "nevents": "7"},
    },
    "DATA_2018_EraA": {
        "files": ["data.root"],
        "metadata": {
            "sample": "DATA_SingleMuon",
            "year": "2018",
            "isMC": "False",
            "era": "A",
            "primaryDataset": "SingleMuon",
            "nevents": "10",
        },
    },
}


def above(events, params, **kwargs):
    return np.asarray(events[params["field"]]) > params["value"]


def cut(value, field="nMuon", collection="events"):
    params = {"field": field, "value": value}
    return Cut(name=f"{field}_{value}", params=params, function=above, collection=collection)


class Workflow:
    """What the Configurator needs of a workflow."""

    def __init__(self, cfg):
        self.cfg = cfg

    def process(self, events):
        return {}


class Shift(Calibrator):
    name = "config_test_shift"
    has_variations = True
    isMC_only = True
    calibrated_collections = ("Muon.pt",)
    _variations = ("config_shiftUp", "config_shiftDown")

    def initialize(self, events):
        pass

    def calibrate(self, events, events_original_collections, variation, already_applied_calibrators=None):
        return {}


class Fixed(Shift):
    name = "config_test_fixed"
    has_variations = False


def _ones(params, metadata, events, size, shape_variation):
    return np.ones(size)


varied = WeightLambda.wrap_func("config_test_varied", _ones, has_variations=True)
second = WeightLambda.wrap_func("config_test_second", _ones, has_variations=True)
for_data = WeightLambda.wrap_func("config_test_data", _ones, isMC_only=False)
WEIGHTS = [*common_weights, varied, second, for_data]


@pytest.fixture
def jsons(tmp_path):
    path = tmp_path / "datasets.json"
    path.write_text(json.dumps(DATASETS))
    return [str(path)]


@pytest.fixture
def arguments(jsons):
    """Arguments of a configuration that is right."""
    return {
        "workflow": Workflow,
        "parameters": OmegaConf.create({"a": {"b": 1}, "c": "${a.b}", "later": "???"}),
        "datasets": {
            "jsons": jsons,
            "filter": {"samples": ["TTbar", "DY", "DATA_SingleMuon"], "year": ["2018"]},
        },
        "skim": [cut(0)],
        "preselections": [cut(1)],
        "categories": {"baseline": [cut(2)], "tight": [cut(3)]},
        "weights": {"common": {"inclusive": ["genWeight", "lumi", "XS"]}},
        "variations": {"weights": {"common": {"inclusive": []}}},
        "variables": {
            "mu_pt": HistConf([Axis(coll="Muon", field="pt", bins=10, start=0, stop=100, label="pt")])
        },
        "weights_classes": WEIGHTS,
        "calibrators": [Shift, Fixed],
    }


@pytest.fixture
def configure(arguments):
    """Return a function that makes the configuration with some arguments replaced."""

    def make(**changes):
        return Configurator(**{**arguments, **changes})

    return make
