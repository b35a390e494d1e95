"""Certified luminosity sections ("golden JSON"): which (run, lumi section) pairs are good for physics.

The same answer as ``coffea.lumi_tools.LumiMask``, as one binary search of numpy: nothing to compile, and the
import of the kernels of coffea (seconds in each process) is not paid.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.types import BoolArray

__all__ = ["CertifiedLumis", "load_certified_lumis"]

_RUN = np.uint64(1 << 32)


class CertifiedLumis:
    """Look-up of ``{"run": [[first, last], ...]}``, both ends of a range included."""

    def __init__(self, ranges: Mapping[str, list[list[int]]]) -> None:
        edges = []
        for run, intervals in sorted((int(run), intervals) for run, intervals in ranges.items()):
            for first, last in _merged(intervals):
                edges += [(run << 32) + first - 1, (run << 32) + last]
        # Ranges are disjoint and in order, so a pair is inside one when an odd number of edges is below it.
        self._edges = np.array(edges, dtype=np.uint64)

    def __call__(self, run: Any, lumi: Any) -> BoolArray:
        """Return bool ``(n,)``: is the pair certified? ``run``, ``lumi``: integers, shape ``(n,)``."""
        pairs = np.asarray(run).astype(np.uint64) * _RUN + np.asarray(lumi).astype(np.uint64)
        return np.searchsorted(self._edges, pairs, side="left") % 2 == 1


def _merged(intervals: list[list[int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted((int(first), int(last)) for first, last in intervals):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def load_certified_lumis(path: str) -> CertifiedLumis:
    """Read a golden JSON, once per process and version of the file.

    Raises ConfigurationError when the file is not of that form.
    """
    status = Path(path).stat()
    return _load(path, (status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=32)
def _load(path: str, _identity: tuple[int, int]) -> CertifiedLumis:
    try:
        return CertifiedLumis(json.loads(Path(path).read_text()))
    except (ValueError, TypeError, AttributeError) as exc:
        msg = f"{path} is not a file of certified luminosity, {{run: [[first, last], ...]}}: {exc}"
        raise ConfigurationError(msg) from exc
