"""Interactive dataset discovery, as it was; see :mod:`pocket_coffea.cli.dataset_discovery`."""

from __future__ import annotations

from pocket_coffea.cli.dataset_discovery import DataDiscoveryCLI

__all__ = ["DataDiscoveryCLI"]
