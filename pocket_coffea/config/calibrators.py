"""Calibrators: which run, in which order, and which variations of theirs can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pocket_coffea.config.names import as_list, check_class
from pocket_coffea.errors import (
    ConfigurationError,
    InvalidType,
    PhysicsNotAvailable,
    UnknownName,
    did_you_mean,
)
from pocket_coffea.lib.calibrators.availability import usable_calibrators
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.lib.calibrators.shape_variations import ShapeVariation, translate_shape_variation

__all__ = ["Calibrators", "read_calibrators", "shape_variation_check"]


@dataclass(frozen=True)
class Calibrators:
    """sequence: the classes that run, in order. requested: those and the ones that cannot run yet.
    not_applied: the names of the latter.
    """

    sequence: list[type[Calibrator]]
    requested: list[type[Calibrator]]
    not_applied: list[str]

    def with_variations(self) -> list[str]:
        """Return the names of the calibrators that run and have variations, in order."""
        return [cls.name for cls in self.sequence if cls.has_variations]


def read_calibrators(config: Any) -> Calibrators:
    """Return the calibrators of a configuration: a list of classes, ``[]`` for none, None for the default
    sequence.

    Those of the default sequence that are not available yet are left out, with one warning. Raises
    PhysicsNotAvailable if one of them is listed by itself, InvalidType for anything but a calibrator class,
    ConfigurationError if a name comes twice.
    """
    if config is None:
        from pocket_coffea.lib.calibrators.common import default_calibrators_sequence

        config = default_calibrators_sequence
    requested: list[type[Calibrator]] = []
    for position, cls in enumerate(as_list(config, "calibrators")):
        where = f"calibrators[{position}]"
        check_class(cls, Calibrator, where)
        if cls.name in (other.name for other in requested):
            msg = f"{where} is a second calibrator named {cls.name!r}: it would be applied twice. Remove one."
            raise ConfigurationError(msg)
        requested.append(cls)
    sequence, not_applied = usable_calibrators(requested)
    return Calibrators(sequence, requested, not_applied)


def shape_variation_check(calibrators: Calibrators) -> Callable[[Any, str], str | ShapeVariation]:
    """Return the function that turns a requested shape variation into the name of the calibrator that varies.

    An older name of a single jet uncertainty (``JES_Total``) becomes a ShapeVariation, which selects among
    the variations of its calibrator. The function raises UnknownName for a name that is neither, and
    PhysicsNotAvailable for a calibrator that is not available yet.
    """
    varying = calibrators.with_variations()
    fixed = [cls.name for cls in calibrators.sequence if not cls.has_variations]

    def check(name: Any, where: str) -> str | ShapeVariation:
        if not isinstance(name, str):
            msg = f"{where} must list names of calibrators, not {name!r} of type {type(name).__name__}."
            raise InvalidType(msg)
        if name in fixed:
            msg = (
                f"{where} asks for the variations of the calibrator {name!r}, which has none. "
                f"{did_you_mean(name, varying)}"
            )
            raise UnknownName(msg)
        try:
            variation = translate_shape_variation(name, calibrators.requested)
        except UnknownName as error:
            msg = f"Wrong variation configuration: {where}: {error}"
            raise UnknownName(msg) from None
        if variation.calibrator in calibrators.not_applied:
            missing = next(cls.missing for cls in calibrators.requested if cls.name == variation.calibrator)
            msg = (
                f"{where} asks for {name!r}, but {missing or variation.calibrator} is not in this version of "
                "PocketCoffea. Remove it from variations, or write a Calibrator of your own."
            )
            raise PhysicsNotAvailable(msg)
        return variation if variation.is_restricted else variation.calibrator

    return check
