import numpy as np
import pytest

from pocket_coffea.config.names import SampleTable
from pocket_coffea.config.weights import available_weights, check_available, read_weights, requested_weights
from pocket_coffea.errors import ConfigurationError, InvalidType, PhysicsNotAvailable
from pocket_coffea.lib.weights.common.common import common_weights
from pocket_coffea.lib.weights.weights import WeightLambda, WeightWrapper

SAMPLES = SampleTable({"TT": True, "DY": True, "DATA": False}, {"TT": ["TT__a", "TT__b"]})
CATEGORIES = ["one", "two"]


def _ones(params, metadata, events, size, shape_variation):
    return np.ones(size)


own = WeightLambda.wrap_func("config_weights_own", _ones)
for_data = WeightLambda.wrap_func("config_weights_data", _ones, isMC_only=False)
AVAILABLE = available_weights([*common_weights, own, for_data])


def read(inclusive, bycategory=None, bysample=None):
    common = {"inclusive": inclusive, "bycategory": bycategory or {}}
    return read_weights({"common": common, "bysample": bysample or {}}, AVAILABLE, SAMPLES, CATEGORIES)


def test_common_weights_for_simulation_and_for_data():
    config = read(["genWeight", "config_weights_data"], {"one": ["config_weights_own"]})
    assert config["DY"] == {
        "inclusive": ["genWeight", "config_weights_data"],
        "bycategory": {"one": ["config_weights_own"], "two": []},
        "is_split_bycat": True,
        "by_subsample": {},
    }
    assert config["DATA"] == {
        "inclusive": ["config_weights_data"],
        "bycategory": {"one": [], "two": []},
        "is_split_bycat": False,
        "by_subsample": {},
    }


def test_samples_and_subsamples_add_to_the_common_ones():
    config = read(
        ["genWeight"],
        {"one": ["lumi"]},
        {
            "TT": {"inclusive": ["XS"], "bycategory": {"two": ["config_weights_data"]}},
            "TT__b": {"bycategory": {"one": ["config_weights_own"]}},
        },
    )
    assert config["TT"]["inclusive"] == ["genWeight", "XS"]
    assert config["TT"]["bycategory"] == {"one": ["lumi"], "two": ["config_weights_data"]}
    assert config["TT"]["by_subsample"] == {
        "TT__a": {"inclusive": [], "bycategory": {"one": [], "two": []}, "is_split_bycat": False},
        "TT__b": {
            "inclusive": [],
            "bycategory": {"one": ["config_weights_own"], "two": []},
            "is_split_bycat": True,
        },
    }
    assert config["DY"]["inclusive"] == ["genWeight"]
    names = ["genWeight", "XS", "lumi", "config_weights_data", "config_weights_own"]
    assert requested_weights(config) == names


@pytest.mark.parametrize(
    ("inclusive", "bycategory", "bysample", "message"),
    [
        (
            ["lumi", "lumi"],
            None,
            None,
            r"'lumi' is requested twice for 'TT': in weights\[\"common\"\]\[\"inclusive\"\]",
        ),
        (["lumi"], None, {"DY": {"inclusive": ["lumi"]}}, r"twice for 'DY'.*weights\[\"bysample\"\]\['DY'\]"),
        (["lumi"], {"one": ["lumi"]}, None, r"twice for 'TT'.*\[\"bycategory\"\]\['one'\]"),
        (["lumi"], None, {"DY": {"bycategory": {"two": ["lumi"]}}}, "twice for 'DY'"),
        ([], {"one": ["lumi"]}, {"DY": {"bycategory": {"one": ["lumi"]}}}, "another list of 'one'"),
        ([], None, {"TT__a": {"inclusive": ["XS"], "bycategory": {"one": ["XS"]}}}, "twice for 'TT__a'"),
        (["genWeight", "signOf_genWeight"], None, None, "both genWeight and signOf_genWeight"),
    ],
)
def test_a_weight_is_applied_once(inclusive, bycategory, bysample, message):
    with pytest.raises(ConfigurationError, match=message):
        read(inclusive, bycategory, bysample)


def test_weights_for_simulation_twice_do_not_matter_for_data_alone():
    with pytest.raises(ConfigurationError, match="twice for 'TT'"):
        read(["lumi"], {"one": ["lumi"]})
    config = read([], None, {"DATA": {"inclusive": ["lumi", "lumi"]}})
    assert config["DATA"]["inclusive"] == []


def test_sample_and_subsample_multiply_with_a_warning(caplog):
    config = read(["lumi"], None, {"TT__a": {"inclusive": ["lumi"]}})
    assert config["TT"]["by_subsample"]["TT__a"]["inclusive"] == ["lumi"]
    assert "'lumi' is requested for the sample and again for its subsample 'TT__a'" in caplog.text


def test_unknown_weight_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"Wrong weight configuration.*'genweight'.*Did you mean 'genWeight'"
    ):
        read(["genweight"])
    with pytest.raises(TypeError, match="must list names of weights"):
        read([own])


def test_unknown_sample_warns(caplog):
    read([], None, {"DDY": {"inclusive": ["lumi"]}})
    assert "'DDY' is no sample or subsample and is ignored. Did you mean 'DY'?" in caplog.text


def test_weights_classes():
    with pytest.raises(InvalidType, match=r"weights_classes\[0\] must be a class derived from WeightWrapper"):
        available_weights(["lumi"])
    with pytest.warns(DeprecationWarning, match="weights_classes is not given"):
        assert available_weights(None)["genWeight"] is AVAILABLE["genWeight"]
    assert list(available_weights([own, own])) == ["config_weights_own"]


def test_two_classes_of_one_name():
    class Other(WeightWrapper):
        def compute(self, events, size, shape_variation):
            return None

    Other.name = "config_weights_own"
    with pytest.raises(ConfigurationError, match="are both named 'config_weights_own'"):
        available_weights([own, Other])


def test_weights_without_their_physics_are_all_named():
    check_available([AVAILABLE["lumi"]])
    with pytest.raises(PhysicsNotAvailable, match=r"'sf_mu_id' \(.*\), 'sf_btag' \("):
        check_available([AVAILABLE["sf_mu_id"], AVAILABLE["lumi"], AVAILABLE["sf_btag"]])
