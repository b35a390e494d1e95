"""A small output whose numbers can be added up by hand."""

from __future__ import annotations

import hist
import numpy as np
import pytest

EDGES = [0.0, 10.0, 20.0, 40.0]
CATEGORIES = ["baseline", "signal_region"]

METADATA = {
    "TT_2017": {"sample": "TT", "year": "2017", "isMC": "True"},
    "TT_2018": {"sample": "TT", "year": "2018", "isMC": "True"},
    "DY_2018": {"sample": "DY", "year": "2018", "isMC": True},
    "HH_2018": {"sample": "HH", "year": "2018", "isMC": "true"},
    "DATA_2018_EraA": {"sample": "DATA", "year": "2018", "isMC": "False"},
    "DATA_2018_EraB": {"sample": "DATA", "year": "2018", "isMC": "False"},
}


def mc(contents, *, variances=None, flow=(0.0, 0.0), label="$p_T$ [GeV]"):
    """A histogram of simulation: {variation: bins of the first category}; the second has half of it."""
    names = list(contents)
    made = hist.Hist(
        hist.axis.StrCategory(CATEGORIES, name="cat"),
        hist.axis.StrCategory(names, name="variation"),
        hist.axis.Variable(EDGES, name="Jet.pt", label=label),
        storage="weight",
    )
    view = made.view(flow=True)
    for row, part in enumerate((1.0, 0.5)):
        for column, name in enumerate(names):
            values = np.array([flow[0], *contents[name], flow[1]]) * part
            view.value[row, column] = values
            view.variance[row, column] = (
                values * part if variances is None else np.array([0, *variances, 0]) * part**2
            )
    return made


def data(contents):
    """A histogram of data; the second category has nothing."""
    made = hist.Hist(
        hist.axis.StrCategory(CATEGORIES, name="cat"),
        hist.axis.Variable(EDGES, name="Jet.pt", label="$p_T$ [GeV]"),
        storage="weight",
    )
    view = made.view()
    view.value[0] = view.variance[0] = contents
    return made


@pytest.fixture
def histograms():
    """One variable: two samples with correlated systematics, a signal, two eras of data."""
    return {
        "TT": {
            "TT_2017": mc({"nominal": [80, 40, 20], "JESUp": [84, 40, 19], "JESDown": [78, 38, 20]}),
            "TT_2018": mc({"nominal": [100, 50, 20], "JESUp": [110, 45, 22], "JESDown": [95, 53, 21]}),
        },
        "DY": {
            "DY_2018": mc(
                {
                    "nominal": [40, 20, 10],
                    "JESUp": [44, 19, 10],
                    "JESDown": [37, 22, 10],
                    "isrUp": [42, 20, 11],
                    "isrDown": [40, 18, 9],
                },
                variances=[16, 8, 4],
            )
        },
        "HH": {"HH_2018": mc({"nominal": [1, 2, 3]})},
        "DATA": {"DATA_2018_EraA": data([90, 30, 0]), "DATA_2018_EraB": data([60, 36, 0])},
    }


@pytest.fixture
def metadata():
    return METADATA


@pytest.fixture
def output(histograms):
    """An output with this variable, one more with two axes, and a cutflow."""
    flat = hist.Hist(
        hist.axis.StrCategory(CATEGORIES, name="cat"),
        hist.axis.StrCategory(["nominal"], name="variation"),
        hist.axis.Regular(4, 0, 4, name="x", label="x"),
        hist.axis.Regular(3, 0, 3, name="y", label="y"),
        storage="weight",
    )
    flat.fill(cat="baseline", variation="nominal", x=[0.5, 1.5, 1.5, 2.5], y=[0.5, 1.5, 2.5, 1.5], weight=2.0)
    counts = {name: dict.fromkeys(METADATA, 10) for name in ("initial", "skim")}
    by_sample = {
        dataset: {each["sample"]: {"nominal": 4}, f"{each['sample']}__part": {"nominal": 1}}
        if each["sample"] == "DY"
        else {each["sample"]: {"nominal": 4}}
        for dataset, each in METADATA.items()
    }
    simulated = [dataset for dataset, each in METADATA.items() if each["sample"] != "DATA"]
    sums = {dataset: {sample: {"nominal": 2.5} for sample in by_sample[dataset]} for dataset in simulated}
    squares = {dataset: {sample: {"nominal": 0.25} for sample in by_sample[dataset]} for dataset in simulated}
    return {
        "variables": {"JetGood_pt": histograms, "x_y": {"DY": {"DY_2018": flat}}},
        "datasets_metadata": {"by_dataset": METADATA},
        "cutflow": {**counts, **dict.fromkeys(CATEGORIES, by_sample)},
        "sumw": dict.fromkeys(CATEGORIES, sums),
        "sumw2": dict.fromkeys(CATEGORIES, squares),
        "columns": {},
    }
