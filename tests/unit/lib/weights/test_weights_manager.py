"""Products of weights, against coffea and by hand."""

import itertools
import pickle

import awkward as ak
import numpy as np
import pytest
from coffea.analysis_tools import Weights
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pocket_coffea.errors import MissingBranch, WeightError
from pocket_coffea.lib.weights import (
    WeightData,
    WeightDataMultiVariation,
    WeightLambda,
    WeightsManager,
    WeightWrapper,
)

METADATA = {"sample": "TT", "dataset": "TT_2018", "year": "2018", "isMC": True, "xsec": 1.0, "part": None}
CATEGORIES = ("presel", "1b", "2b")


def constant(name, nominal, up=None, down=None, **options):
    """A weight class with the same value for every event."""

    def function(params, metadata, events, size, shape_variation):
        arrays = [None if value is None else np.full(size, float(value)) for value in (nominal, up, down)]
        return WeightData(name, *arrays)

    return WeightLambda.wrap_func(name, function, has_variations=up is not None, **options)


def from_array(name, nominal, up=None, down=None, **options):
    function = lambda params, metadata, events, size, shape_variation: WeightData(name, nominal, up, down)  # noqa: E731
    return WeightLambda.wrap_func(name, function, has_variations=up is not None, **options)


def level(inclusive=(), **bycategory):
    full = {category: list(bycategory.get(category, ())) for category in CATEGORIES}
    return {"inclusive": list(inclusive), "bycategory": full, "is_split_bycat": any(full.values())}


def manager(*wrappers, size=3, shape_variation="nominal", conf=None, events=None, **options):
    conf = conf or level([wrapper.name for wrapper in wrappers])
    made = WeightsManager({}, conf, wrappers, METADATA, **options)
    made.compute(events, size, shape_variation=shape_variation)
    return made


# --- equality with coffea

values = st.floats(0.01, 100, allow_subnormal=False) | st.floats(-100, -0.01)


@st.composite
def weights_of_events(draw):
    """Nominal (some exactly 0), up and down (or None) arrays of several weights."""
    size = draw(st.integers(0, 6))
    array = hnp.arrays(np.float64, size, elements=values)
    nominal = hnp.arrays(np.float64, size, elements=st.just(0.0) | values)
    weight = st.tuples(nominal, st.none() | st.tuples(array, st.none() | array))
    return size, draw(st.lists(weight, min_size=1, max_size=5))


@given(weights_of_events())
@settings(deadline=None, max_examples=150)
def test_totals_and_variations_are_those_of_coffea(drawn):
    size, weights = drawn
    reference, wrappers = Weights(size), []
    for i, (nominal, varied) in enumerate(weights):
        up, down = varied or (None, None)
        copies = [None if array is None else array.copy() for array in (nominal, up, down)]
        reference.add(f"w{i}", *copies)
        wrappers.append(from_array(f"hyp_w{i}"[4:], nominal, up, down))
    ours = manager(*wrappers, size=size)
    np.testing.assert_allclose(ours.get_weight(), reference.weight(), rtol=1e-12)
    modifiers = ours.get_available_modifiers_bycategory()
    assert set(modifiers) == set(reference.variations)
    for modifier in modifiers:
        expected = reference.weight(modifier)
        np.testing.assert_allclose(ours.get_weight(modifier=modifier), expected, rtol=1e-12)
        assert np.all(ours.get_weight(modifier=modifier)[ours.get_weight() == 0] == 0)


def test_several_variations_are_those_of_coffea():
    rng = np.random.default_rng(1)
    nominal, up1, up2, down1, other = rng.uniform(0.5, 2, (5, 4))
    nominal[1] = 0
    reference = Weights(4)
    reference.add("tm_other", other.copy())
    copies = [up1.copy(), up2.copy()], [down1.copy(), None]
    reference.add_multivariation("tm_multi", nominal.copy(), ["stat", "syst"], *copies)
    multi = WeightLambda.wrap_func(
        "tm_multi",
        lambda *args: WeightDataMultiVariation("", nominal, ["stat", "syst"], [up1, up2], [down1, None]),
        has_variations=True,
        variations=["stat", "syst"],
    )
    ours = manager(from_array("tm_other", other), multi, size=4)
    assert ours.get_available_modifiers_byweight("tm_multi") == [
        f"tm_multi_{name}{side}" for name, side in itertools.product(("stat", "syst"), ("Up", "Down"))
    ]
    for modifier in ours.get_available_modifiers_byweight("tm_multi"):
        np.testing.assert_allclose(ours.get_weight(modifier=modifier), reference.weight(modifier), rtol=1e-12)


