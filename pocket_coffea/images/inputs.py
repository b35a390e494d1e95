"""Everything that decides an image, before it is built, as one digest: the input digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pocket_coffea.errors import ConfigurationError, did_you_mean
from pocket_coffea.images.definition import Definition, read_chain, site_names
from pocket_coffea.images.locks import DebianPackage, Locks, read_locks
from pocket_coffea.images.project import Project, read_project
from pocket_coffea.utils.tree_digest import tree_digest

__all__ = ["Inputs", "builder_digest", "read_inputs"]

#: The modules that decide bytes, of the base and of the rest: their sources are part of the input digests.
BASE_BUILDER = ("debian", "definition", "rootfs")
BUILDER = (*BASE_BUILDER, "manifest", "sif", "squashfs")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a site's image is made of. ``base`` is the digest of the layer that all sites share."""

    site: str
    chain: tuple[Definition, ...]
    locks: Locks
    project: Project
    lock_digests: Mapping[str, str]
    base: str
    digest: str


def read_inputs(root: Path, site: str, allow_dirty: bool = False) -> Inputs:
    """Read what decides the image of a site. Nothing is built or fetched.

    Raises ConfigurationError for an unknown site, a wrong definition file or lock, ResultsRefused for a
    checkout with changes.
    """
    containers = root / "containers"
    names = site_names(containers)
    if site not in names:
        known = did_you_mean(site, names)
        msg = f"There is no image for site {site!r}: {containers} has no {site}.def. {known}"
        raise ConfigurationError(msg)
    # where the files come from decides nothing: each of them is in a lock
    chain = tuple(read_chain(containers / f"{site}.def", {"MIRROR": "-"}))
    locks = read_locks(containers / "locks")
    project = read_project(root, allow_dirty)
    files = locks.digests()
    # of apt.txt only what this image has: another site's packages do not change it
    used = _digest({"debian": _lines(locks.packages_of(*(item.name for item in chain)))})
    lock_digests = {**files, "apt.txt": used}
    common = {"epoch": locks.epoch, "steps": _digests(containers / "steps")}
    bottom = {
        **common,
        "builder": builder_digest(BASE_BUILDER),
        "definition": chain[0].text,
        "debian": _lines(locks.packages_of(chain[0].name)),
        "python": lock_digests["image.txt"],
    }
    base = _digest(bottom)
    top = {
        **common,
        "builder": builder_digest(BUILDER),
        "base": base,
        "definitions": [item.text for item in chain[1:]],
        "debian": _lines(locks.packages_of(*(item.name for item in chain[1:]))),
        "tools": lock_digests["apt-tools.txt"],
        "backend": lock_digests["backend.txt"],
        "project": project.digest,
        "version": project.version,
    }
    return Inputs(site, chain, locks, project, lock_digests, base, _digest(top))


@cache
def builder_digest(modules: tuple[str, ...]) -> str:
    """Return the sha256 over code that builds."""
    here = Path(__file__).parent
    return tree_digest(here, [here / f"{name}.py" for name in modules])


def _lines(packages: Sequence[DebianPackage]) -> list[str]:
    """Return the lock's lines without the users: another site's wishes do not change this image."""
    return sorted(item.line().partition(" ")[2] for item in packages)


def _digests(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
