"""Adding up the outputs of chunks, always in the same order.

Sums of floating-point numbers depend on their order. Every executor therefore merges along one tree
whose shape follows from the number of chunks alone: groups of ``fan_in`` neighbours, then groups of groups.
Inside a group the outputs are added from the first to the last chunk. Which chunk finishes first changes
nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSet
from dataclasses import dataclass
from typing import Any, Protocol

import cloudpickle
import lz4.frame

from pocket_coffea.errors import ProcessingError

__all__ = ["NodeStore", "Segment", "TreeReducer", "cover", "merge", "pack", "unpack"]


class NodeStore(Protocol):
    """Keeps packed outputs of tree nodes; ``level`` 0 are the chunks themselves."""

    def has(self, level: int, index: int) -> bool: ...

    def load_node(self, level: int, index: int) -> bytes: ...

    def save_node(self, level: int, index: int, data: bytes) -> None: ...

    def wants(self, level: int) -> bool: ...


def pack(output: Any) -> bytes:
    """Serialise and compress one output; the frame carries a checksum."""
    return lz4.frame.compress(
        cloudpickle.dumps(output, protocol=pickle.HIGHEST_PROTOCOL),
        compression_level=0,
        content_checksum=True,
    )


def unpack(data: bytes) -> Any:
    """Undo :func:`pack`. Raises RuntimeError when the data are not whole."""
    return pickle.loads(lz4.frame.decompress(data))


def merge(a: Any, b: Any) -> Any:
    """Add ``b`` to ``a`` and return the sum; both belong to the caller and may be altered.

    Mappings are merged key by key, lists are concatenated, sets united; numbers, histograms and column
    accumulators are added; equal text stays as it is. None stands for "nothing yet". Raises
    ProcessingError naming the entry that does not add up.

    >>> merge({"n": 1, "files": ["a"]}, {"n": 2, "files": ["b"], "new": 3})
    {'n': 3, 'files': ['a', 'b'], 'new': 3}
    """
    return _merge(a, b, ())


def _merge(a: Any, b: Any, path: tuple[str, ...]) -> Any:
    if a is None:
        return b
    if b is None:
        return a
    if isinstance(a, MutableMapping) and isinstance(b, Mapping):
        for key, value in b.items():
            a[key] = _merge(a[key], value, (*path, str(key))) if key in a else value
        return a
    if isinstance(a, MutableSet) and isinstance(b, MutableSet):
        a |= b
        return a
    try:
        return _add(a, b)
    except Exception as exc:
        where = " -> ".join(path) or "the top level"
        msg = (
            f"the outputs of two chunks cannot be added at {where}: {type(a).__name__} and "
            f"{type(b).__name__} "
            f"({type(exc).__name__}: {exc}). Every chunk must return the same structure."
        )
        raise ProcessingError(msg) from exc


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, str | bytes):
        if a == b:
            return a
        msg = f"{a!r} and {b!r} differ"
        raise ValueError(msg)
    if isinstance(a, bool | int | float | complex) or hasattr(a, "__array_interface__"):
        return a + b  # an in-place sum would keep the type of the first array
    a += b
    return a


@dataclass(frozen=True)
class Segment:
    """A run of neighbouring chunks, ``fan_in ** level`` of them, that is one node of the tree."""

    level: int
    index: int
    stored: bool


def cover(n_items: int, fan_in: int, has: Callable[[int, int], bool]) -> Iterator[Segment]:
    """Split ``n_items`` chunks, in order, into what is stored already and what must be computed.

    Stored nodes are as large as possible; what is not stored comes as single chunks.
    """
    level = 0
    while fan_in**level < n_items:
        level += 1
    yield from _cover(n_items, fan_in, has, level, 0)


def _cover(
    n_items: int, fan_in: int, has: Callable[[int, int], bool], level: int, index: int
) -> Iterator[Segment]:
    width = fan_in**level
    start = index * width
    if start >= n_items:
        return
    complete = start + width <= n_items
    if complete and has(level, index):
        yield Segment(level, index, stored=True)
    elif level == 0:
        yield Segment(0, index, stored=False)
    else:
        for child in range(index * fan_in, (index + 1) * fan_in):
            yield from _cover(n_items, fan_in, has, level - 1, child)


class TreeReducer:
    """Merge outputs as they come, in chunk order, holding at most one partial sum per level of the tree.

    With a ``store``, each group that is complete is kept there in place of its members.
    """

    def __init__(self, fan_in: int, store: NodeStore | None = None) -> None:
        if fan_in < 2:
            msg = (
                f"the outputs can be merged in groups of 2 or more, not of {fan_in} (run option "
                f"tree-reduction)"
            )
            raise ValueError(msg)
        self.fan_in = fan_in
        self.store = store
        self.merged = 0
        self._sums: list[Any] = []
        self._counts: list[int] = []

    def add(self, output: Any, level: int = 0) -> None:
        """Append the next chunk (``level`` 0) or the next whole node of the tree."""
        self.merged += self.fan_in**level
        self._push(level, output)

    def _push(self, level: int, output: Any) -> None:
        while len(self._sums) <= level:
            self._sums.append(None)
            self._counts.append(0)
        self._sums[level] = merge(self._sums[level], output)
        self._counts[level] += 1
        if self._counts[level] == self.fan_in:
            full, self._sums[level], self._counts[level] = self._sums[level], None, 0
            self._keep(level + 1, full)
            self._push(level + 1, full)

    def _keep(self, level: int, output: Any) -> None:
        if self.store is not None and self.store.wants(level):
            self.store.save_node(level, self.merged // self.fan_in**level - 1, pack(output))

    def result(self) -> Any:
        """Return the sum of everything, or None when nothing was added."""
        total = None
        for partial in self._sums:
            total = merge(partial, total)
        self._sums.clear()
        self._counts.clear()
        return total
