"""The numbers of every figure, from which the page draws when somebody looks.

One block for each variable: text of JSON, deflated, in base64. In it numbers have four significant digits,
errors and cells of maps three, which is finer than a picture shows; data that are counts are exact.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocket_coffea.errors import FillError
from pocket_coffea.plotting.content import Array
from pocket_coffea.plotting.stack import Samples, Stack
from pocket_coffea.plotting.style import Style
from pocket_coffea.plotting.uncertainty import poisson_errors
from pocket_coffea.report.labels import plain, runs_of
from pocket_coffea.report.maps import MOST_BINS, MOST_BYTES, map_of
from pocket_coffea.report.tables import ALL_YEARS
from pocket_coffea.utils.output_file import is_zip, load_output
from pocket_coffea.utils.output_zip import ZipOutput

__all__ = ["Figures", "histograms_of", "packed"]


def packed(content: Any) -> str:
    """Return plain data as deflated JSON in base64, as the page reads it."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def histograms_of(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (variable, {sample: {dataset: histogram}}), of a zip file one at a time.

    Raises InputFileError.
    """
    if is_zip(path):
        with ZipOutput(path) as archive:
            for name in archive.variables:
                yield name, archive.histograms(name)
        return
    variables = load_output(path, columns=False).get("variables", {})
    for name in list(variables):
        yield name, variables.pop(name)


class Figures:
    """Collects the figures of an output: ``add`` each variable, then read ``content``.

    years: of the datasets; the sum over them is a figure of its own when there are several. categories: their
    order, as far as it is known.
    """

    def __init__(
        self, style: Style, metadata: Mapping[str, Any], years: Sequence[str], categories: Sequence[str] = ()
    ) -> None:
        self._style, self._metadata = style, metadata
        self._categories = dict.fromkeys(categories)
        self._years: dict[str, tuple[str, ...]] = {year: (year,) for year in years}
        if len(years) > 1:
            self._years = {ALL_YEARS: tuple(years), **self._years}
        self._samples: dict[str, int] = {}
        self._variables: list[dict[str, Any]] = []
        self._left_out: list[list[str]] = []
        self._stacked: set[str] = set()
        self._signals: set[str] = set()
        self._data = False
        self._room = MOST_BYTES  # for maps

    def add(self, name: str, histograms: Mapping[str, Any]) -> None:
        """Add a variable. One that cannot be drawn is listed with the reason."""
        try:
            by_year = self._samples_of(name, histograms)
            if not by_year:
                msg = "it has no content" if self._years else "no dataset says its year"
                raise FillError(msg)
            first = next(iter(by_year.values()))
            if first.n_axes == 1:
                label = first.binnings[0].label
                block = self._block(name, label, {year: self._year(each) for year, each in by_year.items()})
            else:
                label = " against ".join(binning.label for binning in first.binnings[::-1])
                block = self._map_block(name, label, by_year)
        except FillError as error:
            self._left_out.append([name, str(error)])
            return
        filled = {category for each in by_year.values() for category in each.categories}
        self._variables.append(
            {
                "name": name,
                "label": plain(label),
                "categories": [i for i, category in enumerate(self._categories) if category in filled],
                "years": list(by_year),
                "block": block,
            }
        )

    def _samples_of(self, name: str, histograms: Mapping[str, Any]) -> dict[str, Samples]:
        """Return the samples of each year in which the variable was filled."""
        found = {}
        for year, years in self._years.items():
            try:
                found[year] = Samples(name, histograms, self._metadata, years, self._style)
            except FillError as error:
                if len(years) == 1:
                    raise
                self._left_out.append([name, f"the sum of the years: {error}"])
        found = {year: samples for year, samples in found.items() if samples.n_axes}
        axes = max((samples.n_axes for samples in found.values()), default=0)
        if axes > 2:
            msg = f"it has {axes} axes; no picture shows such histograms"
            raise FillError(msg)
        return found

    def _block(self, name: str, label: str, by_year: Mapping[str, Any]) -> str:
        return packed({"label": runs_of(label or name), "years": dict(by_year)})

    def _map_block(self, name: str, label: str, by_year: Mapping[str, Samples]) -> str:
        """Return the maps of a variable, with coarser bins when the page has little room left."""
        for samples in by_year.values():
            self._categories.update(dict.fromkeys(samples.categories))
        for most in MOST_BINS:
            maps = {year: map_of(samples, most) for year, samples in by_year.items()}
            block = self._block(name, label, maps)
            if len(block) <= self._room:
                self._room -= len(block)
                return block
        msg = "its maps would make the page too large; `pocket-coffea make-plots` draws them"
        raise FillError(msg)

    def _year(self, samples: Samples) -> dict[str, Any]:
        binning = samples.binnings[0]
        categories = {}
        for category in samples.categories:
            self._categories.setdefault(category)
            categories[category] = self._category(samples.stack(category))
        return {
            "edges": [float(f"{edge:.10g}") for edge in binning.edges],
            "names": [plain(name) for name in binning.names],
            "categories": categories,
        }

    def _category(self, stack: Stack) -> dict[str, Any]:
        content: dict[str, Any] = {
            "mc": [[self._number(name), _digits(each.values)] for name, each in stack.mc.items()],
            "signals": [[self._number(name), _digits(each.values)] for name, each in stack.signals.items()],
        }
        self._stacked.update(stack.mc)
        self._signals.update(stack.signals)
        self._data = self._data or stack.data is not None
        if stack.mc:
            band = stack.band()
            content |= {
                "stat": _digits(np.sqrt(np.maximum(stack.total.variances, 0)), 3),
                "up": _digits(band.err_up, 3),
                "down": _digits(band.err_down, 3),
            }
        if stack.data is not None:
            low, high = poisson_errors(stack.data.values, stack.data.variances)
            content |= {
                "data": [
                    number if seen else None
                    for number, seen in zip(_digits(stack.data.values, 9), stack.shown, strict=True)
                ],
                "low": _digits(low, 3),
                "high": _digits(high, 3),
            }
        return content

    def _number(self, sample: str) -> int:
        return self._samples.setdefault(sample, len(self._samples))

    @property
    def content(self) -> dict[str, Any]:
        """All figures as plain data."""
        colors = self._style.colors_of(sorted(self._samples))
        drawn = {year for variable in self._variables for year in variable["years"]} or set(self._years)
        return {
            "samples": [
                {
                    "name": name,
                    "label": runs_of(self._style.label_of(name)),
                    "color": _hexadecimal(colors[name]),
                    "stacked": name in self._stacked,
                    "signal": name in self._signals,
                }
                for name in self._samples
            ],
            # as pairs: JavaScript sorts keys that look like numbers, and years do
            "years": [
                [year, runs_of(self._style.upper_label(years))]
                for year, years in self._years.items()
                if year in drawn
            ],
            "categories": list(self._categories),
            "data": self._data,
            "variables": self._variables,
            "left_out": self._left_out,
        }


def _digits(values: Array, digits: int = 4) -> list[float | int]:
    """Return numbers with so many significant digits, integers as such; what is not finite is 0."""
    rounded = [float(f"{value:.{digits}g}") for value in np.nan_to_num(values, posinf=0, neginf=0).tolist()]
    return [int(value) if value.is_integer() and abs(value) < 1e15 else value for value in rounded]


def _hexadecimal(color: Any) -> str:
    """Return a colour as #rrggbb, whatever matplotlib understands."""
    if isinstance(color, str) and len(color) == 7 and color.startswith("#"):
        return color
    from matplotlib.colors import to_hex

    return str(to_hex(color))
