"""Dataset JSONs: which files a build writes, what is in them, and always the same bytes for the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocket_coffea.datasets.build import BuiltDataset, Chooser
from pocket_coffea.datasets.definition import DatasetRequest
from pocket_coffea.errors import ConfigurationError, ResultsRefused
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.wording import count_of

__all__ = ["JsonFiles", "as_json", "read_json", "write_json"]


@dataclass(frozen=True)
class JsonFiles:
    """Where datasets go. ``by_year``: a file for each year; ``prefix``: of local copies, over the one of the
    definition; ``overwrite``: datasets that are there are replaced."""

    by_year: bool = False
    prefix: str | None = None
    overwrite: bool = False
    _read: dict[Path, dict[str, Any]] = field(default_factory=dict, repr=False)

    def paths(self, request: DatasetRequest) -> dict[str, Path]:
        """Return the files of a dataset: ``direct``, ``redirector`` and, if a prefix is known, ``local``."""
        path = Path(request.json_output)
        year = f"_{request.metadata['year']}" if self.by_year else ""
        stem = path.name.removesuffix(".json")
        kinds = {"direct": "", "redirector": "_redirector"}
        if self.prefix or request.storage_prefix:
            kinds["local"] = "_local"
        return {kind: path.with_name(f"{stem}{suffix}{year}.json") for kind, suffix in kinds.items()}

    def existing(self, path: Path) -> dict[str, Any]:
        """Return what a file has, {} if there is none. Raises ConfigurationError if it is damaged."""
        if path not in self._read:
            self._read[path] = read_json(path) if path.exists() else {}
        return self._read[path]

    def refuse_existing(self, requests: Sequence[DatasetRequest]) -> None:
        """Raise ResultsRefused when datasets are in their files already and may not be replaced."""
        if self.overwrite:
            return
        there = []
        for request in requests:
            found = [path for path in self.paths(request).values() if request.name in self.existing(path)]
            there += [f"{request.name} in {found[0]}"] if found else []
        if there:
            msg = (
                f"{count_of(len(there), 'dataset is', 'datasets are')} there already: {', '.join(there[:3])}"
                f"{', ...' if len(there) > 3 else ''}. Replace them with --overwrite, or choose others with "
                "--keys."
            )
            raise ResultsRefused(msg)

    def write(self, built: Sequence[BuiltDataset], chooser: Chooser) -> list[Path]:
        """Write the datasets into their files, beside those that are there; return the files' paths."""
        content: dict[Path, dict[str, Any]] = {}
        for each in built:
            addresses = {
                "direct": each.addresses,
                "redirector": tuple(chooser.through_redirector(file) for file in each.files),
                "local": tuple(self.local(each.request, file.name) for file in each.files),
            }
            for kind, path in self.paths(each.request).items():
                new = content.setdefault(path, dict(self.existing(path)))
                new[each.request.name] = _entry(each, addresses[kind])
        for path, datasets in content.items():
            write_json(path, datasets)
        return list(content)

    def local(self, request: DatasetRequest, name: str) -> str:
        """Return the path of the local copy of a file."""
        prefix = str(self.prefix or request.storage_prefix or "")
        path = name if not name.startswith("root://") else "/" + name.split("//", 2)[-1].lstrip("/")
        return prefix.rstrip("/") + path


def _entry(built: BuiltDataset, addresses: Sequence[str]) -> dict[str, Any]:
    info = {
        address: {
            key: value
            for key, value in (("nevents", file.nevents), ("size", file.size), ("adler32", file.adler32))
            if value is not None
        }
        for address, file in zip(addresses, built.files, strict=True)
    }
    return {"metadata": built.metadata(), "files": list(addresses), "file_info": info}


def read_json(path: Path) -> dict[str, Any]:
    """Return the datasets of a JSON. Raises ConfigurationError naming the file and what is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"The dataset file {path} cannot be read: {error}. Remove it, or choose another json_output."
        raise ConfigurationError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} is no dataset file: it holds a {type(content).__name__}, not datasets by name."
        raise ConfigurationError(msg)
    return content


def as_json(datasets: Mapping[str, Any]) -> str:
    """Return the text of a dataset file: datasets and metadata sorted by name."""
    ordered = {name: datasets[name] for name in sorted(datasets)}
    for name, entry in ordered.items():
        if isinstance(entry, Mapping) and isinstance(entry.get("metadata"), Mapping):
            ordered[name] = {**entry, "metadata": dict(sorted(entry["metadata"].items()))}
    return json.dumps(ordered, indent=4) + "\n"


def write_json(path: Path, datasets: Mapping[str, Any]) -> None:
    """Write a dataset file, whole or not at all. Raises OutputError."""
    write_whole(path, as_json(datasets))
