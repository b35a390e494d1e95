"""What a user may write as an image, and what each becomes; every refusal says what to do."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import pocket_coffea
from pocket_coffea.errors import ConfigurationError, InputFileError, ResultsRefused
from pocket_coffea.images import digest_cache
from pocket_coffea.images import resolve as module
from pocket_coffea.images.definition import site_names
from pocket_coffea.images.digest_cache import DigestCache
from pocket_coffea.images.fetch import PYTHON
from pocket_coffea.images.inputs import read_inputs
from pocket_coffea.images.manifest import labels, manifest
from pocket_coffea.images.releases import LOCK, read_releases
from pocket_coffea.images.resolve import PinnedImage, Places, resolve
from pocket_coffea.images.same_code import require_same_code, require_same_python, submitting_digest
from pocket_coffea.images.sif import INSPECT, PARTITION, SifObject, write_sif
from pocket_coffea.images.store import Record, Store
from pocket_coffea.utils.tree_digest import tree_digest

ROOT = Path(__file__).resolve().parents[3]
A, B = "a" * 64, "b" * 64


def make_sif(path: Path, labels: dict[str, str] | None = None, content: bytes = b"a file system") -> str:
    """Write a SIF file as the builder does (its file system is not one: nothing here runs it)."""
    parts = path.parent / f"{path.name}.parts"
    parts.mkdir(parents=True)
    (parts / "root").write_bytes(content)
    (parts / "inspect").write_text(json.dumps({"data": {"attributes": {"labels": labels or {}}}}))
    objects = [SifObject(INSPECT, "inspect", parts / "inspect"), SifObject(PARTITION, "root", parts / "root")]
    digest = write_sif(path, objects, 0)
    shutil.rmtree(parts)
    return digest


def old(path: Path) -> Path:
    """Wait until the file's time stamps are older than what the cache calls settled."""
    time.sleep(max(0.0, path.stat().st_ctime + digest_cache.SETTLED + 0.05 - time.time()))
    return path


@pytest.fixture
def places(tmp_path):
    return Places(Store(tmp_path / "store"), None, DigestCache(tmp_path / "cache.json"), tmp_path / "cvmfs")


@pytest.fixture
def checkout(tmp_path):
    """A committed checkout with the real definition files and a very small package."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "containers", root / "containers")
    (root / "containers" / "images.lock.yaml").unlink(missing_ok=True)
    (root / "pocket_coffea").mkdir()
    (root / "pocket_coffea" / "_version.py").write_text('__version__ = "9.9.9"\n')
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        (root / name).write_text("*.log\n" if name == ".gitignore" else name)
    commit(root, "init", "-q")
    return root


def commit(root: Path, *first: str) -> None:
    user = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    for words in (first, ("add", "."), ("commit", "-q", "-m", "all")):
        if words:
            subprocess.run(["git", *user, "-C", str(root), *words], check=True)


def build(store: Store, checkout: Path, site: str = "lxplus", **changes: str) -> Record:
    """Put an image of the checkout into the store, with the store's own means."""
    inputs = read_inputs(checkout, site, allow_dirty=True)
    values = {"input_digest": inputs.digest, "source_digest": inputs.project.source_digest, **changes}
    return put(store, site, inputs.project.version, **values)


def put(
    store: Store,
    site: str,
    version: str,
    input_digest: str,
    source_digest: str,
    says: dict[str, str] | None = None,
) -> Record:
    with store.working() as folder:
        digest = make_sif(folder / "image.sif", says, f"{site} {input_digest}".encode())
        size = (folder / "image.sif").stat().st_size
        built = f"2026-01-01T00:00:{len(store.records()):02d}+00:00"
        record = Record(
            site, version, input_digest, digest, source_digest, A, "0" * 40, size, built=built, seconds=1.0
        )
        store.add(folder, record)
    return record


# --- a site --------------------------------------------------------------------------------------------


