"""Executors of the site infn-af (INFN Analysis Facility); what is true of it stands in sites/infn-af.yaml."""

from __future__ import annotations

from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at INFN Analysis Facility."""

    site = "infn-af"


get_executor_factory = site_factory_getter("infn-af", {"dask": DaskExecutorFactory})
