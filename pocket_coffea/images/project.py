"""The code that is baked in: which files, from which commit, and the wheel made of them."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pocket_coffea.errors import CommandFailed, ConfigurationError, ResultsRefused
from pocket_coffea.images.locks import Locks
from pocket_coffea.utils.process import run_command
from pocket_coffea.utils.tree_digest import tree_digest

__all__ = ["Project", "build_wheel", "find_checkout", "read_project"]

#: What decides the wheel.
PARTS = ("pocket_coffea", "sites", "pyproject.toml", "README.md", "LICENSE")
_BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


@dataclass(frozen=True, slots=True)
class Project:
    """A checkout: its version (``+dirty.<digest>`` when it is not a commit), files and digests."""

    root: Path
    version: str
    commit: str
    files: tuple[Path, ...]
    source_digest: str
    digest: str


def find_checkout(start: Path | None = None) -> Path:
    """Return the checkout that has ``containers/base.def``: ``start`` or a folder above it, else the one that
    this package runs from. Raises ConfigurationError."""
    first = (start or Path.cwd()).resolve()
    package = Path(__file__).resolve().parents[2]
    for folder in (first, *first.parents, package):
        if (folder / "containers" / "base.def").is_file() and (folder / "pyproject.toml").is_file():
            return folder
    msg = f"Images are built from a checkout of PocketCoffea; neither {first} nor a folder above it is one."
    raise ConfigurationError(msg)


def read_project(root: Path, allow_dirty: bool = False) -> Project:
    """Return what a build would bake in.

    Raises ResultsRefused when files differ from the commit (or are in none) and ``allow_dirty`` is False.
    """
    files = _files(root)
    changed = _git(root, "status", "--porcelain", "--untracked-files=normal", "--", *PARTS, "containers")
    whole = tree_digest(root, files)
    version = _version(root)
    if changed and not allow_dirty:
        shown = "\n".join(changed.splitlines()[:10])
        msg = (
            f"{root} differs from its commit, so that nobody could build this image again:\n{shown}\n"
            "Commit the changes, or allow it with ALLOW_DIRTY=1 (--allow-dirty): "
            "the image is then marked +dirty."
        )
        raise ResultsRefused(msg)
    if changed:
        mark = hashlib.sha256(f"{whole} {tree_digest(root / 'containers')}".encode()).hexdigest()
        version = f"{version}+dirty.{mark[:12]}"
    package = root / "pocket_coffea"
    source = tree_digest(package, [path for path in files if package in path.parents])
    return Project(root, version, _git(root, "rev-parse", "HEAD"), files, source, whole)


def _files(root: Path) -> tuple[Path, ...]:
    listed = _git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *PARTS)
    if listed:
        paths = [root / name for name in listed.split("\0") if name]
    else:
        paths = [
            path
            for part in PARTS
            for path in ((root / part).rglob("*") if "." not in part else [root / part])
        ]
        paths += [root / "LICENSE"]
    kept = (path for path in paths if path.is_file() and "__pycache__" not in path.parts)
    return tuple(sorted(set(kept)))


def _git(root: Path, *arguments: str) -> str:
    """Return what git says, empty where there is no git or no repository (a released archive)."""
    if not (root / ".git").exists():
        return ""
    # a checkout of another user (root builds the physicist's) is read, nothing in it is run
    safe = ["-c", f"safe.directory={root}"]
    try:
        return run_command(["git", *safe, "-C", str(root), *arguments], timeout=60).stdout.rstrip("\n")
    except CommandFailed as error:
        msg = f"git cannot say what {root} is: {error}"
        raise ConfigurationError(msg) from error


def _version(root: Path) -> str:
    path = root / "pocket_coffea" / "_version.py"
    found = re.search(r"__version__\s*=\s*[\"']([^\"']+)", path.read_text(encoding="utf-8"))
    if found is None:
        msg = f"{path} does not say __version__ = '...'."
        raise ConfigurationError(msg)
    return found[1]


def build_wheel(project: Project, locks: Locks, blobs: Mapping[str, Path], work: Path) -> Path:
    """Build the project's wheel below ``work`` with the locked backend; return the folder that it is in.

    ``blobs``: sha256 -> wheel of the backend. Raises CommandFailed, and ResultsRefused when the checkout is
    no longer what ``project`` says.
    """
    backend, source, target = work / "backend", work / "source", work / "project"
    for wheel in locks.backend:
        with zipfile.ZipFile(blobs[wheel.sha256]) as archive:
            archive.extractall(backend)
    for path in project.files:
        copy = source / path.relative_to(project.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
    if tree_digest(source) != project.digest:
        msg = f"Files of {project.root} changed while the image was being built. Build again."
        raise ResultsRefused(msg)
    target.mkdir()
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(backend), "SOURCE_DATE_EPOCH": str(locks.epoch)}
    # -S: packages of this environment, hatchling's plugins among them, have no say
    run_command([sys.executable, "-S", "-c", _BUILD, str(target)], timeout=300, env=env, cwd=source)
    return target
