"""The numbers of the figures: rounded, packed, with the bands of ``pocket_coffea.plotting``."""

from __future__ import annotations

import base64
import json
import zlib

import hist
import numpy as np
import pytest

from pocket_coffea.plotting.style import Style
from pocket_coffea.report.figures import Figures, histograms_of, packed
from pocket_coffea.utils.output_file import save_output
from tests.unit.report.outputs import CATEGORIES, add_plane, make_output

YEARS = ["2017", "2018"]


def unpacked(text):
    return json.loads(zlib.decompress(base64.b64decode(text)))


def figures(output, years=YEARS, **style):
    made = Figures(Style(style), output["datasets_metadata"], years, CATEGORIES)
    for name, histograms in output["variables"].items():
        made.add(name, histograms)
    return made.content


def test_a_block_is_json_that_a_browser_can_inflate():
    content = {"name": "<b>ü", "numbers": [1, 2.5]}
    assert unpacked(packed(content)) == content
    with pytest.raises(ValueError, match="Out of range"):
        packed([float("nan")])


def test_contents_errors_and_bands():
    content = figures(make_output())
    (variable,) = content["variables"]
    assert variable["name"] == "pt"
    assert variable["label"] == "pT [GeV]"
    assert [content["categories"][i] for i in variable["categories"]] == list(CATEGORIES)
    assert variable["years"] == ["", "2017", "2018"]
    block = unpacked(variable["block"])
    assert block["label"] == [["p", 0], ["T", -1], [" [GeV]", 0]]
    figure = block["years"]["2018"]
    assert figure["edges"] == [0, 25, 50, 75, 100]
    found = figure["categories"]["inclusive"]
    assert found["mc"] == [[0, [4, 8, 2, 0]]]
    assert found["data"] == [5, 7, 3, 0]
    assert found["stat"] == pytest.approx(np.sqrt([2, 4, 1, 0]), rel=5e-3)
    assert found["up"] == pytest.approx(np.sqrt([2 + 1, 4, 1, 0]), rel=5e-3)
    assert found["down"] == pytest.approx(np.sqrt([2 + 1, 4 + 1, 1, 0]), rel=5e-3)
    assert found["high"][3] == pytest.approx(1.84, rel=1e-2)  # Garwood, nothing seen
    assert found["low"][3] == 0


def test_the_sum_of_years_and_its_correlated_shift():
    block = unpacked(figures(make_output())["variables"][0]["block"])
    found = block["years"][""]["categories"]["inclusive"]
    assert found["mc"] == [[0, [8, 16, 4, 0]]]
    assert found["up"][0] == pytest.approx(np.sqrt(4 + 2**2), rel=5e-3)
    independent = figures(make_output(), systematics={"year_correlation": {"default": 0}})
    up = unpacked(independent["variables"][0]["block"])["years"][""]["categories"]["inclusive"]["up"][0]
    assert up == pytest.approx(np.sqrt(4 + 1 + 1), rel=5e-3)


def test_the_style_of_the_run_is_kept():
    style = {
        "labels_mc": {"DY": r"$Z \to \ell\ell$"},
        "colors_mc": {"DY": "red"},
        "blind_hists": {"categories": ["signal region"], "histograms": {"pt": [0, 50]}},
    }
    content = figures(make_output(), **style)
    (sample,) = content["samples"]
    assert sample["color"] == "#ff0000"
    assert "".join(text for text, _ in sample["label"]) == "Z →ℓℓ"
    found = unpacked(content["variables"][0]["block"])["years"]["2018"]["categories"]
    assert found["signal region"]["data"] == [None, None, 3, 0]
    assert found["inclusive"]["data"] == [5, 7, 3, 0]


def test_what_cannot_be_drawn_is_listed():
    output = make_output()
    axes = [hist.axis.Regular(2, 0, 1, name=name) for name in "xyz"]
    three = hist.Hist(hist.axis.StrCategory(list(CATEGORIES), name="cat"), *axes, storage="weight")
    output["variables"]["space"] = {"DATA": {"DATA_2018": three}}
    output["variables"]["flat"] = {"DATA": {"DATA_2018": three[sum, :, sum, sum]}}
    content = figures(output)
    assert [each["name"] for each in content["variables"]] == ["pt"]
    reasons = dict(content["left_out"])
    assert "3 axes" in reasons["space"]
    assert "no axis 'cat'" in reasons["flat"]
    assert "year" in dict(figures(make_output(), years=[])["left_out"])["pt"]


