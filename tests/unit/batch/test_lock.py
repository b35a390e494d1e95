"""One monitor at a time: who has the lock is named, and a dead owner does not keep it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys

import pytest

from pocket_coffea.batch.lock import LOCK_NAME, Lock, Owner
from pocket_coffea.errors import OutputError, ResultsRefused

HOLDER = """
import sys, time
from pathlib import Path
from pocket_coffea.batch.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    argv = [sys.executable, "-c", HOLDER, str(tmp_path), "check-jobs -j 'my jobs'"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def write(folder, **changes):
    owner = dataclasses.replace(Owner.this_process(), **changes)
    (folder / LOCK_NAME).write_text(json.dumps(dataclasses.asdict(owner)))


def test_the_lock_is_free_again_afterwards(tmp_path):
    for _ in range(2):
        with Lock(tmp_path):
            assert json.loads((tmp_path / LOCK_NAME).read_text())["pid"] == os.getpid()
        assert list(tmp_path.iterdir()) == []


def test_a_second_monitor_is_refused_with_the_name_of_the_first(tmp_path, holder):
    with pytest.raises(ResultsRefused, match=rf"process {holder.pid} on .*my jobs.*would send jobs twice"):
        Lock(tmp_path).acquire()


def test_the_same_process_does_not_get_it_twice(tmp_path):
    with Lock(tmp_path), pytest.raises(ResultsRefused, match=f"process {os.getpid()}"):
        Lock(tmp_path).acquire()


def test_a_killed_owner_does_not_keep_it(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK_NAME).exists()
    with Lock(tmp_path):
        pass


def test_an_owner_elsewhere_keeps_it_until_told_otherwise(tmp_path):
    write(tmp_path, hostname="lxplus900.cern.ch")
    with pytest.raises(ResultsRefused, match=rf"lxplus900.cern.ch.*remove .*{LOCK_NAME}"):
        Lock(tmp_path).acquire()
    with Lock(tmp_path, override=True):
        pass


def test_a_later_process_of_the_same_number_is_not_the_owner(tmp_path):
    write(tmp_path, start_time=Owner.this_process().start_time - 3600)
    with Lock(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', "[]"])
def test_a_torn_lock_file_names_nobody(tmp_path, text):
    (tmp_path / LOCK_NAME).write_text(text)
    with Lock(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"nowhere.*cannot be taken"):
        Lock(tmp_path / "nowhere").acquire()
