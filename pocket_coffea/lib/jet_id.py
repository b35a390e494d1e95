"""Identification of jets: the ID of the NanoAOD production, repaired or recomputed where it has to be."""

from __future__ import annotations

from typing import Any

import numpy as np

from pocket_coffea.errors import DataFileNotFound, MissingBranch, UnknownName
from pocket_coffea.lib.correction_cache import get_correction, load_correction_set
from pocket_coffea.lib.flat import Flat, jagged
from pocket_coffea.lib.lookup import lookup
from pocket_coffea.lib.memo import memoised
from pocket_coffea.lib.nano import get_nano_version
from pocket_coffea.types import Array, BoolArray, IntArray, Params

__all__ = ["compute_jetId"]

TIGHT, LEPTON_VETO = 2, 4


def compute_jetId(events: Array, jet_type: str, params: Params, year: str) -> Array:
    """Return the jet ID of ``events[jet_type]`` (integers, (n_events, var)): 2 = tight, 6 = tight with lepton
    veto.

    NanoAOD before 12: the branch jetId. 12: its tight bit, repaired outside |eta| = 2.7, and the lepton veto
    from the energy fractions. 15 and later: the correction set ``params.jet_scale_factors.jet_id[year]``. 13
    and 14 are read like 12 while they have the branch jetId, because its bits mean the same, and like 15 when
    it is gone. Raises MissingBranch, UnknownKey (no correction set for the year), DataFileNotFound.
    """
    version = get_nano_version(events, params, year)

    def compute() -> Array:
        flat = Flat(events[jet_type], jet_type)
        return jagged(flat.offsets, flat_jet_id(flat, jet_type, params, str(year), version), like=flat.array)

    return memoised(events, ("compute_jetId", jet_type, str(year), version), [jet_type], compute)


def flat_jet_id(flat: Flat, jet_type: str, params: Params, year: str, version: int) -> IntArray:
    """Like :func:`compute_jetId`, for the objects of a flat collection."""
    if version < 12:
        return flat["jetId"]
    if version < 15 and (version == 12 or "jetId" in flat):
        return _repaired(flat, jet_type)
    return _evaluated(flat, jet_type, params, year)


def _repaired(flat: Flat, jet_type: str) -> IntArray:
    abs_eta = np.abs(flat["eta"])
    central, tight = abs_eta <= 2.7, (flat["jetId"] & TIGHT) != 0
    if is_fat(jet_type):
        return np.where(tight & central, TIGHT, 0)
    tight &= central | np.where(abs_eta <= 3.0, flat["neHEF"] < 0.99, flat["neEmEF"] < 0.4)
    veto = tight & (~central | ((flat["muEF"] < 0.8) & (flat["chEmEF"] < 0.8)))
    return np.where(tight, TIGHT, 0) + np.where(veto, LEPTON_VETO, 0)


def is_fat(jet_type: str) -> bool:
    """True for large-radius jets, by the name of their collection."""
    return "FatJet" in jet_type or "AK8" in jet_type


def _algorithm(jet_type: str, params: Params, year: str) -> str:
    """``AK4PUPPI`` or ``AK8PUPPI``, from the map of collections of the year."""
    collections = lookup(params, "jets_calibration", "collection", year)
    for kind, collection in collections.items():
        if collection == jet_type and "CorrT1" not in kind:
            return f"{str(kind)[:3]}PUPPI"
    msg = (
        f"jet ID: collection {jet_type!r} is in no type of params.jets_calibration.collection[{year!r}] "
        f"({dict(collections)}); add it there"
    )
    raise UnknownName(msg)


def _evaluated(flat: Flat, jet_type: str, params: Params, year: str) -> IntArray:
    path = str(lookup(params, "jet_scale_factors", "jet_id", year))
    algorithm = _algorithm(jet_type, params, year)
    try:
        load_correction_set(path)
    except DataFileNotFound as exc:
        msg = f"{jet_type} has no jetId in this NanoAOD version; it is computed from a correction set: {exc}"
        raise DataFileNotFound(msg) from None
    passes = [_evaluate(flat, path, f"{algorithm}_{name}") for name in ("Tight", "TightLeptonVeto")]
    return np.where(passes[0], TIGHT, 0) + np.where(passes[1], LEPTON_VETO, 0)


def _evaluate(flat: Flat, path: str, name: str) -> BoolArray:
    correction = get_correction(path, name)
    if len(flat) == 0:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(correction.evaluate(*(_input(flat, one) for one in correction.inputs))) > 0.5


def _input(flat: Flat, variable: Any) -> np.ndarray[Any, Any]:
    """The column that a correction asks for; the total multiplicity is the sum of its two parts."""
    if variable.name == "multiplicity" and "multiplicity" not in flat:
        try:
            total = flat["chMultiplicity"].astype(np.int64) + flat["neMultiplicity"]
        except MissingBranch as exc:
            msg = f"{exc} The jet ID of this NanoAOD version needs it."
            raise MissingBranch(msg) from exc
    else:
        total = flat[variable.name]
    return total.astype(np.float64) if variable.type == "real" else total.astype(np.int64)