def test_a_missing_down_variation_mirrors_the_up_one():
    ours = manager(constant("tm_mirror", 2, 8))
    assert list(ours.get_weight(modifier="tm_mirrorUp")) == [8, 8, 8]
    assert list(ours.get_weight(modifier="tm_mirrorDown")) == [0.5, 0.5, 0.5]


def test_inputs_are_not_modified_and_outputs_are_not_inputs():
    nominal, up, down = np.array([2.0, 0.0]), np.array([4.0, 1.0]), np.array([1.0, 1.0])
    ours = manager(from_array("tm_inputs", nominal, up, down), size=2)
    total = ours.get_weight()
    assert total is not nominal
    assert not np.shares_memory(total, nominal)
    ours.get_weight(modifier="tm_inputsUp")
    ours.get_weight(modifier="tm_inputsDown")
    assert [list(a) for a in (nominal, up, down)] == [[2, 0], [4, 1], [1, 1]]


def test_variation_equal_to_nominal_gives_exactly_the_nominal_total():
    rng = np.random.default_rng(2)
    first, second = rng.uniform(0.1, 3, (2, 1000))
    ours = manager(
        from_array("tm_same_a", first, first.copy(), first), from_array("tm_same_b", second), size=1000
    )
    assert np.array_equal(ours.get_weight(modifier="tm_same_aUp"), ours.get_weight())


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (ak.Array([1.0, None, 3.0]), [1, 1, 3]),
        (np.ma.masked_array([1.0, 5.0, 3.0], mask=[False, True, False]), [1, 1, 3]),
        (np.array([1, -2, 3], dtype=np.int8), [1, -2, 3]),
        (np.array([True, False, True]), [1, 0, 1]),
        (np.array([1.5, 2, 3], dtype=np.float32), [1.5, 2, 3]),
        (ak.Array([1.5, 2, 3])[[2, 1, 0]], [3, 2, 1.5]),
    ],
)
def test_kinds_of_arrays(array, expected):
    total = manager(from_array("tm_kinds", array)).get_weight()
    assert total.dtype == np.float64
    assert list(total) == expected


def test_no_weights_are_ones_and_no_events_are_no_weights():
    assert list(manager().get_weight("1b")) == [1, 1, 1]
    empty = manager(constant("tm_empty", 2, 3), size=0)
    assert len(empty.get_weight(modifier="tm_emptyUp")) == 0


# --- categories and subsamples

A = constant("tm_A", 2, 4, 1)
B = constant("tm_B", 3, 9, 1)
C = constant("tm_C", 5, 10, 1)
D = constant("tm_D", 7, 14, 1)


def split():
    conf = level(["tm_A"], **{"1b": ["tm_B"], "2b": ["tm_B"]})
    conf["by_subsample"] = {"TT__bb": level(["tm_C"], **{"1b": ["tm_D"]}), "TT__cc": level()}
    return manager(A, B, C, D, conf=conf)


@pytest.mark.parametrize(
    ("category", "subsample", "expected"),
    [
        (None, None, 2),
        ("presel", None, 2),
        ("1b", None, 6),
        ("2b", None, 6),
        (None, "TT__bb", 10),
        ("presel", "TT__bb", 10),
        ("1b", "TT__bb", 210),
        ("2b", "TT__bb", 30),
        ("1b", "TT__cc", 6),
        ("1b", "TT", 6),
    ],
)
def test_total_of_category_and_subsample(category, subsample, expected):
    assert list(split().get_weight(category, subsample)) == [expected] * 3


def test_categories_with_the_same_weights_share_one_array():
    ours = split()
    assert ours.get_weight("1b") is ours.get_weight("2b") is ours.get_weight("2b", "TT__cc")
    assert ours.get_weight("presel") is ours.get_weight()
    assert ours.get_weight("1b", modifier="tm_AUp") is ours.get_weight("2b", modifier="tm_AUp")
    assert ours.get_weight("1b") is not ours.get_weight("presel")


