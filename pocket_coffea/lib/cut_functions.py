"""Ready-made cuts: triggers, event flags, certified luminosity, object multiplicities, b tags.

The ``get_*`` factories return a :class:`~pocket_coffea.lib.cut_definition.Cut` over events. The functions
behind them can be used in cuts of one's own; they are called as
``f(events, params, processor_params=..., year=..., sample=..., isMC=...)`` and return bool ``(n_events,)``.
Transverse momenta are in GeV. They raise MissingBranch when the events lack a collection or a field, and
UnknownKey when the parameters lack the year or the working point.

>>> cut = get_nObj_min(2, minpt=30, coll="JetGood")
>>> cut.name
'nJetGood_min2_pt30'
>>> events = ak.Array({"JetGood": [[{"pt": 50.0}, {"pt": 30.0}], [{"pt": 50.0}]]})
>>> cut.get_mask(events, processor_params={}).tolist()
[True, False]
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidType, InvalidValue
from pocket_coffea.lib.certified_lumis import load_certified_lumis
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.lookup import field_of, lookup
from pocket_coffea.lib.masks import event_mask
from pocket_coffea.lib.triggers import apply_trigger_mask, get_trigger_mask_byprimarydataset
from pocket_coffea.types import Array, BoolArray, IntArray, Params
from pocket_coffea.utils.metadata import to_bool

__all__ = [
    "Cut",
    "LumiMask",  # noqa: F822 - see __getattr__
    "ak",
    "apply_event_flags",
    "apply_golden_json",
    "count_objects_eq",
    "count_objects_gt",
    "count_objects_lt",
    "eq_nObj",
    "eq_nObj_minPt",
    "eventFlags",
    "get_HLTsel",
    "get_HLTsel_custom",
    "get_JetVetoMap",
    "get_L1sel",
    "get_L1sel_custom",
    "get_nBtag",
    "get_nBtagEq",
    "get_nBtagMin",
    "get_nElectron",
    "get_nMuon",
    "get_nObj_eq",
    "get_nObj_less",
    "get_nObj_min",
    "get_nPVgood",
    "goldenJson",
    "jet_veto_map",
    "less_nObj",
    "min_nObj",
    "min_nObj_minPt",
    "min_nPVgood",
    "nBtagEq",
    "nBtagMin",
    "nElectron",
    "nMuon",
    "np",
    "passthrough_f",
    "trigger_by_name",
    "trigger_by_primary_dataset",
]


def __getattr__(name: str) -> Any:
    if name == "LumiMask":  # coffea compiles its kernels on import: seconds, so only for who asks for it
        from coffea.lumi_tools import LumiMask

        return LumiMask
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def passthrough_f(events: Array, params: Any = None, **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """Keep every event."""
    return np.ones(len(events), dtype=bool)


# ---------------------------------------------------------------- triggers


def trigger_by_primary_dataset(
    events: Array,
    params: dict[str, Any],
    *,
    processor_params: Params,
    year: str,
    isMC: bool,
    **kwargs: Any,  # noqa: ARG001
) -> BoolArray:
    """OR of the triggers in ``parameters.{type}_triggers[year]``; params: type, primaryDatasets, invert."""
    kind = params["type"]
    return get_trigger_mask_byprimarydataset(
        events,
        lookup(processor_params, f"{kind}_triggers", year),
        year,
        isMC,
        primaryDatasets=params["primaryDatasets"],
        invert=params["invert"],
        trigger_prefix=f"{kind}_",
    )


def trigger_by_name(
    events: Array,
    params: dict[str, Any],
    *,
    year: str,
    **kwargs: Any,  # noqa: ARG001
) -> BoolArray:
    """OR of a list of triggers; params: type, triggers, invert."""
    return apply_trigger_mask(
        events, params["triggers"], year, invert=params["invert"], trigger_type=params["type"]
    )


def _names(given: str | Sequence[str] | None, factory: str) -> list[str]:
    """A name or a list of names as a list."""
    names: list[Any] = [given] if isinstance(given, str) else list(given or [])
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        msg = f"{factory} takes names of primary datasets or triggers, but got {wrong[0]!r}."
        raise InvalidType(msg)
    return names


def _check_invert(invert: Any, factory: str) -> None:
    """Refuse a name or a list in the place of ``invert``: being true, it would turn the cut around."""
    if not isinstance(invert, bool | np.bool_):
        msg = (
            f"{factory}: invert is True or False, but got {invert!r}. Put all names into one list, the first "
            "argument (a key of triggers in front of it, as in old releases, is not needed)."
        )
        raise InvalidType(msg)


def _trigger_cut(kind: str, datasets: str | Sequence[str] | None, invert: bool) -> Cut:
    names = _names(datasets, f"get_{kind}sel")
    _check_invert(invert, f"get_{kind}sel")
    name = "_".join([f"{kind}_trigger", *names, *(["NOT"] if invert else [])])
    params = {"type": kind, "primaryDatasets": names or None, "invert": bool(invert)}
    return Cut(name=name, params=params, function=trigger_by_primary_dataset)


def _custom_trigger_cut(kind: str, triggers: str | Sequence[str], invert: bool) -> Cut:
    names = _names(triggers, f"get_{kind}sel_custom")
    _check_invert(invert, f"get_{kind}sel_custom")
    if not names:
        msg = f"get_{kind}sel_custom needs at least one trigger."
        raise InvalidValue(msg)
    name = "_".join([f"{kind}_trigger", *names, *(["NOT"] if invert else [])])
    params = {"type": kind, "triggers": names, "invert": bool(invert)}
    return Cut(name=name, params=params, function=trigger_by_name)


def get_HLTsel(primaryDatasets: str | Sequence[str] | None = None, invert: bool = False) -> Cut:
    """Cut on the HLT paths of ``parameters.HLT_triggers[year]``.

    ``primaryDatasets``: one name or a list, applied to data and MC alike. Without it MC passes with any path
    of any primary dataset, data only with the paths of its own (``metadata["primaryDataset"]``). ``invert``
    keeps the events that no path selected. Name: ``HLT_trigger[_{dataset}...][_NOT]``.
    """
    return _trigger_cut("HLT", primaryDatasets, invert)


def get_L1sel(primaryDatasets: str | Sequence[str] | None = None, invert: bool = False) -> Cut:
    """Like :func:`get_HLTsel` for ``parameters.L1_triggers`` and ``events.L1``."""
    return _trigger_cut("L1", primaryDatasets, invert)


def get_HLTsel_custom(trigger_list: str | Sequence[str], invert: bool = False) -> Cut:
    """Cut on the OR of the listed HLT paths, ``HLT_`` optional. Name: ``HLT_trigger_{path}_...[_NOT]``."""
    return _custom_trigger_cut("HLT", trigger_list, invert)


def get_L1sel_custom(trigger_list: str | Sequence[str], invert: bool = False) -> Cut:
    """Like :func:`get_HLTsel_custom` for L1 seeds."""
    return _custom_trigger_cut("L1", trigger_list, invert)


# ---------------------------------------------------------------- data quality


def apply_event_flags(
    events: Array,
    params: Any,  # noqa: ARG001
    *,
    processor_params: Params,
    year: str,
    isMC: bool,
    **kwargs: Any,  # noqa: ARG001
) -> BoolArray:
    """AND of the filters in ``parameters.event_flags[year]``, in data also ``event_flags_data[year]``.

    Raises UnknownKey for a year without flags, MissingBranch for a flag that is not in the file.
    """
    names = list(lookup(processor_params, "event_flags", year))
    if not to_bool(isMC):
        names += lookup(processor_params, "event_flags_data", year)
    who = "the cut event_flags"
    flags = field_of(events, "Flag", who)
    passed = np.ones(len(events), dtype=bool)
    for name in names:
        passed &= event_mask(field_of(flags, name, who, owner="events.Flag"), len(events), who)
    return passed


def apply_golden_json(
    events: Array,
    params: Any,  # noqa: ARG001
    *,
    processor_params: Params,
    year: str,
    isMC: bool,
    **kwargs: Any,  # noqa: ARG001
) -> BoolArray:
    """Data in certified luminosity sections (``parameters.lumi.goldenJSON[year]``); MC passes.

    Raises UnknownKey for a year without a file, DataFileNotFound when the file is nowhere to be found.
    """
    if to_bool(isMC):
        return np.ones(len(events), dtype=bool)
    from pocket_coffea.utils.data_files import resolve_data_file

    path = resolve_data_file(lookup(processor_params, "lumi", "goldenJSON", year))
    run = field_of(events, "run", "the cut golden_json_lumi")
    section = field_of(events, "luminosityBlock", "the cut golden_json_lumi")
    return load_certified_lumis(path)(run, section)


eventFlags = Cut(name="event_flags", params={}, function=apply_event_flags)
goldenJson = Cut(name="golden_json_lumi", params={}, function=apply_golden_json)


def min_nPVgood(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """At least ``N`` good primary vertices (``events.PV.npvsGood``)."""
    vertices = field_of(events, "PV", "the cut on good vertices")
    good = field_of(vertices, "npvsGood", "the cut on good vertices", owner="events.PV")
    return _compare(operator.ge, ak.to_numpy(good), params["N"])


def get_nPVgood(N: int, name: str | None = None) -> Cut:
    """Cut on at least ``N`` good primary vertices. Name: ``nPVgood_{N}``."""
    return Cut(name=name or f"nPVgood_{N}", params={"N": N}, function=min_nPVgood)


def jet_veto_map(
    events: Array,
    params: dict[str, Any],
    *,
    processor_params: Params,
    year: str,
    **kwargs: Any,  # noqa: ARG001
) -> BoolArray:
    """No good jet in a vetoed region of the detector (Run 3).

    Good: corrected jet identification >= 6 (tight, lepton veto), pt > 15 GeV, ``|eta|`` < 5.19,
    electromagnetic fraction < 0.9. Source: "jetvetomap" of the correction ``name`` in
    ``parameters.jet_scale_factors.vetomaps[year].file``.

    Raises UnknownKey for a year without map.
    """
    from pocket_coffea.lib.correction_cache import get_correction
    from pocket_coffea.lib.jets import compute_jetId

    coll = params.get("coll", "Jet")
    source = lookup(processor_params, "jet_scale_factors", "vetomaps", year)
    jets = Flat(field_of(events, coll, "the jet veto map"), coll)
    identified = ak.to_numpy(ak.flatten(compute_jetId(events, coll, processor_params, year), axis=1))
    # The map is defined on the closed interval; phi of float32 may lie just outside.
    eta, phi = jets["eta"], np.clip(jets["phi"], -3.14159, 3.14159)
    em_fraction = jets["chEmEF"] + jets["neEmEF"]
    good = (identified >= 6) & (np.abs(eta) < 5.19) & (jets["pt"] > 15) & (em_fraction < 0.9)
    veto = get_correction(source["file"], source["name"]).evaluate(
        "jetvetomap", eta[good].astype(np.float64), phi[good].astype(np.float64)
    )
    return np.bincount(jets.event_index()[good], weights=veto, minlength=len(events)) == 0


def get_JetVetoMap(name: str = "JetVetoMaps") -> Cut:
    """Cut on events without jets in the vetoed regions; see :func:`jet_veto_map`."""
    return Cut(name=name, params={"coll": "Jet"}, function=jet_veto_map)


# ---------------------------------------------------------------- multiplicities

_Comparison = Callable[[Any, Any], Any]


def _compare(comparison: _Comparison, counts: Any, limit: float) -> BoolArray:
    return event_mask(comparison(counts, limit), len(counts), "a cut on a number of objects")


def _number(events: Array, coll: str) -> Any:
    """Objects per event: the field ``n{coll}`` where a workflow counted, else the length of the lists."""
    counted = f"n{coll}"
    if counted in events.fields:
        return ak.to_numpy(events[counted], allow_missing=True)
    objects = field_of(events, coll, f"a cut on the number of {coll}")
    return ak.to_numpy(ak.num(objects, axis=1), allow_missing=True)


def _number_passing(objects: Flat, keep: BoolArray) -> IntArray:
    """How many objects of each event ``keep`` marks."""
    below = np.zeros(len(keep) + 1, dtype=np.int64)
    np.cumsum(keep, out=below[1:])
    return np.diff(below[objects.offsets])


def _objects(events: Array, coll: str) -> Flat:
    return Flat(field_of(events, coll, f"a cut on the number of {coll}"), coll)


def _number_above(events: Array, coll: str, minpt: float) -> IntArray:
    """Objects with ``pt >= minpt``, per event."""
    objects = _objects(events, coll)
    return _number_passing(objects, objects["pt"] >= minpt)


def min_nObj(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """At least ``N`` objects of ``coll``."""
    return _compare(operator.ge, _number(events, params["coll"]), params["N"])


def min_nObj_minPt(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """At least ``N`` objects of ``coll`` with ``pt >= minpt``."""
    return _compare(operator.ge, _number_above(events, params["coll"], params["minpt"]), params["N"])


def less_nObj(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """Fewer than ``N`` objects of ``coll``."""
    return _compare(operator.lt, _number(events, params["coll"]), params["N"])


def eq_nObj(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """Exactly ``N`` objects of ``coll``."""
    return _compare(operator.eq, _number(events, params["coll"]), params["N"])


def eq_nObj_minPt(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """Exactly ``N`` objects of ``coll`` with ``pt >= minpt``."""
    return _compare(operator.eq, _number_above(events, params["coll"], params["minpt"]), params["N"])


def _count_objects(events: Array, params: dict[str, Any], comparison: _Comparison) -> BoolArray:
    coll = params["object"]
    objects = field_of(events, coll, f"a cut on the number of {coll}")
    return _compare(comparison, ak.to_numpy(ak.num(objects, axis=1), allow_missing=True), params["value"])


def count_objects_gt(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """More than ``value`` objects of the collection ``object``."""
    return _count_objects(events, params, operator.gt)


def count_objects_lt(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """Fewer than ``value`` objects of the collection ``object``."""
    return _count_objects(events, params, operator.lt)


def count_objects_eq(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """Exactly ``value`` objects of the collection ``object``."""
    return _count_objects(events, params, operator.eq)


def _check_count(factory: str, N: object, minpt: object, coll: object) -> None:
    if not all(isinstance(number, numbers.Real) for number in (N, minpt or 0)) or not isinstance(coll, str):
        msg = (
            f"{factory}(N, minpt, coll) got N={N!r}, minpt={minpt!r}, coll={coll!r}: N is a number, minpt "
            "another one or None, coll the name of a collection."
        )
        raise InvalidType(msg)


def _multiplicity_cut(
    label: str, functions: tuple[Any, Any], *, N: int, minpt: float | None, coll: str, name: str | None
) -> Cut:
    """``functions``: (without minpt, with minpt)."""
    _check_count(f"get_nObj_{label}", N, minpt, coll)
    if minpt:
        default = f"n{coll}_{label}{N}_pt{minpt}"
        return Cut(name or default, {"N": N, "minpt": minpt, "coll": coll}, functions[1])
    return Cut(name or f"n{coll}_{label}{N}", {"N": N, "coll": coll}, functions[0])


def get_nObj_min(N: int, minpt: float | None = None, coll: str = "JetGood", name: str | None = None) -> Cut:
    """At least ``N`` objects, with ``pt >= minpt`` [GeV] if given. Name: ``n{coll}_min{N}[_pt{minpt}]``.

    Without ``minpt`` the field ``n{coll}`` is read, if the workflow made it; else the objects are counted.
    Raises InvalidType when ``N`` is not a number or ``coll`` not a name.
    """
    return _multiplicity_cut("min", (min_nObj, min_nObj_minPt), N=N, minpt=minpt, coll=coll, name=name)


def get_nObj_eq(N: int, minpt: float | None = None, coll: str = "JetGood", name: str | None = None) -> Cut:
    """Exactly ``N`` objects, otherwise as :func:`get_nObj_min`. Name: ``n{coll}_eq{N}[_pt{minpt}]``."""
    return _multiplicity_cut("eq", (eq_nObj, eq_nObj_minPt), N=N, minpt=minpt, coll=coll, name=name)


def get_nObj_less(N: int, coll: str = "JetGood", name: str | None = None) -> Cut:
    """Fewer than ``N`` objects. Name: ``n{coll}_less{N}``."""
    return _multiplicity_cut("less", (less_nObj, less_nObj), N=N, minpt=None, coll=coll, name=name)


# ---------------------------------------------------------------- b tags


def _number_btagged(events: Array, params: dict[str, Any], processor_params: Params, year: str) -> Any:
    """B-tagged jets per event; the collection ``BJetGood`` holds only tagged jets already."""
    coll, minpt = params["coll"], params["minpt"]
    if coll == "BJetGood":
        if minpt > 0:
            return _number_above(events, coll, minpt)
        counted = field_of(events, "nBJetGood", "a cut on the number of b-tagged jets (see count_objects)")
        return ak.to_numpy(counted, allow_missing=True)
    tagging = lookup(processor_params, "btagging", "working_point", year)
    where = f"parameters.btagging.working_point.{year}"
    algorithm = lookup(tagging, "btagging_algorithm", origin=where)
    working_point = lookup(tagging, "btagging_WP", params["wp"], origin=where)
    jets = _objects(events, coll)
    keep = jets[algorithm] > working_point
    if minpt > 0:
        keep = keep & (jets["pt"] >= minpt)
    return _number_passing(jets, keep)


def nBtagMin(
    events: Array,
    params: dict[str, Any],
    *,
    processor_params: Params,
    year: str,
    **kwargs: Any,  # noqa: ARG001
) -> BoolArray:
    """At least ``N`` b-tagged jets of ``coll``, ``score > wp`` and ``pt >= minpt``."""
    return _compare(operator.ge, _number_btagged(events, params, processor_params, year), params["N"])


def nBtagEq(
    events: Array,
    params: dict[str, Any],
    *,
    processor_params: Params,
    year: str,
    **kwargs: Any,  # noqa: ARG001
) -> BoolArray:
    """Exactly ``N`` b-tagged jets of ``coll``, ``score > wp`` and ``pt >= minpt``."""
    return _compare(operator.eq, _number_btagged(events, params, processor_params, year), params["N"])


def get_nBtagMin(
    N: int, minpt: float = 0, coll: str = "BJetGood", wp: str = "M", name: str | None = None
) -> Cut:
    """At least ``N`` b-tagged jets. Name: ``n{coll}_btagMin{N}_pt{minpt}``.

    For ``BJetGood`` the workflow has tagged already: ``wp`` is not used, and without ``minpt`` the field
    ``nBJetGood`` is read. Otherwise the score of ``parameters.btagging.working_point[year]`` must exceed the
    value of the working point ``wp``.
    """
    _check_count("get_nBtagMin", N, minpt, coll)
    params = {"N": N, "coll": coll, "minpt": minpt, "wp": wp}
    return Cut(name or f"n{coll}_btagMin{N}_pt{minpt}", params, nBtagMin)


def get_nBtagEq(
    N: int, minpt: float = 0, coll: str = "BJetGood", wp: str = "M", name: str | None = None
) -> Cut:
    """Exactly ``N`` b-tagged jets, see :func:`get_nBtagMin`. Name: ``n{coll}_btagEq{N}_pt{minpt}``."""
    _check_count("get_nBtagEq", N, minpt, coll)
    params = {"N": N, "coll": coll, "minpt": minpt, "wp": wp}
    return Cut(name or f"n{coll}_btagEq{N}_pt{minpt}", params, nBtagEq)


def get_nBtag(*args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG001
    """Not available any more; always raises InvalidValue."""
    msg = (
        "get_nBtag is deprecated: use get_nBtagMin(N, ...) for at least N, get_nBtagEq(N, ...) for exactly N."
    )
    raise InvalidValue(msg)


# ---------------------------------------------------------------- leptons


def _check_leptons(flavour: str, coll: str) -> None:
    allowed = (flavour, f"{flavour}Good")
    if coll not in allowed:
        msg = (
            f"n{flavour} counts {' or '.join(allowed)}, not {coll!r}; use get_nObj_min for other collections."
        )
        raise InvalidValue(msg)


def _min_leptons(flavour: str, events: Array, params: dict[str, Any]) -> BoolArray:
    coll = params["coll"]
    _check_leptons(flavour, coll)
    leptons = _objects(events, coll)
    return _compare(operator.ge, _number_passing(leptons, leptons["pt"] > params["minpt"]), params["N"])


def nElectron(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """At least ``N`` electrons of ``coll`` (Electron or ElectronGood) with ``pt > minpt``."""
    return _min_leptons("Electron", events, params)


def nMuon(events: Array, params: dict[str, Any], **kwargs: Any) -> BoolArray:  # noqa: ARG001
    """At least ``N`` muons of ``coll`` (Muon or MuonGood) with ``pt > minpt``."""
    return _min_leptons("Muon", events, params)


def get_nElectron(N: int, minpt: float = 0, coll: str = "ElectronGood", name: str | None = None) -> Cut:
    """At least ``N`` electrons with ``pt > minpt`` [GeV]. Name: ``n{coll}_{N}_pt{minpt}``."""
    _check_leptons("Electron", coll)
    return Cut(name or f"n{coll}_{N}_pt{minpt}", {"N": N, "minpt": minpt, "coll": coll}, nElectron)


def get_nMuon(N: int, minpt: float = 0, coll: str = "MuonGood", name: str | None = None) -> Cut:
    """At least ``N`` muons with ``pt > minpt`` [GeV]. Name: ``n{coll}_{N}_pt{minpt}``."""
    _check_leptons("Muon", coll)
    return Cut(name or f"n{coll}_{N}_pt{minpt}", {"N": N, "minpt": minpt, "coll": coll}, nMuon)
