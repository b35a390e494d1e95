"""Histograms of a chunk: defined before the loop over variations, filled in it, handed over at its end."""

from __future__ import annotations

from typing import Any

from pocket_coffea.lib.hist_binning import to_axis_values
from pocket_coffea.lib.hist_columns import EventColumns
from pocket_coffea.lib.hist_manager import HistManager
from pocket_coffea.workflows.steps.subsamples import full_names

__all__ = ["collect", "define", "fill", "fill_processing_metadata"]

_STAGES = ("initial", "skim", "presel")


def define(processor: Any) -> None:
    """Make the histograms of the sample, one set for each subsample."""
    processor.hists_manager = HistManager(
        processor.cfg.variables or {},
        processor._year,
        processor._sample,
        full_names(processor),
        processor._categories,
        processor.cfg.variations_config.get(processor._sample),
        processor.params,
        processor.weights_manager,
        calibrators_manager=processor.calibrators_manager,
        custom_axes=processor.custom_axes,
        isMC=processor._isMC,
    )


def fill(processor: Any, variation: str) -> None:
    """Fill every automatic histogram for this variation."""
    processor.hists_manager.fill_histograms(
        processor.events,
        processor._categories,
        shape_variation=variation,
        subsamples=processor._subsamples[processor._sample] if processor._hasSubsamples else None,
        custom_fields=processor.custom_histogram_fields,
    )


def collect(processor: Any) -> None:
    """Put the histograms into the output (also those that a hook added to the manager)."""
    for name in full_names(processor):
        for key, getter in (
            ("variables", processor.hists_manager.get_histograms),
            ("processing_metadata", processor.hists_manager.get_metadata_histograms),
        ):
            for hist_name, histogram in getter(name).items():
                by_sample = processor.output[key].setdefault(hist_name, {})
                by_sample.setdefault(name, {})[processor._dataset] = histogram


def fill_processing_metadata(processor: Any) -> None:
    """Fill how many events the chunk had at each stage, and how many per second were processed.

    All numbers are those of the whole chunk in the nominal pass, the same for each subsample.
    """
    counts = dict(
        zip(
            _STAGES,
            (processor.nEvents_initial, processor.nEvents_after_skim, processor._nevents_presel_nominal),
            strict=True,
        )
    )
    seconds = max(processor.stop_time - processor.start_time, 1e-9)
    values = {f"events_per_chunk_{stage}": float(count) for stage, count in counts.items()}
    values |= {f"throughput_per_chunk_{stage}": count / seconds for stage, count in counts.items()}
    common = _custom_values(processor)
    for name in full_names(processor):
        for hist_name, histogram in processor.hists_manager.get_metadata_histograms(name).items():
            if hist_name in values:
                _fill_one(histogram, values[hist_name], common)


def _custom_values(processor: Any) -> dict[str, Any]:
    """Return the values of this chunk on the custom axes that histograms about the processing have."""
    columns = EventColumns(processor.events)
    found = {}
    for axis in processor.hists_manager.custom_axes:
        if axis.coll == "metadata":
            where = f"Custom axis {axis.name!r}"
            found[axis.name] = to_axis_values(axis, columns.get(axis, where), where).item()
    return found


def _fill_one(histogram: Any, value: float, common: dict[str, Any]) -> None:
    fixed = {"variation": "nominal"} if "variation" in histogram.axes.name else {}
    dense = [axis.name for axis in histogram.axes if axis.name not in ("cat", "variation", *common)]
    for category in histogram.axes["cat"]:
        histogram.fill(cat=category, **fixed, **common, **dict.fromkeys(dense, value))