def test_a_site_is_the_image_of_the_current_source(places, checkout):
    places = Places(places.store, checkout, places.cache)
    record = build(places.store, checkout)
    image = resolve("lxplus", places=places)
    assert image == PinnedImage(
        "lxplus",
        str(places.store.image(record.input_digest)),
        "site",
        pinned=True,
        digest=f"sha256:{record.image_digest}",
        input_digest=record.input_digest,
        source_digest=tree_digest(checkout / "pocket_coffea"),
    )
    assert PinnedImage(**json.loads(json.dumps(image.to_dict()))) == image


def test_a_site_whose_image_is_not_built_says_how_to_build_it(places, checkout):
    places = Places(places.store, checkout, places.cache)
    with pytest.raises(ConfigurationError) as caught:
        resolve("lxplus", places=places)
    message = str(caught.value)
    assert message.startswith("worker-image: 'lxplus' has no image of the current source yet")
    assert "pocket-coffea image build lxplus, or make image SITE=lxplus." in message
    assert str(places.store.root) in message


def test_a_change_of_the_source_asks_for_a_new_image(places, checkout):
    places = Places(places.store, checkout, places.cache)
    build(places.store, checkout)
    (checkout / "pocket_coffea" / "new.py").write_text("x = 1\n")
    with pytest.raises(ConfigurationError, match=r"image build lxplus --allow-dirty, or .* ALLOW_DIRTY=1"):
        resolve("lxplus", places=places)
    dirty = build(places.store, checkout)
    assert resolve("lxplus", places=places).input_digest == dirty.input_digest


def test_an_image_with_the_same_code_but_other_inputs_is_pointed_at(places, checkout):
    places = Places(places.store, checkout, places.cache)
    record = build(places.store, checkout)
    definition = checkout / "containers" / "lxplus.def"
    definition.write_text(definition.read_text() + "\n# another line\n")
    commit(checkout)
    with pytest.raises(ConfigurationError, match="same Python code") as caught:
        resolve("lxplus", places=places)
    path = str(places.store.image(record.input_digest))
    assert path in str(caught.value)
    assert resolve(path, places=places).digest == f"sha256:{record.image_digest}"


def release(checkout: Path, record: Record, image_digest: str) -> None:
    entry = {"input_digest": record.input_digest, "image_digest": image_digest}
    entry |= {"size": record.size, "commit": record.commit}
    (checkout / LOCK).write_text(yaml.safe_dump({"9.9.9": {"lxplus": entry}}))
    commit(checkout)


def test_a_released_image_must_be_the_one_of_the_lock(places, checkout):
    places = Places(places.store, checkout, places.cache)
    record = build(places.store, checkout)
    release(checkout, record, record.image_digest)
    assert resolve("lxplus", places=places).digest == f"sha256:{record.image_digest}"
    release(checkout, record, B)
    with pytest.raises(InputFileError, match=f"of release 9.9.9 is sha256:{B}.*build it again"):
        resolve("lxplus", places=places)


def test_after_the_release_the_store_answers_for_the_new_source(places, checkout):
    places = Places(places.store, checkout, places.cache)
    release(checkout, build(places.store, checkout), B)
    (checkout / "pocket_coffea" / "new.py").write_text("x = 1\n")
    commit(checkout)
    record = build(places.store, checkout)
    assert resolve("lxplus", places=places).digest == f"sha256:{record.image_digest}"


def test_an_image_that_was_changed_in_the_store_is_refused(places, checkout):
    places = Places(places.store, checkout, places.cache)
    path = places.store.image(build(places.store, checkout).input_digest)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputFileError, match=r"not the image that it should be.*rm -r"):
        resolve("lxplus", places=places)


def test_an_installed_package_finds_the_image_with_its_code(places):
    source = tree_digest(Path(pocket_coffea.__file__).parent)
    put(places.store, "lxplus", "1", A, source)
    put(places.store, "lxplus", "1", B, "another source")
    assert resolve("lxplus", places=places).input_digest == A


