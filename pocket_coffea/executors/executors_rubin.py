"""Executors of the site rubin (Maryland rubin)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base
from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC

__all__ = ["DaskExecutorFactory", "ExecutorFactoryCondorRubin", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at Maryland rubin."""

    site = "rubin"


class ExecutorFactoryCondorRubin(ExecutorFactoryManualABC):
    """One HTCondor job per group of files at Maryland rubin."""

    site = "rubin"


get_executor_factory = base.remote_factory_getter(
    "rubin", {"dask": DaskExecutorFactory, "condor": ExecutorFactoryCondorRubin}
)
