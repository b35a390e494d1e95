"""What an unprivileged builder is told before anything is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.lab.layout import SCRATCH

PROJECT = Path("/project")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a clone of the project, which belongs to another user."""
    config = tmp_path / "gitconfig"
    config.write_text("[safe]\n\tdirectory = *\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(tmp_path / "checkout")], check=True)
    return tmp_path / "checkout"


@pytest.fixture
def build(checkout, tmp_path):
    """Return ``build(tmpdir)``: build lxplus there, give exit code and message; the store stays empty."""

    def call(folder: Path, *options: str) -> tuple[int, str]:
        store = tmp_path / "store"
        command = ["pocket-coffea", "image", "build", "lxplus", "--source", str(checkout), *options]
        done = subprocess.run(
            [*command, "--store", str(store)],
            env={**os.environ, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert list(store.glob("*/image.sif")) == []
        assert list(folder.glob("pocket-coffea-*")) == []
        return done.returncode, done.stderr

    return call


def test_a_dirty_tree_is_refused(checkout, build, tmp_path):
    (checkout / "pocket_coffea" / "new.py").write_text("x = 1\n")
    code, said = build(tmp_path)
    assert code == 6
    assert "?? pocket_coffea/new.py" in said
    assert "ALLOW_DIRTY=1" in said


def test_too_little_space_is_told_before_the_build(build):
    assert shutil.disk_usage(SCRATCH).free < 5e9
    code, said = build(SCRATCH)
    assert code == 3
    assert f"{SCRATCH} has " in said
    assert "TMPDIR=" in said


def test_a_folder_that_the_namespace_cannot_enter_is_told(build):
    folder = Path("/work") / f"closed-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        code, said = build(folder)
        assert code == 3
        assert f"chmod o+x {folder}" in said
    finally:
        shutil.rmtree(folder)


def test_a_store_that_cannot_be_written_is_told(checkout):
    """The source differs from the project's, whose image may be in the lab's read-only store already."""
    (checkout / "pocket_coffea" / "new.py").write_text("x = 1\n")
    command = ["pocket-coffea", "image", "build", "lxplus", "--source", str(checkout), "--store", "/images"]
    done = subprocess.run([*command, "--allow-dirty"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "/images" in done.stderr
    assert "Read-only file system" in done.stderr
