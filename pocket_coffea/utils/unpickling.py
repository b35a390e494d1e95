"""Where the file lies that is being unpickled, for objects that are read together with a file beside it."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from pathlib import Path

__all__ = ["reading_from", "unpickled_from"]

_FOLDER: contextvars.ContextVar[Path | None] = contextvars.ContextVar("unpickled_from", default=None)


@contextlib.contextmanager
def reading_from(folder: Path) -> Iterator[None]:
    """Say, for the block, that a file of ``folder`` is being unpickled."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def unpickled_from() -> Path | None:
    """Return the folder of the file that is being unpickled; None when nobody said it."""
    return _FOLDER.get()
