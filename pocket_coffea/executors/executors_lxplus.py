"""Executors of the site lxplus (CERN lxplus)."""

from __future__ import annotations

from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter
from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC
from pocket_coffea.executors.jobs.wrapper import job_script as build_job_script

__all__ = ["DaskExecutorFactory", "ExecutorFactoryCondorCERN", "build_job_script", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at CERN lxplus."""

    site = "lxplus"


class ExecutorFactoryCondorCERN(ExecutorFactoryManualABC):
    """One HTCondor job per group of files at CERN lxplus."""

    site = "lxplus"


get_executor_factory = site_factory_getter(
    "lxplus", {"dask": DaskExecutorFactory, "condor": ExecutorFactoryCondorCERN}
)
