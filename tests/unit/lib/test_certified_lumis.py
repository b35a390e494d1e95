"""Certified lumi sections: the answer of coffea's LumiMask."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.lib.certified_lumis import CertifiedLumis, load_certified_lumis

SHARED = pathlib.Path(__file__).parents[4] / "shared/data/datacert"


def test_ends_belong_to_the_range():
    good = CertifiedLumis({"10": [[1, 3], [7, 7]], "9": [[2, 2]]})
    runs = [10] * 6 + [9] * 3 + [8, 11]
    lumis = [0, 1, 3, 4, 7, 8, 1, 2, 3, 2, 1]
    assert good(runs, lumis).tolist() == [
        *(False, True, True, False, True, False),
        *(False, True, False, False, False),
    ]


def test_no_events_and_no_runs():
    assert CertifiedLumis({"1": [[1, 2]]})(np.array([], dtype=int), np.array([], dtype=int)).tolist() == []
    assert CertifiedLumis({})([1], [1]).tolist() == [False]


ranges = st.dictionaries(
    st.integers(1, 5).map(str),
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)).map(lambda x: [x[0], x[0] + x[1]]), max_size=4),
    max_size=4,
)


@given(ranges)
def test_is_membership(content):
    good = CertifiedLumis(content)
    run, lumi = (grid.ravel() for grid in np.meshgrid(np.arange(0, 7), np.arange(0, 40)))
    expected = [
        any(first <= section <= last for first, last in content.get(str(number), []))
        for number, section in zip(run, lumi, strict=True)
    ]
    assert good(run, lumi).tolist() == expected


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.slow
def test_same_as_coffea_on_a_real_file():
    from coffea.lumi_tools import LumiMask

    path = next(SHARED.glob("*2022*"))
    runs = np.array([int(run) for run in json.loads(path.read_text())] + [1, 999999], dtype=np.uint32)
    rng = np.random.default_rng(5)
    run, lumi = rng.choice(runs, 20000), rng.integers(0, 2500, 20000).astype(np.uint32)
    mine = load_certified_lumis(str(path))(run, lumi)
    assert 0 < mine.sum() < len(mine)
    assert np.array_equal(mine, LumiMask(str(path))(run, lumi))


def test_file_is_read_once_and_again_when_it_changes(tmp_path):
    path = tmp_path / "golden.json"
    path.write_text('{"1": [[1, 2]]}')
    first = load_certified_lumis(str(path))
    assert load_certified_lumis(str(path)) is first
    path.write_text('{"1": [[1, 2], [5, 6]]}')
    assert load_certified_lumis(str(path))([1], [5]).tolist() == [True]


@pytest.mark.parametrize("content", ["not json", "[1, 2]", '{"run": [[1, 2]]}', '{"1": [[1]]}'])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "golden.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"golden\.json is not a file of certified"):
        load_certified_lumis(str(path))
