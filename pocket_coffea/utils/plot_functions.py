"""Comparison plots of shapes: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable

__all__ = ["plot_shapes_comparison"]


def plot_shapes_comparison(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    msg = (
        "plot_shapes_comparison: plots are not in this version. The histograms are in output['variables'] "
        "(hist.Hist): draw them with matplotlib or mplhep."
    )
    raise PhysicsNotAvailable(msg)
