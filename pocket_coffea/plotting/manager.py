"""``PlotManager`` and ``make_plots``: all plots of some histograms, or of an output."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocket_coffea.errors import (
    InputFileError,
    NothingToDo,
    OptionError,
    OutputError,
    ResultsRefused,
    UnknownName,
    did_you_mean,
)
from pocket_coffea.plotting.options import DrawOptions, check_patterns, chosen_names, matches
from pocket_coffea.plotting.produce import Result, Task, jobs_of, produce, sum_up
from pocket_coffea.plotting.shape import Shape
from pocket_coffea.plotting.source import FileSource, MemorySource, Source, find_outputs
from pocket_coffea.plotting.style import Style
from pocket_coffea.plotting.style_checks import check_looks
from pocket_coffea.plotting.style_names import unused_names

__all__ = ["PlotManager", "PlotRequest", "make_plots", "read_style"]

log = logging.getLogger(__name__)

#: Called with the number of jobs that are done, of all, and the last result.
Progress = Callable[[int, int, Result], None]


class PlotManager:
    """All plots of histograms: {variable: {sample: {dataset: histogram}}}.

    variables: names of those to draw. datasets_metadata: ``output["datasets_metadata"]``. style_cfg: the
    section ``plotting_style`` of the parameters. toplabel: what stands above the figures, one text, or one
    for each year; None for luminosity and energy. only_cat, only_year: names or regular expressions.
    workers: processes that draw. index_file: a file that is copied into every folder of plots.

    ``shape_objects["{variable}_{year}"]`` are the shapes. Raises UnknownName for a variable, category or
    year that is not there.
    """

    def __init__(
        self,
        variables: Sequence[str],
        hist_objs: Mapping[str, Any],
        datasets_metadata: Mapping[str, Any],
        plot_dir: str | Path,
        style_cfg: Any = None,
        has_mcstat: bool = True,
        *,
        toplabel: str | Mapping[str, str] | None = None,
        only_cat: Sequence[str] | None = None,
        only_year: Sequence[str] | None = None,
        workers: int = 8,
        log_x: bool = False,
        log_y: bool = False,
        density: bool = False,
        verbose: int = 1,
        save: bool = True,
        index_file: str | Path | None = None,
        cache: bool = True,
        formats: Sequence[str] = ("png",),
    ) -> None:
        for name in variables:
            if name not in hist_objs:
                msg = f"there is no histogram {name!r}. {did_you_mean(name, hist_objs)}"
                raise UnknownName(msg)
        self.variables, self.plot_dir, self.workers = list(variables), Path(plot_dir), workers
        self.style = Style(style_cfg)
        self.save, self.cache, self.verbose, self.formats = save, cache, verbose, tuple(formats)
        self.index_file = None if index_file is None else Path(index_file)
        self.toplabel = toplabel
        self.only_cat = list(only_cat or ())
        self.options = DrawOptions(log_x=log_x, log_y=log_y, density=density, mcstat=has_mcstat)
        self.source = MemorySource({name: hist_objs[name] for name in variables}, datasets_metadata)
        self._years = _years_of(self.source, self.style, list(only_year or ()))
        self._categories = chosen_names(self.source.categories, self.only_cat, "category")
        self.shape_objects: dict[str, Shape] = {
            f"{name}_{year}": self._shape(name, year, years, hist_objs[name])
            for name in self.variables
            for year, years in self._years(name).items()
        }

    def _label(self, year: str) -> str | None:
        return self.toplabel.get(year) if isinstance(self.toplabel, Mapping) else self.toplabel

    def _shape(self, name: str, year: str, years: list[str], histograms: Any) -> Shape:
        shape = Shape(
            histograms,
            self.source.datasets_metadata,
            f"{name}_{year}",
            self.plot_dir,
            self.style,
            only_cat=self.only_cat,
            years=years,
            variable=name,
            verbose=self.verbose,
            save=self.save,
            formats=self.formats,
            cache=self.cache,
        )
        shape.options = replace(self.options, upper_label=self._label(year))
        return shape

    def plot_datamc_all(self, ratio: bool = True, syst: bool = True, **changes: Any) -> Result:
        """Draw data against simulation: every variable, year and category."""
        return self._all(("datamc",), ratio=ratio, systematics=syst, **changes)

    def plot_comparison_all(self, ratio: bool = True, **changes: Any) -> Result:
        """Compare the samples: every variable, year and category."""
        return self._all(("comparison",), ratio=ratio, **changes)

    def plot_systematic_shifts_all(
        self, ratio: bool = True, only_syst: Sequence[str] | None = None, **changes: Any
    ) -> Result:
        """Draw every systematic uncertainty, or those that match: every variable, year and category."""
        only = tuple(only_syst or ())
        return self._all(("systematics",), systematics_ratio=ratio, only_syst=only, **changes)

    def _all(self, kinds: tuple[str, ...], **changes: Any) -> Result:
        if not self.save:
            msg = "PlotManager(save=False) keeps no figures: draw single ones with shape_objects[...]."
            raise OptionError(msg)
        results = []
        # a label for each year, given by hand, makes another task of each year
        labels = {self._label(year) for name in self.variables for year in self._years(name)}
        for label in sorted(labels, key=str):
            task = Task(
                self.style,
                replace(self.options, upper_label=label, **changes),
                self.plot_dir,
                self.source.datasets_metadata,
                kinds=kinds,
                formats=self.formats,
                cache=self.cache,
            )
            results += self._produced(task, label)
        result = sum_up(results)
        _copy_index(self.index_file, self.plot_dir, result)
        for place, reason in result.failed.items():
            log.error("%s: %s", place, reason)
        return result

    def _produced(self, task: Task, label: str | None) -> list[Result]:
        def years(name: str) -> dict[str, list[str]]:
            return {year: each for year, each in self._years(name).items() if self._label(year) == label}

        jobs = jobs_of(self.variables, self._categories, years, self.workers)
        return list(produce(task, jobs, self.source, self.workers))


def _years_of(source: Source, style: Style, only: list[str]) -> Callable[[str], dict[str, list[str]]]:
    """Return the function that gives the years of a variable, {name: years}, groups of years at the end."""
    known = sorted({year for name in source.variables for year in source.years(name)})
    wanted = chosen_names([*known, *style.years_groups], only, "year")

    def years(variable: str) -> dict[str, list[str]]:
        there = source.years(variable)
        groups = {
            name: [year for year in members if year in there] for name, members in style.years_groups.items()
        }
        found = {
            **{year: [year] for year in there},
            **{name: years for name, years in groups.items() if years},
        }
        return {name: members for name, members in found.items() if name in wanted}

    return years


@dataclass(frozen=True)
class PlotRequest:
    """What the command line asks for; the names are those of its options."""

    input_dir: str
    cfg: str | None = None
    overwrite_parameters: Sequence[str] = ()
    outputdir: str | None = None
    inputfiles: Sequence[str] = ()
    workers: int = 8
    only_cat: Sequence[str] = ()
    only_year: Sequence[str] = ()
    only_syst: Sequence[str] = ()
    only_hist: Sequence[str] = ()
    exclude_hist: Sequence[str] = ()
    no_syst: bool = False
    overwrite: bool = False
    log_x: bool = False
    log_y: bool = False
    density: bool = False
    compare: bool = False
    systematics_shifts: bool = False
    split_systematics: bool = False
    partial_unc_band: bool = False
    no_ratio: bool = False
    no_systematics_ratio: bool = False
    split_by_category: bool = False
    format: str = "png"
    index_file: str | None = None
    no_cache: bool = False

    @property
    def options(self) -> DrawOptions:
        """The part that concerns each plot."""
        return DrawOptions(
            log_x=self.log_x,
            log_y=self.log_y,
            density=self.density,
            ratio=not self.no_ratio,
            systematics=not self.no_syst,
            systematics_ratio=not self.no_systematics_ratio,
            split_systematics=self.split_systematics,
            partial_band=self.partial_unc_band,
            only_syst=tuple(self.only_syst),
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is drawn: comparisons in place of data against simulation, shifts in addition."""
        first = "comparison" if self.compare else "datamc"
        return (first, "systematics") if self.systematics_shifts else (first,)


