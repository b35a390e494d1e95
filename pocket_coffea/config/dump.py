"""The record of a configuration next to its results: parameters, configuration, and the Configurator
itself.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
from omegaconf import OmegaConf

from pocket_coffea.config.plain import describe_class, plain
from pocket_coffea.errors import ConfigurationError
from pocket_coffea.utils.atomic import write_whole

if TYPE_CHECKING:
    from pocket_coffea.config.configurator import Configurator

__all__ = ["describe", "write_dumps"]


def describe(config: Configurator) -> dict[str, Any]:
    """Return a loaded configuration in terms of JSON: what ``config.json`` holds. Equal configurations give
    equal results.
    """
    return {
        "datasets": {
            "names": list(config.datasets),
            "samples": list(config.samples),
            "filesets": plain(config.filesets),
            "subsamples": {
                sample: plain(selection)
                for sample, selection in config.subsamples.items()
                if config.has_subsamples[sample]
            },
        },
        "skim": plain(config.skim),
        "preselections": plain(config.preselections),
        "categories": plain(config.categories),
        "workflow": {
            "name": config.workflow.__name__,
            "workflow_options": plain(config.workflow_options),
            "srcfile": _source_file(config.workflow),
        },
        "weights": plain(config.weights_config),
        "weights_classes": [describe_class(cls) for cls in config.weights_classes],
        "calibrators": [describe_class(cls) for cls in config.calibrators],
        "variations": plain(config.variations_config),
        "variables": plain(config.variables),
        "columns": {
            sample: {
                category: [plain(vars(column)) for column in columns]
                for category, columns in by_category.items()
            }
            for sample, by_category in config.columns.items()
        },
    }


def _source_file(cls: type) -> str | None:
    try:
        return inspect.getsourcefile(cls)
    except (TypeError, OSError):
        return None


def write_dumps(config: Configurator, outputdir: str | os.PathLike[str]) -> None:
    """Write ``parameters_dump.yaml``, ``config.json`` and ``configurator.pkl`` into ``outputdir``, each whole
    or not at all.

    Raises ConfigurationError if something in the configuration cannot be pickled, OutputError if a file
    cannot be written."""
    folder = Path(outputdir)
    payload = pickled(config)
    write_whole(folder / "parameters_dump.yaml", OmegaConf.to_yaml(config.parameters, resolve=True))
    write_whole(folder / "config.json", json.dumps(describe(config), indent=2) + "\n")
    write_whole(folder / "configurator.pkl", payload)


def pickled(config: Configurator) -> bytes:
    """Return the configuration pickled for another process; raise ConfigurationError naming what cannot
    be.
    """
    try:
        return cloudpickle.dumps(config)
    except Exception as error:
        msg = (
            f"The configuration cannot be sent to other processes: {type(error).__name__}: {error}. "
            "Open files, locks and compiled objects at the top of a module of yours, or in the workflow, "
            "cannot be pickled: make them "
            "where they are used, inside a function."
        )
        raise ConfigurationError(msg) from error
