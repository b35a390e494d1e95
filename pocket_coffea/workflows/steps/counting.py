"""Sums of generator weights, cutflow and sums of weights by category."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import awkward as ak
import numpy as np

from pocket_coffea.lib.lookup import field_of
from pocket_coffea.types import Array, BoolArray, FloatArray
from pocket_coffea.workflows.steps.subsamples import labels

__all__ = [
    "SKIM_RESCALE",
    "SKIM_RESCALE_SIGN",
    "count_events",
    "count_initial",
    "generator_sums",
    "in_any_category",
    "masks_by_category",
]

#: Branch of skimmed files: what restores the sum of generator weights that the skim removed.
SKIM_RESCALE = "skimRescaleGenWeight"
#: The same for the sum of their signs.
SKIM_RESCALE_SIGN = "skimRescaleSignOfGenWeight"


def generator_sums(events: Array, *, is_skim: bool) -> tuple[float, float]:
    """Return the sums of generator weights and of their signs, in float64.

    For a skim every event counts with the factor that restores the sum before the skim. Files without the
    factor of the signs use that of the weights, which is exact when all weights have one magnitude.
    """
    weights = ak.to_numpy(events["genWeight"]).astype(np.float64)
    signs = np.sign(weights)
    if is_skim:
        user = "A dataset whose metadata say isSkim"
        rescale = ak.to_numpy(field_of(events, SKIM_RESCALE, user)).astype(np.float64)
        sign_field = SKIM_RESCALE_SIGN if SKIM_RESCALE_SIGN in events.fields else SKIM_RESCALE
        weights = weights * rescale
        signs = signs * ak.to_numpy(events[sign_field]).astype(np.float64)
    return float(weights.sum()), float(signs.sum())


def count_initial(processor: Any) -> None:
    """Count what enters the chunk, before any cut."""
    processor.nEvents_initial = processor.nevents
    processor.output["cutflow"]["initial"][processor._dataset] = processor.nEvents_initial
    if not processor._isMC:
        return
    sums = generator_sums(processor.events, is_skim=processor._isSkim)
    processor.output["sum_genweights"][processor._dataset] = sums[0]
    processor.output["sum_signOf_genweights"][processor._dataset] = sums[1]


def masks_by_category(selection: Any) -> dict[str, BoolArray]:
    """Return (n_events,) of bool for every category; masks over objects count an event with any object."""
    return {name: _event_mask(mask) for name, mask in selection.get_masks()}


def in_any_category(selection: Any, n_events: int) -> BoolArray:
    """Return (n_events,) of bool: the event is in at least one category."""
    entering = np.zeros(n_events, dtype=bool)
    for mask in masks_by_category(selection).values():
        entering |= mask
    return entering


def count_events(processor: Any, variation: str) -> None:
    """Fill ``cutflow``, and for MC ``sumw`` and ``sumw2``, of every category and subsample."""
    subsamples: dict[str, BoolArray] = {}
    if processor._hasSubsamples:
        masks = masks_by_category(processor._subsamples[processor._sample])
        subsamples = {full: masks[key] for full, key in labels(processor).items()}
    for category, mask in masks_by_category(processor._categories).items():
        for name, selected, subsample in _selections(processor, mask, subsamples):
            place = (category, processor._dataset, name, variation)
            _store(processor.output["cutflow"], place, int(np.count_nonzero(selected)))
            if processor._isMC:
                weight = processor.weights_manager.get_weight(category, subsample=subsample)
                total, squares = _sums(weight, selected)
                _store(processor.output["sumw"], place, total)
                _store(processor.output["sumw2"], place, squares)


def _selections(
    processor: Any, mask: BoolArray, subsamples: dict[str, BoolArray]
) -> Iterator[tuple[str, BoolArray, str | None]]:
    yield processor._sample, mask, None
    for name, inside in subsamples.items():
        yield name, mask & inside, name


def _sums(weight: FloatArray, selected: BoolArray) -> tuple[float, float]:
    chosen = np.asarray(weight, dtype=np.float64)[selected]
    return float(chosen.sum()), float(np.square(chosen).sum())


def _store(tree: dict[str, Any], place: tuple[str, ...], value: float) -> None:
    *branches, leaf = place
    for name in branches:
        tree = tree.setdefault(name, {})
    tree[leaf] = value


def _event_mask(mask: Any) -> BoolArray:
    if isinstance(mask, np.ndarray) and mask.ndim == 1:
        return mask
    if ak.Array(mask).ndim > 1:
        return np.asarray(ak.fill_none(ak.any(mask, axis=1), False), dtype=bool)
    return np.asarray(mask, dtype=bool)
