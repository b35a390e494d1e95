"""The workflows that come with the package."""

from __future__ import annotations

import copy

import awkward as ak
import numpy as np
import pytest

from pocket_coffea.errors import DataFileNotFound, InvalidValue, MissingBranch, PhysicsNotAvailable
from pocket_coffea.lib.hist_manager import Axis, HistConf
from pocket_coffea.parameters import defaults
from pocket_coffea.workflows.genweights import genWeightsProcessor
from pocket_coffea.workflows.semileptonic_triggerSF import semileptonicTriggerProcessor
from pocket_coffea.workflows.sf_lepton_variations import leptonSFVariationsProcessor
from pocket_coffea.workflows.steps.fields import set_fields
from pocket_coffea.workflows.steps.leptons import merged_leptons
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

SELECTION = """
object_preselection:
  Muon: {pt: 15, eta: 2.4, iso: 0.25, id: tightId}
  Electron: {pt: 15, eta: 2.4, id: mvaFall17V2Iso_WP90}
  Jet: {dr_lepton: 0.4, pt: 30, eta: 2.4, jetId: 2, puId: {wp: L, value: 4, maxpt: 50}, btag: {wp: M}}
HLT_triggers:
  2018: {SingleMuon: [IsoMu24]}
"""
RUN3 = "object_preselection: {Electron: {id: mvaIso_WP90}, Jet: {puId: null}}"


@pytest.fixture
def selection(parameters):
    return defaults.merge_parameters_from_string(parameters, SELECTION)


def recorded(base):
    """Return a workflow that keeps the events after the preselection."""
    seen = []

    class Recorded(base):
        def process_extra_after_presel(self, variation):
            seen.append(self.events)

    return Recorded, seen


def test_tthbb_objects_and_counts(make_config, analysis, selection):
    workflow, seen = recorded(ttHbbBaseProcessor)
    config = make_config(workflow, datasets={"TT_2018": ("TT", "ttbar", 300, {})}, parameters=selection)
    (raw,) = analysis.chunks(config, 300)
    config.processor_instance.process(raw)
    (events,) = seen
    for name in ("MuonGood", "ElectronGood", "LeptonGood", "JetGood", "BJetGood"):
        assert ak.all(events[f"n{name}"] == ak.num(events[name])), name
        assert ak.sum(events[f"n{name}"]) > 0, name
    assert ak.all(events.nLeptonGood == events.nMuonGood + events.nElectronGood)
    assert ak.all(events.MuonGood.pt > 15)
    assert ak.all(events.MuonGood.pfRelIso04_all < 0.25)
    np.testing.assert_allclose(
        ak.to_numpy(ak.flatten(events.Electron.etaSC)),
        ak.to_numpy(ak.flatten(raw.Electron.eta + raw.Electron.deltaEtaSC)),
    )
    nearest = ak.min(events.JetGood.metric_table(events.LeptonGood), axis=-1)
    assert ak.all(ak.fill_none(ak.flatten(nearest), 9.0) > 0.4)
    assert ak.all(events.BJetGood.btagDeepFlavB > 0.2783)
    np.testing.assert_allclose(events.JetGood_Ht, ak.sum(events.JetGood.pt, axis=1), rtol=1e-5)
    assert ak.all(events.nJetGoodBFlavour == ak.sum(events.JetGood.hadronFlavour == 5, axis=1))
    assert ak.all(events.nJetGoodCFlavour == ak.sum(events.JetGood.hadronFlavour == 4, axis=1))


