"""Interactive dataset discovery: importable, not part of this version."""

from __future__ import annotations

from typing import Any, NoReturn

from pocket_coffea.errors import PhysicsNotAvailable

__all__ = ["DataDiscoveryCLI", "main"]


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.scripts.dataset.dataset_query.{name}: datasets are not looked up in DAS and Rucio "
        "by this version. "
        "Write the dataset JSON by hand: {name: {metadata: {...}, files: [...]}}."
    )
    raise PhysicsNotAvailable(msg)


class DataDiscoveryCLI:
    """Raise PhysicsNotAvailable when constructed."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        _not_available("DataDiscoveryCLI")


def main(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("main")
