"""Digests of a configuration: equal for equal content, in every process and on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pocket_coffea.config.checks import COLUMNS_BY_CHUNK
from pocket_coffea.config.dump import describe
from pocket_coffea.config.plain import describe_class, plain
from pocket_coffea.errors import ConfigurationError
from pocket_coffea.lib.identity import digest

if TYPE_CHECKING:
    from pocket_coffea.config.configurator import Configurator

__all__ = ["configuration_digests"]

#: Where a source lies does not matter, what is in it does.
_PLACES = frozenset({"src_file", "srcfile"})


def configuration_digests(config: Configurator) -> dict[str, str]:
    """Return the sha256 (hexadecimal) of three parts of a loaded configuration.

    ``configuration``: cuts, categories, subsamples, weights, variations, histograms, columns, workflow and
    its options, and the source of every module of the user. ``parameters``: the resolved analysis parameters.
    ``datasets``: names, metadata and files of the filesets.

    Raises ConfigurationError if the configuration is not loaded.
    """
    if not config.loaded:
        msg = "A configuration has no digest before it is loaded: call load() first."
        raise ConfigurationError(msg)
    content = describe(config)
    filesets = content["datasets"].pop("filesets")
    for key in ("names", "samples"):
        content["datasets"].pop(key)
    # which samples are processed is a matter of the datasets; what is asked for them was said before any
    # filter
    for key in ("weights", "variations", "columns"):
        content[key] = plain(getattr(config, f"{key}_cfg"))
    content["datasets"]["subsamples"] = plain(config.datasets_cfg.get("subsamples"))
    content["weights_classes"] = [describe_class(cls) for _, cls in sorted(config.available_weights.items())]
    content["sources"] = dict(config.source_digests)
    options = content["workflow"]["workflow_options"]
    if options.get(COLUMNS_BY_CHUNK):
        options[COLUMNS_BY_CHUNK] = True  # where to is a place, too
    return {
        "configuration": digest(_without_places(content)),
        "parameters": digest(plain(config.parameters)),
        "datasets": digest(filesets),
    }


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if key not in _PLACES}
    return [_without_places(item) for item in value] if isinstance(value, list) else value
