"""Executors of the site rubin (Maryland rubin)."""

from __future__ import annotations

from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter
from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC

__all__ = ["DaskExecutorFactory", "ExecutorFactoryCondorRubin", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at Maryland rubin."""

    site = "rubin"


class ExecutorFactoryCondorRubin(ExecutorFactoryManualABC):
    """One HTCondor job per group of files at Maryland rubin."""

    site = "rubin"


get_executor_factory = site_factory_getter(
    "rubin", {"dask": DaskExecutorFactory, "condor": ExecutorFactoryCondorRubin}
)
