"""Where a Dask scheduler listens: an address that workers reach, a free port, a private dashboard."""

from __future__ import annotations

import contextlib
import errno
import getpass
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pocket_coffea.errors import ConfigurationError, OptionError

__all__ = [
    "DASHBOARD_PORT",
    "announce_dashboard",
    "dashboard_address",
    "free_port",
    "scheduler_options",
    "started",
]

log = logging.getLogger(__name__)

#: First port tried for the dashboard.
DASHBOARD_PORT = 8787
#: How many ports are tried, one after the other.
_TRIES = 200
#: How often a scheduler is started again when somebody else took its port in the same moment.
_STARTS = 5


def started(make: Callable[[], Any]) -> Any:
    """Return the cluster that ``make()`` starts, again with other ports when somebody took them meanwhile.

    Raises ConfigurationError when the scheduler cannot be started.
    """
    left = _STARTS
    while True:
        left -= 1
        try:
            return make()
        except RuntimeError as exc:
            causes = list(_causes(exc))
            if left and any(_is_port_taken(cause) for cause in causes):
                log.debug("somebody took the port of the scheduler: %s", causes[-1])
                continue
            msg = f"The Dask scheduler cannot be started: {causes[-1]}"
            raise ConfigurationError(msg) from exc


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it comes from, the first one last: Dask says "failed to start" only."""
    while error is not None:
        yield error
        error = error.__cause__


def _is_port_taken(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def scheduler_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of Dask's scheduler: ``dask-scheduler-host`` and ``dask-scheduler-port``.

    A busy port is skipped, and the log says so. Raises OptionError for a host that has no address, and
    ConfigurationError when no port is free.
    """
    host = str(options.get("dask-scheduler-host") or socket.gethostname())
    address = _address(host, given=bool(options.get("dask-scheduler-host")))
    ours = address is None or _is_ours(address)
    wanted = options.get("dask-scheduler-port")
    port = free_port(8786 if wanted is None else int(wanted), address if ours and address else "")
    found: dict[str, Any] = {"port": port, "dashboard_address": dashboard_address(port)}
    if address is None:
        return found  # Dask looks for an address itself
    if ours:
        return {**found, "host": address}
    # the name of another machine, which forwards the port to this one
    if port == 0:
        msg = f"run option dask-scheduler-port = 0: the host {host!r} can only forward a port that is known."
        raise OptionError(msg)
    return {**found, "contact_address": f"tls://{host}:{port}"}


def _address(host: str, given: bool) -> str | None:
    """Return the address of a host; None when a host that nobody named has none."""
    try:
        address = str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError as exc:
        if not given:
            return None
        msg = f"run option dask-scheduler-host = {host!r}: it has no address ({exc.strerror or exc})."
        raise OptionError(msg) from exc
    if not given and address.startswith("127."):
        # many machines have their own name on the loopback, where no worker finds it
        outside = _outgoing_address()
        return outside or address
    return address


def _outgoing_address() -> str:
    """Return the address that packets of this machine carry, empty when it has no network. Sends nothing."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address for documentation, never a real host
        return str(probe.getsockname()[0])
    return ""


def _is_ours(address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def free_port(first: int, address: str = "") -> int:
    """Return the first free port from ``first`` on; 0 gives any. Raises ConfigurationError without one."""
    for port in range(first, min(first + _TRIES, 65536)):
        if _is_free(port, address):
            if port not in (first, 0):
                log.info("port %d is busy: %d is taken", first, port)
            return port
        if port == 0:
            break
    msg = (
        f"No port from {first} to {min(first + _TRIES, 65536) - 1} is free (run option dask-scheduler-port)."
    )
    raise ConfigurationError(msg)


def _is_free(port: int, address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Dask's own
            probe.bind((address, port))
    except OSError as exc:
        if exc.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise
    return True


def dashboard_address(taken: int) -> str:
    """Return where the dashboard may listen: the loopback, so that nobody from outside sees it.

    ``taken``: the port that the scheduler will have.
    """
    first = max(DASHBOARD_PORT, taken + 1 if taken - DASHBOARD_PORT in range(_TRIES) else 0)
    try:
        return f"127.0.0.1:{free_port(first, '127.0.0.1')}"
    except ConfigurationError:
        return "127.0.0.1:0"


def announce_dashboard(cluster: Any) -> str | None:
    """Say where the dashboard of a cluster of this process is, and how to reach it from elsewhere.

    Returns its address, None when there is none.
    """
    port = cluster.scheduler.services.get("dashboard") and cluster.scheduler.services["dashboard"].port
    if not port:
        log.info("Dask has no dashboard here: the package bokeh is not installed")
        return None
    address = f"http://localhost:{port}/status"
    log.info(">> You can connect to the Dask viewer at %s", address)
    tunnel = f"ssh -N -L {port}:localhost:{port} {getpass.getuser()}@{socket.getfqdn()}"
    log.info("   from your own machine through: %s", tunnel)
    return address
