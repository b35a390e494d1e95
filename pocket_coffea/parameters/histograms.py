"""Ready-made histograms: ``variables = {**jet_hists(), **muon_hists(pos=0),
**count_hist("JetGood")}``.

Every helper returns a dictionary {name: HistConf}. A star import gives all of them, and the names
that configurations use along with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, List  # noqa: UP035  configurations take List from here

import yaml

from pocket_coffea.lib.hist_manager import Axis, HistConf

__all__ = [
    "Axis",
    "HistConf",
    "List",
    "collection_fields",
    "count_hist",
    "deepcopy",
    "default_axis_settings",
    "ele_hists",
    "fatjet_hists",
    "fatjet_taggers_hists",
    "genjet_hists",
    "jet_hists",
    "jet_taggers_hists",
    "lepton_hists",
    "math",
    "met_hists",
    "muon_hists",
    "parton_hists",
    "processing_metadata_hists",
    "sv_hists",
    "taggers_fields",
]

#: stages of the processing that the metadata histograms tell apart
STAGES = ("initial", "skim", "presel")


def _number(value: Any) -> Any:
    """Return a number of the YAML file, where "pi" and "-pi" stand for themselves."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    return {"pi": math.pi, "-pi": -math.pi}.get(value, value) if isinstance(value, str) else value


def _load() -> dict[str, Any]:
    """Read the default fields and axes that are shipped with the package."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


_defaults = _load()

#: {type of object: its fields}
collection_fields: dict[str, list[str]] = _defaults["collection_fields"]
#: {type of object: its tagger scores}
taggers_fields: dict[str, list[str]] = _defaults["taggers_fields"]
#: {"{type}_{field}": keywords of the Axis}
default_axis_settings: dict[str, dict[str, Any]] = {
    key: {name: value if name == "label" else _number(value) for name, value in setting.items()}
    for key, setting in _defaults["default_axis_settings"].items()
}


def _object_hists(
    kind: str,
    all_fields: dict[str, list[str]],
    *,
    coll: str,
    pos: int | None,
    fields: list[str] | None,
    name: str | None,
    axis_settings: dict[str, dict[str, Any]] | None,
    options: dict[str, Any],
) -> dict[str, HistConf]:
    """Return one histogram per field of a collection; fields that the type does not have are
    ignored.
    """
    hists = {}
    for field in all_fields[kind]:
        if fields is not None and field not in fields:
            continue
        key = f"{kind}_{field}"
        setting = deepcopy({**default_axis_settings[key], **(axis_settings or {}).get(key, {})})
        hist_name = f"{name or coll}_{field}"
        if pos is not None:
            setting["pos"] = pos
            setting["label"] = f"{setting['label']} for Obj. #{pos + 1}"
            hist_name += f"_{pos + 1}"
        hists[hist_name] = HistConf(axes=[Axis(**{"coll": coll, **setting})], **options)
    return hists


HistsHelper = Callable[..., dict[str, HistConf]]


def _helper(name: str, kind: str, default_coll: str, taggers: bool = False) -> HistsHelper:
    """Return the helper for one type of object."""
    all_fields = taggers_fields if taggers else collection_fields

    def helper(
        coll: str = default_coll,
        pos: int | None = None,
        fields: list[str] | None = None,
        name: str | None = None,
        axis_settings: dict[str, dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> dict[str, HistConf]:
        return _object_hists(
            kind,
            all_fields,
            coll=coll,
            pos=pos,
            fields=fields,
            name=name,
            axis_settings=axis_settings,
            options=kwargs,
        )

    helper.__name__ = helper.__qualname__ = name
    helper.__doc__ = (
        f"Return {{name: HistConf}} with one histogram per field: {', '.join(all_fields[kind])}.\n\n"
        "coll: the collection; pos: only the object at this position; fields: only these; name: "
        "prefix of the names\n"
        "instead of coll; axis_settings: "
        f"{{'{kind}_<field>': keywords of Axis that replace the default ones}};\n"
        "kwargs: keywords of HistConf. The names are '{name or coll}_{field}', and '_{pos + 1}' if "
        "pos is given."
    )
    return helper


jet_hists = _helper("jet_hists", "jet", "JetGood")
fatjet_hists = _helper("fatjet_hists", "fatjet", "FatJetGood")
genjet_hists = _helper("genjet_hists", "genjet", "MyGenJets")
parton_hists = _helper("parton_hists", "parton", "PartonMatched")
ele_hists = _helper("ele_hists", "electron", "ElectronGood")
muon_hists = _helper("muon_hists", "muon", "MuonGood")
lepton_hists = _helper("lepton_hists", "lepton", "LeptonGood")
met_hists = _helper("met_hists", "met", "MET")
sv_hists = _helper("sv_hists", "sv", "SV")
jet_taggers_hists = _helper("jet_taggers_hists", "jet", "JetGood", taggers=True)
fatjet_taggers_hists = _helper("fatjet_taggers_hists", "fatjet", "FatJetGood", taggers=True)


def count_hist(
    coll: str,
    bins: Any = 10,
    start: float = 0,
    stop: float = 9,
    label: str | None = None,  # noqa: ARG001  accepted and ignored, as ever
    name: str | None = None,
    **kwargs: Any,
) -> dict[str, HistConf]:
    """Return the histogram of the number of objects: of the event field ``n{coll}``, named so or
    ``name``.

    kwargs: keywords of HistConf. ``label`` is ignored.

    >>> list(count_hist("JetGood"))
    ['nJetGood']
    """
    axis = Axis(coll="events", field=f"n{coll}", bins=bins, start=start, stop=stop, label=f"$N_{{{coll}}}$")
    return {name or f"n{coll}": HistConf(axes=[axis], **kwargs)}


def processing_metadata_hists(only_cats: List[str], chunk_size: float) -> dict[str, HistConf]:  # noqa: UP006
    """Return the histograms of events per chunk and of events per second, at each stage of the
    processing.

    only_cats: the categories they have; chunk_size: events per chunk, the end of the axis.
    """
    options: dict[str, Any] = {
        "storage": "int64", "autofill": False, "metadata_hist": True, "no_weights": True, "variations": False,
        "only_categories": only_cats,
    }  # fmt: skip
    axes = {
        "events": Axis(
            coll="metadata", field="nevents", name="nevents", label="Events per chunk",
            bins=max(int(chunk_size / 500), 30), start=0, stop=chunk_size,
        ),
        "throughput": Axis(
            coll="metadata", field="throughput", name="throughput", label="Throughput [events/s]",
            bins=200, start=0, stop=50000,
        ),
    }  # fmt: skip
    return {
        f"{quantity}_per_chunk_{stage}": HistConf(axes=[deepcopy(axis)], **deepcopy(options))
        for quantity, axis in axes.items()
        for stage in STAGES
    }
