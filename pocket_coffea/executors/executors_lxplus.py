"""Executors of the site lxplus (CERN lxplus)."""

from __future__ import annotations

from typing import Any

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors import executors_base as base
from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC

__all__ = ["DaskExecutorFactory", "ExecutorFactoryCondorCERN", "build_job_script", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
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


get_executor_factory = base.remote_factory_getter(
    "lxplus", {"dask": DaskExecutorFactory, "condor": ExecutorFactoryCondorCERN}
)
