"""The check at the start of a job, in real images that Apptainer makes and runs as an unprivileged user."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ci.lab.services.apptainer import IMAGE
from pocket_coffea.errors import ConfigurationError, ResultsRefused
from pocket_coffea.images.check import Expectation
from pocket_coffea.images.digest_cache import DigestCache
from pocket_coffea.images.resolve import PinnedImage, Places, resolve
from pocket_coffea.images.same_code import require_same_code, submitting_digest
from pocket_coffea.images.sif import INSPECT, read_sif
from pocket_coffea.images.store import Store
from pocket_coffea.utils.process import run_command

INPUT, SOURCE, OTHER = "1" * 64, "2" * 64, "3" * 64
#: The image is busybox and a manifest; its Python is the lab's, by bind mounts.
PYTHON = ("--bind", "/usr,/lib,/lib64,/project")
DEFINITION = """\
Bootstrap: localimage
From: {base}

%files
    {manifest} /.pocket-coffea/manifest.json

%labels
    org.pocket-coffea.input-digest {input}
    org.pocket-coffea.source-digest {source}
    number {number}
"""


@dataclass
class Images:
    """Small images: two with the same manifest but other bytes, one with another manifest, one with none."""

    right: Path
    rebuilt: Path
    other: Path


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Images:
    folder = tmp_path_factory.mktemp("images")
    made = [
        build(folder / name, source, number)
        for number, (name, source) in enumerate(
            {"right.sif": SOURCE, "rebuilt.sif": SOURCE, "other.sif": OTHER}.items()
        )
    ]
    return Images(*made)


def build(path: Path, source: str, number: int) -> Path:
    manifest, definition = path.with_suffix(".json"), path.with_suffix(".def")
    manifest.write_text(json.dumps({"schema": 1, "input_digest": INPUT, "source_digest": source}))
    definition.write_text(
        DEFINITION.format(base=IMAGE, manifest=manifest, input=INPUT, source=source, number=number)
    )
    run_command(["apptainer", "build", "--fakeroot", str(path), str(definition)], timeout=120)
    return path


@pytest.fixture
def places(tmp_path) -> Places:
    return Places(Store(tmp_path / "store"), None, DigestCache(tmp_path / "cache.json"), tmp_path / "cvmfs")


@pytest.fixture
def job(tmp_path) -> Iterator[Callable[..., CompletedProcess[str]]]:
    """Return ``job(expectation, image, *options)``: the check in that image, as a job starts it. Only the
    job's folder is visible, and what ``options`` bind."""
    folder = tmp_path / "job"
    folder.mkdir()

    def start(expectation: Expectation, image: Path, *options: str) -> CompletedProcess[str]:
        (folder / "expectation.json").write_text(expectation.to_json())
        files = [str(folder / name) for name in ("expectation.json", "outcome.json")]
        visible = ["--containall", *PYTHON, "--bind", str(folder), "--env", "PYTHONPATH=/project", *options]
        program = ["/usr/bin/python3", "-m", "pocket_coffea.images.check", *files]
        return run_command(["apptainer", "exec", *visible, str(image), *program], timeout=60, check=False)

    yield start
    shutil.rmtree(folder)


def seen(path: Path) -> Sequence[str]:
    return ("--bind", f"{path.parent}:{path.parent}:ro")


