"""Small things that analyses import from here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pocket_coffea.utils.modules import add_to_path, path_import

if TYPE_CHECKING:
    from pocket_coffea.config.configurator import Configurator

__all__ = ["add_to_path", "get_random_seed", "load_config", "path_import"]


def load_config(
    path: str | os.PathLike[str],
    do_load: bool = True,
    save_config: bool = True,
    outputdir: str | os.PathLike[str] | None = None,
) -> Configurator:
    """Return the Configurator of a configuration file; see :func:`pocket_coffea.config.load.load_config`."""
    from pocket_coffea.config.load import load_config as load

    return load(path, do_load=do_load, save_config=save_config, outputdir=outputdir)


def get_random_seed(metadata: Mapping[str, Any], salt: str = "") -> int:
    """Return the seed of a chunk of events; see :mod:`pocket_coffea.lib.calibrators.random_seed`."""
    from pocket_coffea.lib.calibrators.random_seed import get_random_seed as seed

    return seed(metadata, salt)
