from __future__ import annotations

import hist
import numpy as np
import pytest
from coffea.processor import column_accumulator
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.errors import ProcessingError
from pocket_coffea.executors.reduction import Segment, TreeReducer, cover, merge, pack, unpack


class MemoryStore:
    def __init__(self):
        self.nodes = {}

    def has(self, level, index):
        return (level, index) in self.nodes

    def load_node(self, level, index):
        return self.nodes[level, index]

    def save_node(self, level, index, data):
        self.nodes[level, index] = data

    def wants(self, level):
        return True


def by_levels(values, fan_in):
    """The tree as DaskExecutor builds it: level by level."""
    while len(values) > 1:
        groups = [values[i : i + fan_in] for i in range(0, len(values), fan_in)]
        values = []
        for group in groups:
            total = group[0]
            for value in group[1:]:
                total = total + value
            values.append(total)
    return values[0]


floats = st.lists(st.floats(-1e10, 1e10, allow_nan=False), min_size=1, max_size=70)


@given(floats, st.integers(2, 7))
def test_the_streamed_tree_adds_exactly_like_the_tree_built_level_by_level(values, fan_in):
    reducer = TreeReducer(fan_in)
    for value in values:
        reducer.add({"x": value})
    assert reducer.result() == {"x": by_levels(values, fan_in)}


@given(floats, st.integers(2, 5), st.integers(0, 70))
def test_going_on_from_stored_nodes_gives_the_same_bits(values, fan_in, stop):
    store = MemoryStore()
    first = TreeReducer(fan_in, store)
    for i, value in enumerate(values[:stop]):
        store.save_node(0, i, pack({"x": value}))
        first.add({"x": value})
    second = TreeReducer(fan_in)
    computed = 0
    for segment in cover(len(values), fan_in, store.has):
        if segment.stored:
            second.add(unpack(store.load_node(segment.level, segment.index)), segment.level)
        else:
            computed += 1
            second.add({"x": values[segment.index]})
    assert computed == len(values) - min(stop, len(values))
    assert second.result() == {"x": by_levels(values, fan_in)}


@given(st.integers(0, 80), st.integers(2, 6), st.sets(st.tuples(st.integers(0, 3), st.integers(0, 30))))
def test_segments_cover_every_chunk_once_and_in_order(n, fan_in, stored):
    seen = []
    for segment in cover(n, fan_in, lambda level, index: (level, index) in stored):
        width = fan_in**segment.level
        seen.extend(range(segment.index * width, (segment.index + 1) * width))
        assert segment.stored or segment.level == 0
    assert seen == list(range(n))


def test_the_largest_stored_node_is_used():
    stored = {(0, 0), (1, 0), (0, 5)}
    assert list(cover(6, 2, lambda level, index: (level, index) in stored)) == [
        Segment(1, 0, stored=True),
        Segment(0, 2, stored=False),
        Segment(0, 3, stored=False),
        Segment(0, 4, stored=False),
        Segment(0, 5, stored=True),
    ]


def test_merge_adds_every_kind_of_entry():
    def output(scale):
        h = hist.Hist(
            hist.axis.StrCategory([f"s{scale}"], growth=True), hist.axis.Regular(2, 0, 1), storage="weight"
        )
        h.fill(f"s{scale}", [0.1, 0.9], weight=[scale, 1.0])
        return {
            "n": scale,
            "h": {"a": h},
            "files": [scale],
            "processed": {scale},
            "col": column_accumulator(np.full(scale, float(scale))),
            "arr": np.arange(2) * scale,
            "same": "text",
            f"only{scale}": {"x": 1},
        }

    total = merge(merge(None, output(1)), output(2))
    assert total["n"] == 3
    assert total["files"] == [1, 2]
    assert total["processed"] == {1, 2}
    assert total["col"].value.tolist() == [1.0, 2.0, 2.0]
    assert total["arr"].tolist() == [0, 3]
    assert total["same"] == "text"
    assert total["only1"] == total["only2"] == {"x": 1}
    assert total["h"]["a"]["s1", :].values().tolist() == [1.0, 1.0]
    assert total["h"]["a"]["s2", :].values().tolist() == [2.0, 1.0]


def test_integer_and_float_arrays_add_up():
    assert merge(np.array([1]), np.array([0.5])).tolist() == [1.5]


def test_what_does_not_add_up_is_named():
    a = {"variables": {"pt": hist.Hist(hist.axis.Regular(2, 0, 1))}}
    b = {"variables": {"pt": hist.Hist(hist.axis.Regular(3, 0, 1))}}
    with pytest.raises(ProcessingError, match="variables -> pt"):
        merge(a, b)
    with pytest.raises(ProcessingError, match="'2018' and '2017' differ"):
        merge({"year": "2018"}, {"year": "2017"})


def test_damaged_data_are_noticed():
    data = bytearray(pack({"x": list(range(100))}))
    assert unpack(bytes(data)) == {"x": list(range(100))}
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(RuntimeError):
        unpack(bytes(data))


def test_groups_of_one_are_refused():
    with pytest.raises(ValueError, match="tree-reduction"):
        TreeReducer(1)


def test_no_chunks_no_sum():
    assert TreeReducer(3).result() is None
