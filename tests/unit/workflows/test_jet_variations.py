"""Older names of jet uncertainties, from the configuration to the histograms, with jets of the user's own."""

import json

import awkward as ak
import cloudpickle

from pocket_coffea.lib.calibrators.common import JetsCalibrator
from pocket_coffea.lib.columns_manager import ColOut
from pocket_coffea.parameters.cuts import passthrough


class OwnJets(JetsCalibrator):
    """Jets of the test: three sources, 10% each."""

    name = "jet_calibration"
    available = True
    calibrated_collections = ("Jet",)

    def initialize(self, events):
        sources = ("JES_Total", "JES_FlavorQCD", "JER")
        self._variations = [f"AK4PFchs_{source}{way}" for source in sources for way in ("Up", "Down")]

    def calibrate(self, events, events_original_collections, variation, already_applied_calibrators=None):
        factor = 1.0 if variation == "nominal" else 1.1 if variation.endswith("Up") else 0.9
        return {"Jet": ak.with_field(events.Jet, events.Jet.pt * factor, "pt")}


TOTAL = ["AK4PFchs_JES_TotalDown", "AK4PFchs_JES_TotalUp"]
JER = ["AK4PFchs_JERDown", "AK4PFchs_JERUp"]
FLAVOUR = ["AK4PFchs_JES_FlavorQCDDown", "AK4PFchs_JES_FlavorQCDUp"]


def test_older_names_of_jet_uncertainties(make_config, analysis, tmp_path, caplog):
    only = {"source": ["JES_Total"], "up": ["JES_Total_AK4PFchsUp"], "all": ["jet_calibration"], "exact": JER}
    config = make_config(
        analysis.SmallProcessor,
        subsamples={"DY": {"a": [passthrough], "b": [analysis.at_least(1)]}},
        calibrators=[OwnJets],
        variations={
            "shape": {
                "common": {"inclusive": ["JES_Total_AK4PFchs"], "bycategory": {"2j": ["JER"]}},
                "bysample": {"DY__b": {"inclusive": ["JES_FlavorQCD"]}},
            }
        },
        variables={
            "met": analysis.met_hist(),
            **{name: analysis.met_hist(only_variations=names) for name, names in only.items()},
        },
        columns={"common": {"bycategory": {"2j": [ColOut("events", ["nJetGood"])]}}},
    )
    assert "nothing varies" not in caplog.text
    config.save_config(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())["variations"]["DY"]
    assert written["shape"] == {"all": ["JES_Total_AK4PFchs"], "2j": ["JES_Total_AK4PFchs", "JER"]}

    processor = cloudpickle.loads(cloudpickle.dumps(config.processor_instance))
    output = processor.process(next(analysis.chunks(config, 400)))

    def bins(name, subsample):
        return list(output["variables"][name][f"DY__{subsample}"]["DY_2018"].axes["variation"])

    assert bins("met", "a") == [*JER, *TOTAL, "nominal"]
    assert bins("met", "b") == [*JER, *FLAVOUR, *TOTAL, "nominal"]
    assert bins("source", "b") == [*TOTAL, "nominal"]
    assert bins("up", "b") == [TOTAL[1], "nominal"]
    assert bins("all", "b") == bins("met", "b")
    assert bins("exact", "b") == [*JER, "nominal"]
    met = output["variables"]["met"]["DY__b"]["DY_2018"]
    jets = output["cutflow"]["2j"]["DY_2018"]["DY__b"]
    assert set(jets) == {"nominal", *TOTAL, *FLAVOUR, *JER}
    assert jets[JER[0]] < jets["nominal"] < jets[JER[1]]
    assert met[{"cat": "all", "variation": JER[0]}].sum(flow=True).value == 0  # asked for in "2j" only
    assert met[{"cat": "2j", "variation": JER[0]}].sum(flow=True).value != 0
    columns = output["columns"]["DY__b"]["DY_2018"]["2j"]
    assert len(columns[TOTAL[1]]["weight"].value) == jets[TOTAL[1]]
