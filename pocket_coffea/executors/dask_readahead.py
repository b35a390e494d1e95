"""How many chunks a worker has at hand, besides the one that it works on.

Dask sends a worker of one thread its next chunk alone (``distributed.scheduler.worker-saturation``). With
chunks that take milliseconds the scheduler then writes a message for each, which costs several times what the
chunk does. Workers of a scheduler in this process get as many chunks as they need for a moment, as long as
all goes well. Which worker has which chunk changes no result: outputs are merged in the order of the chunks.
"""

from __future__ import annotations

import math
from typing import Any, Self

__all__ = ["Readahead", "at_hand"]

#: What a worker has at hand should last this long [s]; a chunk of half of it is sent as Dask does by itself.
_LASTS_S = 0.2
#: Most chunks at hand for a thread.
_MOST = 100


def at_hand(usual: float, duration: float, lost: int) -> float:
    """Return how many chunks a thread may have: ``usual``, or more when one takes ``duration`` seconds only.

    ``duration`` below 0 is unknown. ``lost``: how many chunks were at workers that died; whatever is at hand
    there counts as having been tried (``allowed-failures``), so that after the first nothing is hurried.

    >>> at_hand(1.1, 0.01, 0), at_hand(1.1, 60.0, 0), at_hand(1.1, 0.01, 1)
    (20.0, 1.1, 1.1)
    """
    if lost or duration < 0 or math.isinf(usual):
        return usual
    return max(usual, min(float(_MOST), _LASTS_S / max(duration, 1e-6)))


class Readahead:
    """Adapts the scheduler of a client's own cluster; does nothing where somebody else runs it.

    ``key``: of one of the chunks. :meth:`look` is called now and then; leaving the context undoes everything.
    """

    def __init__(self, client: Any, key: str) -> None:
        from distributed.scheduler import Scheduler
        from distributed.utils import key_split

        scheduler = getattr(getattr(client, "cluster", None), "scheduler", None)
        self._scheduler = scheduler if isinstance(scheduler, Scheduler) else None
        self._prefix = key_split(key)
        self._usual = self._scheduler.WORKER_SATURATION if self._scheduler is not None else math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._scheduler is not None:
            self._scheduler.WORKER_SATURATION = self._usual

    def look(self) -> None:
        """Set what suits the chunks of late. The scheduler's thread sees it with the next chunk's end."""
        if self._scheduler is None or math.isinf(self._usual):
            return
        prefix = self._scheduler.task_prefixes.get(self._prefix)
        if prefix is not None:
            self._scheduler.WORKER_SATURATION = at_hand(
                self._usual, prefix.duration_average, prefix.suspicious
            )
