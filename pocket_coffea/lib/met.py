"""Missing transverse momentum: corrections that need no payload, and the pile-up density rho."""

from __future__ import annotations

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.four_vectors import polar
from pocket_coffea.lib.lookup import field_of, lookup
from pocket_coffea.types import Array, FloatArray, Params

__all__ = ["get_rho", "met_correction_after_jec", "met_xy_correction"]


def met_xy_correction(
    params: Params, events: Array, METcol: str | None = None, year: str | None = None, era: str | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return (pt, phi) of ``events[METcol]`` with the phi modulation removed, shape (n_events,) each.

    METx -= a_x * npvs + b_x, METy -= a_y * npvs + b_y, with the numbers of ``params.MET_xy.MC[year]`` when
    ``era`` is "MC" and of ``params.MET_xy.Data[year][era]`` otherwise. The older call without collection,
    ``met_xy_correction(params, events, year, era)``, corrects ``events.MET``.
    Raises InvalidType for other calls, UnknownKey when the year or era has no numbers, MissingBranch.
    """
    if era is None and METcol is not None and year is not None:
        METcol, year, era = "MET", METcol, year
    if year is None or era is None:
        msg = "met_xy_correction takes (params, events, METcol, year, era) or (params, events, year, era)"
        raise InvalidType(msg)
    met = field_of(events, METcol or "MET", "met_xy_correction")
    path = ("MC", str(year)) if era == "MC" else ("Data", str(year), era)
    numbers = lookup(params, "MET_xy", *path)
    (a_x, b_x), (a_y, b_y) = ((float(a), float(b)) for a, b in numbers)
    npvs = _npvs(events)
    pt, phi = ak.to_numpy(met.pt).astype(np.float64), ak.to_numpy(met.phi).astype(np.float64)
    return polar(pt * np.cos(phi) - (a_x * npvs + b_x), pt * np.sin(phi) - (a_y * npvs + b_y))


def _npvs(events: Array) -> FloatArray:
    if "PV" not in events.fields:
        field_of(events, "PV", "met_xy_correction")
    npvs: FloatArray = ak.to_numpy(events["PV", "npvs"]).astype(np.float64)  # even where PV has no position
    return npvs


def _sums(jets: Array) -> tuple[FloatArray, FloatArray]:
    """Sums of px and py per event."""
    flat = Flat(jets, "jets").without_missing()
    event, n_events = flat.event_index(), len(flat.offsets) - 1
    pt, phi = flat["pt"].astype(np.float64), flat["phi"].astype(np.float64)
    x: FloatArray = np.bincount(event, weights=pt * np.cos(phi), minlength=n_events).astype(np.float64)
    y: FloatArray = np.bincount(event, weights=pt * np.sin(phi), minlength=n_events).astype(np.float64)
    return x, y


def met_correction_after_jec(
    events: Array,
    METcoll: str,
    jets_pre_jec: Array,
    jets_post_jec: Array,
) -> dict[str, FloatArray]:
    """Return {"pt", "phi"} of ``events[METcoll]`` after a change of the jets: MET + sum of jets before - sum
    after.
    """
    met = field_of(events, METcoll, "met_correction_after_jec")
    before, after = _sums(jets_pre_jec), _sums(jets_post_jec)
    pt, phi = ak.to_numpy(met.pt).astype(np.float64), ak.to_numpy(met.phi).astype(np.float64)
    new_pt, new_phi = polar(
        pt * np.cos(phi) + before[0] - after[0],
        pt * np.sin(phi) + before[1] - after[1],
    )
    return {"pt": new_pt, "phi": new_phi}


def get_rho(events: Array, nano_version: int) -> Array:
    """Pile-up density per event [GeV]: ``Rho.fixedGridRhoFastjetAll``, before NanoAOD 12 without ``Rho``."""
    if int(nano_version) >= 12:
        return field_of(field_of(events, "Rho", "get_rho"), "fixedGridRhoFastjetAll", "get_rho", "Rho")
    return field_of(events, "fixedGridRhoFastjetAll", "get_rho")
