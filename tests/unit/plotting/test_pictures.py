"""Each kind of plot against a picture on record, with a tolerance. Look at new ones before a commit."""

from __future__ import annotations

from pathlib import Path

import hist
import numpy as np
import pytest
from matplotlib.testing.compare import compare_images

from pocket_coffea.plotting.canvas import cms_style, save_figure
from pocket_coffea.plotting.comparison import plot_shapes_comparison
from pocket_coffea.plotting.cutflow_plots import plot_cutflow_from_output
from pocket_coffea.plotting.shape import Shape
from tests.unit.report.outputs import CATEGORIES, add_plane, make_output

GOLDENS = Path(__file__).parent / "goldens"
#: Root mean square of the differences of pixels that is no difference.
TOLERANCE = 3.0
SMALL = {
    "fontsize": 10,
    "fontsize_legend": 8,
    "opts_figure": {
        "datamc": {"figsize": [5, 4]},
        "datamc_ratio": {"figsize": [5, 5]},
        "partial": {"figsize": [5, 6]},
        "systematics": {"figsize": [5, 4]},
        "systematics_ratio": {"figsize": [5, 5]},
    },
    "labels_mc": {"TT": r"$t\bar{t}$", "DY": r"$Z/\gamma^*$"},
    "signal_samples": {"HH": 20},
}
N_BINS = 25


def spectrum(rng, names, yields, slope):
    """A falling histogram with the variations ``names``, or data."""
    axes = [hist.axis.StrCategory(["baseline", "tight"], name="cat")]
    if names:
        axes.append(hist.axis.StrCategory(names, name="variation"))
    axes.append(hist.axis.Regular(N_BINS, 20, 270, name="pt", label="Leading jet $p_{T}$ [GeV]"))
    made = hist.Hist(*axes, storage="weight")
    shape = yields * np.exp(-np.arange(N_BINS) / slope)
    tilt = np.linspace(-0.1, 0.15, N_BINS)
    factors = {
        "nominal": 1,
        "JESUp": 1 + tilt,
        "JESDown": 1 - 0.7 * tilt,
        "sf_eleUp": 1.05,
        "sf_eleDown": 0.96,
    }
    if names:
        for i, name in enumerate(names):
            made.view().value[:, i] = shape * factors[name]
            made.view().variance[:, i] = 0.3 * shape
    else:
        made.view().value[:] = made.view().variance[:] = rng.poisson(shape)
    return made


@pytest.fixture(scope="module")
def pictured():
    rng = np.random.default_rng(5)
    names = ["nominal", "JESUp", "JESDown", "sf_eleUp", "sf_eleDown"]
    samples = {"TT": (900.0, 6), "DY": (300.0, 9), "HH": (4.0, 30)}
    variable = {
        sample: {f"{sample}_2018": spectrum(rng, names, *numbers)} for sample, numbers in samples.items()
    }
    both = 900 * np.exp(-np.arange(N_BINS) / 6) + 300 * np.exp(-np.arange(N_BINS) / 9)
    data = spectrum(rng, None, 1.0, 1.0)
    data.view().value[:] = data.view().variance[:] = rng.poisson(both)
    variable["DATA"] = {"DATA_2018": data}
    metadata = {
        f"{sample}_2018": {"sample": sample, "year": "2018", "isMC": str(sample != "DATA")}
        for sample in (*samples, "DATA")
    }
    return variable, metadata


@pytest.fixture
def check(tmp_path, request):
    """Compare a figure with the picture of that name on record."""

    def compare(name, figure):
        if not isinstance(figure, Path):
            with cms_style():
                (figure,) = save_figure(figure, tmp_path / name, ["png"])
        golden = GOLDENS / f"{name}.png"
        if request.config.getoption("--renew-goldens"):
            GOLDENS.mkdir(exist_ok=True)
            golden.write_bytes(figure.read_bytes())
        assert golden.is_file(), f"{golden} is not on record: make it with --renew-goldens, and look at it"
        difference = compare_images(str(golden), str(figure), TOLERANCE)
        assert difference is None, difference

    return compare


def shape(pictured, tmp_path, **options):
    style = {**SMALL, **options.pop("style", {})}
    return Shape(*pictured, "jet_pt_2018", tmp_path, style, save=False, **options)


def test_data_and_simulation(pictured, tmp_path, check):
    check("datamc", shape(pictured, tmp_path).plot_datamc("baseline"))


