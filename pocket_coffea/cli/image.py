"""``pocket-coffea image``: site images, reproducible bit for bit."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pocket_coffea.images.inputs import Inputs
    from pocket_coffea.images.locks import Locks
    from pocket_coffea.images.store import Store

__all__ = ["image"]

_source = click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Checkout to build from (default: here).",
)
_store = click.option(
    "--store",
    "store_path",
    type=click.Path(file_okay=False, path_type=Path),
    help="Image store (default: $POCKET_COFFEA_IMAGES, else ~/.cache/pocket-coffea/images).",
)
_dirty = click.option(
    "--allow-dirty",
    is_flag=True,
    envvar="ALLOW_DIRTY",
    help="Build although files differ from the commit; the image is marked +dirty. Also ALLOW_DIRTY=1.",
)


@click.group("image")
def image() -> None:
    """Build, check and use site images: the same sources give the same bytes."""


@image.command("build")
@click.argument("sites", nargs=-1, required=True, metavar="SITE...")
@_source
@_store
@_dirty
@click.option("--no-test", is_flag=True, help="Do not run %test of the image, even where Apptainer is.")
def build(
    sites: tuple[str, ...], source: Path | None, store_path: Path | None, allow_dirty: bool, no_test: bool
) -> None:
    """Build the image of each SITE (all: every site), unless the store has it."""
    from pocket_coffea.images.builder import Builder

    with _ending():
        store = _open(store_path)
        for site in _sites(sites, source):
            record = Builder(store, _say).build(_inputs(site, source, allow_dirty))
            path = store.image(record.input_digest)
            if not no_test:
                _test(path)
            size = f"{record.size / 2**20:.0f} MiB"
            click.echo(f"{path}\nsha256:{record.image_digest}  {size}  built in {record.seconds:.0f} s")


@image.command("verify")
@click.argument("site")
@_source
@_store
@_dirty
@click.option("--release", metavar="VERSION", help="Build the image of that release, by its own code.")
def verify(
    site: str, source: Path | None, store_path: Path | None, allow_dirty: bool, release: str | None
) -> None:
    """Build the image of SITE again, from nothing, and compare it with the one in the store.

    With --release it is compared with what containers/images.lock.yaml says. Ends with 3 and, when both are
    there, the names of the files that differ when the two are not equal.
    """
    if release is not None:
        _verify_release(release, site, source, store_path)
        return
    from pocket_coffea.errors import NothingToDo, PocketCoffeaError
    from pocket_coffea.images.builder import Builder

    with _ending():
        store = _open(store_path)
        inputs = _inputs(site, source, allow_dirty)
        record = store.find(inputs.digest)
        if record is None:
            msg = f"{store.root} has no image of {site} from these sources: pocket-coffea image build {site}"
            raise NothingToDo(msg)
        store.check(record)
        with store.working() as folder:
            again = _fresh_store(folder)
            second = Builder(again, _say, fresh=True).build(inputs)
            click.echo(
                f"in the store  sha256:{record.image_digest}\nbuilt again   sha256:{second.image_digest}"
            )
            if second.image_digest != record.image_digest:
                paths = (store.image(record.input_digest), again.image(second.input_digest))
                lines = _differences(paths, inputs.locks)
                msg = "The two builds differ:\n" + "\n".join(lines)
                raise PocketCoffeaError(msg)
        click.echo("equal, bit for bit")


def _verify_release(version: str, site: str, source: Path | None, store_path: Path | None) -> None:
    from pocket_coffea.errors import PocketCoffeaError
    from pocket_coffea.images.project import find_checkout
    from pocket_coffea.images.release import rebuild_release, released
    from pocket_coffea.images.sites import image_of

    with _ending():
        root = find_checkout(source)
        entry = released(root, version, image_of(root, site))
        store = _open(store_path)
        with store.working() as folder, rebuild_release(root, entry, folder, _say) as again:
            click.echo(
                f"released      sha256:{entry.image_digest}\nbuilt again   sha256:{again.image_digest}"
            )
            lines = [f"input digest: released {entry.input_digest}, built again {again.input_digest}"]
            equal = again.image_digest == entry.image_digest
            if not equal and store.find(entry.input_digest) is not None:
                lines += _differences((store.image(entry.input_digest), again.path), _locks(source))
            if not equal:
                msg = "The two builds differ:\n" + "\n".join(lines)
                raise PocketCoffeaError(msg)
        click.echo("equal, bit for bit")


@image.command("release")
@click.argument("sites", nargs=-1, metavar="SITE...")
@_source
@_store
def release(sites: tuple[str, ...], source: Path | None, store_path: Path | None) -> None:
    """Build this version's images (default: all sites) and record them in containers/images.lock.yaml."""
    from pocket_coffea.images.project import find_checkout
    from pocket_coffea.images.release import release_images
    from pocket_coffea.images.releases import LOCK

    with _ending():
        root = find_checkout(source)
        records = release_images(root, _sites(sites or ("all",), source), _open(store_path), _say)
        for record in records:
            click.echo(f"{record.site:<12} sha256:{record.image_digest}  {record.size / 2**20:.0f} MiB")
        click.echo(
            f"{root / LOCK} has them as version {records[0].version}. Commit it, then tag that commit."
        )


