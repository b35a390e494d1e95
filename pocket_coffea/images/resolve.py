"""From what a user writes as ``worker-image`` to one image, named by its digest.

=============================  ====================================================================
``lxplus``                     the site's image: of the release, else of the current source
``path/image.sif``             the file; its sha256 is the digest
``/cvmfs/unpacked...:tag``     the folder that the tag points to now; its name has the digest
``docker://``, ``oras://``     with ``@sha256:...``; the registry's digest
=============================  ====================================================================

Anything else has no digest, and is refused unless the user allows it. Nothing is downloaded here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pocket_coffea
from pocket_coffea.errors import ConfigurationError, InputFileError, did_you_mean
from pocket_coffea.images.definition import site_names
from pocket_coffea.images.digest_cache import DigestCache
from pocket_coffea.images.inputs import Inputs, read_inputs
from pocket_coffea.images.labels import read_labels
from pocket_coffea.images.releases import LOCK, read_releases
from pocket_coffea.images.store import Record, Store
from pocket_coffea.utils.tree_digest import tree_digest

__all__ = ["Kind", "PinnedImage", "Places", "resolve", "running_checkout"]

Kind = Literal["site", "sif", "cvmfs", "docker", "oras", "directory"]

ALLOWED = (
    "Allowed: the name of a site, a path of a .sif file, a folder below /cvmfs/unpacked.cern.ch, "
    "docker://...@sha256:... or oras://...@sha256:..."
)
_URL = re.compile(r"(?P<scheme>\w+)://(?P<name>[^@\s]+)(?:@(?P<digest>\S*))?")
_OCI_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FOLDER_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PinnedImage:
    """An image as a job will run it.

    ``location`` is what to give to Apptainer. ``digest`` is ``sha256:...`` of the file (site, sif), of the
    unpacked image (cvmfs) or of the registry's manifest (docker, oras). ``input_digest`` and
    ``source_digest`` are hex, ``python`` is its minor version (``3.13``), each empty where nothing states it.
    An image that is not ``pinned`` has no digests.
    """

    reference: str
    location: str
    kind: Kind
    pinned: bool
    digest: str = ""
    input_digest: str = ""
    source_digest: str = ""
    python: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for provenance and payloads; ``PinnedImage(**data)`` is the way back."""
        return asdict(self)


def running_checkout() -> Path | None:
    """Return the checkout that this package runs from, None for an installed one."""
    root = Path(pocket_coffea.__file__).resolve().parents[1]
    return root if (root / "containers" / "base.def").is_file() else None


@dataclass(frozen=True, slots=True)
class Places:
    """Where images and what is known of them are looked for."""

    store: Store = field(default_factory=Store)
    checkout: Path | None = field(default_factory=running_checkout)
    cache: DigestCache = field(default_factory=DigestCache)
    cvmfs: Path = Path("/cvmfs")


@dataclass(frozen=True, slots=True)
class _Request:
    reference: str
    origin: str
    allow_unpinned: bool
    places: Places

    def error(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self.origin}: {self.reference!r} {why}")

    def unpinned(self, location: str, kind: Kind, how: str, python: str = "") -> PinnedImage:
        if self.allow_unpinned:
            return PinnedImage(self.reference, location, kind, pinned=False, python=python)
        why = (
            "is not named by a digest: what it means can change between two jobs, and nobody could tell "
            f"later in which image they ran. {how} Or accept that with the run option "
            "allow-unpinned-image: true, which is written into the provenance."
        )
        raise self.error(why)


def resolve(
    reference: str,
    *,
    allow_unpinned: bool = False,
    places: Places | None = None,
    origin: str = "worker-image",
) -> PinnedImage:
    """Return the image that ``reference`` means now. ``origin``: where it was written, for messages.

    Raises ConfigurationError when it is malformed, unknown, not built yet or has no digest, InputFileError
    when the file cannot be read or is not the image that it should be.
    """
    request = _Request(reference, origin, allow_unpinned, places or Places())
    if "://" in reference:
        return _of_registry(request)
    if "/" in reference or reference.startswith(("~", ".")) or reference.endswith(".sif"):
        return _of_path(request)
    return _of_site(request)


def _of_registry(request: _Request) -> PinnedImage:
    found = _URL.fullmatch(request.reference)
    if found is None or found["scheme"] not in ("docker", "oras"):
        why = f"is no image that can be used. {ALLOWED}"
        raise request.error(why)
    scheme: Kind = "docker" if found["scheme"] == "docker" else "oras"
    if found["digest"] is None:
        how = (
            f"Write {scheme}://{_without_tag(found['name'])}@sha256:... with the digest that the registry "
            f"shows for it, or fetch it once (apptainer pull image.sif {request.reference}) and give "
            "that file."
        )
        return request.unpinned(request.reference, scheme, how)
    if not _OCI_DIGEST.fullmatch(found["digest"]):
        why = f"has the digest {found['digest']!r}; allowed is sha256: and 64 hex digits (0-9, a-f)."
        raise request.error(why)
    # Apptainer refuses a tag beside a digest, and the digest alone decides
    location = f"{scheme}://{_without_tag(found['name'])}@{found['digest']}"
    return PinnedImage(request.reference, location, scheme, pinned=True, digest=found["digest"])


def _without_tag(name: str) -> str:
    host, slash, last = name.rpartition("/")
    return f"{host}{slash}{last.partition(':')[0]}"


