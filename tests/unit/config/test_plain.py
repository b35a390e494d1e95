import enum
import functools
import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from pocket_coffea.config.plain import describe_class, plain
from pocket_coffea.lib.weights.common.common import common_weights


class Colour(enum.Enum):
    red = 1


class Number(enum.IntEnum):
    one = 1


class Thing:
    def __init__(self):
        self.x = {2, 1}
        self.me = self


class Slotted:
    __slots__ = ()


class Serial:
    def serialize(self):
        return {"a": (1,)}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": (1, 2.5), 2018: None}, {"b": [1, 2.5], "2018": None}),
        ({"y", "x"}, ["x", "y"]),
        (np.float64(1.5), 1.5),
        (np.arange(3), [0, 1, 2]),
        (np.bool_(True), True),
        (Path("a") / "b", "a/b"),
        (Colour.red, "Colour.red"),
        (Number.one, "Number.one"),
        (Serial(), {"a": [1]}),
        (OmegaConf.create({"a": "${b}", "b": [1]}), {"a": [1], "b": [1]}),
        (len, "builtins.len"),
        (OrderedDict, "collections.OrderedDict"),
    ],
)
def test_values(value, expected):
    assert plain(value) == expected
    json.dumps(plain(value))


def test_objects_without_a_form_of_their_own():
    assert plain(Thing())["x"] == [1, 2]
    assert plain(Thing())["me"] == "<recursion>"
    assert plain(Slotted()) == plain(Slotted())  # no memory address
    assert "0x" not in json.dumps(plain([Slotted(), functools.partial(Slotted)]))


def test_classes():
    assert describe_class(common_weights[0])["name"] == common_weights[0].name
    assert describe_class(Thing) == {"name": "Thing", "class": {"name": "Thing", "module": Thing.__module__}}
