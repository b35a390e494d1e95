"""How far a run is: a live display on a terminal, a line now and then otherwise."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["DatasetState", "LineProgress", "Progress", "ProgressState", "RichProgress", "make_progress"]

log = logging.getLogger(__name__)

#: Seconds between two lines.
LINE_EVERY_S = 10.0
#: A list of more datasets than this shows only those at work.
MAX_SHOWN = 12


@dataclass
class DatasetState:
    """Chunks and events of one dataset."""

    chunks: int = 0
    events: int = 0
    done_chunks: int = 0
    done_events: int = 0

    @property
    def state(self) -> str:
        """``waiting``, ``running`` or ``done``."""
        if self.done_chunks == 0:
            return "waiting"
        return "done" if self.done_chunks == self.chunks else "running"


class ProgressState:
    """What is done and what is left, by dataset. Chunks taken from an earlier run do not count for the
    rate.
    """

    def __init__(self, chunks: Iterable[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.began = clock()
        self.datasets: dict[str, DatasetState] = {}
        self.fresh_events = 0
        for chunk in chunks:
            dataset = self.datasets.setdefault(chunk.dataset, DatasetState())
            dataset.chunks += 1
            dataset.events += len(chunk)

    def chunk_done(self, chunk: Any, summary: dict[str, Any]) -> None:
        """Count a finished chunk."""
        dataset = self.datasets.get(chunk.dataset)
        if dataset is not None:
            dataset.done_chunks += 1
            dataset.done_events += len(chunk)
            self.fresh_events += 0 if summary.get("stored") else len(chunk)

    @property
    def total_events(self) -> int:
        return sum(dataset.events for dataset in self.datasets.values())

    @property
    def done_events(self) -> int:
        return sum(dataset.done_events for dataset in self.datasets.values())

    @property
    def chunks(self) -> tuple[int, int]:
        """Chunks done and in all."""
        values = self.datasets.values()
        return sum(dataset.done_chunks for dataset in values), sum(dataset.chunks for dataset in values)

    def rate(self) -> float:
        """Return events per second since the start."""
        return self.fresh_events / max(self._clock() - self.began, 1e-9)

    def eta(self) -> float | None:
        """Return the seconds that are left, None as long as nothing is known."""
        rate = self.rate()
        return (self.total_events - self.done_events) / rate if rate > 0 else None

    def line(self) -> str:
        """Return everything in one line."""
        done, total = self.chunks
        states = [dataset.state for dataset in self.datasets.values()]
        eta = self.eta()
        return (
            f"{done}/{total} chunks, {_si(self.done_events)}/{_si(self.total_events)} events, "
            f"{_si(self.rate())} events/s, ETA {'-' if eta is None else _clock_time(eta)}; datasets: "
            f"{states.count('done')} done, {states.count('running')} running, {states.count('waiting')} "
            "waiting"
        )

    def short(self) -> str:
        """Return events, rate, time left and datasets done, for a bar that shows the rest."""
        eta = self.eta()
        states = [dataset.state for dataset in self.datasets.values()]
        return (
            f"{_si(self.done_events)}/{_si(self.total_events)}, {_si(self.rate())} events/s, "
            f"ETA {'-' if eta is None else _clock_time(eta)}, datasets {states.count('done')}/{len(states)}"
        )


def _si(number: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


class Progress(Protocol):
    """Shows a run; used as ``observer`` of the executors."""

    def start(self, name: str, chunks: Iterable[Any]) -> None: ...

    def __call__(self, chunk: Any, summary: dict[str, Any]) -> None: ...

    def stop(self) -> None: ...


class LineProgress:
    """Logs a line every ``every`` seconds, and one at the end."""

    def __init__(self, every: float = LINE_EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.every = every
        self._clock = clock
        self._state: ProgressState | None = None
        self._name = ""
        self._last = 0.0

    def start(self, name: str, chunks: Iterable[Any]) -> None:
        self._name = name
        self._state = ProgressState(chunks, self._clock)
        self._last = self._clock()

    def __call__(self, chunk: Any, summary: dict[str, Any]) -> None:
        if self._state is None:
            return
        self._state.chunk_done(chunk, summary)
        done, total = self._state.chunks
        if done == total or self._clock() - self._last >= self.every:
            self._last = self._clock()
            log.info("%s: %s", self._name, self._state.line())

    def stop(self) -> None:
        self._state = None


class RichProgress:
    """A live display: one bar for everything, and one per dataset (of many, those at work)."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self._display: Any = None
        self._state: ProgressState | None = None
        self._tasks: dict[str, Any] = {}
        self._name = ""

    def start(self, name: str, chunks: Iterable[Any]) -> None:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Display

        self.stop()
        self._name = name
        self._state = ProgressState(chunks)
        self._display = Display(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=12),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
            refresh_per_second=4,
        )
        self._total = self._display.add_task(name, total=max(self._state.total_events, 1), note="")
        few = len(self._state.datasets) <= MAX_SHOWN
        for dataset, state in self._state.datasets.items():
            self._tasks[dataset] = self._display.add_task(
                f"  {dataset}", total=max(state.events, 1), note="waiting", visible=few
            )
        self._display.start()

    def __call__(self, chunk: Any, summary: dict[str, Any]) -> None:
        if self._state is None or self._display is None:
            return
        self._state.chunk_done(chunk, summary)
        self._display.update(
            self._total,
            completed=self._state.done_events,
            note=self._state.short(),
        )
        dataset = self._state.datasets[chunk.dataset]
        few = len(self._state.datasets) <= MAX_SHOWN
        self._display.update(
            self._tasks[chunk.dataset],
            completed=dataset.done_events,
            note=f"{dataset.state}, {dataset.done_chunks}/{dataset.chunks} chunks",
            visible=few or dataset.state == "running",
        )

    def stop(self) -> None:
        if self._display is not None:
            self._display.stop()
            if self._state is not None and self._state.chunks[0]:
                log.info("%s: %s", self._name, self._state.line())
        self._display = self._state = None
        self._tasks = {}


def make_progress(console: Any) -> Progress:
    """Return the display that suits a rich console."""
    return RichProgress(console) if console.is_terminal else LineProgress()