def test_maps_of_two_axes():
    output = make_output()
    add_plane(output, [[1, 2, 0], [4, 5, 6.1234]])
    content = figures(output)
    (_, variable) = content["variables"]
    assert (variable["name"], variable["label"]) == ("plane", "η against pT [GeV]")
    assert variable["years"] == ["", "2018"]
    figure = unpacked(variable["block"])["years"]["2018"]
    assert figure["edges"] == [0, 50, 100]
    assert figure["up"]["edges"] == pytest.approx([-1, -1 / 3, 1 / 3, 1])
    assert figure["axes"] == [[["p", 0], ["T", -1], [" [GeV]", 0]], [["η", 0]]]
    found = figure["categories"]["signal region"]
    assert found["simulation"] == [1, 2, 0, 4, 5, 6.12]
    assert found["observed"] == [2, 4, 0, 8, 10, 12.2]
    assert content["left_out"] == []


def test_hidden_data_have_no_map():
    output = make_output()
    add_plane(output, [[1, 2], [3, 4]])
    blind = {"categories": ["signal region"], "histograms": {"plane": [0, 50]}}
    content = figures(output, blind_hists=blind)
    found = unpacked(content["variables"][1]["block"])["years"]["2018"]["categories"]
    assert "observed" in found["inclusive"]
    assert "observed" not in found["signal region"]


def test_fine_maps_are_made_coarser_until_the_page_has_room(monkeypatch):
    contents = np.random.default_rng(3).integers(1, 900, (120, 130))
    output = make_output()
    add_plane(output, contents)
    add_plane(output, contents, "another")
    content = figures(output)
    assert content["left_out"] == []
    figure = unpacked(content["variables"][1]["block"])["years"]["2018"]
    assert (len(figure["edges"]), len(figure["up"]["edges"])) == (61, 45)  # 2 and 3 bins together
    found = np.reshape(figure["categories"]["inclusive"]["simulation"], (60, 44))
    np.testing.assert_allclose(found[0, 0], contents[:2, :3].sum(), rtol=5e-3)
    np.testing.assert_allclose(found[-1, -1], contents[-2:, -1:].sum(), rtol=5e-3)
    # room for the first, and then only for a map with few bins
    monkeypatch.setattr(
        "pocket_coffea.report.figures.MOST_BYTES", len(content["variables"][1]["block"]) + 9000
    )
    narrow = figures(output)
    bins = [len(unpacked(each["block"])["years"]["2018"]["edges"]) - 1 for each in narrow["variables"][1:]]
    assert bins[0] == 60
    assert bins[1] in (30, 15)
    monkeypatch.setattr("pocket_coffea.report.figures.MOST_BYTES", 100)
    reasons = dict(figures(output)["left_out"])
    assert "too large" in reasons["plane"]


@pytest.mark.parametrize("name", ["output_all.coffea", "output_all.coffea.zip"])
def test_histograms_come_from_both_formats(tmp_path, name):
    save_output(make_output(), tmp_path / name)
    assert [(name, sorted(found)) for name, found in histograms_of(tmp_path / name)] == [
        ("pt", ["DATA", "DY"])
    ]


def test_numbers_that_are_not_finite_do_not_stop_the_page():
    output = make_output()
    output["variables"]["pt"]["DY"]["DY_2018"].view(flow=True)["value"][0, 0, 1] = np.nan
    content = figures(output)
    assert content["variables"] == []
    assert "1 of 4 sums of weights are not finite" in dict(content["left_out"])["pt"]


def test_years_with_other_bins_have_no_sum():
    output = make_output()
    for each in (output["variables"]["pt"][name] for name in ("DY", "DATA")):
        for name in [name for name in each if name.endswith("2018")]:
            each[name] = each[name][{"pt": slice(None, None, hist.rebin(2))}]
    content = figures(output)
    (variable,) = content["variables"]
    assert variable["years"] == ["2017", "2018"]
    assert [year for year, _ in content["years"]] == ["2017", "2018"]
    assert "the sum of the years" in dict(content["left_out"])["pt"]
