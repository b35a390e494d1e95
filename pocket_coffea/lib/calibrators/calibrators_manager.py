"""Applies the calibrators of an analysis to a chunk of events, for every variation, and undoes it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pocket_coffea.errors import (
    InvalidType,
    InvalidValue,
    PocketCoffeaError,
    UnknownName,
    did_you_mean,
)
from pocket_coffea.lib.calibrators.availability import usable_calibrators
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.calibrators.originals import Originals
from pocket_coffea.lib.calibrators.shape_variations import ShapeVariation
from pocket_coffea.types import Array, Params
from pocket_coffea.utils.metadata import to_bool

__all__ = ["CalibratorsManager"]

log = logging.getLogger(__name__)


class CalibratorsManager:
    """The calibrators of one chunk, in the order of the configuration.

    calibrator_sequence : the calibrators that apply to this dataset
    available_variations : "nominal", then every variation once, in the order of the calibrators
    available_variations_bycalibrator : {name: its variations}; one name declared by two calibrators is in
        both, since both receive it
    calibrated_collections : {"Collection" or "Collection.field": [calibrators that return it]}
    original_coll : what calibrators have replaced, by the same keys
    not_applied : names of calibrators that were skipped because their physics is not in this version
    """

    def __init__(
        self,
        calibrators_list: Sequence[type[Calibrator]] | None,
        events: Array,
        params: Params,
        metadata: Mapping[str, Any] | None = None,
        requested_calibrator_variations: Iterable[str | ShapeVariation] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make and initialize the calibrators; those for MC only are skipped for data.

        calibrators_list: classes; None stands for the default sequence. requested_calibrator_variations:
        names of the calibrators whose variations are wanted, None for all. kwargs are passed on to every
        calibrator. Raises PhysicsNotAvailable when a calibrator that was asked for is not in this version.
        """
        self.params = params
        self.metadata = metadata or {}
        self.calibrator_sequence: list[Calibrator] = []
        self.calibrated_collections: dict[str, list[Calibrator]] = {}
        self.available_variations: list[str] = ["nominal"]
        self.available_variations_bycalibrator: dict[str, list[str]] = {}
        self._originals = Originals()
        requested = None if requested_calibrator_variations is None else list(requested_calibrator_variations)
        names = None if requested is None else {_name_of(request) for request in requested}
        is_mc = to_bool(self.metadata.get("isMC", True))
        classes, self.not_applied = usable_calibrators(calibrators_list, names or ())
        for cls in classes:
            if is_mc or not cls.isMC_only:
                wanted = names is None or cls.name in names
                self._add(self._make(cls, wanted, kwargs), events, wanted)

    def _make(self, cls: type[Calibrator], wanted: bool, kwargs: Mapping[str, Any]) -> Calibrator:
        try:
            return cls(self.params, self.metadata, do_variations=wanted, **kwargs)
        except PocketCoffeaError:
            raise
        except Exception as exc:
            given = ", ".join(["params", "metadata", "do_variations=...", *(f"{key}=..." for key in kwargs)])
            exc.add_note(f"while making calibrator {cls.name!r} ({cls.__name__}({given}))")
            raise

    def _add(self, calibrator: Calibrator, events: Array, wanted: bool) -> None:
        try:
            calibrator.initialize(events)
        except PocketCoffeaError:
            raise
        except Exception as exc:
            exc.add_note(f"while initializing calibrator {calibrator.name!r}")
            raise
        self.calibrator_sequence.append(calibrator)
        for key in calibrator.calibrated_collections:
            self.calibrated_collections.setdefault(key, []).append(calibrator)
        varied = calibrator.has_variations and wanted
        variations = list(dict.fromkeys(calibrator.variations)) if varied else []
        self.available_variations_bycalibrator[calibrator.name] = variations
        self.available_variations += [name for name in variations if name not in self.available_variations]

    @property
    def original_coll(self) -> dict[str, Array]:
        """The original arrays of what was replaced so far, by "Collection" or "Collection.field"."""
        return self._originals.arrays

    def get_available_variations(self, calibrator_name: str | ShapeVariation | None = None) -> list[str]:
        """Return all variations, or those of one calibrator ([] if it is unknown or has none)."""
        if calibrator_name is None:
            return list(self.available_variations)
        variations = self.available_variations_bycalibrator.get(_name_of(calibrator_name), [])
        if isinstance(calibrator_name, ShapeVariation):
            return [variation for variation in variations if calibrator_name.selects(variation)]
        return list(variations)

    def calibrate(self, events: Array, variation: str = "nominal") -> Array:
        """Apply all calibrators in their order to ``events``, in place, and return the events.

        Every calibrator gets the name of the variation; it returns its nominal calibration if the variation
        is not its own. Without ``reset_events_to_original`` calibrations compound. Raises UnknownName (a
        ValueError) for an unknown variation, InvalidValue when a calibrator returns what it does not declare.
        """
        if variation not in self.available_variations:
            raise UnknownName(self._unknown(variation))
        applied: list[str] = []
        for calibrator in self.calibrator_sequence:
            for key, values in self._calibrated(calibrator, events, variation, applied).items():
                self._originals.replace(events, key, values, calibrator.name)
            applied.append(calibrator.name)
        return events

    def _calibrated(
        self, calibrator: Calibrator, events: Array, variation: str, applied: list[str]
    ) -> dict[str, Array]:
        layout = events.layout
        try:
            out: Any = calibrator.calibrate(events, self.original_coll, variation, list(applied))
        except PocketCoffeaError:
            raise
        except Exception as exc:
            exc.add_note(f"while applying calibrator {calibrator.name!r}, variation {variation!r}")
            raise
        if events.layout is not layout:
            msg = (
                f"calibrator {calibrator.name!r} modified the events in calibrate(): what it sets there is "
                "not put back for the next variation. Return the arrays, and declare them in "
                "calibrated_collections."
            )
            raise InvalidValue(msg)
        if not isinstance(out, Mapping):
            kind = type(out).__name__
            msg = f"calibrator {calibrator.name!r}: calibrate() returned a {kind}, not a dictionary."
            raise InvalidType(msg)
        undeclared = [key for key in out if key not in calibrator.calibrated_collections]
        if undeclared:
            msg = (
                f"calibrator {calibrator.name!r} returned {undeclared[0]!r}, which is not in its "
                f"calibrated_collections: {', '.join(calibrator.calibrated_collections) or 'none'}."
            )
            raise InvalidValue(msg)
        return dict(out)

    def reset_events_to_original(self, events: Array) -> Array:
        """Put back in place what calibrators replaced, remove what they created; return the events."""
        self._originals.restore(events)
        return events

    def calibration_loop(
        self,
        events: Array,
        variations: Iterable[str] | None = None,
        variations_for_calibrators: Iterable[str | ShapeVariation] | None = None,
    ) -> Iterator[tuple[str, Array]]:
        """Yield ("nominal", events), then every variation, in the order of the calibrators.

        variations: names of single variations; variations_for_calibrators: all variations of these
        calibrators. Both None: all there are. It is the same array object each time: what others add to it
        stays, while calibrated collections are put back after each step, also when the loop is left early.
        Raises UnknownName for a variation that does not exist.
        """
        for variation in self._selected(variations, variations_for_calibrators):
            try:
                yield variation, self.calibrate(events, variation)
            finally:
                self.reset_events_to_original(events)

    def _selected(
        self,
        variations: Iterable[str] | None,
        variations_for_calibrators: Iterable[str | ShapeVariation] | None,
    ) -> list[str]:
        if variations is None and variations_for_calibrators is None:
            return list(self.available_variations)
        chosen = {"nominal", *(variations or ())}
        unknown = sorted(chosen - set(self.available_variations))
        if unknown:
            raise UnknownName(self._unknown(unknown[0]))
        for request in variations_for_calibrators or ():
            chosen.update(self.get_available_variations(request))
        return [variation for variation in self.available_variations if variation in chosen]

    def _unknown(self, variation: str) -> str:
        return (
            f"shape variation {variation!r} is unknown. {did_you_mean(variation, self.available_variations)}"
        )


def _name_of(request: str | ShapeVariation) -> str:
    return request.calibrator if isinstance(request, ShapeVariation) else request
