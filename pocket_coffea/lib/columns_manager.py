"""Export of columns: values per event or object, into the output or to parquet files.

Names of the exported columns:

- ``{collection}_{column}``, for the collection ``events``: ``events_{column}``;
- ``{collection}_N``: objects per event after masks and slice. When a category has several slices of one
  collection, the first keeps this name and the others get ``{collection}_N_{start}_{stop}`` (``0`` and
  ``end`` for open bounds); a column that is exported with two slices is told apart in the same way;
- ``weight``: the nominal weight, with the weights of the subsample, not divided by any sum of weights;
- ``weight_variation_{variation}``: in the nominal pass of MC, for each weight variation of the category.

In a category (or subsample) that selects the objects of a collection, only events with at least one selected
object enter; values and weights are one per selected object, ``_N`` is one per event. The weights follow the
slice when the category has only one, else they are those of all selected objects.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import awkward as ak
import numpy as np
from coffea.processor import column_accumulator

from pocket_coffea.errors import InvalidType, InvalidValue, UnknownName, did_you_mean
from pocket_coffea.lib.column_arrays import (
    ColumnReader,
    Slice,
    Taken,
    as_numpy,
    filled,
    flattened,
    is_jagged,
    take,
)
from pocket_coffea.types import Array, FloatArray

__all__ = ["ColOut", "ColumnsManager"]

log = logging.getLogger(__name__)

#: {category: {variation: {column: accumulator}}}
Accumulators = dict[str, dict[str, dict[str, column_accumulator]]]


@dataclasses.dataclass
class ColOut:
    """Columns of one collection to export.

    ``collection``: ``"events"`` for fields of the events. ``flatten``: one-dimensional values without lists;
    False keeps lists, for parquet files (in the output only regular arrays can stay as they are).
    ``store_size``: add the number of objects per event. ``fill_none``: replace missing values by
    ``fill_value``. ``pos_start``, ``pos_end``: slice of the objects of each event, 0 and None are no bound.
    """

    collection: str
    columns: list[str]
    flatten: bool = True
    store_size: bool = True
    fill_none: bool = True
    fill_value: float = -999.0
    pos_start: int | None = None
    pos_end: int | None = None

    def __post_init__(self) -> None:
        columns: object = self.columns
        if isinstance(columns, str) or not isinstance(columns, Iterable):
            msg = f"ColOut({self.collection!r}, {columns!r}): columns is a list of names, [{columns!r}]."
            raise InvalidType(msg)
        self.columns = list(columns)
        names: list[object] = [self.collection, *self.columns]
        if not all(isinstance(name, str) for name in names):
            msg = f"ColOut({self.collection!r}, {self.columns!r}): collection and columns are names."
            raise InvalidType(msg)

    @property
    def slice(self) -> Slice:
        """Which objects of each event are exported."""
        return Slice(self.pos_start or None, self.pos_end or None)

    @property
    def fill(self) -> float | None:
        """What replaces missing values, None: nothing."""
        return self.fill_value if self.fill_none else None


@dataclasses.dataclass(frozen=True)
class _Column:
    """One exported column: the name in the output, and where it comes from (``field`` None: the size)."""

    name: str
    field: str | None
    request: ColOut


class ColumnsManager:
    """Fills the columns of one sample or subsample.

    ``cfg``: {category: [ColOut]}. ``categories_config``: the selection of categories. ``variations_config``:
    the entry of the sample in ``Configurator.variations_config``, None for data.

    Raises UnknownName for unknown categories, InvalidValue for columns of another collection than the one
    whose objects the categories select.
    """

    def __init__(
        self,
        cfg: Mapping[str, Iterable[ColOut]],
        categories_config: Any,
        variations_config: Mapping[str, Any] | None = None,
    ) -> None:
        self._categories = list(categories_config.keys())
        self._objects_of: str | None = getattr(categories_config, "multidim_collection", None)
        self._variations = variations_config
        self._requests: dict[str, list[ColOut]] = {category: [] for category in self._categories}
        self._columns: dict[str, list[_Column]] = {category: [] for category in self._categories}
        for category, requests in cfg.items():
            for request in requests:
                self.add_column(request, [category])

    @property
    def ncols(self) -> int:
        """Number of requested columns, over all categories, without sizes and weights."""
        return sum(len(request.columns) for requests in self._requests.values() for request in requests)

    def add_column(self, column: ColOut, categories: Iterable[str] | None = None) -> None:
        """Export one more ColOut in some categories, by default in all. Equal requests count once."""
        request: object = column
        if not isinstance(request, ColOut):
            msg = f"Columns are requested with ColOut(collection, [columns]), not {request!r}."
            raise InvalidType(msg)
        if self._objects_of not in (None, column.collection):
            msg = (
                f"Categories select the objects of {self._objects_of!r}: columns of {column.collection!r} "
                f"cannot be exported with them. Use cuts on events, or columns of {self._objects_of!r}."
            )
            raise InvalidValue(msg)
        for category in self._categories if categories is None else categories:
            if category not in self._requests:
                msg = f"Columns for category {category!r}, which does not exist. "
                raise UnknownName(msg + did_you_mean(category, self._categories))
            if column not in self._requests[category]:
                self._requests[category].append(column)
                self._columns[category] = _named(self._requests[category])

    # ------------------------------------------------------------ filling

    def fill_columns_accumulators(
        self,
        events: Array,
        cuts_masks: Any,
        variation: str,
        subsample_mask: Array | None = None,
        weights_manager: Any = None,
        subsample: str | None = None,
    ) -> Accumulators:
        """Return {category: {variation: {column: column_accumulator}}} for ``output["columns"]``.

        ``cuts_masks``: the prepared selection of categories. ``subsample_mask``: (n_events,) or over objects.
        ``subsample``: full name. Every category has ``weight``; without any ColOut the result is empty.

        Raises MissingBranch, and InvalidValue for jagged columns with flatten=False and for missing values
        with fill_none=False.
        """
        if self.ncols == 0:
            return {}
        reader = ColumnReader(events)
        weights = _Weights(self._variations, weights_manager, len(events), subsample, variation)
        result: Accumulators = {}
        for category, mask in cuts_masks.get_masks():
            taken = take((mask, subsample_mask), len(events), f"category {category!r}")
            columns = {
                column.name: _to_numpy(reader, column, taken)
                for column in self._exported(category, reader, taken)
            }
            part = self._slice(category)
            columns |= {name: taken.weights(values, part) for name, values in weights.of(category)}
            result[category] = {
                variation: {name: column_accumulator(values) for name, values in columns.items()}
            }
        return result

    def fill_ak_arrays(
        self,
        events: Array,
        cuts_masks: Any,
        variation: str,
        subsample_mask: Array | None = None,
        weights_manager: Any = None,
        subsample: str | None = None,
    ) -> dict[str, Array]:
        """Return {category: records with one field per column}, for parquet; arguments as for accumulators.

        Categories without ColOut are left out, and so are sizes: lists carry them. In categories over objects
        the weight is one per object when all columns are flattened, else one per event.

        Raises MissingBranch, and InvalidValue for columns of different lengths.
        """
        reader = ColumnReader(events)
        weights = _Weights(self._variations, weights_manager, len(events), subsample, variation)
        result = {}
        for category, mask in cuts_masks.get_masks():
            if not self._requests[category]:
                continue
            taken = take((mask, subsample_mask), len(events), f"category {category!r}")
            columns = {
                column.name: _to_awkward(reader, column, taken)
                for column in self._columns[category]
                if column.field is not None
            }
            by_event = taken.objects is not None and _lengths(columns) == {len(taken.events)}
            weighted = Taken(taken.events) if by_event else taken
            part = self._slice(category)
            columns |= {name: weighted.weights(values, part) for name, values in weights.of(category)}
            result[category] = _zipped(columns, category)
        return result

    def _slice(self, category: str) -> Slice:
        """The slice that all columns of a category have, else everything."""
        slices = {request.slice for request in self._requests[category]}
        return slices.pop() if len(slices) == 1 else Slice()

    def _exported(self, category: str, reader: ColumnReader, taken: Taken) -> Iterator[_Column]:
        """Columns of a category, without the sizes of collections that are no lists."""
        for column in self._columns[category]:
            request = column.request
            if column.field is not None or reader.sizes(request.collection, taken, request.slice) is not None:
                yield column


def _named(requests: list[ColOut]) -> list[_Column]:
    """Give every column of a category its name."""
    named: dict[str, _Column] = {}
    for request in requests:
        fields: list[str | None] = list(request.columns)
        if request.store_size and request.collection != "events":
            fields.append(None)
        for field in fields:
            name = f"{request.collection}_{'N' if field is None else field}"
            taken = named.get(name)
            if taken is not None and taken.request.slice != request.slice:
                name += f"_{request.slice.start or 0}_{request.slice.stop or 'end'}"
            elif taken is not None and field is not None:
                log.warning("column %s is requested twice with different options: the last one is used", name)
            named[name] = _Column(name, field, request)
    return list(named.values())


def _to_numpy(reader: ColumnReader, column: _Column, taken: Taken) -> Any:
    request = column.request
    if column.field is None:
        return reader.sizes(request.collection, taken, request.slice)
    where = (request.collection, column.field, taken, request.slice, request.fill)
    if request.flatten:
        return reader.flat(*where)
    array = reader.array(*where)
    if is_jagged(array):
        msg = (
            f"The column {column.name} is jagged and has flatten=False, but the output holds regular arrays. "
            "Use flatten=True (the sizes are in the column _N), or write columns to parquet with the "
            "workflow option dump_columns_as_arrays_per_chunk."
        )
        raise InvalidValue(msg)
    return filled(as_numpy(array, column.name), request.fill, column.name)


def _to_awkward(reader: ColumnReader, column: _Column, taken: Taken) -> Any:
    request = column.request
    assert column.field is not None
    array = reader.array(request.collection, column.field, taken, request.slice, request.fill)
    return flattened(array) if request.flatten else array


def _lengths(columns: Mapping[str, Any]) -> set[int]:
    return {len(values) for values in columns.values()}


def _zipped(columns: Mapping[str, Any], category: str) -> Array:
    if len(_lengths(columns)) > 1:
        lengths = ", ".join(f"{name}: {len(values)}" for name, values in columns.items())
        msg = (
            f"Columns of category {category!r} have different lengths and cannot be written to one parquet "
            f"file ({lengths}). Use flatten=False, so that there is one entry per event."
        )
        raise InvalidValue(msg)
    return ak.zip(dict(columns), depth_limit=1)


class _Weights:
    """The columns with weights: nominal, and in the nominal pass of MC the variations."""

    def __init__(
        self,
        variations: Mapping[str, Any] | None,
        manager: Any,
        n_events: int,
        subsample: str | None,
        variation: str,
    ) -> None:
        self._manager = manager
        self._n_events = n_events
        self._subsample = subsample
        nominal = variation == "nominal" and manager is not None
        self._variations = variations if nominal else None

    def of(self, category: str) -> Iterator[tuple[str, FloatArray]]:
        """Yield (column, one weight per event of the chunk)."""
        if self._manager is None:
            yield "weight", np.ones(self._n_events)
            return
        yield "weight", self._manager.get_weight(category, subsample=self._subsample)
        known = set(self._manager.get_available_modifiers_bycategory(category, self._subsample))
        for modifier in self._modifiers(category):
            # A variation that does not apply here leaves the weight nominal.
            chosen = modifier if modifier in known else None
            weights = self._manager.get_weight(category, subsample=self._subsample, modifier=chosen)
            yield f"weight_variation_{modifier}", weights

    def _modifiers(self, category: str) -> list[str]:
        """Weight variations of the category, those of the sample before those of the subsample."""
        if self._variations is None:
            return []
        levels = [self._variations]
        by_subsample = self._variations.get("by_subsample") or {}
        if self._subsample in by_subsample:
            levels.append(by_subsample[self._subsample])
        weights = [name for level in levels for name in (level.get("weights") or {}).get(category, [])]
        modifiers = [m for name in weights for m in self._manager.get_available_modifiers_byweight(name)]
        return list(dict.fromkeys(modifiers))
