"""The compiled filling gives what ``hist.Hist.fill`` gives, bin by bin, for whatever is configured."""

from __future__ import annotations

from typing import ClassVar

import awkward as ak
import hist
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocket_coffea.lib import hist_fill
from pocket_coffea.lib.hist_manager import Axis, HistConf, HistManager

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
CATEGORIES = ["zeta", "alpha", "mid", "never"]
SUBSAMPLES = ["S__a", "S__b"]
VARIATIONS = {
    "weights": {"zeta": ["pileup"], "alpha": ["pileup", "sf"], "mid": [], "never": ["pileup"]},
    "shape": {"zeta": ["calib"], "alpha": ["calib"], "mid": [], "never": []},
    "by_subsample": {
        "S__b": {
            "weights": {"mid": ["own"], "zeta": [], "alpha": ["own"], "never": []},
            "shape": {"mid": ["calib"]},
        }
    },
}


class Events(ak.Array):
    """Events with metadata, as the event source gives them."""

    @property
    def metadata(self):
        return {"year": "2018", "part": 3, "label": "b"}


class Selection:
    """A prepared selection."""

    def __init__(self, masks):
        self.masks = masks

    def get_masks(self):
        yield from self.masks.items()

    def __iter__(self):
        return iter(self.masks)


class Weights:
    """Weights by (category, subsample, modifier); categories "zeta" and "alpha" share theirs."""

    def __init__(self, n, rng, whole):
        self.n, self.rng, self.whole, self.cache = n, rng, whole, {}

    def get_available_modifiers_byweight(self, weight):
        return [f"{weight}Up", f"{weight}Down"]

    def get_weight(self, category=None, subsample=None, modifier=None):
        key = ("shared" if category in ("zeta", "alpha") else category, subsample, modifier)
        if key not in self.cache:
            weight = self.rng.normal(0.5, 1.0, self.n)
            self.cache[key] = np.rint(weight * 3) if self.whole else weight
        return self.cache[key]


class Calibrators:
    available_variations: ClassVar = ["nominal", "calibUp", "calibDown", "otherUp"]
    available_variations_bycalibrator: ClassVar = {"calib": ["calibUp", "calibDown"], "other": ["otherUp"]}


def some_values(rng, n):
    values = rng.normal(0.5, 0.6, n)
    values[rng.random(n) < 0.1] = np.nan
    values[rng.random(n) < 0.05] = np.inf
    values[rng.random(n) < 0.05] = -np.inf
    on_edge = rng.random(n) < 0.2
    values[on_edge] = rng.choice([0.0, 0.25, 0.5, 1.0, -0.5], on_edge.sum())
    return values


def with_none(rng, values, fraction=0.2):
    return ak.mask(ak.Array(values), rng.random(len(values)) > fraction)


def make_events(rng, n):
    counts = rng.integers(0, 4, n)
    total = int(counts.sum())
    jets = ak.zip(
        {
            "pt": ak.unflatten(with_none(rng, some_values(rng, total)), counts),
            "n": ak.unflatten(rng.integers(-3, 6, total), counts),
            "f4": ak.unflatten(some_values(rng, total).astype(np.float32), counts),
        },
        depth_limit=2,
    )
    fields = {
        "x": with_none(rng, some_values(rng, n)),
        "y": some_values(rng, n).astype(np.float32),
        "n": rng.integers(-3, 6, n),
        "flag": rng.random(n) < 0.5,
        "J": jets,
        "MET": ak.zip({"pt": some_values(rng, n)}),
        "js": ak.unflatten(rng.normal(0.5, 0.5, total), counts),
    }
    custom = {
        "c": rng.normal(0.5, 0.5, n),
        "flav": rng.integers(0, 6, n),
        "tag": ak.Array(list(rng.choice(["a", "b", "zz"], n))),
        "jc": ak.unflatten(rng.normal(0.5, 0.5, total), counts),
        "one": 0.3,
    }
    events = ak.zip(fields, depth_limit=1, with_name="TestEvents", behavior={("*", "TestEvents"): Events})
    # a filtered array, so that layouts are indexed
    keep = ak.Array(rng.random(n) < 0.8)
    return events[keep], {k: v if k == "one" else v[keep] for k, v in custom.items()}


FLOW = [{}, {"underflow": False}, {"overflow": False}, {"underflow": False, "overflow": False}]


