"""The lab's root file system: named by its recipe, whole or absent, clear about what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ci.lab.errors import LabError
from ci.lab.host import build, places


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of the recipe and the locks that a test may change, and a cache of its own."""
    shutil.copytree(places.RECIPE, tmp_path / "recipe")
    (tmp_path / "locks").mkdir()
    for lock in build.VENVS.values():
        shutil.copy(places.LOCKS / lock, tmp_path / "locks")
    monkeypatch.setattr(places, "RECIPE", tmp_path / "recipe")
    monkeypatch.setattr(places, "LOCKS", tmp_path / "locks")
    monkeypatch.setenv("POCKET_COFFEA_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("changed", ["recipe/packages.txt", "recipe/customize.sh", "locks/lab-rucio.txt"])
def test_the_digest_names_all_that_decides_the_root_file_system(recipe, changed):
    before = build.digest()
    assert before == build.digest()
    with (recipe / changed).open("a") as file:
        file.write("# one more line\n")
    assert build.digest() != before


def test_a_build_that_fails_leaves_nothing_but_its_message(recipe, monkeypatch):
    monkeypatch.setattr(build.machine, "check", lambda: None)
    monkeypatch.setattr(build.machine, "install_mmdebstrap", lambda: None)
    monkeypatch.setattr(build, "_download", lambda wheels: wheels.mkdir())
    (places.lab_cache() / "old.building").mkdir(parents=True)

    def no_mirror(root: Path) -> None:
        root.mkdir()
        msg = "no mirror"
        raise LabError(msg)

    monkeypatch.setattr(build, "_debian", no_mirror)
    with pytest.raises(LabError, match="no mirror"):
        build.build()
    assert [path.name for path in places.lab_cache().iterdir()] == ["build.lock"]


def test_unused_roots_of_older_recipes_go_and_used_ones_stay(recipe):
    import os

    cache = places.lab_cache()
    names = {"a" * 24: 0.0, "b" * 24: None, "instances": 0.0}
    for name, used in names.items():
        (cache / name).mkdir(parents=True)
        if used is not None:
            os.utime(cache / name, (used, used))
    build._remove_unused(cache / ("c" * 24))
    assert sorted(path.name for path in cache.iterdir()) == ["b" * 24, "instances"]


def test_the_packages_are_read_without_comments(recipe):
    names = build._packages().split(",")
    assert {"htcondor", "slurm-wlm", "xrootd-server"} <= set(names)
    assert not [name for name in names if not name or name.startswith("#") or " " in name]
