"""Default parameters and how to extend them.

>>> parameters = get_default_parameters()
>>> parameters = merge_parameters(parameters, {"object_preselection": {"Muon": {"pt": 25}}})
>>> parameters.object_preselection.Muon.pt, parameters.default_nano_version["2018"]
(25, 9)

Nothing here needs CVMFS or any payload file: references are resolved to paths, and looked for when they are
used.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pocket_coffea.errors import ConfigurationError, DataFileNotFound, InvalidType, InvalidValue, OutputError
from pocket_coffea.parameters.normalise import normalise
from pocket_coffea.parameters.resolvers import (
    current_group_tags,
    cvmfs_path,
    default_params_dir,
    pico_to_femto,
    register_configuration_dir,
    setup_cvmfs_resolver,
)
from pocket_coffea.types import Params
from pocket_coffea.utils.atomic import write_whole

__all__ = [
    "compose_parameters_from_files",
    "dump_parameters",
    "get_default_parameters",
    "get_default_run_options",
    "get_defaults_and_compose",
    "merge_parameters",
    "merge_parameters_from_files",
    "merge_parameters_from_string",
    "normalise_parameters",
    "register_configuration_dir",
    "setup_cvmfs_resolver",
]

log = logging.getLogger(__name__)

#: One file per subject; together they are the default parameters.
DEFAULT_FILES = (
    "data_taking.yaml",
    "btagging.yaml",
    "jet_scale_factors.yaml",
    "jets_calibration.yaml",
    "met.yaml",
    "electrons.yaml",
    "muons.yaml",
    "photons.yaml",
    "systematic_variations.yaml",
    "plotting_style.yaml",
)
RUN_OPTIONS_FILE = "executor_options_defaults.yaml"

#: Pickled defaults by group tags: unpickling is ten times quicker than building the configuration.
_defaults: dict[str, bytes] = {}


def get_default_parameters(group_tags: Mapping[str, Mapping[str, str]] | None = None) -> Params:
    """Return a fresh copy of the default parameters, with every interpolation resolved.

    group_tags: {group: {period: tag}} for payloads without a tag of their own, see setup_cvmfs_resolver.
    """
    setup_cvmfs_resolver(group_tags)
    key = json.dumps(current_group_tags(), sort_keys=True)
    if key not in _defaults:
        plain = _unresolved_defaults()
        _defaults[key] = pickle.dumps(OmegaConf.create(_resolve(plain, plain, ())))
    return pickle.loads(_defaults[key])


def get_default_run_options() -> Params:
    """Return the default run options: section ``general`` and one for each ``executor@site`` with its own.

    The latter come from the site files, those of ``$POCKET_COFFEA_SITES`` included. Raises SiteError.
    """
    from pocket_coffea.sites.book import SiteBook

    sections = default_run_option_sections()
    for site in SiteBook():
        sections |= {f"{name}@{site.name}": options for name, options in site.executors.items()}
    return OmegaConf.create(sections)


def default_run_option_sections() -> dict[str, Any]:
    """Return the sections of the defaults that belong to no site, as plain values."""
    return _load_plain(RUN_OPTIONS_FILE)


def run_options_path() -> str:
    """Return the file with the defaults that belong to no site."""
    return str(Path(default_params_dir()) / RUN_OPTIONS_FILE)


def merge_parameters(main_config: Params, *configs: Any, update: bool = True) -> Params:
    """Return ``main_config`` with ``configs`` (configurations or dicts) merged into it, in order.

    update=True: dicts are merged key by key at every depth, lists and single values are replaced.
    update=False: each top-level key of a config replaces the one of ``main_config``. No input is modified.
    Interpolations are kept and see the merged result. Years given as numbers become strings and quoted
    booleans and numbers get the type of their default; InvalidValue names one that cannot.
    """
    return _merge(main_config, [(f"parameters #{i + 1}", config) for i, config in enumerate(configs)], update)


def merge_parameters_from_files(
    main_config: Params, *files: str | os.PathLike[str], update: bool = True
) -> Params:
    """Return ``main_config`` with YAML files merged into it, in order; see merge_parameters.

    Raises DataFileNotFound for a missing file, InvalidValue for one that is not YAML with keys and values.
    """
    return _merge(main_config, [(str(file), _load_file(file)) for file in files], update)


def merge_parameters_from_string(main_config: Params, *items: Any, update: bool = True) -> Params:
    """Return ``main_config`` with further parameters merged into it; see merge_parameters.

    items: a dict, a YAML string, ``key.path=value`` or a list of them.
    """
    return _merge(main_config, [(repr(item)[:60], _read_item(item)) for item in items], update)


def compose_parameters_from_files(*files: str | os.PathLike[str], update: bool = True) -> Params:
    """Return the parameters of the YAML files alone, merged in order; see merge_parameters."""
    return merge_parameters_from_files(OmegaConf.create({}), *files, update=update)


def get_defaults_and_compose(*files: str | os.PathLike[str]) -> Params:
    """Return the default parameters with the YAML files merged into them, in order."""
    return merge_parameters_from_files(get_default_parameters(), *files, update=True)


def normalise_parameters(config: Params) -> Params:
    """Return ``config`` with years as strings: for parameters that did not pass through a merge."""
    return OmegaConf.create(normalise(_plain(config, "parameters")))


def dump_parameters(config: Params, outfile: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Write the parameters as YAML; the file appears whole or not at all.

    Raises OutputError when the file exists (unless ``overwrite``) or cannot be written.
    """
    target = Path(outfile)
    if target.exists() and not overwrite:
        msg = f"{target} exists already: choose another name, or pass overwrite=True to replace it"
        raise OutputError(msg)
    text = OmegaConf.to_yaml(config if OmegaConf.is_config(config) else OmegaConf.create(config))
    write_whole(target, text)


