"""Electrons and muons of an event in one collection."""

from __future__ import annotations

from functools import partial
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.memo import memoised
from pocket_coffea.types import Array, IntArray

__all__ = ["merged_leptons"]


def merged_leptons(events: Array, muons: Array, electrons: Array) -> Array:
    """Return muons and electrons together, (n_events, var), ordered by falling pt.

    The leptons are four-vectors (PtEtaPhiMCandidate) with the plain fields that both collections have; fields
    are read when they are used. Equal pt: muons come first. ``events`` hold the results that can be reused.
    """
    return memoised(events, "merged_leptons", [muons, electrons], lambda: _merge(muons, electrons))


def _merge(muons: Array, electrons: Array) -> Array:
    first, second = Flat(muons, "muons"), Flat(electrons, "electrons")
    counts = first.counts + second.counts
    event = np.concatenate([np.repeat(np.arange(len(flat.counts)), flat.counts) for flat in (first, second)])
    pt = np.concatenate([first["pt"], second["pt"]])
    order = np.lexsort((-pt, event))  # stable: muons stay before electrons of the same pt
    own, other = _plain_fields(muons), _plain_fields(electrons)
    dtypes = {name: np.result_type(dtype, other[name]) for name, dtype in own.items() if name in other}
    return _lazy_record(counts, dtypes, partial(_column, first, second, order))


def _plain_fields(collection: Array) -> dict[str, np.dtype[Any]]:
    """Return the fields that hold one number for each object, without looking at their values."""
    record = collection.layout.form
    while not record.is_record:
        record = record.content
    found = {}
    for name, content in zip(record.fields, record.contents, strict=True):
        leaf = content
        while leaf.is_indexed and not leaf.is_option:
            leaf = leaf.content
        if leaf.is_numpy and not leaf.inner_shape:
            found[name] = np.dtype(leaf.primitive)
    return found


def _column(first: Flat, second: Flat, order: IntArray, name: str) -> Any:
    return np.concatenate([first[name], second[name]])[order]


def _lazy_record(counts: IntArray, dtypes: dict[str, np.dtype[Any]], column: Any) -> Array:
    """Build the collection with one buffer for each field that is made when it is needed."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    leaves = [ak.forms.NumpyForm(dtype.name, form_key=name) for name, dtype in dtypes.items()]
    record = ak.forms.RecordForm(
        leaves, list(dtypes), parameters={"__record__": "PtEtaPhiMCandidate"}, form_key="record"
    )
    form = ak.forms.ListOffsetForm("i64", record, form_key="leptons")
    container: dict[str, Any] = {"leptons-offsets": offsets}
    for name, dtype in dtypes.items():
        container[f"{name}-data"] = partial(_typed, column, name, dtype)
    from coffea.nanoevents.methods import candidate

    return ak.from_buffers(form, len(counts), container, behavior=candidate.behavior)


def _typed(column: Any, name: str, dtype: np.dtype[Any]) -> Any:
    return column(name).astype(dtype, copy=False)
