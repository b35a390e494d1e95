"""The Dask executors of sites: what ``dask@SITE`` makes, and what users subclass.

::

    from pocket_coffea.executors.executors_lxplus import DaskExecutorFactory

    class MyFactory(DaskExecutorFactory):
        def get_worker_env(self):
            return [*super().get_worker_env(), "export MY_VARIABLE=1"]
"""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pocket_coffea.executors.dask_connection import Connection, connect_started
from pocket_coffea.executors.dask_local import quiet_dask
from pocket_coffea.executors.dask_report import performance_report
from pocket_coffea.executors.dask_store import workers_see
from pocket_coffea.executors.executors_base import DaskExecutorFactory
from pocket_coffea.sites.book import SiteBook
from pocket_coffea.sites.hosts import require_submit_host
from pocket_coffea.sites.site import Site, adjusted

__all__ = ["SiteDaskExecutorFactory"]

log = logging.getLogger(__name__)


class SiteDaskExecutorFactory(DaskExecutorFactory):
    """Dask workers of the site named ``site``, in jobs of its batch system or as its facility gives them."""

    #: Name of the site.
    site: ClassVar[str] = ""
    connection: Connection | None = None
    _sees_output: bool | None = None
    _report: contextlib.ExitStack | None = None

    def setup(self) -> None:
        """Prepare and start everything; what was started is closed when the rest fails."""
        #: The site's data, with what the run options replace.
        self.site_data = adjusted(self.get_site(), self.run_options)
        super().setup()

    def get_site(self) -> Site:
        """Return the site: the one that was found for the executor string, else the one named ``site``."""
        given = self.kwargs.get("site")
        return (
            given if isinstance(given, Site) else SiteBook(self.kwargs.get("site_files", ())).get(self.site)
        )

    def setup_proxyfile(self) -> None:
        """Leave the proxy to WorkerSetup, which checks it for the time of the jobs and delivers it."""

    def get_worker_env(self) -> Any:
        """Return further shell lines that prepare a worker, or a mapping of environment variables.

        A line that fails is logged, and no more. Workers of a facility run no lines."""
        return []

    def start_cluster(self) -> None:
        """Start the workers, and leave ``dask_cluster`` and ``dask_client`` behind."""
        self.connection = self.connect()
        self.dask_cluster, self.dask_client = self.connection.cluster, self.connection.client
        if self.connection.proxy is not None:
            self.x509_path = str(self.connection.proxy.path)
        if self.run_options.get("performance-report"):
            self._report = contextlib.ExitStack()
            self._report.enter_context(performance_report(self.dask_client, self._output()))

    def connect(self) -> Connection:
        """Return the opened connection to the cluster of the site."""
        site, output, lines = self.site_data, self._output(), self.get_worker_env()
        require_submit_host(site, f"dask@{site.name}")
        if site.batch in ("gateway", "scheduler"):
            from pocket_coffea.executors import dask_facility

            connect = {"gateway": dask_facility.connect_gateway, "scheduler": dask_facility.connect_scheduler}
            return connect[site.batch](site, self.run_options, output, lines)
        if isinstance(lines, Mapping):
            lines = [f"export {name}={shlex.quote(str(value))}" for name, value in lines.items()]
        return connect_started(site, self.run_options, output, lines)

    def _output(self) -> Path:
        return Path(self.outputdir or ".").absolute()

    def customized_args(self) -> dict[str, Any]:
        if self._sees_output is None:
            # of a cluster that a subclass made nothing is known
            self._sees_output = self.connection is None or workers_see(self.dask_client, self._output())
        guard = self.connection.guard if self.connection is not None else None
        return {**super().customized_args(), "workers_see_store": self._sees_output, "guard": guard}

    def provenance(self) -> dict[str, Any]:
        """Return, for the outputs, in what the workers run."""
        return self.connection.provenance() if self.connection is not None else {}

    def close(self) -> None:
        """Write the performance report, close client and cluster, remove jobs and secrets."""
        try:
            if self._report is not None:
                with quiet_dask():
                    self._report.close()
        finally:
            if self.connection is not None:
                self.connection.close()
            else:
                super().close()  # of a subclass that made its own
            self.dask_client = self.dask_cluster = self.connection = None
