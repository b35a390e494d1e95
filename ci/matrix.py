"""``ci/matrix``: the image of every site built (or taken), tested, and the demo analysis run in it.

Sites are those of ``sites/*.yaml``; two are at work at once, where the machine has two processors. One line
for each: size, seconds and verdict. Images that were not in the store before are removed after their test,
unless sites are named (or ``--keep``).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from pocket_coffea.cli.errors import ending
from pocket_coffea.errors import ConfigurationError, PocketCoffeaError, did_you_mean
from pocket_coffea.images.apptainer import Apptainer, NoApptainer, apptainer_for
from pocket_coffea.images.builder import Builder
from pocket_coffea.images.inputs import Inputs, read_inputs
from pocket_coffea.images.sites import Site, read_sites
from pocket_coffea.images.store import Store

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = "tests/compat/goldens/demo.json"
FAILED = 3
#: Seconds that a step may take, on a machine with other work, too.
LIMIT = 900.0
#: Half of a build has work for one processor only; more than two builds at once wait for the disk.
AT_ONCE = min(2, os.cpu_count() or 1)


@dataclass
class Row:
    """What happened to one site: seconds of each step, and the step that failed."""

    site: str
    size: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    error: str = ""

    def line(self) -> str:
        """Return the row of the table."""
        steps = "  ".join(f"{name} {seconds:5.1f} s" for name, seconds in self.seconds.items())
        return f"{self.site:<11} {self.size / 2**20:4.0f} MiB  {steps}  {'FAILED' if self.error else 'ok'}"


def main() -> None:
    """Test the sites of the command line; end with 3 when one failed."""
    asked = _options()
    with ending():
        sites = _chosen(asked.sites)
        if asked.list:
            print("\n".join(f"{site.name:<11} {site.description}" for site in sites))
            return
        store = Store(asked.store)
        if asked.forget:
            for site in sites:
                _remove(store, read_inputs(ROOT, site.image, allow_dirty=True))
            return
        store.root.mkdir(parents=True, exist_ok=True)
        # a builder sets it and sets it back, which here would be in the midst of another one's work
        os.umask(0o022)
        started = time.monotonic()
        with _apptainer(store, needed=bool(asked.sites)) as apptainer:
            common = Common(store, apptainer, keep=asked.keep or bool(asked.sites))
            rows = _test_all(sites, common, asked.jobs)
    bad = [row.site for row in rows if row.error]
    verdict = f"failed: {', '.join(bad)}" if bad else "all good"
    print(f"{len(rows)} sites in {time.monotonic() - started:.0f} s, {verdict}")
    sys.exit(FAILED if bad else 0)


@dataclass
class Common:
    """What the tests of all sites have in common. In each of ``places``, folders, one demo at a time runs."""

    store: Store
    apptainer: Apptainer
    keep: bool
    places: SimpleQueue[str] = field(default_factory=SimpleQueue)


@contextmanager
def _apptainer(store: Store, needed: bool) -> Iterator[Apptainer]:
    """As the lab's tests: where there can be no Apptainer that is an error with CI=true, else a note."""
    try:
        with apptainer_for(store.root, _say) as apptainer:
            yield apptainer
    except NoApptainer as error:
        if needed or os.environ.get("CI") == "true":
            raise
        _say(f"The images were not tested. {error}")
        sys.exit(0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ci/matrix", description=__doc__)
    parser.add_argument("sites", nargs="*", metavar="SITE", help="default: all")
    parser.add_argument("--list", action="store_true", help="list the sites and end")
    parser.add_argument("--keep", action="store_true", help="leave the images in the store")
    parser.add_argument("--forget", action="store_true", help="remove the images of this source, and end")
    parser.add_argument(
        "--jobs", type=int, default=AT_ONCE, metavar="N", help="sites at once (default: %(default)s)"
    )
    parser.add_argument("--store", type=Path, help="image store (default: that of `pocket-coffea image`)")
    asked = parser.parse_args()
    if asked.jobs < 1:
        parser.error(f"--jobs {asked.jobs}: 1 or more")
    return asked


def _chosen(names: list[str]) -> list[Site]:
    sites = read_sites(ROOT)
    known = {name: site for site in sites for name in (site.name, *site.aliases)}
    for name in names:
        if name not in known:
            msg = f"There is no site {name!r} in {ROOT / 'sites'}. {did_you_mean(name, known, limit=20)}"
            raise ConfigurationError(msg)
    return [known[name] for name in names] or sites


def _test_all(sites: Sequence[Site], common: Common, jobs: int) -> list[Row]:
    """Test ``jobs`` sites at once; return their rows in the order of the sites."""
    for number in range(jobs):
        common.places.put(f"demo-{number}")
    images: dict[str, list[Site]] = {}
    for site in sites:
        images.setdefault(site.image, []).append(site)
    # those that share an image one after the other: the last one removes it
    with ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda shared: _test_image(shared, common), images.values())
        rows = {row.site: row for group in done for row in group}
    return [rows[site.name] for site in sites]