def _merge(main_config: Params, configs: list[tuple[str, Any]], update: bool) -> Params:
    reference = _plain(main_config, "main parameters")
    clean = normalise(reference)
    base = (
        main_config if clean == reference and isinstance(main_config, DictConfig) else OmegaConf.create(clean)
    )
    patches = [
        OmegaConf.create(normalise(_plain(config, origin), clean, origin)) for origin, config in configs
    ]
    if update:
        return OmegaConf.merge(base, *patches)
    merged = OmegaConf.merge(base)  # a copy
    for patch in patches:
        for key in set(patch) & set(merged):
            del merged[key]
        merged.merge_with(patch)
    return merged


def _plain(config: Any, origin: str) -> dict[Any, Any]:
    if isinstance(config, ListConfig) or not isinstance(config, (Mapping, DictConfig)):
        msg = f"{origin}: parameters are keys and values, got {type(config).__name__}"
        raise InvalidType(msg)
    try:
        config = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
        return OmegaConf.to_container(config, resolve=False)
    except OmegaConfBaseException as exc:
        msg = f"{origin}: these are not parameters: {exc}"
        raise InvalidValue(msg) from exc


def _read_item(item: Any) -> Params:
    if isinstance(item, str) and re.match(r"[\w.\[\]]+=", item):
        item = [item]
    if isinstance(item, (list, tuple)):
        return OmegaConf.from_dotlist(list(item))
    return OmegaConf.create(item)


def _load_file(file: str | os.PathLike[str]) -> Params:
    path = Path(file).expanduser()
    if not path.is_file():
        msg = f"parameter file {str(path)!r} does not exist (current directory: {Path.cwd()})"
        raise DataFileNotFound(msg)
    try:
        config = OmegaConf.load(path)
    except (yaml.YAMLError, OmegaConfBaseException, OSError) as exc:
        msg = f"{path} cannot be read as parameters: {exc}"
        raise InvalidValue(msg) from exc
    return config


def _load_plain(name: str) -> dict[str, Any]:
    """Read one of our own files: the C loader reads them like that of OmegaConf, ten times quicker."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with (Path(default_params_dir()) / name).open(encoding="utf-8") as stream:
        return yaml.load(stream, Loader=loader)


@cache
def _unresolved_defaults() -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in DEFAULT_FILES:
        for key, value in _load_plain(name).items():
            if key in merged:  # two files share a top-level key (leptons)
                merged[key] = {**merged[key], **value}
            else:
                merged[key] = value
    return merged


_INNERMOST = re.compile(r"\$\{([^${}]*)\}")


def _resolve(value: Any, root: dict[str, Any], path: tuple[str, ...]) -> Any:
    """Resolve the interpolations of our own files: what OmegaConf.resolve does, in a tenth of its time.

    A test holds it equal to OmegaConf. It covers the forms used there, and nothing more.
    """
    if isinstance(value, dict):
        return {key: _resolve(item, root, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, root, path) for item in value]
    while isinstance(value, str) and (match := _INNERMOST.search(value)):
        found = _interpolation(match[1], root, path)
        if match[0] == value:
            return _resolve(found, root, path)
        value = value[: match.start()] + str(found) + value[match.end() :]
    return value


def _interpolation(text: str, root: dict[str, Any], path: tuple[str, ...]) -> Any:
    name, colon, arguments = text.partition(":")
    if colon:
        resolver = {
            "cvmfs": cvmfs_path,
            "default_params_dir": default_params_dir,
            "pico_to_femto": pico_to_femto,
        }[name]
        return resolver(*arguments.split(",")) if arguments else resolver()  # type: ignore[operator]
    keys = tuple(text.lstrip(".").split("."))
    if text.startswith("."):
        keys = (*path[: len(path) - (len(text) - len(text.lstrip(".")))], *keys)
    node: Any = root
    for depth, key in enumerate(keys):
        if not isinstance(node, dict) or key not in node:
            msg = f"default parameters: ${{{text}}} at {'.'.join(path)} points nowhere ({key!r} is missing)"
            raise ConfigurationError(msg)
        node = _resolve(node[key], root, keys[: depth + 1]) if not isinstance(node[key], dict) else node[key]
    return _resolve(node, root, keys)
