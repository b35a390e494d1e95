"""What an option that is given several times means: click would take the last one, and say nothing.

Both are callbacks of options with ``multiple=True``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

__all__ = ["joined", "only_one"]


def joined(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> str | None:
    """Return lists of names, separated by commas, as one; None when none was given."""
    return ",".join(texts) if texts else None


def only_one(_context: click.Context, _option: click.Parameter, values: Sequence[Any]) -> Any:
    """Return the value, None when none was given. Raises BadParameter for several."""
    if len(values) > 1:
        msg = f"it is given {len(values)} times ({', '.join(map(str, values))}): give one."
        raise click.BadParameter(msg)
    return values[0] if values else None
