"""One histogram in one year, or group of years: its samples, and what is drawn of it in each category."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pocket_coffea.errors import FillError, UnknownName, did_you_mean
from pocket_coffea.plotting.content import (
    NOMINAL,
    Array,
    Binning,
    Block,
    add_blocks,
    block_of,
    common_binnings,
    rebinned,
    with_flow,
)
from pocket_coffea.plotting.style import Style
from pocket_coffea.plotting.uncertainty import (
    Shifts,
    SystUnc,
    correlation_of,
    paired_variations,
    shifts_of_years,
)
from pocket_coffea.utils.metadata import to_bool

__all__ = ["Content", "Samples", "Stack", "normalised", "unit_factor"]

log = logging.getLogger(__name__)

#: {sample: {dataset: histogram, or a list of histograms with different categories}}
Histograms = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Content:
    """Sums of weights and their variances in the drawn bins."""

    values: Array
    variances: Array

    def scaled(self, factor: float | Array) -> Content:
        """Return the content times a factor; variances get its square."""
        return Content(self.values * factor, self.variances * factor**2)


@dataclass(frozen=True)
class Stack:
    """What is drawn of one category. Dictionaries are {sample: Content}; ``mc`` is in order of the stack.

    ``systematics`` are those of the sum of ``mc``; ``shown`` says in which bins data may be seen.
    """

    variable: str
    category: str
    years: tuple[str, ...]
    binnings: tuple[Binning, ...]
    mc: dict[str, Content]
    signals: dict[str, Content]
    data: Content | None
    systematics: dict[str, SystUnc]
    varied: dict[str, dict[str, Array]]
    shown: npt.NDArray[np.bool_]
    data_samples: dict[str, Content] = field(default_factory=dict)

    @cached_property
    def total(self) -> Content:
        """The sum of the stack."""
        shape = tuple(len(binning) for binning in self.binnings)
        parts = [Content(np.zeros(shape), np.zeros(shape)), *self.mc.values()]
        return Content(
            np.sum([each.values for each in parts], axis=0),
            np.sum([each.variances for each in parts], axis=0),
        )

    @property
    def mcstat(self) -> SystUnc:
        """The statistical uncertainty of the sum."""
        return SystUnc.statistical(self.total.values, self.total.variances)

    def band(self, names: Iterable[str] | None = None, *, mcstat: bool = True) -> SystUnc:
        """Return the sum in quadrature of the named systematics (None: all) and the statistical one."""
        chosen = self.systematics if names is None else {name: self.systematics[name] for name in names}
        parts = [*chosen.values(), *([self.mcstat] if mcstat else [])]
        return SystUnc.total(parts, self.total.values)


class Samples:
    """The histograms of one variable, summed by sample and year, grouped, rebinned; see ``stack``.

    years: those to add up; other datasets are left out. Raises FillError for histograms that cannot be
    added, InvalidValue for a rebinning that does not fit.
    """

    def __init__(
        self,
        variable: str,
        histograms: Histograms,
        datasets_metadata: Mapping[str, Any],
        years: Sequence[str],
        style: Style,
    ) -> None:
        self.variable, self.years, self.style = variable, tuple(years), style
        self._metadata = datasets_metadata.get("by_dataset", datasets_metadata)
        mc: dict[str, dict[str, list[Block]]] = {}
        data: dict[str, dict[str, list[Block]]] = {}
        for sample, by_year in self._by_sample_and_year(histograms).items():
            for year, (is_mc, block) in by_year.items():
                chosen = mc if is_mc else data
                chosen.setdefault(style.group_of(sample), {}).setdefault(year, []).append(block)
        self.mc = self._grouped(mc)
        self.data = self._grouped(data)
        blocks = [block for by_year in (*self.mc.values(), *self.data.values()) for block in by_year.values()]
        self.categories = list(dict.fromkeys(name for block in blocks for name in block.categories))
        self.binnings = common_binnings(blocks, f"{variable}, {', '.join(self.years)}")
        self._expected: dict[str, Block] | None = None
        self._check_signals()

    @property
    def n_axes(self) -> int:
        """How many axes are drawn; 0 when there is nothing."""
        return len(self.binnings)

    @property
    def stacked(self) -> list[str]:
        """Names of the samples of simulation that are in the stack."""
        return [name for name in self.mc if name not in self.style.signals]

    @cached_property
    def uncertainties(self) -> dict[str, dict[str, str]]:
        """{uncertainty: {"Up": variation, "Down": variation}} of the samples in the stack."""
        names = (name for block in self._expectation().values() for name in block.variations)
        return paired_variations(dict.fromkeys(names))

    def _by_sample_and_year(self, histograms: Histograms) -> dict[str, dict[str, tuple[bool, Block]]]:
        result: dict[str, dict[str, tuple[bool, Block]]] = {}
        for sample, by_dataset in histograms.items():
            if not self.style.wants(sample):
                continue
            years: dict[str, list[tuple[bool, Block]]] = {}
            for dataset, histogram in _single(by_dataset):
                year, is_mc = self._describe(dataset, histogram)
                if year in self.years:
                    block = block_of(histogram, f"{self.variable}, {dataset}")
                    years.setdefault(year, []).append((is_mc, block))
            factor = self.style.rescale_of(sample)
            for year, found in years.items():
                block = self._prepared([each for _, each in found], sample).scaled(factor)
                result.setdefault(sample, {})[year] = (found[0][0], block)
        return result

    def _describe(self, dataset: str, histogram: Any) -> tuple[str, bool]:
        """Year of a dataset, and whether it is simulated."""
        metadata = self._metadata.get(dataset)
        if metadata is None or "year" not in metadata:
            msg = (
                f"{self.variable}: the year of dataset {dataset!r} is not in the metadata of the output. "
                "It is written when the output is postprocessed: merge-outputs with -cfg or -jc."
            )
            raise FillError(msg)
        known = metadata.get("isMC")
        simulated = "variation" in histogram.axes.name if known is None else to_bool(known)
        return str(metadata["year"]), simulated

    def _prepared(self, blocks: list[Block], sample: str) -> Block:
        origin = f"{self.variable}, sample {sample}"
        block = add_blocks(blocks, origin).with_empty_as_nominal()
        how = self.style.rebin.get(self.variable)
        if how is not None and len(block.binnings) == 1:
            block = rebinned(block, how, self.variable)
        return with_flow(block, self.style.flow)

    def _grouped(self, found: Mapping[str, Mapping[str, list[Block]]]) -> dict[str, dict[str, Block]]:
        return {
            group: {year: add_blocks(blocks, f"{self.variable}, {group}") for year, blocks in by_year.items()}
            for group, by_year in found.items()
        }

    def _check_signals(self) -> None:
        for name in self.style.signals:
            if name not in self.mc and name not in self.style.groups:
                log.debug("%s: no signal sample %r in %s", self.variable, name, ", ".join(self.years))

    # ---- categories

    def stack(self, category: str) -> Stack:
        """Return what is drawn of a category. Raises UnknownName, FillError for what is not finite."""
        if category not in self.categories:
            msg = f"{self.variable} has no category {category!r}. {did_you_mean(category, self.categories)}"
            raise UnknownName(msg)
        nominal = {name: self._nominal(by_year, category) for name, by_year in self.mc.items()}
        data = {name: self._nominal(by_year, category) for name, by_year in self.data.items()}
        order = self.style.ordered({name: float(nominal[name].values.sum()) for name in self.stacked})
        for name, content in {**nominal, **data}.items():
            self._require_finite(content.values + content.variances, f"{category}, sample {name}")
        systematics, varied = self._systematics(category)
        found = None
        if data:
            found = Content(
                np.sum([each.values for each in data.values()], axis=0),
                np.sum([each.variances for each in data.values()], axis=0),
            )
        return Stack(
            variable=self.variable,
            category=category,
            years=self.years,
            binnings=self.binnings,
            mc={name: nominal[name] for name in order},
            signals={name: nominal[name] for name in self.style.signals if name in nominal},
            data=found,
            systematics=systematics,
            varied=varied,
            shown=self._shown(category),
            data_samples=data,
        )

    def _require_finite(self, values: Array, what: str) -> None:
        wrong = int(np.count_nonzero(~np.isfinite(values)))
        if wrong:
            msg = (
                f"{self.variable}, {what}: {wrong} of {values.size} sums of weights are not finite: "
                "a weight of some events is nan or infinite. Correct it, and run again."
            )
            raise FillError(msg)

    def _nominal(self, by_year: Mapping[str, Block], category: str) -> Content:
        shape = tuple(len(binning) for binning in self.binnings)
        values, variances = np.zeros(shape), np.zeros(shape)
        for block in by_year.values():
            if category in block.categories:
                place = block.categories.index(category), block.variations.index(NOMINAL)
                values, variances = values + block.values[place], variances + block.variances[place]
        return Content(values, variances)

    def _shown(self, category: str) -> npt.NDArray[np.bool_]:
        shape = tuple(len(binning) for binning in self.binnings)
        hidden = self.style.blinded(self.variable, category)
        shown = np.ones(shape, dtype=bool)
        if hidden is not None and len(shape) == 1:
            edges = np.asarray(self.binnings[0].edges)
            shown = ~((edges[:-1] < hidden[1]) & (edges[1:] > hidden[0]))
        elif hidden is not None:
            shown[...] = False  # a range in one direction says nothing of two: hide all
        return shown

    def _expectation(self) -> dict[str, Block]:
        """{year: sum of the stack}, all categories and variations."""
        if self._expected is None:
            by_year: dict[str, list[Block]] = {}
            for name in self.stacked:
                for year, block in self.mc[name].items():
                    by_year.setdefault(year, []).append(block)
            self._expected = {
                year: add_blocks(blocks, self.variable) for year, blocks in sorted(by_year.items())
            }
        return self._expected

    def _systematics(self, category: str) -> tuple[dict[str, SystUnc], dict[str, dict[str, Array]]]:
        """Uncertainties of the sum, and {uncertainty: {"Up": varied sum, "Down": ...}}."""
        rows = {
            year: (block, block.values[block.categories.index(category)])
            for year, block in self._expectation().items()
            if category in block.categories
        }
        if not rows:
            return {}, {}
        nominal = np.sum([row[block.variations.index(NOMINAL)] for block, row in rows.values()], axis=0)
        found, varied = {}, {}
        for name, sides in self.uncertainties.items():
            by_year = [_shifts(block, row, sides) for block, row in rows.values()]
            parts = shifts_of_years(by_year, correlation_of(name, self.style.year_correlation))
            found[name] = SystUnc.from_shifts(name, nominal, parts)
            varied[name] = {
                side: nominal + np.sum([shifts[i] for shifts in by_year], axis=0)
                for i, side in enumerate(("Up", "Down"))
                if side in sides
            }
            for side, values in varied[name].items():
                self._require_finite(values, f"{category}, variation {sides[side]}")
        return found, varied

    def forget(self) -> None:
        """Give up what was kept to be used again."""
        self._expected = None


def _single(by_dataset: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give (dataset, histogram); a dataset may have a list of them, with different categories."""
    for dataset, found in by_dataset.items():
        yield from ((dataset, each) for each in (found if isinstance(found, list) else [found]))


