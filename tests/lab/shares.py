"""Which test files are whose when several labs test at once: each is in one share, all about as long."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pytest

#: Seconds of files whose tests are longer than others; a wrong number makes a share longer, nothing else.
SECONDS: dict[str, float] = {
    "test_batch_systems": 60,
    "test_dask": 60,
    "test_dask_condor": 100,
    "test_dask_facility": 100,
    "test_dask_faults": 120,
    "test_dask_slurm": 120,
    "test_hadd_skims": 50,
    "test_manual_job": 50,
    "test_manual_jobs_sites": 150,
    "test_parsl": 190,
    "test_parsl_faults": 210,
    "test_report": 30,
    "test_sites": 400,
    "test_soak": 150,
    "test_worker_setup": 80,
}
#: Seconds of a test of the other files.
USUAL = 2.0


def split(items: list[pytest.Item], share: str) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the tests of ``share`` ("1/2") and the others. Raises pytest.UsageError for other words."""
    words = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", share, re.ASCII)
    if not words or int(words[1]) > int(words[2]):
        msg = f"--share {share}: N/M is needed, the N-th of M shares, for instance 1/2"
        raise pytest.UsageError(msg)
    number, of = int(words[1]), int(words[2])
    if of == 1:
        return items, []
    mine = set(shares((item.path.stem for item in items), of)[number - 1])
    return (
        [item for item in items if item.path.stem in mine],
        [item for item in items if item.path.stem not in mine],
    )


def shares(files: Iterable[str], number: int) -> list[list[str]]:
    """Give each file, the longest first, to the share that is shortest so far."""
    tests = Counter(files)
    seconds = {file: SECONDS.get(file, USUAL * n) for file, n in tests.items()}
    found: list[list[str]] = [[] for _ in range(number)]
    sums = [0.0] * number
    for file in sorted(seconds, key=lambda name: (-seconds[name], name)):
        shortest = sums.index(min(sums))
        found[shortest].append(file)
        sums[shortest] += seconds[file]
    return found
