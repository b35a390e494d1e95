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


def merged_leptons(events: Array, muons: str = "MuonGood", electrons: str = "ElectronGood") -> Array:
    """Return muons and electrons together, (n_events, var), ordered by falling pt.

    The leptons are four-vectors (PtEtaPhiMCandidate) with the plain fields that both collections have; fields
    are read when they are used. Equal pt: muons come first.
    """
    return memoised(
        events,
        ("merged_leptons", muons, electrons),
        [muons, electrons],
        lambda: _merge(events[muons], events[electrons]),
    )


def _merge(muons: Array, electrons: Array) -> Array:
    first, second = Flat(muons, "muons"), Flat(electrons, "electrons")
    counts = first.counts + second.counts
    event = np.concatenate([np.repeat(np.arange(len(flat.counts)), flat.counts) for flat in (first, second)])
    pt = np.concatenate([first["pt"], second["pt"]])
    order = np.lexsort((-pt, event))  # stable: muons stay before electrons of the same pt
    fields = {name: dtype for name, dtype in _plain_fields(muons).items() if name in _plain_fields(electrons)}
    dtypes = {name: np.result_type(dtype, _plain_fields(electrons)[name]) for name, dtype in fields.items()}
    return _lazy_record(counts, dtypes, partial(_column, first, second, order))


def _plain_fields(collection: Array) -> dict[str, np.dtype[Any]]:
    """Return the fields that hold one number for each object."""
    found = {}
    for name in collection.fields:
        kind = collection[name].type.content
        kind = kind.content if isinstance(kind, ak.types.ListType) else None
        if isinstance(kind, ak.types.NumpyType):
            found[name] = np.dtype(kind.primitive)
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
