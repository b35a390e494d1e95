"""A worker that is told to leave while it still looks for its scheduler leaves at once: preload of its nanny.

Dask's nanny waits for a worker process that is starting before it ends it. When the run was interrupted its
scheduler is gone, so that the process looks for it until ``death-timeout``: the job stayed in the queue for
half a minute or more after Ctrl-C, until the batch system killed it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["dask_teardown"]


async def dask_teardown(nanny: Any) -> None:
    """Called by Dask when the nanny closes, before it waits for its process."""
    from distributed.core import Status

    worker = nanny.process
    if worker is not None and worker.status == Status.starting and worker.process is not None:
        await worker.process.kill()
