"""Jets: selection, cleaning from leptons, b tagging, pairs; and the corrections of the missing momentum.

Selections return new collections; the events are never modified.
"""

from __future__ import annotations

import logging
from typing import Any, NoReturn

import awkward as ak
import numpy as np

from pocket_coffea.errors import MissingBranch, PhysicsNotAvailable
from pocket_coffea.lib.cleaning import lepton_directions
from pocket_coffea.lib.flat import Flat, candidates
from pocket_coffea.lib.four_vectors import components, delta_phi, from_components, sum_p4
from pocket_coffea.lib.jet_id import compute_jetId, flat_jet_id, is_fat
from pocket_coffea.lib.kernels import is_far_from
from pocket_coffea.lib.lookup import field_of, lookup
from pocket_coffea.lib.memo import ByValue, freeze, memoised
from pocket_coffea.lib.met import get_rho, met_correction_after_jec, met_xy_correction
from pocket_coffea.lib.nano import get_nano_version
from pocket_coffea.types import Array, BoolArray, FloatArray, Params

__all__ = [
    "JET_SORTIDX_FIELD",
    "CCsorted",
    "CvsLsorted",
    "ProbBsorted",
    "btagging",
    "compute_jetId",
    "get_dijet",
    "get_rho",
    "jet_correction",
    "jet_correction_correctionlib",
    "jet_puid_threshold",
    "jet_selection",
    "jets_in_original_order",
    "met_correction_after_jec",
    "met_xy_correction",
]

log = logging.getLogger(__name__)

#: Field in which jets that were sorted again remember their positions in the file.
JET_SORTIDX_FIELD = "pocket_sortidx"


_P4 = ("pt", "eta", "phi", "mass")


class TaggerNotAvailable(MissingBranch, NotImplementedError):
    """A jet tagger that is not known, or whose branches are not in the file."""


def jet_selection(
    events: Array,
    jet_type: str,
    params: Params,
    year: str,
    leptons_collection: str = "",
    jet_tagger: str = "",
) -> tuple[Array, Array]:
    """Return (selected jets, mask over ``events[jet_type]``) of ``params.object_preselection[jet_type]``.

    pt > pt, |eta| < eta, jet ID >= jetId; ``Jet`` of Run 2 up to NanoAOD 9 also the pile-up ID below
    puId.maxpt; ``FatJet`` also msoftdrop > msd. With ``leptons_collection`` (a field of the events) the jets
    are further than dr_lepton from all its leptons. The selected jets carry ``jetId_corrected``, and with
    ``jet_tagger`` (PNet, DeepFlav, RobustParT, UParT) btagB, btagCvL and btagCvB, or btagBB and btagCC for
    large-radius jets. Raises UnknownKey, MissingBranch, and TaggerNotAvailable (a NotImplementedError).
    """
    year = str(year)
    cuts = lookup(params, "object_preselection", jet_type)
    version = get_nano_version(events, params, year)
    jets = field_of(events, jet_type, "jet_selection")
    puid = _puid_cut(params, cuts, year) if jet_type == "Jet" and _has_puid(year, version) else None
    leptons = lepton_directions(events, leptons_collection, "jet_selection")

    def compute() -> tuple[Array, Array]:
        flat = Flat(jets, jet_type)
        jet_id = flat_jet_id(flat, jet_type, params, year, version)
        keep = _passes(flat, cuts, jet_type, jet_id, puid)
        if leptons is not None:
            keep = is_far_from(
                flat, [leptons], float(lookup(cuts, "dr_lepton", origin=_origin(jet_type))), keep
            )
        aliases = _tagger_fields(flat, jet_type, jet_tagger)
        return flat.select(keep, {"jetId_corrected": jet_id}, aliases), flat.mask(keep)

    key = ("jet_selection", jet_type, year, version, puid, leptons_collection, jet_tagger, freeze(cuts))
    by_value = [] if leptons is None else [ByValue(*leptons)]
    return memoised(events, key, [jet_type, *by_value], compute)


def _origin(jet_type: str) -> str:
    return f"params.object_preselection.{jet_type}"


def _passes(
    flat: Flat, cuts: Params, jet_type: str, jet_id: Any, puid: tuple[int, float] | None
) -> BoolArray:
    origin = _origin(jet_type)
    keep = flat["pt"] > lookup(cuts, "pt", origin=origin)
    keep &= np.abs(flat["eta"]) < lookup(cuts, "eta", origin=origin)
    keep &= jet_id >= lookup(cuts, "jetId", origin=origin)
    if puid is not None:
        keep &= (flat["puId"] >= puid[0]) | (flat["pt"] >= puid[1])
    if jet_type == "FatJet":
        keep &= flat["msoftdrop"] > lookup(cuts, "msd", origin=origin)
    return keep if flat.missing is None else keep & ~flat.missing


