"""Data-to-simulation plots: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.utils.plot_functions import plot_shapes_comparison

__all__ = ["PlotManager", "Shape", "Style", "SystManager", "SystUnc", "plot_shapes_comparison"]


class _NotAvailable:
    """Base of the classes whose construction raises PhysicsNotAvailable."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        msg = (
            f"pocket_coffea.utils.plot_utils.{type(self).__name__}: plots are not in this version. "
            "The histograms are in output['variables'] (hist.Hist): draw them with matplotlib or mplhep."
        )
        raise PhysicsNotAvailable(msg)


class PlotManager(_NotAvailable):
    """All plots of an output."""


class Shape(_NotAvailable):
    """Data and simulation of one variable."""


class SystManager(_NotAvailable):
    """The systematic uncertainties of a shape."""


class SystUnc(_NotAvailable):
    """One systematic uncertainty of a shape."""


class Style(_NotAvailable):
    """Colours, labels and sizes."""
