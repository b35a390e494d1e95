"""The process between Parsl and its workers: ``python -m pocket_coffea.executors.parsl_interchange``.

It is Parsl's own, but Ctrl-C in a terminal and the terminal's end, which reach every process there, do not
end it before the run has removed its jobs; and it ends when the run is killed, which its workers notice by
missing heartbeats.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

__all__ = ["MODULE", "end_with_parent"]

MODULE = "parsl.executors.high_throughput.interchange"


def end_with_parent(parent: int, period: float = 2.0) -> None:
    """End this process once another one has become its parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(period)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(int(sys.argv[1]) if len(sys.argv) > 1 else os.getppid())
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
