"""Copies of the files of a dataset below a local folder, with the checksum of the catalogue."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pocket_coffea.datasets.files import DatasetFile
from pocket_coffea.errors import CommandFailed, PocketCoffeaError
from pocket_coffea.utils.process import run_command

__all__ = ["download_files"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 3600


def download_files(
    copies: Sequence[tuple[DatasetFile, str, str]],
    workers: int = 4,
    progress: Callable[[str], Any] = lambda _path: None,
) -> dict[str, str]:
    """Copy (file, its address, local path) with xrdcp; return {local path: why it failed}.

    What is there with the right size is not copied again; a file appears whole or not at all.
    """
    failed: dict[str, str] = {}

    def fetch(copy: tuple[DatasetFile, str, str]) -> None:
        try:
            _fetch(*copy)
        except (PocketCoffeaError, OSError) as error:
            failed[copy[2]] = str(error)
        progress(copy[2])

    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="download") as pool:
        list(pool.map(fetch, copies))
    return dict(sorted(failed.items()))


def _fetch(file: DatasetFile, address: str, path: str) -> None:
    target = Path(path)
    if target.is_file() and (file.size is None or target.stat().st_size == file.size):
        log.debug("%s is there", target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    check = ["--cksum", f"adler32:{file.adler32}"] if file.adler32 else []
    try:
        run_command(["xrdcp", "--force", "--silent", *check, address, str(part)], timeout=_TIMEOUT_S)
        if file.size is not None and part.stat().st_size != file.size:
            msg = f"{address} has {part.stat().st_size} bytes, the catalogue says {file.size}."
            raise CommandFailed(msg)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