def _of_path(request: _Request) -> PinnedImage:
    path = Path(os.path.abspath(Path(request.reference).expanduser()))  # noqa: PTH100  keeps links
    cvmfs = request.places.cvmfs
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        mounted = f" Is {cvmfs} mounted here?" if path.is_relative_to(cvmfs) else ""
        why = f"cannot be found ({getattr(error, 'strerror', None) or error}).{mounted} {ALLOWED}"
        raise request.error(why) from error
    if real.is_file():
        return _of_file(request, _last_link(path))
    if real.is_relative_to(cvmfs.resolve()):
        return _of_cvmfs(request, real)
    how = "A folder can change at any time: build a .sif file of it (apptainer build image.sif FOLDER)."
    return request.unpinned(str(path), "directory", how, read_labels(real).python)


def _last_link(path: Path) -> Path:
    """Follow ``latest.sif`` to what it names today. Folders keep the names that workers know them by."""
    while path.is_symlink():
        path = Path(os.path.abspath(path.parent / path.readlink()))  # noqa: PTH100  keeps links
    return path


def _of_file(request: _Request, path: Path) -> PinnedImage:
    says = read_labels(path)
    return PinnedImage(
        request.reference,
        str(path),
        "sif",
        pinned=True,
        digest=f"sha256:{request.places.cache.sha256(path)}",
        input_digest=says.input_digest,
        source_digest=says.source_digest,
        python=says.python,
    )


def _of_cvmfs(request: _Request, real: Path) -> PinnedImage:
    says = read_labels(real)
    if not _FOLDER_DIGEST.fullmatch(real.name) or real.parent.name != real.name[:2]:
        how = (
            f"Its folder {real} is not one of those whose name is the image's digest (.flat/ab/abcd...). "
            "Use an image below /cvmfs/unpacked.cern.ch or a .sif file."
        )
        return request.unpinned(str(real), "cvmfs", how, says.python)
    return PinnedImage(
        request.reference,
        str(real),
        "cvmfs",
        pinned=True,
        digest=f"sha256:{real.name}",
        input_digest=says.input_digest,
        source_digest=says.source_digest,
        python=says.python,
    )


def _of_site(request: _Request) -> PinnedImage:
    store, checkout = request.places.store, request.places.checkout
    if checkout is None:
        record = _of_installed(request)
    else:
        _require_site(request, site_names(checkout / "containers"))
        inputs = read_inputs(checkout, request.reference, allow_dirty=True)
        found = store.find(inputs.digest)
        if found is None:
            raise _not_built(request, inputs)
        record = found
        released = read_releases(checkout / LOCK).get((inputs.project.version, inputs.site))
        # a release with other inputs is not the current source: then the store alone answers
        if released and released.input_digest == inputs.digest:
            _require_digest(store, record, released.image_digest, f"of release {released.version}")
    path = store.image(record.input_digest)
    digest = request.places.cache.sha256(path)
    _require_digest(store, record, digest, "in the file")
    return PinnedImage(
        request.reference,
        str(path),
        "site",
        pinned=True,
        digest=f"sha256:{digest}",
        input_digest=record.input_digest,
        source_digest=record.source_digest,
        python=read_labels(path).python,
    )


def _of_installed(request: _Request) -> Record:
    """Return the newest image in the store with exactly the installed code."""
    records = request.places.store.records()
    _require_site(request, {record.site for record in records})
    source = tree_digest(Path(pocket_coffea.__file__).parent)
    for record in records:
        if record.site == request.reference and record.source_digest == source:
            return record
    why = (
        f"has images in the store {request.places.store.root}, but none with the PocketCoffea that runs "
        f"here ({pocket_coffea.__version__}, source digest {source[:12]}). Build it in a checkout of this "
        f"version: pocket-coffea image build {request.reference}."
    )
    raise request.error(why)


def _require_site(request: _Request, names: Iterable[str]) -> None:
    known = sorted(names)
    if request.reference not in known:
        store = request.places.store.root
        empty = f" The store {store} has no image yet: pocket-coffea image build SITE." if not known else ""
        sites = did_you_mean(request.reference, known) if known else ""
        raise request.error(f"is no site with an image.{empty} {sites} {ALLOWED}".replace("  ", " "))


def _not_built(request: _Request, inputs: Inputs) -> ConfigurationError:
    """Return the error that says how to build the image of the current source."""
    site, store = inputs.site, request.places.store
    dirty = "+dirty" in inputs.project.version
    build = f"pocket-coffea image build {site}{' --allow-dirty' if dirty else ''}"
    make = f"make image SITE={site}{' ALLOW_DIRTY=1' if dirty else ''}"
    near = [
        record
        for record in store.records()
        if record.site == site and record.source_digest == inputs.project.source_digest
    ]
    other = (
        f" An image with the same Python code, but made of other definition files, locks or texts is there: "
        f"to run in it, give its path, {store.image(near[0].input_digest)}."
        if near
        else ""
    )
    why = (
        f"has no image of the current source yet (PocketCoffea {inputs.project.version}, input digest "
        f"{inputs.digest[:12]}, store {store.root}). Build it: {build}, or {make}.{other}"
    )
    return request.error(why)


def _require_digest(store: Store, record: Record, digest: str, which: str) -> None:
    if digest == record.image_digest:
        return
    path = store.image(record.input_digest)
    msg = (
        f"{path} is not the image that it should be: its record says sha256:{record.image_digest}, the one "
        f"{which} is sha256:{digest}. Throw it away (rm -r {path.parent}) and build it again: "
        f"pocket-coffea image build {record.site}."
    )
    raise InputFileError(msg)