@pytest.mark.parametrize(
    ("category", "subsample", "modifier", "expected"),
    [
        ("1b", None, "tm_AUp", 12),
        ("1b", None, "tm_BDown", 2),  # a variation of a by-category weight
        ("presel", None, "tm_AUp", 4),  # of an inclusive weight, in a split sample
        ("1b", "TT__bb", "tm_AUp", 420),  # unknown to the subsample: its nominal weights stay in
        ("1b", "TT__bb", "tm_DUp", 420),  # known to the subsample only
        ("2b", "TT__bb", "tm_CDown", 6),
        ("1b", "TT__bb", "nominal", 210),
    ],
)
def test_variation_of_category_and_subsample(category, subsample, modifier, expected):
    assert split().get_weight(category, subsample, modifier) == pytest.approx([expected] * 3)


def test_only_the_weights_of_a_subsample():
    ours = split()
    assert list(ours.get_weight_only_subsample("TT__bb")) == [5, 5, 5]
    assert list(ours.get_weight_only_subsample("TT__bb", "1b")) == [35, 35, 35]
    assert list(ours.get_weight_only_subsample("TT__bb", "1b", "tm_DUp")) == [70, 70, 70]
    assert list(ours.get_weight_only_subsample("TT__bb", "1b", "tm_AUp")) == [35, 35, 35]
    assert list(ours.get_weight_only_subsample("TT__cc", "1b")) == [1, 1, 1]


def test_a_weight_of_sample_and_subsample_is_applied_and_varied_twice():
    conf = level(["tm_A"]) | {"by_subsample": {"TT__bb": level(["tm_A"])}}
    ours = manager(A, conf=conf)
    assert list(ours.get_weight("1b", "TT__bb")) == [4, 4, 4]
    assert list(ours.get_weight("1b", "TT__bb", "tm_AUp")) == [16, 16, 16]


def test_each_weight_is_computed_once_and_only_those_of_the_sample():
    calls = []

    def function(params, metadata, events, size, shape_variation):
        calls.append(shape_variation)
        return np.ones(size)

    class Unused(WeightWrapper):
        name = "tm_unused"

        def __init__(self, params=None, metadata=None):
            raise AssertionError

        def compute(self, events, size, shape_variation):
            raise AssertionError

    counted = WeightLambda.wrap_func("tm_counted", function)
    conf = level(**{"1b": ["tm_counted"], "2b": ["tm_counted"]})
    conf["by_subsample"] = {"TT__bb": level(["tm_counted"])}
    ours = manager(counted, Unused, conf=conf)
    for category in CATEGORIES:
        ours.get_weight(category, "TT__bb")
    assert calls == ["nominal"]
    assert ours.get_available_weights() == ["tm_counted"]


def test_available_modifiers_are_known_before_compute():
    ours = WeightsManager({}, level(["tm_A"], **{"1b": ["tm_B"]}), {"tm_A": A, "tm_B": B}, METADATA)
    assert ours._isMC is True
    assert ours.get_available_modifiers_byweight("tm_A") == ["tm_AUp", "tm_ADown"]
    assert ours.get_available_modifiers_bycategory() == ["tm_AUp", "tm_ADown"]
    assert ours.get_available_modifiers_bycategory("1b") == ["tm_AUp", "tm_ADown", "tm_BUp", "tm_BDown"]
    with pytest.raises(ValueError, match="'tm_C' is not used by sample 'TT'"):
        ours.get_available_modifiers_byweight("tm_C")
    with pytest.raises(Exception, match="call compute"):
        ours.get_weight()


def test_available_modifiers_of_a_subsample():
    assert split().get_available_modifiers_bycategory("2b", "TT__bb") == [
        *("tm_AUp", "tm_ADown", "tm_BUp", "tm_BDown", "tm_CUp", "tm_CDown"),
    ]


# --- shape variations


def test_in_shape_passes_weights_are_nominal():
    seen = []

    def function(params, metadata, events, size, shape_variation):
        seen.append(shape_variation)
        return WeightData("", 2 * np.ones(size), np.full(size, np.nan))

    wrapper = WeightLambda.wrap_func("tm_shape", function, has_variations=True)
    ours = manager(wrapper, shape_variation="JERUp")
    assert seen == ["JERUp"]
    assert list(ours.get_weight("1b")) == [2, 2, 2]
    with pytest.raises(ValueError, match="pass of shape variation 'JERUp' weights are nominal only"):
        ours.get_weight("1b", modifier="tm_shapeUp")


def test_compute_forgets_the_previous_pass():
    arrays = iter([np.array([1.0, 2.0]), np.array([5.0])])
    wrapper = WeightLambda.wrap_func("tm_passes", lambda *args: next(arrays))
    ours = manager(wrapper, size=2)
    assert list(ours.get_weight("1b")) == [1, 2]
    ours.add_weight("tm_extra", np.array([2.0, 2.0]))
    ours.compute(None, 1, "JERUp")
    assert list(ours.get_weight("1b")) == [5]
    assert ours.get_available_weights() == ["tm_passes"]


