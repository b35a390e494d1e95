"""Weights whose names, variations and classes are fixed, but whose corrections are not in this version."""

# ruff: noqa: ARG002 - every weight is called with the same arguments

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib.weights.weights import WeightWrapper
from pocket_coffea.types import Array, Params

__all__ = [
    "NamedVariations",
    "SF_btag",
    "SF_btag_calib",
    "SF_ctag",
    "SF_ctag_calib",
    "SF_ele_id",
    "SF_ele_promptMVA",
    "SF_ele_reco",
    "SF_ele_trigger",
    "SF_jet_puId",
    "SF_mu_id",
    "SF_mu_iso",
    "SF_mu_promptMVA",
    "SF_mu_trigger",
    "SF_pho_id",
    "SF_pho_pxseed",
    "ScaleFactor",
]


class ScaleFactor(WeightWrapper):
    """A scale factor that can be configured, but raises PhysicsNotAvailable when it is computed."""

    has_variations = True
    available = False

    def compute(self, events: Array, size: int, shape_variation: str) -> NoReturn:
        """Raise PhysicsNotAvailable."""
        msg = (
            f"weight {self.name!r}: {self.missing} is not in this version. Remove it from the "
            " weights and variations of the configuration, or compute it in a weight of your own "
            "(WeightLambda.wrap_func) with the same variations."
        )
        raise PhysicsNotAvailable(msg)


class NamedVariations(ScaleFactor):
    """A scale factor whose variations the parameters name, by year."""

    variations_key: ClassVar[str]

    def __init__(self, params: Params = None, metadata: Mapping[str, Any] | None = None) -> None:
        """Take the variations of the year from ``params.systematic_variations.weight_variations``."""
        super().__init__(params, metadata)
        node: Any = params or {}
        year = str((metadata or {}).get("year"))
        for key in ("systematic_variations", "weight_variations", self.variations_key, year):
            node = node.get(key) or {}
        self._variations = [str(variation) for variation in node]


class SF_ele_reco(ScaleFactor):
    name = "sf_ele_reco"
    missing = "the electron reconstruction scale factor"


class SF_ele_id(ScaleFactor):
    name = "sf_ele_id"
    missing = "the electron identification scale factor"


class SF_ele_promptMVA(ScaleFactor):
    name = "sf_ele_promptMVA"
    missing = "the electron prompt-MVA scale factor"


class SF_ele_trigger(ScaleFactor):
    name = "sf_ele_trigger"
    missing = "the electron trigger scale factor"


class SF_mu_id(ScaleFactor):
    name = "sf_mu_id"
    missing = "the muon identification scale factor"


class SF_mu_iso(ScaleFactor):
    name = "sf_mu_iso"
    missing = "the muon isolation scale factor"


class SF_mu_trigger(ScaleFactor):
    name = "sf_mu_trigger"
    missing = "the muon trigger scale factor"


class SF_mu_promptMVA(ScaleFactor):
    name = "sf_mu_promptMVA"
    missing = "the muon prompt-MVA scale factor"


class SF_pho_id(ScaleFactor):
    name = "sf_pho_id"
    missing = "the photon identification scale factor"


class SF_pho_pxseed(ScaleFactor):
    name = "sf_pho_pxseed"
    missing = "the photon pixel-seed scale factor"


class SF_btag(NamedVariations):
    name = "sf_btag"
    missing = "the b-tagging shape scale factor"
    variations_key = "sf_btag"


class SF_btag_calib(ScaleFactor):
    name = "sf_btag_calib"
    has_variations = False
    missing = "the calibration of the b-tagging scale factor"


class SF_ctag(NamedVariations):
    name = "sf_ctag"
    missing = "the c-tagging shape scale factor"
    variations_key = "sf_ctag"


class SF_ctag_calib(ScaleFactor):
    name = "sf_ctag_calib"
    missing = "the calibration of the c-tagging scale factor"


class SF_jet_puId(ScaleFactor):
    name = "sf_jet_puId"
    missing = "the jet pileup-identification scale factor"
