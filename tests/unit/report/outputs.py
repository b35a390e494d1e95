"""Small outputs for tests of the report: two years, data, simulation with a subsample and a systematic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hist
import numpy as np

CATEGORIES = ("inclusive", "signal region")

LABEL = "$p_T$ [GeV]"


def histogram(values: dict[str, list[float]], categories: Sequence[str], *, simulated: bool) -> hist.Hist:
    """values: {variation: contents of four bins}, the same in each category."""
    axes = [hist.axis.StrCategory(list(categories), name="cat")]
    if simulated:
        axes.append(hist.axis.StrCategory(list(values), name="variation"))
    made = hist.Hist(*axes, hist.axis.Regular(4, 0, 100, name="pt", label=LABEL), storage="weight")
    view = made.view(flow=True)
    for n, contents in enumerate(values.values()):
        place = (slice(0, len(categories)), n) if simulated else slice(0, len(categories))
        view["value"][place][..., 1:-1] = contents
        view["variance"][place][..., 1:-1] = np.asarray(contents) * (0.5 if simulated else 1)
    return made


def plane(contents: Sequence[Sequence[float]], categories: Sequence[str], *, simulated: bool) -> hist.Hist:
    """A histogram of two axes, the same in each category; contents: by bin of x, then of y."""
    axes = [hist.axis.StrCategory(list(categories), name="cat")]
    if simulated:
        axes.append(hist.axis.StrCategory(["nominal"], name="variation"))
    values = np.asarray(contents, dtype=float)
    across = hist.axis.Regular(values.shape[0], 0, 100, name="x", label="$p_T$ [GeV]")
    upward = hist.axis.Regular(values.shape[1], -1, 1, name="y", label=r"$\eta$")
    made = hist.Hist(*axes, across, upward, storage="weight")
    view = made.view()
    view["value"][...] = view["variance"][...] = values
    return made


def add_plane(output: dict[str, Any], contents: Sequence[Sequence[float]], name: str = "plane") -> None:
    """Add a variable of two axes: simulation and, twice as much, data of 2018."""
    simulated = plane(contents, CATEGORIES, simulated=True)
    data = plane(2 * np.asarray(contents), CATEGORIES, simulated=False)
    output["variables"][name] = {"DY": {"DY_2018": simulated}, "DATA": {"DATA_2018": data}}


def metadata(sample: str, year: str, is_mc: bool, nevents: int) -> dict[str, str]:
    return {"sample": sample, "year": year, "isMC": str(is_mc), "nevents": str(nevents)}


def make_output(
    sample: str = "DY", categories: Sequence[str] = CATEGORIES, variables: Sequence[str] = ("pt",)
) -> dict[str, Any]:
    """An output of ``sample`` and data in 2017 and 2018; ``DY`` has a subsample in the cutflow."""
    datasets = {
        f"{sample}_2017": metadata(sample, "2017", True, 100),
        f"{sample}_2018": metadata(sample, "2018", True, 200),
        "DATA_2018": metadata("DATA", "2018", False, 50),
    }
    simulated = {
        "nominal": [4.0, 8.0, 2.0, 0.0],
        "jesUp": [5.0, 8.0, 2.0, 0.0],
        "jesDown": [3.0, 7.0, 2.0, 0.0],
    }
    mc = histogram(simulated, categories, simulated=True)
    data = histogram({"nominal": [5, 7, 3, 0]}, categories, simulated=False)
    passed = {
        f"{sample}_2017": {sample: {"nominal": 40}, f"{sample}__b": {"nominal": 10}},
        f"{sample}_2018": {sample: {"nominal": 80}},
        "DATA_2018": {"DATA": {"nominal": 15}},
    }
    weights = {
        name: {key: {"nominal": each["nominal"] * 0.5} for key, each in inner.items()}
        for name, inner in passed.items()
        if name != "DATA_2018"
    }
    cutflow = {
        "initial": {f"{sample}_2017": 100, f"{sample}_2018": 200, "DATA_2018": 50},
        "skim": {f"{sample}_2017": 90, f"{sample}_2018": 180, "DATA_2018": 45},
        "presel": {name: {"nominal": 20} for name in datasets},
    }
    return {
        "cutflow": cutflow | dict.fromkeys(categories, passed),
        "sumw": dict.fromkeys(categories, weights),
        "sumw2": dict.fromkeys(categories, weights),
        "variables": {
            name: {sample: {f"{sample}_2017": mc, f"{sample}_2018": mc}, "DATA": {"DATA_2018": data}}
            for name in variables
        },
        "columns": {},
        "datasets_metadata": {"by_dataset": datasets},
        "ledger": {
            name: {f"/data/{name}.root": entry(int(each["nevents"]))} for name, each in datasets.items()
        },
        "provenance": {
            "code": {"version": "1.0", "commit": "abc", "modified": False},
            "image": {"digest": "sha256:1234"},
            "digests": {"configuration": "c", "parameters": "p", "datasets": "d"},
            "executor": "futures",
            "run_options": {
                "chunksize": {"value": 1000, "origin": "run.yaml:3"},
                "limit-files": {"value": None, "origin": "defaults"},
            },
            "start": "2026-01-01T10:00:00+00:00",
            "end": "2026-01-01T10:00:50+00:00",
        },
    }


def entry(entries: int, stop: int | None = None) -> dict[str, Any]:
    """What the ledger says of a file."""
    return {
        "uuid": None,
        "treename": "Events",
        "entries": entries,
        "ranges": [[0, entries if stop is None else stop]],
    }
