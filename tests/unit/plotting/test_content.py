import hist
import pytest

from pocket_coffea.errors import FillError, InvalidValue, UnknownName
from pocket_coffea.plotting.content import add_blocks, block_of, rebinned, with_flow
from pocket_coffea.plotting.stack import Samples, normalised
from pocket_coffea.plotting.style import Style
from pocket_coffea.plotting.style_names import unused_names
from tests.unit.plotting.conftest import CATEGORIES, mc


def samples(histograms, metadata, years=("2018",), **style):
    return Samples("JetGood_pt", histograms, metadata, years, Style(style))


def test_flow_is_added_to_the_outer_bins_or_dropped():
    block = block_of(mc({"nominal": [1, 2, 3]}, flow=(10, 20)), "h")
    assert with_flow(block, "sum").values[0, 0].tolist() == [11, 2, 23]
    assert with_flow(block, "none").values[0, 0].tolist() == [1, 2, 3]


def test_rebinning_keeps_the_sum_flow_included():
    block = block_of(mc({"nominal": [1, 2, 3]}, flow=(10, 20)), "h")
    two = rebinned(block, 2, "h")
    assert two.binnings[0].edges == (0, 20)
    assert two.values[0, 0].tolist() == [10, 3, 23]
    edges = rebinned(block, [10, 40], "h")
    assert edges.values[0, 0].tolist() == [11, 5, 20]
    assert edges.variances.sum() == block.variances.sum()


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (4, "Allowed: 1 to 3"),
        ([0, 15, 40], "15 is not one of its edges; the nearest is 10"),
        ([3, 1], "increasing"),
    ],
)
def test_a_rebinning_that_does_not_fit(how, text):
    with pytest.raises(InvalidValue, match=text):
        rebinned(block_of(mc({"nominal": [1, 2, 3]}), "h"), how, "h")


def test_a_variation_that_was_not_computed_in_a_category_is_nominal():
    histogram = mc({"nominal": [1, 2, 3], "JESUp": [2, 3, 4]})
    histogram.view().value[1, 1] = 0
    histogram.view().variance[1, 1] = 0
    block = block_of(histogram, "h").with_empty_as_nominal()
    assert block.values[1, 1].tolist() == block.values[1, 0].tolist()
    assert block.values[0, 1, 1:-1].tolist() == [2, 3, 4]


def test_different_bins_cannot_be_added():
    other = hist.Hist(
        hist.axis.StrCategory(CATEGORIES, name="cat"),
        hist.axis.Regular(2, 0, 40, name="Jet.pt"),
        storage="weight",
    )
    with pytest.raises(FillError, match=r"2 bins \[0, 40\] and 3 bins \[0, 40\]"):
        add_blocks([block_of(mc({"nominal": [1, 2, 3]}), "h"), block_of(other, "h")], "h")
    labels = [block_of(mc({"nominal": [1, 2, 3]}, label=label), "h") for label in ("pt", "eta")]
    with pytest.raises(FillError, match=r"eta.* and .*pt"):
        add_blocks(labels, "h")


