"""The generated files look like NanoAOD and hold the physics that they promise."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.lumi_tools import LumiMask
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from pocket_coffea.errors import InvalidValue
from pocket_coffea.utils.make_sample import make_sample, write_golden_json

pytestmark = pytest.mark.filterwarnings("ignore:Missing cross-reference:RuntimeWarning")


def _events(path):
    return NanoEventsFactory.from_root(
        {str(path): "Events"}, schemaclass=NanoAODSchema, mode="virtual"
    ).events()


@pytest.mark.parametrize("flavour", ["v9", "v12", "v15"])
@pytest.mark.parametrize("kind", ["dy", "data_singlemuon"])
def test_trees_and_clusters(sample_file, flavour, kind):
    info = sample_file(flavour, kind)
    with uproot.open(info.path) as file:
        assert {key.split(";")[0] for key in list(file)} == {"Events", "Runs", "LuminosityBlocks"}
        events = file["Events"]
        assert events.num_entries == info.n_events
        assert len(events.common_entry_offsets()) == 5  # four clusters
        assert ("genWeight" in events) == info.is_mc == ("GenPart_pt" in events)


@pytest.mark.parametrize(
    ("flavour", "present", "absent"),
    [
        (
            "v9",
            ["Jet_btagDeepFlavB", "Jet_puId", "Electron_mvaFall17V2Iso_WP80", "fixedGridRhoFastjetAll"],
            ["Jet_btagPNetB"],
        ),
        (
            "v12",
            ["Jet_btagPNetB", "Jet_jetId", "Rho_fixedGridRhoFastjetAll", "Electron_mvaIso_WP80"],
            ["Jet_puId"],
        ),
        (
            "v15",
            ["Jet_btagUParTAK4B", "Jet_chMultiplicity", "PFMET_pt", "Muon_promptMVA"],
            ["Jet_jetId", "MET_pt"],
        ),
    ],
)
def test_flavours_have_their_branches(sample_file, flavour, present, absent):
    names = set(uproot.open(sample_file(flavour, "ttbar").path)["Events"].keys())
    assert names >= {*present, "Muon_pt", "nJet", "HLT_IsoMu24", "Flag_goodVertices", "run", "event"}
    assert not names & set(absent)


def test_types_follow_the_flavour(sample_file):
    v9 = uproot.open(sample_file("v9", "ttbar").path)["Events"].typenames()
    v12 = uproot.open(sample_file("v12", "ttbar").path)["Events"].typenames()
    assert v9["Electron_genPartIdx"] == "int32_t[]"
    assert v12["Electron_genPartIdx"] == "int16_t[]"
    assert v9["event"] == "uint64_t"
    assert v9["Jet_pt"] == "float[]"
    assert v12["HLT_IsoMu24"] == "bool"


def test_there_is_a_z_peak(sample_file):
    events = _events(sample_file("v9", "dy", n_events=4000).path)
    muons = events.Muon[events.Muon.tightId & (events.Muon.pt > 15)]
    muons = muons[ak.num(muons) == 2]
    mass = (muons[:, 0] + muons[:, 1]).mass
    assert len(mass) > 300
    assert abs(np.median(ak.to_numpy(mass)) - 91.0) < 1.0
    assert ak.mean((mass > 80) & (mass < 100)) > 0.8


def test_top_pairs_have_b_jets_neutrinos_and_decay_chains(sample_file):
    top, z_boson = (_events(sample_file("v9", kind, n_events=4000).path) for kind in ("ttbar", "dy"))
    assert ak.mean(ak.num(top.Jet[(top.Jet.pt > 30) & (top.Jet.btagDeepFlavB > 0.2783)])) > 1.0
    assert ak.mean(ak.num(z_boson.Jet[(z_boson.Jet.pt > 30) & (z_boson.Jet.btagDeepFlavB > 0.2783)])) < 0.15
    assert ak.mean(top.MET.pt) > ak.mean(z_boson.MET.pt) + 15
    b_quarks = top.GenPart[abs(top.GenPart.pdgId) == 5]
    assert ak.all(abs(b_quarks.parent.pdgId) == 6)
    assert ak.mean(top.GenJet[:, :1].pt) > 40


def test_generator_weights_have_both_signs_and_add_up(sample_file):
    info = sample_file("v9", "dy", n_events=4000)
    with uproot.open(info.path) as file:
        weights = file["Events"]["genWeight"].array(library="np")
        stored = file["Runs"]["genEventSumw"].array(library="np").sum()
    assert (weights < 0).any()
    assert (weights > 0).any()
    assert float(weights.astype(float).sum()) == pytest.approx(info.sum_genweights, rel=1e-6)
    assert stored == pytest.approx(info.sum_genweights)


def test_data_are_triggered_and_certified_in_part(sample_file, tmp_path):
    info = sample_file("v9", "data_singlemuon", n_events=2000)
    events = _events(info.path)
    assert ak.all(events.HLT.IsoMu24)
    assert info.lumi_pb > 0
    certificate = tmp_path / "golden.json"
    certified = write_golden_json(certificate, [info], certified=0.5)
    assert certified == pytest.approx(info.lumi_pb / 2)
    good = LumiMask(str(certificate))(events.run, events.luminosityBlock)
    assert 0.4 < np.mean(good) < 0.6
    assert set(json.loads(certificate.read_text())) == {str(run) for run in info.lumi_blocks}


def test_the_seed_decides(tmp_path):
    def content(name: str, seed: int) -> list:
        make_sample(tmp_path / name, n_events=50, n_branches=320, seed=seed)
        tree = uproot.open(tmp_path / name)["Events"]
        return [tree["Muon_pt"].array().to_list(), tree["Jet_eta"].array().to_list()]

    assert content("a.root", 5) == content("b.root", 5)
    assert content("a.root", 5) != content("c.root", 6)


def test_number_of_branches_can_be_chosen(tmp_path):
    counts = []
    for asked in (330, 650):
        make_sample(tmp_path / "s.root", n_events=8, n_branches=asked)
        counts.append(len(uproot.open(tmp_path / "s.root")["Events"].keys()))
    assert counts[0] == pytest.approx(330, abs=20)
    assert counts[1] == pytest.approx(650, abs=10)


def test_wrong_arguments_are_named_and_leave_nothing(tmp_path):
    with pytest.raises(InvalidValue, match=r"flavour 'v8'.*Allowed: v12, v15, v9"):
        make_sample(tmp_path / "s.root", "v8")
    with pytest.raises(InvalidValue, match=r"kind 'ttbarr'. Did you mean 'ttbar'"):
        make_sample(tmp_path / "s.root", "v9", "ttbarr")
    assert list(Path(tmp_path).iterdir()) == []
