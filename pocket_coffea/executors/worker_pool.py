"""Local worker processes that survive the death of one of them.

Each worker talks to the main process over its own pipe, so that it is always known which task a dead
worker had. The processes are forked from a small server that has the heavy modules imported: a worker
starts within milliseconds and inherits neither threads nor open files of the main process.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
import types
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection, forkserver, resource_tracker
from pathlib import Path
from typing import Any

import cloudpickle

from pocket_coffea.errors import ProcessingError
from pocket_coffea.utils.interrupt import stop_if_interrupted

__all__ = ["ALLOCATOR", "PRELOAD", "RemoteTraceback", "WorkerPool", "start_server"]

log = logging.getLogger(__name__)

#: What the server of new workers imports beforehand.
PRELOAD = ("pocket_coffea.executors.preload",)

#: Settings of the C allocator for worker processes, which are read when a process starts. Freed memory is
#: kept for the next chunk: giving it back at once (a threshold of 0) costs 30 % more CPU, and the peak
#: stays the same.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_MMAP_THRESHOLD_": "33554432"}

#: Tasks that wait at a worker while it is busy, so that it never waits for the main process.
_AHEAD = 2


class RemoteTraceback(Exception):
    """The traceback of a worker process, as the cause of the error that is raised here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class _Forwarder(logging.Handler):
    """Sends log records to the main process, which knows where they go."""

    def __init__(self, conn: Any) -> None:
        super().__init__()
        self._conn = conn

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._conn.send(("log", (record.name, record.levelno, record.getMessage())))


def _worker_main(conn: Any, log_level: int, path: list[str], environment: dict[str, str], cwd: str) -> None:
    """Serve tasks until the pipe closes. The server of workers knows neither what the configuration put
    into the environment nor where it changed to."""
    os.environ.clear()
    os.environ.update(environment)
    with contextlib.suppress(OSError):
        os.chdir(cwd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides what an interrupt means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.path[:] = path
    root = logging.getLogger()
    root.handlers[:] = [_Forwarder(conn)]
    root.setLevel(log_level)
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default")
    function: Any = None
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            kind, data = conn.recv()
            if kind == "function":
                function = data
            else:
                index, item = data
                conn.send(_answer(function, index, item))


_loaded: dict[bytes, Any] = {}


def _answer(payload: bytes, index: int, item: Any) -> tuple[str, Any]:
    try:
        if payload not in _loaded:
            _loaded.clear()
            _loaded[payload] = pickle.loads(payload)
        return "result", (index, _loaded[payload](item))
    except BaseException as exc:  # noqa: BLE001  (whatever it is, the main process must hear of it)
        text = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(exc))
        except Exception:  # noqa: BLE001  (pickling runs foreign code)
            exc = ProcessingError(f"{type(exc).__name__}: {exc}")
        return "error", (index, exc, text)


class _Worker:
    def __init__(self, context: Any, log_level: int) -> None:
        self.conn, theirs = context.Pipe()
        self.process = context.Process(
            target=_worker_main,
            args=(theirs, log_level, list(sys.path), dict(os.environ), str(Path.cwd())),
            daemon=True,
        )
        with _no_main_module():
            self.process.start()
        theirs.close()
        self.tasks: deque[int] = deque()
        self.function: bytes | None = None
        self.gone = False

    def give(self, payload: bytes, index: int, item: Any) -> None:
        self.tasks.append(index)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is seen by the caller
            if self.function is not payload:
                self.function = payload
                self.conn.send(("function", payload))
            self.conn.send(("task", (index, item)))

    def stop(self) -> None:
        self.conn.close()
        self.process.kill()
        self.process.join(timeout=5)


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep the new process from importing the user's script again as its main module."""
    with _MAIN_LOCK:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


_MAIN_LOCK = threading.Lock()