def test_an_installed_package_without_its_image_says_how_to_build_it(places):
    with pytest.raises(ConfigurationError, match="no image yet: pocket-coffea image build SITE"):
        resolve("lxplus", places=places)
    put(places.store, "lxplus", "1", A, "another source")
    with pytest.raises(ConfigurationError, match="none with the PocketCoffea that runs here"):
        resolve("lxplus", places=places)


def test_an_unknown_site_gets_the_nearest_and_the_other_ways(places, checkout):
    places = Places(places.store, checkout, places.cache)
    with pytest.raises(
        ConfigurationError, match=r"run.yaml: 'lxpluss' is no site.*Did you mean 'lxplus'.*oras"
    ):
        resolve("lxpluss", places=places, origin="run.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "holds list, not releases"),
        ("1.0.0: {lxplus: {size: 1}}", "1.0.0: lxplus must have input_digest"),
        ("1.0.0: {lxplus: 7}", "1.0.0: lxplus must have input_digest"),
        (f"1.0.0: {{lxplus: {{input_digest: {A}, image_digest: latest, size: 1, commit: c}}}}", "no sha256"),
        ("{", "cannot be read"),
    ],
)
def test_a_wrong_lock_of_releases_is_named(tmp_path, content, message):
    path = tmp_path / "images.lock.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        read_releases(path)


# --- a file --------------------------------------------------------------------------------------------


def test_a_file_is_named_by_its_sha256_and_says_what_is_in_it(places, tmp_path):
    path = tmp_path / "my.sif"
    make_sif(path, {"org.pocket-coffea.input-digest": A, "org.pocket-coffea.source-digest": B})
    image = resolve(str(path), places=places)
    assert image.digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert (image.kind, image.location, image.pinned) == ("sif", str(path), True)
    assert (image.input_digest, image.source_digest) == (A, B)


def test_a_foreign_file_is_pinned_without_knowing_its_code(places, tmp_path):
    make_sif(tmp_path / "my.sif")
    image = resolve(str(tmp_path / "my.sif"), places=places)
    assert (image.pinned, image.input_digest, image.source_digest) == (True, "", "")


@pytest.mark.parametrize("reference", ["my.sif", "./my.sif", "~/my.sif"])
def test_a_path_may_be_relative_or_begin_at_home(places, tmp_path, monkeypatch, reference):
    make_sif(tmp_path / "my.sif")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve(reference, places=places).location == str(tmp_path / "my.sif")


def test_a_link_to_a_file_is_followed_but_folders_keep_their_names(places, tmp_path):
    (tmp_path / "disk7").mkdir()
    (tmp_path / "home").symlink_to("disk7")
    make_sif(tmp_path / "disk7" / "v2.sif")
    (tmp_path / "disk7" / "latest.sif").symlink_to("v2.sif")
    image = resolve(str(tmp_path / "home" / "latest.sif"), places=places)
    assert image.location == str(tmp_path / "home" / "v2.sif")


def test_links_in_a_circle_are_an_error_not_a_hang(places, tmp_path):
    (tmp_path / "a.sif").symlink_to("b.sif")
    (tmp_path / "b.sif").symlink_to("a.sif")
    with pytest.raises(ConfigurationError, match="cannot be found"):
        resolve(str(tmp_path / "a.sif"), places=places)


