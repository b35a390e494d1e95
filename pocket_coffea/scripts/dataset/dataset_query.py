"""Interactive dataset discovery, under its established name; see :mod:`pocket_coffea.cli.dataset_discovery`."""

from __future__ import annotations

from pocket_coffea.cli.dataset_discovery import DataDiscoveryCLI

__all__ = ["DataDiscoveryCLI"]
