import awkward as ak
import pytest

from pocket_coffea.lib.parton_provenance import (
    get_partons_provenance_tt5F,
    get_partons_provenance_ttbb4F,
    get_partons_provenance_ttHbb,
)


def label(function, *events):
    return function(ak.Array(list(events)), ak.ArrayBuilder()).snapshot().tolist()


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        (
            [5, -5, 2, -1, 5, -5],
            [2, 3, 5, 5, 1, 1],
        ),  # W+ to quarks: the top is hadronic, the antitop leptonic
        ([5, -5, -4, 3, 5, -5], [3, 2, 5, 5, 1, 1]),
        ([21, 5, -5, 2, -1, -5, 5], [4, 2, 3, 5, 5, 1, 1]),
        ([5, -5, 2, -1, -2, 1, 5, -5], [2, 2, 5, 5, 5, 5, 1, 1]),
        ([5, -5, 5, -5], [3, 3, 1, 1]),
        ([2, 5, -5, 2, -1, 5, -5], [4, 2, 3, 5, 5, 1, 1]),  # a radiated quark comes before the W
        ([2, 5, -5, -4, 3, 5, -5], [4, 3, 2, 5, 5, 1, 1]),
    ],
)
def test_tth(ids, labels):
    assert label(get_partons_provenance_ttHbb, ids) == [labels]


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        ([5, -5, 5, -5, 2, -1], [1, 1, 2, 3, 5, 5]),
        ([5, -5, 21, 5, -5, 1, -2], [1, 1, 4, 3, 2, 5, 5]),
        ([5, -5, 2, -1], [2, 3, 5, 5]),
    ],
)
def test_ttbb(ids, labels):
    assert label(get_partons_provenance_ttbb4F, ids) == [labels]


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        ([21, 5, -5, 4, -3], [4, 2, 3, 5, 5]),
        ([5, 5, -5, 2, -1], [4, 2, 3, 5, 5]),
        ([21], [4]),
        ([], []),
    ],
)
def test_tt(ids, labels):
    assert label(get_partons_provenance_tt5F, ids) == [labels]


def test_several_events_and_the_builder_comes_back():
    builder = ak.ArrayBuilder()
    result = get_partons_provenance_tt5F(ak.Array([[5, -5, 2, -1], [], [21, 5, -5]]), builder)
    assert result.snapshot().tolist() == [[2, 3, 5, 5], [], [4, 3, 3]]
    assert builder.snapshot().tolist() == result.snapshot().tolist()


def test_short_events_of_tth():
    assert label(get_partons_provenance_ttHbb, [5], []) == [[1], []]
