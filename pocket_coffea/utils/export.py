"""Export histograms of an output to ROOT files, for tools that read ROOT."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import hist
import uproot

from pocket_coffea.errors import InvalidValue, OutputError, UnknownName, did_you_mean

__all__ = ["export_coffea_output_to_root"]

log = logging.getLogger(__name__)


def export_coffea_output_to_root(
    coffea_output: Mapping[str, Any],
    output_dir: str | os.PathLike[str],
    variables: Collection[str],
    categories: Collection[str],
    years: Collection[str],
) -> list[Path]:
    """Write ``{output_dir}/{variable}_{category}_{year}.root`` for every combination, and return the paths.

    Each file has one histogram for each (sub)sample and variation, summed over the datasets of the year:
    ``{sample}_{variation}`` for MC, ``{sample}`` for data. Needs a postprocessed output.

    Raises UnknownName for a variable, category or year that the output does not have, InvalidValue for a
    histogram that ROOT cannot hold, OutputError when a file cannot be written.
    """
    periods = coffea_output["datasets_metadata"]["by_datataking_period"]
    _check(variables, coffea_output["variables"], "variable")
    _check(years, periods, "year")
    _check(categories, set(coffea_output["cutflow"]) - {"initial", "skim", "presel"}, "category")
    written = []
    for variable, year, category in itertools.product(variables, years, categories):
        path = Path(output_dir) / f"{variable}_{category}_{year}.root"
        summed = dict(_by_sample(coffea_output["variables"][variable], periods[year], category))
        content = dict(_by_variation(summed))
        if content:
            _check_axes(variable, next(iter(content.values())))
            _write(path, content)
            written.append(path)
        else:
            log.warning("Variable %s has no category %s in %s: nothing to export.", variable, category, year)
    return written


def _check(asked: Collection[str], known: Collection[str], what: str) -> None:
    for name in asked:
        if name not in known:
            msg = f"There is no {what} {name!r} in the output. {did_you_mean(name, known)}"
            raise UnknownName(msg)


def _check_axes(variable: str, histogram: hist.Hist) -> None:
    """Refuse a histogram with more axes than TH3 has, besides category and variation."""
    if len(histogram.axes) > 3:
        names = ", ".join(histogram.axes.name)
        msg = (
            f"Variable {variable!r} has {len(histogram.axes)} axes ({names}), but a histogram of ROOT has "
            "three at most. Leave it out of variables, or replace its histograms by .project(axis, ...)."
        )
        raise InvalidValue(msg)


def _by_sample(
    by_sample: Mapping[str, Mapping[str, hist.Hist]],
    datasets_of: Mapping[str, Collection[str]],
    category: str,
) -> Iterator[tuple[str, hist.Hist]]:
    for sample, by_dataset in by_sample.items():
        histograms = [by_dataset[name] for name in sorted(datasets_of.get(sample, ())) if name in by_dataset]
        chosen = [h[{"cat": category}] for h in histograms if category in list(h.axes["cat"])]
        if chosen:
            yield sample, sum(chosen[1:], start=chosen[0])


def _by_variation(summed: Mapping[str, hist.Hist]) -> Iterator[tuple[str, hist.Hist]]:
    for sample, histogram in summed.items():
        if "variation" not in histogram.axes.name:
            yield sample, histogram
            continue
        for variation in histogram.axes["variation"]:
            yield f"{sample}_{variation}", histogram[{"variation": variation}]


def _write(path: Path, content: Mapping[str, hist.Hist]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with uproot.recreate(path) as file:
            for name, histogram in content.items():
                file[name] = histogram
    except OSError as exc:
        msg = f"Cannot write {path}: {exc.strerror or exc}."
        raise OutputError(msg) from exc
