"""A peer that hangs up must not break the encrypted connections of others: preload of every Dask process.

When a write to a peer that has gone fails, OpenSSL 3 notes the error in a queue of the thread, and Python
3.13 does not take it out (python/cpython issue 148594): the next read of a healthy connection then fails
with it, and Dask loses clients and workers. Here the end of a connection empties the queue.
"""

from __future__ import annotations

import ctypes
import logging
from typing import Any

__all__ = ["dask_setup", "forget_tls_errors"]

log = logging.getLogger(__name__)


def forget_tls_errors() -> bool:
    """Change tornado's streams, once a process. Returns whether OpenSSL's function was found."""
    from tornado.iostream import IOStream

    close = IOStream.close_fd
    if close.__name__ != "close_fd":
        return True
    forget = _openssl_forget()
    if forget is None:
        log.debug("ERR_clear_error is not to be found: broken TLS connections may break others")
        return False

    def close_and_forget(stream: Any) -> None:
        close(stream)
        forget()

    setattr(IOStream, "close_fd", close_and_forget)  # noqa: B010  (type checkers refuse the assignment)
    return True


def _openssl_forget() -> Any:
    """Return ERR_clear_error of the very OpenSSL that this Python uses; None when it hides its functions."""
    import _ssl

    try:
        # symbols of a library are looked for in what it depends on, too
        forget = ctypes.CDLL(getattr(_ssl, "__file__", None)).ERR_clear_error
    except (OSError, AttributeError):
        return None
    forget.argtypes, forget.restype = [], None
    return forget


def dask_setup(_server: Any) -> None:
    """Called by Dask for a preload."""
    forget_tls_errors()
