import subprocess
import sys

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket_coffea.errors import InvalidValue
from pocket_coffea.lib import kernels
from pocket_coffea.lib.flat import Flat

# Few distinct values, so that distances on the edge, on top of each other and across phi = pi all happen.
ETA = st.sampled_from([-2.0, -0.3, 0.0, 0.1, 0.4, 2.0])
PHI = st.sampled_from([-3.14, -3.0, -0.2, 0.0, 0.3, 3.0, 3.14])
PT = st.sampled_from([5.0, 20.0, 22.0, 60.0])
OBJECTS = st.lists(st.tuples(PT, ETA, PHI), max_size=4)
TWO = st.lists(st.tuples(OBJECTS, OBJECTS), max_size=6)


def collection(events, dtype=np.float64):
    counts = [len(event) for event in events]
    flat = np.array([one for event in events for one in event], dtype=dtype).reshape(-1, 3)
    columns = ak.zip({"pt": flat[:, 0], "eta": flat[:, 1], "phi": flat[:, 2]})
    return ak.unflatten(columns, np.array(counts, dtype=np.int64))


def plain_delta_r(a, b):
    dphi = abs((a[2] - b[2] + np.pi) % (2 * np.pi) - np.pi)
    return np.hypot(a[1] - b[1], dphi)


@settings(max_examples=80, deadline=None)
@given(events=TWO, dr=st.sampled_from([0.25, 0.45, 1.0]))
def test_far_objects_are_those_of_a_plain_table_of_distances(events, dr):
    first, second = collection([e[0] for e in events]), collection([e[1] for e in events])
    keep = kernels.is_far_from(Flat(first), [Flat(second)], dr)
    expected = [
        all(plain_delta_r(one, other) > dr for other in others) for ones, others in events for one in ones
    ]
    assert keep.tolist() == expected
    pairs = ak.cartesian([first, second], nested=True)
    a, b = ak.unzip(pairs)
    dphi = abs((a.phi - b.phi + np.pi) % (2 * np.pi) - np.pi)
    table = np.hypot(a.eta - b.eta, dphi) if len(events) else a.eta
    assert keep.tolist() == ak.flatten(ak.all(table > dr, axis=-1), axis=None).tolist()


def test_several_others_a_start_mask_and_single_precision():
    objects = collection([[(1, 0, 0), (1, 1, 0), (1, 2, 0), (1, -2, 0)]], np.float32)
    near_first, near_second = collection([[(1, 0.1, 0)]], np.float32), collection([[(1, 1.1, 0)]])
    flat = Flat(objects)
    others = [Flat(near_first), Flat(near_second)]
    assert kernels.is_far_from(flat, others, 0.4).tolist() == [False, False, True, True]
    start = np.array([True, True, True, False])
    assert kernels.is_far_from(flat, others, 0.4, start).tolist() == [False, False, True, False]
    assert start.tolist() == [True, True, True, False]
    assert kernels.is_far_from(flat, [], 0.4).all()


def test_the_limit_itself_is_not_far_and_nan_is_never_far():
    objects = collection([[(1, 0.0, 0.0), (1, np.nan, 0.0)]])
    assert kernels.is_far_from(Flat(objects), [Flat(collection([[(1, 0.5, 0.0)]]))], 0.5).tolist() == [
        False,
        False,
    ]
    assert kernels.is_far_from(Flat(objects), [Flat(collection([[]]))], 0.5).tolist() == [True, True]


def test_none_objects_clean_nothing():
    objects = collection([[(1, 0, 0)]])
    padded = ak.pad_none(collection([[]]), 2)
    assert kernels.is_far_from(Flat(objects), [Flat(padded)], 0.4).tolist() == [True]
    padded = ak.pad_none(collection([[(1, 0, 0)]]), 2)
    assert kernels.is_far_from(Flat(objects), [Flat(padded)], 0.4).tolist() == [False]
    assert kernels.is_far_from(Flat(padded), [Flat(collection([[(1, 2, 0)]]))], 0.4).tolist() == [True, False]


def plain_greedy(ones, others, dr, dpt):
    pairs = [
        (plain_delta_r(a, b), i, j)
        for i, a in enumerate(ones)
        for j, b in enumerate(others)
        if plain_delta_r(a, b) < dr and abs(a[0] - b[0]) < dpt
    ]
    partner, used = {}, set()
    for _, i, j in sorted(pairs):
        if i not in used and j not in partner:
            used.add(i)
            partner[j] = i
    return [partner.get(j, -1) for j in range(len(others))]


@settings(max_examples=80, deadline=None)
@given(events=TWO, dr=st.sampled_from([0.45, 3.0]), dpt=st.sampled_from([None, 10.0]))
def test_greedy_match_is_a_sort_of_all_pairs(events, dr, dpt):
    first, second = Flat(collection([e[0] for e in events])), Flat(collection([e[1] for e in events]))
    match, distance = kernels.greedy_match(first, second, dr, dpt)
    starts = np.repeat(first.offsets[:-1], second.counts)
    local = np.where(match < 0, -1, match - starts)
    expected = [plain_greedy(ones, others, dr, np.inf if dpt is None else dpt) for ones, others in events]
    flat_expected = [one for event in expected for one in event]
    assert [value < 0 for value in local] == [value < 0 for value in flat_expected]
    assert np.isnan(distance[match < 0]).all()
    # Equal distances may be given to another one of the equals: the distances have to agree.
    wanted = [
        plain_delta_r(ones[i], others[j])
        for (ones, others), event in zip(events, expected, strict=True)
        for j, i in enumerate(event)
        if i >= 0
    ]
    np.testing.assert_allclose(sorted(distance[match >= 0]), sorted(wanted), rtol=1e-12)
    matched = match[match >= 0]
    assert len(set(matched.tolist())) == len(matched)


@settings(max_examples=40, deadline=None)
@given(events=TWO)
def test_nearest_match(events):
    first, second = Flat(collection([e[0] for e in events])), Flat(collection([e[1] for e in events]))
    match, distance = kernels.nearest_match(first, second)
    expected = [
        min((plain_delta_r(one, other) for one in ones), default=np.inf)
        for ones, others in events
        for other in others
    ]
    np.testing.assert_allclose(distance, expected, rtol=1e-12)
    assert ((match >= 0) == np.isfinite(distance)).all()


def test_counting():
    flat = Flat(collection([[(5, 0, 0), (20, 0, 0)], [], [(60, 0, 0)]]))
    assert kernels.count_objects(flat, flat["pt"] > 10).tolist() == [1, 0, 1]


def test_collections_of_different_events_are_refused():
    with pytest.raises(InvalidValue, match="2 events and 'b' has 1"):
        kernels.is_far_from(Flat(collection([[], []]), "a"), [Flat(collection([[(1, 1, 1)]]), "b")], 0.4)


def test_compiled_once_for_writeable_and_read_only_columns():
    objects = collection([[(1, 0, 0)]])
    loop = kernels.compiled().far_from
    kernels.is_far_from(Flat(objects), [Flat(objects)], 0.4)
    before = len(loop.signatures)
    frozen = Flat(objects)
    frozen["eta"].flags.writeable = False
    kernels.is_far_from(frozen, [Flat(collection([[(1, 2, 0)]], np.float32))], 0.4)
    assert len(loop.signatures) == before


def test_numba_is_imported_at_the_first_call_only():
    code = (
        "import sys, pocket_coffea.lib.kernels, pocket_coffea.lib.jets, pocket_coffea.lib.parton_provenance\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
