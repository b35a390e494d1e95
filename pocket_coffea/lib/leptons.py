"""Electrons and muons: selection, pairs, charged leptons of two-lepton events.

Selections return new collections; the events are never modified.
"""

from __future__ import annotations

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidType, InvalidValue
from pocket_coffea.lib.flat import Flat, candidates
from pocket_coffea.lib.four_vectors import delta_phi, sum_p4
from pocket_coffea.lib.jets import jets_in_original_order
from pocket_coffea.lib.lookup import field_of, lookup
from pocket_coffea.lib.memo import freeze, memoised
from pocket_coffea.types import Array, BoolArray, FloatArray, IntArray, Params

__all__ = [
    "get_charged_leptons",
    "get_diboson",
    "get_dilepton",
    "lepton_selection",
    "lepton_selection_promptMVA",
    "soft_lepton_selection",
]

#: Between barrel and endcap of the electromagnetic calorimeter, in |eta| of the supercluster.
ECAL_GAP = (1.4442, 1.5660)


def _check_flavour(flavour: str) -> None:
    if flavour not in {"Electron", "Muon"}:
        msg = f"lepton flavour {flavour!r} is not known: Electron or Muon"
        raise InvalidValue(msg)


def _origin(flavour: str) -> str:
    return f"params.object_preselection.{flavour}"


def _id_branch(cuts: Params, flavour: str, year: str | None) -> str:
    wanted = lookup(cuts, "id", origin=_origin(flavour))
    return str(wanted if isinstance(wanted, str) else lookup(wanted, year, origin=f"{_origin(flavour)}.id"))


def _kinematics(flat: Flat, cuts: Params, flavour: str) -> BoolArray:
    keep = np.abs(flat["eta"]) < lookup(cuts, "eta", origin=_origin(flavour))
    keep &= flat["pt"] > lookup(cuts, "pt", origin=_origin(flavour))
    if flavour == "Electron":
        eta_sc = np.abs(flat["eta"] + flat["deltaEtaSC"])
        keep &= ~((eta_sc >= ECAL_GAP[0]) & (eta_sc <= ECAL_GAP[1]))
    return keep if flat.missing is None else keep & ~flat.missing


def _isolated(flat: Flat, cuts: Params, flavour: str) -> BoolArray | bool:
    if flavour == "Muon":
        return flat["pfRelIso04_all"] < lookup(cuts, "iso", origin=_origin(flavour))
    return flat["pfRelIso03_all"] < cuts["iso"] if "iso" in cuts else True


def _soft_muon(flat: Flat, cuts: Params) -> BoolArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = np.abs(flat["dxy"] / flat["dxyErr"])
    return (flat["pfRelIso04_all"] > lookup(cuts, "iso_soft", origin=_origin("Muon"))) & (significance > 1)


def _select(events: Array, flavour: str, params: Params, soft: bool) -> Array:
    _check_flavour(flavour)
    cuts = lookup(params, "object_preselection", flavour)
    field_of(events, flavour, "lepton_selection")
    identity = _id_branch(cuts, flavour, (getattr(events, "metadata", None) or {}).get("year"))

    def compute() -> Array:
        flat = Flat(events[flavour], flavour)
        keep = _kinematics(flat, cuts, flavour)
        keep &= _soft_muon(flat, cuts) if soft and flavour == "Muon" else _isolated(flat, cuts, flavour)
        keep &= flat[identity] == 1
        return flat.select(keep)

    return memoised(events, ("lepton_selection", flavour, soft, identity, freeze(cuts)), [flavour], compute)


def lepton_selection(events: Array, lepton_flavour: str, params: Params) -> Array:
    """Return the leptons of ``events[lepton_flavour]`` that pass
    ``params.object_preselection[lepton_flavour]``.

    |eta| < eta, pt > pt, the branch named ``id`` is true. Electrons: outside the gap 1.4442 <= |eta of the
    supercluster| <= 1.5660, pfRelIso03_all < iso if there is an ``iso``. Muons: pfRelIso04_all < iso. ``id``
    may be a map from year to branch; the year is that of the events. Raises InvalidValue (a ValueError) for
    another flavour, UnknownKey for a missing cut, MissingBranch.
    """
    return _select(events, lepton_flavour, params, soft=False)


def soft_lepton_selection(events: Array, lepton_flavour: str, params: Params) -> Array:
    """Like :func:`lepton_selection`, but muons are not isolated and displaced: iso > iso_soft and
    |dxy/dxyErr| > 1.
    """
    return _select(events, lepton_flavour, params, soft=True)


