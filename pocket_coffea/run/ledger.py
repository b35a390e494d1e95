"""The ledger: what exactly is in an output, and what is missing because it could not be read.

``ledger[dataset][file] = {"uuid", "treename", "entries", "ranges": [[start, stop], ...]}``; a file that
was skipped, or partly skipped, also has ``"skipped": [{"range": [start, stop] or None, "reason": text}]``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from coffea.processor.executor import WorkItem

from pocket_coffea.run.plan import FileInfo, Skipped

__all__ = ["build_ledger", "join_ranges", "skipped_files"]


def build_ledger(
    processed: Iterable[WorkItem],
    skipped: Iterable[Skipped],
    files: Mapping[tuple[str, str], FileInfo],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the ledger of an output; sorted, so that equal outputs have equal ledgers."""
    ledger: dict[str, dict[str, dict[str, Any]]] = {}
    for chunk in sorted(processed, key=lambda c: (c.dataset, c.filename, c.entrystart)):
        entry = _entry(ledger, chunk.dataset, chunk.filename, chunk.treename, files)
        entry["ranges"] = join_ranges([*entry["ranges"], [chunk.entrystart, chunk.entrystop]])
    for hole in sorted(skipped, key=lambda s: (s.dataset, s.filename, s.start or 0)):
        entry = _entry(ledger, hole.dataset, hole.filename, hole.treename, files)
        where = None if hole.start is None else [hole.start, hole.stop]
        entry.setdefault("skipped", []).append({"range": where, "reason": hole.reason})
    return ledger


def _entry(
    ledger: dict[str, dict[str, dict[str, Any]]],
    dataset: str,
    filename: str,
    treename: str,
    files: Mapping[tuple[str, str], FileInfo],
) -> dict[str, Any]:
    info = files.get((filename, treename), FileInfo(problem="unknown"))
    known = info.problem is None
    return ledger.setdefault(dataset, {}).setdefault(
        filename,
        {
            "uuid": str(uuid.UUID(bytes=info.uuid)) if info.uuid else None,
            "treename": treename,
            "entries": info.entries if known else None,
            "ranges": [],
        },
    )


def join_ranges(ranges: Iterable[Iterable[int]]) -> list[list[int]]:
    """Return sorted ranges with neighbours joined; overlaps stay visible as two ranges.

    >>> join_ranges([[10, 20], [0, 10], [30, 40]])
    [[0, 20], [30, 40]]
    """
    joined: list[list[int]] = []
    for start, stop in sorted(map(tuple, ranges)):
        if joined and joined[-1][1] == start:
            joined[-1][1] = stop
        else:
            joined.append([start, stop])
    return joined


def skipped_files(ledger: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[tuple[str, str, str]]:
    """Return (dataset, file, reason) of everything that the ledger lists as skipped."""
    return [
        (dataset, filename, hole["reason"])
        for dataset, entries in ledger.items()
        for filename, entry in entries.items()
        for hole in entry.get("skipped", ())
    ]
