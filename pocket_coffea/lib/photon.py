"""Photons: selection."""

from __future__ import annotations

import numpy as np

from pocket_coffea.lib.cleaning import lepton_directions
from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.kernels import is_far_from
from pocket_coffea.lib.leptons import ECAL_GAP
from pocket_coffea.lib.lookup import field_of, lookup
from pocket_coffea.lib.memo import ByValue, freeze, memoised
from pocket_coffea.types import Array, BoolArray, Params

__all__ = ["photon_selection"]


def _passes(flat: Flat, cuts: Params, origin: str) -> BoolArray:
    abs_eta = np.abs(flat["eta"])
    keep = abs_eta < lookup(cuts, "eta", origin=origin)
    keep &= ~((abs_eta >= ECAL_GAP[0]) & (abs_eta <= ECAL_GAP[1]))
    keep &= flat["pt"] > lookup(cuts, "pt", origin=origin)
    keep &= flat["pixelSeed"] != 1
    keep &= flat["cutBased"] >= lookup(cuts, "cutBased", origin=origin)
    return keep if flat.missing is None else keep & ~flat.missing


def photon_selection(
    events: Array, photon_collection: str, params: Params, leptons_collection: str = ""
) -> Array:
    """Return the photons that pass ``params.object_preselection[photon_collection]``.

    |eta| < eta and outside 1.4442-1.5660, pt > pt, no pixel seed, cutBased >= cutBased; with
    ``leptons_collection`` also Delta-R > dr_lepton to all its leptons. The photons are those of
    ``events[photon_collection]``, or of ``events.Photon`` when the events have no field of this name (a name
    that only selects the cuts). Raises UnknownKey for a missing cut, MissingBranch.
    """
    origin = f"params.object_preselection.{photon_collection}"
    cuts = lookup(params, "object_preselection", photon_collection)
    source = photon_collection if photon_collection in events.fields else "Photon"
    photons = field_of(events, source, "photon_selection")
    leptons = lepton_directions(events, leptons_collection, "photon_selection")

    def compute() -> Array:
        flat = Flat(photons, source)
        keep = _passes(flat, cuts, origin)
        if leptons is not None:
            keep = is_far_from(flat, [leptons], float(lookup(cuts, "dr_lepton", origin=origin)), keep)
        return flat.select(keep)

    key = ("photon_selection", photon_collection, leptons_collection, freeze(cuts))
    by_value = [] if leptons is None else [ByValue(*leptons)]
    return memoised(events, key, [source, *by_value], compute)
