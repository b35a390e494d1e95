"""Replica lookup in the Rucio catalogue: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable

__all__ = ["get_dataset_files_replicas", "get_rucio_client", "query_dataset"]


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.utils.rucio.{name}: replicas are not looked up in Rucio in this version. "
        "Write the file addresses into the dataset JSON, or read through a redirector "
        "(pocket_coffea.utils.site_rewrite.rewrite_fileset_to_redirector)."
    )
    raise PhysicsNotAvailable(msg)


def get_rucio_client(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("get_rucio_client")


def get_dataset_files_replicas(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("get_dataset_files_replicas")


def query_dataset(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("query_dataset")
