"""The import path that analyses use for the Configurator; it lives in :mod:`pocket_coffea.config`."""

from __future__ import annotations

from pocket_coffea.config.configurator import Configurator

__all__ = ["Configurator"]
