"""What travels by the batch system alone: outputs and completed chunks of a job, each as one archive.

A job packs, whoever watches the campaign collects: it moves outputs to their place, whole or not at all, and
puts the report and the completed chunks where the next attempt finds them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pocket_coffea.errors import OutputError
from pocket_coffea.executors.jobs.facts import (
    CHECKPOINTS,
    checkpoints_name,
    packed_outputs_name,
    report_name,
    returned_report_name,
)
from pocket_coffea.executors.jobs.record import CampaignRecord
from pocket_coffea.utils.atomic import whole_file, write_whole

__all__ = ["adler32_of", "collect", "pack_folder", "pack_outputs", "prepare_transfer", "unpack_folder"]

log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_BLOCK = 1 << 20
#: What damaged archives raise.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, tarfile.TarError, zlib.error)


def adler32_of(file: Path) -> str:
    """Return the checksum that grid storage uses, 8 hexadecimal digits. Raises OSError."""
    value = 1
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            value = zlib.adler32(block, value)
    return f"{value:08x}"


def pack_outputs(archive: Path, files: Iterable[tuple[Path, Mapping[str, Any]]]) -> None:
    """Write an archive of (file, {"path": destination, "size", "adler32"}). Raises OutputError."""
    entries = list(files)
    manifest = [dict(about) for _, about in entries]
    with whole_file(archive) as part, tarfile.open(part, "w") as tar:
        place = part.with_name(f"{part.name}.{_MANIFEST}")
        write_whole(place, json.dumps(manifest))
        try:
            tar.add(place, _MANIFEST)
        finally:
            place.unlink()
        for number, (file, _) in enumerate(entries):
            tar.add(file, str(number))


def pack_folder(folder: Path, archive: Path) -> None:
    """Write an archive of all that is in a folder; an empty file when there is no such folder.

    Raises OutputError.
    """
    if not folder.is_dir():
        write_whole(archive, "")
        return
    with whole_file(archive) as part, tarfile.open(part, "w") as tar:
        tar.add(folder, ".", filter=_is_whole)


def _is_whole(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(member.name).name
    return None if name.endswith(".part") or (name.startswith(".") and len(name) > 1) else member


def unpack_folder(archive: Path, folder: Path) -> None:
    """Unpack an archive, if it is there and not empty. One that is damaged is left out, with a warning."""
    try:
        if not archive.stat().st_size:
            return
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except FileNotFoundError:
        return
    except _DAMAGED as error:
        log.warning("completed chunks in %s cannot be read and are processed again: %s", archive, error)
        shutil.rmtree(folder, ignore_errors=True)


# -- on the submit side


def prepare_transfer(folder: Path, job: int) -> None:
    """Make the archive of completed chunks that the batch system takes to the next attempt, if there is none.

    Raises OutputError.
    """
    path = folder / CHECKPOINTS / checkpoints_name(job)
    if not path.exists():
        write_whole(path, "")


def collect(record: CampaignRecord, job: int, attempt: int) -> None:
    """Put what the batch system brought back for an attempt into place; does nothing when all is there.

    Outputs first, each whole, then completed chunks, the report last. Raises OutputError.
    """
    brought = record.folder / returned_report_name(job)
    try:
        report = json.loads(brought.read_bytes())
        if (report["job"], report["attempt"]) != (job, attempt):
            return  # it is of another attempt
    except (OSError, ValueError, KeyError, TypeError):
        return  # not there (yet), or empty: Python never started
    packed = record.folder / packed_outputs_name(job)
    if report.get("exit_code") == 0 and _has_content(packed):
        _unpack_outputs(packed)
    chunks = record.folder / checkpoints_name(job)
    with _moving(brought):
        if chunks.exists():
            chunks.replace(_made(record.folder / CHECKPOINTS / chunks.name))
        brought.replace(_made(record.folder / "logs" / report_name(job, attempt)))
        packed.unlink(missing_ok=True)


def _has_content(packed: Path) -> bool:
    """Return whether a job packed outputs; where it delivers them itself the archive is empty."""
    return packed.exists() and packed.stat().st_size > 0


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _moving(what: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{what} and what came with it cannot be put into place: {error.strerror or error}."
        raise OutputError(msg) from error


def _unpack_outputs(packed: Path) -> None:
    """Move every file of an archive to its destination, all or none as far as reading goes."""
    made: list[tuple[Path, Path]] = []
    try:
        with tarfile.open(packed) as tar:
            for number, about in enumerate(json.load(_member(tar, _MANIFEST))):
                target = _made(Path(about["path"]))
                part = target.with_name(f".{target.name}.part")
                made.append((part, target))
                _unpack_one(_member(tar, str(number)), part, about)
        for part, target in made[::-1]:  # the output itself, which is the first, appears last
            part.replace(target)
    except _DAMAGED as error:
        msg = f"{packed}, which the batch system brought back, cannot be unpacked: {error}."
        raise OutputError(msg) from error
    finally:
        for part, _ in made:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _unpack_one(content: IO[bytes], part: Path, about: Mapping[str, Any]) -> None:
    """Write one file. Raises ValueError when it has another checksum than ``about`` says."""
    with part.open("wb") as file:
        shutil.copyfileobj(content, file, _BLOCK)
    if adler32_of(part) != about["adler32"]:
        msg = f"the checksum of {Path(about['path']).name} is not what the job wrote down"
        raise ValueError(msg)


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = tar.extractfile(name)
    if stream is None:
        msg = f"{name} is no file"
        raise ValueError(msg)
    return stream
