"""The lab's tests: in one lab, or shared out to several at once, as tests wait more than they compute."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from ci.lab.errors import LabError
from ci.lab.host import instance
from ci.lab.host.places import PROJECT, Instance
from ci.lab.layout import PHYSICIST
from ci.lab.process import start

PYTEST = ("/opt/venv/bin/python", "-m", "pytest", "-m", "lab", "-p", "no:cacheprovider")
ALL = "tests/lab"
#: A lab with all its services, and the runs of one test, need that much memory [GiB].
MEMORY = 6


def number_of_labs() -> int:
    """Return how many labs test at once: $LAB_TESTS_AT_ONCE, else two where the machine can."""
    if chosen := os.environ.get("LAB_TESTS_AT_ONCE"):
        if not chosen.isdecimal() or int(chosen) < 1:
            msg = f"LAB_TESTS_AT_ONCE={chosen}: a number of labs is needed, 1 or more"
            raise LabError(msg)
        return int(chosen)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return 2 if len(os.sched_getaffinity(0)) > 1 and memory > 2 * MEMORY else 1


def run_here(lab: Instance, words: list[str], up: Callable[[], object]) -> int:
    """Run pytest with ``words`` in the lab, which is up during that time; return its exit code."""
    was_up = instance.alive(lab)
    try:
        if was_up:  # with all its services or some
            instance.up(lab)
        else:
            up()
        command = [*PYTEST, "--ignore=tests/lab/outside", *(words or [ALL])]
        return instance.execute(lab, command, user=PHYSICIST, network=False, cwd="/project")
    finally:
        if not was_up:
            instance.down(lab)


def run_shares(lab: Instance, number: int, up: Callable[[], object]) -> int:
    """Run all tests in ``number`` labs; what the others print follows when this one has ended.

    Returns the first exit code that is not 0.
    """
    others = [_start(Instance(f"{lab.name}-{share}"), share, number) for share in range(2, number + 1)]
    try:
        codes = [run_here(lab, [f"--share=1/{number}", ALL], up)]
        for process, log in others:
            codes.append(process.wait())
            print(f"== {log}", log.read_text(errors="replace"), sep="\n", flush=True)
    finally:
        for process, _ in others:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # its lab ends, too
                process.wait()
    return next((code for code in codes if code), 0)


def _start(lab: Instance, share: int, number: int) -> tuple[subprocess.Popen[bytes], Path]:
    lab.folder.mkdir(parents=True, exist_ok=True)
    log = lab.folder / "tests.log"
    log.unlink(missing_ok=True)
    words = ["--name", lab.name, "test", f"--share={share}/{number}", ALL]
    return start([PROJECT / "ci" / "lab" / "lab", *words], log=log, cwd=PROJECT), log