@contextlib.contextmanager
def _short_paths() -> Iterator[None]:
    """Have the server's socket made where its name is short enough: scratch folders of batch jobs may not be.

    A name has 107 bytes at most, of which those below the temporary folder take 32.
    """
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > 75:
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start a process that interrupts do not reach: else Ctrl-C during its imports prints their traceback.

    The main process gets its own afterwards, and ends the server by closing the pipe to it.
    """
    resource_tracker.ensure_running()  # which is started first, and ends with interrupts let through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_server(preload: Sequence[str] = PRELOAD) -> Any:
    """Start the process that workers are forked from, once; return the context that uses it."""
    for name, value in ALLOCATOR.items():
        os.environ.setdefault(name, value)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    with _no_main_module(), _short_paths(), _interrupts_blocked():
        forkserver.ensure_running()
    return context


class WorkerPool:
    """``workers`` processes; they are started when first needed and stay for further runs.

    ``environment`` is set in the processes from their start. A task whose worker dies is given to a new
    worker, ``max_deaths`` times; then :class:`ProcessingError` names it.
    """

    def __init__(
        self,
        workers: int,
        *,
        environment: Mapping[str, str] | None = None,
        preload: Sequence[str] = PRELOAD,
        max_deaths: int = 2,
    ) -> None:
        self.size = max(1, workers)
        self.max_deaths = max_deaths
        self._environment = dict(environment or {})
        self._preload = list(preload)
        self._workers: list[_Worker] = []
        self._context: Any = None
        self._reported: set[tuple[str, int, str]] = set()

    def start(self) -> None:
        """Start the server of workers now, so that its imports run beside those of the main process."""
        if self._context is None:
            os.environ.update(self._environment)
            self._context = start_server(self._preload)

    def run(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        todo: Sequence[int],
        horizon: Callable[[], int],
        describe: Callable[[Any], str] = str,
    ) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) of ``items[index]`` for each index of ``todo``, in the order of completion.

        Only tasks with an index below ``horizon()`` are handed out, so that the results waiting for their
        turn stay few. The first error of a task stops everything and is raised here, with the traceback of
        the worker as its cause.
        """
        self.start()
        payload = cloudpickle.dumps(function)
        waiting, deaths = deque(todo), Counter[int]()
        try:
            while waiting or any(worker.tasks for worker in self._workers):
                stop_if_interrupted()
                self._feed(payload, items, waiting, horizon())
                yield from self._answers(waiting, deaths, lambda index: describe(items[index]))
        finally:
            self._reset()

    def _answers(
        self, waiting: deque[int], deaths: Counter[int], describe: Callable[[int], str]
    ) -> Iterator[tuple[int, Any]]:
        """Wait for the workers, and yield what those say that have something to say."""
        for worker in self._ready():
            if worker.gone or not (worker.process.is_alive() or worker.conn.poll()):
                self._bury(worker, waiting, deaths, describe)
            else:
                yield from self._receive(worker)

    def _feed(self, payload: bytes, items: Sequence[Any], waiting: deque[int], horizon: int) -> None:
        busy = sum(bool(worker.tasks) for worker in self._workers)
        while len(self._workers) < min(self.size, busy + len(waiting)):
            self._workers.append(_Worker(self._context, logging.getLogger().getEffectiveLevel()))
        while waiting:
            worker = min(self._workers, key=lambda candidate: len(candidate.tasks))
            # towards the end a task waits for whoever is free first
            ahead = _AHEAD if len(waiting) > self.size else 1
            if len(worker.tasks) >= ahead or (waiting[0] >= horizon and busy):
                return
            index = waiting.popleft()
            worker.give(payload, index, items[index])
            busy += 1

    def _ready(self) -> list[_Worker]:
        handles: dict[Any, _Worker] = {}
        for worker in self._workers:
            handles[worker.conn] = worker
            handles[worker.process.sentinel] = worker
        found = connection.wait(list(handles))
        return list({id(handles[handle]): handles[handle] for handle in found}.values())

    def _receive(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        try:
            kind, data = worker.conn.recv()
        except (EOFError, ConnectionResetError):
            worker.gone = True
            return
        if kind == "log":
            self._log(*data)
            return
        worker.tasks.popleft()
        if kind == "error":
            _, exc, text = data
            raise exc from RemoteTraceback(text)
        yield data

    def _log(self, name: str, level: int, message: str) -> None:
        # every worker says the same once; the user wants to read it once
        if (name, level, message) not in self._reported:
            self._reported.add((name, level, message))
            logging.getLogger(name).log(level, "%s", message)

    def _bury(
        self, worker: _Worker, waiting: deque[int], deaths: Counter[int], describe: Callable[[int], str]
    ) -> None:
        self._workers.remove(worker)
        lost = list(worker.tasks)
        worker.process.join(timeout=1)
        worker.stop()
        waiting.extendleft(reversed(lost))
        if not lost:
            return
        guilty = lost[0]
        deaths[guilty] += 1
        how = _how_it_ended(worker.process.exitcode)
        if deaths[guilty] > self.max_deaths:
            msg = (
                f"the worker process died {deaths[guilty]} times while working on {describe(guilty)}: {how}. "
                "Smaller chunks (-c) or fewer workers (-s) need less memory; `-e iterative` shows a crash "
                "directly."
            )
            raise ProcessingError(msg)
        log.warning("a worker died (%s) while working on %s: it is tried again", how, describe(guilty))

    def _reset(self) -> None:
        """Stop the workers that are still busy: their results are no longer wanted."""
        for worker in [candidate for candidate in self._workers if candidate.tasks]:
            self._workers.remove(worker)
            worker.stop()

    def close(self) -> None:
        """Stop all workers."""
        for worker in self._workers:
            worker.stop()
        self._workers.clear()


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        reason = ", most often the system running out of memory" if name == "SIGKILL" else ""
        return f"killed by {name}{reason}"
    return f"exit code {exitcode}"