def _has_puid(year: str, version: int) -> bool:
    return version <= 9 and year.startswith(("2016", "2017", "2018"))


def _puid_cut(params: Params, cuts: Params, year: str) -> tuple[int, float] | None:
    """(smallest puId, pt from which on it is not asked for), or None when the analysis switched it off (puId:
    null).
    """
    if "puId" in cuts and cuts["puId"] is None:
        return None
    puid = lookup(cuts, "puId", origin=f"{_origin('Jet')} (write puId: null for no pile-up ID)")
    return jet_puid_threshold(params, year), float(lookup(puid, "maxpt", origin=f"{_origin('Jet')}.puId"))


def jet_puid_threshold(params: Params, year: str) -> int:
    """The smallest puId of ``object_preselection.Jet.puId``: the number of its working point ``wp`` in the
    year.

    Without ``wp`` its number ``value`` counts. Selection and scale factors both ask here, so that they cannot
    differ.
    """
    puid = lookup(params, "object_preselection", "Jet", "puId")
    if "wp" not in puid and "value" in puid:
        return int(puid["value"])
    wp = lookup(puid, "wp", origin=f"{_origin('Jet')}.puId")
    return int(lookup(params, "jet_scale_factors", "jet_puId", str(year), "working_point", wp))


_AK4_TAGGERS = {
    "PNet": "btagPNet",
    "DeepFlav": "btagDeepFlav",
    "RobustParT": "btagRobustParTAK4",
    "UParT": "btagUParTAK4",
}
#: For each tagger the branches of b and c scores, in the order in which they are looked for.
_AK8_TAGGERS = {
    "PNetMD": (("particleNet_XbbVsQCD", "particleNet_XccVsQCD"), ("particleNetMD_Xbb", "particleNetMD_Xcc")),
    "PNet": (
        ("particleNetWithMass_HbbvsQCD", "particleNetWithMass_HccvsQCD"),
        ("particleNet_HbbvsQCD", "particleNet_HccvsQCD"),
    ),
}


def _tagger_fields(flat: Flat, jet_type: str, jet_tagger: str) -> dict[str, str]:
    """{new name: branch} of the scores of a tagger; {} for none."""
    if not jet_tagger:
        return {}
    fat = is_fat(jet_type)
    known: dict[str, Any] = _AK8_TAGGERS if fat else _AK4_TAGGERS
    found = next((name for name in known if name in jet_tagger), None)
    if found is None:
        msg = f"jet_tagger {jet_tagger!r} is not known for {jet_type}; known: {', '.join(known)}"
        raise TaggerNotAvailable(msg)
    if fat:
        choices = [dict(zip(("btagBB", "btagCC"), branches, strict=True)) for branches in known[found]]
    else:
        choices = [{f"btag{score}": f"{known[found]}{score}" for score in ("B", "CvL", "CvB")}]
    for choice in choices:
        if all(branch in flat for branch in choice.values()):
            return choice
    wanted = " or ".join(", ".join(choice.values()) for choice in choices)
    msg = f"jet_tagger {jet_tagger!r}: {jet_type} has no {wanted}; choose a tagger that this NanoAOD has"
    raise TaggerNotAvailable(msg)


def btagging(Jet: Array, btag: Params, wp: str, veto: bool = False) -> Array:
    """Return the jets with a b-tag score > the working point ``wp`` (with ``veto``: < it); both strict.

    btag: ``params.btagging.working_point[year]``. Raises UnknownKey for a working point that the year has
    not.
    """
    algorithm = str(lookup(btag, "btagging_algorithm", origin="params.btagging.working_point[year]"))
    cut = float(lookup(btag, "btagging_WP", wp, origin="params.btagging.working_point[year]"))

    def compute() -> Array:
        flat = Flat(Jet, "jets")
        score = flat[algorithm]
        keep = score < cut if veto else score > cut
        return flat.select(keep if flat.missing is None else keep & ~flat.missing)

    return memoised(Jet, ("btagging", algorithm, cut, veto), [Jet], compute)


def _sorted_by(jets: Array, field: str, temp: Any) -> Array:
    if temp is not None:
        msg = f"sorting by {field}: temp={temp!r} has no meaning any more; choose jet_tagger in jet_selection"
        raise PhysicsNotAvailable(msg)
    return jets[
        ak.argsort(
            field_of(jets, field, "sorting (use jet_tagger in jet_selection)", "jets"), ascending=False
        )
    ]


