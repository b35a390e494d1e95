"""What an image says of itself, read without starting it: from a SIF file or an unpacked folder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocket_coffea.images.manifest import LABEL, MANIFEST
from pocket_coffea.images.sif import INSPECT, read_sif

__all__ = ["Says", "read_labels"]

#: Where Apptainer unpacks them.
_LABELS = Path(".singularity.d", "labels.json")
_MINOR = re.compile(r"(3\.\d+)(?:\.\S+)?")


@dataclass(frozen=True, slots=True)
class Says:
    """Digests in hex, ``python`` as ``3.13``; empty where the image does not say it."""

    input_digest: str = ""
    source_digest: str = ""
    python: str = ""


def read_labels(image: Path) -> Says:
    """Return what a SIF file or a folder says. Raises InputFileError for a file that is no SIF file."""
    if not image.is_dir():
        return _says(_of_file(image), {})
    return _says(_read(image / _LABELS), _read(image / MANIFEST))


def _says(labels: dict[str, Any], manifest: dict[str, Any]) -> Says:
    def of(name: str) -> str:
        return str(labels.get(LABEL + name.replace("_", "-")) or manifest.get(name) or "")

    python = _MINOR.fullmatch(of("python"))
    return Says(of("input_digest"), of("source_digest"), python[1] if python else "")


def _of_file(path: Path) -> dict[str, Any]:
    """Return the labels that ``apptainer inspect`` shows; there may be none."""
    metadata = [item for item in read_sif(path) if item.kind == INSPECT]
    try:
        content = json.loads(metadata[0].read()) if metadata else {}
        labels = content["data"]["attributes"]["labels"] if content else {}
    except (ValueError, KeyError, TypeError):
        return {}
    return labels if isinstance(labels, dict) else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
