import numpy as np
import pytest

from pocket_coffea.plotting.stack import Samples, normalised
from pocket_coffea.plotting.style import Style
from pocket_coffea.plotting.uncertainty import (
    SystUnc,
    correlation_of,
    paired_variations,
    poisson_errors,
    shifts_of_years,
)


def stack_of(histograms, metadata, years=("2018",), category="baseline", **style):
    return Samples("JetGood_pt", histograms, metadata, years, Style(style)).stack(category)


def test_shifts_of_samples_add_up_with_their_signs(histograms, metadata):
    """JES up: TT +10, -5, +2; DY +4, -1, 0. JES down: -5, +3, +1 and -3, +2, 0."""
    jes = stack_of(histograms, metadata, exclude_samples=["HH"]).systematics["JES"]
    np.testing.assert_allclose(jes.err_up, [14, 5, 2])
    np.testing.assert_allclose(jes.err_down, [8, 6, 0])  # third bin: both variations go up


def test_a_sample_without_the_variation_stays_nominal(histograms, metadata):
    """isr is known for DY alone: +2, 0, +1 and 0, -2, -1."""
    isr = stack_of(histograms, metadata, exclude_samples=["HH"]).systematics["isr"]
    np.testing.assert_allclose(isr.err_up, [2, 0, 1])
    np.testing.assert_allclose(isr.err_down, [0, 2, 1])


def test_the_band_is_the_sum_in_quadrature_of_each_side(histograms, metadata):
    """Statistics: 100 + 16, 50 + 8, 20 + 4."""
    stack = stack_of(histograms, metadata, exclude_samples=["HH"])
    np.testing.assert_allclose(stack.total.values, [140, 70, 30])
    np.testing.assert_allclose(stack.mcstat.err2_up, [116, 58, 24])
    band = stack.band()
    np.testing.assert_allclose(band.err_up, np.sqrt([116 + 14**2 + 2**2, 58 + 5**2, 24 + 2**2 + 1]))
    np.testing.assert_allclose(band.err_down, np.sqrt([116 + 8**2, 58 + 6**2 + 2**2, 24 + 1]))
    np.testing.assert_allclose(stack.band(["isr"], mcstat=False).err_up, [2, 0, 1])
    np.testing.assert_allclose(band.ratio_up, 1 + band.err_up / [140, 70, 30])


@pytest.mark.parametrize("of_all", [False, True])
@pytest.mark.parametrize(
    ("correlation", "up"),
    [
        # JES up in 2017: +4, 0, -1; in 2018: +14, -6, +2
        (1.0, [18, 0, 1]),
        (0.0, np.sqrt([4**2 + 14**2, 0 + 5**2, 0 + 2**2])),
    ],
)
def test_years_are_correlated_as_the_style_says(histograms, metadata, correlation, up, of_all):
    stack = stack_of(
        histograms,
        metadata,
        ("2017", "2018"),
        exclude_samples=["HH"],
        systematics={"year_correlation": correlation if of_all else {"JES": correlation}},
    )
    np.testing.assert_allclose(stack.total.values, [220, 110, 50])
    found = stack.systematics["JES"].err_up
    # second bin: upwards moves down alone, -2 in 2017 and +5 in 2018
    expected = [up[0], 3 if correlation else 5, up[2]]
    np.testing.assert_allclose(found, expected)


def test_half_a_correlation_lies_between():
    by_year = [(np.array([3.0]), np.array([-3.0])), (np.array([4.0]), np.array([-4.0]))]
    errors = {}
    for correlation in (0, 0.5, 1):
        parts = shifts_of_years(by_year, correlation)
        errors[correlation] = SystUnc.from_shifts("a", np.array([100.0]), parts).err_up[0]
    assert errors == pytest.approx({0: 5.0, 0.5: np.sqrt(0.5 * 49 + 0.5 * 25), 1: 7.0})


def test_one_sided_and_same_sided_shifts():
    nominal = np.array([10.0, 10.0, 10.0])
    up, down = np.array([2.0, 1.0, -1.0]), np.array([0.0, 3.0, -4.0])
    found = SystUnc.from_shifts("a", nominal, [(up, down)])
    np.testing.assert_allclose(found.err_up, [2, 3, 0])
    np.testing.assert_allclose(found.err_down, [0, 0, 4])
    np.testing.assert_allclose(found.down, [10, 10, 6])


def test_empty_bins_have_a_ratio_of_one():
    found = SystUnc.from_shifts("a", np.array([0.0]), [(np.array([1.0]), np.array([0.0]))])
    assert found.ratio_up == found.ratio_down == 1


def test_names_of_variations():
    found = paired_variations(["nominal", "JES_UpgradeDown", "JES_UpgradeUp", "isrUp", "odd"])
    assert found == {
        "JES_Upgrade": {"Down": "JES_UpgradeDown", "Up": "JES_UpgradeUp"},
        "isr": {"Up": "isrUp"},
        "odd": {"Up": "odd"},
    }


def test_the_first_matching_correlation_counts():
    found = {"sf_.*": 0.2, "sf_mu": 0.9, "default": 0.5}
    assert [correlation_of(name, found) for name in ("sf_mu", "JES")] == [0.2, 0.5]
    assert correlation_of("JES", {}) == 1.0


def test_errors_of_data():
    low, high = poisson_errors(np.array([0.0, 1.0, 100.0]), np.array([0.0, 1.0, 100.0]))
    np.testing.assert_allclose(low, [0, 0.82725, 9.98], atol=1e-2)
    np.testing.assert_allclose(high, [1.84, 2.2995, 11.03], atol=1e-2)
    # prescaled data of weight 2: twice the errors of 25 events
    low, high = poisson_errors(np.array([50.0, -1.0]), np.array([100.0, 4.0]))
    np.testing.assert_allclose([low[0], high[0]], [2 * 4.966, 2 * 6.066], atol=2e-2)
    assert low[1] == high[1] == 2


def test_a_shape_is_normalised_and_its_shifts_are_of_the_shape(histograms, metadata):
    stack = normalised(stack_of(histograms, metadata, only_samples=["DY", "DATA"]))
    widths = np.array([10, 10, 20])
    assert (stack.total.values * widths).sum() == pytest.approx(1)
    assert (stack.data.values * widths).sum() == pytest.approx(1)
    expected = np.array([44, 19, 10]) / 73 / widths - np.array([40, 20, 10]) / 70 / widths
    down = np.array([37, 22, 10]) / 69 / widths - np.array([40, 20, 10]) / 70 / widths
    np.testing.assert_allclose(
        stack.systematics["JES"].err_up, np.maximum(np.maximum(expected, down), 0), atol=1e-12
    )


def test_hidden_data_do_not_change_the_normalisation_of_the_rest(histograms, metadata):
    blind = {"histograms": {"JetGood_pt": [0, 10]}}
    stack = normalised(stack_of(histograms, metadata, only_samples=["DY", "DATA"], blind_hists=blind))
    assert stack.shown.tolist() == [False, True, True]
    widths = np.array([10, 10, 20])
    assert (stack.data.values * widths)[1:].sum() == pytest.approx(30 / 70)
