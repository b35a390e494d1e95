"""Datacards for Combine: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable

__all__ = ["Datacard", "combine_datacards", "create_scripts", "format_rate"]


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.utils.stat.combine.{name}: datacards are not written by this version. The "
        "histograms with all "
        "variations are in output['variables']; keep the processes and systematics you defined for a later "
        "version."
    )
    raise PhysicsNotAvailable(msg)


class Datacard:
    """Raise PhysicsNotAvailable when constructed."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        _not_available("Datacard")


def combine_datacards(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("combine_datacards")


def create_scripts(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("create_scripts")


def format_rate(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("format_rate")


def _clip_negative(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("_clip_negative")


def _clip_negative_bins(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("_clip_negative_bins")
