"""Executors of the site brux (Brown brux20)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at Brown brux20."""

    site = "brux"


get_executor_factory = base.remote_factory_getter("brux", {"dask": DaskExecutorFactory})
