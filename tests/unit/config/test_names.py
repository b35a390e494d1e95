import pickle

import pytest

from pocket_coffea.config.names import (
    SampleTable,
    UnknownCategory,
    as_list,
    as_mapping,
    check_class,
    read_table,
)
from pocket_coffea.errors import ConfigurationError, InvalidType, UnknownName
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.weights.weights import WeightWrapper

SAMPLES = SampleTable(
    {"TT": True, "DATA": False}, {"TT": ["TT__a", "TT__b"]}, frozenset({"TT", "DATA", "DY", "TT__a", "TT__b"})
)
CATEGORIES = ["one", "two"]


def read(config, **options):
    return read_table(config, "weights", CATEGORIES, SAMPLES, lambda item, where: None, **options)


def test_a_table_is_read_and_copied():
    names = ["x"]
    config = {
        "common": {"inclusive": names, "bycategory": {"one": ("y",)}},
        "bysample": {"TT": {"inclusive": ["z"]}, "TT__a": {"bycategory": {"two": ["w"]}}},
    }
    table = read(config)
    table.common.inclusive.append("more")
    assert names == ["x"]
    assert table.common.bycategory == {"one": ["y"]}
    assert [request.inclusive for request in table.for_sample("TT")] == [["x", "more"], ["z"]]
    assert table.bysample["TT__a"].bycategory == {"two": ["w"]}
    assert table.for_sample("DATA") == [table.common]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, 'weights has no "common" entry'),
        (None, 'weights has no "common" entry'),
        ({"common": {}}, r'weights\["common"\] has no "inclusive" list'),
        ({"common": {"inclusive": []}, "bysample": {"TT": {}}}, r"weights\[\"bysample\"\]\['TT'\] needs"),
        (
            {"common": {"inclusive": "genWeight"}},
            r"must be a list, not 'genWeight' of type str: write \['genWeight'\]",
        ),
        ({"common": {"inclusive": [], "bycategory": []}}, "must be a dictionary, not"),
    ],
)
def test_missing_parts(config, message):
    with pytest.raises(ConfigurationError, match=message):
        read(config)


def test_columns_may_say_nothing():
    assert read(None, strict=False).common.inclusive == []
    assert read({"common": {}, "bysample": {"TT": {}}}, strict=False).bysample["TT"].inclusive == []


def test_unknown_category_is_a_key_error_with_the_nearest():
    with pytest.raises(KeyError) as error:
        read({"common": {"inclusive": [], "bycategory": {"tow": ["x"]}}})
    assert isinstance(error.value, UnknownName)
    assert str(error.value).endswith("there is no category 'tow'. Did you mean 'two'? Allowed: one, two.")
    assert str(pickle.loads(pickle.dumps(UnknownCategory("m")))) == "m"


def test_samples_that_are_not_processed(caplog):
    config = {
        "common": {"inclusive": []},
        "bysample": {name: {"inclusive": []} for name in ("DY", "DAAT", "TT__c")},
    }
    assert read(config).bysample == {}
    assert "'DY'" not in caplog.text  # left out by a filter: nothing wrong
    assert "'DAAT' is no sample or subsample and is ignored. Did you mean 'DATA'?" in caplog.text
    assert "'TT__c' is no sample" in caplog.text


def test_parents():
    assert [SAMPLES.parent(name) for name in ("TT", "TT__b", "DATA", "DY")] == ["TT", "TT", "DATA", None]


def test_lists_and_mappings():
    assert as_list(None, "x") == []
    assert as_list({1}, "x") == [1]
    for wrong in ("abc", {"a": 1}, 3):
        with pytest.raises(InvalidType, match="x must be a list"):
            as_list(wrong, "x")
    assert as_mapping(None, "x") == {}


def test_classes_that_cannot_be_used():
    class NoName(WeightWrapper):
        def compute(self, events, size, shape_variation):
            return None

    class NoCompute(WeightWrapper):
        name = "names_test_no_compute"

    class Empty(Calibrator):
        pass

    class Whole(NoName):
        name = "names_test_whole"

    check_class(Whole, WeightWrapper, "weights_classes[0]")
    for cls, base, message in (
        (NoName, WeightWrapper, r"here, .*NoName, does not define a name, as in name = 'mine'\.$"),
        (NoCompute, WeightWrapper, r"NoCompute, does not define a method compute\.$"),
        (Empty, Calibrator, r"a name, .*, a method calibrate, a method initialize\.$"),
        (Whole, Calibrator, "here must be a class derived from Calibrator"),
        (Whole(), WeightWrapper, "here must be a class derived from WeightWrapper"),
    ):
        with pytest.raises(InvalidType, match=message):
            check_class(cls, base, "here")
