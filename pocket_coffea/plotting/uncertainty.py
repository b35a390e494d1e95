"""Uncertainties of the expectation in each bin: arithmetic only.

A systematic uncertainty has an up and a down variation. Its shifts, varied minus nominal, are added up with
their signs over samples, which it moves together. In each bin the upper error is the larger shift upwards,
the lower error the larger shift downwards: when both variations go the same way, the other error is zero.
Different uncertainties, and the statistical one, are added in quadrature, upper and lower errors apart.

Between years an uncertainty has a correlation r from 0 to 1: it is then the sum in quadrature of a part
sqrt(r) of the shifts, added up over the years with their signs, and parts sqrt(1 - r) of each year.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pocket_coffea.plotting.content import NOMINAL, Array

__all__ = [
    "Shifts",
    "SystUnc",
    "correlation_of",
    "paired_variations",
    "poisson_errors",
    "shifts_of_years",
    "variation_base",
]

#: Shifts of one uncertainty in each bin, upwards and downwards variation.
Shifts = tuple[Array, Array]

_SUFFIXES = ("Up", "Down")


@dataclass(frozen=True)
class SystUnc:
    """One uncertainty, or a sum of some: squares of the upper and lower errors of ``nominal`` in each bin.

    >>> nominal = np.array([10.0])
    >>> lumi = SystUnc.from_shifts("lumi", nominal, [(np.array([3.0]), np.array([-2.0]))])
    >>> scale = SystUnc.from_shifts("scale", nominal, [(np.array([4.0]), np.array([1.0]))])
    >>> total = SystUnc.total([lumi, scale], nominal)
    >>> total.err_up, total.err_down
    (array([5.]), array([2.]))
    """

    name: str
    nominal: Array
    err2_up: Array
    err2_down: Array

    @classmethod
    def from_shifts(cls, name: str, nominal: Array, parts: Iterable[Shifts]) -> SystUnc:
        """Return the uncertainty of shifts (up, down) whose parts are independent of each other."""
        err2_up, err2_down = np.zeros_like(nominal), np.zeros_like(nominal)
        for up, down in parts:
            err2_up = err2_up + np.maximum(np.maximum(up, down), 0) ** 2
            err2_down = err2_down + np.minimum(np.minimum(up, down), 0) ** 2
        return cls(name, nominal, err2_up, err2_down)

    @classmethod
    def statistical(cls, nominal: Array, variances: Array, name: str = "mcstat") -> SystUnc:
        """Return the uncertainty due to the limited number of simulated events."""
        return cls(name, nominal, variances, variances)

    @classmethod
    def total(cls, uncertainties: Iterable[SystUnc], nominal: Array, name: str = "total") -> SystUnc:
        """Return the sum in quadrature, zero if there is none."""
        result = cls(name, nominal, np.zeros_like(nominal), np.zeros_like(nominal))
        for each in uncertainties:
            result += each
        return result

    def __add__(self, other: SystUnc) -> SystUnc:
        """Add in quadrature."""
        return SystUnc(
            self.name, self.nominal, self.err2_up + other.err2_up, self.err2_down + other.err2_down
        )

    @property
    def err_up(self) -> Array:
        """Upper error, not negative."""
        return np.sqrt(self.err2_up)

    @property
    def err_down(self) -> Array:
        """Lower error, not negative."""
        return np.sqrt(self.err2_down)

    @property
    def up(self) -> Array:
        """Upper end of the band."""
        return self.nominal + self.err_up

    @property
    def down(self) -> Array:
        """Lower end of the band."""
        return self.nominal - self.err_down

    @property
    def ratio_up(self) -> Array:
        """Upper end relative to the nominal content; 1 in empty bins."""
        return _relative(self.up, self.nominal)

    @property
    def ratio_down(self) -> Array:
        """Lower end relative to the nominal content; 1 in empty bins."""
        return _relative(self.down, self.nominal)


def _relative(values: Array, nominal: Array) -> Array:
    return np.divide(values, nominal, out=np.ones_like(nominal), where=nominal != 0)


def variation_base(name: str) -> tuple[str, str]:
    """Return the name of the uncertainty and the side of a variation; a name without a side is an Up.

    >>> variation_base("JES_UpgradeDown"), variation_base("isr")
    (('JES_Upgrade', 'Down'), ('isr', 'Up'))
    """
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix), suffix
    return name, "Up"


def paired_variations(variations: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return {uncertainty: {"Up": name of the variation, "Down": ...}}, sorted by name.

    One that has one side only is not in the other: it shifts to one side.
    """
    pairs: dict[str, dict[str, str]] = {}
    for name in variations:
        if name != NOMINAL:
            base, side = variation_base(name)
            pairs.setdefault(base, {})[side] = name
    return dict(sorted(pairs.items()))


def shifts_of_years(by_year: Sequence[Shifts], correlation: float) -> list[Shifts]:
    """Return the independent parts of an uncertainty whose shifts in each year are given.

    correlation: from 0, years are independent, to 1, they move together.
    """
    if len(by_year) == 1 or correlation == 1:
        return [_summed(by_year)]
    parts: list[Shifts] = []
    if correlation > 0:
        up, down = _summed(by_year)
        together = np.sqrt(correlation)
        parts.append((up * together, down * together))
    alone = np.sqrt(1 - correlation)
    return [*parts, *((up * alone, down * alone) for up, down in by_year)]


def _summed(by_year: Sequence[Shifts]) -> Shifts:
    ups, downs = zip(*by_year, strict=True)
    return np.sum(ups, axis=0), np.sum(downs, axis=0)


def poisson_errors(values: Array, variances: Array) -> tuple[Array, Array]:
    """Return the lower and upper errors of data, central 68.3 % intervals of Garwood.

    Counts have Poisson intervals. Weighted data have those of the effective number of events; where that
    number is not defined (no event, negative sums of weights), the square root of the variance.
    """
    from hist.intervals import poisson_interval

    low, high = np.sqrt(variances), np.sqrt(variances)
    counted = (values > 0) & (variances > 0)
    unweighted = np.array_equal(values, variances)
    if unweighted:
        counted = values >= 0
    if np.any(counted):
        interval = (
            poisson_interval(values[counted])
            if unweighted
            else poisson_interval(values[counted], variances[counted])
        )
        low[counted] = values[counted] - np.nan_to_num(interval[0], nan=0.0)
        high[counted] = interval[1] - values[counted]
    return low, high


def correlation_of(name: str, correlations: Mapping[str, float]) -> float:
    """Return the correlation between years of an uncertainty: of the first pattern that its name matches."""
    for pattern, value in correlations.items():
        if pattern != "default" and re.fullmatch(pattern, name):
            return value
    return correlations.get("default", 1.0)
