"""A digest of what an object *is*: equal in every process, different when the content differs.

Python's ``hash`` is salted per process and knows functions by address. Here a function is its name, its
compiled code, its defaults and the values it closes over, so that two factories called with the same
arguments give equal objects, and a pickled copy on a worker has the identity of the original.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
import pathlib
import types
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import awkward as ak
import cloudpickle
import numpy as np
from omegaconf import DictConfig, ListConfig, OmegaConf

from pocket_coffea.errors import InvalidType

__all__ = ["canonical_json", "digest"]

_PLAIN = (str, int, float, bool, types.NoneType)


def canonical_json(value: Any) -> str:
    """Return ``value`` as JSON with everything ordered and nothing that depends on the process.

    >>> canonical_json({"b": 1, "a": {3, 2}}) == canonical_json({"a": {2, 3}, "b": 1})
    True

    Raises InvalidType for a value that can be neither described nor pickled.
    """
    return json.dumps(_canonical(value, ()), separators=(",", ":"))


def digest(value: Any) -> str:
    """Return the sha256 (hex) of :func:`canonical_json`.

    >>> def threshold(n): return lambda x: x > n
    >>> digest(threshold(3)) == digest(threshold(3)), digest(threshold(3)) == digest(threshold(4))
    (True, False)
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _canonical(value: Any, parents: tuple[int, ...]) -> Any:
    """JSON-able description; ``parents`` are the ids of the objects that contain this one."""
    if value is None or type(value) in _PLAIN:
        return value
    if id(value) in parents:
        return ["recursion", len(parents) - parents.index(id(value))]
    inside = (*parents, id(value))
    for kinds, describe in _DESCRIBERS:
        if isinstance(value, kinds):
            return describe(value, inside)
    return _instance(value, inside)


def _mapping(value: Mapping[Any, Any], parents: tuple[int, ...]) -> Any:
    items = [[_canonical(key, parents), _canonical(item, parents)] for key, item in value.items()]
    return ["mapping", *sorted(items, key=lambda item: json.dumps(item[0]))]


def _set(value: AbstractSet[Any], parents: tuple[int, ...]) -> Any:
    return ["set", *sorted((_canonical(item, parents) for item in value), key=json.dumps)]


def _sequence(value: Any, parents: tuple[int, ...]) -> Any:
    return ["sequence", *(_canonical(item, parents) for item in value)]


def _array(value: Any, parents: tuple[int, ...]) -> Any:
    if value.dtype.hasobject:
        return ["array", list(value.shape), _canonical(value.tolist(), parents)]
    content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return ["array", str(value.dtype), list(value.shape), content]


def _code(code: types.CodeType, parents: tuple[int, ...]) -> Any:
    # File names and line numbers are left out: they say where the code is, not what it does.
    return [
        "code",
        code.co_code.hex(),
        code.co_exceptiontable.hex(),
        [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags],
        [list(code.co_names), list(code.co_varnames), list(code.co_freevars), list(code.co_cellvars)],
        [_canonical(constant, parents) for constant in code.co_consts],
    ]


def _function(function: types.FunctionType, parents: tuple[int, ...]) -> Any:
    return [
        "function",
        function.__module__,
        function.__qualname__,
        _code(function.__code__, parents),
        [_cell(cell, parents) for cell in function.__closure__ or ()],
        _canonical(function.__defaults__, parents),
        _canonical(function.__kwdefaults__, parents),
    ]


def _cell(cell: types.CellType, parents: tuple[int, ...]) -> Any:
    try:
        return _canonical(cell.cell_contents, parents)
    except ValueError:
        return ["empty cell"]


def _instance(value: Any, parents: tuple[int, ...]) -> Any:
    """Whatever is none of the known kinds: its class and attributes, or at last its pickle."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if hasattr(value, "py_func"):  # a function compiled by numba
        return ["compiled", _canonical(value.py_func, parents)]
    if callable(value) and hasattr(value, "__name__") and not hasattr(value, "__dict__"):
        return ["builtin", getattr(value, "__module__", None), value.__name__]
    if getattr(value, "__dict__", None):
        call = _canonical(kind.__call__, parents) if callable(value) else None
        return ["instance", name, call, _canonical(vars(value), parents)]
    try:
        return ["pickled", name, hashlib.sha256(cloudpickle.dumps(value)).hexdigest()]
    except Exception as exc:
        msg = f"{value!r} ({name}) has no identity: it can be neither described nor pickled."
        raise InvalidType(msg) from exc


_Describer = Callable[[Any, tuple[int, ...]], Any]

#: Kind of object -> description; the first that fits is used.
_DESCRIBERS: tuple[tuple[Any, _Describer], ...] = (
    (enum.Enum, lambda v, _: ["enum", type(v).__module__, type(v).__qualname__, v.name]),
    ((DictConfig, ListConfig), lambda v, p: _canonical(OmegaConf.to_container(v, resolve=True), p)),
    (Mapping, _mapping),
    (AbstractSet, _set),
    ((list, tuple), _sequence),
    (np.generic, lambda v, p: _canonical(v.item(), p)),
    (np.ndarray, _array),
    (ak.Array, lambda v, _: ["awkward", str(v.type), hashlib.sha256(ak.to_json(v).encode()).hexdigest()]),
    (bytes, lambda v, _: ["bytes", v.hex()]),
    ((complex, types.EllipsisType), lambda v, _: ["constant", repr(v)]),
    (pathlib.PurePath, lambda v, _: ["path", str(v)]),
    (types.ModuleType, lambda v, _: ["module", v.__name__]),
    (type, lambda v, _: ["class", v.__module__, v.__qualname__]),
    (types.CodeType, _code),
    (types.FunctionType, _function),
    (types.MethodType, lambda v, p: ["method", _canonical(v.__func__, p), _canonical(v.__self__, p)]),
    (
        functools.partial,
        lambda v, p: ["partial", *(_canonical(part, p) for part in (v.func, v.args, v.keywords))],
    ),
)
