from __future__ import annotations

import math
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from pocket_coffea.executors.dask_readahead import Readahead, at_hand
from pocket_coffea.executors.local import DaskExecutor, IterativeExecutor


@pytest.mark.parametrize(
    ("usual", "duration", "lost", "expected"),
    [
        (1.1, -1, 0, 1.1),  # nothing is known yet, or one takes much longer than the others
        (1.1, 0.0, 0, 100.0),
        (1.1, 0.02, 0, 10.0),
        (1.1, 0.5, 0, 1.1),
        (1.1, 3600.0, 0, 1.1),
        (1.1, 0.02, 1, 1.1),
        (20.0, 0.02, 0, 20.0),  # a user who wants more has more
        (math.inf, 0.02, 0, math.inf),
    ],
)
def test_only_quick_chunks_are_sent_in_numbers(usual, duration, lost, expected):
    assert at_hand(usual, duration, lost) == pytest.approx(expected)


def test_a_scheduler_of_somebody_else_is_left_alone():
    with Readahead(object(), "chunk-1") as ahead:
        ahead.look()


def quick(flag, item):
    """Take 2 ms; the worker of chunk 600 dies once."""
    time.sleep(0.002)
    if item == 600 and flag is not None:
        if not Path(flag).exists():
            Path(flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(1)
    return {"x": 0.1 * item, "order": [item]}


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("distributed")
    from pocket_coffea.executors.dask_local import local_cluster

    cluster, client = local_cluster(2)
    with cluster, client:
        yield client


@pytest.mark.parametrize("dies", [False, True])
def test_many_quick_chunks_are_at_hand_until_a_worker_dies(cluster, tmp_path, dies):
    scheduler, seen = cluster.cluster.scheduler, []
    function = partial(quick, str(tmp_path / "flag") if dies else None)
    executor = DaskExecutor(
        client=cluster,
        status=False,
        function_name=f"dies{dies}",
        observer=lambda _item, _summary: seen.append(scheduler.WORKER_SATURATION),
    )
    output, _ = executor(range(800), function, None)
    reference, _ = IterativeExecutor()(range(800), partial(quick, None), None)
    assert output["order"] == list(range(800))
    assert output["x"].hex() == reference["x"].hex()
    assert len(seen) == 800
    assert max(seen) > 10
    assert (seen[-1] == 1.1) is dies
    assert scheduler.WORKER_SATURATION == 1.1


def slower(item):
    time.sleep(0.01)  # long enough that a worker always has another chunk at hand
    return {"order": [item]}


class Noted:
    """A store that keeps nothing and writes down when chunks were merged."""

    def __init__(self, path):
        self.path = path

    def has(self, _level, _index):
        return False

    def wants(self, _level):
        return True

    def save_node(self, level, _index, _data):
        with self.path.open("a") as file:
            file.write(str(level))


def test_chunks_are_merged_before_others_are_begun(cluster, tmp_path):
    """Else the outputs of a large run gather on the workers."""
    noted, number, fan_in = Noted(tmp_path / "nodes"), 600, 10
    total, _ = DaskExecutor(client=cluster, treereduction=fan_in, store=noted)(range(number), slower, None)
    assert total["order"] == list(range(number))
    found = noted.path.read_text()
    assert found.count("0") == number
    waiting = [found[:end].count("0") - fan_in * found[:end].count("1") for end in range(number)]
    assert max(waiting) < number / 3  # some 25; without a priority of their own at times more than 300