def CvsLsorted(jets: Array, temp: Any = None) -> Array:
    """Jets by falling btagCvL, inside each event. ``temp`` is not None: NotImplementedError."""
    return _sorted_by(jets, "btagCvL", temp)


def ProbBsorted(jets: Array, temp: Any = None) -> Array:
    """Jets by falling btagB, inside each event. ``temp`` is not None: NotImplementedError."""
    return _sorted_by(jets, "btagB", temp)


def CCsorted(jets: Array, temp: Any = None) -> Array:
    """Large-radius jets by falling btagCC, inside each event. ``temp`` is not None: NotImplementedError."""
    return _sorted_by(jets, "btagCC", temp)


def jets_in_original_order(jets: Array) -> Array:
    """Jets in the order of the file, which the indices of other objects (Muon.jetIdx) count in.

    Undoes the sorting of a jet calibration, which left the positions in the field ``JET_SORTIDX_FIELD``.
    Jets without that field were never sorted and are returned as they are.
    """
    if JET_SORTIDX_FIELD not in jets.fields:
        return jets
    return jets[ak.argsort(jets[JET_SORTIDX_FIELD], axis=1)]


def _dijet_fields(flat: Flat, tagger_vars: bool) -> dict[str, FloatArray]:
    two = flat.counts >= 2

    def jet(field: str, n: int) -> FloatArray:
        return flat.nth(field, n)[two].astype(np.float64)

    def fill(values: FloatArray, default: float) -> FloatArray:
        result = np.full(len(two), default)
        result[two] = values
        return result

    p4 = [[jet(name, n) for name in _P4] for n in (0, 1)]
    fields = {name: fill(values, 0.0) for name, values in zip(_P4, sum_p4(p4), strict=True)}
    dphi, deta = np.abs(delta_phi(p4[0][2], p4[1][2])), np.abs(p4[0][1] - p4[1][1])
    details = {"deltaR": np.hypot(dphi, deta), "deltaPhi": dphi, "deltaEta": deta}
    for n, values in enumerate(p4, start=1):
        details |= {
            f"j{n}Phi": values[2],
            f"j{n}pt": values[0],
            f"j{n}eta": values[1],
            f"j{n}mass": values[3],
        }
        if tagger_vars:
            details |= {f"j{n}CvsL": jet("btagCvL", n - 1), f"j{n}CvsB": jet("btagCvB", n - 1)}
    return fields | {name: fill(values, -1.0) for name, values in details.items()}


def get_dijet(jets: Array, taggerVars: Any = True, remnant_jet: bool = False) -> Any:
    """Return one record per event for the first two jets together.

    pt, eta, phi, mass of their sum (0 with fewer than two jets); deltaR, deltaPhi and deltaEta (absolute),
    j1/j2 Phi, pt, eta, mass and with ``taggerVars`` CvsL, CvsB, which need ``jet_tagger`` in jet_selection
    (-1 with fewer than two). With ``remnant_jet`` also the four-vector sum of the jets after the second:
    (dijet, remnant). Raises PhysicsNotAvailable (a NotImplementedError) for a string in ``taggerVars``.
    """
    if not isinstance(taggerVars, (bool, int)):
        msg = f"get_dijet: taggerVars={taggerVars!r} must be True or False; name the tagger in jet_selection"
        raise PhysicsNotAvailable(msg)
    flat = Flat(jets, "jets").without_missing()
    fields = _dijet_fields(flat, bool(taggerVars))
    dijet = candidates(fields, jets)
    return (dijet, candidates(_remnant_fields(flat), jets)) if remnant_jet else dijet


def _remnant_fields(flat: Flat) -> dict[str, FloatArray]:
    event = flat.event_index()
    rest = np.arange(len(flat)) - flat.offsets[:-1][event] >= 2
    parts = components(*(flat[name][rest] for name in _P4))
    n_events = len(flat.offsets) - 1
    summed = from_components(*(np.bincount(event[rest], weights=part, minlength=n_events) for part in parts))
    return dict(zip(_P4, summed, strict=True))


def jet_correction(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable: jets are calibrated by a Calibrator."""
    msg = (
        "jet_correction: jets are not corrected by a function call any more. Remove the call and list a jet "
        "calibrator in Configurator(calibrators=[...]); without one the jets keep the calibration of the "
        "NanoAOD production"
    )
    raise PhysicsNotAvailable(msg)


def jet_correction_correctionlib(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable: see :func:`jet_correction`."""
    jet_correction()