def test_years_with_other_bins_are_refused_together(histograms, metadata):
    other = hist.Hist(
        hist.axis.StrCategory(CATEGORIES, name="cat"),
        hist.axis.StrCategory(["nominal"], name="variation"),
        hist.axis.Regular(2, 0, 40, name="Jet.pt"),
        storage="weight",
    )
    histograms["TT"]["TT_2017"] = other
    assert len(samples(histograms, metadata, years=("2017",)).binnings[0]) == 2
    with pytest.raises(FillError, match="2017, 2018: histograms with different bins"):
        samples({"TT": histograms["TT"]}, metadata, years=("2017", "2018"))
    with pytest.raises(FillError, match="different bins"):
        samples({"DY": histograms["DY"], "TT": {"TT_2017": other}}, metadata, years=("2017", "2018"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(histograms, metadata, value):
    view = histograms["DY"]["DY_2018"].view(flow=True)
    view.value[1, 2, 2] = value
    found = samples(histograms, metadata)
    assert found.stack("baseline").total.values.sum() > 0
    with pytest.raises(FillError, match=r"signal_region, variation JESDown: 1 of 3 sums"):
        found.stack("signal_region")
    view.value[1, 0, 2] = value
    with pytest.raises(FillError, match=r"signal_region, sample DY: 1 of 3 sums of weights are not finite"):
        samples(histograms, metadata).stack("signal_region")


def test_a_density_needs_an_integral_that_is_not_negative(histograms, metadata):
    stack = samples({"DATA": histograms["DATA"], "DY": histograms["DY"]}, metadata).stack("baseline")
    assert normalised(stack).data.values.sum() > 0
    histograms["DY"]["DY_2018"].view(flow=True).value[...] *= -1
    stack = samples(histograms, metadata, only_samples=["DY", "DATA"]).stack("baseline")
    with pytest.raises(FillError, match="integral of -70 cannot become 1"):
        normalised(stack)
    histograms["DY"]["DY_2018"].view(flow=True).value[...] = 0
    empty = samples(histograms, metadata, only_samples=["DY", "DATA"]).stack("baseline")
    widths = [10, 10, 20]
    assert (normalised(empty).data.values * widths).sum() == pytest.approx(1)


def test_other_categories_are_summed_and_names_are_bins():
    histogram = hist.Hist(
        hist.axis.StrCategory(["a"], name="cat"),
        hist.axis.StrCategory(["A", "B"], name="era"),
        hist.axis.Regular(2, 0, 2, name="x", underflow=False, overflow=False),
    )
    histogram.fill(cat="a", era=["A", "B", "B"], x=[0.5, 0.5, 1.5])
    assert block_of(histogram, "h").values.tolist() == [[[0, 2, 1, 0]]]
    alone = histogram[:, :, sum]
    block = with_flow(block_of(alone, "h"), "sum")
    assert block.binnings[0].names == ("A", "B")
    assert block.values.tolist() == [[[1, 2]]]


def test_a_histogram_without_categories():
    with pytest.raises(FillError, match="no axis 'cat'"):
        block_of(hist.Hist(hist.axis.Regular(2, 0, 2, name="x")), "h")


def test_datasets_of_other_years_are_left_out(histograms, metadata):
    assert samples(histograms, metadata, ["2017"]).stack("baseline").total.values.tolist() == [80, 40, 20]


def test_groups_factors_signals_and_order(histograms, metadata):
    found = samples(
        histograms,
        metadata,
        samples_groups={"Top and Z": ["TT", "DY"]},
        rescale_samples={"DY": 2.0},
        signal_samples={"HH": 10},
    ).stack("baseline")
    assert list(found.mc) == ["Top and Z"]
    assert found.total.values.tolist() == [180, 90, 40]
    assert found.total.variances.tolist() == [100 + 4 * 16, 50 + 4 * 8, 20 + 4 * 4]
    assert found.signals["HH"].values.tolist() == [1, 2, 3]
    assert found.data.values.tolist() == [150, 66, 0]
    order = samples(histograms, metadata).stack("baseline")
    assert list(order.mc) == ["HH", "DY", "TT"]
    assert list(samples(histograms, metadata, order_mc=["TT"]).stack("baseline").mc) == ["TT", "HH", "DY"]


def test_blinding(histograms, metadata):
    blind = {"categories": ["baseline"], "histograms": {"JetGood_pt": [12, 30]}}
    found = samples(histograms, metadata, blind_hists=blind)
    assert found.stack("baseline").shown.tolist() == [True, False, False]
    assert found.stack("signal_region").shown.all()


def test_what_is_not_there_is_named(histograms, metadata):
    with pytest.raises(UnknownName, match="Did you mean 'baseline'"):
        samples(histograms, metadata).stack("baselin")
    with pytest.raises(FillError, match="'TT_2017' is not in the metadata"):
        samples(histograms, {})


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ({"samples_groups": {"a": ["TT"], "b": ["TT"]}}, "would count twice"),
        ({"colors_mc": {"TT": "blu"}}, "'blu' is no colour"),
        ({"rescale_samples": {"TT": "two"}}, "not a number"),
        ({"rebin": {"mll": "2"}}, "a list is needed"),
        ({"systematics": {"year_correlation": {"JES": 2}}}, "from 0 to 1"),
        ({"systematics": {"year_correlation": False}}, "False is not a correlation"),
        ({"systematics": {"year_corelation": 1}}, "Did you mean 'year_correlation'"),
        ({"only_samples": "TT"}, "a list needed"),
        ({"blind_hists": {"histograms": {"JetGood_pt": [3, 1]}}}, "not a range"),
        ({"blind_hists": {"histograms": {"JetGood_pt": ["a", 1]}}}, "not a range"),
        ({"blind_hists": {"histogram": {"JetGood_pt": [1, 3]}}}, "Did you mean 'histograms'"),
        ({"blind_hists": {"categories": "baseline"}}, "a list is needed"),
    ],
)
def test_styles_that_cannot_be(style, text, histograms, metadata):
    with pytest.raises(ValueError if "list" not in text and "number" not in text else TypeError, match=text):
        samples(histograms, metadata, **style).stack("baseline")


def test_names_that_the_output_does_not_have_are_told():
    style = Style(
        {
            "samples_groups": {"top": ["TT", "ST"]},
            "rescale_samples": {"DY": 2, "DY__b": 2, "top": 1, "Zjets": 0.5},
            "exclude_samples": ["QCD"],
            "blind_hists": {"categories": ["SR", "baseline"], "histograms": {"mll": [1, 2], "mlll": [1, 2]}},
        }
    )
    told = unused_names(style, ["TT", "DY__b", "DATA"], ["mll"], ["baseline"])
    assert [line.partition(".")[2].partition(". ")[0] for line in told] == [
        "samples_groups.top: the output has no sample 'ST'",
        "rescale_samples: the output has no sample 'Zjets'",
        "exclude_samples: the output has no sample 'QCD'",
        "blind_hists.histograms: the output has no histogram 'mlll'",
        "blind_hists.categories: the output has no category 'SR'",
    ]


def test_an_unknown_key_is_warned_about(caplog):
    Style({"label_mc": {}})
    assert "Did you mean 'labels_mc'" in caplog.text


def test_labels_colours_and_upper_labels():
    style = Style({"colors_mc": {"TT": "CMS_blue"}, "labels_mc": {"TT": "top"}})
    colors = style.colors_of(["DY", "TT"])
    assert colors["TT"] == "#3f90da" != colors["DY"]
    assert style.label_of("TT") == "top"
    assert style.upper_label(["2018"]) == "59.8 fb$^{-1}$, 2018 (13 TeV)"
    assert style.upper_label(["2016_PreVFP", "2016_PostVFP", "2017", "2018"]).startswith("138 fb")
    assert style.upper_label(["2022_preEE"]).endswith("2022 preEE (13.6 TeV)")
    assert style.upper_label(["2030"]) == "2030 (13.6 TeV)"