# --- weights added by hooks


def test_added_weights():
    ours = split()
    before = ours.get_weight("presel")
    up = np.full(3, 22.0)
    ours.add_weight("tm_incl", np.full(3, 11.0), up)
    ours.add_weight("tm_cat", ak.Array([0.5, 0.5, 0.5]), category="1b")
    ours.add_weight("tm_cat", np.full(3, 0.1), category="2b")
    up[:] = -1  # what the caller does later with the array does not matter
    assert list(before) == [2, 2, 2]
    assert list(ours.get_weight("presel")) == [22, 22, 22]
    assert list(ours.get_weight("1b")) == [33, 33, 33]
    assert ours.get_weight("2b") == pytest.approx([6.6] * 3)
    assert list(ours.get_weight("1b", "TT__bb", "tm_inclUp")) == [210 * 22 * 0.5] * 3
    assert ours.get_available_modifiers_byweight("tm_incl") == ["tm_inclUp", "tm_inclDown"]
    assert "tm_inclUp" in ours.get_available_modifiers_bycategory("presel")
    assert "tm_cat" in ours.get_available_weights()


@pytest.mark.parametrize(
    ("name", "category", "match"),
    [
        ("tm_A", None, "'tm_A' already exists"),
        ("tm_new", None, "'tm_new' already exists"),
        ("tm_new", "1b", "'tm_new' already exists"),
        ("tm_newUp", None, "must not end in"),
        ("tm_other", "3b", "no weights for category '3b'.*1b"),
    ],
)
def test_weights_that_cannot_be_added(name, category, match):
    ours = split()
    ours.add_weight("tm_new", np.ones(3))
    with pytest.raises(ValueError, match=match):
        ours.add_weight(name, np.ones(3), category=category)
    with pytest.raises(WeightError, match="2 values for 3 events"):
        ours.add_weight("tm_short", np.ones(2))


def test_individual_weights():
    ours = manager(A, B, storeIndividual=True)
    assert list(ours.get_individual_weight("tm_B")) == [3, 3, 3]
    assert list(ours.get_individual_weight("tm_B", "tm_BUp")) == [9, 9, 9]
    with pytest.raises(ValueError, match="Did you mean 'tm_A'"):
        ours.get_individual_weight("tm_a")
    with pytest.raises(ValueError, match="storeIndividual=True"):
        manager(A).get_individual_weight("tm_A")


# --- what goes wrong


def test_unknown_names():
    ours = split()
    with pytest.raises(ValueError, match=r"'tm_AUpp' is unknown for sample 'TT'.*Did you mean 'tm_AUp'"):
        ours.get_weight("1b", modifier="tm_AUpp")
    with pytest.raises(ValueError, match="'tm_BUp' is unknown"):
        ours.get_weight("presel", modifier="tm_BUp")
    with pytest.raises(ValueError, match=r"category '1bb'.*Did you mean '1b'"):
        ours.get_weight("1bb")
    with pytest.raises(ValueError, match=r"'tm_a' is configured but no weight class has it.*'tm_A'"):
        WeightsManager({}, level(["tm_a"]), [A], METADATA)


@pytest.mark.parametrize(
    "conf",
    [
        level(["tm_A", "tm_A"]),
        level(["tm_A"], **{"1b": ["tm_A"]}),
        level() | {"by_subsample": {"TT__bb": level(["tm_A", "tm_A"])}},
    ],
)
def test_a_weight_twice_at_one_level(conf):
    with pytest.raises(ValueError, match="'tm_A' is configured twice for"):
        WeightsManager({}, conf, [A], METADATA)


def error_of(array, *, up=None, down=None, modifier=None, size=3):
    wrapper = from_array("tm_bad", array, up, down)
    with pytest.raises(WeightError) as caught:
        manager(wrapper, size=size).get_weight(modifier=modifier)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    text = str(caught.value)
    for part in ("'tm_bad'", f"'{modifier or 'nominal'}'", "'TT'", "'TT_2018'"):
        assert part in text
    return text


