"""The lab's root file system: named by its recipe, whole or absent, clear about what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ci.lab.errors import LabError
from ci.lab.host import build, machine, places


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
    monkeypatch.setattr(build, "_download", lambda wheels, _temporary: wheels.mkdir())
    (places.lab_cache() / "old.building").mkdir(parents=True)

    def no_mirror(root: Path, _temporary: Path) -> None:
        root.mkdir()
        msg = "no mirror"
        raise LabError(msg)

    monkeypatch.setattr(build, "_debian", no_mirror)
    with pytest.raises(LabError, match="no mirror"):
        build.build()
    assert [path.name for path in places.lab_cache().iterdir()] == ["build.lock"]


MOUNTER = """
import sys
from ci.lab.host import build
from ci.lab.process import run
script = 'mount -t tmpfs half "$1" && touch "$1/inside" && echo $$ > "$2" && sleep 300'
run([*build._contained(), "sh", "-c", script, "sh", *sys.argv[1:]])
"""


@pytest.mark.skipif(bool(machine.lacks()), reason="mounts, as the lab does")
def test_a_killed_builder_leaves_no_process_and_no_mount(tmp_path):
    """Else the next build would remove what is mounted in the half-made root: the host's /dev/shm."""
    half, mark = tmp_path / "half", tmp_path / "mark"
    half.mkdir()
    builder = subprocess.Popen([sys.executable, "-c", MOUNTER, half, mark], cwd=places.PROJECT)
    try:
        wait_for(lambda: mark.exists() and mark.read_text())
        assert str(half) in words_of_processes()
        assert places.mounts_below(tmp_path) == [], "the host sees a mount of the builder"
        assert list(half.iterdir()) == []
    finally:
        builder.kill()
        builder.wait()
    wait_for(lambda: str(half) not in words_of_processes())
    assert places.mounts_below(tmp_path) == []
    places.remove(half)
    assert not half.exists()


def words_of_processes() -> str:
    return subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_nothing_is_removed_that_has_a_mount_in_it(tmp_path):
    """A folder with a blank in its name, in a mount namespace of the test's own."""
    script = """
import subprocess, sys
from pathlib import Path
from ci.lab.errors import LabError
from ci.lab.host import places
folder = Path(sys.argv[1])
(folder / "dev" / "shm").mkdir(parents=True)
subprocess.run(["mount", "-t", "tmpfs", "shm", folder / "dev" / "shm"], check=True)
(folder / "dev" / "shm" / "of the host").touch()
try:
    places.remove(folder)
except LabError as error:
    print(error)
print(len(list((folder / "dev" / "shm").iterdir())))
"""
    command = ["unshare", "--mount", "--propagation=private", sys.executable, "-c", script, tmp_path / "a b"]
    said = subprocess.run(command, cwd=places.PROJECT, capture_output=True, text=True, check=True).stdout
    assert f"{tmp_path}/a b/dev/shm is a mount" in said
    assert said.endswith("\n1\n")


def test_unused_roots_of_older_recipes_go_and_used_ones_stay(recipe):
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
