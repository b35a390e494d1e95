"""Factories that turn run options into a coffea executor.

A site or a user adds an executor by deriving from :class:`ExecutorFactoryABC` (or
:class:`DaskExecutorFactory`) and defining ``get_executor_factory(executor_name, **kwargs)`` in a module,
which is given with ``--executor-custom-setup``.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pocket_coffea.errors import OptionError, did_you_mean
from pocket_coffea.executors.dask_local import DASK_SETTINGS, local_cluster, quiet_dask
from pocket_coffea.executors.local import DaskExecutor, FuturesExecutor, IterativeExecutor
from pocket_coffea.executors.worker_pool import ALLOCATOR, WorkerPool

__all__ = [
    "DaskExecutorFactory",
    "ExecutorFactoryABC",
    "FactoryGetter",
    "FuturesExecutorFactory",
    "IterativeExecutorFactory",
    "get_executor_factory",
    "not_here",
    "site_factory_getter",
]

log = logging.getLogger(__name__)


class ExecutorFactoryABC(ABC):
    """Makes one executor; :meth:`get` may be called again for the next group of datasets.

    ``run_options`` are the merged run options; ``outputdir`` is the output folder (kept when given).
    """

    #: True for factories that submit jobs themselves instead of giving an executor.
    handles_submission: ClassVar[bool] = False

    def __init__(self, run_options: Mapping[str, Any], outputdir: str | None = None, **kwargs: Any) -> None:
        self.run_options = dict(run_options)
        self.outputdir = outputdir
        self.kwargs = kwargs
        #: Path of the grid proxy, None when none is used.
        self.x509_path: str | None = None
        self.setup()

    def setup(self) -> None:
        """Prepare everything; called by the constructor."""
        self.setup_proxyfile()
        self.set_env()

    def setup_proxyfile(self) -> None:
        """Find the grid proxy, unless the run option ``ignore-grid-certificate`` is true.

        Raises ConfigurationError when there is none, or when it cannot be used: see
        :func:`pocket_coffea.executors.proxy.find_proxy`.
        """
        from pocket_coffea.executors.proxy import find_proxy

        proxy = find_proxy(self.run_options)
        self.x509_path = None if proxy is None else str(proxy.path)

    def environment(self) -> dict[str, str]:
        """Variables for the processes that read events."""
        env = {"XRD_RUNFORKHANDLER": "1"}
        env.update({name: os.environ.get(name, value) for name, value in ALLOCATOR.items()})
        if self.x509_path is not None:
            env["X509_USER_PROXY"] = self.x509_path
        return env

    def set_env(self) -> None:
        """Set :meth:`environment` in this process; what it starts inherits it."""
        os.environ.update(self.environment())

    def customized_args(self) -> dict[str, Any]:
        """Return the arguments of the executor; override it, call super() and change the result."""
        return {}

    @abstractmethod
    def get(self) -> Any:
        """Return the coffea executor."""

    def provenance(self) -> dict[str, Any]:
        """Return plain data about the surroundings of the workers, for the provenance of outputs."""
        return {}

    def close(self) -> None:  # noqa: B027  (nothing to release is the usual case)
        """Release what :meth:`setup` made; called at the end of the run, also after an error."""

    def _fan_in(self) -> int:
        return int(self.run_options.get("tree-reduction") or 20)

    def _retries(self) -> int:
        return int(self.run_options.get("retries") or 0)


class IterativeExecutorFactory(ExecutorFactoryABC):
    """One chunk after the other in this process."""

    def customized_args(self) -> dict[str, Any]:
        return {
            **super().customized_args(),
            "treereduction": self._fan_in(),
            "retries": self._retries(),
            "status": False,
        }

    def get(self) -> Any:
        return IterativeExecutor(**self.customized_args())


class FuturesExecutorFactory(ExecutorFactoryABC):
    """``scaleout`` processes on this machine; they stay for all groups of datasets of a run."""

    def setup(self) -> None:
        super().setup()
        self.pool = WorkerPool(
            int(self.run_options.get("scaleout") or 1),
            environment=self.environment(),
        )
        self.pool.start()

    def customized_args(self) -> dict[str, Any]:
        return {
            **super().customized_args(),
            "workers": self.pool.size,
            "processes": self.pool,
            "treereduction": self._fan_in(),
            "retries": self._retries(),
            "status": False,
        }

    def get(self) -> Any:
        return FuturesExecutor(**self.customized_args())

    def close(self) -> None:
        self.pool.close()


class DaskExecutorFactory(ExecutorFactoryABC):
    """A Dask cluster on this machine with ``scaleout`` worker processes of one thread each.

    Site factories and users override :meth:`start_cluster` (or all of :meth:`setup`) and leave
    ``self.dask_cluster`` and ``self.dask_client`` behind; :meth:`get` and :meth:`close` need nothing more.
    """

    #: Settings of Dask that hold in this process and for the cluster.
    dask_settings: ClassVar[dict[str, Any]] = DASK_SETTINGS
    dask_cluster: Any = None
    dask_client: Any = None

    def setup(self) -> None:
        super().setup()
        self.start_cluster()

    def get_worker_env(self) -> Any:
        """Return the shell lines that prepare a worker; a cluster on this machine needs none."""
        return []

    def start_cluster(self) -> None:
        """Start the scheduler and the workers; only this process can talk to them."""
        self.dask_cluster, self.dask_client = local_cluster(
            int(self.run_options.get("scaleout") or 1),
            self.run_options.get("mem-per-worker") or "auto",
            self.dask_settings,
        )

    def customized_args(self) -> dict[str, Any]:
        return {
            **super().customized_args(),
            "client": self.dask_client,
            "treereduction": self._fan_in(),
            "retries": self._retries(),
            "status": False,
        }

    def get(self) -> Any:
        return DaskExecutor(**self.customized_args())

    def close(self) -> None:
        with quiet_dask():
            for part in (self.dask_client, self.dask_cluster):
                if part is not None:
                    part.close()
        self.dask_client = self.dask_cluster = None


def not_here(name: str) -> str:
    """Return the message about a remote executor."""
    return (
        f"remote executor {name!r} is not in this version. "
        "Run on this machine with `-e iterative`, `-e futures` or `-e dask`, or bring your own with "
        "--executor-custom-setup."
    )


def site_factory_getter(site: str, factories: Mapping[str, type[ExecutorFactoryABC]]) -> FactoryGetter:
    """Return the ``get_executor_factory`` of a site module: its own factories, and the local ones."""
    return FactoryGetter(
        {"iterative": IterativeExecutorFactory, "futures": FuturesExecutorFactory, **factories}, site
    )


class FactoryGetter:
    """``get_executor_factory(executor_name, run_options=..., outputdir=...)`` of a site, or of this machine.

    Raises OptionError for a name that is not in ``factories``.
    """

    def __init__(self, factories: Mapping[str, type[ExecutorFactoryABC]], site: str | None = None) -> None:
        self.factories = dict(factories)
        self.site = site

    def __call__(self, executor_name: str, **kwargs: Any) -> ExecutorFactoryABC:
        if executor_name not in self.factories:
            place = f"at {self.site}" if self.site else "on this machine"
            msg = (
                f"There is no executor {executor_name!r} {place}. "
                f"{did_you_mean(executor_name, self.factories)}"
            )
            raise OptionError(msg)
        return self.factories[executor_name](**kwargs)


#: The factories of this machine.
get_executor_factory = FactoryGetter(
    {"iterative": IterativeExecutorFactory, "futures": FuturesExecutorFactory, "dask": DaskExecutorFactory}
)
