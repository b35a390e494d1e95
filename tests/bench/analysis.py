"""The benchmark's analysis as a PocketCoffea configuration: 25 histograms in 11 categories.

``configuration(...)`` gives the plain one, or the one with 10 two-sided weights and 6 shape variations.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.cut_functions import eventFlags, get_HLTsel, get_nBtagMin, get_nObj_min, get_nPVgood
from pocket_coffea.lib.hist_manager import Axis, HistConf
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.lib.weights.weights import WeightLambda
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

PARAMETERS = """
object_preselection:
  Muon: {pt: 20, eta: 2.4, iso: 0.15, id: tightId}
  Electron: {pt: 20, eta: 2.4, id: mvaFall17V2Iso_WP90}
  Jet:
    dr_lepton: 0.4
    pt: 30
    eta: 2.4
    jetId: 2
    puId: {wp: L, value: 4, maxpt: 50}
    btag: {wp: M}
HLT_triggers:
  "2018":
    SingleMuon: [IsoMu24]
    SingleEle: [Ele32_WPTight_Gsf]
"""

#: name -> (collection, field, position or None, bins, start, stop)
VARIABLES: dict[str, tuple[str, str, int | None, int, float, float]] = {
    **{
        f"jets_{f}": ("JetGood", f, None, *axis)
        for f, axis in (("pt", (50, 0, 300)), ("eta", (50, -2.5, 2.5)))
    },
    "jets_phi": ("JetGood", "phi", None, 64, -np.pi, np.pi),
    "jets_btag": ("JetGood", "btagDeepFlavB", None, 50, 0, 1),
    "bjets_pt": ("BJetGood", "pt", None, 50, 0, 300),
    "bjets_eta": ("BJetGood", "eta", None, 50, -2.5, 2.5),
    **{f"jet_pt_{i + 1}": ("JetGood", "pt", i, 50, 0, 300) for i in range(4)},
    **{f"jet_eta_{i + 1}": ("JetGood", "eta", i, 50, -2.5, 2.5) for i in range(3)},
    "jet_btag_1": ("JetGood", "btagDeepFlavB", 0, 50, 0, 1),
    "lepton_pt_1": ("LeptonGood", "pt", 0, 60, 0, 300),
    "lepton_eta_1": ("LeptonGood", "eta", 0, 50, -2.5, 2.5),
    "lepton_phi_1": ("LeptonGood", "phi", 0, 64, -np.pi, np.pi),
    "muon_pt": ("MuonGood", "pt", None, 50, 0, 150),
    "electron_pt": ("ElectronGood", "pt", None, 50, 0, 500),
    "met_pt": ("MET", "pt", None, 28, 20, 300),
    "met_phi": ("MET", "phi", None, 64, -np.pi, np.pi),
    "njets": ("events", "nJetGood", None, 12, 0, 12),
    "nbjets": ("events", "nBJetGood", None, 8, 0, 8),
    "ht": ("events", "JetGood_Ht", None, 100, 0, 2000),
    "npv": ("PV", "npvsGood", None, 60, 0, 60),
}

#: 11 categories: (minimum of jets, of b jets, lepton flavour or None, minimum of MET)
CATEGORIES: dict[str, tuple[int, int, str | None, float]] = {
    "baseline": (2, 0, None, 0),
    "1b": (2, 1, None, 0),
    "2b": (2, 2, None, 0),
    "3j": (3, 0, None, 0),
    "4j": (4, 0, None, 0),
    "4j1b": (4, 1, None, 0),
    "4j2b": (4, 2, None, 0),
    "5j2b": (5, 2, None, 0),
    "muon": (2, 0, "Muon", 0),
    "electron": (2, 0, "Electron", 0),
    "high_met": (2, 0, None, 60),
}

N_WEIGHTS = 10


def met_above(events: Any, params: dict, **_: Any) -> Any:
    return events.MET.pt > params["met"]


def smooth_weight(index: int) -> Any:
    """A two-sided weight: a few per cent that depend on the leading jet and the missing momentum."""

    def compute(params: Any, metadata: Any, events: Any, size: int, shape_variation: str) -> Any:
        x = ak.to_numpy(events.MET.pt) / 500.0
        nominal = 1.0 + 0.01 * index * x
        if shape_variation != "nominal":
            return nominal
        return nominal, nominal * (1 + 0.02 * x), nominal * (1 - 0.02 * x)

    return WeightLambda.wrap_func(name=f"bench_weight_{index}", function=compute, has_variations=True)


class JetEnergyShift(Calibrator):
    """Three sources of a per-cent shift of the jet energy, up and down."""

    name = "bench_jet_scale"
    has_variations = True
    isMC_only = True
    calibrated_collections = ("Jet.pt",)

    def initialize(self, events: Any) -> None:
        self._variations = [f"source{i}{d}" for i in range(3) for d in ("Up", "Down")]

    def calibrate(
        self, events: Any, originals: Any, variation: str, already_applied_calibrators: Any = None
    ) -> Any:
        if variation not in self._variations:
            return {}
        size = 0.01 * (1 + int(variation[6])) * (1 if variation.endswith("Up") else -1)
        return {"Jet.pt": events.Jet.pt * (1 + size)}


class BenchProcessor(ttHbbBaseProcessor):
    """ttH(bb) object selection as it is."""


def _axis(spec: tuple[str, str, int | None, int, float, float]) -> Axis:
    collection, field, position, bins, start, stop = spec
    return Axis(coll=collection, field=field, pos=position, bins=bins, start=start, stop=stop, label=field)


def _category(jets: int, bjets: int, lepton: str | None, met: float) -> list[Cut]:
    cuts = [passthrough] if jets <= 2 else [get_nObj_min(jets, coll="JetGood")]
    if bjets:
        cuts.append(get_nBtagMin(bjets, coll="BJetGood"))
    if lepton:
        cuts.append(get_nObj_min(1, coll=f"{lepton}Good"))
    if met:
        cuts.append(Cut(name=f"met{met:g}", params={"met": met}, function=met_above))
    return cuts


def configuration(dataset_json: str, *, with_variations: bool = False) -> Configurator:
    """Return the unloaded Configurator over the datasets of ``dataset_json``."""
    parameters = defaults.merge_parameters_from_string(defaults.get_default_parameters(), PARAMETERS)
    weights = ["genWeight", "lumi", "XS"]
    variations: dict[str, Any] = {"weights": {"common": {"inclusive": []}}}
    weight_classes = list(common_weights)
    calibrators: list[Any] = []
    if with_variations:
        own = [smooth_weight(index) for index in range(N_WEIGHTS)]
        weight_classes += own
        weights += [w.name for w in own]
        variations = {
            "weights": {"common": {"inclusive": [w.name for w in own]}},
            "shape": {"common": {"inclusive": [JetEnergyShift.name]}},
        }
        calibrators = [JetEnergyShift]
    return Configurator(
        workflow=BenchProcessor,
        parameters=parameters,
        datasets={"jsons": [dataset_json]},
        skim=[get_nPVgood(1), eventFlags, get_HLTsel(primaryDatasets=["SingleMuon", "SingleEle"])],
        preselections=[get_nObj_min(1, coll="LeptonGood"), get_nObj_min(2, coll="JetGood")],
        categories={name: _category(*spec) for name, spec in CATEGORIES.items()},
        weights={"common": {"inclusive": weights}},
        weights_classes=weight_classes,
        calibrators=calibrators,
        variations=variations,
        variables={name: HistConf([_axis(spec)]) for name, spec in VARIABLES.items()},
    )
