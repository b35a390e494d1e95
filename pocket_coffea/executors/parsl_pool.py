"""The process of one batch job with Parsl's workers: ``python -m pocket_coffea.executors.parsl_pool``.

It is Parsl's own pool, but it ends as soon as one of its processes dies. Parsl would start another process;
one that is killed while it waits for a task, however, takes the lock of the queue with it, and the pool would
go on without ever working again. A batch job that has ended is what a run copes with.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import sys
import threading
import time
from multiprocessing import connection
from multiprocessing.process import BaseProcess

__all__ = ["MODULE", "first_death", "watch"]

MODULE = "parsl.executors.high_throughput.process_worker_pool"
#: A thread of the pool that is there until the pool ends its processes itself.
_THREAD = "worker-watchdog"
_PERIOD_S = 1.0


def watch() -> None:
    """End this process, and its children, when a child dies while the pool works."""
    threading.Thread(target=_watch, name="parsl-pool-watch", daemon=True).start()


def _watch() -> None:
    said = first_death()
    print(f"parsl_pool: {said}; this job ends, and the run goes on with another", file=sys.stderr, flush=True)  # noqa: T201
    for child in multiprocessing.active_children():
        with contextlib.suppress(Exception):
            child.kill()
    # the job did work: one that fails would count as one that could not start its workers
    os._exit(0)


def first_death(period: float = _PERIOD_S) -> str:
    """Return, when a child of this process has died while the pool works, what is to be said of it."""
    known: dict[int, BaseProcess] = {}  # those that have died are no longer active
    while True:
        known |= {child.sentinel: child for child in multiprocessing.active_children()}
        ended = connection.wait(list(known), timeout=period)
        dead = [child for sentinel, child in known.items() if sentinel in ended]
        if dead and any(thread.name == _THREAD for thread in threading.enumerate()):
            dead[0].join(period)
            return f"its process {dead[0].name} ({dead[0].pid}) died, exit code {dead[0].exitcode}"
        if dead:
            time.sleep(period)  # the pool is just beginning or ending


if __name__ == "__main__":
    watch()
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