@image.command("list")
@_store
def list_images(store_path: Path | None) -> None:
    """List the images of this machine, the newest first."""
    from pocket_coffea.errors import NothingToDo

    with _ending():
        store = _open(store_path)
        records = store.records()
        if not records:
            msg = f"The store {store.root} is empty. Build an image: pocket-coffea image build SITE"
            raise NothingToDo(msg)
        click.echo(f"{'SITE':<12} {'VERSION':<28} {'INPUTS':<12} {'IMAGE':<14} {'MiB':>4}  BUILT")
        for item in records:
            click.echo(
                f"{item.site:<12} {item.version:<28} {item.input_digest[:10]:<12} "
                f"{item.image_digest[:12]:<14} {item.size / 2**20:>4.0f}  {item.built}"
            )


@image.command("show")
@click.argument("reference")
@_store
@click.option("--check", is_flag=True, help="Read the whole file and compare its sha256 with the record.")
def show(reference: str, store_path: Path | None, check: bool) -> None:
    """Show what the store knows of an image: REFERENCE is a site or the beginning of a digest."""
    from dataclasses import asdict

    with _ending():
        store = _open(store_path)
        record = store.select(reference)
        if check:
            store.check(record)
        click.echo(f"{'path':<14} {store.image(record.input_digest)}")
        for key, value in asdict(record).items():
            click.echo(f"{key:<14} {value}")


@image.command("diff")
@click.argument("first")
@click.argument("second")
@_source
@_store
def diff(first: str, second: str, source: Path | None, store_path: Path | None) -> None:
    """Say which files differ between two images: .sif files, sites or digests. Ends with 3 if any."""
    with _ending():
        store = _open(store_path)
        one, other = (_image_path(store, name) for name in (first, second))
        lines = _differences((one, other), _locks(source))
        for line in lines:
            click.echo(line)
        if lines:
            sys.exit(3)
        click.echo("equal, bit for bit")


@image.command("gc")
@_source
@_store
@click.option(
    "--older-than", type=click.FloatRange(0), default=30.0, show_default=True, help="Days since the last use."
)
def collect(source: Path | None, store_path: Path | None, older_than: float) -> None:
    """Remove images and layers that were not used for long, and what killed builds left.

    Images of the current sources stay.
    """
    from pocket_coffea.images.work import remove_leftovers

    with _ending():
        store = _open(store_path)
        current = [_inputs(site, source, allow_dirty=True) for site in _sites(("all",), source)]
        keep = {digest for inputs in current for digest in (inputs.digest, inputs.base)}
        removed = [*store.collect(keep, older_than), *remove_leftovers(_say)]
        for path in removed:
            click.echo(f"removed {path}")
        click.echo(f"{len(removed)} removed")


@image.command("shell", context_settings={"ignore_unknown_options": True})
@click.argument("reference")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND...")
@_store
def shell(reference: str, command: tuple[str, ...], store_path: Path | None) -> None:
    """Open a shell in an image (a site, a digest or a .sif file), or run COMMAND in it."""
    from pocket_coffea.images.apptainer import apptainer_for

    with _ending():
        path = _image_path(_open(store_path), reference).resolve()
        with apptainer_for(path.parent, _say) as apptainer:
            code = apptainer.attach(path, command)
    sys.exit(code)