def test_values_that_are_not_finite():
    text = error_of(np.array([1, np.nan, np.inf]))
    assert "2 of 3 events" in text
    assert "event number 1 " in text
    assert "nan" in text


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["Up", "Down"])
def test_variations_that_are_not_finite(bad, side):
    broken = np.array([1.0, 1.0, bad])
    arrays = {"up": np.ones(3), "down": np.ones(3), side.lower(): broken}
    text = error_of(np.ones(3), **arrays, modifier=f"tm_bad{side}")
    assert "1 of 3 events" in text
    assert "event number 2 " in text


def test_infinities_that_cancel_are_found():
    assert "2 of 2 events" in error_of(np.array([np.inf, -np.inf]), size=2)


def test_large_finite_values_are_allowed_but_not_their_product():
    big = from_array("tm_big", np.full(3, 1e308))
    assert list(manager(big).get_weight()) == [1e308] * 3
    with pytest.raises(WeightError, match=r"the product of weights tm_big, tm_A of sample 'TT'.*3 of 3"):
        manager(big, A).get_weight()


def test_a_mirrored_variation_needs_an_up_weight_that_is_not_zero():
    text = error_of(np.ones(3), up=np.array([1.0, 0.0, 0.0]), modifier="tm_badDown")
    assert "2 of 3 events" in text
    assert "nominal^2/up" in text
    zero = manager(from_array("tm_zero", np.array([0.0, 1, 1]), np.array([0.0, 2, 2])))
    assert list(zero.get_weight(modifier="tm_zeroDown")) == [0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.ones(2), "2 values for 3 events"),
        (1.0, "a float .1.0. was returned.*np.full"),
        (np.ones((3, 2)), r"shape \(3, 2\) instead of \(3,\)"),
        (ak.Array([[1.0], [], [1, 2]]), r"type 3 \* var \* .*ak.prod"),
        (np.array(["a", "b", "c"]), "are not numbers"),
        (np.ones(3) * 1j, "are not numbers"),
        (None, "a NoneType"),
    ],
)
def test_results_that_are_not_one_number_per_event(array, match):
    with pytest.raises(WeightError, match=match):
        manager(from_array("tm_form", array))


def test_variations_of_another_length():
    with pytest.raises(WeightError, match=r"'tm_formUp'.*2 values for 3 events"):
        manager(from_array("tm_form", np.ones(3), up=np.ones(2)))
    lists = WeightLambda.wrap_func(
        "tm_lists", lambda *a: [np.ones(3), ["a", "b"], [np.ones(3)], [np.ones(3)]]
    )
    with pytest.raises(WeightError, match=r"2 variations \(a, b\) with 1 up and 1 down"):
        manager(lists)


def test_a_declared_variation_that_is_not_returned():
    silent = WeightLambda.wrap_func("tm_silent", lambda *args: np.ones(3), has_variations=True)
    ours = manager(silent)
    with pytest.raises(WeightError, match=r"declares this variation, but compute.. did not return it"):
        ours.get_weight(modifier="tm_silentUp")


def test_a_weight_that_returns_something_else():
    class Wrong(WeightWrapper):
        name = "tm_wrong"

        def compute(self, events, size, shape_variation):
            return np.ones(size)

    with pytest.raises(TypeError, match=r"'tm_wrong'.*compute\(\) returned a ndarray"):
        manager(Wrong)


def test_errors_in_a_weight_say_which_weight():
    failing = WeightLambda.wrap_func("tm_failing", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        manager(failing)
    assert "'tm_failing'" in caught.value.__notes__[0]


@pytest.mark.parametrize("access", [lambda e: e.Nothing, lambda e: e["Nothing"], lambda e: e.Jet["Nothing"]])
def test_a_missing_branch_names_the_weight(access):
    events = ak.Array({"Jet": ak.Array([{"pt": 1.0}] * 3)})
    reading = WeightLambda.wrap_func("tm_reading", lambda p, m, events, size, s: access(events))
    with pytest.raises(MissingBranch, match=r"'tm_reading'.*reads the field 'Nothing', which is not there"):
        manager(reading, events=events)


def test_a_hundred_thousand_events_with_ten_weights_are_quick():
    import time

    rng = np.random.default_rng(0)
    arrays = rng.uniform(0.5, 2, (10, 3, 100_000))
    wrappers = [from_array(f"tm_speed{i}", *arrays[i]) for i in range(10)]
    ours = manager(*wrappers, size=100_000)
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        ours.compute(None, 100_000)
        for modifier in (None, *ours.get_available_modifiers_bycategory()):
            ours.get_weight("1b", modifier=modifier)
        best = min(best, time.perf_counter() - start)
    assert best < 0.1, f"{best * 1e3:.1f} ms for 21 totals"
