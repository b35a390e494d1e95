import numpy as np
import pytest

from pocket_coffea.config.calibrators import read_calibrators, shape_variation_check
from pocket_coffea.config.names import SampleTable
from pocket_coffea.config.variations import read_variations, shape_variations, weight_variations
from pocket_coffea.config.weights import available_weights, read_weights
from pocket_coffea.errors import ConfigurationError, InvalidType, PhysicsNotAvailable
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.calibrators.common import JetsCalibrator, default_calibrators_sequence
from pocket_coffea.lib.weights.weights import WeightLambda

SAMPLES = SampleTable({"TT": True, "DY": True, "DATA": False}, {"TT": ["TT__a", "TT__b"]})
CATEGORIES = ["one", "two"]


def _ones(params, metadata, events, size, shape_variation):
    return np.ones(size)


WEIGHTS = available_weights(
    [WeightLambda.wrap_func(f"config_variations_w{i}", _ones, has_variations=True) for i in range(3)]
    + [WeightLambda.wrap_func("config_variations_fixed", _ones)]
)
W0, W1, W2, FIXED = WEIGHTS


class Varies(Calibrator):
    name = "config_variations_calibrator"
    has_variations = True

    def initialize(self, events):
        pass

    def calibrate(self, events, events_original_collections, variation, already_applied_calibrators=None):
        return {}


class Steady(Varies):
    name = "config_variations_steady"
    has_variations = False


class OwnJets(Varies):
    """Stands for the calibrator of that name; not registered, as the package has one."""


OwnJets.name = "jet_calibration_legacy"


def weights(inclusive=(), bycategory=None, bysample=None):
    common = {"inclusive": list(inclusive), "bycategory": bycategory or {}}
    return read_weights({"common": common, "bysample": bysample or {}}, WEIGHTS, SAMPLES, CATEGORIES)


def read(config, weights_config, calibrators=(Varies, Steady)):
    check = shape_variation_check(read_calibrators(calibrators))
    return read_variations(config, WEIGHTS, weights_config, check, samples=SAMPLES, categories=CATEGORIES)


def by_weight(common=(), bycategory=None, bysample=None):
    entry = {"inclusive": list(common), "bycategory": bycategory or {}}
    return {"weights": {"common": entry, "bysample": bysample or {}}}


def by_shape(common=(), bycategory=None, bysample=None):
    return {"shape": by_weight(common, bycategory, bysample)["weights"]}


def test_nothing_asked_for():
    for config in (None, {}, {"weights": None, "norm": {}}):
        result = read(config, weights())
        assert list(result) == ["TT", "DY"]  # none for data
        assert result["DY"] == {
            "weights": {"one": [], "two": []},
            "shape": {"one": [], "two": []},
            "by_subsample": {},
        }


def test_inclusive_requests_are_spread_over_categories():
    config = {**by_weight([W0], {"two": [W1]}, {"TT": {"inclusive": [W2]}}), **by_shape([Varies.name])}
    result = read(config, weights([W0, W1], bysample={"TT": {"inclusive": [W2]}}))
    assert result["DY"]["weights"] == {"one": [W0], "two": [W0, W1]}
    assert result["TT"]["weights"] == {"one": [W0, W2], "two": [W0, W1, W2]}
    assert result["TT"]["shape"] == {"one": [Varies.name], "two": [Varies.name]}
    assert weight_variations(SAMPLES.is_mc, result)["TT"] == ["nominal", W0, W2, W1]
    assert weight_variations(SAMPLES.is_mc, result)["DATA"] == ["nominal"]
    assert shape_variations(SAMPLES.is_mc, result) == {"TT": [Varies.name], "DY": [Varies.name], "DATA": []}


def test_subsamples_have_their_own():
    config = {
        **by_weight(bysample={"TT__a": {"inclusive": [W0], "bycategory": {"one": [W1]}}}),
        **by_shape(bysample={"TT__b": {"bycategory": {"two": [Varies.name]}}}),
    }
    applied = weights(bysample={"TT__a": {"inclusive": [W0], "bycategory": {"one": [W1]}}})
    result = read(config, applied)
    assert result["TT"]["weights"] == {"one": [], "two": []}
    assert result["TT"]["by_subsample"] == {
        "TT__a": {"weights": {"one": [W0, W1], "two": [W0]}, "shape": {"one": [], "two": []}},
        "TT__b": {"weights": {"one": [], "two": []}, "shape": {"one": [], "two": [Varies.name]}},
    }
    assert shape_variations(SAMPLES.is_mc, result)["TT"] == [Varies.name]


