"""Leptons and jets as the ttH(bb) analyses select them; the base of many other analyses."""

from __future__ import annotations

import awkward as ak
import numpy as np

from pocket_coffea.lib.objects import btagging, jet_selection, lepton_selection
from pocket_coffea.workflows.base import BaseProcessorABC
from pocket_coffea.workflows.steps.leptons import merged_leptons

__all__ = ["ttHbbBaseProcessor"]


class ttHbbBaseProcessor(BaseProcessorABC):
    """Add ``MuonGood, ElectronGood, LeptonGood, JetGood, BJetGood``, their numbers, and ``JetGood_Ht``.

    Reads ``object_preselection`` and ``btagging.working_point`` of the parameters.
    """

    def apply_object_preselection(self, variation: str) -> None:  # noqa: ARG002
        """Select leptons, jets away from all leptons, and the b-tagged among these jets."""
        electron = self.events["Electron"]
        self.events["Electron"] = ak.with_field(electron, electron.eta + electron.deltaEtaSC, "etaSC")
        self.events["MuonGood"] = lepton_selection(self.events, "Muon", self.params)
        self.events["ElectronGood"] = lepton_selection(self.events, "Electron", self.params)
        self.events["LeptonGood"] = merged_leptons(self.events)
        self.events["JetGood"], self.jetGoodMask = jet_selection(
            self.events, "Jet", self.params, self._year, leptons_collection="LeptonGood"
        )
        self.events["BJetGood"] = btagging(
            self.events["JetGood"],
            self.params.btagging.working_point[self._year],
            wp=self.params.object_preselection.Jet.btag.wp,
        )

    def count_objects(self, variation: str) -> None:  # noqa: ARG002
        """Add ``nMuonGood, nElectronGood, nLeptonGood, nJetGood, nBJetGood``."""
        for name in ("MuonGood", "ElectronGood", "LeptonGood", "JetGood", "BJetGood"):
            self.events[f"n{name}"] = ak.num(self.events[name])

    def define_common_variables_before_presel(self, variation: str) -> None:  # noqa: ARG002
        """Add ``JetGood_Ht`` [GeV], and for MC the numbers of c and b jets by hadron flavour."""
        jets = self.events["JetGood"]
        self.events["JetGood_Ht"] = ak.sum(np.abs(jets.pt), axis=1)
        if self._isMC:
            self.events["nJetGoodCFlavour"] = ak.sum(jets.hadronFlavour == 4, axis=1)
            self.events["nJetGoodBFlavour"] = ak.sum(jets.hadronFlavour == 5, axis=1)
