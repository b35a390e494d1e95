"""The one place where parameter files are forgiven what YAML does to them.

Years written without quotes are numbers, booleans written with quotes are strings. Values are put right
against the value that they replace; parameters without a default are put right where the library reads them
as numbers, booleans or lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pocket_coffea.errors import InvalidType, InvalidValue
from pocket_coffea.utils.metadata import to_bool

__all__ = ["normalise"]

_NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?")
_UNTYPED = object()
#: Without defaults: sections whose leaves are numbers or booleans, and those with lists of names.
_NUMERIC_SECTIONS = ("object_preselection",)
_LIST_SECTIONS = ("HLT_triggers", "L1_triggers")


def normalise(value: Any, reference: Any = _UNTYPED, origin: str = "parameters") -> Any:
    """Return a plain container like ``value`` with years as strings and typed values of their type.

    value: plain containers with unresolved interpolations. reference: what it will be merged into, if
    anything. Raises InvalidValue naming ``origin`` and the key for a value that cannot be read as the type
    of its default.

    >>> normalise({"apply": {2018: "false"}}, {"apply": {"2018": True}})
    {'apply': {'2018': False}}
    """
    return _walk(value, reference, (), origin)


def _walk(value: Any, reference: Any, path: tuple[str, ...], origin: str) -> Any:
    if isinstance(value, Mapping):
        return _walk_mapping(value, reference, path, origin)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        first = reference[0] if isinstance(reference, list) and reference else _UNTYPED
        typed = first if isinstance(first, (int, float, list)) else _UNTYPED
        return [_walk(item, typed, (*path, "[]"), origin) for item in value]
    if _is_open(value):
        return value
    if reference is _UNTYPED or _is_open(reference):
        return _read_section(value, path)
    return _typed(value, reference, path, origin)


def _walk_mapping(
    value: Mapping[Any, Any], reference: Any, path: tuple[str, ...], origin: str
) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key, item in value.items():
        name = _key(key)
        if name in result:
            msg = (
                f"{origin}: {'.'.join((*path, str(name)))} is given twice, with and without quotes: keep one"
            )
            raise InvalidValue(msg)
        below = reference.get(name, _UNTYPED) if isinstance(reference, Mapping) else _UNTYPED
        result[name] = _walk(item, below, (*path, str(name)), origin)
    return result


def _key(key: Any) -> Any:
    """Years are strings everywhere; other numbers used as keys are left alone."""
    if isinstance(key, int) and not isinstance(key, bool) and 2000 <= key < 2100:
        return str(key)
    return key


def _is_open(value: Any) -> bool:
    """None, a missing value or an interpolation: nothing to be said about its type."""
    return value is None or (isinstance(value, str) and (value == "???" or "${" in value))


def _read_section(value: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(value, str) or not path:
        return value
    if path[0] in _LIST_SECTIONS and len(path) == 3:
        return [value]
    if path[0] in _NUMERIC_SECTIONS:
        if _NUMBER.fullmatch(value.strip()):
            return _number(value)
        if value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
    return value


def _typed(value: Any, reference: Any, path: tuple[str, ...], origin: str) -> Any:
    key = ".".join(path)
    if isinstance(reference, bool):
        return _boolean(value, key, origin)
    if isinstance(reference, (int, float)) and isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            msg = f"{origin}: {key} has to be a number like its default {reference!r}, got {value!r}"
            raise InvalidValue(msg)
        return _number(value)
    if isinstance(reference, str) and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _boolean(value: Any, key: str, origin: str) -> bool:
    try:
        return to_bool(value)
    except (InvalidType, InvalidValue) as exc:
        msg = f"{origin}: {key} has to be true or false like its default: {exc}"
        raise type(exc)(msg) from exc


def _number(text: str) -> int | float:
    clean = text.strip().replace("_", "")
    try:
        return int(clean)
    except ValueError:
        return float(clean)
