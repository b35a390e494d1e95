"""The processor that only sums generator weights: for samples whose sums are needed, and nothing else."""

from __future__ import annotations

import numpy as np

from pocket_coffea.workflows.base import BaseProcessorABC

__all__ = ["genWeightsProcessor"]


class genWeightsProcessor(BaseProcessorABC):
    """Count events and sum generator weights of each dataset; nothing is selected, calibrated or filled."""

    def apply_object_preselection(self, variation: str) -> None:
        """Nothing to select."""

    def count_objects(self, variation: str) -> None:
        """Nothing to count."""

    def skim_events(self) -> None:
        """Stop after the sums: no event goes on."""
        self._skim_mask = np.zeros(self.nevents, dtype=bool)
        self.nEvents_after_skim = 0
        self.has_events = False
