"""Which calibrators can be applied, and which of the default sequence are skipped, aloud."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib.calibrators.calibrator import Calibrator

__all__ = ["usable_calibrators"]

log = logging.getLogger(__name__)
_warned: set[tuple[str, ...]] = set()


def usable_calibrators(
    calibrators: Sequence[type[Calibrator]] | None, requested: Collection[str] = ()
) -> tuple[list[type[Calibrator]], list[str]]:
    """Return (calibrators that can be applied, names of those that are skipped).

    calibrators: as configured, None for the default sequence. requested: names of the calibrators whose
    variations are asked for. The calibrators of the default sequence whose physics is not in this version are
    skipped, with one warning per process, when the whole sequence is there: it is what an analysis gets
    without asking. Raises PhysicsNotAvailable for any other one that is not available, and when variations of
    a skipped one are asked for.
    """
    from pocket_coffea.lib.calibrators.common.common import default_calibrators_sequence

    chosen = list(default_calibrators_sequence if calibrators is None else calibrators)
    skippable = default_calibrators_sequence if set(default_calibrators_sequence) <= set(chosen) else []
    absent = [calibrator for calibrator in chosen if not calibrator.available]
    for calibrator in absent:
        if calibrator not in skippable:
            raise PhysicsNotAvailable(_message(calibrator, "Remove it from calibrators"))
        if calibrator.name in requested:
            raise PhysicsNotAvailable(_message(calibrator, "Remove its variations from variations['shape']"))
    _warn(absent)
    return [calibrator for calibrator in chosen if calibrator.available], [c.name for c in absent]


def _message(calibrator: type[Calibrator], action: str) -> str:
    return (
        f"calibrator {calibrator.name!r}: {calibrator.missing} is not in this version of PocketCoffea. "
        f"{action}, or write a Calibrator of your own."
    )


def _warn(absent: list[type[Calibrator]]) -> None:
    names = tuple(calibrator.name for calibrator in absent)
    if not names or names in _warned:
        return
    _warned.add(names)
    log.warning(
        "the default calibrators %s are not in this version and are not applied: jets, MET, electrons and "
        "muons keep the calibration of the NanoAOD production. Set calibrators=[] in the Configurator to "
        "silence this.",
        ", ".join(names),
    )
