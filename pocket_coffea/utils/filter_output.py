"""Take parts of an output: one year, some categories, without some datasets.

Every function returns a new output; histograms that are not cut are shared with the input.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

import hist
import numpy as np

from pocket_coffea.errors import UnknownName, did_you_mean

__all__ = [
    "compare_dict_types",
    "filter_output_by_category",
    "filter_output_by_year",
    "get_datasets_in_output",
    "remove_datasets_from_output",
]

log = logging.getLogger(__name__)

#: Entries of ``cutflow`` that are not categories.
_STAGES = ("initial", "skim", "presel")
#: Keys of an output whose values are dictionaries by dataset.
_BY_DATASET = (
    "sum_genweights",
    "sum_signOf_genweights",
    "sum_genweights_skimmed",
    "skimmed_files",
    "nskimmed_events",
)
#: name -> the levels above the dataset level
_BY_CATEGORY_AND_DATASET = ("cutflow", "sumw", "sumw2")
_BY_HIST_AND_SAMPLE = ("variables", "processing_metadata")


def get_datasets_in_output(output: Mapping[str, Any]) -> list[str]:
    """Return the datasets of an output, in order."""
    return list(output["cutflow"]["initial"])


def remove_datasets_from_output(output: Mapping[str, Any], datasets: Collection[str]) -> dict[str, Any]:
    """Return the output without the given datasets. Raises UnknownName for one that is not in it."""
    names = [datasets] if isinstance(datasets, str) else list(datasets)
    present = get_datasets_in_output(output)
    for name in names:
        if name not in present:
            msg = f"There is no dataset {name!r} in the output. {did_you_mean(name, present)}"
            raise UnknownName(msg)
    return _keep_datasets(output, lambda dataset: dataset not in names)


def filter_output_by_year(output: Mapping[str, Any], year: str | Collection[str]) -> dict[str, Any]:
    """Return the output with only the datasets of the given year (or years), compared exactly.

    Needs a postprocessed output, whose metadata say which year a dataset is of. Raises UnknownName for a year
    without any dataset.
    """
    years = [str(item) for item in ([year] if isinstance(year, str | int) else year)]
    known = {name: str(meta["year"]) for name, meta in output["datasets_metadata"]["by_dataset"].items()}
    for item in years:
        if item not in known.values():
            guess = did_you_mean(item, set(known.values()))
            msg = f"There is no dataset of year {item!r} in the output. {guess}"
            raise UnknownName(msg)
    return _keep_datasets(output, lambda dataset: known.get(dataset) in years)


def filter_output_by_category(output: Mapping[str, Any], categories: str | Collection[str]) -> dict[str, Any]:
    """Return the output with only the given categories, in the histograms too.

    Histograms that have none of them are left out. Raises UnknownName for an unknown category.
    """
    wanted = [categories] if isinstance(categories, str) else list(categories)
    present = [name for name in output["cutflow"] if name not in _STAGES]
    for name in wanted:
        if name not in present:
            msg = f"There is no category {name!r} in the output. {did_you_mean(name, present)}"
            raise UnknownName(msg)
    filtered = dict(output)
    for key in _BY_CATEGORY_AND_DATASET:
        if key in output:
            filtered[key] = {
                name: content for name, content in output[key].items() if name in (*_STAGES, *wanted)
            }
    for key in _BY_HIST_AND_SAMPLE:
        cut = {name: _cut_histograms(content, wanted) for name, content in output.get(key, {}).items()}
        filtered[key] = {name: content for name, content in cut.items() if content}
    filtered["columns"] = {
        sample: {
            dataset: {name: columns for name, columns in content.items() if name in wanted}
            for dataset, content in by_dataset.items()
        }
        for sample, by_dataset in output.get("columns", {}).items()
    }
    return filtered


def compare_dict_types(first: Any, second: Any, path: str = "") -> bool:
    """Tell whether two nested dictionaries have the same keys, and values of the same type at each of them.

    Every difference is logged as a warning with its path.
    """
    if type(first) is not type(second):
        log.warning("%s: %s and %s", path or "/", type(first).__name__, type(second).__name__)
        return False
    if not isinstance(first, Mapping):
        return True
    same = True
    for key in [*first, *(key for key in second if key not in first)]:
        if key not in first or key not in second:
            log.warning("%s/%s: only in the %s", path, key, "second" if key in second else "first")
            same = False
        else:
            same = compare_dict_types(first[key], second[key], f"{path}/{key}") and same
    return same


def _keep_datasets(output: Mapping[str, Any], keep: Callable[[str], bool]) -> dict[str, Any]:
    filtered = dict(output)
    for key in _BY_DATASET:
        if key in output:
            filtered[key] = _only(output[key], keep)
    for key in _BY_CATEGORY_AND_DATASET:
        if key in output:
            filtered[key] = {name: _only(content, keep) for name, content in output[key].items()}
    for key in _BY_HIST_AND_SAMPLE:
        filtered[key] = {name: _by_sample(content, keep) for name, content in output.get(key, {}).items()}
    filtered["columns"] = _by_sample(output.get("columns", {}), keep)
    filtered["datasets_metadata"] = _metadata(output.get("datasets_metadata", {}), keep)
    return filtered


def _only(by_dataset: Mapping[str, Any], keep: Callable[[str], bool]) -> dict[str, Any]:
    return {dataset: content for dataset, content in by_dataset.items() if keep(dataset)}


def _by_sample(content: Mapping[str, Any], keep: Callable[[str], bool]) -> dict[str, Any]:
    """Filter ``{sample: {dataset: ...}}``; samples without any dataset left are dropped."""
    kept = {sample: _only(by_dataset, keep) for sample, by_dataset in content.items()}
    return {sample: by_dataset for sample, by_dataset in kept.items() if by_dataset}


def _metadata(metadata: Mapping[str, Any], keep: Callable[[str], bool]) -> dict[str, Any]:
    if "by_dataset" not in metadata:
        return dict(metadata)
    periods = {
        year: {
            sample: {dataset for dataset in datasets if keep(dataset)}
            for sample, datasets in by_sample.items()
        }
        for year, by_sample in metadata["by_datataking_period"].items()
    }
    return {
        **metadata,
        "by_datataking_period": {
            year: {sample: datasets for sample, datasets in by_sample.items() if datasets}
            for year, by_sample in periods.items()
            if any(by_sample.values())
        },
        "by_dataset": copy.deepcopy(_only(metadata["by_dataset"], keep)),
    }


def _cut_histograms(by_sample: Mapping[str, Any], wanted: list[str]) -> dict[str, Any]:
    cut: dict[str, Any] = {}
    for sample, by_dataset in by_sample.items():
        for dataset, histogram in by_dataset.items():
            found = [name for name in histogram.axes["cat"] if name in wanted]
            if found:
                cut.setdefault(sample, {})[dataset] = _with_categories(histogram, found)
    return cut


def _with_categories(histogram: hist.Hist, names: list[str]) -> hist.Hist:
    """Return a histogram with only these categories; what was in the overflow of the axis is dropped."""
    position = list(histogram.axes.name).index("cat")
    labels = list(histogram.axes["cat"])
    axes = list(histogram.axes)
    axes[position] = hist.axis.StrCategory(names, name="cat", label=axes[position].label, growth=False)
    cut = hist.Hist(*axes, storage=histogram.storage_type(), name=histogram.name)
    rows = [labels.index(name) for name in names]
    source, target = (np.moveaxis(np.asarray(h.view(flow=True)), position, 0) for h in (histogram, cut))
    target[: len(rows)] = source[rows]
    return cut
