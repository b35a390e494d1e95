"""Executors of the site swan (CERN SWAN)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at CERN SWAN."""

    site = "swan"


get_executor_factory = base.remote_factory_getter("swan", {"dask": DaskExecutorFactory})
