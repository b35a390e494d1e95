"""Cutflow and yields by year."""

from __future__ import annotations

import copy
import json

import pytest

from pocket_coffea.report.tables import (
    ALL_YEARS,
    categories_of,
    cutflow_of,
    not_finite_of,
    years_of,
    yields_of,
)
from tests.unit.report.outputs import CATEGORIES, make_output


def rows(table):
    return {row["name"]: row for row in table}


def test_yields_have_errors_and_a_subsample_is_not_counted_twice():
    tables = yields_of(make_output())
    assert list(tables) == [ALL_YEARS, "2017", "2018"]
    table = tables[ALL_YEARS]
    assert [(row["name"], row["kind"]) for row in table] == [
        ("DY", "mc"),
        ("DY__b", "part"),
        ("DATA", "data"),
        ("Simulation", "sum"),
        ("Data / simulation", "ratio"),
    ]
    found = rows(table)
    assert found["DY"]["cells"][0] == pytest.approx([60, 60**0.5])
    assert found["DY__b"]["cells"][0] == pytest.approx([5, 5**0.5])
    assert found["Simulation"]["cells"] == [pytest.approx([60, 60**0.5])] * len(CATEGORIES)
    assert found["DATA"]["cells"][0] == pytest.approx([15, 15**0.5])
    ratio, error = found["Data / simulation"]["cells"][0]
    assert ratio == pytest.approx(0.25)
    assert error == pytest.approx(0.25 * (1 / 15 + 1 / 60) ** 0.5)


def test_a_year_has_its_own_table():
    found = rows(yields_of(make_output())["2017"])
    assert found["DY"]["cells"][0] == pytest.approx([20, 20**0.5])
    assert "DATA" not in found
    assert "Data / simulation" not in found


def test_data_over_nothing_is_no_number():
    output = make_output()
    for content in output["sumw"].values():
        content["DY_2018"]["DY"]["nominal"] = 0.0
    assert rows(yields_of(output)["2018"])["Data / simulation"]["cells"] == [None] * len(CATEGORIES)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_sums_that_are_not_finite_are_told(value):
    output = make_output()
    assert not_finite_of(output) == []
    first = CATEGORIES[0]
    output["sumw"][first] = copy.deepcopy(output["sumw"][first])  # categories share their contents
    output["sumw"][first]["DY_2018"]["DY"]["nominal"] = value
    assert not_finite_of(output) == [f"Sums of weights are not finite: DY in {first}."]
    found = rows(yields_of(output)["2018"])
    assert found["DY"]["cells"][0] is None
    assert found["Data / simulation"]["cells"][0] is None
    json.dumps(list(found.values()), allow_nan=False)


def test_the_cutflow_counts_events():
    output = make_output()
    assert categories_of(output) == list(CATEGORIES)
    table = rows(cutflow_of(output)[ALL_YEARS])
    assert table["DY"]["cells"] == [300, 270, 40, 120, 120]
    assert table["DATA"]["cells"] == [50, 45, 20, 15, 15]
    assert table["DY__b"]["cells"] == [None, None, None, 10, 10]


def test_an_output_without_metadata_is_one_table():
    output = make_output()
    output["datasets_metadata"] = {}
    assert years_of(output) == []
    found = rows(yields_of(output)[ALL_YEARS])
    assert {name: row["kind"] for name, row in found.items() if row["kind"] in ("mc", "data", "part")} == {
        "DY": "mc",
        "DY__b": "part",
        "DATA": "data",
    }
    assert found["Simulation"]["cells"][0] == pytest.approx([60, 60**0.5])
