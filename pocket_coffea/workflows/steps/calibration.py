"""The loop over shape variations."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import awkward as ak

from pocket_coffea.lib.calibrators.calibrators_manager import CalibratorsManager

__all__ = ["initialize_calibrators", "loop_over_variations"]

log = logging.getLogger(__name__)


def initialize_calibrators(processor: Any) -> None:
    """Build the calibrators of this chunk, on uncalibrated events."""
    processor.calibrators_manager = CalibratorsManager(
        processor.cfg.calibrators,
        processor.events,
        processor.params,
        processor._metadata,
        requested_calibrator_variations=_requested(processor),
    )


def loop_over_variations(processor: Any) -> Iterator[str]:
    """Yield each variation, nominal first; ``processor.events`` are then the calibrated events.

    Every pass gets the same array object: what hooks add before the preselection is still there (and is
    overwritten) in the next pass, while calibrated collections are put back.
    """
    manager = processor.calibrators_manager
    loop = manager.calibration_loop(processor.events, variations_for_calibrators=_requested(processor))
    debug = bool(processor.workflow_options.get("debug_calibrators"))
    for variation, events in loop:
        processor.events = events
        if debug:
            _report(processor, variation)
        yield variation


def _report(processor: Any, variation: str) -> None:
    """Log what the calibrators changed, as the workflow option ``debug_calibrators`` asks."""
    manager = processor.calibrators_manager
    for key, original in manager.original_coll.items():
        collection, _, field = key.partition(".")
        before = original if field else original["pt"]
        after = processor.events[collection, field or "pt"]
        names = ", ".join(calibrator.name for calibrator in manager.calibrated_collections[key])
        log.info(
            "debug_calibrators: dataset %s, variation %s: %s (by %s): mean %.6g, uncalibrated %.6g",
            processor._dataset,
            variation,
            key if field else f"{key}.pt",
            names,
            ak.mean(after),
            ak.mean(before),
        )


def _requested(processor: Any) -> list[str]:
    """Return the names of the calibrators whose variations are asked for (none for data)."""
    if not processor._isMC:
        return []
    return list(processor.cfg.available_shape_variations.get(processor._sample, []))
