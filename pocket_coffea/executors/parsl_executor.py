"""The coffea executor on Parsl workers: chunks run there, and are merged here in the fixed order.

Nothing of this module needs Parsl: tasks go through a ``submit`` that returns futures.
"""

from __future__ import annotations

import hashlib
import logging
import queue
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from pocket_coffea.errors import ProcessingError
from pocket_coffea.executors.local import FuturesExecutor, _describe, _Task
from pocket_coffea.executors.parsl_worker import Answer, Shared, load_error, run_task
from pocket_coffea.executors.worker_pool import RemoteTraceback
from pocket_coffea.utils.interrupt import stop_if_interrupted

__all__ = ["ParslExecutor", "TaskPool"]

log = logging.getLogger(__name__)

#: How often a chunk may lose its worker before it is held to be the reason.
MAX_LOSSES = 5
#: How often the workers are looked at while no task ends [s].
WATCH_S = 1.0


class _WithProcessor:
    """Hand the processor, which travels once, to the task of each chunk."""

    def __init__(self, task: Callable[[Any], Any], processor: Any) -> None:
        self.task = task
        self.processor = processor

    def __call__(self, numbered: tuple[int, Any]) -> Any:
        index, item = numbered
        return self.task((index, (item, self.processor)))


class TaskPool:
    """Remote workers behind the interface of :class:`~pocket_coffea.executors.worker_pool.WorkerPool`.

    submit: ``submit(function, *args)`` returns a future. size: tasks that run at the same time when all
    workers are there. keep: puts bytes under a name into a folder that the workers see and returns the path;
    None when there is no such folder. watch: called about once a second while no task ends; raises to give
    up. lost: errors of a future that mean "the worker has gone", whose tasks are tried again.
    """

    def __init__(
        self,
        submit: Callable[..., Future[Answer]],
        size: int,
        *,
        keep: Callable[[str, bytes], Path] | None = None,
        watch: Callable[[], None] = lambda: None,
        lost: tuple[type[BaseException], ...] = (),
        folder: Path | None = None,
    ) -> None:
        self.size = max(1, size)
        self._submit = submit
        self._keep = keep
        self._watch = watch
        self._lost = lost
        self._folder = folder
        self._reported: set[tuple[str, int, str]] = set()

    def run(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        todo: Sequence[int],
        horizon: Callable[[], int],
        describe: Callable[[Any], str] = str,
    ) -> Iterator[tuple[int, Any]]:
        """Yield (index, result of ``function(items[index])``) for each index of ``todo``, as they end.

        Only tasks with an index below ``horizon()`` are handed out. The first error of a task is raised here,
        with the traceback of the worker as its cause. A task whose worker is lost is tried again.
        """
        shared = self._share(function)
        waiting, losses = deque(todo), Counter[int]()
        running: dict[Future[Answer], int] = {}
        ended: queue.SimpleQueue[Future[Answer]] = queue.SimpleQueue()
        try:
            while waiting or running:
                stop_if_interrupted()
                self._feed(shared, items, waiting, running, ended, horizon=horizon())
                future = self._next(ended)
                if future is None:
                    continue
                index = running.pop(future)
                answer = self._answer(future, describe(items[index]), losses, index)
                if answer is None:
                    waiting.appendleft(index)
                else:
                    yield index, self._open(answer)
        finally:
            for future in running:
                future.cancel()

    def _share(self, function: Callable[[Any], Any]) -> Shared:
        data = cloudpickle.dumps(function)
        digest = hashlib.sha256(data).hexdigest()
        folder = None if self._folder is None else str(self._folder)
        if self._keep is None:
            return Shared(digest, data=data, folder=folder)
        return Shared(digest, path=str(self._keep(f"task-{digest[:16]}.pkl", data)), folder=folder)

    def _feed(
        self,
        shared: Shared,
        items: Sequence[Any],
        waiting: deque[int],
        running: dict[Future[Answer], int],
        ended: queue.SimpleQueue[Future[Answer]],
        *,
        horizon: int,
    ) -> None:
        # as many again as can run wait at the workers' side, so that none waits for this process
        while waiting and len(running) < 2 * self.size and (waiting[0] < horizon or not running):
            index = waiting.popleft()
            future = self._submit(run_task, shared, items[index])
            running[future] = index
            future.add_done_callback(ended.put)

    def _next(self, ended: queue.SimpleQueue[Future[Answer]]) -> Future[Answer] | None:
        try:
            return ended.get(timeout=WATCH_S)
        except queue.Empty:
            self._watch()
            return None

    def _answer(self, future: Future[Answer], what: str, losses: Counter[int], index: int) -> Answer | None:
        """Return the answer, None when the worker was lost before it could give one."""
        try:
            return future.result()
        except self._lost as exc:
            losses[index] += 1
            self._again(what, losses[index], exc)
            return None
        except Exception as exc:
            self._watch()  # raises what ended all workers
            msg = f"the task was not run ({what}): {type(exc).__name__}: {exc}"
            raise ProcessingError(msg) from exc

    def _again(self, what: str, losses: int, exc: BaseException) -> None:
        if losses > MAX_LOSSES:
            msg = (
                f"the worker was lost {losses} times while working on {what}, the last time: {exc}. Most "
                "often the batch system ends jobs that need more memory (run option mem-per-worker) or time "
                "(walltime) than they asked for. Smaller chunks (-c) need less of both."
            )
            raise ProcessingError(msg) from exc
        log.warning("a worker was lost (%s) while working on %s: it is tried again", exc, what)

    def _open(self, answer: Answer) -> Any:
        for record in answer.records:
            if record not in self._reported:  # every worker says the same once; the user wants it once
                self._reported.add(record)
                name, level, message = record
                logging.getLogger(name).log(level, "%s", message)
        if answer.error is not None:
            raise load_error(answer.error) from RemoteTraceback(answer.traceback)
        return answer.result


@dataclass
class ParslExecutor(FuturesExecutor):
    """Chunks on Parsl workers, of which ``processes`` (a :class:`TaskPool`) knows; ``workers`` of them run at
    the same time.

    ``heavy_input`` is the processor, which is handed to the function beside each item.
    """

    heavy_input: Any = None
    window: int = 4

    def __call__(self, items: Any, function: Callable[[Any], Any], accumulator: Any) -> Any:
        """Return ``(merged output, 0)``, as the Runner of coffea expects."""
        if self.processes is None:
            msg = "a ParslExecutor needs `processes`, the TaskPool that its factory makes."
            raise ProcessingError(msg)
        return super().__call__(items, function, accumulator)

    def _results(
        self,
        pool: Any,
        items: list[Any],
        function: Callable[[Any], Any],
        todo: list[int],
        merged: Callable[[], int],
    ) -> Iterator[tuple[int, tuple[dict[str, Any], bytes]]]:
        # workers need not see the folder of completed chunks: they are kept by this process
        task: Callable[[Any], Any] = _Task(function, None)
        if self.heavy_input is not None:
            task = _WithProcessor(task, self.heavy_input)
        ahead = self.window * self.workers
        results = pool.run(
            task,
            list(enumerate(items)),
            todo,
            horizon=lambda: merged() + ahead,
            describe=lambda numbered: _describe(numbered[1]),
        )
        for index, (summary, data) in results:
            if self.store is not None and self.store.wants(0):
                self.store.save_node(0, index, data)
            yield index, (summary, data)
