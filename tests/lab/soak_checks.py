"""What must be true of a campaign in the end: nothing sent twice, and the result of the iterative run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hist
import numpy as np
from coffea.util import load

from ci.lab.process import run
from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.run.ledger import join_ranges

#: What an output says about how it came to be.
_CIRCUMSTANCES = ("provenance", "throughput", "metrics", "ledger", "job", "run_options")


def known_to_batch(campaign: Campaign) -> set[str]:
    """Return every instance of a campaign that the batch system has ever had."""
    return _condor(campaign.id) if campaign.system == "htcondor" else _slurm(campaign.id)


def _condor(campaign: str) -> set[str]:
    words = ["-constraint", f'substr(PocketCoffeaSubmission, 0, {len(campaign)}) == "{campaign}"']
    said = [
        run([program, *words, "-af", "ClusterId", "ProcId"], timeout=120).stdout
        for program in ("condor_history", "condor_q")
    ]
    return {".".join(line.split()) for text in said for line in text.splitlines() if line.strip()}


def _slurm(campaign: str) -> set[str]:
    argv = ["sacct", "--noheader", "--parsable2", "--allocations", "--array", "--starttime=now-2days"]
    said = run([*argv, "--format=JobID,JobName%100"], timeout=120).stdout
    rows = (line.split("|", 1) for line in said.splitlines() if "|" in line)
    return {number for number, name in rows if name.startswith(campaign)}


def mismatches(merged: Path, iterative: Path) -> list[str]:
    """Return what differs between two outputs: counts exactly, sums of weights beyond 1e-12."""
    found, expected = (dict(_values(load(path))) for path in (merged, iterative))
    wrong = [f"{name} is in one of the outputs only" for name in sorted(found.keys() ^ expected.keys())]
    for name in sorted(found.keys() & expected.keys()):
        one, other = np.asarray(found[name]), np.asarray(expected[name])
        same = one.shape == other.shape and (
            np.allclose(one, other, rtol=1e-12, atol=0.0)
            if one.dtype.kind == "f"
            else np.array_equal(one, other)
        )
        if not same:
            wrong.append(f"{name}: {one.ravel()[:3]} instead of {other.ravel()[:3]}")
    entries = [_entries(load(path)["ledger"]) for path in (merged, iterative)]
    if entries[0] != entries[1]:
        wrong.append(f"entries in the ledgers: {entries[0]} instead of {entries[1]}")
    return wrong


def _entries(ledger: Mapping[str, Any]) -> dict[str, dict[str, list[list[int]]]]:
    """Return {dataset: {what follows /store/: ranges}}; a file may have been read at several sites."""
    found: dict[str, dict[str, list[list[int]]]] = {}
    for dataset, files in ledger.items():
        ranges = found.setdefault(dataset, {})
        for name, entry in files.items():
            ranges.setdefault(name.partition("/store/")[2], []).extend(entry["ranges"])
    return {name: {file: join_ranges(each) for file, each in files.items()} for name, files in found.items()}


def _values(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key in value:
            if path or key not in _CIRCUMSTANCES:
                yield from _values(value[key], f"{path}/{key}")
    elif isinstance(value, hist.Hist):
        view = value.view(flow=True)
        for name in view.dtype.names or ("",):
            yield f"{path}.{name}", view[name] if name else view
    elif hasattr(value, "value"):
        yield from _values(value.value, path)
    elif isinstance(value, int | float | np.number | np.ndarray):
        yield path, value
    elif isinstance(value, set | frozenset):
        yield path, sorted(map(str, value))
    else:
        yield path, repr(value)