@st.composite
def axes(draw):
    """Axes of one histogram: all per event, or all per object."""
    jagged = draw(st.booleans())
    if jagged:
        sources = draw(
            st.sampled_from([[("J", "pt"), ("J", "n"), ("J", "f4")], [("events", "js")], [("custom", "jc")]])
        )
        sources = [(*source, None) for source in sources]
    else:
        sources = [("events", f, None) for f in ("x", "y", "n", "flag")] + [
            ("MET", "pt", None),
            ("custom", "c", None),
        ]
        sources += [
            ("J", "pt", 0),
            ("J", "pt", 1),
            ("J", "n", 2),
            ("metadata", "part", None),
            ("custom", "one", None),
        ]
    out = []
    for i in range(draw(st.integers(0 if not jagged else 1, 2))):
        coll, field, pos = draw(st.sampled_from(sources))
        flow = draw(st.sampled_from(FLOW))
        kind = draw(st.sampled_from(["regular", "variable", "int", "list", "log", "growth"]))
        common = {"coll": coll, "field": field, "pos": pos, "label": "l", "name": f"ax{i}"}
        if field == "n" and kind == "int":
            common |= {"type": "int", "start": -1, "stop": 4, "growth": draw(st.booleans()), **flow}
            common |= {"underflow": True, "overflow": True} if common["growth"] else {}
        elif kind == "growth" and field in ("c", "jc", "js"):
            common |= {"bins": 3, "start": 0.0, "stop": 1.0, "growth": True}
        elif kind == "log":
            common |= {"bins": 3, "start": 0.1, "stop": 10.0, "transform": hist.axis.transform.log}
        elif kind == "variable":
            common |= {"bins": [-0.5, 0.1, 0.5, 1.0], "type": "variable", **flow}
        elif kind == "list":
            common |= {"bins": [0.0, 0.25, 3.0], **flow}
        else:
            common |= {"bins": draw(st.integers(1, 7)), "start": -0.5, "stop": 1.0, **flow}
        out.append(Axis(**common))
    if draw(st.booleans()):
        out.append(draw(st.sampled_from(CATEGORICAL)) if not jagged else CATEGORICAL[0])
    return out


CATEGORICAL = [
    Axis(coll="metadata", field="year", label="year", type="strcat", bins=["2017", "2018"], name="year"),
    Axis(coll="custom", field="flav", label="flav", type="intcat", bins=[4, 5, 0], name="flav"),
    Axis(coll="custom", field="tag", label="tag", type="strcat", bins=["b", "a"], name="tag"),
    Axis(coll="custom", field="tag", label="tag", type="strcat", bins=["b"], growth=True, name="tag"),
]


@st.composite
def confs(draw):
    """One HistConf and whether it gets a custom weight."""
    conf = HistConf(draw(axes()), storage=draw(st.sampled_from(["weight", "double", "unlimited"])))
    conf.variations = draw(st.booleans())
    conf.no_weights = draw(st.sampled_from([False, False, True]))
    conf.collapse_2D_masks = True
    conf.collapse_2D_masks_mode = draw(st.sampled_from(["OR", "AND"]))
    conf.exclude_categories = draw(st.sampled_from([None, ["mid"], ["zeta", "never"]]))
    conf.only_categories = draw(st.sampled_from([None, None, ["alpha", "zeta"]]))
    conf.only_variations = draw(st.sampled_from([None, None, ["pileupUp", "calib"], ["ownDown"]]))
    if draw(st.booleans()) and conf.no_weights:
        conf.storage = "int64"
    return conf


def naive_values(axis, events, custom):
    """The values of an axis with awkward operations: an array, or a scalar."""
    if axis.coll == "metadata":
        return events.metadata[axis.field]
    if axis.coll == "custom":
        return custom[axis.field]
    values = events[axis.field] if axis.coll == "events" else events[axis.coll][axis.field]
    return values if axis.pos is None else ak.pad_none(values, axis.pos + 1)[:, axis.pos]


def naive_fill(h, conf, axes, where, mask, weight, events, custom):
    """Select, broadcast, flatten, drop missing entries, and fill one category and variation."""
    arrays = {axis.name: naive_values(axis, events, custom) for axis in axes}
    template = next((a for a in arrays.values() if isinstance(a, ak.Array) and a.ndim == 2), events["n"])
    template = ak.fill_none(template, 0)
    if ak.Array(mask).ndim == 2 and template.ndim == 1:
        some = ak.any(mask, axis=1)
        mask = some if conf.collapse_2D_masks_mode == "OR" else some & ak.all(mask, axis=1)
    keep, weight = ak.broadcast_arrays(ak.Array(mask), weight, template)[:2]
    keep, weight = (ak.to_numpy(ak.flatten(a, axis=None)) for a in (keep, weight))
    flat, valid = {}, np.ones(len(keep), dtype=bool)
    for name, values in arrays.items():
        if not isinstance(values, ak.Array | np.ndarray):
            flat[name] = values
            continue
        flat[name] = ak.flatten(values) if ak.Array(values).ndim == 2 else ak.Array(values)
        valid &= ~ak.to_numpy(ak.is_none(flat[name]))
    keep = keep & valid
    if not keep.any():
        return
    filled = {}
    for name, values in flat.items():
        full = [values] * len(keep) if not isinstance(values, ak.Array) else values[keep]
        filled[name] = full[: keep.sum()] if isinstance(full, list) else ak.to_numpy(full)
    filled = {k: np.asarray(v) for k, v in filled.items()}
    if not filled:
        where = {k: [v] * int(keep.sum()) for k, v in where.items()}
    h.fill(**where, **filled, weight=None if weight is None else weight[keep])


