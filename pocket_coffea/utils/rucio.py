"""Replicas in the Rucio catalogue, under their established names; see :mod:`pocket_coffea.datasets`."""

from __future__ import annotations

from pocket_coffea.datasets.replicas import get_dataset_files_replicas, get_rucio_client, query_dataset

__all__ = ["get_dataset_files_replicas", "get_rucio_client", "query_dataset"]
