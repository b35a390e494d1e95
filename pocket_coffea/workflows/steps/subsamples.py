"""The names of subsamples: ``{sample}__{label}`` in outputs, the label alone in folders."""

from __future__ import annotations

from typing import Any

__all__ = ["full_names", "labels", "short_label"]


def full_names(processor: Any) -> list[str]:
    """Return the output names of the sample: its subsamples in order, or only itself."""
    return list(labels(processor)) if processor._hasSubsamples else [processor._sample]


def labels(processor: Any) -> dict[str, str]:
    """Map the full name of each subsample to its key in the selection."""
    sample = processor._sample
    keys = list(processor._subsamples[sample].keys())
    return {key if key.startswith(f"{sample}__") else f"{sample}__{key}": key for key in keys}


def short_label(full_name: str) -> str:
    """Return the label of a full name (``TT__mu`` -> ``mu``); names without one come back unchanged."""
    return full_name.rpartition("__")[2]
