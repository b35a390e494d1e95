"""Executors of the site DESY (DESY NAF)."""

from __future__ import annotations

from pocket_coffea.executors import parsl_batch
from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter

__all__ = ["DaskExecutorFactory", "ParslExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at DESY NAF."""

    site = "DESY"


class ParslExecutorFactory(parsl_batch.ParslExecutorFactory):
    """Parsl workers at DESY NAF."""

    site = "DESY"
    system = "parsl"


get_executor_factory = site_factory_getter(
    "DESY", {"dask": DaskExecutorFactory, "parsl": ParslExecutorFactory}
)
