"""The copy of the grid proxy in a jobs folder, from which the batch system takes it for every attempt."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocket_coffea.errors import ConfigurationError, OutputError
from pocket_coffea.executors.jobs.record import CampaignRecord
from pocket_coffea.executors.proxy import find_proxy, read_proxy
from pocket_coffea.executors.setup import PROXY

__all__ = ["renew_proxy", "write_private"]

log = logging.getLogger(__name__)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all. Raises OutputError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error


def renew_proxy(record: CampaignRecord) -> str:
    """Replace the copy by the user's proxy where that lives longer; return what people should know of it.

    Returns "" when nothing changed, or the campaign needs none. Raises OutputError.
    """
    copy = record.folder / PROXY
    if not copy.exists():
        return ""
    options: Mapping[str, Any] = record.options
    try:
        proxy = find_proxy({"voms-proxy": options.get("voms-proxy")})
    except ConfigurationError as error:
        return f"the proxy of the jobs cannot be renewed: {error}"
    if proxy is None or not _is_longer(proxy.path, copy):
        return ""
    try:
        content = proxy.path.read_bytes()
    except OSError as error:
        return f"the grid proxy {proxy.path} cannot be read: {error.strerror or error}"
    write_private(copy, content)
    return f"the jobs get the newer grid proxy {proxy.path}, good until {proxy.not_after:%Y-%m-%d %H:%M} UTC"


def _is_longer(new: Path, old: Path) -> bool:
    try:
        return read_proxy(new).not_after > read_proxy(old).not_after
    except ConfigurationError:  # the copy is damaged
        return True