def naive(h, manager, conf, subsample, events, categories, sub_mask, custom, factor, shape):
    """Fill ``h`` with Hist.fill alone."""
    table = VARIATIONS["by_subsample"].get(subsample, {})
    shapes = {"calibUp", "calibDown"}
    for category in h.axes["cat"]:
        mask = categories[category]
        if sub_mask is not None:
            mask = ak.Array(mask) & sub_mask
        labels = list(h.axes["variation"]) if manager.isMC else [None]
        for label in labels:
            weight = np.ones(len(events))
            if manager.isMC and shape != "nominal":
                asked = "calib" in VARIATIONS["shape"][category] or "calib" in table.get("shape", {}).get(
                    category, []
                )
                if label != shape or not asked:
                    continue
            elif manager.isMC and (label in shapes or (conf.no_weights and label != "nominal")):
                continue
            if not conf.no_weights:
                known = VARIATIONS["weights"][category] + table.get("weights", {}).get(category, [])
                mod = (
                    label
                    if label and label not in shapes and any(label.startswith(w) for w in known)
                    else None
                )
                full = None if subsample == "S" else subsample
                weight = manager.weights_manager.get_weight(category, full, mod)
            if factor is not None:
                weight = weight * factor
            where = {"cat": category} | ({"variation": label} if label else {})
            naive_fill(h, conf, conf.axes, where, mask, weight, events, custom)


@st.composite
def cases(draw):
    return {
        "seed": draw(st.integers(0, 2**31)),
        "n": draw(st.sampled_from([0, 1, 3, 20, 60])),
        "confs": draw(st.lists(confs(), min_size=1, max_size=3)),
        "jagged_masks": draw(st.booleans()),
        "jagged_subs": draw(st.booleans()),
        "subsamples": draw(st.booleans()),
        "isMC": draw(st.booleans()),
        "whole": draw(st.booleans()),
        "custom_weight": draw(st.booleans()),
        "rare": draw(st.booleans()),
        "tiny_memory": draw(st.booleans()),
    }


def make_masks(rng, events, names, jagged, probability):
    masks = {}
    for name in names:
        if jagged:
            counts = ak.num(events.J.n)
            masks[name] = ak.unflatten(rng.random(int(ak.sum(counts))) < probability, counts)
        else:
            masks[name] = rng.random(len(events)) < probability
    if "never" in masks:
        masks["never"] = masks["never"] & False
    return masks


def assert_same(one, two):
    for a, b in zip(one.axes, two.axes, strict=True):  # the edges of a growing axis depend on the order
        assert a == b or isinstance(a, hist.axis.StrCategory) or np.allclose(a.edges, b.edges)
    if isinstance(one.axes[-1], hist.axis.StrCategory) and one.axes[-1] != two.axes[-1]:
        assert sorted(one.axes[-1]) == sorted(two.axes[-1])
        for label in two.axes[-1]:
            assert_same(one[..., hist.loc(label)], two[..., hist.loc(label)])
        return
    a, b = one.view(flow=True), two.view(flow=True)
    if a.dtype.names:
        np.testing.assert_allclose(a["value"], b["value"], rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(a["variance"], b["variance"], rtol=1e-11, atol=1e-11)
    else:
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shapes", [["nominal"], ["nominal", "calibUp"]])
@SETTINGS
@given(case=cases())
def test_equals_plain_hist_filling(shapes, case):
    rng = np.random.default_rng(case["seed"])
    events, custom = make_events(rng, case["n"])
    if not case["isMC"]:
        shapes = ["nominal"]
    names = SUBSAMPLES if case["subsamples"] else ["S"]
    configs = {f"h{i}": conf for i, conf in enumerate(case["confs"])}
    weights = Weights(len(events), rng, case["whole"])
    manager = HistManager(
        configs, "2018", "S", names, CATEGORIES, VARIATIONS if case["isMC"] else None, None, weights,
        Calibrators() if case["isMC"] else None, isMC=case["isMC"],
    )  # fmt: skip
    probability = 0.05 if case["rare"] else 0.6
    categories = make_masks(rng, events, CATEGORIES, case["jagged_masks"], probability)
    subs = None
    if case["subsamples"]:
        subs = make_masks(rng, events, ["a", "b"], case["jagged_subs"], 0.6)
    factor = rng.normal(1, 0.5, len(events)) if case["custom_weight"] else None
    if "int64" in {conf.storage for conf in configs.values()}:
        factor = None
    expected = {
        (sub, name): manager.get_histogram(sub, name).hist_obj.copy() for sub in names for name in configs
    }
    with pytest.MonkeyPatch.context() as patch:
        if case["tiny_memory"]:
            patch.setattr(hist_fill, "MAX_WEIGHT_BYTES", 64)
        for shape in shapes:
            manager.fill_histograms(
                events, Selection(categories), shape, subs and Selection(subs), custom,
                None if factor is None else dict.fromkeys(configs, factor),
            )  # fmt: skip
    for (subsample, name), h in expected.items():
        sub_mask = None if subs is None else subs[subsample.removeprefix("S__")]
        for shape in shapes:
            naive(h, manager, configs[name], subsample, events, categories, sub_mask, custom, factor, shape)
        assert_same(manager.get_histograms(subsample)[name], h)
