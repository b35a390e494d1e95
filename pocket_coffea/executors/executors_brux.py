"""Executors of the site brux (Brown brux20 cluster); what is true of it stands in sites/brux.yaml."""

from __future__ import annotations

from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at Brown brux20 cluster."""

    site = "brux"


get_executor_factory = site_factory_getter("brux", {"dask": DaskExecutorFactory})
