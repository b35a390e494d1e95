"""``Shape``: one histogram in one year as analyses use it, from histograms to pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import InvalidValue, NothingToDo, UnknownName, did_you_mean
from pocket_coffea.plotting.options import DrawOptions, chosen_names, matches
from pocket_coffea.plotting.stack import Samples, Stack
from pocket_coffea.plotting.style import Style
from pocket_coffea.plotting.uncertainty import SystUnc

__all__ = ["Shape", "SystManager"]


class Shape:
    """One histogram in one year (or group of years), in all its categories.

    h_dict: {sample: {dataset: histogram}}. datasets_metadata: ``output["datasets_metadata"]["by_dataset"]``.
    name: ``{histogram}_{year}``, with which names of files begin. style_cfg: the section ``plotting_style``
    of the parameters. years: of the datasets that are drawn, None for all. only_cat: categories, or regular
    expressions for them. toplabel: what stands above the figure, None for luminosity and energy.

    Files are ``{plot_dir}/{category}/{name}_{category}.png``. ``figure = shape.plot_datamc(category)`` gives
    the figure, whether it is saved or not. Raises FillError for histograms that cannot be added up,
    UnknownName for a category.
    """

    def __init__(
        self,
        h_dict: Mapping[str, Mapping[str, Any]],
        datasets_metadata: Mapping[str, Any],
        name: str,
        plot_dir: str | Path,
        style_cfg: Any = None,
        has_mcstat: bool = True,
        *,
        toplabel: str | None = None,
        only_cat: Sequence[str] | None = None,
        years: Sequence[str] | None = None,
        variable: str | None = None,
        log_x: bool = False,
        log_y: bool = False,
        density: bool = False,
        verbose: int = 1,
        save: bool = True,
        formats: Sequence[str] = ("png",),
        cache: bool = True,
    ) -> None:
        self.h_dict, self.name, self.plot_dir = h_dict, name, Path(plot_dir)
        self.datasets_metadata = datasets_metadata.get("by_dataset", datasets_metadata)
        self.style = style_cfg if isinstance(style_cfg, Style) else Style(style_cfg)
        self.years = list(years) if years is not None else self._all_years()
        self.variable = variable or name.removesuffix("_" + "_".join(self.years))
        self.only_cat = list(only_cat or ())
        self.verbose, self.save, self.formats, self.cache = verbose, save, tuple(formats), cache
        self.options = DrawOptions(
            log_x=log_x, log_y=log_y, density=density, mcstat=has_mcstat, upper_label=toplabel
        )
        self._samples: Samples | None = None
        self._stacks: dict[str, Stack] = {}

    def _all_years(self) -> list[str]:
        known = {
            str(self.datasets_metadata.get(dataset, {}).get("year"))
            for by_dataset in self.h_dict.values()
            for dataset in by_dataset
        }
        return sorted(known - {"None"})

    # ---- contents

    @property
    def samples(self) -> Samples:
        """The histograms, summed by sample and year."""
        if self._samples is None:
            self._samples = Samples(
                self.variable, self.h_dict, self.datasets_metadata, self.years, self.style
            )
        return self._samples

    @property
    def categories(self) -> list[str]:
        """Categories that are drawn."""
        found = self.samples.categories
        return [name for name in found if not self.only_cat or matches(name, self.only_cat)]

    @property
    def samples_mc(self) -> list[str]:
        """Samples (groups, where there are) of simulation."""
        return list(self.samples.mc)

    @property
    def samples_data(self) -> list[str]:
        """Samples of data."""
        return list(self.samples.data)

    @property
    def is_mc_only(self) -> bool:
        """Whether there are no data."""
        return not self.samples.data

    @property
    def is_data_only(self) -> bool:
        """Whether there is no simulation."""
        return not self.samples.mc

    @property
    def dense_dim(self) -> int:
        """How many axes are drawn."""
        return self.samples.n_axes

    def stack(self, cat: str) -> Stack:
        """Return what is drawn of a category: contents, sums, uncertainties."""
        if cat in self._stacks:
            return self._stacks[cat]
        stack = self.samples.stack(cat)
        if self.cache:
            self._stacks[cat] = stack
        else:
            self.samples.forget()
        return stack

    @property
    def syst_manager(self) -> SystManager:
        """The uncertainties of the sum of simulation."""
        return SystManager(self)

    # ---- pictures

    def path(self, cat: str, ending: str = "", folder: str = "") -> Path:
        """Return where a picture goes, without the end of its name that says the format."""
        return self.plot_dir / cat / folder / f"{self.options.prefix}{self.name}_{cat}{ending}"

    def plot_datamc(self, cat: str, ratio: bool = True, syst: bool = True, **changes: Any) -> Any:
        """Draw data against simulation; of two axes a map of colours. Return the figure.

        changes: fields of :class:`~pocket_coffea.plotting.options.DrawOptions`, and ``save``.
        """
        save = changes.pop("save", self.save)
        options = self._options(ratio=ratio, systematics=syst, **changes)
        stack = self.stack(cat)
        if len(stack.binnings) == 2:
            from pocket_coffea.plotting.draw_map import draw_map

            return self._finished(lambda: draw_map(stack, self.style, options), self.path(cat), save)
        self._one_axis(stack)
        from pocket_coffea.plotting.draw_datamc import draw_datamc

        return self._finished(
            lambda: draw_datamc(stack, self.style, options, reuse=save).figure, self.path(cat), save
        )

    def plot_comparison(self, cat: str, ratio: bool = True, **changes: Any) -> Any:
        """Draw the samples as lines, and their ratios to ``compare.ref``. Return the figure."""
        save = changes.pop("save", self.save)
        options = self._options(ratio=ratio, **changes)
        stack = self.stack(cat)
        self._one_axis(stack)
        from pocket_coffea.plotting.draw_lines import draw_comparison

        path = self.path(cat, "_comparison")
        return self._finished(
            lambda: draw_comparison(stack, self.style, options, reuse=save).figure, path, save
        )

    def plot_systematic(self, cat: str, syst: str, ratio: bool = True, **changes: Any) -> Any:
        """Draw the up and down variation of one systematic uncertainty. Return the figure."""
        save = changes.pop("save", self.save)
        options = self._options(systematics_ratio=ratio, **changes)
        stack = self.stack(cat)
        self._one_axis(stack)
        from pocket_coffea.plotting.draw_lines import draw_systematic

        path = self.path(cat, f"_{syst}", "systematics")
        return self._finished(
            lambda: draw_systematic(stack, syst, self.style, options, reuse=save).figure, path, save
        )

    def plot_systematic_shifts(
        self, cat: str, only_syst: Sequence[str] | None = None, ratio: bool = True, **changes: Any
    ) -> list[Any]:
        """Draw each systematic uncertainty, or those that match. Return the figures, of saved ones none."""
        save = changes.pop("save", self.save)
        names = chosen_names(
            list(self.samples.uncertainties), list(only_syst or ()), "systematic uncertainty"
        )
        figures = [self.plot_systematic(cat, name, ratio, save=save, **changes) for name in names]
        return [] if save else figures

    def plot_datamc_all(self, ratio: bool = True, syst: bool = True, **changes: Any) -> None:
        """Draw data against simulation in all categories."""
        for cat in self.categories:
            self.plot_datamc(cat, ratio, syst, **changes)

    def plot_comparison_all(self, ratio: bool = True, **changes: Any) -> None:
        """Compare the samples in all categories."""
        for cat in self.categories:
            self.plot_comparison(cat, ratio, **changes)

    def plot_systematic_shifts_all(
        self, only_syst: Sequence[str] | None = None, ratio: bool = True, **changes: Any
    ) -> None:
        """Draw each systematic uncertainty in all categories."""
        for cat in self.categories:
            self.plot_systematic_shifts(cat, only_syst, ratio, **changes)

    def _options(self, **changes: Any) -> DrawOptions:
        from dataclasses import fields, replace

        known = {each.name for each in fields(DrawOptions)}
        for name in changes:
            if name not in known:
                msg = f"there is no option {name!r} of a plot. {did_you_mean(name, known, limit=20)}"
                raise UnknownName(msg)
        return replace(self.options, **changes)

    def _one_axis(self, stack: Stack) -> None:
        if len(stack.binnings) != 1:
            msg = f"{self.variable} has {len(stack.binnings)} axes. Allowed here: 1; maps are drawn of 2."
            raise InvalidValue(msg)
        if not (stack.mc or stack.signals or stack.data_samples):
            msg = f"{self.variable}, {stack.category}: no sample is left to draw in {', '.join(self.years)}."
            raise NothingToDo(msg)

    def _finished(self, draw: Any, path: Path, save: bool) -> Any:
        from pocket_coffea.plotting.canvas import cms_style, save_figure

        with cms_style():
            figure = draw()
            if save:
                save_figure(figure, path, self.formats)
        return figure


class SystManager:
    """The uncertainties of the sum of simulation of a shape, category by category."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    @property
    def systematics(self) -> list[str]:
        """Their names, without Up and Down."""
        return list(self.shape.samples.uncertainties)

    def get_syst(self, name: str, cat: str) -> SystUnc:
        """Return one of them. Raises UnknownName."""
        found = self.shape.stack(cat).systematics
        if name not in found:
            msg = f"{self.shape.variable} has no systematic uncertainty {name!r}. {did_you_mean(name, found)}"
            raise UnknownName(msg)
        return found[name]

    def mcstat(self, cat: str) -> SystUnc:
        """Return the statistical uncertainty of simulation."""
        return self.shape.stack(cat).mcstat

    def total(self, cat: str, only_syst: Iterable[str] | None = None) -> SystUnc:
        """Return the sum in quadrature of the named ones (None: all) and the statistical one."""
        return self.shape.stack(cat).band(only_syst, mcstat=self.shape.options.mcstat)
