"""The images of this machine, by input digest.

::

    <store>/<input digest>/image.sif     the image
                           record.yaml   site, digests, size, commit, when, how long
    <store>/layers/<digest>.tar          root file systems that images stand on
    <store>/locks/<digest>.lock          held while that digest is built

The store is ``$POCKET_COFFEA_IMAGES``, else ``~/.cache/pocket-coffea/images``. What is in it is complete: a
build works elsewhere and is moved in by one rename. Other code needs only ``Store``:

>>> Store(Path("/nowhere")).find("0" * 64) is None
True
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from pocket_coffea.errors import ConfigurationError, InputFileError, OutputError, did_you_mean
from pocket_coffea.images.sif import file_sha256
from pocket_coffea.utils.atomic import write_whole

__all__ = ["Record", "Store", "cache_folder"]

_TEMPORARY = ".build-"
_DAY = 86400.0


def cache_folder() -> Path:
    """Return where downloaded packages are kept. They are checked at each use, so it can be shared."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocket-coffea"


@dataclass(frozen=True, slots=True)
class Record:
    """What the store knows of an image. Times in seconds, size in bytes, ``built`` in UTC."""

    site: str
    version: str
    input_digest: str
    image_digest: str
    source_digest: str
    base_digest: str
    commit: str
    size: int
    built: str
    seconds: float


class Store:
    """A folder of images by input digest."""

    def __init__(self, root: Path | None = None) -> None:
        default = os.environ.get("POCKET_COFFEA_IMAGES") or cache_folder() / "images"
        self.root = Path(root or default).expanduser().absolute()

    def image(self, input_digest: str) -> Path:
        """Return where the image of an input digest is, or would be."""
        return self.root / input_digest / "image.sif"

    def find(self, input_digest: str) -> Record | None:
        """Return the record of an image, None when it is not in the store. The image is not read."""
        path = self.image(input_digest).with_name("record.yaml")
        try:
            return Record(**yaml.safe_load(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, TypeError, yaml.YAMLError) as error:
            msg = f"{path} is damaged ({error}). Throw its folder away and build again."
            raise InputFileError(msg) from error

    def records(self) -> list[Record]:
        """Return all images, the newest first."""
        names = (path.parent.name for path in self.root.glob("*/record.yaml"))
        found = [record for record in map(self.find, names) if record is not None]
        return sorted(found, key=lambda record: record.built, reverse=True)

    def select(self, reference: str) -> Record:
        """Return the image that ``reference`` means: the newest of a site, or the beginning (six characters
        or more) of an input or image digest. Raises ConfigurationError when none or several are meant."""
        records = self.records()
        of_site = [record for record in records if record.site == reference]
        if of_site:
            return of_site[0]
        wanted = reference.removeprefix("sha256:")
        by_digest = [
            record
            for record in records
            if len(wanted) >= 6
            and wanted in (record.input_digest[: len(wanted)], record.image_digest[: len(wanted)])
        ]
        if len(by_digest) == 1:
            return by_digest[0]
        known = did_you_mean(reference, [record.site for record in records])
        why = f"{len(by_digest)} images begin with" if by_digest else "The store has no image"
        msg = f"{why} {reference!r} (store {self.root}). {known} Build one: pocket-coffea image build SITE."
        raise ConfigurationError(msg)

    def check(self, record: Record) -> None:
        """Read an image in full. Raises InputFileError when it is not what was put in."""
        path = self.image(record.input_digest)
        found = file_sha256(path)
        if found != record.image_digest:
            msg = (
                f"{path} was changed: its sha256 is {found}, when it was built it was {record.image_digest}. "
                f"Throw it away and build it again: rm -r {path.parent}"
            )
            raise InputFileError(msg)

    def add(self, folder: Path, record: Record) -> Path:
        """Move a folder of ``working`` with ``image.sif`` in as this record's; return where the image is.

        An image that is already there stays. Raises OutputError.
        """
        write_whole(folder / "record.yaml", yaml.safe_dump(asdict(record), sort_keys=False))
        target = self.image(record.input_digest)
        try:
            folder.chmod(0o755)
            folder.rename(target.parent)
        except OSError as error:
            if not target.exists():
                msg = f"{target.parent} cannot be made: {error.strerror or error}."
                raise OutputError(msg) from error
        return target

    @contextmanager
    def working(self) -> Iterator[Path]:
        """Give a folder on the store's disk, gone afterwards unless ``add`` took it. Raises OutputError."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self.root))
        except OSError as error:
            msg = f"The image store {self.root} cannot be written: {error.strerror or error}."
            raise OutputError(msg) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def layer(self, digest: str) -> Path:
        """Return where the tar of a base layer is, or would be."""
        return self.root / "layers" / f"{digest}.tar"

    @contextmanager
    def locked(self, digest: str, waiting: Callable[[str], None]) -> Iterator[None]:
        """Hold the lock of a digest; ``waiting`` is told once when another builder has it.

        The kernel lets go of the lock when its holder ends, however it ends.
        """
        path = self.root / "locks" / f"{digest}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                waiting(
                    f"Another builder ({file.read().strip() or 'unknown'}) is at it; waiting for it to end."
                )
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
            yield

    def collect(self, keep: set[str], older_than_days: float) -> list[Path]:
        """Remove what killed builds left, and images and layers that are not in ``keep`` and were last used
        more than so many days ago. Return what was removed. Raises OutputError."""
        limit = time.time() - older_than_days * _DAY
        candidates = [*self.root.glob("*/image.sif"), *self.root.glob("layers/*.tar")]
        old = [path for path in candidates if path.stat().st_atime < limit]
        unused = [path.parent if path.name == "image.sif" else path for path in old]
        removed = [path for path in unused if path.name.removesuffix(".tar") not in keep]
        removed += [
            path for path in self.root.glob(f"{_TEMPORARY}*") if path.stat().st_mtime < time.time() - _DAY
        ]
        for path in removed:
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError as error:
                msg = f"{path} cannot be removed: {error.strerror or error}."
                raise OutputError(msg) from error
        with suppress(OSError):
            (self.root / "locks").rmdir()
        return removed
