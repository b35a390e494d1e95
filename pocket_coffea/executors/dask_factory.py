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
from pathlib import Path
from typing import Any, ClassVar

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.dask_connection import Connection, connect_batch
from pocket_coffea.executors.dask_report import performance_report
from pocket_coffea.executors.dask_store import workers_see
from pocket_coffea.executors.executors_base import DaskExecutorFactory
from pocket_coffea.sites.book import SiteBook
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

    def get_worker_env(self) -> list[str]:
        """Return further shell lines that prepare a worker; one that fails is logged, and no more."""
        return []

    def start_cluster(self) -> None:
        """Start the workers, and leave ``dask_cluster`` and ``dask_client`` behind."""
        self.connection = self.connect()
        self.dask_cluster, self.dask_client = self.connection.cluster, self.connection.client
        setup = self.connection.setup
        if setup is not None and setup.proxy is not None:
            self.x509_path = str(setup.proxy.path)
        if self.run_options.get("performance-report"):
            self._report = contextlib.ExitStack()
            self._report.enter_context(performance_report(self.dask_client, self._output()))

    def connect(self) -> Connection:
        """Return the opened connection to the cluster of the site."""
        lines = self.get_worker_env()
        batch = self.site_data.batch
        if batch in ("htcondor", "slurm"):
            return connect_batch(self.site_data, self.run_options, self._output(), lines)
        msg = f"dask@{self.site_data.name}: there is no way to Dask workers where batch is {batch}."
        raise ConfigurationError(msg)

    def _output(self) -> Path:
        return Path(self.outputdir or ".").absolute()

    def customized_args(self) -> dict[str, Any]:
        if self._sees_output is None:
            # of a cluster that a subclass made nothing is known
            self._sees_output = self.connection is None or workers_see(self.dask_client, self._output())
        return {**super().customized_args(), "workers_see_store": self._sees_output}

    def provenance(self) -> dict[str, Any]:
        """Return, for the outputs, in what the workers run."""
        return self.connection.provenance() if self.connection is not None else {}

    def close(self) -> None:
        """Write the performance report, close client and cluster, remove jobs and secrets."""
        try:
            if self._report is not None:
                self._report.close()
        finally:
            if self.connection is not None:
                self.connection.close()
            else:
                super().close()  # of a subclass that made its own
            self.dask_client = self.dask_cluster = self.connection = None
