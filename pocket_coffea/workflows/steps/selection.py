"""Skim, preselection and categories: from cuts to masks, and from masks to fewer events.

Masking a NanoEvents array is lazy: the awkward layout becomes an index over the same virtual buffers, and no
branch is read because of it. When a mask keeps everything the events are not masked at all.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np

from pocket_coffea.errors import CutError
from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.cut_functions import passthrough_f
from pocket_coffea.types import Array, BoolArray

__all__ = ["and_of_cuts", "apply_preselections", "cut_arguments", "define_categories", "skim_events"]


def cut_arguments(processor: Any) -> dict[str, Any]:
    """Return the keyword arguments that every cut function receives."""
    return {"year": processor._year, "sample": processor._sample, "isMC": processor._isMC}


def and_of_cuts(processor: Any, cuts: Iterable[Cut]) -> BoolArray:
    """AND the cuts over ``processor.events``. Returns (n_events,) of bool.

    Raises CutError for a cut over objects: only whole events can be skimmed or preselected.
    """
    mask = np.ones(len(processor.events), dtype=bool)
    for cut in cuts:
        if cut.function is passthrough_f:
            continue
        if cut.collection != "events":
            msg = (
                f"Cut {cut.name!r} selects objects of {cut.collection!r}, but skim and preselections select "
                "events. Use it in a category, or reduce it to one value per event."
            )
            raise CutError(msg)
        passed = cut.get_mask(processor.events, processor.params, **cut_arguments(processor))
        mask &= np.asarray(passed, dtype=bool)
    return mask


def kept(events: Array, mask: BoolArray) -> Array:
    """Return the events that pass, as a new array: fields added to it do not appear in ``events``."""
    return copy.copy(events) if mask.all() else events[mask]


def skim_events(processor: Any) -> None:
    """Keep the events that pass the skim cuts (on uncalibrated NanoAOD) and count them."""
    mask = and_of_cuts(processor, processor._skim)
    processor._skim_mask = mask
    if not mask.all():
        processor.events = processor.events[mask]
    processor.nEvents_after_skim = processor.nevents
    processor.output["cutflow"]["skim"][processor._dataset] = processor.nEvents_after_skim
    processor.has_events = processor.nEvents_after_skim > 0


def apply_preselections(processor: Any, variation: str) -> None:
    """Keep the events that pass the preselection of this variation and count them."""
    mask = np.asarray(processor.get_preselection_mask(variation=variation), dtype=bool)
    processor.events = kept(processor.events, mask)
    processor._presel_mask = mask
    processor.nEvents_after_presel = processor.nevents
    if variation == "nominal":
        processor._nevents_presel_nominal = processor.nevents
    counts = processor.output["cutflow"]["presel"].setdefault(processor._dataset, {})
    counts[variation] = processor.nEvents_after_presel
    processor.has_events = processor.nEvents_after_presel > 0


def define_categories(processor: Any) -> None:
    """Evaluate categories, and subsamples when the sample has them, on the preselected events."""
    processor._categories.prepare(processor.events, processor.params, **cut_arguments(processor))
    if processor._hasSubsamples:
        subsamples = processor._subsamples[processor._sample]
        subsamples.prepare(processor.events, processor.params, **cut_arguments(processor))
