"""Where an output comes from: code, image, configuration, options, machine and time."""

from __future__ import annotations

import json
import platform
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pocket_coffea
from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command
from pocket_coffea.utils.tree_digest import tree_digest

__all__ = [
    "IMAGE_MANIFEST",
    "code_identity",
    "image_identity",
    "make_provenance",
    "package_versions",
    "source_digest",
]

#: What an image says about itself; there is no such file outside of one.
IMAGE_MANIFEST = Path("/.pocket-coffea/manifest.json")

#: Packages whose version can change results.
PACKAGES = (
    "awkward",
    "boost-histogram",
    "coffea",
    "correctionlib",
    "hist",
    "numba",
    "numpy",
    "omegaconf",
    "pyarrow",
    "uproot",
    "vector",
)

#: Options that say who ran it rather than what ran; only whether they were set is recorded.
_PRIVATE = frozenset({"voms-proxy", "notify-user"})


@cache
def source_digest() -> str:
    """Return the sha256 over all files of the installed package, names included."""
    return tree_digest(Path(pocket_coffea.__file__).parent)


@cache
def code_identity() -> dict[str, Any]:
    """Return version, source digest and, in a git checkout, commit and whether files differ from it."""
    identity: dict[str, Any] = {"version": pocket_coffea.__version__, "source_digest": source_digest()}
    root = Path(pocket_coffea.__file__).parent
    commit = _git(root, "rev-parse", "HEAD")
    if commit and (root.parent / ".git").exists():
        identity["commit"] = commit
        identity["modified"] = bool(_git(root, "status", "--porcelain", "--", "."))
    return identity


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        # without optional locks: else asking for the state would keep others from committing meanwhile
        argv = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
        return run_command(argv, timeout=20).stdout.strip()
    except CommandFailed:
        return None


def image_identity(manifest: Path = IMAGE_MANIFEST) -> dict[str, Any] | None:
    """Return what the manifest of the image says, None outside of an image."""
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return dict(content) if isinstance(content, dict) else None


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change results."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "unknown"
    return versions


def make_provenance(
    *,
    digests: Mapping[str, str],
    options: Mapping[str, Mapping[str, Any]],
    executor: str,
    plan: str,
    start: datetime,
    configuration_file: str = "",
    calibrations_not_applied: Sequence[str] = (),
    workers: Mapping[str, Any] | None = None,
    throughput: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Return the provenance entry of an output. ``start`` and the end, which is now, are times in UTC;
    ``workers``: in what the workers ran, empty when in this process; ``throughput``: events, chunks and
    seconds of processing by dataset."""
    shown = {
        name: {**setting, "value": "set"} if name in _PRIVATE and setting.get("value") else dict(setting)
        for name, setting in options.items()
    }
    return {
        "code": dict(code_identity()),
        "image": image_identity(),
        "digests": dict(digests),
        "plan_digest": plan,
        "configuration_file": Path(configuration_file).name,
        "calibrations_not_applied": list(calibrations_not_applied),
        "executor": executor,
        "workers": dict(workers or {}),
        "run_options": shown,
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "packages": dict(package_versions()),
        "start": start.astimezone(UTC).isoformat(timespec="seconds"),
        "end": datetime.now(UTC).isoformat(timespec="seconds"),
        "throughput": {
            name: {key: round(value, 3) for key, value in numbers.items()}
            for name, numbers in sorted((throughput or {}).items())
        },
    }
