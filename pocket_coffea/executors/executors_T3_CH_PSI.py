"""Executors of the site T3_CH_PSI (PSI Tier-3); what is true of it stands in sites/T3_CH_PSI.yaml."""

from __future__ import annotations

from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter
from pocket_coffea.executors.executors_manual_jobs import ExecutorFactoryManualABC

__all__ = ["DaskExecutorFactory", "ExecutorFactorySlurmPSI", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at PSI Tier-3."""

    site = "T3_CH_PSI"


class ExecutorFactorySlurmPSI(ExecutorFactoryManualABC):
    """One Slurm job per group of files at PSI Tier-3."""

    site = "T3_CH_PSI"


get_executor_factory = site_factory_getter(
    "T3_CH_PSI", {"dask": DaskExecutorFactory, "slurm": ExecutorFactorySlurmPSI}
)
