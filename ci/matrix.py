"""``ci/matrix``: the image of every site built (or taken), tested, and the demo analysis run in it.

Sites are those of ``sites/*.yaml``. One line for each: size, seconds and verdict. Images that were not in the
store before are removed after their test, unless sites are named (or ``--keep``).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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
        started = time.monotonic()
        with _apptainer(store, needed=bool(asked.sites)) as apptainer:
            rows = [_test(site, store, apptainer, keep=asked.keep or bool(asked.sites)) for site in sites]
    bad = [row.site for row in rows if row.error]
    verdict = f"failed: {', '.join(bad)}" if bad else "all good"
    print(f"{len(rows)} sites in {time.monotonic() - started:.0f} s, {verdict}")
    sys.exit(FAILED if bad else 0)


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
    parser.add_argument("--store", type=Path, help="image store (default: that of `pocket-coffea image`)")
    return parser.parse_args()


def _chosen(names: list[str]) -> list[Site]:
    sites = read_sites(ROOT)
    known = {name: site for site in sites for name in (site.name, *site.aliases)}
    for name in names:
        if name not in known:
            msg = f"There is no site {name!r} in {ROOT / 'sites'}. {did_you_mean(name, known, limit=20)}"
            raise ConfigurationError(msg)
    return [known[name] for name in names] or sites


def _test(site: Site, store: Store, apptainer: Apptainer, keep: bool) -> Row:
    """Build, test, run, and print the row. A step that fails is told and ends the row, not the matrix."""
    row = Row(site.name)
    inputs = read_inputs(ROOT, site.image, allow_dirty=True)
    was_there = store.find(inputs.digest) is not None
    clock = time.monotonic()
    try:
        for step in _steps(inputs, store, apptainer, row):
            row.seconds[step], clock = time.monotonic() - clock, time.monotonic()
    except PocketCoffeaError as error:
        row.error = str(error)
        _say(f"{site.name}: {error}")
    finally:
        if not keep and not was_there:
            _remove(store, inputs)
    print(row.line(), flush=True)
    return row


def _remove(store: Store, inputs: Inputs) -> None:
    shutil.rmtree(store.image(inputs.digest).parent, ignore_errors=True)


def _steps(inputs: Inputs, store: Store, apptainer: Apptainer, row: Row) -> Iterator[str]:
    """Do one step after the other, giving its name when it is done."""
    record = Builder(store, _quiet).build(inputs)
    row.size = record.size
    image = store.image(inputs.digest)
    yield "image"
    apptainer.test(image)
    yield "%test"
    _version(apptainer, image, inputs)
    yield "version"
    with apptainer.scratch("demo") as folder:
        binds = ("--bind", f"{apptainer.project}:/project:ro", "--bind", f"{folder}:/demo", "--pwd", "/demo")
        words = ["python", "/project/ci/demo.py", "/demo", "--golden", f"/project/{GOLDEN}"]
        apptainer.run(image, words, *binds, limit=LIMIT)
    yield "demo"


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
