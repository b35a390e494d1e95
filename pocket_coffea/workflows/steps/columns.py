"""Columns of a chunk: into the output, or into one parquet file for each category and variation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import awkward as ak

from pocket_coffea.errors import OutputError
from pocket_coffea.lib.columns_manager import ColumnsManager
from pocket_coffea.types import BoolArray
from pocket_coffea.utils.transfer import deliver, join
from pocket_coffea.workflows.steps.subsamples import labels

__all__ = ["define", "fill"]


def define(processor: Any) -> None:
    """Make the column managers: one for each subsample (by its label), or one for the sample."""
    variations = processor.cfg.variations_config.get(processor._sample)
    processor.column_managers = {
        key: ColumnsManager(processor._columns.get(name, {}), processor._categories, variations)
        for name, key in _names(processor).items()
    }


def fill(processor: Any, variation: str) -> None:
    """Export the requested columns of this variation."""
    folder = processor.workflow_options.get("dump_columns_as_arrays_per_chunk")
    for name, key, mask in _selected(processor):
        manager = processor.column_managers[key]
        if manager.ncols == 0:
            continue
        arguments = {
            "subsample_mask": mask,
            "weights_manager": processor.weights_manager,
            "subsample": name if processor._hasSubsamples else None,
        }
        if folder is None:
            columns = manager.fill_columns_accumulators(
                processor.events, processor._categories, variation, **arguments
            )
            _store(processor, name, columns)
        else:
            arrays = manager.fill_ak_arrays(processor.events, processor._categories, variation, **arguments)
            where = [str(folder), processor._dataset, *([key] if processor._hasSubsamples else [])]
            _write(processor, where, variation, arrays)


def _names(processor: Any) -> dict[str, str]:
    """Map the output name to the key of its manager."""
    return labels(processor) if processor._hasSubsamples else {processor._sample: processor._sample}


def _selected(processor: Any) -> Iterator[tuple[str, str, BoolArray | None]]:
    names = _names(processor)
    if not processor._hasSubsamples:
        yield processor._sample, processor._sample, None
        return
    masks = dict(processor._subsamples[processor._sample].get_masks())
    for name, key in names.items():
        yield name, key, masks[key]


def _store(processor: Any, name: str, columns: Mapping[str, Any]) -> None:
    by_dataset = processor.output["columns"].setdefault(name, {}).setdefault(processor._dataset, {})
    for category, content in columns.items():
        by_dataset.setdefault(category, {}).update(content)


def _write(processor: Any, where: list[str], variation: str, arrays: Mapping[str, Any]) -> None:
    file_name = _partition_key(processor).replace("/", "_") + ".parquet"
    for category, array in arrays.items():
        with tempfile.TemporaryDirectory(prefix="pocket_coffea_columns_") as folder:
            local = Path(folder) / "part.parquet"
            try:
                ak.to_parquet(array, local)
            except OSError as exc:
                msg = f"Cannot write the columns of category {category!r} to {local}: {exc.strerror or exc}."
                raise OutputError(msg) from exc
            deliver(local, join(*where, category, variation, file_name))


def _partition_key(processor: Any) -> str:
    """Return ``<fileuuid>/<quoted treepath>/<start>-<stop>`` of the chunk."""
    return str(processor.events.attrs["@events_factory"]._partition_key)
