"""Leptons and jets as the ttH(bb) analyses select them; the base of many other analyses."""

from __future__ import annotations

import awkward as ak
import numpy as np

from pocket_coffea.lib.memo import memoised
from pocket_coffea.lib.objects import btagging, jet_selection, lepton_selection
from pocket_coffea.types import Array
from pocket_coffea.workflows.base import BaseProcessorABC
from pocket_coffea.workflows.steps.fields import set_fields
from pocket_coffea.workflows.steps.leptons import merged_leptons

__all__ = ["ttHbbBaseProcessor"]


class ttHbbBaseProcessor(BaseProcessorABC):
    """Add ``MuonGood, ElectronGood, LeptonGood, JetGood, BJetGood``, their numbers, and ``JetGood_Ht``.

    Reads ``object_preselection`` and ``btagging.working_point`` of the parameters.
    """

    def apply_object_preselection(self, variation: str) -> None:  # noqa: ARG002
        """Select leptons, jets away from all leptons, and the b-tagged among these jets."""
        self._add_supercluster_eta()
        muons = lepton_selection(self.events, "Muon", self.params)
        electrons = lepton_selection(self.events, "Electron", self.params)
        leptons = merged_leptons(self.events, muons, electrons)
        set_fields(self.events, {"MuonGood": muons, "ElectronGood": electrons, "LeptonGood": leptons})
        jets, self.jetGoodMask = jet_selection(
            self.events, "Jet", self.params, self._year, leptons_collection="LeptonGood"
        )
        working_point = self.params.btagging.working_point[self._year]
        b_jets = btagging(jets, working_point, wp=self.params.object_preselection.Jet.btag.wp)
        set_fields(self.events, {"JetGood": jets, "BJetGood": b_jets})

    def _add_supercluster_eta(self) -> None:
        """Add ``Electron.etaSC``; the same array while eta is the same, so that selections are reused."""

        def compute() -> Array:
            electrons = self.events["Electron"]
            return electrons.eta + electrons.deltaEtaSC

        eta = memoised(self.events, "etaSC", ["Electron.eta", "Electron.deltaEtaSC"], compute)
        set_fields(self.events, {"Electron": ak.with_field(self.events["Electron"], eta, "etaSC")})

    def count_objects(self, variation: str) -> None:  # noqa: ARG002
        """Add ``nMuonGood, nElectronGood, nLeptonGood, nJetGood, nBJetGood``."""
        names = ("MuonGood", "ElectronGood", "LeptonGood", "JetGood", "BJetGood")
        set_fields(self.events, {f"n{name}": ak.num(self.events[name]) for name in names})

    def define_common_variables_before_presel(self, variation: str) -> None:  # noqa: ARG002
        """Add ``JetGood_Ht`` [GeV], and for MC the numbers of c and b jets by hadron flavour."""
        jets = self.events["JetGood"]
        fields = {"JetGood_Ht": ak.sum(np.abs(jets.pt), axis=1)}
        if self._isMC:
            fields["nJetGoodCFlavour"] = ak.sum(jets.hadronFlavour == 4, axis=1)
            fields["nJetGoodBFlavour"] = ak.sum(jets.hadronFlavour == 5, axis=1)
        set_fields(self.events, fields)
