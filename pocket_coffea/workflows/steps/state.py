"""Per-chunk state: a processor that is used for several chunks starts each of them like a fresh copy."""

from __future__ import annotations

import copy
from typing import Any

from pocket_coffea.lib.delayed_eval import DelayedEvalBranchManager

__all__ = ["begin_chunk", "pristine_state"]

_SNAPSHOT = "_pristine"
#: Never copied: large, shared, and constant while events are processed.
_SHARED = frozenset({"cfg", "params", "workflow_options"})
_CONTAINERS = (list, dict, set)


def begin_chunk(processor: Any) -> None:
    """Bring every attribute back to what it was before the first chunk.

    The snapshot is taken when the first chunk starts, so that it has everything that the ``__init__`` of the
    user's subclass made. Lists, dictionaries and sets come back as copies, delayed branches are reset,
    other objects are the same ones, and attributes made meanwhile are dropped.
    """
    state = processor.__dict__
    snapshot = state.get(_SNAPSHOT)
    if snapshot is None:
        snapshot = {name: _copied(name, value) for name, value in state.items()}
    else:
        state.clear()
        state.update({name: _copied(name, value) for name, value in snapshot.items()})
    state[_SNAPSHOT] = snapshot
    for value in state.values():
        if isinstance(value, DelayedEvalBranchManager):
            value.reset()


def pristine_state(processor: Any) -> dict[str, Any]:
    """Return the attributes to pickle: those from before the first chunk (events are never pickled)."""
    state: dict[str, Any] = processor.__dict__
    snapshot: dict[str, Any] = state.get(_SNAPSHOT, state)
    return {name: value for name, value in snapshot.items() if name != _SNAPSHOT}


def _copied(name: str, value: Any) -> Any:
    """Copy nested containers, and nothing else: copying an object could copy the processor itself."""
    if name in _SHARED or not isinstance(value, _CONTAINERS):
        return value
    return _copy_container(value)


def _copy_container(value: Any) -> Any:
    if isinstance(value, dict):
        fresh = copy.copy(value)
        for key, item in value.items():
            fresh[key] = _copy_container(item)
        return fresh
    if isinstance(value, list):
        fresh_list = copy.copy(value)
        fresh_list[:] = [_copy_container(item) for item in value]
        return fresh_list
    return copy.copy(value) if isinstance(value, set) else value