def test_variation_by_category_of_an_inclusive_weight_of_a_sample_with_weights_by_category():
    result = read(by_weight(bycategory={"one": [W0]}), weights([W0], {"two": [W1]}))
    assert result["DY"]["weights"] == {"one": [W0], "two": []}


@pytest.mark.parametrize(
    ("request_", "applied", "message"),
    [
        (by_weight([W0]), weights([W1]), rf"for 'TT' this weight is not applied\. Weights of 'TT': {W1}"),
        (
            by_weight([W0]),
            weights([], {"one": [W0]}),
            "is applied in the categories one only: request its variation",
        ),
        (
            by_weight([W0]),
            weights(bysample={"TT": {"inclusive": [W0]}}),
            "for 'DY' this weight is not applied",
        ),
        (
            by_weight(bycategory={"two": [W0]}),
            weights([], {"one": [W0]}),
            r"\['two'\] asks for.*categories one only",
        ),
        (
            by_weight(bysample={"TT__a": {"inclusive": [W0]}}),
            weights([W0]),
            "for 'TT__a' this weight is not applied",
        ),
    ],
)
def test_variation_of_a_weight_that_is_not_applied(request_, applied, message):
    with pytest.raises(ConfigurationError, match=message):
        read(request_, applied)


def test_unknown_names():
    with pytest.raises(ValueError, match=rf"'{W0}Up', which none .*Did you mean.*'{W0}'"):
        read(by_weight([f"{W0}Up"]), weights([W0]))
    with pytest.raises(
        ValueError, match=r"config_variations_calibrater.*Did you mean 'config_variations_calibrator'"
    ):
        read(by_shape(["config_variations_calibrater"]), weights())
    with pytest.raises(ValueError, match="'config_variations_steady', which has none"):
        read(by_shape([Steady.name]), weights())
    with pytest.raises(KeyError, match="there is no category 'oen'"):
        read(by_shape(bycategory={"oen": [Varies.name]}), weights())
    with pytest.raises(TypeError, match="must list names of calibrators"):
        read(by_shape([Varies]), weights())


def test_common_is_mandatory_when_the_key_is_given():
    with pytest.raises(ConfigurationError, match=r'variations\["weights"\] has no "common" entry'):
        read({"weights": {"bysample": {}}}, weights())


def test_warnings(caplog):
    config = {**by_weight([FIXED], bysample={"DATA": {"inclusive": [W0]}}), "shapes": {}}
    result = read(config, weights([FIXED]))
    assert "DATA" not in result
    assert "'DATA' is data, which has no variations; the request is ignored" in caplog.text
    assert "'config_variations_fixed' has no variations" in caplog.text
    assert "the key 'shapes' has no meaning and is ignored. Did you mean 'shape'?" in caplog.text


def test_old_names_of_jet_uncertainties_choose_among_the_variations():
    result = read(by_shape(["JES_Total", "JES_Total", "JER_AK4PFchs"]), weights(), [OwnJets])
    first, second = result["DY"]["shape"]["one"]
    assert (first.calibrator, first.source, second.source) == ("jet_calibration_legacy", "JES_Total", "JER")
    assert first.selects("AK4PFchs_JES_TotalUp")
    assert not second.selects("AK4PFchs_JES_TotalUp")


def test_calibrators_that_are_not_available(caplog):
    calibrators = read_calibrators(None)
    assert calibrators.sequence == []
    assert calibrators.not_applied == [cls.name for cls in default_calibrators_sequence]
    for name in ("jet_calibration", "JES_Total"):
        with pytest.raises(PhysicsNotAvailable, match=f"asks for '{name}', but the calibration of jets"):
            read(by_shape([name]), weights(), None)
    with pytest.raises(PhysicsNotAvailable, match="'jet_calibration'"):
        read_calibrators([JetsCalibrator])


def test_calibrators_are_classes_with_different_names():
    assert read_calibrators([]).sequence == []
    assert read_calibrators([Steady, Varies]).with_variations() == [Varies.name]
    with pytest.raises(InvalidType, match=r"calibrators\[0\] must be a class derived from Calibrator"):
        read_calibrators(["jet_calibration"])
    with pytest.raises(ConfigurationError, match="a second calibrator named"):
        read_calibrators([Varies, Steady, Varies])
