"""Parts of an output."""

from __future__ import annotations

import copy

import hist
import pytest

from pocket_coffea.errors import UnknownName
from pocket_coffea.utils.filter_output import (
    compare_dict_types,
    filter_output_by_category,
    filter_output_by_year,
    get_datasets_in_output,
    remove_datasets_from_output,
)

YEARS = {"DY_2018": "2018", "DY_2016_PostVFP": "2016_PostVFP", "TT_2018": "2018"}


def filled(weight):
    histogram = hist.Hist(
        hist.axis.StrCategory(["a", "b"], name="cat"), hist.axis.Regular(2, 0, 2, name="x"), storage="weight"
    )
    histogram.fill(cat="a", x=[0.5], weight=weight)
    histogram.fill(cat="b", x=[1.5], weight=10 * weight)
    return histogram


@pytest.fixture
def output():
    by_sample = {
        "DY": {d: filled(i + 1) for i, d in enumerate(list(YEARS)[:2])},
        "TT": {"TT_2018": filled(7)},
    }
    counts = {d: {d.split("_")[0]: {"nominal": 1}} for d in YEARS}
    return {
        "sum_genweights": dict.fromkeys(YEARS, 1.0),
        "cutflow": {"initial": dict.fromkeys(YEARS, 5), "a": counts, "b": counts},
        "sumw": {"a": counts, "b": counts},
        "variables": {"x": by_sample},
        "processing_metadata": {"m": copy.deepcopy(by_sample)},
        "columns": {"DY": {"DY_2018": {"a": {"nominal": {}}, "b": {"nominal": {}}}}},
        "datasets_metadata": {
            "by_datataking_period": {
                "2018": {"DY": {"DY_2018"}, "TT": {"TT_2018"}},
                "2016_PostVFP": {"DY": {"DY_2016_PostVFP"}},
            },
            "by_dataset": {d: {"year": y} for d, y in YEARS.items()},
        },
        "provenance": {"code": "x"},
    }


def test_year_is_compared_exactly(output):
    before = copy.deepcopy(output["cutflow"])
    part = filter_output_by_year(output, "2018")
    assert get_datasets_in_output(part) == ["DY_2018", "TT_2018"]
    assert list(part["variables"]["x"]["DY"]) == ["DY_2018"]
    assert list(part["processing_metadata"]["m"]["DY"]) == ["DY_2018"]
    assert list(part["columns"]["DY"]) == ["DY_2018"]
    assert part["datasets_metadata"]["by_datataking_period"] == {
        "2018": {"DY": {"DY_2018"}, "TT": {"TT_2018"}}
    }
    assert part["provenance"] == {"code": "x"}
    assert output["cutflow"] == before
    with pytest.raises(UnknownName, match="2016_PostVFP"):
        filter_output_by_year(output, "2016")


def test_samples_without_datasets_disappear(output):
    part = filter_output_by_year(output, ["2016_PostVFP"])
    assert list(part["variables"]["x"]) == ["DY"]
    assert part["columns"] == {}


def test_categories_are_cut_in_histograms_too(output):
    part = filter_output_by_category(output, ["b"])
    histogram = part["variables"]["x"]["TT"]["TT_2018"]
    assert list(histogram.axes["cat"]) == ["b"]
    assert histogram.sum(flow=True).value == 70
    assert list(part["cutflow"]) == ["initial", "b"]
    assert list(part["columns"]["DY"]["DY_2018"]) == ["b"]
    assert list(output["variables"]["x"]["TT"]["TT_2018"].axes["cat"]) == ["a", "b"]
    with pytest.raises(UnknownName, match="bb"):
        filter_output_by_category(output, "bb")


def test_datasets_are_removed_everywhere(output):
    part = remove_datasets_from_output(output, ["TT_2018"])
    assert "TT" not in part["variables"]["x"]
    assert list(part["sum_genweights"]) == ["DY_2018", "DY_2016_PostVFP"]
    assert "TT_2018" not in part["datasets_metadata"]["by_dataset"]
    with pytest.raises(UnknownName, match=r"TT_2017.*TT_2018"):
        remove_datasets_from_output(output, "TT_2017")


def test_types_are_compared_with_paths(caplog):
    assert compare_dict_types({"a": {"b": 1}}, {"a": {"b": 2}})
    assert not compare_dict_types({"a": {"b": 1, "c": 0}}, {"a": {"b": 1.0}})
    assert "/a/b: int and float" in caplog.text
    assert "/a/c: only in the first" in caplog.text
