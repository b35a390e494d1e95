"""Definitions of weights: classes, wrapped functions, names of variations."""

import awkward as ak
import numpy as np
import pytest
from omegaconf import OmegaConf

from pocket_coffea.lib.weights import (
    WeightData,
    WeightDataMultiVariation,
    WeightLambda,
    WeightsManager,
    WeightWrapper,
)

ONES = np.ones(2)


class Plain(WeightWrapper):
    name = "tw_plain"

    def compute(self, events, size, shape_variation):
        return WeightData(self.name, np.ones(size))


class TwoSided(Plain):
    name = "tw_two_sided"
    has_variations = True


class Named(Plain):
    name = "tw_named"
    has_variations = True
    isMC_only = False

    def __init__(self, params=None, metadata=None):
        super().__init__(params, metadata)
        self._variations = params["variations"]


def wrapped(function, name="tw_wrapped", **options):
    return WeightLambda.wrap_func(name=name, function=function, **options)


def returning(result):
    """A weight instance whose function returns ``result``."""
    return wrapped(lambda params, metadata, events, size, shape_variation: result)()


def test_old_and_new_paths_give_the_same_classes():
    from pocket_coffea.lib.weights import manager, weights, weights_manager

    assert weights.WeightLambda is WeightLambda
    assert manager.WeightsManager is weights_manager.WeightsManager is WeightsManager
    with pytest.warns(DeprecationWarning, match=r"pocket_coffea.lib.weights"):
        from pocket_coffea.lib import weights_manager as old
    assert old.WeightsManager is WeightsManager
    with pytest.raises(ValueError, match=r"WeightLambda.wrap_func"):
        old.WeightCustom("sf", lambda events: 1)


def test_names_of_variations():
    assert Plain().variations == Plain().modifiers == []
    assert TwoSided().modifiers == ["tw_two_sidedUp", "tw_two_sidedDown"]
    named = Named(OmegaConf.create({"variations": ["stat", "syst"]}), {})
    assert named.variations == ["stat", "syst"]
    assert named.modifiers == [
        *("tw_named_statUp", "tw_named_statDown", "tw_named_systUp", "tw_named_systDown"),
    ]
    assert Named._variations == ()


@pytest.mark.parametrize("name", ["tw_Up", "tw_Down"])
def test_a_name_must_not_end_like_a_variation(name):
    with pytest.raises(ValueError, match=f"name = '{name}': a weight name must not end in"):
        type(WeightWrapper)("Bad", (WeightWrapper,), {"name": name})


def test_a_weight_without_compute_cannot_be_made():
    abstract = type(WeightWrapper)("Abstract", (WeightWrapper,), {"name": "tw_abstract"})
    with pytest.raises(TypeError, match="compute"):
        abstract()


def test_the_function_gets_its_arguments_by_position():
    seen = []

    def function(*args):
        seen.append(args)
        return np.zeros(args[3])

    weight = wrapped(function)("params", {"year": "2018"})
    assert list(weight.compute("events", 3, "JER").nominal) == [0, 0, 0]
    assert seen == [("params", {"year": "2018"}, "events", 3, "JER")]


@pytest.mark.parametrize(
    ("result", "nominal", "up", "down"),
    [
        (np.array([1.0, 2.0]), [1, 2], None, None),
        (ak.Array([1.0, 2.0]), [1, 2], None, None),
        ([np.array([1.0, 2.0])], [1, 2], None, None),
        ((ONES, 2 * ONES, 3 * ONES), [1, 1], [2, 2], [3, 3]),
        ([ONES, 2 * ONES, None], [1, 1], [2, 2], None),
        (WeightData("another name", ONES, up=2 * ONES), [1, 1], [2, 2], None),
    ],
)
def test_accepted_results(result, nominal, up, down):
    data = returning(result).compute(None, 2, "nominal")
    assert isinstance(data, WeightData)
    assert data.name == "tw_wrapped"
    for values, expected in ((data.nominal, nominal), (data.up, up), (data.down, down)):
        assert (None if values is None else list(values)) == expected


@pytest.mark.parametrize(
    "result",
    [
        [ONES, ["a", "b"], [2 * ONES, 3 * ONES], [ONES, ONES]],
        WeightDataMultiVariation("x", ONES, ["a", "b"], [2 * ONES, 3 * ONES], [ONES, ONES]),
    ],
)
def test_accepted_results_with_named_variations(result):
    data = returning(result).compute(None, 2, "nominal")
    assert isinstance(data, WeightDataMultiVariation)
    assert (data.name, list(data.variations)) == ("tw_wrapped", ["a", "b"])
    assert [list(values) for values in data.up] == [[2, 2], [3, 3]]


@pytest.mark.parametrize(
    "result",
    ["wrong", [1, 2, 3, 4], [], [ONES, ONES], 1.0, None, [None], [ONES, ("a",), [ONES], [ONES]], {"a": ONES}],
)
def test_any_other_result_is_a_value_error(result):
    with pytest.raises(
        ValueError, match=r"weight 'tw_wrapped': its function returned .* Allowed: WeightData"
    ):
        returning(result).compute(None, 2, "nominal")


def test_wrong_definitions_of_wrapped_functions():
    with pytest.raises(ValueError, match="has_variations=True is needed"):
        wrapped(lambda *a: ONES, variations=["stat"])
    with pytest.raises(ValueError, match="cannot be called"):
        wrapped("not a function")


def test_serialize_on_the_class_and_on_an_instance():
    def compute_it(params, metadata, events, size, shape_variation):
        return np.ones(size)

    weight = wrapped(compute_it, has_variations=True, variations=["stat"], isMC_only=False)
    described = weight.serialize()
    assert described == weight().serialize()
    assert described["name"] == "tw_wrapped"
    assert described["variations"] == ["stat"]
    assert (described["has_variations"], described["isMC_only"]) == (True, False)
    assert described["function"]["name"].endswith("compute_it")
    assert described["function"]["src_file"] == __file__
    assert Plain.serialize()["class"]["name"] == "Plain"
    assert weight.__module__ == __name__
