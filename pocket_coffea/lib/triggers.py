"""Trigger decisions: the OR of trigger paths, by name or by primary dataset."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.errors import nearest
from pocket_coffea.lib.flat import Flat
from pocket_coffea.lib.lookup import UnknownKey, field_of, lookup
from pocket_coffea.types import Array, BoolArray
from pocket_coffea.utils.metadata import to_bool

__all__ = ["apply_trigger_mask", "get_trigger_mask_byprimarydataset", "remove_trigger_prefix"]

log = logging.getLogger(__name__)

#: For part of 2017 this path had the seeds of the double-electron triggers; the single-electron seed is asked
#: for on the trigger objects.
_EMULATED = ("2017", "Ele32_WPTight_Gsf_L1DoubleEG")
_ELECTRON, _L1_SINGLE_ELECTRON_BIT = 11, 1024

#: Missing paths that were reported in this process: (type, year, name).
_reported: set[tuple[str, str, str]] = set()


def remove_trigger_prefix(name: str, prefix: str) -> str:
    """Return the trigger without its prefix.

    >>> remove_trigger_prefix("HLT_IsoMu24", "HLT_"), remove_trigger_prefix("IsoMu24", "HLT_")
    ('IsoMu24', 'IsoMu24')
    """
    return name.removeprefix(prefix)


def apply_trigger_mask(
    events: Array,
    triggers_to_apply: Iterable[str],
    year: str,
    invert: bool = False,
    trigger_type: str = "HLT",
) -> BoolArray:
    """OR of trigger paths, or its inverse: bool ``(n_events,)``.

    ``triggers_to_apply``: names, with or without the prefix ``{trigger_type}_``. A path that is not in the
    file counts as not fired and is reported once per process. Source: ``events.HLT`` or ``events.L1``.

    Raises MissingBranch when the events have no such record at all.
    """
    decisions = field_of(events, trigger_type, "the trigger selection")
    fired = np.zeros(len(events), dtype=bool)
    for full_name in triggers_to_apply:
        name = remove_trigger_prefix(full_name, f"{trigger_type}_")
        if name not in decisions.fields:
            _report_missing(trigger_type, str(year), name, decisions.fields)
            continue
        passed = _decision(decisions[name])
        if (str(year), name) == _EMULATED:
            passed = passed & _has_l1_single_electron(events)
        fired |= passed
    return ~fired if invert else fired


def _decision(branch: Array) -> BoolArray:
    passed = ak.to_numpy(branch, allow_missing=True)
    if isinstance(passed, np.ma.MaskedArray):
        passed = passed.filled(0)
    return passed.astype(bool, copy=False)


def _has_l1_single_electron(events: Array) -> BoolArray:
    """At least one electron trigger object with filter bit 10."""
    objects = Flat(field_of(events, "TrigObj", f"the trigger {_EMULATED[1]}"), "TrigObj")
    bits = objects["filterBits"].astype(np.int64, copy=False)
    good = (objects["id"] == _ELECTRON) & ((bits & _L1_SINGLE_ELECTRON_BIT) != 0)
    return np.bincount(objects.event_index()[good], minlength=len(events)) > 0


def _report_missing(trigger_type: str, year: str, name: str, fields: Sequence[str]) -> None:
    if (trigger_type, year, name) in _reported:
        return
    _reported.add((trigger_type, year, name))
    near = nearest(name, fields)
    hint = f" (nearest: {', '.join(near)})" if near else ""
    log.warning("%s path %s is not in the %s events: counted as not fired%s", trigger_type, name, year, hint)


def get_trigger_mask_byprimarydataset(  # noqa: PLR0917 - the public signature
    events: Array,
    trigger_dict: Mapping[str, Any],
    year: str,
    isMC: bool,
    primaryDatasets: str | Sequence[str] | None = None,
    invert: bool = False,
    trigger_prefix: str = "HLT_",
) -> BoolArray:
    """OR of the triggers of primary datasets, or its inverse: bool ``(n_events,)``.

    ``trigger_dict``: {primary dataset: [trigger names]} of this year. ``primaryDatasets`` (one name or a
    list): the triggers of these, in data and MC. Without it: MC takes all of ``trigger_dict``, data only the
    one named in ``events.metadata["primaryDataset"]``, so that no event is counted in two datasets.

    Raises UnknownKey (a KeyError) for a primary dataset that is not in ``trigger_dict``.
    """
    if isinstance(primaryDatasets, str):
        primaryDatasets = [primaryDatasets]
    if primaryDatasets:
        chosen = list(primaryDatasets)
    elif to_bool(isMC):
        chosen = list(trigger_dict)
    else:
        chosen = [_primary_dataset(events)]
    kind = trigger_prefix.rstrip("_")
    names: dict[str, None] = {}  # an ordered set: datasets share triggers
    for dataset in chosen:
        triggers = lookup(trigger_dict, dataset, origin=f"parameters.{kind}_triggers.{year}")
        names.update(dict.fromkeys([triggers] if isinstance(triggers, str) else triggers))
    return apply_trigger_mask(events, names, year, invert=invert, trigger_type=kind)


def _primary_dataset(events: Array) -> str:
    metadata = getattr(events, "metadata", None) or {}
    if "primaryDataset" not in metadata:
        msg = (
            f"Dataset {metadata.get('dataset')!r} is data without 'primaryDataset' in its metadata, which "
            "says which triggers to apply. Add it to the dataset definition, or name primary datasets in the "
            "cut."
        )
        raise UnknownKey(msg)
    return str(metadata["primaryDataset"])