def test_a_missing_file_and_one_that_is_no_image_are_errors(places, tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot be found.*Allowed: the name of a site"):
        resolve(str(tmp_path / "none.sif"), places=places)
    (tmp_path / "text.sif").write_text("hello")
    with pytest.raises(InputFileError, match="is no Singularity image"):
        resolve(str(tmp_path / "text.sif"), places=places)


# --- the cache of digests ------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """The files that were read in full; a file is settled soon, so that tests need not wait."""
    monkeypatch.setattr(digest_cache, "SETTLED", 0.3)
    read: list[Path] = []
    really = digest_cache.file_sha256
    monkeypatch.setattr(digest_cache, "file_sha256", lambda path: read.append(path) or really(path))
    return read


def test_a_file_is_read_once_until_it_changes(tmp_path, counted):
    path = tmp_path / "image"
    path.write_bytes(b"1")
    cache = DigestCache(tmp_path / "cache.json")
    old(path)
    first = cache.sha256(path)
    assert DigestCache(tmp_path / "cache.json").sha256(path) == first == hashlib.sha256(b"1").hexdigest()
    assert len(counted) == 1
    before = path.stat()
    path.write_bytes(b"2")
    # same size, inode and, by a copy that keeps times, mtime
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.sha256(path) == hashlib.sha256(b"2").hexdigest()
    assert len(counted) == 2


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path, counted):
    path = tmp_path / "image"
    path.write_bytes(b"1")
    cache = DigestCache(tmp_path / "cache.json")
    cache.sha256(path)
    cache.sha256(path)
    assert len(counted) == 2


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "image"
    path.write_bytes(b"1")
    monkeypatch.setattr(digest_cache, "file_sha256", lambda path: path.write_bytes(b"22") and "x")
    with pytest.raises(InputFileError, match="changed while"):
        DigestCache(tmp_path / "cache.json").sha256(path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"image": 3}', "\udcff"])
def test_a_damaged_cache_is_made_anew(tmp_path, content):
    path = tmp_path / "image"
    path.write_bytes(b"1")
    cache = DigestCache(tmp_path / "cache.json")
    cache.path.write_bytes(content.encode(errors="surrogateescape").replace(b"image", str(path).encode()))
    assert cache.sha256(path) == hashlib.sha256(b"1").hexdigest()


def test_a_cache_that_cannot_be_written_does_not_stop_anything(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"1")
    old(path)
    (tmp_path / "file").write_text("")
    assert DigestCache(tmp_path / "file" / "cache.json").sha256(path) == hashlib.sha256(b"1").hexdigest()


def _hash_all(cache: Path, files: list[Path]) -> None:
    for file in files:
        assert DigestCache(cache).sha256(file) == hashlib.sha256(file.name.encode()).hexdigest()


def test_several_processes_use_one_cache(tmp_path):
    files = [tmp_path / f"image{number}" for number in range(20)]
    for file in files:
        file.write_bytes(file.name.encode())
    old(files[-1])
    cache = tmp_path / "cache.json"
    start = multiprocessing.get_context("spawn").Process
    workers = [start(target=_hash_all, args=(cache, files[i:] + files[:i])) for i in (0, 5, 10, 15)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    known = json.loads(cache.read_text())
    assert known
    assert set(known) <= {str(file) for file in files}
    assert sorted(tmp_path.glob(".cache*")) == []


# --- a folder ------------------------------------------------------------------------------------------


def unpacked(root: Path, digest: str, tag: str = "pocketcoffea:lxplus") -> Path:
    """Make the tree of /cvmfs/unpacked.cern.ch: tags are links into .flat/ab/abcd..."""
    repository = root / "unpacked.cern.ch"
    flat = repository / ".flat" / digest[:2] / digest
    flat.mkdir(parents=True)
    link = repository / "registry.example.org" / "cms-analysis" / tag
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(Path("..", "..", ".flat", digest[:2], digest))
    return link


def test_a_tag_on_cvmfs_becomes_the_folder_that_it_points_to(places):
    link = unpacked(places.cvmfs, A)
    image = resolve(str(link), places=places)
    flat = places.cvmfs / "unpacked.cern.ch" / ".flat" / "aa" / A
    assert (image.kind, image.location, image.digest) == ("cvmfs", str(flat), f"sha256:{A}")
    assert (image.pinned, image.input_digest, image.source_digest) == (True, "", "")
    unpacked(places.cvmfs, B)
    assert resolve(str(link), places=places).digest == f"sha256:{B}"
    assert resolve(str(flat), places=places).digest == f"sha256:{A}"


def test_an_unpacked_image_of_ours_says_what_is_in_it(places):
    link = unpacked(places.cvmfs, A)
    (link / ".pocket-coffea").mkdir()
    (link / ".pocket-coffea" / "manifest.json").write_text(
        json.dumps({"input_digest": B, "source_digest": "c" * 64})
    )
    image = resolve(str(link), places=places)
    assert (image.input_digest, image.source_digest) == (B, "c" * 64)


def test_cvmfs_that_is_not_mounted_or_has_no_digest_is_an_error(places):
    with pytest.raises(ConfigurationError, match=f"Is {places.cvmfs} mounted here"):
        resolve(str(places.cvmfs / "unpacked.cern.ch" / "x:y"), places=places)
    (places.cvmfs / "other.cern.ch" / "image").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="not one of those whose name is the image's digest"):
        resolve(str(places.cvmfs / "other.cern.ch" / "image"), places=places)


