"""Cutflow and yields of an output, by year: simulation with statistical errors, data as counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pocket_coffea.report.datasets import is_mc_of, metadata_of
from pocket_coffea.utils.cutflow_utils import aggregate_by_sample

__all__ = ["ALL_YEARS", "STEPS", "categories_of", "cutflow_of", "not_finite_of", "years_of", "yields_of"]

STEPS = ("initial", "skim", "presel")
#: Stands for the sum over years.
ALL_YEARS = ""

#: A row of a table: name, what it is ("mc", "data", "part" of the row before, "sum", "ratio"), cells.
Row = dict[str, Any]


def categories_of(output: Mapping[str, Any]) -> list[str]:
    """Return the categories, in the order of the output."""
    return [name for name in output.get("cutflow", {}) if name not in STEPS]


def years_of(output: Mapping[str, Any]) -> list[str]:
    """Return the years of the datasets, sorted; empty where no dataset says one."""
    return sorted({str(each["year"]) for each in metadata_of(output).values() if "year" in each})


def cutflow_of(output: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return {year: rows} of events that pass each step and category, unweighted."""
    steps = [step for step in STEPS if step in output.get("cutflow", {})]
    columns = [*steps, *categories_of(output)]
    tables = {}
    for year in _tables(output):
        numbers = _numbers(output, "cutflow", columns, year)
        kinds = _kinds(output, numbers)
        tables[year] = [
            {"name": name, "kind": kinds[name], "cells": [numbers[name].get(column) for column in columns]}
            for name in _ordered(kinds)
        ]
    return tables


def yields_of(output: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return {year: rows} of [value, error] in each category, with the sum of simulation and data over it.

    Simulation: sum of weights and square root of the sum of their squares. Data: events and the square
    root of their number. A subsample is part of its sample and not added to the sums.
    """
    return {year: _yields(output, year) for year in _tables(output)}


def not_finite_of(output: Mapping[str, Any]) -> list[str]:
    """Return a sentence that names samples and categories whose sums of weights are nan or infinite."""
    sums = _numbers(output, "sumw", categories_of(output), ALL_YEARS)
    found = [
        f"{sample} in {column}"
        for sample, row in sums.items()
        for column in row
        if not math.isfinite(row[column])
    ]
    return [f"Sums of weights are not finite: {', '.join(found)}."] if found else []


def _tables(output: Mapping[str, Any]) -> list[str]:
    years = years_of(output)
    return [ALL_YEARS, *years] if len(years) > 1 else [ALL_YEARS]


def _yields(output: Mapping[str, Any], year: str) -> list[Row]:
    categories = categories_of(output)
    counts = _numbers(output, "cutflow", categories, year)
    sums, squares = (_numbers(output, key, categories, year) for key in ("sumw", "sumw2"))
    kinds = _kinds(output, counts)
    rows: list[Row] = []
    for name in _ordered(kinds):
        if name in sums:
            pairs = [(sums[name].get(c, 0.0), squares.get(name, {}).get(c, 0.0)) for c in categories]
        else:
            pairs = [(counts[name].get(c, 0.0),) * 2 for c in categories]
        rows.append({"name": name, "kind": kinds[name], "pairs": pairs})
    rows += _sums(rows, len(categories))
    return [
        {"name": row["name"], "kind": row["kind"], "cells": [_cell(*pair) for pair in row["pairs"]]}
        for row in rows
    ]


def _cell(value: float, variance: float) -> list[float] | None:
    if not math.isfinite(value) or not math.isfinite(variance):
        return None
    return [value, math.sqrt(max(variance, 0.0))]


def _sums(rows: Sequence[Row], columns: int) -> list[Row]:
    """Return the rows of the sum of simulation and, with data, of data over simulation."""
    simulation, data = (
        [_added([row["pairs"][i] for row in rows if row["kind"] == kind]) for i in range(columns)]
        for kind in ("mc", "data")
    )
    kinds = {row["kind"] for row in rows}
    found: list[Row] = []
    if "mc" in kinds:
        found.append({"name": "Simulation", "kind": "sum", "pairs": simulation})
    if {"mc", "data"} <= kinds:
        ratios = [_ratio(*pair) for pair in zip(data, simulation, strict=True)]
        found.append({"name": "Data / simulation", "kind": "ratio", "pairs": ratios})
    return found


def _added(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(value for value, _ in pairs), sum(variance for _, variance in pairs)


def _ratio(data: tuple[float, float], expected: tuple[float, float]) -> tuple[float, float]:
    """Return data over simulation and its variance, both errors propagated; nan over zero."""
    if expected[0] == 0 or not math.isfinite(expected[0]):
        return math.nan, 0.0
    ratio = data[0] / expected[0]
    return ratio, (data[1] + ratio**2 * expected[1]) / expected[0] ** 2


def _numbers(
    output: Mapping[str, Any], key: str, columns: Sequence[str], year: str
) -> dict[str, dict[str, float]]:
    """{sample or full subsample: {column: number}} of the datasets of a year."""
    metadata = metadata_of(output)
    wanted = {name for name, each in metadata.items() if year == ALL_YEARS or str(each.get("year")) == year}
    content = {
        column: {name: each for name, each in output.get(key, {}).get(column, {}).items() if name in wanted}
        for column in columns
    }
    return aggregate_by_sample(content, columns, metadata)


def _kinds(output: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, str]:
    """Return what each sample is; a dataset that does not say counts as simulation if it has weights."""
    weighted = {name for content in output.get("sumw", {}).values() for name in content}
    kinds = {}
    for dataset, metadata in metadata_of(output).items():
        is_mc = is_mc_of(metadata)
        is_mc = dataset in weighted if is_mc is None else is_mc
        kinds[_sample_of(output, dataset, metadata)] = "mc" if is_mc else "data"
    return {name: kinds.get(name, "part") for name in names}


def _sample_of(output: Mapping[str, Any], dataset: str, metadata: Mapping[str, Any]) -> str:
    """Return the sample of a dataset; its own name comes first in a category, before those of its parts."""
    if "sample" in metadata:
        return str(metadata["sample"])
    contents = (output["cutflow"][category].get(dataset, {}) for category in categories_of(output))
    return str(next((sample for content in contents for sample in content), dataset))


def _ordered(kinds: Mapping[str, str]) -> list[str]:
    """Simulation first, then data, each sample before its parts."""
    rank = {name: {"mc": 0, "data": 1}[kind] for name, kind in kinds.items() if kind != "part"}

    def key(name: str) -> tuple[int, str, str]:
        sample = name.partition("__")[0] if kinds[name] == "part" else name
        return rank.get(sample, 2), sample, name

    return sorted(kinds, key=key)