def said(done: CompletedProcess[str]) -> str:
    """Return what the job said, without Apptainer's own lines."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("INFO:", "WARNING:"))]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_the_labels_of_an_image_that_apptainer_built_are_read(images, places):
    assert INSPECT in {item.kind for item in read_sif(images.right)}
    image = resolve(str(images.right), places=places)
    assert (image.input_digest, image.source_digest) == (INPUT, SOURCE)
    digest = run_command(["sha256sum", str(images.right)], timeout=30).stdout.split()[0]
    assert image.digest == f"sha256:{digest}"


def test_the_python_label_of_the_base_is_that_of_what_stands_on_it(places, tmp_path):
    made = [str(IMAGE)]
    for number, label in enumerate(["%labels\n    org.pocket-coffea.python 3.99\n", ""]):
        definition = tmp_path / f"{number}.def"
        definition.write_text(f"Bootstrap: localimage\nFrom: {made[-1]}\n\n{label}\n%post\n    true\n")
        made.append(str(tmp_path / f"{number}.sif"))
        run_command(["apptainer", "build", "--fakeroot", made[-1], str(definition)], timeout=120)
    image = resolve(made[-1], places=places)
    assert image.python == "3.99"
    with pytest.raises(ResultsRefused, match=r"has Python 3\.99, you submit with 3\.1\d"):
        require_same_code(image, submitting_digest())
    folder = tmp_path / "folder"
    run_command(["apptainer", "build", "--sandbox", str(folder), made[-1]], timeout=60)
    assert resolve(str(folder), places=places, allow_unpinned=True).python == "3.99"


def test_the_right_image_passes_by_its_sha256(images, places, job, tmp_path):
    image = resolve(str(images.right), places=places)
    done = job(Expectation.of(image), images.right, *seen(images.right))
    assert done.returncode == 0, done.stderr
    assert f"{image.digest}: file: sha256" in said(done)
    outcome = json.loads((tmp_path / "job" / "outcome.json").read_text())
    assert outcome["image"] == "file: sha256"
    assert outcome["container"] == str(images.right)


def test_other_bytes_are_the_wrong_image_even_with_the_same_manifest(images, places, job):
    image = resolve(str(images.right), places=places)
    done = job(Expectation.of(image), images.rebuilt, *seen(images.rebuilt))
    assert done.returncode == 70
    assert f"runs in {images.rebuilt}, which is sha256:" in said(done)


def test_a_file_that_was_replaced_after_the_submission_is_the_wrong_image(images, places, job, tmp_path):
    path = tmp_path / "mine" / "latest.sif"
    path.parent.mkdir()
    shutil.copy(images.right, path)
    expectation = Expectation.of(resolve(str(path), places=places))
    assert job(expectation, path, *seen(path)).returncode == 0
    shutil.copy(images.other, path)
    assert job(expectation, path, *seen(path)).returncode == 70


def test_only_the_manifest_is_there(images, places, job):
    expectation = Expectation.of(resolve(str(images.right), places=places))
    done = job(expectation, images.right)
    assert done.returncode == 0, done.stderr
    assert "manifest: input digest and source digest" in said(done)
    done = job(expectation, images.other)
    assert done.returncode == 70
    assert f"source digest {OTHER}, expected {SOURCE}" in said(done)


def test_an_image_without_manifest_that_cannot_be_read_is_refused(places, job):
    expectation = Expectation.of(resolve(str(IMAGE), places=places))
    done = job(expectation, IMAGE)
    assert done.returncode == 70
    assert f"--bind {IMAGE.parent}:{IMAGE.parent}:ro" in said(done)
    assert job(expectation, IMAGE, *seen(IMAGE)).returncode == 0


@pytest.mark.parametrize("visible", [True, False], ids=["file", "manifest"])
def test_another_python_has_its_own_exit_code(images, places, job, visible):
    expectation = Expectation.of(resolve(str(images.right), places=places))._replace(python="3.99")
    done = job(expectation, images.right, *(seen(images.right) if visible else ()))
    assert done.returncode == 71
    assert "submitted with Python 3.99, the image" in said(done)


def test_a_job_outside_of_any_image_is_refused(images, places, tmp_path):
    path = tmp_path / "expectation.json"
    path.write_text(Expectation.of(resolve(str(images.right), places=places)).to_json())
    program = ["/usr/bin/python3", "-m", "pocket_coffea.images.check", str(path)]
    env = {"PYTHONPATH": "/project", "PATH": "/usr/bin:/bin"}
    done = run_command(program, timeout=60, check=False, env=env)
    assert done.returncode == 70
    assert "runs in no image" in done.stderr


def test_an_unpacked_image_is_followed_from_its_tag_to_its_folder(images, places, job):
    repository = places.cvmfs / "unpacked.cern.ch"
    for digest in (INPUT, SOURCE):
        flat = repository / ".flat" / digest[:2] / digest
        flat.parent.mkdir(parents=True)
        run_command(["apptainer", "build", "--sandbox", str(flat), str(images.right)], timeout=60)
    tag = repository / "registry" / "pocketcoffea:lxplus"
    tag.parent.mkdir()
    tag.symlink_to(f"../.flat/{INPUT[:2]}/{INPUT}")
    image = resolve(str(tag), places=places)
    assert (image.digest, image.input_digest) == (f"sha256:{INPUT}", INPUT)
    tag.unlink()
    tag.symlink_to(f"../.flat/{SOURCE[:2]}/{SOURCE}")
    done = job(Expectation.of(image), Path(image.location))
    assert done.returncode == 0, done.stderr
    assert "folder named by its digest" in said(done)
    # a job that is started by the tag gets what the tag means by then
    done = job(Expectation.of(image), tag, *seen(repository))
    assert done.returncode == 70
    assert f"which is sha256:{SOURCE}" in said(done)


def test_an_unpinned_image_runs_only_when_it_is_allowed_and_says_so(places, job):
    folder = places.cvmfs.parent / "sandbox"
    run_command(["apptainer", "build", "--sandbox", str(folder), str(IMAGE)], timeout=60)
    with pytest.raises(ConfigurationError, match="allow-unpinned-image: true"):
        resolve(str(folder), places=places)
    image = resolve(str(folder), places=places, allow_unpinned=True)
    done = job(Expectation.of(image), folder)
    assert done.returncode == 0, done.stderr
    assert "unpinned: not checked" in said(done)


def test_the_code_of_a_foreign_image_is_compared_in_the_job(places, job):
    image = PinnedImage("docker://x/y", "docker://x/y", "docker", pinned=True, digest=f"sha256:{INPUT}")
    assert job(Expectation.of(image, code=submitting_digest()), IMAGE).returncode == 0
    done = job(Expectation.of(image, code=OTHER), IMAGE)
    assert done.returncode == 70
    assert "other PocketCoffea code" in said(done)
