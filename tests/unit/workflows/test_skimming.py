"""Skim export in both modes, and the skim as input of a second run."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from pocket_coffea.errors import MissingBranch
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.utils.skim import save_skimed_dataset_definition


class SkimJetShift(Calibrator):
    """Jet pt up by 50 %, down by 30 %."""

    name = "skimming_test_jet_shift"
    has_variations = True
    isMC_only = True
    calibrated_collections = ("Jet.pt",)

    def initialize(self, events):
        self._variations = ["shiftUp", "shiftDown"]

    def calibrate(self, events, events_original_collections, variation, already_applied_calibrators=None):
        return {"Jet.pt": events.Jet.pt * {"shiftUp": 1.5, "shiftDown": 0.7}.get(variation, 1.0)}


def branches(files, name):
    return np.concatenate([uproot.open(file)["Events"][name].array(library="np") for file in files])


def skim_config(make_config, analysis, folder, **options):
    return make_config(
        datasets={"DY_2018": ("DY", "dy", 400, {})},
        skim=[analysis.met_above(15)],
        save_skimmed_files=str(folder),
        **options,
    )


def test_files_restore_the_sum_of_generator_weights(make_config, analysis, tmp_path):
    config = skim_config(make_config, analysis, tmp_path / "out")
    output = analysis.run(config)
    files = output["skimmed_files"]["DY_2018"]
    (events,) = analysis.chunks(config, 400)
    expected = np.asarray(events.MET.pt) > 15
    assert len(files) == 3
    assert all(Path(file).parent == tmp_path / "out" / "DY_2018" for file in files)
    stem = Path(config.filesets["DY_2018"]["files"][0]).stem
    assert Path(files[0]).name == f"DY_2018__uuid-{stem}__0__150.root"
    assert sum(output["nskimmed_events"]["DY_2018"]) == expected.sum() == output["cutflow"]["skim"]["DY_2018"]
    weights, rescale = branches(files, "genWeight"), branches(files, "skimRescaleGenWeight")
    assert np.sum(weights * rescale) == pytest.approx(output["sum_genweights"]["DY_2018"])
    assert output["sum_genweights"]["DY_2018"] == pytest.approx(
        np.sum(np.asarray(events.genWeight, dtype=float))
    )
    assert output["sum_genweights_skimmed"]["DY_2018"] == pytest.approx(weights.sum(dtype=float))
    np.testing.assert_array_equal(branches(files, "event"), np.asarray(events.event)[expected])
    assert output["cutflow"]["presel"] == {}


def test_skim_has_only_the_branches_of_the_file_and_their_values(make_config, analysis, tmp_path):
    class Adding(analysis.SmallProcessor):
        def process_extra_before_skim(self):
            self.events["JetExtra"] = self.events.Jet
            self.events["Jet"] = self.events.Jet[self.events.Jet.pt > 50]

    config = skim_config(make_config, analysis, tmp_path / "out", workflow=Adding)
    (file,) = analysis.run(config, size=400)["skimmed_files"]["DY_2018"]
    original = uproot.open(config.filesets["DY_2018"]["files"][0])["Events"]
    skimmed = uproot.open(file)["Events"]
    counters = {name for name in set(original.keys()) if name[0] == "n" and name not in skimmed}
    added = {"skimRescaleGenWeight", "skimRescaleSignOfGenWeight"}
    assert set(skimmed.keys()) - added == set(original.keys()) - counters
    assert {"nJet", "nMuon"} <= set(skimmed.keys())
    keep = original["MET_pt"].array(entry_stop=400) > 15
    for name in ("Jet_pt", "Muon_charge", "HLT_IsoMu24", "run", "LHEScaleWeight"):
        assert ak.array_equal(skimmed[name].array(), original[name].array(entry_stop=400)[keep]), name


def test_run_on_the_skim_reproduces_the_analysis(make_config, analysis, tmp_path):
    direct = analysis.run(make_config(skim=[analysis.met_above(15)]))
    output = analysis.run(skim_config(make_config, analysis, tmp_path / "out"), size=250)
    definition = tmp_path / "skimmed_dataset_definition.json"
    save_skimed_dataset_definition(output, definition)
    entry = json.loads(definition.read_text())["DY_2018"]
    assert entry["metadata"]["isSkim"] == "True"
    assert entry["metadata"]["nevents"] == str(sum(output["nskimmed_events"]["DY_2018"]))
    assert float(entry["metadata"]["skim_efficiency"]) == pytest.approx(
        int(entry["metadata"]["nevents"]) / 400
    )
    config = make_config(datasets={}, load=False)
    config.set_filesets_manually(json.loads(definition.read_text()))
    config.load()
    raw = analysis.run(config, size=37, postprocess=False)
    assert raw["sum_genweights"]["DY_2018"] == pytest.approx(direct["sum_genweights"]["DY_2018"])
    assert raw["sum_signOf_genweights"]["DY_2018"] == pytest.approx(
        direct["sum_signOf_genweights"]["DY_2018"]
    )
    again = config.processor_instance.postprocess(raw)
    for category in ("all", "2j"):
        assert again["cutflow"][category] == direct["cutflow"][category]
        found, expected = (out["sumw"][category]["DY_2018"]["DY"]["nominal"] for out in (again, direct))
        assert found == pytest.approx(expected)


def test_totals_of_the_metadata_replace_the_sums(make_config, analysis, tmp_path):
    output = analysis.run(skim_config(make_config, analysis, tmp_path / "out"), size=250)
    definition = tmp_path / "skim.json"
    save_skimed_dataset_definition(output, definition)
    filesets = json.loads(definition.read_text())
    filesets["DY_2018"]["files"].pop()
    config = make_config(load=False)
    config.set_filesets_manually(filesets)
    config.load()
    again = analysis.run(config)
    assert again["sum_genweights"]["DY_2018"] == filesets["DY_2018"]["metadata"]["sum_genweights"]


def test_chunk_without_survivors_writes_nothing_but_counts(make_config, analysis, tmp_path):
    config = make_config(skim=[analysis.met_above(1e9)], save_skimmed_files=str(tmp_path / "out"))
    output = analysis.run(config)
    assert output["skimmed_files"] == {"DY_2018": []}
    assert sum(output["nskimmed_events"]["DY_2018"]) == 0
    assert output["sum_genweights"]["DY_2018"] != 0
    assert not (tmp_path / "out").exists()


def test_any_variation_mode_writes_uncalibrated_events(make_config, analysis, tmp_path):
    config = make_config(
        skim=[analysis.met_above(5)],
        preselections=[analysis.at_least(3)],
        calibrators=[SkimJetShift],
        variations={"shape": {"common": {"inclusive": [SkimJetShift.name]}}},
        save_skimmed_files=str(tmp_path / "out"),
        workflow_options={"skim_mode": "presel_any_variation"},
    )
    output = analysis.run(config)
    (events,) = analysis.chunks(config, 400)
    passed = np.zeros(400, dtype=bool)
    for factor in (1.0, 1.5, 0.7):
        passed |= np.asarray(ak.sum(events.Jet.pt * np.float32(factor) > 30, axis=1) >= 3)
    passed &= np.asarray(events.MET.pt) > 5
    files = output["skimmed_files"]["DY_2018"]
    assert 0 < passed.sum() < 400
    np.testing.assert_array_equal(branches(files, "event"), np.asarray(events.event)[passed])
    assert output["cutflow"]["skim"]["DY_2018"] == passed.sum()
    pt = ak.concatenate([uproot.open(file)["Events"]["Jet_pt"].array() for file in files])
    assert ak.array_equal(pt, events.Jet.pt[passed], check_parameters=False)
    assert "JetGood" not in " ".join(uproot.open(files[0])["Events"].keys())


def test_unknown_mode_warns_and_analyses(make_config, analysis, tmp_path, caplog):
    config = make_config(
        save_skimmed_files=str(tmp_path / "out"), workflow_options={"skim_mode": "presel_some"}
    )
    output = analysis.run(config)
    assert "presel_some" in caplog.text
    assert "skimmed_files" not in output
    assert output["cutflow"]["all"]["DY_2018"]["DY"]["nominal"] == 400


def test_mode_without_folder_warns_and_analyses(make_config, analysis, caplog):
    output = analysis.run(make_config(workflow_options={"skim_mode": "skim"}))
    assert "save_skimmed_files" in caplog.text
    assert output["cutflow"]["all"]["DY_2018"]["DY"]["nominal"] == 400


def test_data_get_no_rescale_branch(make_config, analysis, tmp_path):
    config = make_config(
        datasets={"D_2018": ("D", "data_singlemuon", 50, {})}, save_skimmed_files=str(tmp_path / "out")
    )
    output = analysis.run(config)
    assert "sum_genweights_skimmed" not in output
    tree = uproot.open(output["skimmed_files"]["D_2018"][0])["Events"]
    assert "skimRescaleGenWeight" not in set(tree.keys())
    assert tree.num_entries == 50


def test_files_that_are_no_skim_are_not_taken_for_one(make_config, analysis):
    config = make_config(datasets={"DY_2018": ("DY", "dy", 400, {"isSkim": "True"})})
    with pytest.raises(MissingBranch, match=r"say isSkim needs events\.skimRescaleGenWeight"):
        analysis.run(config)