def test_logarithmic_and_blinded(pictured, tmp_path, check):
    style = {
        "blind_hists": {"histograms": {"jet_pt": [100, 200]}},
        "print_info": {"category": True, "year": True},
    }
    drawn = shape(pictured, tmp_path, log_y=True, style=style)
    check("datamc_log_blinded", drawn.plot_datamc("baseline"))


def test_density_without_ratio(pictured, tmp_path, check):
    check("datamc_density", shape(pictured, tmp_path, density=True).plot_datamc("baseline", ratio=False))


def test_split_systematics(pictured, tmp_path, check):
    drawn = shape(pictured, tmp_path, style={"rebin": {"jet_pt": 5}})
    check("datamc_split", drawn.plot_datamc("baseline", split_systematics=True))


def test_comparison(pictured, tmp_path, check):
    drawn = shape(pictured, tmp_path, density=True, style={"compare": {"ref": "TT"}})
    check("comparison", drawn.plot_comparison("baseline"))


def test_systematic_shift(pictured, tmp_path, check):
    check("systematic", shape(pictured, tmp_path).plot_systematic("baseline", "JES"))


def test_map(output, tmp_path, check):
    drawn = Shape(
        output["variables"]["x_y"], output["datasets_metadata"], "x_y_2018", tmp_path, SMALL, save=False
    )
    check("map", drawn.plot_datamc("baseline"))


def test_maps_of_data_and_simulation_and_their_ratio(tmp_path, check):
    output = make_output()
    across, upward = np.indices((12, 10))
    contents = np.where(across + upward < 16, 60 - 5 * across + 2 * upward, 0)
    add_plane(output, contents)
    drawn = Shape(
        output["variables"]["plane"], output["datasets_metadata"], "plane_2018", tmp_path, SMALL, save=False
    )
    figure = drawn.plot_datamc(CATEGORIES[0])
    meshes = [axes.collections[0] for axes in figure.axes[:3]]
    assert meshes[0].get_clim() == meshes[1].get_clim() == (0, 2 * 78)  # one scale for both
    ratio = meshes[2].get_array()
    assert set(ratio.compressed()) == {2}
    assert ratio.mask.sum() == (contents == 0).sum() > 0
    check("map_ratio", figure)


def test_shapes_comparison(pictured, check):
    output = {"variables": {"pt": pictured[0]}, "datasets_metadata": {"by_dataset": pictured[1]}}
    shapes = [
        ("TT", "baseline", "2018", "nominal", "tt"),
        ("TT", "baseline", "2018", "JESUp", "tt, JES up"),
        ("DY", "baseline", "2018", "nominal", "DY"),
    ]
    check("shapes", plot_shapes_comparison(output, "pt", shapes, title="Simulation", figsize=(5, 5.6)))


def test_cutflow(output, tmp_path, check):
    paths = plot_cutflow_from_output(output, tmp_path, figsize=(6, 4))
    assert {path.name for path in paths} == {
        *(f"cutflow_{name}.png" for name in ("TT", "DY", "DY__part", "HH", "DATA", "all")),
        "yields_all.png",
    }
    check("cutflow", tmp_path / "cutflow_TT.png")
    check("yields", tmp_path / "yields_all.png")


@pytest.mark.parametrize(("name", "log_y"), [("datamc", False), ("datamc_log", True)])
def test_a_saved_picture_on_a_used_canvas_is_the_same(pictured, tmp_path, check, name, log_y):
    """Saved figures use a canvas again, and draw their minor ticks as lines."""
    drawn = shape(pictured, tmp_path, log_y=log_y)
    drawn.save = True
    for category in ("tight", "baseline"):
        drawn.plot_datamc(category)
    if log_y:
        figure = drawn.plot_datamc("baseline", save=False)
        with cms_style():
            (fresh,) = save_figure(figure, tmp_path / "fresh", ["png"])
        saved = tmp_path / "baseline" / "logy_jet_pt_2018_baseline.png"
        assert compare_images(str(fresh), str(saved), TOLERANCE) is None
    else:
        check(name, tmp_path / "baseline" / "jet_pt_2018_baseline.png")


def test_a_difference_is_seen(pictured, tmp_path, check, request):
    """The tolerance lets no other binning pass."""
    if request.config.getoption("--renew-goldens"):
        pytest.skip("this would be put on record")
    drawn = shape(pictured, tmp_path, style={"rebin": {"jet_pt": 2}})
    with pytest.raises(AssertionError, match="did not match"):
        check("datamc", drawn.plot_datamc("baseline"))
