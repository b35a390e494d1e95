"""What a killed build of an unprivileged user leaves is removed, though it belongs to subordinate ids."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pocket_coffea.images.work import remove_leftovers

PROJECT = Path("/project")
#: A build in the middle of its root file system: mmdebstrap, with a hook that leaves files of other ids.
BUILD = """
import sys
from pathlib import Path

from pocket_coffea.images.locks import read_locks
from pocket_coffea.images.rootfs import _mmdebstrap
from pocket_coffea.images.work import work_folder

hook = 'mkdir "$1/closed"; touch "$1/closed/file"; chown -R 5:5 "$1/closed"; chmod 700 "$1/closed"'
wait = f"touch $1/../there; sleep {sys.argv[1]}"
with work_folder() as folder:
    options = ["--variant=custom", "--skip=update", f"--setup-hook={hook}; {wait}", ""]
    _mmdebstrap([*options, str(folder / "root.tar")], folder, read_locks(Path("/project/containers/locks")))
"""


@pytest.fixture
def tmpdir(monkeypatch) -> Iterator[Path]:
    """Return a TMPDIR that the users of a user namespace can enter."""
    folder = Path("/work") / f"leftovers-{os.getpid()}"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    remove = ["unshare", "--map-root-user", "--map-auto", "rm", "-rf", str(folder)]
    subprocess.run(remove, check=True)


@pytest.fixture
def builder(tmpdir, until) -> Iterator[Callable[[int], tuple[subprocess.Popen, Path]]]:
    """Return ``builder(seconds)``: a builder in the middle of its work, and its folder."""
    started: list[subprocess.Popen] = []

    def start(seconds: int) -> tuple[subprocess.Popen, Path]:
        before = set(work(tmpdir))
        env = {**os.environ, "PYTHONPATH": str(PROJECT)}
        process = subprocess.Popen([sys.executable, "-c", BUILD, str(seconds)], env=env)
        started.append(process)
        until(lambda: process.poll() is not None or sleeping(seconds), 30)
        assert process.poll() is None
        folders = set(work(tmpdir)) - before
        assert len(folders) == 1
        return process, folders.pop()

    yield start
    for process in started:
        process.kill()
        process.wait()
    remove_leftovers(print)


def work(tmpdir: Path) -> list[Path]:
    return [path for path in tmpdir.iterdir() if path.name.startswith("pocket-coffea-image-")]


def sleeping(seconds: int) -> bool:
    """Return whether the hook of a builder is at work."""
    commands = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return f"sleep\0{seconds}\0".encode() in set(commands)


def collect(tmpdir: Path) -> str:
    command = ["pocket-coffea", "image", "gc", "--source", str(PROJECT), "--store", str(tmpdir / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_killed_build_leaves_nothing_for_long(tmpdir, builder, until):
    dead, left = builder(98761)
    living, kept = builder(98762)
    os.kill(dead.pid, signal.SIGKILL)
    dead.wait()
    (closed,) = left.glob("mmdebstrap.*/closed")
    with pytest.raises(PermissionError):
        os.listdir(closed)
    assert f"removed {left}" in collect(tmpdir)
    assert not left.exists()
    assert not sleeping(98761), "what went on in it has ended"
    assert living.poll() is None
    assert sleeping(98762)
    assert list(kept.glob("mmdebstrap.*")), "the work of a living builder stays"
    assert "image-" not in collect(tmpdir)


def test_a_folder_without_a_lock_stays_for_a_day(tmpdir):
    folder = tmpdir / "pocket-coffea-image-of-somebody"
    folder.mkdir()
    (folder / "file").touch()
    (tmpdir / "pocket-coffea-image-link").symlink_to(folder)
    assert "image-" not in collect(tmpdir)
    assert (folder / "file").exists()
    os.utime(folder, (1e9, 1e9))
    assert f"removed {folder}" in collect(tmpdir), "half removed, or left by an older version"
