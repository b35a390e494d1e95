import pytest

from pocket_coffea.config.columns import read_columns
from pocket_coffea.config.names import SampleTable
from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.columns_manager import ColOut

SAMPLES = SampleTable(
    {"TT": True, "DY": True}, {"TT": ["TT__a", "TT__b"]}, frozenset({"TT", "DY", "DATA", "TT__a", "TT__b"})
)
CATEGORIES = ["one", "two"]
PT, ETA, N = (
    ColOut("JetGood", ["pt"]),
    ColOut("JetGood", ["eta"]),
    ColOut("events", ["nJetGood"], flatten=False),
)


def read(config):
    return read_columns(config, SAMPLES, CATEGORIES)


@pytest.mark.parametrize(
    "config", [None, {}, {"common": None}, {"common": {"inclusive": []}, "bysample": {}}]
)
def test_nothing(config):
    empty = {"one": [], "two": []}
    assert read(config) == {"TT__a": empty, "TT__b": empty, "DY": empty}


def test_requests_of_a_sample_go_to_its_subsamples():
    result = read(
        {
            "common": {"inclusive": [PT], "bycategory": {"one": [N]}},
            "bysample": {"TT": {"inclusive": [ETA]}, "TT__b": {"bycategory": {"two": [N]}}},
        }
    )
    assert result["DY"] == {"one": [PT, N], "two": [PT]}
    assert result["TT__a"] == {"one": [PT, N, ETA], "two": [PT, ETA]}
    assert result["TT__b"] == {"one": [PT, N, ETA], "two": [PT, ETA, N]}


def test_equal_requests_count_once():
    again = ColOut("JetGood", ["pt"])
    result = read(
        {
            "common": {"inclusive": [PT, again], "bycategory": {"one": [again]}},
            "bysample": {"DY": {"inclusive": [again]}},
        }
    )
    assert result["DY"] == {"one": [PT], "two": [PT]}


def test_a_sample_that_is_filtered_out_is_no_error(caplog):
    read({"bysample": {"DATA": {"inclusive": [PT]}}})
    assert not caplog.records
    read({"bysample": {"DATTA": {"inclusive": [PT]}}})
    assert "'DATTA' is no sample or subsample and is ignored. Did you mean 'DATA'" in caplog.text


def test_wrong_items():
    with pytest.raises(
        InvalidType, match=r"columns\[\"common\"\]\[\"inclusive\"\] must list ColOut objects, not 'pt'"
    ):
        read({"common": {"inclusive": ["pt"]}})
    with pytest.raises(KeyError, match="there is no category 'three'"):
        read({"common": {"bycategory": {"three": [PT]}}})
