"""Ready-made weights for all data-taking periods, and ``common_weights``, the list of them.

``SF_L1prefiring`` is not in the list: add it to ``weights_classes`` where it is needed.
"""

# ruff: noqa: ARG002 - every weight is called with the same arguments

from __future__ import annotations

import numpy as np

from pocket_coffea.lib.correction_cache import get_correction
from pocket_coffea.lib.weights.common.inputs import branch, elements, metadata_of, parameter
from pocket_coffea.lib.weights.common.unavailable import (
    SF_btag,
    SF_btag_calib,
    SF_ctag,
    SF_ctag_calib,
    SF_ele_id,
    SF_ele_promptMVA,
    SF_ele_reco,
    SF_ele_trigger,
    SF_jet_puId,
    SF_mu_id,
    SF_mu_iso,
    SF_mu_promptMVA,
    SF_mu_trigger,
    SF_pho_id,
    SF_pho_pxseed,
)
from pocket_coffea.lib.weights.weights import WeightData, WeightWrapper
from pocket_coffea.types import Array
from pocket_coffea.utils.metadata import to_number

__all__ = [
    "XS",
    "SF_L1prefiring",
    "SF_PSWeight_fsr",
    "SF_PSWeight_isr",
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
    "common_weights",
    "genWeight",
    "lumi",
    "pileup",
    "signOfGenWeight",
]


class genWeight(WeightWrapper):
    """The generator weight; outputs of samples that use it are normalised to its sum."""

    name = "genWeight"

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Return ``events.genWeight``."""
        return WeightData(self.name, branch(self, events, "genWeight"))


class signOfGenWeight(WeightWrapper):
    """The sign of the generator weight, for samples whose weights vary wildly in size."""

    name = "signOf_genWeight"

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Return -1, 0 or 1 for every event."""
        return WeightData(self.name, np.sign(branch(self, events, "genWeight")))


class lumi(WeightWrapper):
    """The integrated luminosity of the year [1/pb], ``params.lumi.picobarns[year].tot``."""

    name = "lumi"

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Return the same value for every event."""
        year = str(metadata_of(self, "year"))
        return WeightData(self.name, np.full(size, float(parameter(self, "lumi", "picobarns", year, "tot"))))


class XS(WeightWrapper):
    """The cross section of the dataset [pb], from its metadata."""

    name = "XS"

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Return the same value for every event."""
        return WeightData(self.name, np.full(size, to_number(metadata_of(self, "xsec"))))


class pileup(WeightWrapper):
    """Pileup reweighting by the true number of interactions, ``params.pileupJSONfiles[year]{file,name}``."""

    name = "pileup"
    has_variations = True

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Evaluate the correction at ``Pileup.nTrueInt``; variations up and down in the nominal pass."""
        year = str(metadata_of(self, "year"))
        entry = parameter(self, "pileupJSONfiles", year)
        correction = get_correction(entry["file"], entry["name"])
        n_true = np.asarray(branch(self, events, "Pileup", "nTrueInt"), dtype=np.float64)
        kinds = ("nominal", "up", "down") if shape_variation == "nominal" else ("nominal",)
        return WeightData(self.name, *(correction.evaluate(n_true, kind) for kind in kinds))


class SF_PSWeight_isr(WeightWrapper):
    """Parton-shower scale of initial-state radiation: nominal 1, up ``PSWeight[2]``, down ``PSWeight[0]``."""

    name = "sf_partonshower_isr"
    has_variations = True

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Read the variations in the nominal pass only."""
        nominal = np.ones(size)
        if shape_variation != "nominal":
            return WeightData(self.name, nominal)
        return WeightData(self.name, nominal, *elements(self, events, "PSWeight", (2, 0), length=4))


class SF_PSWeight_fsr(WeightWrapper):
    """Parton-shower scale of final-state radiation: nominal 1, up ``PSWeight[3]``, down ``PSWeight[1]``."""

    name = "sf_partonshower_fsr"
    has_variations = True

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Read the variations in the nominal pass only."""
        nominal = np.ones(size)
        if shape_variation != "nominal":
            return WeightData(self.name, nominal)
        return WeightData(self.name, nominal, *elements(self, events, "PSWeight", (3, 1), length=4))


class SF_L1prefiring(WeightWrapper):
    """Prefiring of the level-1 trigger (2016 to 2018): ``L1PreFiringWeight`` Nom, Up, Dn."""

    name = "sf_L1prefiring"
    has_variations = True

    def compute(self, events: Array, size: int, shape_variation: str) -> WeightData:
        """Read the variations in the nominal pass only."""
        fields = ("Nom", "Up", "Dn") if shape_variation == "nominal" else ("Nom",)
        return WeightData(self.name, *(branch(self, events, "L1PreFiringWeight", field) for field in fields))


#: Every weight above except SF_L1prefiring.
common_weights: list[type[WeightWrapper]] = [
    *(genWeight, signOfGenWeight, lumi, XS, pileup),
    *(SF_ele_reco, SF_ele_id, SF_ele_promptMVA, SF_ele_trigger),
    *(SF_mu_id, SF_mu_iso, SF_mu_trigger, SF_mu_promptMVA),
    *(SF_pho_id, SF_pho_pxseed),
    *(SF_btag, SF_btag_calib, SF_ctag, SF_ctag_calib, SF_jet_puId),
    *(SF_PSWeight_isr, SF_PSWeight_fsr),
]
