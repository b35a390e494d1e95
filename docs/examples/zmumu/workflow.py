"""Objects of the analysis."""

import awkward as ak

from pocket_coffea.lib.objects import btagging, get_dilepton, jet_selection, lepton_selection
from pocket_coffea.workflows.base import BaseProcessorABC


class ZMuMuProcessor(BaseProcessorABC):
    """Good muons, jets cleaned from them, b jets and the dimuon system ``ll``."""

    def apply_object_preselection(self, variation):
        """Select the objects."""
        events, params = self.events, self.params
        events["MuonGood"] = lepton_selection(events, "Muon", params)
        events["JetGood"], _ = jet_selection(events, "Jet", params, self._year, leptons_collection="MuonGood")
        working_point = params.btagging.working_point[self._year]
        events["BJetGood"] = btagging(
            events.JetGood, working_point, wp=params.object_preselection.Jet.btag.wp
        )
        events["ll"] = get_dilepton(None, events.MuonGood)

    def count_objects(self, variation):
        """Count them."""
        for name in ("MuonGood", "JetGood", "BJetGood"):
            self.events[f"n{name}"] = ak.num(self.events[name])