def make_plots(request: PlotRequest, progress: Progress | None = None) -> Result:
    """Draw all plots of an output. Raises errors of the options and the input; errors of single plots are
    in the result.
    """
    _check(request)
    folder = Path(request.input_dir).expanduser()
    if not folder.is_dir():
        msg = f"input folder {folder} does not exist (current folder: {Path.cwd()})."
        raise InputFileError(msg)
    style = Style(read_style(folder, request.cfg, request.overwrite_parameters))
    source = FileSource(find_outputs(folder, request.inputfiles, split_by_category=request.split_by_category))
    target = Path(request.outputdir).expanduser() if request.outputdir else folder / "plots"
    _check_target(target, overwrite=request.overwrite)
    variables = _variables(source, request)
    categories = chosen_names(source.categories, list(request.only_cat), "category")
    years = _years_of(source, style, list(request.only_year))
    check_looks(style)
    for sentence in unused_names(style, source.samples(), source.variables, source.categories):
        log.warning("%s", sentence)
    _make_folder(target)
    workers = max(1, request.workers)
    jobs = jobs_of(variables, categories, years, workers)
    task = Task(
        style,
        request.options,
        target,
        source.datasets_metadata,
        source.paths,
        request.kinds,
        _formats(request.format),
        not request.no_cache,
    )
    results: list[Result] = []
    for result in produce(task, jobs, source, workers):
        results.append(result)
        if progress is not None:
            progress(len(results), len(jobs), result)
    whole = sum_up(results)
    if not whole.n_plots and not whole.failed:
        reasons = "; ".join(f"{place}: {why}" for place, why in whole.left_out.items())
        msg = f"nothing was drawn: {reasons or 'no histogram has the categories and years asked for'}."
        raise NothingToDo(msg)
    _copy_index(None if request.index_file is None else Path(request.index_file), target, whole)
    _check_uncertainties(request.only_syst, whole)
    return whole


