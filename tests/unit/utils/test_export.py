"""Histograms as ROOT files."""

from __future__ import annotations

import hist
import numpy as np
import pytest
import uproot

from pocket_coffea.errors import InvalidValue, UnknownName
from pocket_coffea.utils.export import export_coffea_output_to_root


def filled(scale, *, data=False):
    axes = [hist.axis.StrCategory(["a", "b"], name="cat")]
    if not data:
        axes.append(hist.axis.StrCategory(["nominal", "upUp"], name="variation"))
    histogram = hist.Hist(*axes, hist.axis.Regular(2, 0, 2, name="x"), storage="weight")
    for variation in [{}] if data else [{"variation": "nominal"}, {"variation": "upUp"}]:
        histogram.fill(cat="a", **variation, x=[0.5, 1.5, 1.6], weight=scale)
    return histogram


OUTPUT = {
    "variables": {
        "x": {
            "DY": {"DY1": filled(1), "DY2": filled(2), "DY_16": filled(100)},
            "D": {"D1": filled(1, data=True)},
        }
    },
    "cutflow": {"initial": {}, "skim": {}, "presel": {}, "a": {}, "b": {}},
    "datasets_metadata": {
        "by_datataking_period": {"2018": {"DY": {"DY1", "DY2"}, "D": {"D1"}}, "2016": {"DY": {"DY_16"}}}
    },
}


def test_datasets_of_a_year_are_summed(tmp_path):
    (path,) = export_coffea_output_to_root(OUTPUT, tmp_path / "out", ["x"], ["a"], ["2018"])
    assert path == tmp_path / "out" / "x_a_2018.root"
    with uproot.open(path) as file:
        assert {key.split(";")[0] for key in file} == {"DY_nominal", "DY_upUp", "D"}
        np.testing.assert_array_equal(file["DY_nominal"].values(), [3, 6])
        np.testing.assert_array_equal(file["DY_nominal"].variances(), [5, 10])
        np.testing.assert_array_equal(file["D"].values(), [1, 2])


@pytest.mark.parametrize(
    ("variables", "categories", "years", "name"),
    [(["y"], ["a"], ["2018"], "y"), (["x"], ["c"], ["2018"], "c"), (["x"], ["a"], ["2019"], "2019")],
)
def test_unknown_names_are_refused(tmp_path, variables, categories, years, name):
    with pytest.raises(UnknownName, match=repr(name)):
        export_coffea_output_to_root(OUTPUT, tmp_path, variables, categories, years)


def test_more_axes_than_a_histogram_of_root_has(tmp_path):
    more = [hist.axis.Regular(1, 0, 1, name=name) for name in "yztu"]
    histogram = hist.Hist(hist.axis.StrCategory(["a"], name="cat"), *more)
    output = {**OUTPUT, "variables": {"m": {"D": {"D1": histogram}}}}
    with pytest.raises(InvalidValue, match=r"'m' has 4 axes \(y, z, t, u\).*three"):
        export_coffea_output_to_root(output, tmp_path, ["m"], ["a"], ["2018"])
    assert not list(tmp_path.iterdir())
