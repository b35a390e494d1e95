from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pocket_coffea.errors import ProcessingError
from pocket_coffea.executors.local import DaskExecutor, FuturesExecutor, IterativeExecutor
from pocket_coffea.executors.reduction import pack
from pocket_coffea.executors.worker_pool import RemoteTraceback, WorkerPool


def work(item):
    # late chunks finish first
    time.sleep(0.02 * (item % 4 == 0))
    rng = np.random.default_rng(item)
    return {"x": float(rng.normal()) * 10.0 ** rng.integers(-8, 8), "order": [item]}


def fail_at_three(item):
    if item == 3:
        raise ProcessingError("chunk three is bad")
    return {"n": 1}


def die_once(flag, item):
    if item == 2 and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"n": item}


def die_always(item):
    if item == 1:
        os._exit(7)
    return {"n": item}


class FolderStore:
    def __init__(self, folder):
        self.folder = str(folder)

    def _path(self, level, index):
        return Path(self.folder) / f"{level}-{index}"

    def has(self, level, index):
        return self._path(level, index).exists()

    def load_node(self, level, index):
        return self._path(level, index).read_bytes()

    def save_node(self, level, index, data):
        self._path(level, index).write_bytes(data)

    def wants(self, level):
        return True


@pytest.fixture(scope="module")
def pool():
    pool = WorkerPool(2, preload=["numpy"])
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
    ) as client:
        yield client


@pytest.fixture(params=["iterative", "futures", "dask"])
def make(request):
    def build(**kwargs):
        if request.param == "iterative":
            return IterativeExecutor(**kwargs)
        if request.param == "futures":
            return FuturesExecutor(processes=request.getfixturevalue("pool"), workers=2, **kwargs)
        return DaskExecutor(client=request.getfixturevalue("client"), **kwargs)

    return build


@pytest.mark.parametrize(("n", "fan_in"), [(1, 20), (3, 3), (23, 3), (8, 2)])
def test_all_executors_merge_in_the_same_order(make, n, fan_in):
    output, status = make(treereduction=fan_in)(range(n), work, None)
    reference, _ = IterativeExecutor(treereduction=fan_in)(range(n), work, None)
    assert status == 0
    assert output["order"] == list(range(n))
    assert output["x"].hex() == reference["x"].hex()


def test_every_chunk_is_reported_once(make):
    seen = []
    make(observer=lambda item, _summary: seen.append(item))(range(7), work, None)
    assert sorted(seen) == list(range(7))


def test_the_error_of_a_chunk_is_raised_as_it_is(make):
    with pytest.raises(ProcessingError, match="chunk three is bad"):
        make()(range(6), fail_at_three, None)


@pytest.mark.parametrize("kept", [{(0, 1), (0, 4)}, {(1, 0), (0, 3)}, {(1, 1), (1, 0), (0, 6)}, {(2, 0)}])
def test_stored_chunks_are_not_computed_again(make, tmp_path, kept):
    n, fan_in = (9, 3) if (2, 0) in kept else (8, 3)
    store = FolderStore(tmp_path)
    for level, index in kept:
        width = fan_in**level
        part, _ = IterativeExecutor(treereduction=fan_in)(
            range(index * width, (index + 1) * width), work, None
        )
        store.save_node(level, index, pack(part))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    seen = []
    output, _ = make(treereduction=fan_in, store=store, observer=lambda item, _: seen.append(item))(
        range(n), work, None
    )
    reference, _ = IterativeExecutor(treereduction=fan_in)(range(n), work, None)
    assert output == reference
    assert sorted(seen) == list(range(n))
    assert all((tmp_path / name).stat().st_mtime_ns == when for name, when in before.items())


def test_a_worker_that_dies_costs_one_chunk_only(pool, tmp_path, caplog):
    flag = str(tmp_path / "died")
    output, _ = FuturesExecutor(processes=pool, workers=2)(range(6), partial(die_once, flag), None)
    assert output == {"n": 15}
    assert "SIGKILL" in caplog.text
    assert "tried again" in caplog.text


def test_a_chunk_that_always_kills_its_worker_is_named():
    pool = WorkerPool(2, preload=["numpy"], max_deaths=1)
    try:
        with pytest.raises(ProcessingError, match=r"died 2 times while working on 1: exit code 7"):
            FuturesExecutor(processes=pool, workers=2)(range(4), die_always, None)
        output, _ = FuturesExecutor(processes=pool, workers=2)(range(3), work, None)
        assert output["order"] == [0, 1, 2], "the pool must be usable after the error"
    finally:
        pool.close()


def test_an_interrupt_while_the_server_imports_prints_no_traceback(tmp_path):
    (tmp_path / "slow_import.py").write_text(
        "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(2)\n"
    )
    program = (
        "import signal, time\n"
        "from pocket_coffea.executors.worker_pool import start_server\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    start_server(['slow_import'])\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('closed')\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "importing").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert out == "closed\n"
    assert "Traceback" not in err


def test_the_traceback_of_the_worker_is_the_cause(pool):
    with pytest.raises(ProcessingError) as caught:
        FuturesExecutor(processes=pool, workers=2)(range(6), fail_at_three, None)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "fail_at_three" in str(caught.value.__cause__)


def test_nothing_to_do_is_not_an_error(make):
    assert make()([], work, None) == (None, 0)


def test_no_process_of_dask_holds_more_than_two_outputs():
    from pocket_coffea.executors.dask_local import local_cluster
    from tests.bench.dask_work import make_output, most_alive

    cluster, client = local_cluster(1)
    with cluster, client:
        executor = DaskExecutor(client=client, treereduction=4, status=False)
        total, _ = executor(list(range(10)), make_output, None)
        assert set(total) == {"counted", "histograms"}
        assert list(client.run(most_alive).values()) == [2]
    assert most_alive() == 1  # here is the sum alone
