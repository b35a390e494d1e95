"""Merging of outputs: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable

__all__ = ["main", "merge_outputs"]


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.scripts.merge_outputs.{name}: outputs are not merged by this version. "
        "Sum them with coffea.processor.accumulate, then call processor_instance.postprocess once."
    )
    raise PhysicsNotAvailable(msg)


def main(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("main")


def merge_outputs(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("merge_outputs")