def _jet_score(events: Array, leptons: Flat) -> FloatArray:
    """DeepFlavB of the jet of each lepton, in the order of the file; 0 without jet, -10 if that jet is not
    stored.
    """
    jets = Flat(jets_in_original_order(field_of(events, "Jet", "lepton_selection_promptMVA")), "Jet")
    index, event = leptons["jetIdx"].astype(np.int64), leptons.event_index()
    stored = (index >= 0) & (index < jets.counts[event])
    scores = np.full(len(leptons), -10.0)
    scores[index == -1] = 0.0
    if stored.any():
        values = jets["btagDeepFlavB"][(jets.offsets[:-1][event] + index)[stored]]
        scores[stored] = np.where(np.isnan(values), -10.0, values)
    return scores


def _prompt_quality(flat: Flat, cuts: Params, flavour: str) -> BoolArray:
    origin = _origin(flavour)
    keep = flat["sip3d"] < lookup(cuts, "sip3d", origin=origin)
    keep &= np.abs(flat["dxy"]) < lookup(cuts, "dxy", origin=origin)
    keep &= np.abs(flat["dz"]) < lookup(cuts, "dz", origin=origin)
    if flavour == "Electron":
        keep &= flat["lostHits"] <= lookup(cuts, "lostHits", origin=origin)
    else:
        particle_flow = (flat["isGlobal"] == 1) | (flat["isTracker"] == 1)
        keep &= particle_flow & (flat["isPFcand"] == 1)
        keep &= flat[str(lookup(cuts, "base_id", origin=origin))] == 1
    return keep & _isolated(flat, cuts, flavour)


def lepton_selection_promptMVA(
    events: Array,
    lepton_flavour: str,
    params: Params,
    year: str,
    apply_mva_cut: bool = True,
    mva_var: str = "mvaTTH_redo",
) -> tuple[Array, Array]:
    """Return (leptons, mask over ``events[lepton_flavour]``) of the selection for the prompt-lepton MVA.

    |eta| < eta, pt > pt, sip3d < sip3d, |dxy| < dxy, |dz| < dz, DeepFlavB of the lepton's jet <
    btag_cut[year], with ``apply_mva_cut`` also ``mva_var`` > mva_wp[year]. Electrons: outside the calorimeter
    gap, lostHits <= lostHits, isolated if there is an ``iso``. Muons: isolated, (isGlobal or isTracker) and
    isPFcand, the branch ``base_id``. Raises InvalidValue (a ValueError) for another flavour, UnknownKey for a
    missing cut, MissingBranch.
    """
    _check_flavour(lepton_flavour)
    cuts = lookup(params, "object_preselection", lepton_flavour)
    origin = _origin(lepton_flavour)
    flat = Flat(field_of(events, lepton_flavour, "lepton_selection_promptMVA"), lepton_flavour)
    keep = _kinematics(flat, cuts, lepton_flavour) & _prompt_quality(flat, cuts, lepton_flavour)
    keep &= _jet_score(events, flat) < lookup(cuts, "btag_cut", str(year), origin=origin)
    if apply_mva_cut:
        keep &= flat[mva_var] > lookup(cuts, "mva_wp", str(year), origin=origin)
    return flat.select(keep), flat.mask(keep)


_P4 = ("pt", "eta", "phi", "mass")


class _Pairs:
    """The lepton pairs of events where the first ``limit`` muons and electrons make exactly two leptons."""

    def __init__(self, electrons: Array | None, muons: Array | None, limit: int = 2) -> None:
        given = [
            (name, array) for name, array in (("muons", muons), ("electrons", electrons)) if array is not None
        ]
        if not given:
            msg = "give electrons, muons or both: None of the two was"
            raise InvalidType(msg)
        self.like: Array = given[0][1]
        self._flats = [Flat(array, name).without_missing() for name, array in given]
        taken = [np.minimum(flat.counts, limit) for flat in self._flats]
        self.valid: BoolArray = sum(taken[1:], taken[0]) == 2
        self._positions = [self._position(taken, n) for n in (0, 1)]

    def _position(self, taken: list[IntArray], n: int) -> IntArray:
        """Where the n-th lepton of each valid event is in the columns put one after the other."""
        first = taken[0][self.valid]
        positions = self._flats[0].offsets[:-1][self.valid] + n
        if len(taken) == 2:
            second = len(self._flats[0]) + self._flats[1].offsets[:-1][self.valid] + n - first
            positions = np.where(first > n, positions, second)
        return positions

    def leptons(self, field: str) -> tuple[FloatArray, FloatArray]:
        """Values of the first and second lepton in the valid events."""
        values = np.concatenate([flat[field] for flat in self._flats])
        first, second = (values[positions].astype(np.float64) for positions in self._positions)
        return first, second

    def fill(self, values: FloatArray, default: float) -> FloatArray:
        """Spread values of the valid events over all events, shape (n_events,)."""
        result = np.full(len(self.valid), default)
        result[self.valid] = values
        return result


