"""Outputs as zip files, of which a reader takes only the histograms that it needs.

``index.json`` says what is inside: for each histogram its member, axes, samples and datasets. Histograms,
and columns by sample, are members of their own; the rest (cutflow, sums of weights, metadata, ledger,
provenance) is one member. Members are pickles, compressed with a checksum. Equal outputs are equal files.
"""

from __future__ import annotations

import json
import pickle
import urllib.parse
import zipfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cloudpickle
import lz4.frame

from pocket_coffea.errors import InputFileError
from pocket_coffea.utils.atomic import whole_file
from pocket_coffea.utils.output_file import check_names, reading, unpickle_output

__all__ = ["INDEX", "ZipOutput", "write_zip"]

INDEX = "index.json"
FORMAT, VERSION = "pocket-coffea output", 1
REST = "rest.pkl.lz4"
#: Keys of an output with one member for each of their keys.
APART = ("variables", "processing_metadata", "columns")
#: The oldest time that a zip file can tell: files do not depend on when they are written.
_TIME = (1980, 1, 1, 0, 0, 0)


def write_zip(output: Mapping[str, Any], path: Path) -> None:
    """Write an output as a zip file, whole or not at all. Raises OutputError."""
    apart: dict[str, dict[str, Any]] = {}
    rest = dict(output)
    with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for key in APART:
            content = output.get(key)
            if type(content) is not dict or not all(map(_fits, content, content.values())):
                continue
            rest[key] = {}
            apart[key] = {name: _describe(key, name, content[name]) for name in content}
            for name, entry in apart[key].items():
                _write_member(archive, entry["member"], content[name])
        _write_member(archive, REST, rest)
        index = {"format": FORMAT, "version": VERSION, "rest": REST, "apart": apart}
        _write_bytes(archive, INDEX, json.dumps(index, indent=1).encode())


def _fits(name: Any, content: Any) -> bool:
    return isinstance(name, str) and isinstance(content, dict)


def _describe(key: str, name: str, content: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"member": f"{key}/{urllib.parse.quote(name, safe='')}.pkl.lz4"}
    if key == "columns":
        return entry
    entry["samples"] = {str(sample): list(map(str, inner)) for sample, inner in content.items()}
    for histogram in (each for inner in content.values() for each in inner.values()):
        entry["axes"] = [str(axis.name) for axis in histogram.axes]
        break
    return entry


def _write_member(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    with (
        archive.open(_info(name), "w", force_zip64=True) as raw,
        lz4.frame.open(raw, "wb", compression_level=0, content_checksum=True) as file,
    ):
        cloudpickle.Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(content)


def _write_bytes(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(_info(name), content)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = 0o644 << 16
    return info


class ZipOutput:
    """An output in a zip file, to be read in parts; use it in a ``with``.

    Raises InputFileError when the file is missing, damaged, or of another format or version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with reading(self.path):
            self._archive = self._open()
            self.index = self._read_index()

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except zipfile.BadZipFile as error:
            raise ValueError(str(error)) from error

    def _read_index(self) -> dict[str, Any]:
        try:
            index: dict[str, Any] = json.loads(self._archive.read(INDEX))
            known = (index["format"], index["version"]) == (FORMAT, VERSION)
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            self._archive.close()
            msg = f"{self.path} is a zip file, but not an output: it has no {INDEX} of this format."
            raise InputFileError(msg) from error
        if not known:
            self._archive.close()
            msg = (
                f"{self.path} is of format {index['format']!r}, version {index['version']}; this version of "
                f"PocketCoffea reads {FORMAT!r}, version {VERSION}."
            )
            raise InputFileError(msg)
        return index

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        """What the index says of the histograms: {name: {"axes": [...], "samples": {sample: [datasets]}}}."""
        return dict(self.index["apart"].get("variables", {}))

    def load(self, variables: Collection[str] | None = None, *, columns: bool = True) -> dict[str, Any]:
        """Return the output with the wanted histograms (None: all), and with its columns or without."""
        if variables is not None:
            check_names(variables, self.variables, self.path)
        output = self._unpickle(self.index["rest"])
        for key, entries in self.index["apart"].items():
            names: Iterable[str] = entries
            if key == "variables" and variables is not None:
                names = [name for name in entries if name in variables]
            if key == "columns" and not columns:
                names = []
            output[key] = {name: self._unpickle(entries[name]["member"]) for name in names}
        return output

    def histograms(self, variable: str) -> dict[str, dict[str, Any]]:
        """Return one variable, {sample: {dataset: histogram}}, and read nothing else. Raises UnknownName."""
        check_names([variable], self.variables, self.path)
        content: dict[str, dict[str, Any]] = self._unpickle(self.variables[variable]["member"])
        return content

    def _unpickle(self, member: str) -> Any:
        place = self.path / member
        with reading(place):
            try:
                packed = self._archive.read(member)
            except zipfile.BadZipFile as error:
                raise ValueError(str(error)) from error
            return unpickle_output(lz4.frame.decompress(packed), place)
