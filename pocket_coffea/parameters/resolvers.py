"""The interpolations that parameters may use besides those of OmegaConf.

``${default_params_dir:}``, ``${pico_to_femto:x}``, ``${cvmfs:period,group,file[,tag]}`` and those added with
``register_configuration_dir``. None of them touches the payload that it names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from omegaconf import OmegaConf

from pocket_coffea.errors import InvalidValue, UnknownName, did_you_mean
from pocket_coffea.utils.data_files import CVMFS_METADATA, data_directories

__all__ = [
    "CVMFS_GROUPS",
    "CVMFS_PERIODS",
    "current_group_tags",
    "cvmfs_path",
    "default_params_dir",
    "pico_to_femto",
    "register_configuration_dir",
    "setup_cvmfs_resolver",
]

#: group -> period -> tag
GroupTags = Mapping[str, Mapping[str, str]]

#: Groups that publish payloads (DC: certified luminosity).
CVMFS_GROUPS = ("BTV", "DC", "EGM", "JME", "LUM", "MUO", "TAU")
#: Periods in their naming: <run>-<data>-<simulation>-<NanoAOD version>.
CVMFS_PERIODS = (
    "Run2-2016preVFP-UL-NanoAODv9",
    "Run2-2016postVFP-UL-NanoAODv9",
    "Run2-2017-UL-NanoAODv9",
    "Run2-2018-UL-NanoAODv9",
    "Run3-22CDSep23-Summer22-NanoAODv12",
    "Run3-22EFGSep23-Summer22EE-NanoAODv12",
    "Run3-23CSep23-Summer23-NanoAODv12",
    "Run3-23DSep23-Summer23BPix-NanoAODv12",
    "Run3-24CDEReprocessingFGHIPrompt-Summer24-NanoAODv15",
    "Run3-25Prompt-Summer24-NanoAODv15",
    "Run3-25Prompt-Winter25-NanoAODv15",
    *(f"Collisions{year}" for year in range(22, 27)),
)

_RESERVED = ("cvmfs", "pico_to_femto")
_group_tags: dict[str, dict[str, str]] = {}


def default_params_dir() -> str:
    """Return the directory with the default parameters of the package."""
    return str(Path(__file__).parent)


def pico_to_femto(value: float | str) -> float:
    """Return a luminosity given in pb^-1 in fb^-1.

    >>> pico_to_femto("17960")
    17.96
    """
    return float(value) / 1000


def cvmfs_path(period: str, group: str, file: str, tag: str | None = None) -> str:
    """Return the CVMFS path of a payload; whether it exists is checked by resolve_data_file when it is used.

    tag: the given one, else the one of the group tags (setup_cvmfs_resolver), else ``latest``.
    Raises UnknownName (a ValueError) for a group or period that is neither known nor found on CVMFS, in
    ``$POCKET_COFFEA_DATA`` or in the group tags.

    >>> cvmfs_path("Run2-2018-UL-NanoAODv9", "JME", "jet_jerc.json.gz")
    '/cvmfs/cms-griddata.cern.ch/cat/metadata/JME/Run2-2018-UL-NanoAODv9/latest/jet_jerc.json.gz'
    """
    period, group, file = str(period), str(group), str(file)
    _check_area("group", group, group, CVMFS_GROUPS, group in _group_tags)
    tagged = _group_tags.get(group, {})
    _check_area("period", period, f"{group}/{period}", CVMFS_PERIODS, period in tagged)
    chosen = str(tag) if tag else tagged.get(period, "latest")
    return f"{CVMFS_METADATA}/{group}/{period}/{chosen}/{file}"


def _check_area(what: str, name: str, below: str, known: tuple[str, ...], declared: bool) -> None:
    if name in known or declared:
        return
    roots = [*data_directories(), CVMFS_METADATA]
    if name and any(Path(root, below).is_dir() for root in roots):
        return
    msg = (
        f"${{cvmfs:...}}: unknown {what} {name!r}. {did_you_mean(name, known, limit=20)} "
        f"A new one is accepted when the directory {below} is on CVMFS or in $POCKET_COFFEA_DATA."
    )
    raise UnknownName(msg)


def current_group_tags() -> dict[str, dict[str, str]]:
    """Return the tags in use for payloads whose reference names none: {group: {period: tag}}."""
    return {group: dict(tags) for group, tags in _group_tags.items()}


def setup_cvmfs_resolver(group_tags: GroupTags | None = None) -> None:
    """Set the tags of payloads whose reference names none: {group: {period: tag}}.

    None keeps the tags that are set, ``{}`` forgets them. Raises InvalidValue when it is not a mapping of
    mappings.
    """
    if group_tags is not None:
        if not all(isinstance(tags, Mapping) for tags in group_tags.values()):
            example = {"JME": {"Run2-2018-UL-NanoAODv9": "2026-06-10"}}
            msg = f"group_tags has to look like {example}, got {group_tags!r}"
            raise InvalidValue(msg)
        _group_tags.clear()
        for group, tags in group_tags.items():
            _group_tags[str(group)] = {str(period): str(tag) for period, tag in tags.items()}
    _register("cvmfs", cvmfs_path)


def register_configuration_dir(key: str, directory: str | os.PathLike[str]) -> None:
    """Make ``${key:}`` stand for a directory, so that parameter files can name files next to them.

    A second call replaces the first. Raises InvalidValue for the names of the package's own resolvers.
    """
    if key in _RESERVED or not str(key).isidentifier():
        taken = ", ".join(_RESERVED)
        msg = f"{key!r} cannot name a configuration directory: use an identifier other than {taken}"
        raise InvalidValue(msg)
    path = os.fspath(directory)
    _register(key, lambda: path)


def _register(name: str, function: Callable[..., object]) -> None:
    # OmegaConf 2.4 renamed the function and warns about the old name
    if hasattr(OmegaConf, "register_resolver"):
        # our resolvers convert their arguments themselves: an int is a fine luminosity
        OmegaConf.register_resolver(name, function, replace=True, annotation_validation="off")
    else:
        OmegaConf.register_new_resolver(name, function, replace=True)


_register("default_params_dir", default_params_dir)
_register("pico_to_femto", pico_to_femto)
setup_cvmfs_resolver()
