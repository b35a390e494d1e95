"""Events to measure the efficiency of single-electron triggers in semileptonic ttbar events."""

from __future__ import annotations

import awkward as ak

from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

__all__ = ["semileptonicTriggerProcessor"]


class semileptonicTriggerProcessor(ttHbbBaseProcessor):
    """Add per-event quantities of the leading electron and muon, in which trigger efficiencies are binned.

    Fields ``{Electron,Muon}Good_leading_{pt,eta,phi}`` and ``ElectronGood_leading_etaSC``; None without such
    a lepton. Whether an event passed the trigger is a matter of categories (``get_HLTsel``).
    """

    def define_common_variables_after_presel(self, variation: str) -> None:
        """Add the quantities of the leading leptons."""
        super().define_common_variables_after_presel(variation=variation)
        for collection, fields in (
            ("ElectronGood", ("pt", "eta", "phi", "etaSC")),
            ("MuonGood", ("pt", "eta", "phi")),
        ):
            leading = ak.firsts(self.events[collection])
            for field in fields:
                self.events[f"{collection}_leading_{field}"] = leading[field]
