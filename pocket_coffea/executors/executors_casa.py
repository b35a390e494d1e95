"""Executors of the site casa (coffea-casa); what is true of it stands in sites/casa.yaml."""

from __future__ import annotations

from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import site_factory_getter

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(SiteDaskExecutorFactory):
    """Dask workers at coffea-casa."""

    site = "casa"


get_executor_factory = site_factory_getter("casa", {"dask": DaskExecutorFactory})
