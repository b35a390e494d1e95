"""Watching a campaign until it is over: on a terminal as a live screen, elsewhere as lines of text."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click
from rich.console import Console
from rich.live import Live

from pocket_coffea.cli.jobs_screen import details_table, line, news_lines, screen

if TYPE_CHECKING:
    from pocket_coffea.executors.jobs.overview import Overview

__all__ = [
    "JsonLines",
    "LiveScreen",
    "Screen",
    "TextLines",
    "is_terminal",
    "keep_watching",
    "stopping",
    "warnings_on",
]

_KEPT = 200  # events that the screen remembers
_SAY_AGAIN = 600.0  # s after which a line is written even though nothing changed


class Screen(Protocol):
    """Shows looks at a campaign, one after the other."""

    def show(self, seen: Overview) -> None: ...

    def warn(self, text: str) -> None: ...

    def close(self) -> None: ...


class LiveScreen:
    """The screen on a terminal; it follows changes of the terminal's size."""

    def __init__(self, console: Console, *, by: str, details: bool, hint: str) -> None:
        self.console = console
        self.by, self.details, self.hint = by, details, hint
        self._news: deque[tuple[str, str]] = deque(maxlen=_KEPT)
        self._seen: Overview | None = None
        self._live = Live(
            get_renderable=self._render, console=console, auto_refresh=False, vertical_overflow="crop"
        )
        self._live.start()

    def _render(self) -> Any:
        if self._seen is None:
            return ""
        news = list(self._news)
        return screen(self._seen, news, self.console, by=self.by, details=self.details, hint=self.hint)

    def show(self, seen: Overview) -> None:
        """Show a look; what happened joins the events."""
        self._seen = seen
        for text in news_lines(seen):
            self.warn(text)
        self._live.refresh()

    def warn(self, text: str) -> None:
        """Add a line to the events."""
        self._news.append((time.strftime("%H:%M:%S"), " ".join(text.split())))

    def close(self) -> None:
        """Leave the last screen on the terminal."""
        self._live.stop()


class TextLines:
    """Lines without control characters: events as they come, and the summary whenever it changes."""

    def __init__(self, *, details: bool, write: Callable[[str], None] = click.echo) -> None:
        self.details = details
        self.write = write
        self._last = ""
        self._said = 0.0

    def show(self, seen: Overview) -> None:
        """Write what happened, and the summary if it is another one."""
        for text in news_lines(seen):
            self.warn(text)
        summary = line(seen)
        pace = summary.partition("; about")[0]
        if pace != self._last or time.monotonic() - self._said > _SAY_AGAIN:
            self._last, self._said = pace, time.monotonic()
            self.write(f"{time.strftime('%H:%M:%S')} {summary}")
            if self.details:
                self.write(_plain_table(seen))

    def warn(self, text: str) -> None:
        """Write a line about what happened."""
        self.write(f"{time.strftime('%H:%M:%S')} {' '.join(text.split())}")

    def close(self) -> None:
        """There is nothing to close."""


class JsonLines:
    """One JSON object for each look, on one line."""

    def __init__(self, *, acting: bool) -> None:
        self.acting = acting

    def show(self, seen: Overview) -> None:
        """Write the look."""
        click.echo(json.dumps(seen.as_mapping(acting=self.acting)))

    def warn(self, text: str) -> None:
        """Write a warning where it does not disturb a reader of JSON."""
        click.echo(text, err=True)

    def close(self) -> None:
        """There is nothing to close."""


def _plain_table(seen: Overview) -> str:
    console = Console(width=140, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(details_table(seen, console.width))
    return capture.get().rstrip("\n")


class _Warnings(logging.Handler):
    """Shows warnings of the library among the events."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        self._show(record.getMessage())


@contextmanager
def warnings_on(screen: Screen) -> Iterator[None]:
    """Show warnings of this package on the screen for as long as the block lasts."""
    logger = logging.getLogger("pocket_coffea")
    handler = _Warnings(screen.warn)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and a polite kill set, so that a look is ended before the command does.

    A second Ctrl-C interrupts at once.
    """
    event = threading.Event()

    def ask(_number: int, _frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_watching(
    look: Callable[[], Overview],
    screen: Screen,
    stop: threading.Event,
    *,
    acting: bool,
    every: float,
) -> tuple[Overview, bool]:
    """Look every ``every`` seconds until the campaign is over; return the last look and whether it was
    left before that.
    """
    while True:
        seen = look()
        screen.show(seen)
        if seen.exit_code(acting=acting) != 5:
            return seen, False
        deadline = time.monotonic() + every
        while (left := deadline - time.monotonic()) > 0 and not stop.is_set():
            stop.wait(min(left, 0.5))  # a signal that comes while waiting is served at once
        if stop.is_set():
            return seen, True


def is_terminal() -> bool:
    """Return whether somebody looks at a terminal that can show a live screen."""
    console = Console()
    return console.is_terminal and not console.is_dumb_terminal and sys.stdout.isatty()
