"""Executors of the site swan (CERN SWAN); what is true of it stands in sites/swan.yaml."""

from __future__ import annotations

from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at CERN SWAN."""

    site = "swan"


get_executor_factory = site_factory_getter("swan", {"dask": DaskExecutorFactory})
