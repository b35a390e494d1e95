"""An output as readable text: what the goldens hold and what differences are shown in."""

from __future__ import annotations

from typing import Any

import numpy as np


def _number(value: float) -> float | int:
    """Ten significant digits; whole numbers as such."""
    value = float(value)
    return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.10g}")


def _leaves(tree: Any, prefix: str) -> dict[str, float | int]:
    if not hasattr(tree, "items"):
        return {prefix: _number(tree)}
    out: dict[str, float | int] = {}
    for key, value in tree.items():
        out |= _leaves(value, f"{prefix} | {key}")
    return out


def _histogram(h: Any, prefix: str) -> dict[str, list[float | int]]:
    """Per category and variation: sum, sum of variances, first moment of the flat bin number; with flow."""
    categorical = [axis for axis in h.axes if axis.name in ("cat", "variation")]
    labels = [list(axis) for axis in categorical]
    view = h.view(flow=True)
    values = view["value"] if view.dtype.names else view
    variances = view["variance"] if view.dtype.names else view
    out = {}
    for i, category in enumerate(labels[0]):
        for j, variation in enumerate(labels[1] if len(labels) > 1 else [""]):
            index = (i, j) if len(labels) > 1 else (i,)
            flat, flat_variances = values[index].ravel(), variances[index].ravel()
            moment = flat @ np.arange(len(flat))
            key = f"{prefix} | {category} | {variation}".rstrip(" |")
            out[key] = [_number(flat.sum()), _number(flat_variances.sum()), _number(moment)]
    return out


def summarise(output: dict[str, Any]) -> dict[str, Any]:
    """Return cutflow, sums of weights, histograms and columns of an output as flat {description: numbers}."""
    out: dict[str, Any] = {}
    for part in ("sum_genweights", "cutflow", "sumw", "sumw2"):
        out |= _leaves(output[part], part)
    for name, samples in output["variables"].items():
        for sample, datasets in samples.items():
            for dataset, h in datasets.items():
                out |= _histogram(h, f"variables | {name} | {sample} | {dataset}")
    for key, column in _columns(output["columns"], "columns"):
        out[key] = [len(column), _number(np.sum(column, dtype=float))]
    return dict(sorted(out.items()))


def _columns(tree: Any, prefix: str) -> list[tuple[str, Any]]:
    if hasattr(tree, "value"):
        return [(prefix, tree.value)]
    return [leaf for key, value in tree.items() for leaf in _columns(value, f"{prefix} | {key}")]


def differences(found: dict[str, Any], golden: dict[str, Any]) -> list[str]:
    """Return the numbers that differ: counts at all, weighted sums by 1e-6 (single-precision branches)."""
    lines = [f"{key}: only here" for key in found.keys() - golden.keys()]
    lines += [f"{key}: only on record" for key in golden.keys() - found.keys()]
    for key in found.keys() & golden.keys():
        tolerance = 0 if key.startswith("cutflow") else 1e-6
        if not np.allclose(found[key], golden[key], rtol=tolerance, atol=1e-9):
            lines.append(f"{key}: {found[key]}, on record {golden[key]}")
    return sorted(lines)
