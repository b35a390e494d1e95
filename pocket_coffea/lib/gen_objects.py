"""Generated leptons and jets."""

from __future__ import annotations

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.kernels import is_far_from
from pocket_coffea.lib.lookup import field_of, lookup
from pocket_coffea.types import Array, BoolArray, Params

__all__ = ["getGenJets", "getGenLeptons"]

_PDG_IDS = {"Electron": (11,), "Muon": (13,), "Both": (11, 13)}
_TAU = 15
_GEN_JET_DR = 0.4


def _from_tau(particles: Flat) -> BoolArray:
    """True where the mother is a tau."""
    mother, counts = particles["genPartIdxMother"].astype(np.int64), particles.counts
    event = particles.event_index()
    known = (mother >= 0) & (mother < counts[event])
    result = np.zeros(len(particles), dtype=np.bool_)
    positions = (particles.offsets[:-1][event] + mother)[known]
    result[known] = np.abs(particles["pdgId"][positions]) == _TAU
    return result


def getGenLeptons(events: Array, flavour: str, params: Params) -> Array:
    """Return final-state generated leptons (status 1, not from a tau decay) of ``events.GenPart``, by falling
    pt.

    flavour: Electron, Muon or Both. |eta| < eta and pt > pt of ``params.object_preselection.GEN_Lep``.
    Raises InvalidValue (a ValueError) for another flavour, UnknownKey, MissingBranch.
    """
    if flavour not in _PDG_IDS:
        msg = f"getGenLeptons: flavour {flavour!r} is not known: {', '.join(_PDG_IDS)}"
        raise InvalidValue(msg)
    cuts = lookup(params, "object_preselection", "GEN_Lep")
    flat = Flat(field_of(events, "GenPart", "getGenLeptons"), "GenPart")
    keep = np.isin(np.abs(flat["pdgId"]), _PDG_IDS[flavour]) & (flat["status"] == 1) & ~_from_tau(flat)
    keep &= np.abs(flat["eta"]) < lookup(cuts, "eta", origin="params.object_preselection.GEN_Lep")
    keep &= flat["pt"] > lookup(cuts, "pt", origin="params.object_preselection.GEN_Lep")
    leptons = flat.select(keep)
    return leptons[ak.argsort(leptons.pt, axis=1, ascending=False)]


def getGenJets(
    events: Array,
    GenLepCollNameForCleaning: str,
    params: Params,
) -> Array:
    """Return generated jets with |eta| < eta and pt > pt of ``params.object_preselection.GEN_Jet``.

    They are further than Delta-R 0.4 from all leptons of ``events[GenLepCollNameForCleaning]``.
    Raises UnknownKey, MissingBranch.
    """
    cuts = lookup(params, "object_preselection", "GEN_Jet")
    flat = Flat(field_of(events, "GenJet", "getGenJets"), "GenJet")
    leptons = Flat(field_of(events, GenLepCollNameForCleaning, "getGenJets"), GenLepCollNameForCleaning)
    keep = np.abs(flat["eta"]) < lookup(cuts, "eta", origin="params.object_preselection.GEN_Jet")
    keep &= flat["pt"] > lookup(cuts, "pt", origin="params.object_preselection.GEN_Jet")
    return flat.select(is_far_from(flat, [leptons], _GEN_JET_DR, keep))
