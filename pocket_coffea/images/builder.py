"""From locked inputs to an image in the store: fetch, root file system, squashfs, SIF."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pocket_coffea.errors import OutputError
from pocket_coffea.images import manifest as says
from pocket_coffea.images.definition import read_definition
from pocket_coffea.images.fetch import BlobCache, fetch_debs, fetch_wheels
from pocket_coffea.images.inputs import Inputs
from pocket_coffea.images.locks import Locks
from pocket_coffea.images.machine import require_building
from pocket_coffea.images.project import build_wheel
from pocket_coffea.images.rootfs import Context, build_base, build_site
from pocket_coffea.images.sif import DEFINITION, INSPECT, PARTITION, SBOM, SifObject, write_sif
from pocket_coffea.images.squashfs import squashfs_tool, tar_to_squashfs
from pocket_coffea.images.store import Record, Store, cache_folder
from pocket_coffea.images.work import remove_leftovers, work_folder

__all__ = ["Builder", "fetch_context", "locked_tool"]

#: Apptainer applies ``--env`` and ``APPTAINERENV_NAME`` when it comes to a file of this name, else never.
_LAST_ENVIRONMENT = "#!/bin/sh\n# --env and APPTAINERENV_NAME=VALUE are applied before this file\n"


@dataclass(slots=True)
class Builder:
    """Builds images into a store. ``say`` is told each step; ``fresh`` uses nothing that is in it."""

    store: Store
    say: Callable[[str], None]
    fresh: bool = False

    def build(self, inputs: Inputs) -> Record:
        """Return the record of the image, built now unless the store has it.

        Raises CommandFailed, InputFileError or OutputError; the store is then as it was.
        """
        with self.store.locked(inputs.digest, self.say):
            found = None if self.fresh else self.store.find(inputs.digest)
            if found is not None:
                self.say(f"{inputs.site}: in the store already, sha256:{found.image_digest}")
                return found
            return self._build(inputs)

    def _build(self, inputs: Inputs) -> Record:
        start = time.monotonic()
        require_building()
        remove_leftovers(self.say)
        with _clean_umask(), self.store.working() as folder, work_folder() as work:
            blobs = self._fetch(inputs)
            base = self._base(inputs, blobs)
            self.say(
                f"{inputs.site}: adding PocketCoffea {inputs.project.version} and the site's packages ..."
            )
            tar = self._site(inputs, blobs, base, work)
            self.say(f"{inputs.site}: compressing ...")
            tool = squashfs_tool(cache_folder() / "tools", inputs.locks, blobs, "mksquashfs")
            tar_to_squashfs(tool, tar, work / "root.squashfs", inputs.locks.epoch)
            tar.unlink()
            image = folder / "image.sif"
            digest = write_sif(image, _objects(inputs, work), inputs.locks.epoch)
            record = Record(
                site=inputs.site,
                version=inputs.project.version,
                input_digest=inputs.digest,
                image_digest=digest,
                source_digest=inputs.project.source_digest,
                base_digest=inputs.base,
                commit=inputs.project.commit,
                size=image.stat().st_size,
                built=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(time.monotonic() - start, 1),
            )
            self.store.add(folder, record)
        return record

    def _fetch(self, inputs: Inputs) -> dict[str, Path]:
        cache = BlobCache(cache_folder() / "packages")
        locks = inputs.locks
        debs = [*locks.packages_of(*(item.name for item in inputs.chain)), *locks.tools]
        wheels = [*locks.wheels, *locks.backend]
        self.say(f"{inputs.site}: {len(debs)} Debian packages and {len(wheels)} wheels by their sha256 ...")
        return {**fetch_debs(cache, debs), **fetch_wheels(cache, wheels)}

    def _base(self, inputs: Inputs, blobs: Mapping[str, Path]) -> Path:
        """Return the tar of the base layer, built when the store does not have it."""
        target = self.store.layer(inputs.base)
        with self.store.locked(inputs.base, self.say):
            if target.exists() and not self.fresh:
                target.touch()
                return target
            self.say(f"{inputs.site}: building the base layer {inputs.base[:12]} ...")
            with work_folder() as work:
                wheels = work / "wheels"
                _link_wheels(wheels, inputs, blobs)
                arguments = {"WHEELS": str(wheels), "MIRROR": "-"}
                definition = read_definition(inputs.chain[0].path, arguments)
                context = Context(work / "context.tar", inputs.locks.epoch)
                build_base(definition, inputs.locks, blobs, context, work / "root.tar")
                _move(work / "root.tar", target)
        return target

    def _site(self, inputs: Inputs, blobs: Mapping[str, Path], base: Path, work: Path) -> Path:
        project = build_wheel(inputs.project, inputs.locks, blobs, work)
        arguments = {"PROJECT": str(project)}
        chain = [inputs.chain[0], *(read_definition(item.path, arguments) for item in inputs.chain[1:])]
        context = Context(work / "context.tar", inputs.locks.epoch)
        _add_metadata(context, inputs)
        build_site(chain, inputs.locks, blobs, context, (base, work / "root.tar"))
        return work / "root.tar"


def _add_metadata(context: Context, inputs: Inputs) -> None:
    """Add what Apptainer and the jobs look for in the image."""
    folder = ".singularity.d"
    context.text(says.MANIFEST, says.to_json(says.manifest(inputs)))
    context.text(f"{folder}/Singularity", inputs.chain[-1].text)
    context.text(f"{folder}/labels.json", says.to_json(says.labels(inputs)))
    context.text(f"{folder}/env/90-environment.sh", says.environment_script(inputs), 0o755)
    context.text(f"{folder}/env/99-base.sh", _LAST_ENVIRONMENT, 0o755)
    context.text(f"{folder}/runscript", says.last_script(inputs, "runscript"), 0o755)
    context.text(f"{folder}/test", says.last_script(inputs, "test"), 0o755)
    context.text(f"{folder}/runscript.help", inputs.chain[-1].script("help"))


def _objects(inputs: Inputs, work: Path) -> list[SifObject]:
    (work / "definition").write_text(inputs.chain[-1].text)
    (work / "inspect").write_text(says.to_json(says.inspect_data(inputs)))
    (work / "sbom").write_text(says.to_json(says.sbom(inputs)))
    return [
        SifObject(DEFINITION, f"{inputs.site}.def", work / "definition"),
        SifObject(INSPECT, "inspect-metadata.json", work / "inspect"),
        SifObject(PARTITION, "root.squashfs", work / "root.squashfs"),
        SifObject(SBOM, "sbom.cdx.json", work / "sbom"),
    ]


def fetch_context(inputs: Inputs, target: Path) -> None:
    """Put the wheels of the lock and of the project below ``target``, for a plain ``apptainer build``."""
    cache = BlobCache(cache_folder() / "packages")
    blobs = fetch_wheels(cache, [*inputs.locks.wheels, *inputs.locks.backend])
    shutil.rmtree(target, ignore_errors=True)
    _link_wheels(target / "wheels", inputs, blobs, link=False)
    with work_folder() as work:
        shutil.copytree(build_wheel(inputs.project, inputs.locks, blobs, work), target / "project")


def locked_tool(locks: Locks, name: str) -> list[str]:
    """Return the words that run ``mksquashfs`` or ``unsquashfs`` of the lock, fetched when needed."""
    blobs = fetch_debs(BlobCache(cache_folder() / "packages"), locks.tools)
    return squashfs_tool(cache_folder() / "tools", locks, blobs, name)


def _link_wheels(folder: Path, inputs: Inputs, blobs: Mapping[str, Path], link: bool = True) -> None:
    folder.mkdir(parents=True)
    for item in inputs.locks.wheels:
        path = blobs[item.sha256]
        if link:
            (folder / path.name).symlink_to(path)
        else:
            shutil.copyfile(path, folder / path.name)


def _move(made: Path, target: Path) -> None:
    """Bring a file into the store, whole or not at all."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # a rename on the same disk, else a copy
        shutil.move(made, temporary)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        msg = f"{target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error


@contextmanager
def _clean_umask() -> Iterator[None]:
    """The modes of files in an image are not the builder's habits."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)
