"""Executors of the site RWTH (RWTH Aachen LX-Cluster)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "ParslExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at RWTH Aachen LX-Cluster."""

    site = "RWTH"


class ParslExecutorFactory(base.RemoteDaskExecutorFactory):
    """Parsl workers at RWTH Aachen LX-Cluster."""

    site = "RWTH"
    system = "parsl"


get_executor_factory = base.remote_factory_getter(
    "RWTH", {"dask": DaskExecutorFactory, "parsl": ParslExecutorFactory}
)
