"""Words of messages that depend on a number."""

from __future__ import annotations

__all__ = ["count_of"]


def count_of(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun; ``plural`` where that is not the noun and an s.

    >>> count_of(1, "file"), count_of(0, "file"), count_of(12000, "entry", "entries")
    ('1 file', '0 files', '12,000 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