def _test_image(sites: Sequence[Site], common: Common) -> list[Row]:
    """Test the sites of one image, and remove it when it was not there before."""
    inputs = read_inputs(ROOT, sites[0].image, allow_dirty=True)
    was_there = common.store.find(inputs.digest) is not None
    try:
        return [_test(site, inputs, common) for site in sites]
    finally:
        if not common.keep and not was_there:
            _remove(common.store, inputs)


def _test(site: Site, inputs: Inputs, common: Common) -> Row:
    """Build, test, run, and print the row. A step that fails is told and ends the row, not the matrix."""
    row = Row(site.name)
    clock = time.monotonic()
    try:
        for step in _steps(inputs, common, row):
            row.seconds[step], clock = time.monotonic() - clock, time.monotonic()
    except PocketCoffeaError as error:
        row.error = str(error)
        _say(f"{site.name}: {error}")
    # in one piece: the other site's row may come at the same time
    sys.stdout.write(f"{row.line()}\n")
    sys.stdout.flush()
    return row


def _remove(store: Store, inputs: Inputs) -> None:
    shutil.rmtree(store.image(inputs.digest).parent, ignore_errors=True)


def _steps(inputs: Inputs, common: Common, row: Row) -> Iterator[str]:
    """Do one step after the other, giving its name when it is done."""
    apptainer = common.apptainer
    record = Builder(common.store, _quiet).build(inputs)
    row.size = record.size
    image = common.store.image(inputs.digest)
    yield "image"
    apptainer.test(image)
    yield "%test"
    _version(apptainer, image, inputs)
    yield "version"
    _demo(apptainer, image, common.places)
    yield "demo"


def _demo(apptainer: Apptainer, image: Path, places: SimpleQueue[str]) -> None:
    """Run the demo in the image, in a folder that no other one runs in. Raises CommandFailed."""
    place = places.get()
    try:
        with apptainer.scratch(place) as folder:
            binds = (f"{apptainer.project}:/project:ro", f"{folder}:/demo")
            options = [word for bind in binds for word in ("--bind", bind)]
            words = ["python", "/project/ci/demo.py", "/demo", "--golden", f"/project/{GOLDEN}"]
            apptainer.run(image, words, *options, "--pwd", "/demo", limit=LIMIT)
    finally:
        places.put(place)


def _version(apptainer: Apptainer, image: Path, inputs: Inputs) -> None:
    """Ask the program and the manifest in the image what they are. Raises PocketCoffeaError."""
    said = apptainer.run(image, ["pocket-coffea", "--version"], limit=LIMIT)
    manifest = json.loads(apptainer.run(image, ["cat", "/.pocket-coffea/manifest.json"], limit=LIMIT))
    expected = inputs.project.version
    # the wheel has the version of the source; only the image is marked +dirty
    if said.split()[-1:] != [expected.partition("+")[0]] or manifest["version"] != expected:
        msg = f"The image says {said.strip()!r} and version {manifest['version']!r}, not {expected!r}."
        raise PocketCoffeaError(msg)
    if manifest["input_digest"] != inputs.digest:
        msg = f"The manifest says input digest {manifest['input_digest']}, not {inputs.digest}."
        raise PocketCoffeaError(msg)


def _quiet(_text: str) -> None:
    """The builder's steps are not told: one line for each site is."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
