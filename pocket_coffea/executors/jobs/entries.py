"""How many events files have: looked up for ``split-files``, where jobs get ranges of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pocket_coffea.errors import InputFileError
from pocket_coffea.executors.jobs.payload import TREE
from pocket_coffea.executors.worker_variables import XROOTD_LIMITS
from pocket_coffea.utils.wording import count_of

__all__ = ["count_entries"]

log = logging.getLogger(__name__)

_THREADS = 8
_TIMEOUT = 60  # seconds for an answer of a server
_TRIES = 3


def count_entries(files: Sequence[str]) -> dict[str, int]:
    """Return the number of events of each file. Raises InputFileError naming the first one that cannot be
    read."""
    for name, value in XROOTD_LIMITS.items():  # else a server that hangs is waited for half an hour
        os.environ.setdefault(name, value)
    log.info("looking up the number of events of %s, for split-files", count_of(len(files), "file"))
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(files, pool.map(_entries, files), strict=True))


def _entries(file: str) -> int:
    import uproot

    for left in reversed(range(_TRIES)):
        try:
            with uproot.open({file: TREE}, timeout=_TIMEOUT) as tree:
                return int(tree.num_entries)
        except Exception as error:
            if left:
                continue
            msg = (
                f"{file}: its events cannot be counted for split-files: {type(error).__name__}: {error}. "
                "Leave split-files out, or the file."
            )
            raise InputFileError(msg) from error
    return 0
