"""Delayed branches: once per nominal event, only where needed, regular outputs."""

import awkward as ak
import cloudpickle
import numpy as np
import pytest

from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.delayed_eval import DelayedBranchError, DelayedEvalBranchManager


class Counter:
    def __init__(self, factor=1.0):
        self.seen = []
        self.factor = factor

    def __call__(self, events):
        self.seen.append(events.x.to_list())
        return events.x * self.factor


@pytest.fixture
def events():
    return ak.Array({"x": [0.0, 1.0, 2.0, 3.0, 4.0]})


def test_each_event_is_computed_once_over_all_variations(events):
    branches, score = DelayedEvalBranchManager(), Counter(10.0)
    branches.register("score", score, default_value=-1.0)
    branches.prepare(events)

    nominal = events[[True, False, True, True, False]]
    branches.update(nominal, np.array([True, False, True]))
    assert nominal.score.to_list() == [0.0, -1.0, 30.0]
    assert score.seen == [[0.0, 3.0]]

    # a shape variation: other values of x, other events; the branch stays the nominal one
    events["x"] = events.x + 100
    shifted = events[[True, True, True, False, False]]
    branches.update(shifted, np.array([True, True, False]))
    assert shifted.score.to_list() == [0.0, 10.0, -1.0]
    assert score.seen == [[0.0, 3.0], [1.0]]


def test_nothing_is_called_when_no_event_enters(events):
    branches, score = DelayedEvalBranchManager(), Counter()
    branches.register("score", score, default_value=2.5)
    branches.prepare(events)
    branches.update(events, np.zeros(5, dtype=bool))
    assert score.seen == []
    assert events.score.to_list() == [2.5] * 5


def test_group_of_branches_with_shapes_and_dtypes(events):
    branches = DelayedEvalBranchManager()
    branches.register(
        ["n", "probs"],
        lambda ev: {"n": np.arange(len(ev)) + 0.5, "probs": np.ones((len(ev), 2))},
        default_value={"n": -1, "probs": [0.0, 9.0]},
    )
    assert len(branches) == 2
    branches.prepare(events)
    branches.update(events, np.array([False, True, False, False, True]))
    assert events.n.to_list() == [-1.0, 0.5, -1.0, -1.0, 1.5]
    assert events.probs.to_list() == [[0, 9], [1, 1], [0, 9], [0, 9], [1, 1]]


def test_a_new_chunk_forgets_the_old_one(events):
    branches, score = DelayedEvalBranchManager(), Counter()
    branches.register("score", score)
    branches.prepare(events)
    branches.update(events)
    branches.reset()
    assert not branches.prepared
    second = ak.Array({"x": [7.0]})
    branches.prepare(second)
    branches.update(second)
    assert second.score.to_list() == [7.0]
    assert score.seen[-1] == [7.0]


@pytest.mark.parametrize(
    ("returned", "match"),
    [
        (lambda ev: ak.Array([[1.0], [], [2.0], [], []]), "jagged"),
        (lambda ev: ak.Array([1.0, None, 2.0, 1.0, 1.0]), "missing"),
        (lambda ev: np.ones(3), r"shape \(3,\), but \(5,\)"),
        (lambda ev: np.ones((5, 2)), r"\(5,\) is needed"),
    ],
)
def test_unusable_results_are_refused(events, returned, match):
    branches = DelayedEvalBranchManager()
    branches.register("score", returned)
    branches.prepare(events)
    with pytest.raises(DelayedBranchError, match=match):
        branches.update(events)


def test_group_must_return_its_names(events):
    branches = DelayedEvalBranchManager()
    branches.register(["a", "b"], lambda ev: {"a": ev.x})
    branches.prepare(events)
    with pytest.raises(ValueError, match="exactly"):
        branches.update(events)


def test_registration_is_checked():
    branches = DelayedEvalBranchManager()
    branches.register("a", len)
    with pytest.raises(ValueError, match="twice"):
        branches.register(["b", "a"], len)
    with pytest.raises(ValueError, match="exactly one per branch"):
        branches.register(["c", "d"], len, default_value={"c": 1})
    with pytest.raises(InvalidType, match="not a function"):
        branches.register("e", 3.0)
    with pytest.raises(InvalidType, match="names"):
        branches.register([], len)


def test_update_before_prepare_is_an_error(events):
    branches = DelayedEvalBranchManager()
    branches.register("a", lambda ev: ev.x)
    with pytest.raises(DelayedBranchError, match="prepare"):
        branches.update(events)


def test_without_branches_events_are_left_alone(events):
    branches = DelayedEvalBranchManager()
    branches.prepare(events)
    branches.update(events)
    assert events.fields == ["x"]
    assert not branches


def test_errors_say_which_branch(events):
    branches = DelayedEvalBranchManager()
    branches.register("score", lambda ev: ev.nothing)
    branches.prepare(events)
    with pytest.raises(Exception, match="nothing") as caught:
        branches.update(events)
    assert any("score" in note for note in caught.value.__notes__)


def test_pickles_without_the_chunk(events):
    branches = DelayedEvalBranchManager()
    branches.register("score", lambda ev: ev.x * 2)
    branches.prepare(events)
    again = cloudpickle.loads(cloudpickle.dumps(branches))
    assert again.names == ["score"]
    assert not again.prepared
    again.prepare(events)
    again.update(events)
    assert events.score.to_list() == [0.0, 2.0, 4.0, 6.0, 8.0]
