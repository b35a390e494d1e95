"""What the ready-made weights read: branches of the events, parameters, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.errors import ConfigurationError, MissingBranch, UnknownName, WeightError, did_you_mean
from pocket_coffea.lib.weights.weights import WeightWrapper
from pocket_coffea.types import Array, FloatArray

__all__ = ["branch", "elements", "metadata_of", "parameter"]


def branch(weight: WeightWrapper, events: Array, *path: str) -> Array:
    """Return ``events[path[0]][path[1]]...``. Raises MissingBranch naming the weight and the branch."""
    values = events
    for depth, field in enumerate(path):
        if field not in values.fields:
            name = ".".join(path[: depth + 1])
            msg = (
                f"weight {weight.name!r} of {_where(weight)} needs the branch {name!r}, which the events do "
                f"not have. {did_you_mean(field, values.fields, limit=6)} Remove the weight from this "
                "sample, or read files that have the branch."
            )
            raise MissingBranch(msg)
        values = values[field]
    return values


def elements(
    weight: WeightWrapper,
    events: Array,
    name: str,
    indices: tuple[int, ...],
    *,
    length: int,
    exactly: bool = False,
) -> list[FloatArray]:
    """Return some entries of a vector branch with ``length`` entries, each float64 of shape (n_events,).

    Raises WeightError when some events have fewer (as in samples without these weights), or, with
    ``exactly``, another number (whose entries mean something else).
    """
    values = branch(weight, events, name)
    counts = ak.to_numpy(ak.num(values, axis=1))
    wrong = np.flatnonzero(counts != length if exactly else counts < length)
    if len(wrong):
        msg = (
            f"weight {weight.name!r} of {_where(weight)} needs {length} entries in {name}, but "
            f"{len(wrong)} of {len(counts)} events have another number; the first is event number {wrong[0]} "
            f"with {counts[wrong[0]]}. Remove the weight, and its variations, from this sample."
        )
        raise WeightError(msg)
    return [ak.to_numpy(values[:, index]).astype(np.float64) for index in indices]


def parameter(weight: WeightWrapper, *path: str) -> Any:
    """Return ``params[path[0]][path[1]]...``. Raises UnknownName with the nearest keys."""
    node = weight._params
    for depth, key in enumerate(path):
        if not isinstance(node, Mapping) and not hasattr(node, "keys"):
            node = {}
        if key not in node:
            place = "params" + "".join(f"[{step!r}]" for step in path[:depth])
            msg = f"weight {weight.name!r}: {place} has no {key!r}. {did_you_mean(key, list(node))}"
            raise UnknownName(msg)
        node = node[key]
    return node


def metadata_of(weight: WeightWrapper, key: str) -> Any:
    """Return a value of the metadata. Raises ConfigurationError when it is not there or None."""
    value = (weight._metadata or {}).get(key)
    if value is None:
        msg = (
            f"weight {weight.name!r} of {_where(weight)} needs {key!r} in the metadata of the dataset: "
            "add it to the dataset definition, or remove the weight from this sample."
        )
        raise ConfigurationError(msg)
    return value


def _where(weight: WeightWrapper) -> str:
    metadata = weight._metadata or {}
    return f"sample {metadata.get('sample', '?')!r} (dataset {metadata.get('dataset', '?')!r})"
