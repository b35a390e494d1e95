"""What the workers of ``tests.bench.dask_overhead`` do: as little as possible, or outputs of some MB."""

from __future__ import annotations

import copy
import functools
import os
import socket
import time
from pathlib import Path
from typing import Any, ClassVar, Self

import hist
import numpy as np
from coffea import processor
from coffea.processor.executor import WorkItem

#: Size of an output of :func:`make_output` [MB].
OUTPUT_MB = 4.0


def mark(folder: str) -> None:
    """Note in ``folder`` that this process begins with a chunk; only its first one counts."""
    path = Path(folder) / f"{socket.gethostname()}-{os.getpid()}"
    if not path.exists():
        path.write_text(str(time.time()))


class Trivial(processor.ProcessorABC):
    """Counts events, and touches nothing of them. ``marks``: a folder for :func:`mark`."""

    def __init__(self, marks: str = "") -> None:
        self.marks = marks

    def process(self, events: Any) -> dict[str, int]:
        if self.marks:
            mark(self.marks)
        return {"events": len(events)}

    def postprocess(self, accumulator: Any) -> Any:
        return accumulator


class Muons(processor.ProcessorABC):
    """The histogram of :mod:`tests.bench.dask_config`, by hand."""

    def __init__(self, marks: str) -> None:
        self.marks = marks

    def process(self, events: Any) -> dict[str, Any]:
        mark(self.marks)
        filled = hist.Hist(hist.axis.Regular(60, 0, 60, name="npv"), storage="weight")
        filled.fill(npv=events.PV.npvsGood, weight=events.genWeight)
        return {"npv": filled, "sum_genweights": float(np.sum(events.genWeight))}

    def postprocess(self, accumulator: Any) -> Any:
        return accumulator


def work_items(number: int) -> list[Any]:
    """Return chunks of files that do not exist."""
    return [
        WorkItem(f"dataset{n % 10}", f"root://site//store/{n // 10}.root", "Events", n, n + 1, b"0" * 16, {})
        for n in range(number)
    ]


def count(_item: Any) -> dict[str, int]:
    """Count a chunk."""
    return {"events": 1}


class Counted:
    """Part of an output that knows how many of its kind are alive in this process, and at most were."""

    alive: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def __init__(self) -> None:
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1

    def __reduce__(self) -> Any:
        return Counted, ()

    def __deepcopy__(self, _memo: Any) -> Counted:
        return Counted()

    def __iadd__(self, _other: Counted) -> Self:
        return self

    def __add__(self, _other: Counted) -> Counted:
        return Counted()


@functools.cache
def _histograms() -> dict[str, Any]:
    random = np.random.default_rng(1)
    made = {}
    for number in range(50):
        made[f"h{number}"] = hist.Hist(hist.axis.Regular(4998, 0, 1, name="x"), storage="weight")
        made[f"h{number}"].fill(x=random.random(2000), weight=random.random(2000))
    return made


def make_output(_item: Any) -> dict[str, Any]:
    """Return an output of 50 histograms of 5000 bins, 4 MB in memory."""
    return {"counted": Counted(), "histograms": copy.deepcopy(_histograms())}


def most_alive() -> int:
    """Return how many outputs were alive in this process at once."""
    return Counted.most
