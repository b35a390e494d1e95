"""The executor on Parsl workers: order of merging, lost workers, errors and what travels. No Parsl needed."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import cloudpickle
import pytest

from pocket_coffea.errors import InputFileError, ProcessingError
from pocket_coffea.executors import parsl_executor, parsl_worker
from pocket_coffea.executors.local import IterativeExecutor
from pocket_coffea.executors.parsl_executor import MAX_LOSSES, ParslExecutor, TaskPool
from pocket_coffea.executors.parsl_worker import Answer, Shared, load_error, run_task
from pocket_coffea.executors.worker_folder import WorkerFolder
from pocket_coffea.run.resume import CheckpointStore

ITEMS = list(range(23))


class Gone(Exception):
    """What Parsl says of a worker that has gone."""


def chunk(number: int) -> dict:
    """An output whose sum depends on the order; later ones are quicker."""
    time.sleep(0.001 * (23 - number))
    return {"sum": 0.1 * number + 1e-9 / (number + 1), "files": [f"{number}.root"]}


def with_processor(item: tuple[int, dict]) -> dict:
    number, processor = item
    return {"sum": number * processor["factor"]}


@pytest.fixture(autouse=True)
def fresh_worker(monkeypatch):
    monkeypatch.setattr(parsl_worker, "_loaded", {})
    monkeypatch.setattr(parsl_executor, "WATCH_S", 0.02)
    folder = os.getcwd()
    yield
    os.chdir(folder)


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def executor(pool: TaskPool, **settings) -> ParslExecutor:
    return ParslExecutor(processes=pool, workers=pool.size, treereduction=4, status=False, **settings)


def test_the_bits_are_those_of_the_iterative_executor(threads):
    expected, _ = IterativeExecutor(treereduction=4, status=False)(ITEMS, chunk, None)
    found, _ = executor(TaskPool(threads.submit, 4))(ITEMS, chunk, None)
    assert found == expected
    assert found["files"] == [f"{number}.root" for number in ITEMS]


def test_the_processor_is_handed_to_every_task_and_travels_as_a_file(threads, tmp_path):
    folder = WorkerFolder(tmp_path)
    pool = TaskPool(threads.submit, 2, keep=folder.add)
    found, _ = executor(pool, heavy_input={"factor": 3})(ITEMS, with_processor, None)
    assert found == {"sum": 3 * sum(ITEMS)}
    (path,) = folder.files
    assert path.stat().st_mode & 0o777 == 0o600
    folder.close()


def test_the_observer_hears_of_every_chunk_once(threads):
    heard: list[int] = []
    executor(TaskPool(threads.submit, 4), observer=lambda item, _: heard.append(item))(ITEMS, chunk, None)
    assert sorted(heard) == ITEMS


def test_completed_chunks_are_kept_here_and_used_again(threads, tmp_path):
    expected, _ = IterativeExecutor(treereduction=4, status=False)(ITEMS, chunk, None)
    store = CheckpointStore(tmp_path / "kept", 4)

    def until_15(number: int) -> dict:
        if number == 15:
            raise InputFileError("gone")
        return chunk(number)

    with pytest.raises(InputFileError, match="gone"):
        executor(TaskPool(threads.submit, 4), store=store)(ITEMS, until_15, None)
    kept = store.count()
    assert kept >= 4
    done: list[int] = []

    def again(number: int) -> dict:
        done.append(number)
        return chunk(number)

    calls = len(done)
    pool = TaskPool(lambda function, shared, item: threads.submit(_call, done, item), 4)
    found, _ = executor(pool, store=store)(ITEMS, chunk, None)
    assert calls == 0
    assert found == expected
    assert len(done) == len(ITEMS) - kept
    assert 15 in done


def _call(done: list[int], item: tuple[int, int]) -> Answer:
    done.append(item[0])
    return Answer(parsl_executor._Task(chunk, None)(item))


def test_not_more_tasks_are_handed_out_than_workers_need():
    waiting: list[tuple[Future, tuple]] = []

    def submit(function, *args):
        future: Future = Future()
        waiting.append((future, (function, *args)))
        return future

    most = 0

    def answer_one():
        nonlocal most
        most = max(most, len(waiting))
        future, (function, *args) = waiting.pop()  # the last one first
        future.set_result(function(*args))

    pool = TaskPool(submit, 3, watch=answer_one)
    expected, _ = IterativeExecutor(treereduction=4, status=False)(ITEMS, chunk, None)
    assert executor(pool)(ITEMS, chunk, None)[0] == expected
    assert most == 6


# -- what goes wrong


def test_a_lost_worker_costs_its_chunk_alone(threads, caplog):
    lost: list[int] = []

    def submit(function, shared, item):
        if item[0] in (3, 11) and lost.count(item[0]) < 2:
            lost.append(item[0])
            future: Future = Future()
            future.set_exception(Gone("manager 5 on host node7"))
            return future
        return threads.submit(function, shared, item)

    expected, _ = IterativeExecutor(treereduction=4, status=False)(ITEMS, chunk, None)
    with caplog.at_level(logging.WARNING):
        found, _ = executor(TaskPool(submit, 4, lost=(Gone,)))(ITEMS, chunk, None)
    assert found == expected
    assert sorted(lost) == [3, 3, 11, 11]
    assert "a worker was lost (manager 5 on host node7) while working on 3: it is tried again" in caplog.text


def test_a_chunk_that_loses_every_worker_ends_the_run():
    def submit(_function, _shared, _item):
        future: Future = Future()
        future.set_exception(Gone("worker 0 on host node7"))
        return future

    with pytest.raises(
        ProcessingError, match=rf"lost {MAX_LOSSES + 1} times while working on .*mem-per-worker"
    ):
        executor(TaskPool(submit, 1, lost=(Gone,)))(ITEMS[:1], chunk, None)


def test_the_error_of_a_chunk_is_raised_with_the_workers_traceback(threads):
    def fails(number: int) -> dict:
        if number == 5:
            raise InputFileError("file x.root cannot be read")
        return chunk(number)

    with pytest.raises(InputFileError, match=r"x\.root") as caught:
        executor(TaskPool(threads.submit, 4))(ITEMS, fails, None)
    assert "in fails" in str(caught.value.__cause__)


def test_an_error_that_cannot_travel_is_named():
    class Local(Exception):
        def __init__(self):
            super().__init__("cannot travel")
            self.lock = threading.Lock()

    def fails(_item):
        raise Local

    answer = run_task(shared_of(fails), 0)
    assert isinstance(load_error(answer.error), ProcessingError)
    assert "cannot travel" in str(load_error(answer.error))


def test_watching_can_give_up():
    def give_up():
        raise ProcessingError("no worker has started")

    with pytest.raises(ProcessingError, match="no worker"):
        executor(TaskPool(lambda *_: Future(), 1, watch=give_up))(ITEMS, chunk, None)


def test_without_a_pool_the_error_says_what_is_missing():
    with pytest.raises(ProcessingError, match="TaskPool"):
        ParslExecutor()(ITEMS, chunk, None)


# -- on the worker


def shared_of(function, **where) -> Shared:
    data = cloudpickle.dumps(function)
    return Shared(hashlib.sha256(data).hexdigest(), **(where or {"data": data}))


def test_what_is_not_what_was_submitted_is_not_unpickled(tmp_path):
    path = tmp_path / "task.pkl"
    path.write_bytes(cloudpickle.dumps(lambda _item: os.abort()))
    answer = run_task(shared_of(chunk, path=str(path)), 0)
    assert "is not what was submitted" in str(load_error(answer.error))


def test_a_file_that_shows_up_late_is_waited_for(tmp_path):
    path = tmp_path / "task.pkl"
    shared = shared_of(chunk, path=str(path))
    timer = threading.Timer(0.3, lambda: path.write_bytes(cloudpickle.dumps(chunk)))
    timer.start()
    assert run_task(shared, 2).result["files"] == ["2.root"]


def test_a_file_that_is_not_there_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(parsl_worker._read_patiently, "__defaults__", (0.0,))
    answer = run_task(shared_of(chunk, path=str(tmp_path / "none.pkl")), 0)
    assert "shared-folders" in str(load_error(answer.error))


def test_records_come_back_once_each():
    def warns(_item):
        for _ in range(3):
            logging.getLogger("analysis").warning("the calibration is old")
        return {}

    answer = run_task(shared_of(warns), 0)
    assert answer.records == (("analysis", logging.WARNING, "the calibration is old"),)
    reported: list[str] = []
    handler = SimpleNamespace(level=0, handle=lambda record: reported.append(record.getMessage()))
    logger = logging.getLogger("analysis")
    logger.addHandler(handler)
    try:
        pool = TaskPool(lambda *_: Future(), 1)
        for _ in range(3):
            pool._open(answer)
    finally:
        logger.removeHandler(handler)
    assert reported == ["the calibration is old"]


def test_workers_work_where_the_run_was_started(tmp_path):
    run_task(shared_of(chunk), 0)
    data = cloudpickle.dumps(lambda _item: os.getcwd())
    shared = Shared(hashlib.sha256(data).hexdigest(), data=data, folder=str(tmp_path))
    assert run_task(shared, 0).result == str(tmp_path)


def test_a_task_that_was_not_run_says_what_ended_the_workers():
    def submit(*_):
        future: Future = Future()
        future.set_exception(RuntimeError("executor is in a bad state"))
        return future

    def problem():
        raise ProcessingError("3 batch jobs could not start a worker")

    with pytest.raises(ProcessingError, match="3 batch jobs"):
        executor(TaskPool(submit, 1, watch=problem))(ITEMS, chunk, None)
    with pytest.raises(ProcessingError, match=r"not run.*bad state"):
        executor(TaskPool(submit, 1))(ITEMS, chunk, None)
