"""The private folder of a run: modes, whole files, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pocket_coffea.errors import OutputError
from pocket_coffea.executors.worker_folder import WorkerFolder

ROOT = Path(__file__).resolve().parents[3]
HOLD = """
import sys, time
from pathlib import Path
from pocket_coffea.executors.worker_folder import WorkerFolder
folder = WorkerFolder(Path(sys.argv[1]))
folder.add("key.pem", "secret")
print(folder.path, flush=True)
time.sleep(60)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o077])
def mask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_nobody_else_can_look_into_it(tmp_path, mask):
    folder = WorkerFolder(tmp_path / "new" / "output")
    assert mode(folder.path) == 0o700
    key = folder.add("key.pem", "secret")
    script = folder.add("worker.sh", b"#!/bin/bash\n", secret=False)
    assert (mode(key), key.read_text()) == (0o600, "secret")
    assert mode(script) == 0o700
    assert folder.files == (key, script)
    assert folder.add("key.pem", "other").read_text() == "other"
    folder.close()
    assert list((tmp_path / "new" / "output").iterdir()) == []
    folder.close()


def test_two_runs_of_one_output_folder_do_not_meet(tmp_path):
    first, second = WorkerFolder(tmp_path), WorkerFolder(tmp_path)
    first.add("key.pem", "one")
    second.add("key.pem", "two")
    first.close()
    assert (second.path / "key.pem").read_text() == "two"
    second.close()


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as other:
        left = Path(other.stdout.readline().strip())
        assert (left / "key.pem").exists()
        WorkerFolder(tmp_path).close()
        assert (left / "key.pem").exists()  # its run lives
        other.send_signal(signal.SIGKILL)
    WorkerFolder(tmp_path).close()
    assert not left.exists()


@pytest.mark.parametrize("change", [{"host": "another"}, {"pid": None}, "broken", None])
def test_folders_of_which_nothing_is_known_stay(tmp_path, change):
    left = tmp_path / ".workers-abc"
    left.mkdir()
    owner = {"host": "", "pid": 2**22, "started": "1"}
    if isinstance(change, dict):
        (left / ".owner.json").write_text(json.dumps({**owner, **change}))
    elif change:
        (left / ".owner.json").write_text(change)
    WorkerFolder(tmp_path).close()
    assert left.exists()


def test_a_process_number_that_is_used_again_protects_nothing(tmp_path):
    folder = WorkerFolder(tmp_path)
    owner = folder.path / ".owner.json"
    owner.write_text(json.dumps({**json.loads(owner.read_text()), "started": "1 before"}))
    WorkerFolder(tmp_path).close()
    assert not folder.path.exists()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"No folder for the workers can be made in .*/file/output"):
        WorkerFolder(tmp_path / "file" / "output")
    folder = WorkerFolder(tmp_path)
    folder.close()
    with pytest.raises(OutputError, match=r"key.pem cannot be written: No such file"):
        folder.add("key.pem", "x")
