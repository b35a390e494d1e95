import awkward as ak
import numpy as np
import pytest
from coffea.nanoevents.methods import candidate
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib.deltaR_matching import (
    deltaR_matching_nonunique,
    metric_eta,
    metric_phi,
    metric_pt,
    object_matching,
)
from tests.unit.lib.object_events import objects


def make(*events):
    names = ("pt", "eta", "phi")
    lists = [[dict(zip(names, one, strict=True)) for one in event] for event in events]
    return objects("x", lists, eta=0.0, phi=0.0)


PARTONS = make([(50, 0.0, 0.0), (40, 0.3, 0.0), (30, 2.0, 0.0)], [], [(20, 0.0, 0.0)])
JETS = make([(55, 0.1, 0.0), (35, 0.2, 0.0)], [(10, 0, 0)], [(20, 0.0, 1.0), (20, 0.0, 0.2)])


def test_one_to_one_closest_first():
    partons, jets, distance = object_matching(PARTONS, JETS, 0.4)
    assert partons.pt.tolist() == [[50, 40], [None], [None, 20]]
    assert jets.pt.tolist() == [[55, 35], [None], [None, 20]]
    assert distance.tolist() == [[pytest.approx(0.1), pytest.approx(0.1)], [None], [None, pytest.approx(0.2)]]


def test_the_closest_pair_takes_precedence_over_the_first_object():
    first = make([(1, 0.0, 0.0), (2, 0.2, 0.0)])
    second = make([(3, 0.15, 0.0)])
    matched, _, distance = object_matching(first, second, 0.4)
    assert matched.pt.tolist() == [[2]]
    assert distance.tolist() == [[pytest.approx(0.05)]]


def test_the_limit_on_pt_acts_before_the_choice():
    first = make([(100, 0.0, 0.0), (20, 0.2, 0.0)])
    second = make([(22, 0.05, 0.0)])
    for limit in (10, 10.0, [10], np.array([10]), ak.Array([[10]])):
        assert object_matching(first, second, 0.4, limit)[0].pt.tolist() == [[20]]
    assert object_matching(first, second, 0.4, 2)[0].pt.tolist() == [[None]]
    with pytest.raises(InvalidValue, match="one number"):
        object_matching(first, second, 0.4, [1, 2])


def test_indices():
    result = object_matching(PARTONS, JETS, 0.4, return_indices=True)
    assert len(result) == 6
    assert result[3].tolist() == [[0, 1], [None], [None, 0]]
    assert result[4].tolist() == [[0, 1], [None], [None, 1]]
    assert ak.num(result[5]).tolist() == [2, 0, 1]


def test_objects_that_are_none_match_nothing():
    padded = ak.pad_none(PARTONS, 4)
    matched, jets, _ = object_matching(padded, ak.pad_none(JETS, 3), 0.4)
    assert matched.pt.tolist() == [[50, 40, None], [None, None, None], [None, 20, None]]
    assert jets.pt.tolist() == [[55, 35, None], [None, None, None], [None, 20, None]]


def test_matched_objects_are_still_of_their_kind():
    partons = ak.with_name(
        ak.with_field(ak.with_field(PARTONS, 0.0, "mass"), 0, "charge"), "PtEtaPhiMCandidate"
    )
    partons = ak.Array(partons, behavior=candidate.behavior)
    matched, _, _ = object_matching(partons, JETS, 0.4)
    assert ak.drop_none(matched).px.tolist()[0] == [50, 40]


def test_sliced_events():
    chosen = np.array([True, False, True])
    partons, _, _ = object_matching(PARTONS[chosen], JETS[chosen], 0.4)
    assert partons.pt.tolist() == [[50, 40], [None, 20]]


POINT = st.tuples(
    st.just(10.0), st.sampled_from([-0.5, 0.0, 0.3, 0.5]), st.sampled_from([-3.1, -0.4, 0.0, 0.25, 3.1])
)
EVENTS = st.lists(st.tuples(st.lists(POINT, max_size=3), st.lists(POINT, max_size=3)), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None)
@given(events=EVENTS)
def test_many_to_one_groups_by_the_nearest(events):
    first, second = make(*[e[0] for e in events]), make(*[e[1] for e in events])
    groups = deltaR_matching_nonunique(first, second, 0.45)
    assert ak.num(groups, axis=1).tolist() == ak.num(first).tolist()

    def distance(a, b):
        return np.hypot(a[1] - b[1], abs((a[2] - b[2] + np.pi) % (2 * np.pi) - np.pi))

    expected = 0
    for ones, others in events:
        near = [min((distance(one, other) for one in ones), default=9.0) for other in others]
        expected += sum(value < 0.45 for value in near)
    assert ak.sum(ak.num(groups, axis=2)) == expected
    for event, (ones, _) in zip(groups, events, strict=True):
        for group, one in zip(event, ones, strict=True):
            for member in group:
                point = (member.pt, member.eta, member.phi)
                assert member.dR == pytest.approx(distance(one, point), abs=1e-6)
                assert member.dR <= min(distance(other, point) for other in ones) + 1e-6
    assert {"dR", "pt"} <= set(groups.fields)


def test_metrics():
    a, b = ak.Array([{"pt": 3.0, "eta": 1.0, "phi": 3.1}]), ak.Array([{"pt": 5.0, "eta": -1.0, "phi": -3.1}])
    assert metric_pt(a, b).tolist() == [2.0]
    assert metric_eta(a, b).tolist() == [2.0]
    assert metric_phi(a, b).tolist() == [pytest.approx(2 * np.pi - 6.2)]