def test_tthbb_on_nano12(make_config, analysis, selection):
    workflow, seen = recorded(ttHbbBaseProcessor)
    config = make_config(
        workflow,
        datasets={"TT_2022": ("TT", "ttbar", 300, {"year": "2022_preEE"})},
        flavour="v12",
        parameters=defaults.merge_parameters_from_string(selection, RUN3),
        variables={"met": HistConf([Axis(coll="PuppiMET", field="pt", bins=2, start=0, stop=50, label="p")])},
    )
    (raw,) = analysis.chunks(config, 300)
    output = config.processor_instance.process(raw)
    (events,) = seen
    assert config.processor_instance.nano_version == 12
    assert ak.sum(events.nBJetGood) > 0
    assert ak.all(events.BJetGood.btagDeepFlavB > 0.3086)
    assert set(ak.flatten(events.JetGood.jetId_corrected)) <= {2, 6}
    met = output["variables"]["met"]["TT"]["TT_2022"][{"cat": "all"}]
    assert met.sum(flow=True).value == pytest.approx(np.sum(np.asarray(raw.genWeight, dtype=float)))


@pytest.mark.parametrize(
    ("met", "error", "message"),
    [
        ("MET", MissingBranch, "no collection 'MET'.*NanoAOD 15 has PuppiMET and PFMET instead"),
        ("PuppiMET", DataFileNotFound, r"Jet has no jetId in this NanoAOD version.*jetid\.json"),
    ],
)
def test_nano15_says_what_is_different(make_config, analysis, selection, monkeypatch, met, error, message):
    monkeypatch.delenv("POCKET_COFFEA_DATA", raising=False)
    monkeypatch.setattr("pocket_coffea.utils.data_files.CVMFS_METADATA", "/nowhere")
    config = make_config(
        analysis.SmallProcessor if met == "MET" else ttHbbBaseProcessor,
        datasets={"TT_2024": ("TT", "ttbar", 300, {"year": "2024"})},
        flavour="v15",
        parameters=defaults.merge_parameters_from_string(selection, RUN3),
        variables={"met": HistConf([Axis(coll=met, field="pt", bins=2, start=0, stop=50, label="p")])},
    )
    (raw,) = analysis.chunks(config, 300)
    with pytest.raises(error, match=message):
        config.processor_instance.process(raw)


def test_tthbb_on_data_has_no_flavours(make_config, analysis, selection):
    workflow, seen = recorded(ttHbbBaseProcessor)
    config = make_config(
        workflow, datasets={"D_2018": ("D", "data_singlemuon", 50, {})}, parameters=selection
    )
    (raw,) = analysis.chunks(config, 300)
    config.processor_instance.process(raw)
    assert "nJetGoodBFlavour" not in seen[0].fields


def test_leptons_are_merged_in_order_of_pt(make_config, analysis):
    config = make_config(datasets={"TT_2018": ("TT", "ttbar", 300, {})})
    (events,) = analysis.chunks(config, 300)
    events["MuonGood"], events["ElectronGood"] = events.Muon[events.Muon.pt > 10], events.Electron
    leptons = merged_leptons(events, events.MuonGood, events.ElectronGood)
    both = ak.concatenate([events.MuonGood.pt, events.ElectronGood.pt], axis=1)
    assert ak.array_equal(leptons.pt, ak.sort(both, ascending=False, axis=1), check_parameters=False)
    assert ak.all(ak.num(leptons) == ak.num(events.MuonGood) + ak.num(events.ElectronGood))
    charges = ak.sum(leptons.charge, axis=1)
    assert ak.all(
        charges == ak.sum(events.MuonGood.charge, axis=1) + ak.sum(events.ElectronGood.charge, axis=1)
    )
    pair = leptons[ak.num(leptons) == 2]
    mass = (pair[:, 0] + pair[:, 1]).mass
    assert len(mass) > 0
    assert ak.all(mass > 0)
    assert "tightId" not in leptons.fields
    assert {"pt", "eta", "phi", "mass", "charge", "pdgId"} <= set(leptons.fields)


def test_generator_weights_only(make_config, analysis):
    config = make_config(genWeightsProcessor, variables={"met": analysis.met_hist()})
    output = analysis.run(config, size=120)
    (events,) = analysis.chunks(config, 400)
    assert output["sum_genweights"]["DY_2018"] == pytest.approx(
        np.sum(np.asarray(events.genWeight, dtype=float))
    )
    assert output["cutflow"]["initial"] == {"DY_2018": 400}
    assert output["cutflow"]["presel"] == {}
    assert output["variables"] == {"met": {}}