def get_dilepton(electrons: Array | None, muons: Array | None, transverse: bool = False) -> Array:
    """Return one record (PtEtaPhiMCandidate) per event for its lepton pair, shape (n_events,).

    Of each collection the first two leptons count, muons before electrons; one collection may be None. Events
    where this does not make exactly two have pt = eta = phi = mass = charge = 0 and -1 in deltaR, deltaPhi,
    deltaEta (absolute) and l1/l2 pt, eta, phi, mass. The leptons are not ordered by pt. ``transverse`` sets
    eta to 0. Raises InvalidType (a TypeError) when both are None.
    """
    pairs = _Pairs(electrons, muons)
    columns = {name: pairs.leptons(name) for name in _P4}
    total = dict(zip(_P4, sum_p4([[columns[name][n] for name in _P4] for n in (0, 1)]), strict=True))
    total["charge"] = np.add(*pairs.leptons("charge"))
    if transverse:
        total["eta"] = np.zeros_like(total["eta"])
    fields = {name: pairs.fill(values, 0.0) for name, values in total.items()}
    dphi, deta = np.abs(delta_phi(*columns["phi"])), np.abs(np.subtract(*columns["eta"]))
    details = {"deltaR": np.hypot(dphi, deta), "deltaPhi": dphi, "deltaEta": deta}
    details |= {f"l{n + 1}{name}": columns[name][n] for name in ("phi", "pt", "eta", "mass") for n in (0, 1)}
    fields |= {name: pairs.fill(values, -1.0) for name, values in details.items()}
    return candidates(fields, pairs.like)


def get_diboson(dileptons: Array, MET: Array, transverse: bool = False) -> Array:
    """Return the dilepton plus the massless missing momentum (eta = 0), one PtEtaPhiMCandidate per event.

    ``transverse`` takes the dilepton at eta = 0 too. The charge is that of the dilepton.
    """
    pair = [ak.to_numpy(dileptons[name]).astype(np.float64) for name in _P4]
    zero = np.zeros(len(pair[0]))
    if transverse:
        pair[1] = zero
    met = (ak.to_numpy(MET.pt), zero, ak.to_numpy(MET.phi), zero)
    fields = dict(zip(_P4, sum_p4([pair, met]), strict=True))
    if "charge" in dileptons.fields:
        fields["charge"] = ak.to_numpy(dileptons["charge"]).astype(np.float64)
    return candidates(fields, dileptons)


def get_charged_leptons(
    electrons: Array | None, muons: Array | None, charge: int, mask: Array | None = None
) -> Array:
    """Return the lepton of this charge (+1 or -1) in events with two leptons of opposite charge, shape
    (n_events,).

    All leptons of both collections count. Other events, and those where ``mask`` (one bool per event) is
    False, have pt = mass = -999.9 and eta = phi = -9. Raises InvalidValue for another charge.
    """
    if charge not in (-1, 1):
        msg = f"get_charged_leptons: charge {charge!r} is not a lepton charge: 1 or -1"
        raise InvalidValue(msg)
    pairs = _Pairs(electrons, muons, limit=3)
    charges = pairs.leptons("charge")
    use = charges[0] * charges[1] < 0
    if mask is not None:
        use &= ak.to_numpy(ak.fill_none(mask, False)).astype(np.bool_)[pairs.valid]
    fields = {}
    for name, nothing in {"pt": -999.9, "eta": -9.0, "phi": -9.0, "mass": -999.9}.items():
        values = np.where(charges[0] == charge, *pairs.leptons(name))
        fields[name] = pairs.fill(np.where(use, values, nothing), nothing)
    fields["charge"] = pairs.fill(np.where(use, float(charge), -999.9), -999.9)
    return candidates(fields, pairs.like)
