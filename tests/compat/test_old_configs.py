"""Complete analyses in the style users have today run as they stand and give the results on record."""

from __future__ import annotations

import json
import math
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from tests.compat.summary import differences, summarise

GOLDENS = Path(__file__).parent / "goldens"
CONFIGS = ("zmumu", "cartesian", "subsamples", "collection_cuts", "data_columns", "shapes")


def assert_like_golden(output, name, renew):
    path = GOLDENS / f"{name}.json"
    summary = summarise(output)
    if renew:
        path.write_text(json.dumps(summary, indent=0) + "\n")
    assert differences(summary, json.loads(path.read_text())) == []


@pytest.mark.parametrize("name", CONFIGS)
def test_golden(analysis, name, request):
    output = analysis(name).run("output", "--executor", "iterative", "--chunksize", "500")
    assert_like_golden(output, name, request.config.getoption("--renew-goldens"))


def test_zmumu_makes_sense(analysis):
    output = analysis("zmumu").run()
    mll = output["variables"]["mll"]
    data = mll["DATA_SingleMuon"]["DATA_SingleMuon_2018_EraA"]
    assert [axis.name for axis in data.axes] == ["cat", "ll.mass"]
    z_boson = mll["DYJetsToLL"]["DYJetsToLL_2018"]
    assert [axis.name for axis in z_boson.axes] == ["cat", "variation", "ll.mass"]
    peak = z_boson[{"cat": "baseline", "variation": "nominal"}].values()
    assert 85 < 60 + int(np.argmax(peak)) < 97
    for sample, dataset in (("DYJetsToLL", "DYJetsToLL_2018"), ("TTToAnything", "TTToAnything_2018")):
        total = mll[sample][dataset][{"cat": "baseline", "variation": "nominal"}].sum(flow=True).value
        assert total == pytest.approx(output["sumw"]["baseline"][dataset][sample]["nominal"], rel=1e-9)
    assert set(output["variables"]["mll_nogen"]) == {"DYJetsToLL", "TTToAnything"}
    certified = output["cutflow"]["skim"]["DATA_SingleMuon_2018_EraA"]
    assert 0.7 * 800 < certified < 0.9 * 800  # 80 % of the luminosity blocks are certified
    assert output["cutflow"]["presel"]["DYJetsToLL_2018"] == {
        "nominal": output["cutflow"]["baseline"]["DYJetsToLL_2018"]["DYJetsToLL"]["nominal"]
    }


def test_zmumu_yield_is_lumi_times_cross_section_times_efficiency(analysis):
    output = analysis("zmumu").run()
    sumw = output["sumw"]["baseline"]["DYJetsToLL_2018"]["DYJetsToLL"]["nominal"]
    assert 0.05 < sumw / (59832.47534 * 6077.22) < 0.3


def test_cartesian_categories(analysis):
    output = analysis("cartesian").run()
    h = output["variables"]["JetGood_pt_1"]["TTToAnything"]["TTToAnything_2018"]
    names = ["inclusive", "4jets_40pt"] + [f"{j}_{b}" for j in ("1j", "2j", "3j") for b in ("0b", "1b", "2b")]
    assert sorted(h.axes["cat"]) == sorted(names)
    assert list(h.axes["variation"]) == ["nominal", "sf_partonshower_isrDown", "sf_partonshower_isrUp"]
    counts = {name: output["cutflow"][name]["TTToAnything_2018"]["TTToAnything"]["nominal"] for name in names}
    split = sum(counts[f"2j_{b}"] for b in ("0b", "1b", "2b"))
    assert 0 < split < counts["inclusive"]
    varied = h[{"variation": "sf_partonshower_isrUp"}]
    nominal = h[{"variation": "nominal"}]
    assert varied[{"cat": "2j_1b"}].sum().value != nominal[{"cat": "2j_1b"}].sum().value
    assert varied[{"cat": "2j_0b"}].sum().value == nominal[{"cat": "2j_0b"}].sum().value
    assert "4jets_40pt" not in output["variables"]["ht"]["TTToAnything"]["TTToAnything_2018"].axes["cat"]


