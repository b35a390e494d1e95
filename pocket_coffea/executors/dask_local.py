"""A Dask cluster on this machine that belongs to its user alone.

Whoever reaches the scheduler of a cluster may run code as its owner, and on a shared machine everybody
reaches the loopback interface. So all connections are encrypted, with a certificate that is made for this
run, stays in memory, and has to be shown by every client; the status pages are off.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.dask_tls_errors import forget_tls_errors
from pocket_coffea.executors.worker_pool import ALLOCATOR
from pocket_coffea.log import FILE_ONLY

__all__ = ["DASK_SETTINGS", "NO_DASK", "dask_setup", "hide_leaving_clients", "local_cluster", "quiet_dask"]

#: Settings of Dask that the established sites use.
DASK_SETTINGS: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 10,
    "distributed.scheduler.work-stealing": True,
    "distributed.scheduler.default-task-durations": {"processor": "60s", "reduce": "10s"},
    "distributed.worker.memory.target": 0.8,
    "distributed.worker.memory.spill": 0.9,
    "distributed.worker.memory.pause": 0.92,
    "distributed.worker.memory.terminate": False,  # 0 would end every worker at once
    "distributed.worker.profile.interval": "1d",
    "distributed.worker.profile.cycle": "2d",
    "distributed.worker.profile.low-level": False,
    "distributed.diagnostics.nvml": False,
    "distributed.worker.preload": [__name__],  # calls dask_setup
    **{f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in ALLOCATOR.items()},
}

#: Without routes the status servers answer nothing; they cannot be left out altogether.
_ROUTES = ("distributed.scheduler.http.routes", "distributed.worker.http.routes")

NO_DASK = (
    "the dask executor needs the packages dask, distributed and cryptography, of which {missing} is not "
    "installed: pip install 'pocket-coffea[dask]', or use `-e futures`, which needs none of them."
)


def local_cluster(
    workers: int, memory_limit: Any = "auto", settings: Mapping[str, Any] = DASK_SETTINGS
) -> tuple[Any, Any]:
    """Return (cluster, client) with ``workers`` processes of one thread each; the caller closes both.

    memory_limit of a worker: a size such as "2GB", a bare number counts GB; "auto" shares out what there is.
    Raises ConfigurationError when Dask, or what it needs for encryption, is not installed.
    """
    try:
        import cryptography  # noqa: F401  (distributed needs it for the certificate)
        import dask

        # some are read when distributed is imported
        # a new list each time: Dask appends to it when another cluster of this process has status pages
        dask.config.set({**settings, **{name: [] for name in _ROUTES}})
        from distributed import Client, LocalCluster
        from distributed.security import Security
    except ImportError as exc:
        raise ConfigurationError(NO_DASK.format(missing=exc.name)) from exc
    if isinstance(memory_limit, int | float):
        memory_limit = f"{memory_limit}GB"  # Dask would count bytes
    forget_tls_errors()
    hide_leaving_clients()
    security = Security.temporary()
    cluster = LocalCluster(
        n_workers=max(1, workers),
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        protocol="tls://",
        security=security,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=memory_limit,
        silence_logs=logging.ERROR,
    )
    return cluster, Client(cluster)


def dask_setup(_worker: Any) -> None:
    """Prepare a worker: Ctrl-C reaches every process of a terminal, and the main process decides about it.

    What goes wrong in a task is told by the main process, once, and not on its terminal by each worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)
    forget_tls_errors()


class _LeavingClient(logging.Filter):
    """Leaves to the log file what a scheduler says when a client goes while a message to it is on its way."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.args == ("register-client",):
            vars(record).update(FILE_ONLY)
        return True


_LEAVING_CLIENT = _LeavingClient()


def hide_leaving_clients() -> None:
    """Keep the errors of a scheduler of this process about clients that leave from the console."""
    logging.getLogger("distributed.core").addFilter(_LEAVING_CLIENT)  # once, however often it is called


@contextlib.contextmanager
def quiet_dask() -> Iterator[None]:
    """Keep Dask from reporting what is cut off when it is closed in the middle of its work."""
    names = ("asyncio", "distributed.core", "distributed.nanny", "distributed.scheduler")
    before = [(logger, logger.level) for logger in map(logging.getLogger, names)]
    try:
        for logger, _ in before:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
