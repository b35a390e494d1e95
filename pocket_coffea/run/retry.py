"""Trying again what may succeed the next time: reading files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from pocket_coffea.errors import InputFileError

__all__ = ["with_retries"]

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A local file that cannot be read will hardly change; one more look covers a hiccup of a network file
#: system.
LOCAL_RETRIES = 1
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 20.0


def with_retries(retries: int, filename: str, read: Callable[[], T], between: Callable[[], None]) -> T:
    """Return ``read()``; after an InputFileError try again, ``retries`` times at most, with growing pauses.
    ``between()`` is called before each new attempt, to drop connections that may be dead.

    Other errors are mistakes in code or configuration: they come again, so they are raised at once.
    """
    allowed = retries if "://" in filename else min(retries, LOCAL_RETRIES)
    for attempt in range(allowed + 1):
        try:
            return read()
        except InputFileError as exc:
            if attempt == allowed or isinstance(exc.__cause__, FileNotFoundError):
                raise
            log.info("attempt %d of %d: %s", attempt + 1, allowed + 1, exc)
            between()
            time.sleep(min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S))
    raise AssertionError
