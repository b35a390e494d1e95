"""Names of shape variations: those of calibrators, and the older ones of single jet uncertainties."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from pocket_coffea.errors import UnknownName, did_you_mean
from pocket_coffea.lib.calibrators.calibrator import Calibrator

__all__ = ["ShapeVariation", "translate_shape_variation"]

#: ``JES_Total``, ``JER``, ``JES_Total_AK4PFchs``, ``JER_AK8PFPuppi``.
_OLD_NAME = re.compile(r"^(?P<source>JES_.+?|JER)(?:_(?P<jet_type>AK\d+\w*))?$")
#: The jet calibrators, the preferred one first.
_JET_CALIBRATORS = ("jet_calibration", "jet_calibration_legacy", "jet_calibration_with_pt_regression_legacy")


@dataclasses.dataclass(frozen=True)
class ShapeVariation:
    """A calibrator whose variations are asked for: all, or only those of one source of jet uncertainty.

    requested : the name in the configuration
    calibrator : name of the calibrator
    source : "JES_Total", "JER"; None for all variations
    jet_type : "AK4PFchs"; None for all types of jets
    """

    requested: str
    calibrator: str
    source: str | None = None
    jet_type: str | None = None

    @property
    def is_restricted(self) -> bool:
        """Whether only some of the calibrator's variations are meant."""
        return self.source is not None

    def serialize(self) -> str:
        """Return the name in the configuration, for the one that is saved next to the results."""
        return self.requested

    def selects(self, variation: str) -> bool:
        """Return whether a variation of the calibrator (``AK4PFchs_JES_TotalUp``) is meant.

        >>> ShapeVariation("JES_Total", "jet_calibration", "JES_Total").selects("AK4PFchs_JES_TotalUp")
        True
        >>> ShapeVariation("JER", "jet_calibration", "JER").selects("AK4PFchs_JES_TotalUp")
        False
        """
        if self.source is None:
            return True
        jet_type = r"\w+?" if self.jet_type is None else re.escape(self.jet_type)
        return re.fullmatch(rf"{jet_type}_{re.escape(self.source)}(Up|Down)", variation) is not None


def translate_shape_variation(
    name: str, calibrators: Iterable[type[Calibrator] | Calibrator] | None = None
) -> ShapeVariation:
    """Return what a name in ``variations["shape"]`` asks for.

    calibrators: those of the configuration; None to look at the name alone. The name of a calibrator with
    variations asks for all of them; the older ``JES_<source>`` and ``JER``, with ``_<jet type>`` or without,
    for those of the jet calibrator. Raises UnknownName (a ValueError) for anything else.
    """
    match = _OLD_NAME.match(name)
    if calibrators is None:
        if match is None:
            return ShapeVariation(name, name)
        return ShapeVariation(name, _JET_CALIBRATORS[0], match["source"], match["jet_type"])
    varied = [calibrator.name for calibrator in calibrators if calibrator.has_variations]
    if name in varied:
        return ShapeVariation(name, name)
    if match is None:
        msg = f"shape variation {name!r}: no such calibrator with variations. {did_you_mean(name, varied)}"
        raise UnknownName(msg)
    jets = next((calibrator for calibrator in _JET_CALIBRATORS if calibrator in varied), None)
    if jets is None:
        msg = (
            f"shape variation {name!r} is a jet uncertainty and needs the calibrator "
            f"{_JET_CALIBRATORS[0]!r}, which is not among the calibrators. {did_you_mean(name, varied)}"
        )
        raise UnknownName(msg)
    return ShapeVariation(name, jets, match["source"], match["jet_type"])
