"""Executors of the site DESY (DESY NAF)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "ParslExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at DESY NAF."""

    site = "DESY"


class ParslExecutorFactory(base.RemoteDaskExecutorFactory):
    """Parsl workers at DESY NAF."""

    site = "DESY"
    system = "parsl"


get_executor_factory = base.remote_factory_getter(
    "DESY", {"dask": DaskExecutorFactory, "parsl": ParslExecutorFactory}
)
