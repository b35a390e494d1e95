"""Whether workers see the output folder, so that they can keep completed chunks there themselves."""

from __future__ import annotations

import contextlib
import logging
import secrets
from pathlib import Path
from typing import Any

__all__ = ["workers_see"]

log = logging.getLogger(__name__)


def workers_see(client: Any, folder: Path) -> bool:
    """Return whether every worker that is there can write into ``folder``; tried with a file, not guessed."""
    token = secrets.token_hex(8)
    seen: dict[Any, bool] = {}
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".seen-{token}"
        probe.write_text(token, encoding="utf-8")
        try:
            seen = client.run(_reads, str(probe), token)
        finally:
            probe.unlink(missing_ok=True)
    return bool(seen) and all(seen.values())


def _reads(path: str, token: str) -> bool:
    """Return whether the file is the one that was written; runs on a worker."""
    import os

    try:
        with open(path, encoding="utf-8") as file:
            return file.read() == token and os.access(os.path.dirname(path), os.W_OK)  # noqa: PTH120
    except OSError:
        return False
