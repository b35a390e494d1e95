"""Base of the calibrators whose names are fixed, but whose corrections are not in this version."""

# ruff: noqa: ARG002 - every calibrator is called with the same arguments

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib.calibrators.calibrator import Calibrator
from pocket_coffea.types import Array

__all__ = ["UnavailableCalibrator"]


class UnavailableCalibrator(Calibrator):
    """Can be named and subclassed; raises PhysicsNotAvailable when it is used."""

    available = False

    def _refuse(self) -> NoReturn:
        msg = (
            f"calibrator {self.name!r}: {self.missing} is not in this version. Remove it from "
            "calibrators and its variations from variations['shape'], or write a Calibrator of your own."
        )
        raise PhysicsNotAvailable(msg)

    def initialize(self, events: Array) -> NoReturn:
        """Raise PhysicsNotAvailable."""
        self._refuse()

    def calibrate(
        self,
        events: Array,
        events_original_collections: Mapping[str, Array],
        variation: str,
        already_applied_calibrators: list[str] | None = None,
    ) -> NoReturn:
        """Raise PhysicsNotAvailable."""
        self._refuse()
