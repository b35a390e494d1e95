"""Executors of the site lxplus (CERN lxplus)."""

from __future__ import annotations

from typing import Any

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter
from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC

__all__ = ["DaskExecutorFactory", "ExecutorFactoryCondorCERN", "build_job_script", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at CERN lxplus."""

    site = "lxplus"


class ExecutorFactoryCondorCERN(ExecutorFactoryManualABC):
    """One HTCondor job per group of files at CERN lxplus."""

    site = "lxplus"


def build_job_script(*args: Any, **kwargs: Any) -> str:
    """Return the script of a batch job; not in this version."""
    del args, kwargs
    msg = "build_job_script: remote executor 'condor@lxplus' is not in this version."
    raise ConfigurationError(msg)


get_executor_factory = site_factory_getter(
    "lxplus", {"dask": DaskExecutorFactory, "condor": ExecutorFactoryCondorCERN}
)
