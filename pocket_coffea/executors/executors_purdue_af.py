"""Executors of the site purdue-af (Purdue Analysis Facility)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at Purdue Analysis Facility."""

    site = "purdue-af"


get_executor_factory = base.remote_factory_getter("purdue-af", {"dask": DaskExecutorFactory})
