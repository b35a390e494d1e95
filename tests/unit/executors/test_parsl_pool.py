"""The pool of Parsl's workers ends when one of its processes dies; Parsl itself is not needed for that."""

from __future__ import annotations

import os
import sys
import time

import pytest

from pocket_coffea.utils.process import run_command

POOL = """
import multiprocessing, os, signal, sys, threading, time
from pocket_coffea.executors.parsl_pool import watch
children = [multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,)) for _ in range(2)]
for child in children:
    child.start()
watch()
if sys.argv[1] == "works":
    threading.Thread(target=time.sleep, args=(60,), name="worker-watchdog", daemon=True).start()
print(children[0].pid, flush=True)
os.kill(children[1].pid, signal.SIGKILL)
time.sleep(3 if sys.argv[1] == "ends" else 60)
children[0].kill()
print("in order")
"""


def _pool(what: str):
    start = time.monotonic()
    done = run_command([sys.executable, "-c", POOL, what], timeout=50)
    return done, time.monotonic() - start


def test_a_process_that_dies_ends_the_pool_and_all_its_processes():
    done, seconds = _pool("works")
    assert seconds < 30
    assert "parsl_pool: its process" in done.stderr
    assert "exit code -9" in done.stderr
    assert "in order" not in done.stdout
    with pytest.raises(ProcessLookupError):
        _wait_for_end(int(done.stdout.split()[0]))


def _wait_for_end(pid: int) -> None:
    for _ in range(100):
        os.kill(pid, 0)
        time.sleep(0.1)


def test_the_pool_ends_its_processes_itself():
    done, _ = _pool("ends")
    assert "in order" in done.stdout
    assert "parsl_pool" not in done.stderr
