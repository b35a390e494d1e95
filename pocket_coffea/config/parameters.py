"""The analysis parameters as the configuration keeps them: a resolved copy with years as strings."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pocket_coffea.errors import ConfigurationError, InvalidType, did_you_mean
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
            f"{str(error).splitlines()[0]}.{_hint(error, parameters)}"
        )
        raise ConfigurationError(msg) from error
    return copied


def _hint(error: OmegaConfBaseException, parameters: Mapping[Any, Any]) -> str:
    """Return what to do about an interpolation that leads nowhere, with a space before it."""
    text = str(error)
    if (found := re.search(r"Unsupported interpolation type (\S+)", text)) is not None:
        return (
            f" Where ${{{found[1]}:}} is meant to be a folder, call "
            f"defaults.register_configuration_dir({found[1]!r}, folder) before the Configurator."
        )
    if (found := re.search(r"Interpolation key '([^'.\[]+)[^']*' not found", text)) is not None:
        top = [str(key) for key in parameters]
        if found[1] not in top:
            return f" There is no {found[1]!r} at the top. {did_you_mean(found[1], top)}"
        return " The key may be relative: ${.key} is next to the value, ${..key} one level up."
    return ""


def _has_numbers(value: Any) -> bool:
    """Return whether a key at any depth is a number (a year without quotes)."""
    if isinstance(value, dict):
        return any(isinstance(key, int) or _has_numbers(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_numbers, value))
