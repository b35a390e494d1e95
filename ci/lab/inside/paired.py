"""Start a helper program, wait until it listens, and become the main program, with which the helper ends.

``python3 -m ci.lab.inside.paired WHERE MAIN ARGUMENTS... -- HELPER ARGUMENTS...``; WHERE the helper listens
is a port of loopback or the path of a socket. The kernel ends the helper when the main program ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from pathlib import Path

SEPARATOR = "--"
PR_SET_PDEATHSIG = 1
SO_ACCEPTCON = 0x10000
WAIT_SECONDS = 10.0


def main() -> None:
    where, *words = sys.argv[1:] or [""]
    if SEPARATOR not in words[1:-1]:
        sys.exit(f"usage: paired WHERE MAIN ARGUMENTS... {SEPARATOR} HELPER ARGUMENTS...")
    at = words.index(SEPARATOR)
    if not where.isdecimal():
        Path(where).unlink(missing_ok=True)  # of an earlier life
    parent = os.getpid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)
        _become(words[at + 1 :])
    deadline = time.monotonic() + WAIT_SECONDS
    while not _listens(where):
        if time.monotonic() > deadline:
            sys.exit(f"{words[at + 1]} does not listen at {where} after {WAIT_SECONDS:.0f} s")
        time.sleep(0.05)
    _become(words[:at])


def _listens(where: str) -> bool:
    if not where.isdecimal():
        return _socket_listens(where)
    try:
        socket.create_connection(("127.0.0.1", int(where)), timeout=1).close()
    except OSError:
        return False
    return True


def _socket_listens(path: str) -> bool:
    """Ask the kernel (proc(5), net/unix): a connection of ours might take the place of the main program's."""
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return any(row[-1] == path and int(row[3], 16) & SO_ACCEPTCON for row in rows)


def _become(command: list[str]) -> None:
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr, flush=True)
        os._exit(127)


if __name__ == "__main__":
    main()
