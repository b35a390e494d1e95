"""An interrupt is noted, so that one that was swallowed is raised again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pocket_coffea.utils.interrupt import interruptible, stop_if_interrupted


def swallowed(number):
    with contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), number)
        time.sleep(10)
        pytest.fail("no interrupt has come")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_swallowed_is_raised_again(number):
    usual = signal.signal(number, signal.SIG_DFL)  # nohup ignores SIGHUP
    try:
        with interruptible():
            stop_if_interrupted()
            swallowed(number)
            with pytest.raises(KeyboardInterrupt):
                stop_if_interrupted()
        assert signal.getsignal(number) == signal.SIG_DFL
        stop_if_interrupted()  # over
    finally:
        signal.signal(number, usual)


def test_one_is_not_the_next_ones():
    with interruptible():
        swallowed(signal.SIGTERM)
    with interruptible():
        stop_if_interrupted()


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
            stop_if_interrupted()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_is_not_interrupted():
    found = []

    def work():
        try:
            with interruptible():
                stop_if_interrupted()
            found.append("fine")
        except KeyboardInterrupt:
            found.append("interrupted")

    with interruptible():
        swallowed(signal.SIGTERM)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == ["fine"]


# what a wait in each of these does with an interrupt that was swallowed before it
WAITS = {
    "iterative": "IterativeExecutor()(items, work, None)",
    "futures": "FuturesExecutor(workers=1)(items, work, None)",
    "first worker": "wait_for_first_worker(lambda: 0, None, timeout=60)",
}


@pytest.mark.parametrize("wait", WAITS)
def test_waits_end(wait):
    code = f"""
import os, signal, time
from pocket_coffea.executors.dask_waiting import wait_for_first_worker
from pocket_coffea.executors.local import FuturesExecutor, IterativeExecutor
from pocket_coffea.utils.interrupt import interruptible
items = list(range(1000))
def work(item):
    time.sleep(1)
    return {{"n": 1}}
with interruptible():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    except:
        pass
    try:
        {WAITS[wait]}
    except KeyboardInterrupt:
        print("stopped")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "stopped\n", done.stderr
