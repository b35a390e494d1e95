"""Updates of the tags of corrections: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable

__all__ = [
    "GitLabClient",
    "branch_for_pog",
    "build_update_plan",
    "create_merge_requests",
    "resolve_requested_pogs",
    "write_local_changes",
    "write_report",
]


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.scripts.update_cvmfs_corrections.{name}: tags of CVMFS corrections are not updated "
        "by this version. "
        "Edit the tag in the parameters: ${cvmfs:period,group,file,tag}."
    )
    raise PhysicsNotAvailable(msg)


class GitLabClient:
    """Raise PhysicsNotAvailable when constructed."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        _not_available("GitLabClient")


def branch_for_pog(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("branch_for_pog")


def build_update_plan(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("build_update_plan")


def create_merge_requests(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("create_merge_requests")


def resolve_requested_pogs(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("resolve_requested_pogs")


def write_local_changes(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("write_local_changes")


def write_report(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("write_report")
