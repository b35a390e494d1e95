"""The datasets of an output: how much of each the ledger says is in it, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pocket_coffea.run.merge_ledger import Gap, LedgerBook, PlannedFiles
from pocket_coffea.utils.metadata import to_bool, to_number

__all__ = ["datasets_of", "holes_of", "is_mc_of", "metadata_of", "throughput_of"]


def metadata_of(output: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return {dataset: metadata}, of every dataset that the output knows of; {} where it says nothing."""
    known = output.get("datasets_metadata", {}).get("by_dataset", {})
    names = [*known, *output.get("ledger", {}), *output.get("cutflow", {}).get("initial", {})]
    return {name: dict(known.get(name, {})) for name in dict.fromkeys(names)}


def is_mc_of(metadata: Mapping[str, Any]) -> bool | None:
    """Return whether a dataset is simulation; None when its metadata does not say."""
    return to_bool(metadata["isMC"]) if "isMC" in metadata else None


def datasets_of(output: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each dataset what it is, its files, and its events: read, in the files, and expected.

    ``expected`` is the number of the metadata, None where there is none.
    """
    ledger = output.get("ledger", {})
    rows = []
    for name, metadata in sorted(metadata_of(output).items()):
        files = ledger.get(name, {})
        rows.append(
            {
                "name": name,
                "sample": str(metadata.get("sample", name)),
                "year": str(metadata.get("year", "")),
                "mc": is_mc_of(metadata),
                "files": len(files),
                "read": sum(stop - start for entry in files.values() for start, stop in entry["ranges"]),
                "entries": sum(entry["entries"] or 0 for entry in files.values()),
                "expected": _expected(metadata),
                "skipped": sum(len(entry.get("skipped", ())) for entry in files.values()),
                "ledger": name in ledger,
            }
        )
    return rows


def _expected(metadata: Mapping[str, Any]) -> int | None:
    try:
        return int(to_number(metadata["nevents"]))
    except (KeyError, TypeError, ValueError):
        return None


def holes_of(output: Mapping[str, Any], planned: PlannedFiles | None = None) -> list[list[str]]:
    """Return [dataset, file, entries, reason] of everything that is missing or was skipped.

    planned: the files of the campaign that made the output; without them a file that was never looked at is
    not known.
    """
    book = LedgerBook(planned)
    book.add(output.get("ledger", {}), "output")
    return [[gap.dataset, gap.filename, _where(gap), gap.reason] for gap in (*book.gaps(), *book.skipped())]


def _where(gap: Gap) -> str:
    return "the whole file" if gap.start is None else f"{gap.start} to {gap.stop}"


def throughput_of(output: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return events, seconds by the clock and events/s of the run, planning included; None if not known.

    Of merged outputs it is the time from the first start to the last end. ``datasets`` is [[name, events,
    seconds of processing], ...], empty for outputs that do not say it.
    """
    provenance = output.get("provenance", {})
    try:
        start, end = (datetime.fromisoformat(provenance[key]) for key in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        return None
    events = sum(each["read"] for each in datasets_of(output))
    seconds = (end - start).total_seconds()
    return {
        "events": events,
        "seconds": seconds,
        "rate": events / seconds if seconds > 0 else 0.0,
        "datasets": [
            [name, each["events"], each["seconds"]]
            for name, each in (provenance.get("throughput") or {}).items()
        ],
    }
