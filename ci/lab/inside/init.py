"""Process 1 of a lab: it reaps orphans and ends everything when it is told to end."""

from __future__ import annotations

import os
import signal
import sys

from ci.lab.inside.supervisor import supervise


def main() -> None:
    """Fork the supervisor, wait for whatever ends, and leave with the supervisor.

    When process 1 leaves, the kernel ends every other process of the lab and drops its mounts.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        supervise()
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    while True:
        ended, status = os.wait()
        if ended == child:
            sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
