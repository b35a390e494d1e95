"""Logging of the command line: short lines on the console, everything with times in a file.

The library only makes records; handlers are installed here, by ``cli``, and taken away again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

__all__ = ["FILE_ONLY", "LEVELS", "setup_logging"]

#: ``log.error(..., extra=FILE_ONLY)``: for what the console shows in another way.
FILE_ONLY = {"file_only": True}

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

#: Libraries whose news are not for the user of an analysis.
_NOISY = (
    *("asyncio", "bokeh", "distributed", "fontTools", "fsspec", "matplotlib", "numba", "parsl", "tornado"),
    "uproot",
)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a record is for the user. Some libraries set the levels of their loggers when
    imported.
    """
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in _NOISY


class _Console(logging.Handler):
    """Hands lines to ``write(text, level name)``; tracebacks only at level DEBUG."""

    def __init__(self, write: Callable[[str, str], None], level: int) -> None:
        super().__init__(level)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "file_only", False):
            return
        # warnings of libraries are in the log file; ours are for the user
        if (
            record.name == "py.warnings"
            and self.level > logging.DEBUG
            and "pocket_coffea" not in record.getMessage()
        ):
            return
        text = f"{record.levelname}: {record.getMessage()}"
        if record.exc_info and self.level <= logging.DEBUG:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self._write(text, record.levelname)


def setup_logging(
    level: str, write: Callable[[str, str], None], logfile: Path | None = None
) -> Callable[[], None]:
    """Send records of ``level`` and above to ``write``, all from INFO on to ``logfile``; return what
    undoes it.

    Raises ValueError for an unknown level and OSError when the file cannot be written.
    """
    if level.upper() not in LEVELS:
        msg = f"log level {level!r} must be one of {', '.join(LEVELS)}"
        raise ValueError(msg)
    number = getattr(logging, level.upper())
    root = logging.getLogger()
    before = (root.level, {name: logging.getLogger(name).level for name in _NOISY})
    handlers: list[logging.Handler] = [_Console(write, number)]
    if logfile is not None:
        file = logging.FileHandler(logfile, mode="a", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        file.setLevel(min(number, logging.INFO))
        handlers.append(file)
    for handler in handlers:
        handler.addFilter(_is_news)
        root.addHandler(handler)
    root.setLevel(min(number, logging.INFO))
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)

    def undo() -> None:
        logging.captureWarnings(capture=False)
        root.setLevel(before[0])
        for name, old in before[1].items():
            logging.getLogger(name).setLevel(old)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()

    return undo
