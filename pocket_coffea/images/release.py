"""Releasing: the images of a version are recorded, and years later built again and compared."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pocket_coffea.errors import CommandFailed, ConfigurationError, ResultsRefused, did_you_mean
from pocket_coffea.images.builder import Builder
from pocket_coffea.images.inputs import read_inputs
from pocket_coffea.images.releases import LOCK, ReleasedImage, read_releases, write_releases
from pocket_coffea.images.sif import file_sha256
from pocket_coffea.images.store import Record, Store
from pocket_coffea.utils.process import run_command

__all__ = ["Rebuilt", "rebuild_release", "release_images", "released"]

_COMMAND = "from pocket_coffea.cli.main import main; main()"
_BUILD_LIMIT = 3 * 3600.0


def release_images(
    root: Path, sites: Iterable[str], store: Store, say: Callable[[str], None]
) -> list[Record]:
    """Build the images of a checkout and record them as those of its version in containers/images.lock.yaml.

    The file is written when all are built. Raises ResultsRefused for a checkout with changes and for a
    version that was released with other images, and what a build raises.
    """
    path = root / LOCK
    known = read_releases(path)
    records = []
    for site in sites:
        inputs = read_inputs(root, site)
        before = known.get((inputs.project.version, site))
        if before is not None and before.input_digest != inputs.digest:
            msg = (
                f"{path} has an image of {site} for version {before.version} that is made of other sources "
                f"(input digest {before.input_digest[:12]}, now {inputs.digest[:12]}). A version is released "
                "once: raise it in pocket_coffea/_version.py."
            )
            raise ResultsRefused(msg)
        record = Builder(store, say).build(inputs)
        _require_same(path, before, record)
        if before is None:
            known[record.version, site] = _entry(record)
        records.append(record)
    write_releases(path, known.values())
    return records


def _require_same(path: Path, before: ReleasedImage | None, record: Record) -> None:
    if before is not None and before.image_digest != record.image_digest:
        msg = (
            f"{path} says sha256:{before.image_digest} for {record.site} of version {record.version}, but "
            f"the same inputs gave sha256:{record.image_digest} here. See: pocket-coffea image verify "
            f"{record.site}"
        )
        raise ResultsRefused(msg)


def _entry(record: Record) -> ReleasedImage:
    return ReleasedImage(
        record.site, record.version, record.input_digest, record.image_digest, record.size, record.commit
    )


def released(root: Path, version: str, site: str) -> ReleasedImage:
    """Return what was released. Raises ConfigurationError with the versions or sites that there are."""
    known = read_releases(root / LOCK)
    found = known.get((version, site))
    if found is None:
        versions = {key[0] for key in known}
        if version in versions:
            what = (
                f"{site!r} for version {version}. {did_you_mean(site, {s for v, s in known if v == version})}"
            )
        else:
            what = f"version {version!r}. {did_you_mean(version, versions)}"
        msg = f"{root / LOCK} has no {what}"
        raise ConfigurationError(msg)
    return found


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a release's own code made of its own files: digests in hex, and where the image is."""

    input_digest: str
    image_digest: str
    path: Path


@contextmanager
def rebuild_release(
    root: Path, entry: ReleasedImage, folder: Path, say: Callable[[str], None]
) -> Iterator[Rebuilt]:
    """Build an image of a release again below ``folder``, from nothing but downloaded packages.

    The files are those of the release's tag (``v1.0.0`` or ``1.0.0``), else of the recorded commit, and its
    own code builds. Raises ConfigurationError when the repository has neither, CommandFailed when the build
    fails.
    """
    reference = _reference(root, entry)
    say(f"{entry.site}: building {entry.version} again from {reference} ...")
    checkout, store = folder / "checkout", folder / "store"
    archive = folder / "checkout.tar"
    _git(root, "archive", "--format=tar", f"--output={archive}", reference)
    with tarfile.open(archive) as files:
        files.extractall(checkout, filter="data")
    archive.unlink()
    argv = [sys.executable, "-c", _COMMAND, "image", "build", entry.site, "--no-test"]
    argv += ["--source", str(checkout), "--store", str(store)]
    env = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    run_command(argv, timeout=_BUILD_LIMIT, env=env, cwd=checkout)
    images = list(store.glob("*/image.sif"))
    if len(images) != 1:
        msg = f"The code of {reference} left {len(images)} images of {entry.site} in its store, not one."
        raise CommandFailed(msg)
    yield Rebuilt(images[0].parent.name, file_sha256(images[0]), images[0])


def _reference(root: Path, entry: ReleasedImage) -> str:
    for name in (f"refs/tags/v{entry.version}", f"refs/tags/{entry.version}", entry.commit):
        if name and _known(root, name):
            return name
    msg = (
        f"{root} has neither a tag v{entry.version} nor the commit {entry.commit or '(not recorded)'}, so "
        "that its files cannot be had. Fetch them: git fetch --tags"
    )
    raise ConfigurationError(msg)


def _known(root: Path, name: str) -> bool:
    try:
        _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except CommandFailed:
        return False
    return True


def _git(root: Path, *arguments: str) -> None:
    run_command(["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments], timeout=300)
