"""Executors of the site CLAIX (RWTH CLAIX)."""

from __future__ import annotations

from pocket_coffea.executors import parsl_batch
from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter

__all__ = ["DaskExecutorFactory", "ParslExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at RWTH CLAIX."""

    site = "CLAIX"


class ParslExecutorFactory(parsl_batch.ParslExecutorFactory):
    """Parsl workers at RWTH CLAIX."""

    site = "CLAIX"
    system = "parsl"


get_executor_factory = site_factory_getter(
    "CLAIX", {"dask": DaskExecutorFactory, "parsl": ParslExecutorFactory}
)
