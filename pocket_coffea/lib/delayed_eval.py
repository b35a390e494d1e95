"""Branches that are computed late, once, and only for the events that are used.

A costly per-event quantity (the score of a network, a kinematic fit) is wanted for the events that enter a
category, not for everything that was read. A workflow registers it in its constructor::

    self.delayed_branches.register("score", compute_score, default_value=-1.0)
    self.delayed_branches.register(["dnn_a", "dnn_b"], compute_both)      # one call gives both

and the event loop drives it:

1. :meth:`DelayedEvalBranchManager.prepare` once per chunk, on the nominal events before the preselection;
2. :meth:`DelayedEvalBranchManager.update` in every variation, once its categories are known.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from pocket_coffea.errors import InvalidType, InvalidValue, ProcessingError
from pocket_coffea.types import Array, BoolArray

__all__ = ["ROW_FIELD", "DelayedBranchError", "DelayedEvalBranchManager"]

log = logging.getLogger(__name__)

#: Field of the events that remembers the row an event had when the snapshot was taken.
ROW_FIELD = "pocket_row"


class DelayedBranchError(ProcessingError, ValueError):
    """A delayed branch cannot be computed, or its function returned something unusable."""


@dataclasses.dataclass
class _Group:
    """Branches that one function computes together, and what is known of them in this chunk."""

    names: tuple[str, ...]
    compute: Callable[[Array], Any]
    defaults: dict[str, Any]
    is_group: bool
    values: dict[str, npt.NDArray[Any]] = dataclasses.field(default_factory=dict)
    done: BoolArray = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=bool))

    def start(self, n_events: int) -> None:
        self.done = np.zeros(n_events, dtype=bool)
        self.values = {
            name: np.full((n_events, *np.shape(default)), default, dtype=np.asarray(default).dtype)
            for name, default in self.defaults.items()
        }

    def forget(self) -> None:
        self.values = {}
        self.done = np.zeros(0, dtype=bool)

    def store(self, rows: npt.NDArray[Any], returned: Any) -> None:
        for name, result in self._by_name(returned).items():
            new = self._regular(name, result, len(rows))
            old = self.values[name]
            if old.dtype != new.dtype:
                old = old.astype(np.result_type(old.dtype, new.dtype))
            old[rows] = new
            self.values[name] = old
        self.done[rows] = True

    def _by_name(self, returned: Any) -> Mapping[str, Any]:
        if not self.is_group:
            return {self.names[0]: returned}
        if not isinstance(returned, Mapping) or set(returned) != set(self.names):
            got = sorted(returned) if isinstance(returned, Mapping) else type(returned).__name__
            msg = (
                f"The function of the delayed branches {list(self.names)} must return a dictionary with "
                f"exactly these keys, but it returned {got}."
            )
            raise DelayedBranchError(msg)
        return returned

    def _regular(self, name: str, result: Any, n_events: int) -> npt.NDArray[Any]:
        wanted = (n_events, *np.shape(self.defaults[name]))
        try:
            array = np.asarray(ak.to_numpy(result, allow_missing=False))
        except (ValueError, TypeError) as exc:
            msg = (
                f"Delayed branch {name!r}: the function returned an array that is jagged or has missing "
                f"values; it must be regular, of shape {wanted} (events, then the shape of the default)."
            )
            raise DelayedBranchError(msg) from exc
        if array.shape != wanted:
            msg = (
                f"Delayed branch {name!r}: the function returned shape {array.shape}, but {wanted} is needed "
                f"({n_events} events, then the shape of the default value)."
            )
            raise DelayedBranchError(msg)
        return array


class DelayedEvalBranchManager:
    """Registry and cache of the delayed branches of one processor."""

    def __init__(self) -> None:
        self._groups: list[_Group] = []
        self._snapshot: Array | None = None

    def register(
        self,
        names: str | Sequence[str],
        compute_fn: Callable[[Array], Any],
        default_value: Any = 1.0,
    ) -> None:
        """Declare one branch, or a list of branches that one function computes together.

        ``compute_fn(events_subset)`` gets nominal events before the preselection, only those that enter
        at least one category, each event once. It returns an array of shape
        ``(len(events_subset), *np.shape(default))``, or for a list of names a dictionary of them.
        ``default_value`` is what all other events get; for a list of names it may be a dictionary with
        exactly the same keys.

        Raises InvalidType, InvalidValue (a ValueError).
        """
        is_group = not isinstance(names, str)
        all_names = (names,) if isinstance(names, str) else tuple(names)
        self._check(all_names, compute_fn)
        if is_group and isinstance(default_value, Mapping):
            if set(default_value) != set(all_names):
                msg = (
                    f"Delayed branches {list(all_names)}: the default values are given for "
                    f"{sorted(default_value)}; give exactly one per branch."
                )
                raise InvalidValue(msg)
            defaults = {name: default_value[name] for name in all_names}
        else:
            defaults = dict.fromkeys(all_names, default_value)
        self._groups.append(_Group(all_names, compute_fn, defaults, is_group))

    def _check(self, names: tuple[str, ...], compute_fn: object) -> None:
        if not names or not all(name and isinstance(name, str) for name in names):
            msg = f"Delayed branches need names, but got {names!r}."
            raise InvalidType(msg)
        if not callable(compute_fn):
            msg = f"Delayed branch {names[0]!r}: {compute_fn!r} is not a function of the events."
            raise InvalidType(msg)
        taken = [name for name in names if name in self.names or names.count(name) > 1]
        if taken:
            msg = f"Delayed branch {taken[0]!r} is registered twice; give each branch one function."
            raise InvalidValue(msg)

    @property
    def names(self) -> list[str]:
        """Names of all registered branches, in the order of registration."""
        return [name for group in self._groups for name in group.names]

    @property
    def prepared(self) -> bool:
        """Whether the snapshot of this chunk has been taken."""
        return self._snapshot is not None

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        groups = [
            dataclasses.replace(group, values={}, done=np.zeros(0, dtype=bool)) for group in self._groups
        ]
        return {"_groups": groups, "_snapshot": None}

    def reset(self) -> None:
        """Forget the chunk: snapshot, cached values. Registered branches stay."""
        self._snapshot = None
        for group in self._groups:
            group.forget()

    def prepare(self, events: Array) -> None:
        """Take the snapshot of the nominal events, before the preselection (nothing without branches).

        Adds the field ``pocket_row`` to ``events`` in place, so that an event is recognised after any
        selection.
        """
        if not self._groups:
            return
        self.reset()
        n_events = len(events)
        # A shallow copy: fields that later steps replace on `events` stay nominal here.
        self._snapshot = copy.copy(events)
        events[ROW_FIELD] = np.arange(n_events)
        for group in self._groups:
            group.start(n_events)

    def update(self, events: Array, entering: Any = None) -> None:
        """Write the branches to ``events`` (in place), computing what is not known yet.

        ``events``: the events of this variation after the preselection. ``entering``: (n_events,) of bool,
        true for events in at least one category (None: all). Events that entered none keep the default
        value, unless another variation has computed them already.

        Raises DelayedBranchError.
        """
        if not self._groups:
            return
        if self._snapshot is None or ROW_FIELD not in events.fields:
            msg = (
                "Delayed branches are updated before prepare() saw the nominal events of this chunk, "
                f"or a step removed the field {ROW_FIELD!r}."
            )
            raise DelayedBranchError(msg)
        rows = ak.to_numpy(events[ROW_FIELD])
        wanted = rows if entering is None else rows[np.asarray(entering, dtype=bool)]
        for group in self._groups:
            self._compute(group, wanted)
            for name, values in group.values.items():
                events[name] = values[rows]

    def _compute(self, group: _Group, rows: npt.NDArray[Any]) -> None:
        new = np.unique(rows[~group.done[rows]])
        if new.size == 0:
            return
        log.debug("computing %s for %d events", group.names, new.size)
        assert self._snapshot is not None
        try:
            returned = group.compute(self._snapshot[new])
        except Exception as exc:
            exc.add_note(f"while computing the delayed branches {list(group.names)} for {new.size} events")
            raise
        group.store(new, returned)
