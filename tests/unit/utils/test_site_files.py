"""The site files are found in a checkout and in an installed wheel, which has them in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pocket_coffea.images.project import _BUILD, read_project
from pocket_coffea.utils.site_files import site_folder
from pocket_coffea.utils.tree_digest import tree_digest

ROOT = Path(__file__).resolve().parents[3]
ASK = """
import json
from pocket_coffea.run.provenance import source_digest
from pocket_coffea.utils.site_files import site_folder
print(json.dumps([str(site_folder()), source_digest()]))
"""


def build(source: Path, target: Path) -> Path:
    """Build the wheel of a checkout as an image's is built."""
    target.mkdir()
    env = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1700000000"}
    argv = [sys.executable, "-c", _BUILD, str(target)]
    subprocess.run(argv, check=True, cwd=source, env=env, capture_output=True)
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the files of the checkout, which nobody changes meanwhile."""
    folder = tmp_path_factory.mktemp("source")
    for path in read_project(ROOT, allow_dirty=True).files:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return build(source, tmp_path_factory.mktemp("wheel") / "one")


def test_a_checkout_has_them_beside_the_package(tmp_path):
    assert site_folder() == ROOT / "sites"
    assert (site_folder() / "lxplus.yaml").is_file()
    assert site_folder(tmp_path) == tmp_path / "sites"


def test_an_installed_package_has_them_in_it(source, wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    env = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], check=True, cwd=tmp_path, env=env, capture_output=True, text=True
    )
    folder, digest = json.loads(done.stdout)
    assert Path(folder) == tmp_path / "pocket_coffea" / "_sites"
    there = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    assert there == {path.name: path.read_bytes() for path in (source / "sites").glob("*.yaml")}
    assert digest == tree_digest(source / "pocket_coffea"), "the same code in a checkout and a wheel"


def test_the_wheel_is_the_same_each_time(source, wheel, tmp_path):
    # other times and another order of making
    again = shutil.copytree(source, tmp_path / "again", copy_function=shutil.copyfile)
    assert build(again, tmp_path / "other").read_bytes() == wheel.read_bytes()
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("sites")]
