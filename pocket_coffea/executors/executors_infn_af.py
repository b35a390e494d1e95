"""Executors of the site infn-af (INFN Analysis Facility)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at INFN Analysis Facility."""

    site = "infn-af"


get_executor_factory = base.remote_factory_getter("infn-af", {"dask": DaskExecutorFactory})