def test_a_folder_elsewhere_has_no_digest_whatever_its_name(places, tmp_path):
    places.cvmfs.mkdir()
    folder = tmp_path / "aa" / A
    folder.mkdir(parents=True)
    with pytest.raises(
        ConfigurationError, match=r"apptainer build image.sif FOLDER.*allow-unpinned-image: true"
    ):
        resolve(str(folder), places=places)
    image = resolve(str(folder), places=places, allow_unpinned=True)
    assert (image.kind, image.pinned, image.digest) == ("directory", False, "")


# --- a registry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["docker", "oras"])
@pytest.mark.parametrize("tag", ["", ":v1"])
def test_a_registry_image_with_its_digest(places, scheme, tag):
    image = resolve(f"{scheme}://registry.example.org:5000/cms/image{tag}@sha256:{A}", places=places)
    assert image.location == f"{scheme}://registry.example.org:5000/cms/image@sha256:{A}"
    assert (image.kind, image.digest, image.pinned) == (scheme, f"sha256:{A}", True)


@pytest.mark.parametrize("tag", ["", ":v1"])
def test_a_registry_image_without_a_digest_is_refused_with_the_way_to_pin_it(places, tag):
    reference = f"docker://registry.example.org:5000/cms/image{tag}"
    with pytest.raises(ConfigurationError) as caught:
        resolve(reference, places=places)
    message = str(caught.value)
    assert "Write docker://registry.example.org:5000/cms/image@sha256:..." in message
    assert f"apptainer pull image.sif {reference}" in message
    assert "allow-unpinned-image: true" in message
    image = resolve(reference, places=places, allow_unpinned=True)
    assert image == PinnedImage(reference, reference, "docker", pinned=False)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("docker://a/b@sha256:abc", "64 hex digits"),
        (f"docker://a/b@sha256:{'A' * 64}", "64 hex digits"),
        (f"docker://a/b@sha512:{A}", "64 hex digits"),
        ("docker://a/b@", "64 hex digits"),
        ("docker://", "no image that can be used"),
        ("docker://a b", "no image that can be used"),
        (f"library://a/b@sha256:{A}", "no image that can be used.*oras://"),
        ("", "is no site"),
    ],
)
def test_what_is_no_reference_is_refused_even_unpinned(places, reference, message):
    with pytest.raises(ConfigurationError, match=message):
        resolve(reference, places=places, allow_unpinned=True)


# --- the same code on both sides -----------------------------------------------------------------------


def image_with(source: str) -> PinnedImage:
    return PinnedImage("lxplus", "/x.sif", "site", pinned=True, digest=f"sha256:{A}", source_digest=source)


def test_equal_code_goes_on():
    found = require_same_code(image_with(A), A)
    assert found == {"submitting": A, "image": A, "match": "equal"}


def test_other_code_is_refused_with_three_ways_on():
    with pytest.raises(ResultsRefused) as caught:
        require_same_code(image_with(A), B)
    for way in ("make image SITE=", "local-virtualenv: true", "conda-env: true", "allow-code-mismatch: true"):
        assert way in str(caught.value)
    assert caught.value.exit_code == 6
    found = require_same_code(image_with(A), B, allow_code_mismatch=True)
    assert found["match"] == "different, allowed"


