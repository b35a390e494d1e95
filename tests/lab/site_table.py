"""The table of documented executor strings, filled by test_sites.py and printed at the end of the tests."""

from __future__ import annotations

import pytest

#: {executor string: started, image digest checked, equal, seconds, image}
ROWS = pytest.StashKey[dict[str, list[str]]]()


def table(config: pytest.Config) -> list[str]:
    """Return the lines of the table in Markdown; none when no string was tried."""
    rows = config.stash.get(ROWS, {})
    head = [
        "| executor | started | image digest checked | equal | seconds | image |",
        "|---|---|---|---|---|---|",
    ]
    return [*head, *(f"| `{string}` | {' | '.join(seen)} |" for string, seen in rows.items())] if rows else []
