"""Executors of the site purdue-af (Purdue Analysis Facility); see sites/purdue-af.yaml."""

from __future__ import annotations

from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at Purdue Analysis Facility."""

    site = "purdue-af"


get_executor_factory = site_factory_getter("purdue-af", {"dask": DaskExecutorFactory})
