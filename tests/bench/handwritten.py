"""The same analysis written by hand on coffea: what an experienced user would write without a framework."""

from __future__ import annotations

from typing import Any

import awkward as ak
import hist
import numpy as np
from coffea import processor
from coffea.analysis_tools import PackedSelection, Weights

from tests.bench.analysis import CATEGORIES, VARIABLES

FLAGS = (
    "goodVertices",
    "globalSuperTightHalo2016Filter",
    "HBHENoiseFilter",
    "HBHENoiseIsoFilter",
    "EcalDeadCellTriggerPrimitiveFilter",
    "BadPFMuonFilter",
)
BTAG_MEDIUM = 0.2783


class HandWritten(processor.ProcessorABC):
    """lumi [1/pb] and cross section [pb] are given, as everybody does in a first version."""

    def __init__(self, lumi: float, xsec: float) -> None:
        self.lumi = lumi
        self.xsec = xsec

    def process(self, events: Any) -> dict[str, Any]:
        sum_genweights = float(ak.sum(events.genWeight))
        keep = (events.PV.npvsGood >= 1) & (events.HLT.IsoMu24 | events.HLT.Ele32_WPTight_Gsf)
        for flag in FLAGS:
            keep = keep & events.Flag[flag]
        events = events[keep]

        muons = events.Muon[
            (events.Muon.pt > 20)
            & (abs(events.Muon.eta) < 2.4)
            & (events.Muon.pfRelIso04_all < 0.15)
            & events.Muon.tightId
        ]
        etasc = abs(events.Electron.eta + events.Electron.deltaEtaSC)
        electrons = events.Electron[
            (events.Electron.pt > 20)
            & (abs(events.Electron.eta) < 2.4)
            & ~((etasc >= 1.4442) & (etasc <= 1.5660))
            & events.Electron.mvaFall17V2Iso_WP90
        ]
        leptons = ak.with_name(ak.concatenate([muons, electrons], axis=1), "PtEtaPhiMCandidate")
        leptons = leptons[ak.argsort(leptons.pt, ascending=False)]
        jets = events.Jet
        clean = ak.all(jets.metric_table(leptons) > 0.4, axis=2)
        jets = jets[
            (jets.pt > 30)
            & (abs(jets.eta) < 2.4)
            & (jets.jetId >= 2)
            & ((jets.puId >= 4) | (jets.pt >= 50))
            & clean
        ]
        bjets = jets[jets.btagDeepFlavB > BTAG_MEDIUM]

        preselected = (ak.num(leptons) >= 1) & (ak.num(jets) >= 2)
        events, muons, electrons = events[preselected], muons[preselected], electrons[preselected]
        leptons, jets, bjets = leptons[preselected], jets[preselected], bjets[preselected]

        weights = Weights(len(events))
        weights.add("genWeight", events.genWeight)
        weights.add("lumi", np.full(len(events), self.lumi))
        weights.add("XS", np.full(len(events), self.xsec))
        weight = weights.weight()

        selection = PackedSelection(dtype="uint64")
        counts = {"jets": ak.num(jets), "bjets": ak.num(bjets)}
        has = {"Muon": ak.num(muons) >= 1, "Electron": ak.num(electrons) >= 1}
        for name, (n_jets, n_bjets, lepton, met) in CATEGORIES.items():
            mask = (counts["jets"] >= n_jets) & (counts["bjets"] >= n_bjets)
            if lepton:
                mask = mask & has[lepton]
            if met:
                mask = mask & (events.MET.pt > met)
            selection.add(name, ak.to_numpy(mask))

        collections = {
            "JetGood": jets,
            "BJetGood": bjets,
            "LeptonGood": leptons,
            "MuonGood": muons,
            "ElectronGood": electrons,
            "MET": events.MET,
            "PV": events.PV,
        }
        event_values = {
            "nJetGood": counts["jets"],
            "nBJetGood": counts["bjets"],
            "JetGood_Ht": ak.sum(abs(jets.pt), axis=1),
        }
        out = {name: self._histogram(spec) for name, spec in VARIABLES.items()}
        masks = {category: selection.all(category) for category in CATEGORIES}
        rows = np.arange(len(events))
        for name, (collection, field, position, *_) in VARIABLES.items():
            values = event_values[field] if collection == "events" else collections[collection][field]
            parents = rows
            if position is not None:
                values = ak.pad_none(values, position + 1)[:, position]
                parents = rows[~ak.to_numpy(ak.is_none(values))]
                values = values[parents]
            elif values.ndim == 2:
                parents = np.repeat(rows, ak.to_numpy(ak.num(values)))
                values = ak.flatten(values)
            flat, flat_weight = ak.to_numpy(values), weight[parents]
            for category, mask in masks.items():
                chosen = mask[parents]
                out[name].fill(cat=category, x=flat[chosen], weight=flat_weight[chosen])
        return {"histograms": out, "sum_genweights": sum_genweights}

    def _histogram(self, spec: tuple[Any, ...]) -> Any:
        _, _, _, bins, start, stop = spec
        return hist.Hist(
            hist.axis.StrCategory(sorted(CATEGORIES), name="cat"),
            hist.axis.Regular(bins, start, stop, name="x"),
            storage="weight",
        )

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        scale = 1.0 / accumulator["sum_genweights"]
        accumulator["histograms"] = {name: h * scale for name, h in accumulator["histograms"].items()}
        return accumulator
