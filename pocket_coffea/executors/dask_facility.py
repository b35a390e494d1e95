"""Dask where a facility starts the workers: an existing scheduler (``sched-url``), and Dask Gateway."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_coffea.errors import ConfigurationError, OptionError, PocketCoffeaError
from pocket_coffea.executors.dask_connection import Connection, seconds_of, set_dask
from pocket_coffea.executors.dask_waiting import count_workers, wait_for_first_worker
from pocket_coffea.executors.proxy import find_proxy
from pocket_coffea.executors.worker_environment import WorkerEnvironment, plan_environment
from pocket_coffea.executors.worker_variables import worker_variables
from pocket_coffea.images.check import Expectation
from pocket_coffea.images.same_code import submitting_digest
from pocket_coffea.utils.units import to_megabytes

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Site

__all__ = ["connect_gateway", "connect_scheduler"]

log = logging.getLogger(__name__)

#: How long the first worker may take when ``dask-worker-start-timeout`` is not given [s].
_START_TIMEOUT = 900
_CONNECT_TIMEOUT = 30
#: Asked of workers before anything of this package travels to them.
_PYTHON = "'%d.%d' % __import__('sys').version_info[:2]"
_HAS_PACKAGE = "__import__('importlib.util').util.find_spec('pocket_coffea') is not None"
#: Variables of the session that workers of a Gateway on Kubernetes need.
_OF_SESSION = ("NB_UID", "NB_GID", "PYTHONPATH", "LD_LIBRARY_PATH", "X509_CERT_DIR")


class _FacilityJobs:
    """What is known of workers that somebody else starts."""

    def __init__(self, hint: str) -> None:
        self._hint = hint

    def submitted(self) -> list[str]:
        return []

    def refused(self) -> list[str]:
        return []

    def living(self) -> set[str]:
        return set()

    def why(self, jobs: Sequence[str]) -> list[str]:
        del jobs
        return [self._hint]

    def logs(self) -> Path | None:
        return None


def connect_scheduler(
    site: Site, options: Mapping[str, Any], outputdir: str | Path, lines: Any
) -> Connection:
    """Connect to the scheduler at ``sched-url`` and prepare its workers; it goes on when the run ends.

    Certificates are those of Dask's own settings. Raises OptionError without an address, ConfigurationError
    when there is no connection, or a worker's environment is wrong.
    """
    address = options.get("sched-url")
    if not address:
        msg = (
            f"dask@{site.name} needs the run option sched-url, the address of your Dask scheduler: the "
            "cluster is made and scaled in the facility's panel, which shows it (tls://... or tcp://...)."
        )
        raise OptionError(msg)
    variables = _variables_of(lines)
    set_dask()
    from distributed import Client

    if str(address).startswith("tcp://"):
        log.warning("sched-url %s: this connection is not encrypted", address)
    environment = _environment(site, options, outputdir)
    connection = Connection()
    with connection.complete_or_closed():
        try:
            connection.client = connection.undo.enter_context(Client(str(address), timeout=_CONNECT_TIMEOUT))
        except (OSError, ValueError, TypeError) as exc:
            raise ConfigurationError(_no_connection(str(address), exc)) from exc
        hint = f"The scheduler {address} has no workers: scale its cluster in the facility's panel."
        _wait_and_prepare(connection, site, options, environment, variables, hint)
        connection.facts["scheduler"] = str(address)
    return connection


def _no_connection(address: str, exc: Exception) -> str:
    tls = (
        " It wants certificates: those of the facility stand in Dask's settings (distributed.comm.tls)."
        if address.startswith("tls")
        else " A scheduler that speaks TLS has an address tls://..."
    )
    return f"run option sched-url = {address!r}: no connection to a Dask scheduler ({exc}).{tls}"


def connect_gateway(site: Site, options: Mapping[str, Any], outputdir: str | Path, lines: Any) -> Connection:
    """Make a cluster with Dask Gateway and prepare its workers; it ends with the run.

    Raises ConfigurationError when the Gateway does not answer or a package is missing.
    """
    variables = _variables_of(lines)
    _require_packages(options)
    set_dask()
    from dask_gateway import Gateway

    environment = _environment(site, options, outputdir)
    connection = Connection()
    with connection.complete_or_closed():
        try:
            # closes itself: one that was closed before complains when it is deleted
            gateway = Gateway(**_addresses(options))
            log.info(">> Sending out jobs")
            cluster = connection.cluster = gateway.new_cluster(
                **_cluster_options(gateway, options, environment)
            )
        except Exception as exc:
            if isinstance(exc, PocketCoffeaError):
                raise
            msg = (
                f"Dask Gateway at {options.get('gateway-address') or 'the address of its settings'} made no "
                f"cluster: {type(exc).__name__}: {exc}"
            )
            raise ConfigurationError(msg) from exc
        connection.undo.callback(cluster.shutdown)
        workers = int(options.get("scaleout") or 1)
        if options.get("adaptive"):
            cluster.adapt(minimum=1, maximum=workers)
        else:
            cluster.scale(workers)
        connection.client = connection.undo.enter_context(cluster.get_client())
        if cluster.dashboard_link:
            log.info(">> You can connect to the Dask viewer at %s", cluster.dashboard_link)
        hint = f"Dask Gateway has started no worker of the cluster {cluster.name}."
        _wait_and_prepare(connection, site, options, environment, variables, hint)
        connection.facts |= {"gateway": str(gateway.address), "cluster": str(cluster.name)}
    return connection


def _addresses(options: Mapping[str, Any]) -> dict[str, str]:
    """Return where the Gateway is; what is not given is left to Dask's settings."""
    address, proxy = options.get("gateway-address"), options.get("gateway-proxy-address")
    found = {"address": address, "public_address": address, "proxy_address": proxy}
    return {name: str(value) for name, value in found.items() if value}


