"""The campaign's ledger: one JSON object a line, only ever appended to, on disk before anything acts on it.

A process may die at any byte: a last line without its newline is not part of the ledger, and the next
writer ends it with a newline so that it stays a line of its own, which readers pass over.

Kinds of records (all have ``kind`` and ``time``):

``campaign``    ``campaign`` (its id), ``system``, ``jobs`` (how many)
``submitting``  ``tag``, ``tasks`` [[job, attempt, index into ``resources``], ...], ``host``
``submitted``   ``tag``, ``ids`` {job: id}; ``refused`` {job: reason} of those the batch system did not take
``ended``       ``job``, ``attempt``, ``state``, ``exit_code``, ``signal``, ``reason``, ``cause``, ...
``decided``     ``job``, ``attempt``, ``action``, ``reason``
``rerouted``    ``job``, ``changes`` {old address: new address}
``blacklisted`` ``sites``
``given-up``    ``job``, ``reason``;  ``reopened`` ``job``, ``reason``
``removed``     ``ids``
``note``        ``text``
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pocket_coffea.errors import InputFileError, OutputError

__all__ = ["Ledger", "read_records"]

Record = Mapping[str, Any]


def read_records(path: Path, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return the whole records from byte ``start`` on, and the byte after the last of them.

    A torn line is passed over. A ledger that is not there yet has none. Raises InputFileError when it
    cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        msg = f"the campaign ledger {path} cannot be read: {error.strerror or error}."
        raise InputFileError(msg) from error
    end = data.rfind(b"\n") + 1
    return [record for line in data[:end].split(b"\n") if (record := _parse(line)) is not None], start + end


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:  # torn by a death of its writer, or empty
        return None
    return record if isinstance(record, dict) and "kind" in record else None


class Ledger:
    """Appends records. One process writes at a time: see ``lock``."""

    def __init__(self, path: Path) -> None:
        """Open the ledger for appending; it is made when needed. Raises OutputError."""
        self.path = path
        self._size: int | None = None  # after the last whole write; None when a write may have been torn
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not path.exists()
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            if is_new:
                _sync_folder(path.parent)
        except OSError as error:
            raise self._error(error) from error

    def append(self, records: Iterable[Record]) -> None:
        """Add records and wait until they are on disk. Raises OutputError; nothing may be acted on then."""
        now = round(time.time(), 3)
        lines = [json.dumps({"kind": each["kind"], "time": now, **each}) for each in records]
        if not lines:
            return
        data = "".join(f"{line}\n" for line in lines).encode("ascii")
        try:
            if self._is_torn():
                data = b"\n" + data
            self._size = None
            self._write(data)
            os.fsync(self._file)
            self._size = os.fstat(self._file).st_size
        except OSError as error:
            raise self._error(error) from error

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _is_torn(self) -> bool:
        """Return whether the ledger ends within a line: a writer died, or the disk was full."""
        size = os.fstat(self._file).st_size
        if size in (0, self._size):
            return False
        return os.pread(self._file, 1, size - 1) != b"\n"

    def _error(self, error: OSError) -> OutputError:
        msg = f"the campaign ledger {self.path} cannot be written: {error.strerror or error}."
        return OutputError(msg)

    def close(self) -> None:
        """Close the file; what was appended stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _sync_folder(folder: Path) -> None:
    """Force the name of a new file to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
