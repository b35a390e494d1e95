"""Executors of the site oscar (Brown CCV Oscar)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at Brown CCV Oscar."""

    site = "oscar"


get_executor_factory = base.remote_factory_getter("oscar", {"dask": DaskExecutorFactory})
