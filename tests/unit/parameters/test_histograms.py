"""The ready-made histograms: names, binnings, what a star import gives."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from pocket_coffea.lib.hist_manager import Axis, HistConf, get_hist_axis_from_config
from pocket_coffea.parameters import histograms

HELPERS = {
    "jet_hists": ("JetGood", "jet", ["eta", "pt", "phi"]),
    "fatjet_hists": ("FatJetGood", "fatjet", ["eta", "pt", "phi", "mass", "msoftdrop"]),
    "genjet_hists": ("MyGenJets", "genjet", ["eta", "pt", "phi", "hadronFlavour", "partonFlavour"]),
    "parton_hists": ("PartonMatched", "parton", ["eta", "pt", "phi", "dRMatchedJet", "pdgId"]),
    "ele_hists": ("ElectronGood", "electron", ["eta", "pt", "phi", "etaSC"]),
    "muon_hists": ("MuonGood", "muon", ["eta", "pt", "phi"]),
    "lepton_hists": ("LeptonGood", "lepton", ["eta", "pt", "phi", "pdgId"]),
    "met_hists": ("MET", "met", ["pt", "phi"]),
    "sv_hists": (
        "SV",
        "sv",
        ["summass", "logsummass", "sv1mass", "logsv1mass", "sumcorrmass", "logsumcorrmass"],
    ),
    "jet_taggers_hists": (
        "JetGood",
        "jet",
        ["btagDeepFlavB", "btagDeepFlavCvL", "btagDeepFlavCvB", "btagPNetB", "btagPNetCvL", "btagPNetCvB"],
    ),
    "fatjet_taggers_hists": (
        "FatJetGood",
        "fatjet",
        [
            "btagDDBvLV2",
            "btagDDCvLV2",
            "btagDDCvBV2",
            "particleNetMD_Xbb_QCD",
            "particleNetMD_Xcc_QCD",
            "deepTagMD_ZHbbvsQCD",
            "deepTagMD_ZHccvsQCD",
            "btagHbb",
        ],
    ),
}


def test_star_import_gives_what_configurations_use():
    names: dict[str, Any] = {}
    exec("from pocket_coffea.parameters.histograms import *", names)
    wanted = {
        "HistConf",
        "Axis",
        "default_axis_settings",
        "collection_fields",
        "taggers_fields",
        "count_hist",
    }
    wanted |= {"processing_metadata_hists", "deepcopy", "math", "List", *HELPERS}
    assert wanted <= set(names)
    assert names["math"] is math
    assert names["deepcopy"]([1]) == [1]


@pytest.mark.parametrize("name", HELPERS)
def test_helper_makes_one_histogram_per_field(name):
    coll, kind, fields = HELPERS[name]
    hists = getattr(histograms, name)()
    assert list(hists) == [f"{coll}_{field}" for field in fields]
    for field, conf in zip(fields, hists.values(), strict=True):
        (axis,) = conf.axes
        assert (axis.coll, axis.field, axis.pos) == (coll, field, None)
        assert axis.label == histograms.default_axis_settings[f"{kind}_{field}"]["label"]
        assert get_hist_axis_from_config(axis).size > 0


def test_names_with_position_and_prefix():
    hists = histograms.jet_hists(coll="BJetGood", pos=1, name="b", fields=["pt", "no_such_field"])
    assert list(hists) == ["b_pt_2"]
    axis = hists["b_pt_2"].axes[0]
    assert (axis.coll, axis.pos) == ("BJetGood", 1)
    assert axis.label == "$p_{T}^{j}$ [GeV] for Obj. #2"
    assert list(histograms.muon_hists(pos=0)) == ["MuonGood_eta_1", "MuonGood_pt_1", "MuonGood_phi_1"]


def test_axis_settings_override_and_do_not_leak():
    settings = {"jet_pt": {"bins": [0, 10, 100], "type": "variable", "label": "mine"}}
    axis = histograms.jet_hists(axis_settings=settings)["JetGood_pt"].axes[0]
    assert list(get_hist_axis_from_config(axis).edges) == [0, 10, 100]
    assert axis.label == "mine"
    settings["jet_pt"]["bins"].append(1000)
    assert axis.bins == [0, 10, 100]
    assert histograms.jet_hists()["JetGood_pt"].axes[0].bins == 50


def test_options_go_to_the_histogram():
    conf = histograms.jet_hists(exclude_categories=["a"], storage="double", only_variations=["x"])[
        "JetGood_pt"
    ]
    assert (conf.exclude_categories, conf.storage, conf.only_variations) == (["a"], "double", ["x"])
    with pytest.raises(TypeError, match="no_such"):
        histograms.jet_hists(no_such=1)


@pytest.mark.parametrize(
    ("key", "binning"),
    [
        ("muon_pt", (50, 0, 150)),
        ("electron_pt", (50, 0, 500)),
        ("lepton_pt", (60, 0, 300)),
        ("jet_pt", (50, 0, 300)),
        ("genjet_pt", (50, 0, 300)),
        ("fatjet_eta", (50, -2.5, 2.5)),
        ("parton_eta", (80, -4, 4)),
        ("met_phi", (64, -math.pi, math.pi)),
        ("parton_phi", (128, -math.pi, math.pi)),
        ("lepton_pdgId", (32, -16, 16)),
        ("parton_pdgId", (50, -25, 25)),
        ("genjet_hadronFlavour", (8, -1, 7)),
        ("genjet_partonFlavour", (33, -10, 23)),
        ("jet_btagRobustParTAK4B", (50, 0, 1)),
        ("jet_btagUParTAK4CvL", (50, 0, 1)),
        ("fatjet_tau21", (80, 0, 1)),
        ("fatjet_rho", (100, -8, 0)),
        ("fatjet_msoftdrop", (100, 0, 1000)),
        ("sv_projmass", (200, 0, 1000)),
        ("sv_logprojmass", (120, -6, 6)),
        ("parton_pt", (150, 0, 1500)),
        ("parton_dRMatchedJet", (200, 0, 5)),
        ("met_pt", (28, 20, 300)),
        ("mll", (300, 0, 1500)),
    ],
)
def test_default_binning(key, binning):
    setting = histograms.default_axis_settings[key]
    assert (setting["bins"], setting["start"], setting["stop"]) == binning


def test_supercluster_eta_has_the_edges_of_the_detector():
    edges = histograms.default_axis_settings["electron_etaSC"]["bins"]
    half = [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4442, 1.566, 1.7, 1.9, 2.1, 2.3, 2.5]
    assert edges == [-x for x in reversed(half)] + [0.0] + half


def test_count_hist():
    hists = histograms.count_hist("JetGood", label="ignored", no_weights=True)
    assert list(hists) == ["nJetGood"]
    conf = hists["nJetGood"]
    (axis,) = conf.axes
    assert axis == Axis(coll="events", field="nJetGood", label="$N_{JetGood}$", bins=10, start=0, stop=9)
    assert conf.no_weights
    assert list(histograms.count_hist("JetGood", name="other", bins=3)) == ["other"]


def test_processing_metadata_hists():
    hists = histograms.processing_metadata_hists(["a"], 100_000)
    stages = ["initial", "skim", "presel"]
    assert sorted(hists) == sorted(f"{q}_per_chunk_{s}" for q in ("events", "throughput") for s in stages)
    events, speed = hists["events_per_chunk_skim"], hists["throughput_per_chunk_presel"]
    assert (events.axes[0].name, events.axes[0].bins, events.axes[0].stop) == ("nevents", 200, 100_000)
    assert (speed.axes[0].name, speed.axes[0].bins, speed.axes[0].stop) == ("throughput", 200, 50000)
    for conf in hists.values():
        assert conf.storage == "int64"
        assert (conf.autofill, conf.metadata_hist, conf.no_weights, conf.variations) == (
            False,
            True,
            True,
            False,
        )
        assert conf.only_categories == ["a"]
    assert histograms.processing_metadata_hists([], 1000)["events_per_chunk_initial"].axes[0].bins == 30


def test_helpers_can_be_pickled():
    assert pickle.loads(pickle.dumps(histograms.jet_hists)) is histograms.jet_hists
    conf = pickle.loads(pickle.dumps(histograms.jet_hists()["JetGood_pt"]))
    assert isinstance(conf, HistConf)