def test_subsample_weights(analysis):
    output = analysis("subsamples").run()
    sumw = {
        category: output["sumw"][category]["TTToAnything_2018"]
        for category in ("baseline", "1btag", "1btag_B")
    }

    def ratio(category):
        return (
            sumw[category]["TTToAnything__same_b"]["nominal"]
            / sumw[category]["TTToAnything__same_a"]["nominal"]
        )

    assert ratio("baseline") == pytest.approx(2)
    assert ratio("1btag") == pytest.approx(2)
    assert ratio("1btag_B") == pytest.approx(6)
    histograms = output["variables"]["nJetGood"]
    assert set(histograms) == {
        "TTToAnything__same_a",
        "TTToAnything__same_b",
        "TTToAnything__mu",
        "DYJetsToLL",
    }
    same_b = histograms["TTToAnything__same_b"]["TTToAnything_2018"]
    assert "threeUp" in same_b.axes["variation"]
    assert "threeUp" not in histograms["TTToAnything__same_a"]["TTToAnything_2018"].axes["variation"]

    def content(category, variation):
        return same_b[{"cat": category, "variation": variation}].sum(flow=True).value

    assert content("1btag_B", "threeUp") / content("1btag_B", "nominal") == pytest.approx(2)
    assert content("1btag_B", "threeDown") / content("1btag_B", "nominal") == pytest.approx(0.5)
    assert content("1btag", "threeUp") == content("1btag", "nominal")
    assert content("baseline", "my_multi_systUp") / content("baseline", "nominal") == pytest.approx(4)
    met = output["variables"]["met_up"]["DYJetsToLL"]["DYJetsToLL_2018"]
    assert list(met.axes["variation"]) == ["my_multi_statUp", "nominal"]


def test_collection_cuts_select_objects(analysis):
    output = analysis("collection_cuts").run()
    h = output["variables"]["JetGood_eta"]["TTToAnything"]["TTToAnything_2018"][{"variation": "nominal"}]
    everything, central, hard = (h[{"cat": c}] for c in ("all_jets", "central_jets", "central_and_hard"))
    inside = np.abs(h.axes[-1].centers) < 1.2
    assert central.values()[~inside].sum() == 0
    assert np.allclose(central.values()[inside], everything.values()[inside])
    assert 0 < hard.values().sum() < central.values().sum()
    met = output["variables"]["met"]["TTToAnything"]["TTToAnything_2018"][{"variation": "nominal"}]
    total = met[{"cat": "central_jets"}].sum(flow=True).value
    assert total == pytest.approx(
        output["sumw"]["central_jets"]["TTToAnything_2018"]["TTToAnything"]["nominal"]
    )


def test_data_weights_and_columns(analysis):
    output = analysis("data_columns").run()
    dataset, sample = "DATA_SingleMuon_2018_EraA", "DATA_SingleMuon"
    h = output["variables"]["JetGood_pt_1"][sample][dataset]
    count = output["cutflow"]["1btag"][dataset][sample]["nominal"]
    assert h[{"cat": "1btag"}].sum(flow=True).value == pytest.approx(0.25 * count)
    columns = output["columns"][sample][dataset]["1btag"]["nominal"]
    assert np.all(columns["weight"].value == 0.25)
    assert len(columns["events_run"].value) == count
    jets = output["columns"]["TTToAnything__mu"]["TTToAnything_2018"]["4jets"]["nominal"]
    assert np.all(jets["JetGood_N"].value >= 4)
    assert len(jets["JetGood_pt"].value) == jets["JetGood_N"].value.sum()
    assert "MuonGood_pt" in jets
    assert (
        "MuonGood_pt" not in output["columns"]["TTToAnything__all"]["TTToAnything_2018"]["4jets"]["nominal"]
    )


def test_columns_as_parquet(analysis):
    run = analysis("data_columns")
    output = run.run("output", "--chunksize", "500", env={"COLUMNS_DIR": str(run.folder / "columns")})
    assert output["columns"] == {}
    files = sorted(
        (run.folder / "columns" / "TTToAnything_2018" / "mu" / "4jets" / "nominal").glob("*.parquet")
    )
    assert len(files) == 2  # coffea rounds 1200 / 500 to two chunks
    rows = [ak.from_parquet(file) for file in files]
    assert all({"JetGood_pt", "JetGood_eta", "MuonGood_pt", "weight"} <= set(row.fields) for row in rows)
    expected = output["cutflow"]["4jets"]["TTToAnything_2018"]["TTToAnything__mu"]["nominal"]
    assert sum(len(row) for row in rows) == expected


