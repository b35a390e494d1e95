"""What is recorded for a release, and what is refused; building again is proven elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pocket_coffea.errors import ConfigurationError, ResultsRefused
from pocket_coffea.images.inputs import read_inputs
from pocket_coffea.images.release import rebuild_release, release_images, released
from pocket_coffea.images.releases import LOCK, ReleasedImage, read_releases, write_releases
from pocket_coffea.images.store import Record, Store

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = [
    ReleasedImage(site, version, "a" * 64, "b" * 64, 1234, "c" * 40)
    for version, site in (("1.0", "lxplus"), ("1.0", "DESY"), ("1.1", "lxplus"))
]


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    """Return a commit with the containers and a tiny package."""
    folder = tmp_path / "checkout"
    for name in ("containers", "pocket_coffea/_version.py", "pyproject.toml", "README.md", "LICENSE"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", str(ROOT / name), str(folder / name)], check=True)
    (folder / LOCK).unlink(missing_ok=True)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def store(tmp_path, checkout):
    """Return a store that has the image of lxplus already, so that nothing is built."""
    store = Store(tmp_path / "store")
    inputs = read_inputs(checkout, "lxplus")
    project = inputs.project
    digests = (inputs.digest, "d" * 64, project.source_digest, inputs.base, project.commit)
    with store.working() as folder:
        (folder / "image.sif").write_bytes(b"image")
        store.add(folder, Record("lxplus", project.version, *digests, 5, "2026-01-01", 1.0))
    return store


def test_what_is_written_is_read(tmp_path):
    write_releases(tmp_path / "lock.yaml", ENTRIES)
    assert list(read_releases(tmp_path / "lock.yaml").values()) == sorted(
        ENTRIES, key=lambda entry: (entry.version, entry.site.lower())
    )


def test_a_release_is_recorded_beside_older_ones(checkout, store):
    write_releases(checkout / LOCK, ENTRIES)
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "older releases")
    (record,) = release_images(checkout, ["lxplus"], store, print)
    known = read_releases(checkout / LOCK)
    assert len(known) == 4
    found = known[record.version, "lxplus"]
    assert (found.image_digest, found.size, found.commit) == ("d" * 64, 5, record.commit)
    assert released(checkout, record.version, "lxplus") == found


def test_a_version_is_released_once(checkout, store):
    (record,) = release_images(checkout, ["lxplus"], store, print)
    with pytest.raises(ResultsRefused, match="differs from its commit"):
        release_images(checkout, ["lxplus"], store, print)
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "release")
    release_images(checkout, ["lxplus"], store, print)
    with (checkout / "README.md").open("a") as file:
        file.write("more\n")
    git(checkout, "commit", "-q", "-a", "-m", "later")
    with pytest.raises(ResultsRefused, match="A version is released once"):
        release_images(checkout, ["lxplus"], store, print)
    assert read_releases(checkout / LOCK)[record.version, "lxplus"].image_digest == "d" * 64


def test_another_image_of_the_same_inputs_is_refused(checkout, store):
    inputs = read_inputs(checkout, "lxplus")
    wrong = ReleasedImage("lxplus", inputs.project.version, inputs.digest, "e" * 64, 5, "")
    write_releases(checkout / LOCK, [wrong])
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "release")
    with pytest.raises(ResultsRefused, match="the same inputs gave"):
        release_images(checkout, ["lxplus"], store, print)


@pytest.mark.parametrize(
    ("version", "site", "said"),
    [("1.2", "lxplus", "Allowed: 1.0, 1.1"), ("1.0", "lxpus", "Did you mean 'lxplus'")],
)
def test_what_was_not_released_is_told(checkout, version, site, said):
    write_releases(checkout / LOCK, ENTRIES)
    with pytest.raises(ConfigurationError, match=said):
        released(checkout, version, site)


def test_a_release_without_its_commit_cannot_be_built_again(checkout, tmp_path):
    with (
        pytest.raises(ConfigurationError, match="git fetch --tags"),
        rebuild_release(checkout, ENTRIES[0], tmp_path, print),
    ):
        pytest.fail("it was built")
