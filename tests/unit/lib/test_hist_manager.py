"""What is filled for which category, subsample and variation, with the real selections and weights."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import awkward as ak
import hist
import numpy as np
import pytest

from pocket_coffea.errors import FillError, InvalidValue, MissingBranch, UnknownName
from pocket_coffea.lib.categorization import StandardSelection
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.hist_manager import Axis, HistConf, HistManager
from pocket_coffea.lib.weights import WeightData, WeightLambda
from pocket_coffea.lib.weights.weights_manager import WeightsManager


class Events(ak.Array):
    """Events with metadata, as the event source gives them."""

    @property
    def metadata(self):
        return {"year": "2018", "number": 3}


def cut(name, function, collection="events"):
    return Cut(
        name=name, params={}, function=lambda events, params, **_: function(events), collection=collection
    )


def make_events(metadata=True):
    fields = {
        "x": [0.5, 1.5, 2.5, 3.5],
        "n": [1, 2, 3, 4],
        "genWeight": [1.0, 1.0, 2.0, 1.0],
        "J": ak.Array([[{"pt": 10.0}, {"pt": 60.0}], [], [{"pt": 70.0}], [{"pt": 20.0}, {"pt": 30.0}]]),
    }
    events = ak.zip(fields, depth_limit=1, with_name="TestEvents", behavior={("*", "TestEvents"): Events})
    return events if metadata else ak.Array(ak.to_layout(events))


SELECTION = {
    "all": [cut("all", lambda ev: ev.x > 0)],
    "low": [cut("low", lambda ev: ev.x < 2)],
    "high": [cut("high", lambda ev: ev.x > 2)],
}


def prepared(categories=None, events=None):
    selection = StandardSelection(categories or SELECTION)
    selection.prepare(make_events() if events is None else events, None, year="2018", sample="S", isMC=True)
    return selection


def weight(name, nominal, up, down, **options):
    return WeightLambda.wrap_func(
        name=name,
        function=lambda params, metadata, events, size, shape: WeightData(
            name, np.full(size, nominal), np.full(size, up), np.full(size, down)
        ),
        has_variations=True,
        **options,
    )


WEIGHTS = [
    WeightLambda.wrap_func(
        name="hist_test_gen",
        function=lambda params, metadata, events, size, shape: np.asarray(events.genWeight),
    ),
    weight("hist_test_a", 2.0, 4.0, 0.5),
    weight("hist_test_b", 3.0, 6.0, 1.5),
    weight("hist_test_data", 5.0, 6.0, 1.5, isMC_only=False),
]
A_UP, A_DOWN, B_UP, B_DOWN = "hist_test_aUp", "hist_test_aDown", "hist_test_bUp", "hist_test_bDown"


class Calibrators:
    """The part of the calibrators manager that histograms look at."""

    available_variations: ClassVar = ["nominal", "jesUp", "jesDown", "metUp"]
    available_variations_bycalibrator: ClassVar = {"jes": ["jesUp", "jesDown"], "met": ["metUp"]}


def config(inclusive=("hist_test_gen",), bycategory=None, subsamples=None):
    return {
        "inclusive": list(inclusive),
        "bycategory": {c: (bycategory or {}).get(c, []) for c in SELECTION},
        "is_split_bycat": bool(bycategory),
        "by_subsample": subsamples or {},
    }


def variations(weights=None, shape=None, by_subsample=None):
    per_category = lambda one: {c: list((one or {}).get(c, [])) for c in SELECTION}  # noqa: E731
    return {
        "weights": per_category(weights),
        "shape": per_category(shape),
        "by_subsample": by_subsample or {},
    }


def everywhere(*names):
    return dict.fromkeys(SELECTION, names)


def manager(hists: Any, conf=None, var=None, subsamples=("S",), **options: Any) -> HistManager:
    is_mc = options.get("isMC", True)
    metadata = {"year": "2018", "sample": "S", "dataset": "S_2018", "part": None, "xsec": 1.0, "isMC": is_mc}
    weights = WeightsManager(None, conf or config(), WEIGHTS, metadata)
    weights.compute(make_events(), 4)
    if not isinstance(hists, dict):
        hists = {"h": hists}
    options.setdefault("categories_config", StandardSelection(SELECTION))
    options.setdefault("calibrators_manager", Calibrators())
    variations_config = (var or variations()) if is_mc else None
    return HistManager(
        hists,
        "2018",
        "S",
        list(subsamples),
        options.pop("categories_config"),
        variations_config,
        None,
        weights,
        **options,
    )


X = Axis(coll="events", field="x", bins=4, start=0, stop=4, label="x")


def total(h, cat, variation="nominal"):
    return h[{"cat": cat, "variation": variation}].sum(flow=True)


def test_axes_name_and_storage():
    custom = Axis(coll="metadata", field="year", type="strcat", bins=["2018"], label="year", name="year")
    conf = config(["hist_test_gen", "hist_test_a"])
    var = variations(everywhere("hist_test_a"), everywhere("jes"))
    m = manager(HistConf([X]), conf, var, custom_axes=[custom])
    h = m.get_histograms("S")["h"]
    assert h.name == "Counts"
    assert h.axes.name == ("cat", "variation", "year", "events.x")
    assert list(h.axes["cat"]) == ["all", "high", "low"]
    assert list(h.axes["variation"]) == sorted([A_UP, A_DOWN, "jesUp", "jesDown", "nominal"])
    assert h.storage_type is hist.storage.Weight
    assert not any(axis.traits.growth for axis in h.axes)
    assert m.available_categories == ["all", "low", "high"]
    assert m.available_weights_variations == ["nominal", A_UP, A_DOWN]
    assert m.available_shape_variations == ["jesUp", "jesDown"]


def test_a_chunk_does_not_change_the_configuration():
    conf = HistConf([X])
    m = manager(conf)
    m.fill_histograms(make_events(), prepared())
    assert conf.hist_obj is None
    assert conf.only_categories is None
    assert m.get_histogram("S", "h").hist_obj is m.get_histograms("S")["h"]
    assert m.histograms["S"]["h"] is m.get_histogram("S", "h")
    assert m.get_histogram("S", "nothing") is None
    other = manager(conf)
    assert other.get_histograms("S")["h"].sum(flow=True).value == 0


def test_weight_variations_are_ratios_of_the_nominal():
    conf = config(["hist_test_gen", "hist_test_a"])
    m = manager(HistConf([X]), conf, variations(everywhere("hist_test_a")))
    m.fill_histograms(make_events(), prepared())
    h = m.get_histograms("S")["h"]
    assert total(h, "all").value == 10.0
    assert total(h, "all").variance == 4 * (1 + 1 + 4 + 1)
    assert total(h, "high", A_UP).value / total(h, "high").value == pytest.approx(2)
    assert total(h, "high", A_DOWN).value / total(h, "high").value == pytest.approx(0.25)
    np.testing.assert_allclose(h[{"cat": "low", "variation": "nominal"}].values(), [2, 2, 0, 0])


def test_a_variation_outside_its_categories_is_nominal():
    conf = config(bycategory={"low": ["hist_test_a"], "high": ["hist_test_b"]})
    m = manager(HistConf([X]), conf, variations({"low": ["hist_test_a"], "high": ["hist_test_b"]}))
    m.fill_histograms(make_events(), prepared())
    h = m.get_histograms("S")["h"]
    assert total(h, "low").value == 4
    assert total(h, "low", A_UP).value == 8
    assert total(h, "low", B_UP).value == 4
    assert total(h, "high").value == 9
    assert total(h, "high", A_DOWN).value == 9
    assert total(h, "high", B_DOWN).value == 4.5
    assert total(h, "all", A_UP).value == total(h, "all", B_UP).value == total(h, "all").value == 5


SUBSAMPLES = {"one": [cut("sub_one", lambda ev: ev.x > 0)], "two": [cut("sub_two", lambda ev: ev.x > 0)]}


def with_subsamples(hists=None):
    conf = config(subsamples={"S__two": config(["hist_test_a"], {"high": ["hist_test_b"]})})
    own = {"weights": everywhere("hist_test_a") | {"high": ["hist_test_a", "hist_test_b"]}, "shape": {}}
    var = variations(shape={"low": ["jes"]}, by_subsample={"S__two": own | {"shape": {"high": ["jes"]}}})
    return manager(hists or HistConf([X]), conf, var, ["S__one", "S__two"])


def test_weights_and_variations_of_a_subsample():
    m = with_subsamples()
    m.fill_histograms(make_events(), prepared(), subsamples=prepared(SUBSAMPLES))
    one, two = m.get_histograms("S__one")["h"], m.get_histograms("S__two")["h"]
    assert A_UP not in one.axes["variation"]
    assert {A_UP, A_DOWN, B_UP, B_DOWN} <= set(two.axes["variation"])
    for category, ratio in (("all", 2), ("low", 2), ("high", 6)):
        assert total(two, category).value / total(one, category).value == pytest.approx(ratio)
    assert total(two, "low", B_UP).value == total(two, "low").value
    assert total(two, "high", B_UP).value == 2 * total(two, "high").value


def test_shape_variations_of_a_subsample():
    m = with_subsamples()
    m.weights_manager.compute(make_events(), 4, "jesUp")
    m.fill_histograms(make_events(), prepared(), "jesUp", subsamples=prepared(SUBSAMPLES))
    one, two = m.get_histograms("S__one")["h"], m.get_histograms("S__two")["h"]
    assert total(two, "low", "jesUp").value / total(one, "low", "jesUp").value == pytest.approx(2)
    assert total(one, "high", "jesUp").value == 0
    assert total(two, "high", "jesUp").value == 6 * 3
    assert total(two, "all", "jesUp").value == 0
    assert two[{"variation": "nominal"}].sum(flow=True).value == 0


def test_subsample_masks_are_applied():
    m = with_subsamples()
    only_first = {"one": [cut("first", lambda ev: ev.x < 1)], "two": [cut("last", lambda ev: ev.x > 3)]}
    m.fill_histograms(make_events(), prepared(), subsamples=prepared(only_first))
    assert total(m.get_histograms("S__one")["h"], "all").value == 1
    assert total(m.get_histograms("S__two")["h"], "low").value == 0
    with pytest.raises(FillError, match=r"S__two.*Allowed: S__one"):
        with_subsamples().fill_histograms(
            make_events(), prepared(), subsamples=prepared({"one": SUBSAMPLES["one"]})
        )
    with pytest.raises(FillError, match="no masks came"):
        with_subsamples().fill_histograms(make_events(), prepared())


def test_shape_pass_fills_its_label_where_it_was_asked_for():
    conf = config(["hist_test_gen", "hist_test_a"])
    var = variations(everywhere("hist_test_a"), {"all": ["jes"], "low": ["jes", "met"]})
    m = manager(HistConf([X]), conf, var)
    for shape in ("nominal", "jesUp", "jesDown", "metUp"):
        m.weights_manager.compute(make_events(), 4, shape)
        m.fill_histograms(make_events(), prepared(), shape)
    h = m.get_histograms("S")["h"]
    assert total(h, "all", "jesUp").value == total(h, "all").value == 10
    assert total(h, "high", "jesUp").value == 0
    assert total(h, "low", "metUp").value == total(h, "low", "jesDown").value == 4
    assert total(h, "all", "metUp").value == 0
    assert total(h, "all", A_UP).value == 20


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["jes"], ["jesDown", "jesUp", "nominal"]),
        (["jesDown", "jesUp"], ["jesDown", "jesUp", "nominal"]),
        ([A_UP], [A_UP, "nominal"]),
        ([], ["nominal"]),
        (["nothing_like_that"], ["nominal"]),
    ],
)
def test_only_variations(only, expected):
    conf = config(["hist_test_a"])
    var = variations(everywhere("hist_test_a"), everywhere("jes", "met"))
    m = manager(HistConf([X], only_variations=only), conf, var)
    assert list(m.get_histograms("S")["h"].axes["variation"]) == expected
    m.fill_histograms(make_events(), prepared())
    assert total(m.get_histograms("S")["h"], "all").value == 8


def test_the_name_of_a_weight_in_only_variations_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        manager({"warned": HistConf([X], only_variations=["hist_test_a"])}, config(["hist_test_a"]),
                variations(everywhere("hist_test_a")))  # fmt: skip
    assert f"write '{A_UP}', '{A_DOWN}'" in caplog.text


def test_no_variations():
    conf = config(["hist_test_a"])
    m = manager(
        HistConf([X], variations=False), conf, variations(everywhere("hist_test_a"), everywhere("jes"))
    )
    assert list(m.get_histograms("S")["h"].axes["variation"]) == ["nominal"]


def test_unweighted_histograms_are_filled_once():
    conf = config(["hist_test_gen", "hist_test_a"])
    m = manager(
        HistConf([X], no_weights=True, storage="int64"),
        conf,
        variations(everywhere("hist_test_a"), {"low": ["jes"]}),
    )
    for shape in ("nominal", "jesUp"):
        m.weights_manager.compute(make_events(), 4, shape)
        m.fill_histograms(make_events(), prepared(), shape)
    h = m.get_histograms("S")["h"]
    assert total(h, "all") == 4
    assert total(h, "low", "jesUp") == 2
    assert total(h, "all", "jesUp") == 0
    assert total(h, "all", A_UP) == 0


def test_data_has_no_variation_axis_and_its_own_weights():
    m = manager(
        {"h": HistConf([X]), "bare": HistConf([X], no_weights=True)}, config(["hist_test_data"]), isMC=False
    )
    m.fill_histograms(make_events(), prepared())
    h = m.get_histograms("S")["h"]
    assert h.axes.name == ("cat", "events.x")
    assert h[{"cat": "high"}].sum().value == 10
    assert m.get_histograms("S")["bare"][{"cat": "high"}].sum().value == 2
    with pytest.raises(FillError, match="is data"):
        m.fill_histograms(make_events(), prepared(), "jesUp")


def test_custom_weight_multiplies():
    hists = {"h": HistConf([X]), "other": HistConf([X]), "bare": HistConf([X], no_weights=True)}
    m = manager(hists | {"absent": HistConf([X], only_samples=["T"])})
    factor = np.array([1.0, 10.0, 100.0, 1000.0])
    m.fill_histograms(
        make_events(), prepared(), custom_weight={"h": ak.Array(factor), "bare": factor, "absent": factor}
    )
    found = {name: total(h, "all").value for name, h in m.get_histograms("S").items()}
    assert found == {"h": 1211, "other": 5, "bare": 1111}
    with pytest.raises(FillError, match="Did you mean 'other'"):
        m.fill_histograms(make_events(), prepared(), custom_weight={"othre": factor})
    with pytest.raises(FillError, match="each of the 4 events"):
        m.fill_histograms(make_events(), prepared(), custom_weight={"h": factor[:2]})


def test_samples_and_categories():
    hists = {
        "only": HistConf([X], only_samples=["S"], exclude_samples=["S"]),
        "other": HistConf([X], only_samples=["T"]),
        "excluded": HistConf([X], exclude_samples=["S"]),
        "cats": HistConf([X], only_categories=["low", "no_such"], exclude_categories=["low"]),
        "without": HistConf([X], exclude_categories=["low", "no_such"]),
    }
    m = manager(hists)
    m.fill_histograms(make_events(), prepared())
    found = m.get_histograms("S")
    assert set(found) == {"only", "cats", "without"}
    assert list(found["cats"].axes["cat"]) == ["low"]
    assert list(found["without"].axes["cat"]) == ["all", "high"]
    assert found["without"].sum(flow=True).value == 5 + 3
    with pytest.raises(UnknownName, match=r"'h'.*'hihg'.*Did you mean 'high'"):
        manager(HistConf([X], only_categories=["hihg"]))


def test_unknown_categories_do_not_end_in_the_overflow():
    m = manager(HistConf([X]))
    with pytest.raises(FillError, match=r"'medium'.*Allowed: all, high, low"):
        m.fill_histograms(
            make_events(), prepared(SELECTION | {"medium": [cut("medium", lambda ev: ev.x > 1)]})
        )
    with pytest.raises(FillError, match="no mask for the category 'low'"):
        m.fill_histograms(make_events(), prepared({k: v for k, v in SELECTION.items() if k != "low"}))
    assert m.get_histograms("S")["h"].sum(flow=True).value == 0


def test_autofill_and_metadata_histograms():
    meta = HistConf(
        [X], autofill=False, metadata_hist=True, storage="int64", no_weights=True, variations=False
    )
    m = manager({"h": HistConf([X], autofill=False), "meta": meta})
    m.fill_histograms(make_events(), prepared())
    assert list(m.get_histograms("S")) == ["h"]
    assert list(m.get_metadata_histograms("S")) == ["meta"]
    assert m.get_histograms("S")["h"].sum(flow=True).value == 0


def test_a_histogram_that_a_hook_replaced_is_filled():
    m = manager(HistConf([X]))
    conf = m.get_histogram("S", "h")
    first = conf.hist_obj.axes[:2]
    conf.hist_obj = hist.Hist(*first, hist.axis.Regular(2, 0, 4, name="events.x"), storage="double")
    m.add_histogram("more", HistConf([X]))
    m.fill_histograms(make_events(), prepared())
    np.testing.assert_allclose(
        m.get_histograms("S")["h"][{"cat": "all", "variation": "nominal"}].values(), [2, 3]
    )
    assert total(m.get_histograms("S")["more"], "all").value == 5


def test_metadata_and_categorical_axes():
    number = Axis(coll="metadata", field="number", bins=5, start=0, stop=5, label="n", name="number")
    year = Axis(coll="metadata", field="year", type="strcat", bins=["2017", "2018"], label="y", name="year")
    as_number = Axis(coll="metadata", field="year", bins=[2017, 2018, 2019], label="y", name="as_number")
    hists = {"only_year": HistConf([year]), "numbers": HistConf([number, as_number, X]), "none": HistConf([])}
    m = manager(hists)
    m.fill_histograms(make_events(), prepared())
    found = m.get_histograms("S")
    nominal = {"cat": "all", "variation": "nominal"}
    np.testing.assert_allclose(found["only_year"][nominal].values(), [0, 5])
    assert found["numbers"][nominal | {"number": hist.loc(3), "as_number": hist.loc(2018)}].sum().value == 5
    assert found["none"][nominal].value == 5
    wrong = manager(HistConf([Axis(coll="metadata", field="year", type="strcat", bins=["2016"], label="y")]))
    with pytest.raises(FillError, match=r"'h', axis 'metadata.year': the value '2018' is not on the axis"):
        wrong.fill_histograms(make_events(), prepared())


def test_masks_over_objects():
    over_jets = {
        "all": [cut("any_jet", lambda ev: ev.J.pt > 0, "J")],
        "low": [cut("soft", lambda ev: ev.J.pt < 50, "J")],
        "high": [cut("hard", lambda ev: ev.J.pt > 50, "J"), cut("x", lambda ev: ev.x > 1)],
    }
    pt = Axis(coll="J", field="pt", bins=2, start=0, stop=100, label="pt")
    hists = {
        "pt": HistConf([pt]),
        "or": HistConf([X], collapse_2D_masks=True),
        "and": HistConf([X], collapse_2D_masks=True, collapse_2D_masks_mode="AND"),
    }
    m = manager(hists, categories_config=StandardSelection(over_jets))
    m.fill_histograms(make_events(), prepared(over_jets))
    found = {
        name: {c: h[{"cat": c, "variation": "nominal"}].values().tolist() for c in SELECTION}
        for name, h in m.get_histograms("S").items()
    }
    assert found["pt"] == {"all": [3, 3], "low": [3, 0], "high": [0, 2]}
    assert found["or"] == {"all": [1, 0, 2, 1], "low": [1, 0, 0, 1], "high": [0, 0, 2, 0]}
    assert found["and"] == {"all": [1, 0, 2, 1], "low": [0, 0, 0, 1], "high": [0, 0, 2, 0]}
    plain = manager(HistConf([X]), categories_config=StandardSelection(over_jets))
    with pytest.raises(FillError, match=r"'h' has one entry per event.*collapse_2D_masks=True"):
        plain.fill_histograms(make_events(), prepared(over_jets))


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([Axis(coll="Jet", field="pt", bins=1, start=0, stop=1, label="")], "no collection 'Jet'"),
        (
            [Axis(coll="J", field="ptt", bins=1, start=0, stop=1, label="")],
            "no field 'ptt'.*Did you mean 'pt'",
        ),
        ([Axis(field="xx", bins=1, start=0, stop=1, label="")], "no field 'xx'"),
        ([Axis(coll="custom", field="c", bins=1, start=0, stop=1, label="")], "no 'c'"),
        ([Axis(coll="metadata", field="yaer", bins=1, start=0, stop=1, label="")], "Did you mean 'year'"),
    ],
)
def test_missing_inputs_name_histogram_axis_and_nearest(axes, message):
    m = manager({"broken": HistConf(axes)})
    with pytest.raises(ValueError, match=rf"Histogram 'broken', axis '.*{message}") as caught:
        m.fill_histograms(make_events(), prepared(), custom_fields={"other": np.zeros(4)})
    assert isinstance(caught.value, MissingBranch)


JET = Axis(coll="J", field="pt", bins=2, start=0, stop=100, label="pt", name="pt")


@pytest.mark.parametrize(
    ("axes", "custom", "message"),
    [
        ([JET, X], {}, "one value per object .'pt'. and per event .'events.x'."),
        (
            [JET, Axis(coll="custom", field="j", bins=1, start=0, stop=1, label="")],
            {"j": [[1], [], [], []]},
            "different",
        ),
        (
            [Axis(coll="custom", field="j", bins=1, start=0, stop=1, label="")],
            {"j": [1.0]},
            "1 entries but .* 4 events",
        ),
        (
            [Axis(field="x", pos=1, bins=1, start=0, stop=1, label="")],
            {},
            "pos=1, but events.x has one value",
        ),
        ([Axis(field="J", bins=1, start=0, stop=1, label="")], {}, "record with fields pt"),
        ([Axis(field="x", type="int", start=0, stop=9, label="")], {}, "takes whole numbers, got 0.5"),
        (
            [Axis(coll="custom", field="j", bins=1, start=0, stop=1, label="")],
            {"j": [[[1]], [], [], []]},
            "type",
        ),
    ],
)
def test_what_cannot_be_filled(axes, custom, message):
    m = manager({"broken": HistConf(axes)})
    with pytest.raises(FillError, match=rf"Histogram 'broken'.*{message}"):
        m.fill_histograms(
            make_events(), prepared(), custom_fields={k: ak.Array(v) for k, v in custom.items()}
        )


def test_counting_storage_refuses_fractions():
    m = manager(
        HistConf([X], storage="int64"),
        config(["hist_test_gen", "hist_test_b"]),
        variations({"low": ["hist_test_b"]}),
    )
    with pytest.raises(FillError, match="counts whole entries"):
        m.fill_histograms(make_events(), prepared())


def test_wrong_configuration_names_the_histogram():
    with pytest.raises(
        InvalidValue, match=r"Histogram 'h', axis 'events.x': unknown type 'regulra'.*'regular'"
    ):
        manager(HistConf([Axis(field="x", label="", type="regulra")]))
    with pytest.raises(InvalidValue, match=r"'h' has more than one axis named 'events.x'"):
        manager(HistConf([X]), custom_axes=[X])
    with pytest.raises(UnknownName, match="'jess'"):
        manager(HistConf([X]), var=variations(shape=everywhere("jess")))


def test_events_in_no_category_are_not_looked_at(monkeypatch):
    from pocket_coffea.lib import hist_slice

    seen = []
    real = hist_slice.flat_bins
    monkeypatch.setattr(hist_slice, "flat_bins", lambda *args: seen.append(args[-1]) or real(*args))
    categories = {"all": [cut("rare", lambda ev: ev.x > 3)]}
    m = manager({"h": HistConf([X]), "j": HistConf([JET])}, categories_config=StandardSelection(categories))
    m.fill_histograms(make_events(), prepared(categories))
    assert seen == [1, 2]
    assert total(m.get_histograms("S")["j"], "all").value == 2
    none = {"all": [cut("never", lambda ev: ev.x > 30)]}
    m.fill_histograms(make_events(), prepared(none))
    assert len(seen) == 2
