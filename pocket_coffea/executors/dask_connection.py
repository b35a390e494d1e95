"""A Dask cluster of a site, opened with all that belongs to it, for :mod:`.dask_factory`."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_coffea.errors import ConfigurationError, OptionError
from pocket_coffea.executors.batch_request import batch_request
from pocket_coffea.executors.dask_guard import WorkerGuard
from pocket_coffea.executors.dask_job_plan import JobPlan
from pocket_coffea.executors.dask_local import DASK_SETTINGS, NO_DASK, hide_leaving_clients, quiet_dask
from pocket_coffea.executors.dask_scheduler import announce_dashboard, started
from pocket_coffea.executors.dask_security import RunCertificates, make_certificates
from pocket_coffea.executors.dask_tls_errors import forget_tls_errors
from pocket_coffea.executors.dask_waiting import START_TIMEOUT, count_workers, wait_for_first_worker
from pocket_coffea.executors.proxy import GridProxy
from pocket_coffea.executors.setup import WorkerSetup
from pocket_coffea.utils.units import to_seconds

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Site

__all__ = ["NO_JOBQUEUE", "Connection", "connect_started", "seconds_of", "set_dask", "worker_ports"]

log = logging.getLogger(__name__)

NO_JOBQUEUE = (
    "Dask workers in jobs of a batch system need the package dask-jobqueue, which is not installed. It is in "
    "the images of the sites: start this command in one (apptainer shell IMAGE). Or: "
    "pip install 'pocket-coffea[jobqueue]'."
)
#: What the scheduler's status server shows; it listens on the loopback alone.
_STATUS_ROUTES = [
    "distributed.http.scheduler.prometheus",
    "distributed.http.scheduler.info",
    "distributed.http.scheduler.json",
    "distributed.http.health",
    "distributed.http.statics",
]
#: A worker that is killed while its image is taken away would leave gigabytes where the run was started.
_NO_CORE = "ulimit -c 0"
#: How long a worker looks for its scheduler when ``death-timeout`` is not given [s].
_DEATH_TIMEOUT = 300


@dataclass
class Connection:
    """A client, the cluster behind it (None when somebody else runs it), and what is to be undone."""

    client: Any = None
    cluster: Any = None
    setup: WorkerSetup | None = None
    proxy: GridProxy | None = None
    guard: WorkerGuard | None = None
    #: Facts for the provenance of the outputs.
    facts: dict[str, Any] = field(default_factory=dict)
    undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def close(self) -> None:
        """Undo everything, the last first; a second time does nothing."""
        with quiet_dask():
            self.undo.close()
        self.client = self.cluster = None

    @contextlib.contextmanager
    def complete_or_closed(self) -> Iterator[None]:
        """Close what was opened when the rest cannot be opened, or the user interrupts."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def provenance(self) -> dict[str, Any]:
        """Return plain data: in what the workers run, and where."""
        found = {**(self.setup.provenance() if self.setup is not None else {}), **self.facts}
        if self.client is not None:
            workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
            found["workers"] = len(workers)
            found["hosts"] = sorted({str(worker["host"]) for worker in workers})
        return found


def set_dask(settings: Mapping[str, Any] = DASK_SETTINGS) -> None:
    """Give Dask its settings in this process. Raises ConfigurationError when it is not installed."""
    try:
        import dask

        own = {key: value for key, value in settings.items() if ".preload" not in key}
        # some are read when distributed is imported; a new list, since Dask appends to it
        dask.config.set({**own, "distributed.scheduler.http.routes": list(_STATUS_ROUTES)})
        import distributed  # noqa: F401
    except ImportError as exc:
        raise ConfigurationError(NO_DASK.format(missing=exc.name)) from exc
    forget_tls_errors()
    hide_leaving_clients()


def connect_started(
    site: Site, options: Mapping[str, Any], outputdir: str | Path, lines: Sequence[str] = ()
) -> Connection:
    """Start a scheduler here and workers in jobs of the site, or processes of this machine where it has no
    batch system; return when the first worker is there.

    ``lines``: shell lines of ``get_worker_env``. Raises ConfigurationError or OptionError before anything is
    submitted, ProcessingError when no worker starts; nothing is left behind then.
    """
    set_dask()
    _require_jobqueue(site.batch)
    from distributed import Client

    if options.get("dask-log-directory"):
        site = replace(site, logs=str(options["dask-log-directory"]))
    request = batch_request(site, options)
    certificates = make_certificates()
    connection = Connection()
    with connection.complete_or_closed():
        setup = connection.setup = WorkerSetup.prepare(site, options, outputdir, [_NO_CORE, *lines])
        connection.proxy = setup.proxy
        connection.undo.callback(setup.close)
        for name, content in certificates.worker_files().items():
            setup.folder.add(name, content)
        plan = JobPlan(
            setup,
            request,
            run=secrets.token_hex(4),
            death_timeout=seconds_of(options, "death-timeout", _DEATH_TIMEOUT),
            directives=dict(options.get("dask-job-extra-directives") or {}),
            worker_port=worker_ports(options),
        )
        cluster = connection.cluster = _start(site.batch, plan, certificates, options)
        connection.undo.callback(cluster.close)
        connection.client = connection.undo.enter_context(Client(cluster))
        connection.facts = {"batch": site.batch, "run": plan.run, "queue": request.queue}
        log.info(">> Sending out jobs")
        jobs = int(options.get("scaleout") or 1)
        cluster.start_workers(jobs, bool(options.get("adaptive")))
        announce_dashboard(cluster)
        timeout = seconds_of(options, "dask-worker-start-timeout", START_TIMEOUT)
        wait_for_first_worker(lambda: count_workers(connection.client), cluster, timeout)
        connection.guard = connection.undo.enter_context(WorkerGuard(cluster, jobs))
    return connection


def worker_ports(options: Mapping[str, Any]) -> str | None:
    """Return ``dask-worker-port``: a port, or the first and the last of several. Raises OptionError."""
    given = options.get("dask-worker-port")
    if given is None:
        return None
    text = str(given).strip()
    ports = [int(part) for part in text.split(":") if part.isdecimal()]
    if len(ports) != text.count(":") + 1 or len(ports) > 2 or ports != sorted(ports) or ports[-1] > 65535:
        msg = (
            f"run option dask-worker-port = {given!r}: give a port such as 10000, or the first and the last "
            "of several, such as 10000:10100."
        )
        raise OptionError(msg)
    return text


def _require_jobqueue(batch: str) -> None:
    if batch != "none" and importlib.util.find_spec("dask_jobqueue") is None:
        raise ConfigurationError(NO_JOBQUEUE)


def _start(batch: str, plan: JobPlan, certificates: RunCertificates, options: Mapping[str, Any]) -> Any:
    """Return the cluster, still without workers."""
    if batch == "none":
        from pocket_coffea.executors.dask_here import LocalWorkers

        return started(lambda: LocalWorkers(plan, certificates, options))
    with _signals_kept():
        from pocket_coffea.executors.dask_batch import start_cluster

    return start_cluster(batch, plan, certificates, options)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Give signals their handlers back: importing dask-jobqueue makes Ctrl-C end a process with code 0."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit as exc:  # its handler was called while the rest was imported
        raise KeyboardInterrupt from exc
    finally:
        for number, handler in before.items():
            with contextlib.suppress(ValueError, TypeError):  # not in the main thread; not set from Python
                signal.signal(number, handler)


def seconds_of(options: Mapping[str, Any], name: str, default: int) -> int:
    """Return a duration among the run options [s]."""
    value = options.get(name)
    return default if value is None else to_seconds(value)
