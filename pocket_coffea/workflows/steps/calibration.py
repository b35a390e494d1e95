"""The loop over shape variations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pocket_coffea.lib.calibrators.calibrators_manager import CalibratorsManager

__all__ = ["initialize_calibrators", "loop_over_variations"]


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
    for variation, events in loop:
        processor.events = events
        yield variation


def _requested(processor: Any) -> list[str]:
    """Return the names of the calibrators whose variations are asked for (none for data)."""
    if not processor._isMC:
        return []
    return list(processor.cfg.available_shape_variations.get(processor._sample, []))
