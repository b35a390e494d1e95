"""Cutflows of an output, summed by sample, as numbers and as a table."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import UnknownName, did_you_mean

__all__ = [
    "aggregate_by_sample",
    "format_cutflow_summary",
    "plot_cutflow_from_output",
    "plot_sample_cutflow",
    "print_cutflow_summary",
]

_STEPS = ("initial", "skim", "presel")

Numbers = dict[str, dict[str, float]]


def _entries(content: Any, dataset: str, metadata: Mapping[str, Any]) -> dict[str, float]:
    """{sample or full subsample: number} of one dataset in one step or category, nominal variation."""
    sample = str(metadata.get("sample", dataset))
    if not isinstance(content, Mapping):
        return {sample: float(content)}
    if "nominal" in content and not isinstance(content["nominal"], Mapping):
        return {sample: float(content["nominal"])}
    return {
        str(name): float(value["nominal"] if isinstance(value, Mapping) else value)
        for name, value in content.items()
        if not isinstance(value, Mapping) or "nominal" in value
    }


def aggregate_by_sample(
    data_dict: Mapping[str, Any],
    categories: Iterable[str],
    datasets_metadata: Mapping[str, Any],
    only_samples: Iterable[str] | None = None,
    separate_years: bool = False,
) -> Numbers:
    """Return {sample: {category: number}} of ``output["cutflow"]`` or ``output["sumw"]``, nominal variation.

    categories: names of categories or of the steps initial, skim, presel. datasets_metadata:
    ``output["datasets_metadata"]["by_dataset"]`` (the whole ``datasets_metadata`` is accepted too). A
    subsample is an entry of its own. ``separate_years`` appends ``_{year}`` to the name. Raises UnknownName
    for a category that is not in ``data_dict``.
    """
    by_dataset = datasets_metadata.get("by_dataset", datasets_metadata)
    wanted = None if only_samples is None else set(only_samples)
    result: Numbers = {}
    for category, dataset, sample, number in _numbers(data_dict, categories, by_dataset):
        if wanted is not None and sample not in wanted and sample.split("__")[0] not in wanted:
            continue
        year = by_dataset.get(dataset, {}).get("year")
        row = result.setdefault(f"{sample}_{year}" if separate_years and year is not None else sample, {})
        row[category] = row.get(category, 0.0) + number
    return result


def _numbers(
    data_dict: Mapping[str, Any], categories: Iterable[str], by_dataset: Mapping[str, Any]
) -> Iterator[tuple[str, str, str, float]]:
    """Yield (category, dataset, sample or full subsample, number)."""
    for category in categories:
        if category not in data_dict:
            msg = f"category {category!r} is not in this cutflow. {did_you_mean(category, data_dict)}"
            raise UnknownName(msg)
        for dataset, content in data_dict[category].items():
            entries = _entries(content, dataset, by_dataset.get(dataset, {}))
            yield from ((category, dataset, sample, number) for sample, number in entries.items())


def _ordered(output: Mapping[str, Any], exclude: Iterable[str]) -> list[str]:
    names = list(output["cutflow"])
    first = [step for step in _STEPS if step in names]
    excluded = set(exclude)
    return [name for name in [*first, *(n for n in names if n not in first)] if name not in excluded]


def format_cutflow_summary(
    output: Mapping[str, Any],
    exclude_categories: Iterable[str] | None = None,
    only_samples: Iterable[str] | None = None,
) -> str:
    """Return the cutflow of an output as a text table: a row per sample, a column per step and category."""
    categories = _ordered(output, exclude_categories or ())
    numbers = aggregate_by_sample(
        output["cutflow"], categories, output.get("datasets_metadata", {}), only_samples=only_samples
    )
    rows = [["sample", *categories]]
    rows += [[sample, *_cells(row, categories)] for sample, row in sorted(numbers.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cells(row: Mapping[str, float], categories: Iterable[str]) -> list[str]:
    """Return the numbers of a row; "-" for the steps of a subsample, where only samples are counted."""
    counted = any(step in row for step in _STEPS)
    return ["-" if name in _STEPS and not counted else f"{row.get(name, 0):.0f}" for name in categories]


def print_cutflow_summary(
    output: Mapping[str, Any],
    exclude_categories: Iterable[str] | None = None,
    only_samples: Iterable[str] | None = None,
) -> None:
    """Write :func:`format_cutflow_summary` to the standard output."""
    sys.stdout.write(format_cutflow_summary(output, exclude_categories, only_samples) + "\n")


def plot_cutflow_from_output(
    output: Mapping[str, Any],
    output_dir: str | Path,
    exclude_categories: Iterable[str] | None = None,
    only_samples: Iterable[str] | None = None,
    figsize: tuple[float, float] = (10, 6),
    log_y: bool = False,
    *,
    output_format: str = "png",
) -> list[Path]:
    """Draw the cutflow of each sample; see pocket_coffea/plotting/cutflow_plots.py."""
    from pocket_coffea.plotting import cutflow_plots

    return cutflow_plots.plot_cutflow_from_output(
        *(output, output_dir, exclude_categories, only_samples, figsize),
        log_y=log_y,
        output_format=output_format,
    )


def plot_sample_cutflow(
    sample: str,
    numbers: Mapping[str, Any],
    categories: Sequence[str] | None = None,
    output_dir: str | Path = ".",
    **options: Any,
) -> list[Path]:
    """Draw the cutflow of one sample, {category: number}; see pocket_coffea/plotting/cutflow_plots.py."""
    from pocket_coffea.plotting import cutflow_plots

    return cutflow_plots.plot_sample_cutflow(sample, numbers, categories, output_dir, **options)
