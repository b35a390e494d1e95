"""Singularity image files, written so that equal content gives equal bytes.

Apptainer's own writer stamps a random identifier and the time of day into each file. This one leaves both
out; Apptainer reads the result all the same. Layout (little endian): a header of 128 bytes, a table of 48
descriptors of 585 bytes from byte 4096, the objects from byte 32176, partitions aligned to 4096 bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pocket_coffea.errors import InputFileError, OutputError

__all__ = ["DEFINITION", "INSPECT", "PARTITION", "SBOM", "SifObject", "file_sha256", "read_sif", "write_sif"]

DEFINITION, PARTITION, INSPECT, SBOM = 0x4001, 0x4004, 0x4006, 0x4009

_LAUNCH = b"#!/usr/bin/env run-singularity\n"
_MAGIC, _VERSION, _AMD64 = b"SIF_MAGIC\0", b"01\0", b"02\0"
_HEADER = struct.Struct("<32s10s3s3s16s8q")
_DESCRIPTOR = struct.Struct("<i?III7q128s384s")
_TABLE, _SLOTS, _PAGE = 4096, 48, 4096
_DATA = _TABLE + _SLOTS * _DESCRIPTOR.size
_GROUP = 0xF0000001
#: squashfs; the primary system of the image; amd64
_PARTITION_EXTRA = struct.pack("<ii3s", 1, 2, _AMD64)
_CYCLONEDX_JSON = struct.pack("<i", 1)
_EXTRA = {PARTITION: _PARTITION_EXTRA, SBOM: _CYCLONEDX_JSON}


@dataclass(frozen=True, slots=True)
class SifObject:
    """One object: its type, name, and where its bytes are (a whole file, or a part of one)."""

    kind: int
    name: str
    path: Path
    offset: int = 0
    size: int = -1

    def length(self) -> int:
        """Return the size in bytes."""
        return self.path.stat().st_size - self.offset if self.size < 0 else self.size

    def read(self) -> bytes:
        """Return the content; for small objects."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.length())


def write_sif(target: Path, objects: Sequence[SifObject], epoch: int) -> str:
    """Write an image, whole or not at all, and return its sha256.

    epoch: the time that is written into the image, in seconds since 1970. Raises OutputError.
    """
    temporary = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        with os.fdopen(number, "wb") as file:
            _write(file, objects, epoch)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o755)
        digest = file_sha256(Path(temporary))
        Path(temporary).replace(target)
    except OSError as error:
        msg = f"The image {target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    finally:
        with suppress(OSError):
            Path(temporary).unlink()
    return digest


def _write(file: IO[bytes], objects: Sequence[SifObject], epoch: int) -> None:
    table = b""
    end = _DATA
    for number, item in enumerate(objects, start=1):
        offset = -(-end // _PAGE) * _PAGE if item.kind == PARTITION else end
        size = item.length()
        table += _DESCRIPTOR.pack(
            item.kind,
            True,
            number,
            _GROUP,
            0,
            offset,
            size,
            offset - end + size,
            epoch,
            epoch,
            0,
            0,
            item.name.encode(),
            _EXTRA.get(item.kind, b""),
        )
        file.seek(offset)
        with item.path.open("rb") as source:
            source.seek(item.offset)
            shutil.copyfileobj(source, file, 1 << 20)
        end = offset + size
    free = _SLOTS - len(objects)
    numbers = (epoch, epoch, free, _SLOTS, _TABLE, _SLOTS * _DESCRIPTOR.size, _DATA, end - _DATA)
    file.seek(0)
    file.write(_HEADER.pack(_LAUNCH, _MAGIC, _VERSION, _AMD64, bytes(16), *numbers))
    file.seek(_TABLE)
    file.write(table)


def read_sif(path: Path) -> list[SifObject]:
    """Return the objects of an image. Raises InputFileError when it is no SIF file or is cut short."""
    try:
        return list(_read(path))
    except OSError as error:
        if isinstance(error, InputFileError):
            raise
        msg = f"The image {path} cannot be read: {error.strerror or error}."
        raise InputFileError(msg) from error


def _read(path: Path) -> Iterator[SifObject]:
    length = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or head[32:42] != _MAGIC:
            msg = f"{path} is no Singularity image (SIF): its first bytes are {head[:16]!r}."
            raise InputFileError(msg)
        slots, start = _HEADER.unpack(head)[8:10]
        file.seek(start)
        table = file.read(slots * _DESCRIPTOR.size)
    for index in range(len(table) // _DESCRIPTOR.size):
        kind, used, _, _, _, offset, size, *_, name, _ = _DESCRIPTOR.unpack_from(
            table, index * _DESCRIPTOR.size
        )
        if used and offset + size > length:
            msg = f"{path} is cut short: an object ends at byte {offset + size}, the file at {length}."
            raise InputFileError(msg)
        if used:
            yield SifObject(kind, name.rstrip(b"\0").decode(errors="replace"), path, offset, size)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file. Raises InputFileError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise InputFileError(msg) from error