def _shifts(block: Block, row: Array, sides: Mapping[str, str]) -> Shifts:
    nominal = row[block.variations.index(NOMINAL)]

    def shift(side: str) -> Array:
        name = sides.get(side)
        if name not in block.variations:
            return np.zeros_like(nominal)
        return row[block.variations.index(name)] - nominal

    return shift("Up"), shift("Down")


def normalised(stack: Stack) -> Stack:
    """Return the stack as densities: simulation, each variation and data have the integral 1.

    Uncertainties are then of the shape alone, and move all years together. Data of which some bins are
    hidden get the integral that simulation has in the others. Raises FillError for a negative integral.
    """
    widths = _widths(stack.binnings)
    total = float(stack.total.values.sum())
    scale = unit_factor(stack, total) / widths
    varied = {
        name: {side: array * unit_factor(stack, float(array.sum())) / widths for side, array in sides.items()}
        for name, sides in stack.varied.items()
    }
    nominal = stack.total.values * scale
    systematics = {
        name: SystUnc.from_shifts(
            name,
            nominal,
            [(sides.get("Up", nominal) - nominal, sides.get("Down", nominal) - nominal)],
        )
        for name, sides in varied.items()
    }
    seen = float(stack.total.values[stack.shown].sum()) / total if total else 1.0

    def own(content: Content, integral: float = 1.0, bins: Any = ...) -> Content:
        return content.scaled(integral * unit_factor(stack, float(content.values[bins].sum())) / widths)

    return replace(
        stack,
        mc={name: content.scaled(scale) for name, content in stack.mc.items()},
        signals={name: own(content) for name, content in stack.signals.items()},
        data=None if stack.data is None else own(stack.data, seen, stack.shown),
        data_samples={name: own(each, seen, stack.shown) for name, each in stack.data_samples.items()},
        systematics=systematics,
        varied=varied,
    )


def unit_factor(stack: Stack, integral: float) -> float:
    """Return what makes an integral 1; 0 for an empty histogram. Raises FillError for a negative integral."""
    if integral < 0:
        msg = (
            f"{stack.variable}, {stack.category}: an integral of {integral:.4g} cannot become 1. "
            "Draw it without --density."
        )
        raise FillError(msg)
    return 1 / integral if integral else 0.0


def _widths(binnings: Sequence[Binning]) -> Array:
    widths: Array = np.ones(())
    for binning in binnings:
        widths = np.multiply.outer(widths, np.diff(binning.edges))
    return widths
