"""Executors of the site casa (coffea-casa)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at coffea-casa."""

    site = "casa"


get_executor_factory = base.remote_factory_getter("casa", {"dask": DaskExecutorFactory})
