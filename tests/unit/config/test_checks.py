import pytest

from pocket_coffea.config.checks import (
    check_columns,
    check_histograms,
    check_only_variations,
    check_workflow,
    check_workflow_options,
)
from pocket_coffea.config.names import SampleTable
from pocket_coffea.errors import ConfigurationError, InvalidType, InvalidValue
from pocket_coffea.lib.categorization import StandardSelection
from pocket_coffea.lib.columns_manager import ColOut
from pocket_coffea.lib.hist_manager import Axis, HistConf

from .conftest import Shift, cut, varied

SAMPLES = SampleTable({"TT": True, "DY": True}, {"TT": ["TT__a"]}, frozenset({"TT", "DY", "DATA"}))
CATEGORIES = ["baseline", "2btag"]


def hist(**options):
    return HistConf([Axis(coll="Muon", field="pt", bins=10, start=0, stop=100, label="pt")], **options)


def check(**options):
    check_histograms({"h": hist(**options)}, SAMPLES, CATEGORIES)


def test_names_that_exist_are_silent(caplog):
    check(
        only_samples=["TT"],
        exclude_samples=["DATA"],
        only_categories=["2btag"],
        exclude_categories=["baseline"],
    )
    assert not caplog.records


def test_names_that_do_not_exist_are_warned_about(caplog):
    check(only_samples=["TTT"], exclude_categories=["2beta"], only_categories=["2btag", "3btag"])
    assert (
        "variables['h'], only_samples: 'TTT' is no sample or subsample and is ignored. Did you mean 'TT'"
        in caplog.text
    )
    assert (
        "variables['h'], exclude_categories: there is no category '2beta'. Did you mean '2btag'?"
        in caplog.text
    )
    assert "only_categories: there is no category '3btag'" in caplog.text


def test_subsamples_choose_no_histogram(caplog):
    check(exclude_samples=["TT__a"])
    assert "'TT__a' is a subsample; histograms are chosen by sample: write 'TT'" in caplog.text


def test_a_histogram_that_is_never_filled():
    with pytest.raises(ConfigurationError, match=r"none of '2beta' is a category. Did you mean '2btag'"):
        check(only_categories=["2beta"])


def test_excluding_all_categories_is_warned_about(caplog):
    check(exclude_categories=["baseline"])
    assert not caplog.messages
    check(exclude_categories=["2btag", "baseline"])
    assert "variables['h'], exclude_categories: all categories are excluded" in caplog.text


def test_wrong_types():
    with pytest.raises(InvalidType, match=r"variables\['h'\] must be a HistConf.*unpack it with \*\*"):
        check_histograms({"h": {"x": hist()}}, SAMPLES, CATEGORIES)
    with pytest.raises(InvalidType, match="variables must be a dictionary"):
        check_histograms([hist()], SAMPLES, CATEGORIES)
    check_histograms({}, SAMPLES, CATEGORIES)
    check_histograms(None, SAMPLES, CATEGORIES)


def test_names_must_be_in_a_list():
    conf = hist()
    conf.only_categories = "2btag"
    with pytest.raises(InvalidType, match=r"only_categories must be a list of names.*write \['2btag'\]"):
        check_histograms({"h": conf}, SAMPLES, CATEGORIES)


def test_workflow():
    class Right:
        def process(self, events):
            return {}

    class Wrong:
        pass

    check_workflow(Right)
    with pytest.raises(InvalidType, match="the class Wrong, which has no process method"):
        check_workflow(Wrong)
    with pytest.raises(InvalidType, match="Pass the class itself, not an instance"):
        check_workflow(Right())


def test_options_nearly_of_the_framework(caplog):
    check_workflow_options(["skim_mode", "donotscale_sumgenweights", "spanet_model", "parton_jet_min_dR"])
    assert not caplog.messages
    check_workflow_options(["donotscale_sumgenweight", "dump_columns_as_array_per_chunk"])
    assert ["write 'donotscale_sumgenweights'" in m for m in caplog.messages] == [True, False]
    assert "write 'dump_columns_as_arrays_per_chunk'" in caplog.messages[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "regulr"}, r"Histogram 'h', axis 'Muon.pt': unknown type 'regulr'. Did you mean 'regular'"),
        ({"bins": [3, 2]}, r"Histogram 'h', axis 'Muon.pt': the regular binning is not possible"),
        ({"stop": None}, r"Histogram 'h', axis 'Muon.pt': type 'regular' needs stop"),
    ],
)
def test_axes_that_cannot_be_made(options, message):
    axis = Axis(**{"coll": "Muon", "field": "pt", "bins": 10, "start": 0, "stop": 9, "label": "pt"} | options)
    with pytest.raises(InvalidValue, match=message):
        check_histograms({"h": HistConf([axis])}, SAMPLES, CATEGORIES)


def test_a_dictionary_of_histograms_is_not_written_out():
    with pytest.raises(InvalidType) as error:
        check_histograms({"h": {f"h{i}": hist() for i in range(20)}}, SAMPLES, CATEGORIES)
    assert len(str(error.value)) < 250


class Dynamic(Shift):
    name = "checks_test_dynamic"
    _variations = ()


@pytest.mark.parametrize(
    ("calibrators", "variation", "silent"),
    [
        ([], "nominal", True),
        ([], "config_test_variedUp", True),
        ([], "config_test_varied_statDown", True),  # the weight may name variations for each year
        ([], "config_test_varid", False),
        ([], "config_test_variedUP", False),
        ([], "AK4PFchs_JES_TotalUp", False),
        ([Shift], "config_test_shift", True),
        ([Shift], "config_shiftUp", True),
        ([Shift], "config_shfitUp", False),
        ([Dynamic], "AK4PFchs_JES_TotalUp", True),
        ([Dynamic], "AK4PFchs_JES_Total", False),
    ],
)
def test_only_variations_that_nothing_can_have(calibrators, variation, silent, caplog):
    check_only_variations({"h": hist(only_variations=[variation])}, [varied], calibrators)
    assert (not caplog.records) == silent
    assert silent or f"variables['h'], only_variations: nothing varies '{variation}'" in caplog.text


def test_only_variations_is_a_list():
    with pytest.raises(InvalidType, match=r"only_variations must be a list of names.*write \['pileupUp'\]"):
        check_only_variations({"h": hist(only_variations="pileupUp")}, [], [])


def test_columns_of_another_collection_than_the_categories_select():
    jets = StandardSelection({"jets": [cut(30, "pt", collection="Jet")]})
    check_columns({"TT": {"jets": [ColOut("Jet", ["pt"])]}}, jets)
    with pytest.raises(InvalidValue, match="columns of 'TT': Categories select the objects of 'Jet': col"):
        check_columns({"TT": {"jets": [ColOut("Muon", ["pt"])]}}, jets)


@pytest.mark.parametrize(
    ("options", "warned"), [({}, True), ({"type": "int"}, False), ({"growth": False}, False)]
)
def test_axes_that_grow_apart(options, warned, caplog):
    settings = {"field": "x", "label": "x", "bins": 2, "start": 0, "stop": 2, "growth": True}
    check_histograms({"h": HistConf([Axis(**settings | options)])}, SAMPLES, CATEGORIES)
    assert ("variables['h'], axis 'events.x': growth=True, but chunks" in caplog.text) == warned
