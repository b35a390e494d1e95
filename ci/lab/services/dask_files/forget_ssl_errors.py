"""Dask preload: a peer that hangs up must not break the connections of others.

When a write to a peer that has gone fails, OpenSSL 3.5 notes the error in a queue of the thread and Python
3.13 (both of Debian 13) does not take it out: the next read of a healthy connection then fails with it, and
Dask loses clients and workers (python/cpython issue 148594). Here the end of a connection empties the queue.
"""

from __future__ import annotations

import ctypes

from tornado.iostream import IOStream


def install() -> None:
    """Change tornado's streams, once: Dask loads this file several times in a process."""
    close = IOStream.close_fd
    if close.__name__ != "close_fd":
        return
    forget_errors = ctypes.CDLL("libcrypto.so.3").ERR_clear_error

    def close_and_forget(stream: IOStream) -> None:
        close(stream)
        forget_errors()

    setattr(IOStream, "close_fd", close_and_forget)  # noqa: B010 - type checkers refuse the plain assignment


install()