def test_unknown_code_is_left_to_the_job():
    assert require_same_code(image_with(""), B)["match"] == "checked where the job starts"
    assert require_same_code(image_with(""), B, allow_code_mismatch=True)["match"] == "unknown, allowed"


# --- the same Python on both sides ---------------------------------------------------------------------

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_every_image_is_labelled_with_the_python_that_is_in_it(checkout):
    for site in site_names(checkout / "containers"):
        inputs = read_inputs(checkout, site)
        # what a plain `apptainer build` writes
        assert inputs.chain[0].labels()["org.pocket-coffea.python"] == PYTHON
        assert labels(inputs)["org.pocket-coffea.python"] == PYTHON
        assert manifest(inputs)["python"].startswith(f"{PYTHON}.")


@pytest.mark.parametrize(
    ("label", "python"), [("3.99", "3.99"), (HERE, HERE), ("3", ""), ("2.7", ""), ("new", ""), (None, "")]
)
def test_the_python_of_a_file_is_its_label(places, tmp_path, label, python):
    make_sif(tmp_path / "my.sif", {"org.pocket-coffea.python": label} if label else {})
    image = resolve(str(tmp_path / "my.sif"), places=places)
    assert image.python == python
    assert PinnedImage(**image.to_dict()) == image


def test_the_python_of_an_unpacked_image_is_its_label_else_that_of_the_manifest(places):
    tag = unpacked(places.cvmfs / "unpacked.cern.ch", A)
    folder = tag.resolve()
    assert resolve(str(tag), places=places).python == ""
    (folder / ".pocket-coffea").mkdir()
    (folder / ".pocket-coffea" / "manifest.json").write_text(json.dumps({"python": "3.98.4"}))
    assert resolve(str(tag), places=places).python == "3.98"
    (folder / ".singularity.d").mkdir()
    (folder / ".singularity.d" / "labels.json").write_text(json.dumps({"org.pocket-coffea.python": "3.97"}))
    assert resolve(str(tag), places=places).python == "3.97"
    elsewhere = shutil.copytree(folder, places.cvmfs.parent / "folder")
    assert resolve(str(elsewhere), places=places, allow_unpinned=True).python == "3.97"


def test_the_python_of_a_site_is_read_from_its_image(places, checkout):
    places = Places(places.store, checkout, places.cache)
    inputs = read_inputs(checkout, "lxplus", allow_dirty=True)
    put(places.store, "lxplus", "9.9.9", inputs.digest, A, {"org.pocket-coffea.python": "3.99"})
    assert resolve("lxplus", places=places).python == "3.99"


@pytest.mark.parametrize("allowed", [True, False])
def test_another_python_is_refused_before_any_job_starts(allowed):
    image = dataclasses.replace(image_with(A), python="3.99")
    with pytest.raises(ResultsRefused, match=rf"has Python 3\.99, you submit with {HERE}") as caught:
        require_same_code(image, A, allow_code_mismatch=allowed)
    for way in ("image shell", "with Python 3.99", "local-virtualenv: true", "conda-env: true"):
        assert way in str(caught.value)


@pytest.mark.parametrize("python", ["", HERE])
def test_an_unknown_python_is_left_to_the_job(python):
    require_same_python(dataclasses.replace(image_with(A), python=python))


def test_the_submitting_side_states_its_code_as_an_image_of_it_would(checkout):
    (checkout / "pocket_coffea" / "scratch.log").write_text("ignored by git, in no wheel")
    inputs = read_inputs(checkout, "lxplus", allow_dirty=True)
    assert submitting_digest(checkout) == inputs.project.source_digest
    assert len(submitting_digest()) == 64


def test_this_test_runs_from_a_checkout():
    assert module.running_checkout() == ROOT
