"""Identity of objects: stable over processes, sensitive to content."""

import functools
import subprocess
import sys

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.identity import canonical_json, digest


def above(limit, *, strict=True):
    return lambda events, params, **kwargs: events.x > limit if strict else events.x >= limit


class Score:
    def __init__(self, cut):
        self.cut = cut

    def __call__(self, events):
        return events.x > self.cut

    def passes(self, events):
        return events.x < self.cut


def test_functions_are_known_by_code_and_closure():
    assert digest(above(3)) == digest(above(3))
    assert digest(above(3)) != digest(above(4))
    assert digest(above(3)) != digest(above(3, strict=False))
    assert digest(lambda x: x + 1) != digest(lambda x: x + 2)


def test_defaults_partials_methods_and_callable_objects():
    def with_default(x, n=1):
        return x > n

    before = digest(with_default)
    with_default.__defaults__ = (2,)
    assert digest(with_default) != before
    assert digest(functools.partial(above, 3)) == digest(functools.partial(above, 3))
    assert digest(functools.partial(above, 3)) != digest(functools.partial(above, 4))
    assert digest(Score(1)) == digest(Score(1)) != digest(Score(2))
    assert digest(Score(1).passes) == digest(Score(1).passes) != digest(Score(2).passes)
    assert digest(np.add) != digest(np.subtract)
    assert digest(len) != digest(max)


def test_recursive_objects_end():
    def outer():
        def inner(n):
            return inner(n - 1) if n else 0

        return inner

    assert digest(outer()) == digest(outer())
    loop: list = []
    loop.append(loop)
    assert "recursion" in canonical_json(loop)


def test_content_of_arrays_and_configs_counts():
    assert digest(np.arange(3)) == digest(np.arange(3)) != digest(np.arange(4))
    assert digest(np.arange(3)) != digest(np.arange(3, dtype=np.int32))
    assert digest(ak.Array([[1], []])) == digest(ak.Array([[1], []])) != digest(ak.Array([[1], [2]]))
    assert digest(OmegaConf.create({"a": [1, 2]})) == digest({"a": [1, 2]})
    assert digest({1: "x"}) != digest({"1": "x"})
    assert digest(np.float64(1.5)) == digest(1.5)


def test_what_cannot_be_described_is_refused():
    with pytest.raises(InvalidType, match="no identity"):
        digest(x for x in [1])


PROGRAM = """
import sys
from pocket_coffea.lib.identity import digest
def make(n, names):
    return lambda events: events.x in {"a", "bb", "ccc", "dddd"} and n in names
print(digest([make(3, {"q", "w", "e"}), {"k": {"x", "y", "z"}}]))
"""


def test_equal_in_every_process():
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].strip()) == 64


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), values, max_size=5))
def test_order_of_keys_does_not_matter(content):
    turned = dict(reversed(list(content.items())))
    assert canonical_json(turned) == canonical_json(content)