def test_leading_leptons_for_trigger_efficiencies(make_config, analysis, selection):
    workflow, seen = recorded(semileptonicTriggerProcessor)
    config = make_config(workflow, datasets={"TT_2018": ("TT", "ttbar", 300, {})}, parameters=selection)
    (raw,) = analysis.chunks(config, 300)
    config.processor_instance.process(raw)
    (events,) = seen
    leading = events.ElectronGood_leading_pt
    assert ak.all(ak.is_none(leading) == (events.nElectronGood == 0))
    assert ak.all(ak.drop_none(leading) == ak.drop_none(ak.firsts(events.ElectronGood.pt)))
    assert len(ak.drop_none(events.ElectronGood_leading_etaSC)) == ak.sum(events.nElectronGood > 0)


def test_scale_factor_workflow_says_what_is_missing(make_config):
    with pytest.raises(PhysicsNotAvailable, match="scale factors"):
        make_config(leptonSFVariationsProcessor)


def test_trigger_lists_of_yaml_reach_the_cut(make_config, analysis, selection):
    from pocket_coffea.lib.cut_functions import get_HLTsel

    config = make_config(parameters=selection, skim=[get_HLTsel(primaryDatasets=["SingleMuon"])])
    (raw,) = analysis.chunks(config, 400)
    output = config.processor_instance.process(raw)
    assert output["cutflow"]["skim"]["DY_2018"] == int(ak.sum(raw.HLT.IsoMu24)) > 0


def test_fields_are_set_in_place_like_one_by_one(make_config, analysis):
    config = make_config()
    (events,) = analysis.chunks(config, 400)
    one, many = copy.copy(events), copy.copy(events)
    values = {"MET": events.PuppiMET, "n": np.arange(400), "jets": events.Jet[events.Jet.pt > 30]}
    for name, value in values.items():
        one[name] = value
    before = list(events.fields)
    set_fields(many, values)
    assert many.fields == one.fields
    assert list(events.fields) == before
    assert type(many) is type(events)
    assert many.metadata == events.metadata
    for name in values:
        assert ak.array_equal(many[name], one[name]), name
    masked = events[np.arange(400) % 2 == 0]
    set_fields(masked, {"half": np.arange(200)})
    assert masked.half[-1] == 199
    with pytest.raises(InvalidValue, match="'n' has 3 entries"):
        set_fields(many, {"n": np.arange(3)})


def test_shape_variations_of_jets_reuse_leptons(make_config, analysis, selection):
    from pocket_coffea.lib.calibrators.calibrator import Calibrator
    from pocket_coffea.lib.memo import MEMO_KEY

    class ShippedJetShift(Calibrator):
        name = "shipped_test_jet_shift"
        has_variations = True
        calibrated_collections = ("Jet.pt",)

        def initialize(self, events):
            self._variations = ["shiftUp", "shiftDown"]

        def calibrate(self, events, events_original_collections, variation, already_applied_calibrators=None):
            return {"Jet.pt": events.Jet.pt * {"shiftUp": 1.2, "shiftDown": 0.8}.get(variation, 1.0)}

    seen = []

    class Recorded(ttHbbBaseProcessor):
        def process_extra_before_presel(self, variation):
            entries = self.events.attrs[MEMO_KEY]
            seen.append(
                {key if isinstance(key, str) else key[0]: len(value) for key, value in entries.items()}
            )

    config = make_config(
        Recorded,
        datasets={"TT_2018": ("TT", "ttbar", 300, {})},
        parameters=selection,
        calibrators=[ShippedJetShift],
        variations={"shape": {"common": {"inclusive": [ShippedJetShift.name]}}},
    )
    (events,) = analysis.chunks(config, 300)
    config.processor_instance.process(events)
    assert len(seen) == 3
    assert seen[-1]["merged_leptons"] == 1
    assert seen[-1]["etaSC"] == 1
    assert max(seen[-1].values()) == 3  # the jets of each variation
