"""The analysis parameters as the configuration keeps them: a resolved copy with years as strings."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pocket_coffea.errors import ConfigurationError, InvalidType
from pocket_coffea.parameters.defaults import normalise_parameters
from pocket_coffea.types import Params

__all__ = ["resolved_copy"]


def resolved_copy(parameters: Any) -> Params:
    """Return a copy of the parameters (OmegaConf, or a dictionary) with every interpolation resolved.

    Missing values (``???``) stay, and raise when they are read. Raises ConfigurationError, naming the key,
    for an interpolation that leads nowhere."""
    if not isinstance(parameters, DictConfig | Mapping):
        msg = (
            "parameters must be the result of defaults.merge_parameters_from_files(...), not "
            f"{parameters!r} of type "
            f"{type(parameters).__name__}."
        )
        raise InvalidType(msg)
    try:
        if isinstance(parameters, DictConfig) and not _has_numbers(OmegaConf.to_container(parameters)):
            copied = copy.deepcopy(parameters)
        else:
            copied = normalise_parameters(parameters)
        OmegaConf.resolve(copied)
    except OmegaConfBaseException as error:
        place = getattr(error, "full_key", None)
        msg = (
            f"The parameters cannot be resolved{f', at {place}' if place else ''}: "
            f"{str(error).splitlines()[0]}."
        )
        raise ConfigurationError(msg) from error
    return copied


def _has_numbers(value: Any) -> bool:
    """Return whether a key at any depth is a number (a year without quotes)."""
    if isinstance(value, dict):
        return any(isinstance(key, int) or _has_numbers(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_numbers, value))