def _require_packages(options: Mapping[str, Any]) -> None:
    """Raise ConfigurationError naming the packages that this process, or the cluster, would lack."""
    needed = {"dask_gateway": "dask-gateway"}
    if not options.get("ignore-grid-certificate"):
        needed["pyxrootd"] = "xrootd"
    if options.get("conda-env"):
        needed["prometheus_client"] = "prometheus_client"  # the cluster's scheduler runs in this environment
    missing = [package for module, package in needed.items() if importlib.util.find_spec(module) is None]
    if missing:
        msg = f"Dask Gateway needs packages that are not installed here: pip install {' '.join(missing)}"
        raise ConfigurationError(msg)


def _cluster_options(
    gateway: Any, options: Mapping[str, Any], environment: WorkerEnvironment
) -> dict[str, Any]:
    """Return what the facility lets its users choose of a cluster."""
    offered = set(gateway.cluster_options())
    session = {name: os.environ[name] for name in _OF_SESSION if name in os.environ}
    wanted: dict[str, Any] = {"worker_cores": int(options.get("cores-per-worker") or 1), "env": session}
    if options.get("mem-per-worker"):
        wanted["worker_memory"] = to_megabytes(options["mem-per-worker"]) / 1000
    if options.get("conda-env"):
        wanted["conda_env"] = sys.prefix
    if image := environment.provenance.get("image"):
        wanted["image"] = _image_name(image["location"])
    left = sorted(name for name in wanted.keys() - offered if name != "env")
    if left:
        log.info("Dask Gateway here does not let its users choose %s: its own values hold", ", ".join(left))
    return {name: value for name, value in wanted.items() if name in offered}


def _image_name(location: str) -> str:
    """Return an image as Kubernetes names it: of a registry without ``docker://``, a file by its path."""
    return location.removeprefix("docker://").removeprefix("oras://")


def _variables_of(lines: Any) -> dict[str, str]:
    """Return what get_worker_env gives, where it can only be variables. Raises ConfigurationError."""
    if isinstance(lines, Mapping):
        return {str(name): str(value) for name, value in lines.items()}
    if lines:
        msg = (
            "get_worker_env() returned shell lines, and workers of a facility are started already: return a "
            "mapping of environment variables."
        )
        raise ConfigurationError(msg)
    return {}


def _wait_and_prepare(
    connection: Connection,
    site: Site,
    options: Mapping[str, Any],
    environment: WorkerEnvironment,
    variables: Mapping[str, str],
    hint: str,
) -> None:
    """Wait for the first worker, and register what prepares each of them."""
    from pocket_coffea.executors.dask_plugin import FacilityPlugin

    client = connection.client
    proxy = find_proxy(options)
    timeout = seconds_of(options, "dask-worker-start-timeout", _START_TIMEOUT)
    wait_for_first_worker(lambda: count_workers(client), _FacilityJobs(hint), timeout)
    _require_package(client)
    plugin = FacilityPlugin(
        _expectation(environment, options).to_json(),
        None if proxy is None else proxy.path.read_bytes(),
        {**worker_variables(site, options), **variables},
    )
    connection.undo.callback(_forget, client, plugin.name)
    try:
        client.register_plugin(plugin)
    except PocketCoffeaError as exc:
        msg = f"A worker of {site.name} cannot take part: {exc}"
        raise ConfigurationError(msg) from exc
    connection.proxy = proxy
    connection.facts |= {"site": site.name, "batch": site.batch, **environment.provenance}


def _environment(site: Site, options: Mapping[str, Any], outputdir: str | Path) -> WorkerEnvironment:
    """Return what workers must run in: the image of the site, unless the user accepts the facility's own."""
    if options.get("allow-unpinned-image") and not options.get("worker-image"):
        found = {"kind": "given", "pinned": False, "python": f"of {site.name}"}
        return WorkerEnvironment(kind="given", provenance=found)
    return plan_environment(site, options, str(Path(outputdir).absolute()))


def _require_package(client: Any) -> None:
    """Raise ConfigurationError when workers have another Python, or not this package."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    pythons = sorted(set(client.run(eval, _PYTHON).values()))
    if pythons != [here]:
        msg = (
            f"The Dask workers have Python {', '.join(pythons)}, this process has {here}: what is sent would "
            "not be understood. Start this command with the same Python."
        )
        raise ConfigurationError(msg)
    if not all(client.run(eval, _HAS_PACKAGE).values()):
        msg = "The Dask workers do not have PocketCoffea: choose the pinned image for them in the facility."
        raise ConfigurationError(msg)


def _expectation(environment: WorkerEnvironment, options: Mapping[str, Any]) -> Expectation:
    """Return what workers must have: the image; without one the same Python and the same code."""
    if environment.expectation is not None:
        return environment.expectation
    code = "" if options.get("allow-code-mismatch") else submitting_digest()
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return Expectation("the facility's environment", "directory", False, "", "", "", code, here)


def _forget(client: Any, name: str) -> None:
    try:
        client.unregister_worker_plugin(name)
    except Exception as exc:  # noqa: BLE001  (it was not registered everywhere, or the scheduler is gone)
        log.debug("the preparation of workers was not undone: %s", exc)
