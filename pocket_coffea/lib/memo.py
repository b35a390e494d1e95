"""Results that are kept for a chunk of events and reused while their inputs stay the same arrays.

A shape variation changes one or two collections, but every hook of the processor runs again. :func:`memoised`
returns the earlier result when all buffers of the inputs are the very same ones, without looking at their
content and without loading columns that were not read yet. Replacing a field (``events["Jet"] = ...``) makes
new buffers, so a stale result cannot be returned. Writing into the memory of an awkward array by hand is not
seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import awkward as ak
import numpy as np

from pocket_coffea.errors import InvalidType
from pocket_coffea.types import Array

__all__ = ["MEMO_KEY", "ByValue", "forget", "freeze", "memoised"]

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Where the results live: ``events.attrs[MEMO_KEY]``, a plain dict. Attributes that start with @ are never
#: pickled.
MEMO_KEY = "@pocket_memo"

#: Results kept per key: the first one (usually nominal) and the latest others.
_KEPT = 3


class ByValue:
    """Numpy arrays that are compared by content: for small inputs that are built anew in every pass."""

    def __init__(self, *arrays: np.ndarray[Any, Any]) -> None:
        self.arrays = arrays

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ByValue) or len(self.arrays) != len(other.arrays):
            return False
        pairs = zip(self.arrays, other.arrays, strict=True)
        return all(a is b or (a.dtype == b.dtype and np.array_equal(a, b)) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


@dataclass
class _Entry:
    tokens: tuple[Hashable, ...]
    values: list[ByValue]
    references: list[Any]  # keeps the buffers alive, so that their addresses are not given to others
    result: Any


def memoised(
    events: Array,
    key: Hashable,
    inputs: Iterable[str | Array | ByValue],
    compute: Callable[[], T],
) -> T:
    """Return ``compute()``, or the result it gave before for the same ``key`` and the same input buffers.

    inputs: names of fields of ``events`` (``"Jet"``, ``"Jet.pt"``), awkward or numpy arrays, or
    :class:`ByValue`. Everything else that the result depends on (cuts, year, names) belongs into ``key``; see
    :func:`freeze`. Arrays of the result come back in new wrappers, so adding a field to one does not change
    what is kept; numpy arrays of the result are made read-only. Raises InvalidType for a key that cannot be
    hashed.
    """
    cache = _cache_of(events)
    tokens: list[Hashable] = []
    references: list[Any] = []
    values: list[ByValue] = []
    for item in inputs:
        if isinstance(item, ByValue):
            values.append(item)
        else:
            _fingerprint(events, item, tokens, references)
    fingerprint = tuple(tokens)
    entries = _entries(cache, key)
    for position, entry in enumerate(entries):
        if entry.tokens == fingerprint and entry.values == values:
            if position > 1:
                entries.insert(1, entries.pop(position))
            return _unpack(entry.result, events)
    packed = _pack(compute())
    entries.insert(min(len(entries), 1), _Entry(fingerprint, values, references, packed))
    del entries[_KEPT:]
    return _unpack(packed, events)


def forget(events: Array) -> None:
    """Drop everything that was remembered for ``events`` and what was derived from them."""
    cache = events.attrs.get(MEMO_KEY)
    if cache is not None:
        cache.clear()


def freeze(value: Any) -> Hashable:
    """Turn parameters (OmegaConf or plain dicts and lists) into a hashable key.

    >>> freeze({"pt": 15, "id": ["a", "b"]})
    (('id', ('a', 'b')), ('pt', 15))
    """
    if type(value).__module__.startswith("omegaconf"):
        from omegaconf import OmegaConf

        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(value, Mapping):
        return tuple(
            sorted(((str(name), freeze(item)) for name, item in value.items()), key=lambda pair: pair[0])
        )
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return frozenset(freeze(item) for item in value)
    return value if isinstance(value, Hashable) else repr(value)


def _cache_of(events: Array) -> dict[Hashable, list[_Entry]]:
    cache = events.attrs.get(MEMO_KEY)
    if cache is None:
        cache = events.attrs[MEMO_KEY] = {}
    return cache


def _entries(cache: dict[Hashable, list[_Entry]], key: Hashable) -> list[_Entry]:
    try:
        return cache.setdefault(key, [])
    except TypeError as exc:
        msg = f"memoised: the key {key!r} cannot be hashed; pass parameters through freeze(...)"
        raise InvalidType(msg) from exc


def _fingerprint(events: Array, item: Any, tokens: list[Hashable], references: list[Any]) -> None:
    if not isinstance(item, (str, ak.Array)):
        _buffer(np.asarray(item), tokens, references)
        return
    array = events if isinstance(item, str) else item
    tokens.append(id(array.behavior))
    references.append(array.behavior)
    path = item.split(".") if isinstance(item, str) else []
    _walk(_descend(array.layout, path, tokens, references), tokens, references)


def _descend(layout: Any, path: list[str], tokens: list[Hashable], references: list[Any]) -> Any:
    """Follow field names down without projecting: index nodes on the way are part of the fingerprint.

    Setting a field of sliced events moves the index from the events into each field. Both forms give one
    fingerprint, so the length of a record is noted only where it cuts its fields.
    """
    for field in path:
        while not layout.is_record:
            _node(layout, tokens, references)
            layout = layout.content
        content = layout.contents[layout.field_to_index(field)]
        if content.length != layout.length:
            tokens.append(("length", layout.length))
        layout = content
    return layout


def _walk(layout: Any, tokens: list[Hashable], references: list[Any]) -> None:
    _node(layout, tokens, references)
    if layout.is_record or layout.is_union:
        tokens.append(tuple(layout.fields))
        for content in layout.contents:
            _walk(content, tokens, references)
    elif not (layout.is_numpy or layout.is_unknown):
        _walk(layout.content, tokens, references)


def _node(layout: Any, tokens: list[Hashable], references: list[Any]) -> None:
    tokens.append(type(layout).__name__)
    parameters = layout.parameters
    if parameters:
        tokens.append((str(parameters.get("__record__")), str(parameters.get("__array__"))))
    if layout.is_numpy:
        _buffer(layout.data, tokens, references)
        return
    if layout.is_regular:
        tokens.append((layout.size, layout.length))
        return
    # A list with offsets also has starts and stops, but those are made anew each time they are asked for.
    names = ("offsets",) if hasattr(layout, "offsets") else ("starts", "stops", "index", "mask", "tags")
    for name in names:
        if hasattr(layout, name):
            _buffer(getattr(layout, name).data, tokens, references)


def _buffer(buffer: Any, tokens: list[Hashable], references: list[Any]) -> None:
    """A numpy buffer is its memory and shape; a virtual one is the object that will load it."""
    references.append(buffer)
    if isinstance(buffer, np.ndarray):
        interface = buffer.__array_interface__
        tokens.append((interface["data"][0], buffer.shape, buffer.strides, buffer.dtype.str))
    else:
        tokens.append(("@", id(buffer)))


@dataclass(frozen=True)
class _Packed:
    """An awkward array without its attributes: those lead back to the cache, and the cycle would keep the
    chunk alive.
    """

    layout: Any
    behavior: Any


def _pack(result: Any) -> Any:
    if isinstance(result, ak.Array):
        return _Packed(result.layout, result.behavior)
    if isinstance(result, np.ndarray):
        result.flags.writeable = False
        return result
    if isinstance(result, dict):
        return {name: _pack(item) for name, item in result.items()}
    if isinstance(result, (tuple, list)) and type(result) in {tuple, list}:
        return type(result)(_pack(item) for item in result)
    return result


def _unpack(packed: Any, events: Array) -> Any:
    if isinstance(packed, _Packed):
        return ak.Array(packed.layout, behavior=packed.behavior, attrs=events.attrs)
    if isinstance(packed, dict):
        return {name: _unpack(item, events) for name, item in packed.items()}
    if isinstance(packed, (tuple, list)) and type(packed) in {tuple, list}:
        return type(packed)(_unpack(item, events) for item in packed)
    return packed
