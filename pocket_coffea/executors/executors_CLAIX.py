"""Executors of the site CLAIX (RWTH CLAIX)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "ParslExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at RWTH CLAIX."""

    site = "CLAIX"


class ParslExecutorFactory(base.RemoteDaskExecutorFactory):
    """Parsl workers at RWTH CLAIX."""

    site = "CLAIX"
    system = "parsl"


get_executor_factory = base.remote_factory_getter(
    "CLAIX", {"dask": DaskExecutorFactory, "parsl": ParslExecutorFactory}
)