@image.command("sign")
@click.argument("reference")
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@_store
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key (PEM). Default: the PGP key of `apptainer key`.",
)
def sign(reference: str, target: Path, store_path: Path | None, key: Path | None) -> None:
    """Write a copy of an image (a site, a digest or a .sif file) with a signature to TARGET.

    The image itself is not touched, so its digest stays. `apptainer verify` checks the copy.
    """
    from pocket_coffea.images.sign import sign_copy

    with _ending():
        sign_copy(_image_path(_open(store_path), reference), target, key)
        click.echo(
            f"{target}: signed. Check it: apptainer verify {'--key PUBLIC.pem ' if key else ''}{target}"
        )


@image.command("fetch")
@click.argument("site")
@_source
@_dirty
def fetch(site: str, source: Path | None, allow_dirty: bool) -> None:
    """Put wheels where a plain `apptainer build` of the definition files takes them: build/images."""
    from pocket_coffea.images.builder import fetch_context

    with _ending():
        inputs = _inputs(site, source, allow_dirty)
        target = inputs.project.root / "build" / "images"
        fetch_context(inputs, target)
        click.echo(f"{target}: wheels and project. Next, in {inputs.project.root}:")
        click.echo(
            "apptainer build --fakeroot --build-arg MIRROR=<a Debian mirror> base.sif containers/base.def"
        )
        click.echo(f"apptainer build --fakeroot {site}.sif containers/{site}.def")


@image.command("lock")
@click.argument("what", type=click.Choice(["all", "apt", "python"]), default="all")
@_source
def lock(what: str, source: Path | None) -> None:
    """Renew the locks of the images and say what changed. MIRROR=... names the Debian mirror to ask."""
    import os

    from pocket_coffea.images.fetch import BlobCache
    from pocket_coffea.images.project import find_checkout
    from pocket_coffea.images.refresh import refresh_apt, refresh_wheels
    from pocket_coffea.images.store import cache_folder

    with _ending():
        root = find_checkout(source)
        if what in ("all", "apt"):
            refresh_apt(root, os.environ.get("MIRROR", "").split(), click.echo)
        if what in ("all", "python"):
            refresh_wheels(root, BlobCache(cache_folder() / "packages"), click.echo)


def _open(path: Path | None) -> Store:
    from pocket_coffea.images.store import Store

    return Store(path)


def _fresh_store(folder: Path) -> Store:
    return _open(folder / "again")


def _inputs(site: str, source: Path | None, allow_dirty: bool) -> Inputs:
    from pocket_coffea.images.inputs import read_inputs
    from pocket_coffea.images.project import find_checkout
    from pocket_coffea.images.sites import image_of

    root = find_checkout(source)
    return read_inputs(root, image_of(root, site), allow_dirty)


def _sites(names: tuple[str, ...], source: Path | None) -> list[str]:
    from pocket_coffea.images.definition import site_names
    from pocket_coffea.images.project import find_checkout

    return site_names(find_checkout(source) / "containers") if names == ("all",) else list(names)


def _test(path: Path) -> None:
    from pocket_coffea.images.apptainer import NoApptainer, apptainer_for

    try:
        with apptainer_for(path.parent, _say) as apptainer:
            click.echo(apptainer.test(path).rstrip())
    except NoApptainer as error:
        _say(f"%test was not run. {error}")


def _image_path(store: Store, name: str) -> Path:
    """Return the file that a path, a site or a digest means."""
    if name.endswith(".sif") or Path(name).is_file():
        return Path(name)
    return store.image(store.select(name).input_digest)


def _differences(paths: tuple[Path, Path], locks: Locks) -> list[str]:
    from pocket_coffea.images.builder import locked_tool
    from pocket_coffea.images.compare import compare_images

    return compare_images(*paths, locked_tool(locks, "unsquashfs"))


def _locks(source: Path | None) -> Locks:
    from pocket_coffea.images.locks import read_locks
    from pocket_coffea.images.project import find_checkout

    return read_locks(find_checkout(source) / "containers" / "locks")


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextmanager
def _ending() -> Iterator[None]:
    """As every command; a build that is told to end (SIGTERM) cleans up as on Ctrl-C."""
    from pocket_coffea.cli.errors import ending

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGTERM, interrupt)
    try:
        with ending(hint=" Nothing half done was kept."):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