@pytest.mark.parametrize("mode", ["skim", "presel_any_variation"])
def test_skim_then_run_on_the_skim(analysis, mode):
    run = analysis("skim")
    direct = run.run("direct", "--chunksize", "500")
    folder = run.folder / "skims"
    skimmed = run.run("skimming", "--chunksize", "500", env={"SKIM_FOLDER": str(folder), "SKIM_MODE": mode})
    for dataset, files in skimmed["skimmed_files"].items():
        trees = [uproot.open(file)["Events"] for file in files]
        assert sum(tree.num_entries for tree in trees) == skimmed["cutflow"]["skim"][dataset]
        assert all("JetGood_pt" not in tree for tree in trees)
        if dataset in direct["sum_genweights"]:
            total = sum(
                float(np.sum(t["genWeight"].array() * t["skimRescaleGenWeight"].array())) for t in trees
            )
            assert total == pytest.approx(direct["sum_genweights"][dataset], rel=1e-6)
    definition = run.folder / "skimming" / "skimmed_dataset_definition.json"
    metadata = json.loads(definition.read_text())["TTToAnything_2018"]["metadata"]
    assert metadata["isSkim"] == "True"
    again = run.run("again", "--chunksize", "333", env={"SKIM_JSON": str(definition)})
    for dataset, total in direct["sum_genweights"].items():
        assert again["sum_genweights"][dataset] == pytest.approx(total, rel=1e-6)
    assert again["cutflow"]["4jets"] == direct["cutflow"]["4jets"]
    for name, samples in direct["variables"].items():
        for sample, datasets in samples.items():
            for dataset, h in datasets.items():
                assert np.allclose(again["variables"][name][sample][dataset].values(), h.values(), rtol=1e-5)


def test_shape_variations(analysis):
    output = analysis("shapes").run()
    h = output["variables"]["JetGood_pt"]["TTToAnything"]["TTToAnything_2018"]
    shapes = [f"jet_shift_{kind}{d}" for kind in ("eta", "flat") for d in ("Down", "Up")]
    assert list(h.axes["variation"]) == [
        *shapes,
        "nominal",
        "sf_partonshower_fsrDown",
        "sf_partonshower_fsrUp",
    ]
    mean = {}
    for variation in h.axes["variation"]:
        values = h[{"cat": "baseline", "variation": variation}].values()
        mean[variation] = float(values @ h.axes[-1].centers / values.sum())
    assert mean["jet_shift_flatDown"] < mean["nominal"] < mean["jet_shift_flatUp"]
    counts = output["cutflow"]["4jets"]["TTToAnything_2018"]["TTToAnything"]
    assert counts["jet_shift_flatDown"] < counts["nominal"] <= counts["jet_shift_flatUp"]
    assert set(output["cutflow"]["4jets"]["DATA_SingleMuon_2018_EraA"]["DATA_SingleMuon"]) == {"nominal"}
    njets = output["variables"]["njets"]["TTToAnything"]["TTToAnything_2018"]
    assert list(njets.axes["variation"]) == ["jet_shift_flatDown", "jet_shift_flatUp", "nominal"]
    plain = output["variables"]["plain"]["TTToAnything"]["TTToAnything_2018"]
    assert list(plain.axes["variation"]) == ["nominal"]
    assert math.isfinite(plain.sum().value)


def test_executors_agree_bit_for_bit(analysis):
    run = analysis("shapes")
    outputs = {
        name: run.run(name, "--executor", name, "--chunksize", "200", "--scaleout", "2")
        for name in ("iterative", "futures", "dask")
    }
    reference = outputs["iterative"]
    for name in ("futures", "dask"):
        for variable, samples in reference["variables"].items():
            for sample, datasets in samples.items():
                for dataset, h in datasets.items():
                    other = outputs[name]["variables"][variable][sample][dataset]
                    assert h.view(flow=True).tobytes() == other.view(flow=True).tobytes()
        for part in ("cutflow", "sumw", "sumw2", "sum_genweights"):
            assert outputs[name][part] == reference[part]
