"""Executors of the site T3_CH_PSI (PSI Tier-3)."""

from __future__ import annotations

from pocket_coffea.executors import executors_base as base

__all__ = ["DaskExecutorFactory", "get_executor_factory"]


class DaskExecutorFactory(base.RemoteDaskExecutorFactory):
    """Dask workers at PSI Tier-3."""

    site = "T3_CH_PSI"


get_executor_factory = base.remote_factory_getter("T3_CH_PSI", {"dask": DaskExecutorFactory})
