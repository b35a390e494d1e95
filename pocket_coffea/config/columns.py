"""Columns: which fields of which collections are exported for which sample, subsample and category."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pocket_coffea.config.names import Request, SampleTable, read_table
from pocket_coffea.errors import InvalidType
from pocket_coffea.lib.columns_manager import ColOut

__all__ = ["ColumnsConfig", "read_columns"]

#: sample, or full subsample name for a sample with subsamples -> category -> columns
ColumnsConfig = dict[str, dict[str, list[ColOut]]]


def read_columns(config: Any, samples: SampleTable, categories: Collection[str]) -> ColumnsConfig:
    """Return the columns of every sample, or of each of its subsamples if it has some, by category.

    What is requested for a sample goes to all its subsamples. Equal requests count once.
    Raises InvalidType for anything that is not a ColOut, UnknownCategory for an unknown category.
    """
    table = read_table(config, "columns", categories, samples, _check_column, strict=False)
    result = {}
    for sample in samples.is_mc:
        for name in samples.subsamples.get(sample, [sample]):
            requests = table.for_sample(sample)
            if name != sample and name in table.bysample:
                requests.append(table.bysample[name])
            result[name] = _merge(requests, categories)
    return result


def _check_column(column: Any, where: str) -> None:
    if not isinstance(column, ColOut):
        msg = f"{where} must list ColOut objects, not {column!r} of type {type(column).__name__}."
        raise InvalidType(msg)


def _merge(requests: Iterable[Request], categories: Collection[str]) -> dict[str, list[ColOut]]:
    read = list(requests)
    return {
        category: _each_once(
            column
            for request in read
            for column in [*request.inclusive, *request.bycategory.get(category, [])]
        )
        for category in categories
    }


def _each_once(columns: Iterable[ColOut]) -> list[ColOut]:
    """Return the columns without repetitions (they can be compared, but not hashed)."""
    result: list[ColOut] = []
    for column in columns:
        if column not in result:
            result.append(column)
    return result