def _make_folder(folder: Path) -> None:
    """Find out before a thousand plots are drawn that none of them can be written. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder of the plots, {folder}, cannot be made: {error.strerror or error}."
        raise OutputError(msg) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        msg = f"nothing can be written into the folder of the plots, {folder}. Choose another one with -o."
        raise OutputError(msg)


def _check_uncertainties(patterns: Sequence[str], result: Result) -> None:
    """Raise UnknownName for what matches no uncertainty of what was drawn."""
    known = sorted(result.uncertainties)
    for pattern in patterns if result.n_plots else ():
        if not any(matches(name, [pattern]) for name in known):
            hint = did_you_mean(pattern, known)
            msg = f"--only-syst {pattern!r} matches no uncertainty of the {result.n_plots} plots. {hint}"
            raise UnknownName(msg)


def _check(request: PlotRequest) -> None:
    check_patterns(request.only_syst, "--only-syst")
    check_patterns(request.exclude_hist, "--exclude-hist")
    _formats(request.format)
    if request.workers < 1:
        msg = f"--workers {request.workers}: at least one process draws."
        raise OptionError(msg)
    if request.partial_unc_band and not request.only_syst:
        msg = "--partial-unc-band draws the band of the systematics given with --only-syst: none is given."
        raise OptionError(msg)
    if request.index_file is not None and not Path(request.index_file).is_file():
        msg = f"--index-file {request.index_file}: there is no such file."
        raise OptionError(msg)


def _formats(text: str) -> tuple[str, ...]:
    from pocket_coffea.plotting.canvas import FORMATS

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in FORMATS:
            msg = f"--format {name!r}: {did_you_mean(name, FORMATS)} Several: --format png,pdf."
            raise OptionError(msg)
    if not names:
        msg = f"--format: empty. Allowed: {', '.join(FORMATS)}."
        raise OptionError(msg)
    return names


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        msg = f"{target} has plots already. Use --overwrite to draw over them, or -o for another folder."
        raise ResultsRefused(msg)


def _variables(source: Source, request: PlotRequest) -> list[str]:
    names = chosen_names(source.variables, list(request.only_hist), "histogram", whole=False)
    excluded = list(request.exclude_hist)
    left = [name for name in names if not matches(name, excluded, whole=False)]
    if not left:
        msg = f"--exclude-hist {' '.join(excluded)} leaves no histogram of {', '.join(names[:8])}."
        raise NothingToDo(msg)
    return left


def read_style(folder: Path, cfg: str | None, overwrite: Sequence[str]) -> Any:
    """Return the section plotting_style of the parameters of a run, with that of further files merged in.

    cfg: default ``parameters_dump.yaml`` in the folder, without which the defaults of the package are used.
    """
    from pocket_coffea.parameters.defaults import (
        compose_parameters_from_files,
        get_default_parameters,
        merge_parameters_from_files,
    )

    path = folder / "parameters_dump.yaml" if cfg is None else Path(cfg)
    if cfg is None and not path.is_file():
        log.warning("%s is not there: plots are in the default style (--cfg names another file)", path)
        parameters = get_default_parameters()
    else:
        parameters = compose_parameters_from_files(path)
    if overwrite:
        parameters = merge_parameters_from_files(parameters, *overwrite, update=True)
    return parameters.get("plotting_style")


def _copy_index(index: Path | None, folder: Path, result: Result) -> None:
    if index is None:
        return
    from pocket_coffea.plotting.canvas import copy_index

    for below in ["", *sorted(result.folders)]:
        copy_index(index, folder / below)
        if (folder / below / "systematics").is_dir():
            copy_index(index, folder / below / "systematics")
