"""Datasets: reading the dataset files, choosing by sample and year, checking what is needed to process
them.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocket_coffea.config.names import as_list, as_mapping, warn_unknown_keys
from pocket_coffea.errors import ConfigurationError, DataFileNotFound, InvalidType, did_you_mean, nearest
from pocket_coffea.utils.metadata import normalise_metadata, to_bool

__all__ = ["Filesets", "check_filesets", "limit_files", "read_filesets", "samples_are_mc", "unique_metadata"]

log = logging.getLogger(__name__)

#: dataset -> {"files": [urls], "metadata": {...}}
Filesets = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Filter:
    """Which datasets to keep; an empty ``samples`` or ``years`` given by the user keeps none, None keeps
    all.
    """

    samples: list[str] | None
    excluded: list[str]
    years: list[str] | None

    @classmethod
    def read(cls, config: Any) -> _Filter:
        where = 'datasets["filter"]'
        tree = as_mapping(config, where)
        warn_unknown_keys(tree, ("samples", "samples_exclude", "year"), where)
        names = {key: _names(tree[key], f"{where}[{key!r}]") for key in tree if tree[key] is not None}
        return cls(names.get("samples"), names.get("samples_exclude", []), names.get("year"))

    def keeps(self, metadata: Mapping[str, Any]) -> bool:
        sample, year = str(metadata["sample"]), str(metadata["year"])
        return (
            (self.samples is None or sample in self.samples)
            and sample not in self.excluded
            and (self.years is None or year in self.years)
        )


def _names(value: Any, where: str) -> list[str]:
    """Names as strings; one name alone is a list of one (years may be written as integers)."""
    return [str(value)] if isinstance(value, str | int) else [str(item) for item in as_list(value, where)]


def read_filesets(config: Any) -> tuple[Filesets, frozenset[str]]:
    """Read the ``datasets`` entry of a configuration.

    Returns the selected filesets, in the order of the files (of a dataset that comes twice, the later one
    counts), and the names of all samples that the files define before the filter.

    Raises DataFileNotFound if a dataset file does not exist, ConfigurationError if one cannot be read, if a
    dataset is incomplete, or if the filter leaves nothing."""
    tree = as_mapping(config, "datasets")
    warn_unknown_keys(tree, ("jsons", "filter", "subsamples"), "datasets")
    jsons = tree.get("jsons")
    paths = [jsons] if isinstance(jsons, str | Path) else as_list(jsons, 'datasets["jsons"]')
    everything: Filesets = {}
    origin: dict[str, Path] = {}
    for path in paths:
        content = _read_json(Path(path).expanduser())
        for name in content:
            if name in everything:
                log.info("Dataset %r of %s replaces the one of %s.", name, path, origin[name])
            origin[name] = Path(path)
        everything.update(content)
    for name, entry in everything.items():
        _check_entry(name, entry, str(origin[name]))
    selection = _Filter.read(tree.get("filter"))
    kept = {name: entry for name, entry in everything.items() if selection.keeps(entry["metadata"])}
    if not kept:
        raise ConfigurationError(_nothing_kept(paths, selection, everything))
    known = frozenset(str(entry["metadata"]["sample"]) for entry in everything.values())
    _warn_absent(selection, known, {str(entry["metadata"]["year"]) for entry in everything.values()})
    return check_filesets(kept, {name: str(path) for name, path in origin.items()}), known


def _read_json(path: Path) -> Filesets:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        folder = path.absolute().parent
        others = (
            nearest(path.name, [other.name for other in folder.glob("*.json")]) if folder.is_dir() else []
        )
        hint = f" Did you mean {' or '.join(map(repr, others))}?" if others else ""
        there = "" if folder.is_dir() else " (the folder does not exist either)"
        msg = (
            f'The dataset file {str(path)!r} of datasets["jsons"] does not exist: looked at '
            f"{path.absolute()}{there}.{hint}"
        )
        raise DataFileNotFound(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f'The dataset file {str(path)!r} of datasets["jsons"] cannot be read: {error}.'
        raise ConfigurationError(msg) from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        msg = f"{path}, line {error.lineno}, column {error.colno}: this is not valid JSON: {error.msg}."
        raise ConfigurationError(msg) from error
    if not isinstance(content, dict):
        msg = (
            f'{path}: a dataset file is {{dataset: {{"files": [...], "metadata": {{...}}}}}}, not a '
            f"{type(content).__name__}."
        )
        raise ConfigurationError(msg)
    return content


def _check_entry(name: str, entry: Any, origin: str) -> None:
    """Check what the filter needs."""
    where = f"{origin}: dataset {name!r}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("metadata"), Mapping):
        keys = ", ".join(map(str, entry)) if isinstance(entry, Mapping) else type(entry).__name__
        msg = (
            f'{where} has no "metadata" dictionary (it has: {keys}). A dataset is '
            f'{{"files": [...], "metadata": {{...}}}}.'
        )
        raise ConfigurationError(msg)
    for key in ("sample", "year"):
        if key not in entry["metadata"]:
            have = ", ".join(map(str, entry["metadata"])) or "nothing"
            msg = f"{where} has no {key!r} in its metadata (it has: {have})."
            raise ConfigurationError(msg)


def _nothing_kept(paths: Iterable[Any], selection: _Filter, everything: Filesets) -> str:
    wanted = [f"samples {', '.join(selection.samples)}"] if selection.samples is not None else []
    if selection.excluded:
        wanted.append(f"without {', '.join(selection.excluded)}")
    if selection.years is not None:
        wanted.append(f"years {', '.join(selection.years)}")
    have: dict[str, list[str]] = {}
    for entry in everything.values():
        years = have.setdefault(str(entry["metadata"]["sample"]), [])
        if str(entry["metadata"]["year"]) not in years:
            years.append(str(entry["metadata"]["year"]))
    there = (
        "; ".join(f"{sample} ({', '.join(years)})" for sample, years in sorted(have.items()))
        or "no dataset at all"
    )
    guesses = [
        f"{name!r}: {did_you_mean(name, have)}"
        for name in selection.samples or []
        if name not in have and have
    ]
    return (
        f"Wrong filesets configuration: no dataset is left. Requested: {'; '.join(wanted) or 'everything'}. "
        f"In {', '.join(map(str, paths)) or 'no dataset file'}: {there}. {' '.join(guesses)}".rstrip()
    )


def _warn_absent(selection: _Filter, samples: Iterable[str], years: Iterable[str]) -> None:
    for key, wanted, have in (
        ("samples", selection.samples, samples),
        ("samples_exclude", selection.excluded, samples),
        ("year", selection.years, years),
    ):
        for name in wanted or []:
            if name not in have:
                hint = did_you_mean(name, have)
                log.warning(
                    'datasets["filter"][%r]: no dataset has %r, so it selects nothing. %s', key, name, hint
                )


def check_filesets(filesets: Mapping[str, Any], origin: Mapping[str, str] | None = None) -> Filesets:
    """Return a checked copy of the filesets with the metadata in their documented form.

    origin: dataset -> file that it comes from, for the messages. Raises ConfigurationError for a dataset
    without files, with a file listed twice, or with incomplete metadata."""
    clean = {}
    for name, entry in filesets.items():
        where = f"{origin[name]}: dataset {name!r}" if origin and name in origin else f"Dataset {name!r}"
        _check_entry(name, entry, origin[name] if origin and name in origin else "filesets")
        clean[str(name)] = {
            **entry,
            "files": _checked_files(entry.get("files"), where),
            "metadata": normalise_metadata(entry["metadata"], f"{where}, metadata"),
        }
    samples_are_mc(clean)
    return clean


def _checked_files(files: Any, where: str) -> list[str] | dict[str, Any]:
    """Return the files: a list, or ``{name: {"object_path": tree, "steps": [[start, stop], ...]}}`` as it is
    where jobs have parts of files."""
    if isinstance(files, Mapping) and files:
        return {str(name): _checked_part(what, f"{where}: file {name}") for name, what in files.items()}
    if not isinstance(files, list | tuple) or not files:
        found = "an empty list" if isinstance(files, list | tuple) else repr(files)
        msg = f'{where} has no files: "files" is {found}, but must list at least one.'
        raise ConfigurationError(msg)
    names = []
    for path in files:
        if not isinstance(path, str | Path):
            msg = f'{where}: "files" must list paths, not {path!r} of type {type(path).__name__}.'
            raise InvalidType(msg)
        names.append(str(path))
    if len(set(names)) < len(names):
        twice = next(path for path in names if names.count(path) > 1)
        msg = (
            f"{where} lists the file {twice} more than once: its events would count twice. Remove the "
            "repetition."
        )
        raise ConfigurationError(msg)
    return names


def _checked_part(what: Any, where: str) -> dict[str, Any]:
    steps = what.get("steps") if isinstance(what, Mapping) else None
    if not isinstance(steps, list | tuple) or not all(map(_is_range, steps)):
        msg = f'{where} must be {{"object_path": tree, "steps": [[start, stop], ...]}}, not {what!r}.'
        raise ConfigurationError(msg)
    return {"object_path": str(what.get("object_path", "Events")), "steps": [list(step) for step in steps]}


def _is_range(step: Any) -> bool:
    if not isinstance(step, list | tuple) or len(step) != 2:
        return False
    return all(isinstance(entry, int) for entry in step) and 0 <= step[0] <= step[1]


def samples_are_mc(filesets: Filesets) -> dict[str, bool]:
    """Return, for each sample in dataset order, whether it is simulation; raise ConfigurationError if a
    sample is both.
    """
    is_mc: dict[str, bool] = {}
    for name, entry in filesets.items():
        sample, flag = entry["metadata"]["sample"], to_bool(entry["metadata"]["isMC"])
        if is_mc.setdefault(sample, flag) != flag:
            msg = (
                f"The sample {sample!r} is simulation in one dataset and data in another, {name!r}: isMC "
                "must be the same."
            )
            raise ConfigurationError(msg)
    return is_mc


def unique_metadata(filesets: Filesets, key: str) -> list[str]:
    """Return the values of one metadata key, each once, in dataset order; datasets without it are passed
    over.
    """
    return list(
        dict.fromkeys(entry["metadata"][key] for entry in filesets.values() if key in entry["metadata"])
    )


def limit_files(filesets: Filesets, nfiles: int) -> Filesets:
    """Return the filesets with at most ``nfiles`` files each.

    ``nevents`` in the metadata is scaled by the fraction of files that is kept and stays a string or a number
    as it was."""
    if nfiles < 1:
        msg = f"The number of files per dataset must be at least 1, not {nfiles}."
        raise ConfigurationError(msg)
    limited = {}
    for name, entry in filesets.items():
        files, metadata = _first(entry["files"], nfiles), dict(entry["metadata"])
        if "nevents" in metadata and len(files) < len(entry["files"]):
            scaled = math.floor(float(metadata["nevents"]) * len(files) / len(entry["files"]))
            metadata["nevents"] = str(scaled) if isinstance(metadata["nevents"], str) else scaled
        limited[name] = {**entry, "files": files, "metadata": metadata}
    return limited


def _first(files: Any, number: int) -> Any:
    return dict(list(files.items())[:number]) if isinstance(files, dict) else files[:number]
