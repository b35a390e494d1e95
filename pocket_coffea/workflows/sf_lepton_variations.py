"""Histograms of lepton scale factors and their variations."""

from __future__ import annotations

from typing import Any

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

__all__ = ["leptonSFVariationsProcessor"]


class leptonSFVariationsProcessor(ttHbbBaseProcessor):
    """Compare the variations of lepton scale factors. Needs scale factors, which are not in this version."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        msg = (
            "The workflow sf_lepton_variations needs the electron and muon scale factors, which are not in "
            "this version. Use ttHbbBaseProcessor, and add scale factors as WeightLambda classes of your own."
        )
        raise PhysicsNotAvailable(msg)
