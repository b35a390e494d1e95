"""A configuration in terms of JSON, for people to read and for digests."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, ListConfig, OmegaConf

__all__ = ["describe_class", "plain"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def plain(value: Any) -> Any:
    """Return ``value`` as dictionaries with string keys, lists, strings, numbers, true, false and null.

    Sets are sorted. Functions and classes become their module and name; other objects what their
    ``serialize()`` returns, or their type and attributes, or their representation without memory addresses:
    the same in every process.

    >>> plain({"b": (1, 2), 2018: {"y", "x"}, "f": len})
    {'b': [1, 2], '2018': ['x', 'y'], 'f': 'builtins.len'}
    """
    return _plain(value, ())


def _plain(value: Any, parents: tuple[int, ...]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if id(value) in parents:
        return "<recursion>"
    inside = (*parents, id(value))
    for kinds, convert in _CONVERTERS:
        if isinstance(value, kinds):
            return convert(value, inside)
    return _instance(value, inside)


def _instance(value: Any, parents: tuple[int, ...]) -> Any:
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
    if callable(getattr(value, "serialize", None)):
        return _plain(value.serialize(), parents)
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    attributes = getattr(value, "__dict__", None)
    if attributes:
        return {"type": name, **_plain(attributes, parents)}
    return _ADDRESS.sub("", repr(value))


_CONVERTERS: tuple[tuple[Any, Callable[[Any, tuple[int, ...]], Any]], ...] = (
    (enum.Enum, lambda value, _: f"{type(value).__qualname__}.{value.name}"),
    (bool | int, lambda value, _: int(value)),
    (float, lambda value, _: float(value)),
    (str, lambda value, _: str(value)),
    (
        (DictConfig, ListConfig),
        lambda value, parents: _plain(OmegaConf.to_container(value, resolve=True), parents),
    ),
    (Mapping, lambda value, parents: {str(key): _plain(item, parents) for key, item in value.items()}),
    ((list, tuple), lambda value, parents: [_plain(item, parents) for item in value]),
    ((set, frozenset), lambda value, parents: sorted((_plain(item, parents) for item in value), key=repr)),
    (np.generic, lambda value, parents: _plain(value.item(), parents)),
    (np.ndarray, lambda value, parents: _plain(value.tolist(), parents)),
    (Path, lambda value, _: str(value)),
)


def describe_class(cls: Any) -> Any:
    """Return a weight or calibrator class in terms of JSON."""
    serialize = getattr(cls, "serialize", None)
    if inspect.ismethod(serialize):
        return plain(serialize())
    return {
        "name": getattr(cls, "name", cls.__name__),
        "class": {"name": cls.__qualname__, "module": cls.__module__},
    }
