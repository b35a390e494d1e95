"""``datasets_definitions.json``: which datasets an analysis wants, by their names in DAS."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocket_coffea.errors import ConfigurationError, DataFileNotFound, UnknownName, did_you_mean
from pocket_coffea.utils.metadata import normalise_metadata, to_bool

__all__ = ["GLOBAL_INSTANCE", "DatasetRequest", "dataset_name", "nano_version", "read_definition"]

log = logging.getLogger(__name__)

#: The DBS instance of official datasets, whose replicas are in Rucio.
GLOBAL_INSTANCE = "prod/global"

_DAS_NAME = re.compile(r"/[\w.-]+/[\w.-]+/[A-Z]+(-[A-Z]+)*")
_NANO = re.compile(r"NanoAOD[A-Za-z]*?v(\d+)")
_KEYS = ("sample", "json_output", "storage_prefix", "files")
_FILE_KEYS = ("das_names", "metadata", "dbs_instance")


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """One dataset to build: ``name`` is its name in the dataset JSON, ``metadata`` are in their documented
    form, ``json_output`` is the file that it goes to."""

    name: str
    das_names: tuple[str, ...]
    metadata: Mapping[str, Any]
    json_output: str
    dbs_instance: str = GLOBAL_INSTANCE
    storage_prefix: str | None = None
    origin: str = field(default="", compare=False)


def read_definition(path: Path, keys: Collection[str] = ()) -> list[DatasetRequest]:
    """Return the datasets that a definition file asks for, in its order; ``keys``: of these entries only.

    Raises DataFileNotFound, ConfigurationError naming the place in the file, UnknownName for a key that it
    has not.
    """
    content = _read(path)
    for key in keys:
        if key not in content:
            msg = f"{path} has no dataset {key!r}. {did_you_mean(key, content)}"
            raise UnknownName(msg)
    requests: list[DatasetRequest] = []
    for key, entry in content.items():
        if not keys or key in keys:
            requests.extend(_requests(str(key), entry, str(path)))
    seen: dict[str, str] = {}
    for request in requests:
        if request.name in seen:
            msg = (
                f"{request.origin} and {seen[request.name]} both make the dataset {request.name!r}: give "
                "each a 'part' of its own in the metadata, or put their das_names into one list."
            )
            raise ConfigurationError(msg)
        seen[request.name] = request.origin
    return requests


def dataset_name(key: str, metadata: Mapping[str, Any]) -> str:
    """Return ``{key}[_{part}]_{year}``, for data with ``_Era{era}``.

    >>> dataset_name("SingleMuon", {"year": "2018", "isMC": "False", "era": "A"})
    'SingleMuon_2018_EraA'
    """
    parts = [key, metadata.get("part"), metadata["year"]]
    if not to_bool(metadata["isMC"]):
        parts.append(f"Era{metadata['era']}")
    return "_".join(str(part) for part in parts if part)


def nano_version(das_name: str) -> str | None:
    """Return the version of NanoAOD that the name of a dataset tells, None if it does not.

    >>> nano_version("/TT/RunIISummer20UL16NanoAODAPVv9-106X_v11-v1/NANOAODSIM")
    '9'
    """
    found = _NANO.search(das_name)
    return found[1] if found else None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"The definition of datasets {path} does not exist."
        raise DataFileNotFound(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"The definition of datasets {path} cannot be read: {error}."
        raise ConfigurationError(msg) from error
    except json.JSONDecodeError as error:
        msg = f"{path}, line {error.lineno}, column {error.colno}: this is not valid JSON: {error.msg}."
        raise ConfigurationError(msg) from error
    if not isinstance(content, dict) or not content:
        msg = f"{path}: a definition is {{name: {{sample, json_output, files: [...]}}}}, not {content!r:.60}."
        raise ConfigurationError(msg)
    return content


def _requests(key: str, entry: Any, path: str) -> Iterator[DatasetRequest]:
    where = f"{path}: {key!r}"
    _check_mapping(entry, _KEYS, ("sample", "json_output", "files"), where)
    files = entry["files"]
    if not isinstance(files, list) or not files:
        msg = f"{where}, 'files' must be a list of {{das_names, metadata}}, not {files!r:.60}."
        raise ConfigurationError(msg)
    for number, item in enumerate(files, start=1):
        place = f"{where}, files entry {number}"
        _check_mapping(item, _FILE_KEYS, ("das_names", "metadata"), place)
        names = _das_names(item["das_names"], place)
        if not isinstance(item["metadata"], Mapping):
            msg = f"{place}: 'metadata' must be a dictionary, not {item['metadata']!r:.60}."
            raise ConfigurationError(msg)
        metadata = normalise_metadata({"sample": entry["sample"], **item["metadata"]}, f"{place}, metadata")
        yield DatasetRequest(
            name=dataset_name(key, metadata),
            das_names=names,
            metadata=_with_version(metadata, names, place),
            json_output=str(entry["json_output"]),
            dbs_instance=str(item.get("dbs_instance") or GLOBAL_INSTANCE),
            storage_prefix=entry.get("storage_prefix"),
            origin=place,
        )


def _check_mapping(entry: Any, known: Collection[str], needed: Collection[str], where: str) -> None:
    if not isinstance(entry, Mapping):
        msg = f"{where} must be a dictionary with {', '.join(needed)}, not {entry!r:.60}."
        raise ConfigurationError(msg)
    for name in needed:
        if entry.get(name) in (None, ""):
            msg = f"{where} has no {name!r}. It has: {', '.join(map(str, entry)) or 'nothing'}."
            raise ConfigurationError(msg)
    for name in entry:
        if name not in known:
            log.warning("%s: %r is not used here. %s", where, name, did_you_mean(name, known))


def _das_names(value: Any, where: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        msg = f"{where}: 'das_names' must be a list of names in DAS, not {value!r:.60}."
        raise ConfigurationError(msg)
    for name in names:
        if not isinstance(name, str) or not (name.startswith("root://") or _DAS_NAME.fullmatch(name)):
            hint = " Find names with: pocket-coffea dataset-discovery-cli." if "*" in str(name) else ""
            msg = (
                f"{where}: {name!r} is no name in DAS (/primary/processed/TIER) and no folder or file on a "
                f"server (root://...).{hint}"
            )
            raise ConfigurationError(msg)
    if len(set(names)) < len(names):
        msg = f"{where}: 'das_names' has {max(names, key=names.count)} twice; its events would count twice."
        raise ConfigurationError(msg)
    return tuple(names)


def _with_version(metadata: dict[str, Any], names: tuple[str, ...], where: str) -> dict[str, Any]:
    """Fill in ``nano_version`` when the names tell it."""
    versions = {version for version in map(nano_version, names) if version}
    if metadata.get("nano_version") or not versions:
        return metadata
    if len(versions) > 1:
        msg = (
            f"{where}: the names are of NanoAOD versions {', '.join(sorted(versions))}, but a dataset has "
            "one: make a files entry, with a 'part', for each."
        )
        raise ConfigurationError(msg)
    return {**metadata, "nano_version": versions.pop()}
