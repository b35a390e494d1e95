"""The end of a run: what was done, how fast, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["RunReport", "throughput_table"]


@dataclass
class RunReport:
    """Result of a run. ``throughput`` is {dataset: {events, chunks, seconds}}, seconds being those of the
    workers.
    """

    outputs: list[Path] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    throughput: dict[str, dict[str, float]] = field(default_factory=dict)
    wall_seconds: float = 0.0
    workers: int = 1
    resumed_groups: list[str] = field(default_factory=list)
    submitted: bool = False
    errors: list[BaseException] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0: all good; 3: some datasets or files failed."""
        return 3 if self.failed or self.skipped else 0

    def add_throughput(self, throughput: Mapping[str, Mapping[str, float]]) -> None:
        """Add the numbers of one group."""
        for dataset, numbers in throughput.items():
            mine = self.throughput.setdefault(dataset, {"events": 0, "chunks": 0, "seconds": 0.0})
            for key, value in numbers.items():
                mine[key] = mine.get(key, 0) + value


def throughput_table(report: RunReport) -> Any:
    """Return a rich table: events, chunks, seconds of processing and events/s of each dataset, and in all
    by the wall clock.
    """
    from rich import box
    from rich.table import Table

    table = Table(title="Throughput", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("dataset", overflow="fold", min_width=15)
    for name in ("events", "chunks", "seconds", "events/s"):
        table.add_column(name, justify="right", no_wrap=True)  # names are folded, not numbers
    for dataset, numbers in report.throughput.items():
        table.add_row(dataset, *_cells(numbers["events"], numbers["chunks"], numbers["seconds"]))
    events = sum(numbers["events"] for numbers in report.throughput.values())
    chunks = sum(numbers["chunks"] for numbers in report.throughput.values())
    busy = sum(numbers["seconds"] for numbers in report.throughput.values())
    table.add_section()
    table.add_row("all, per core", *_cells(events, chunks, busy))
    table.add_row("all, wall clock", *_cells(events, chunks, report.wall_seconds))
    return table


def _cells(events: float, chunks: float, seconds: float) -> tuple[str, str, str, str]:
    rate = f"{events / seconds:,.0f}" if seconds > 0 else "-"
    return f"{events:,.0f}", f"{chunks:,.0f}", f"{seconds:,.1f}", rate
