"""Merging of skimmed files: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable

__all__ = ["do_hadd", "main"]


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.scripts.hadd_skimmed_files.{name}: skimmed files are not merged by this version. "
        "Run on the skim as it is (skimmed_dataset_definition.json), or merge each dataset with hadd."
    )
    raise PhysicsNotAvailable(msg)


def do_hadd(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("do_hadd")


def main(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("main")
