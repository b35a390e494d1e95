"""coffea executors that give the same output, bit for bit, on the same list of chunks.

They differ from the executors of coffea in three ways: outputs are merged in the fixed tree of
:mod:`pocket_coffea.executors.reduction`; finished chunks are kept in ``store``, so that an interrupted run
can go on; and ``observer(item, output)`` hears of each finished chunk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from coffea import processor
from coffea.processor import accumulate

from pocket_coffea.errors import ConfigurationError, ProcessingError
from pocket_coffea.executors.dask_local import NO_DASK, local_cluster
from pocket_coffea.executors.dask_readahead import Readahead
from pocket_coffea.executors.reduction import NodeStore, TreeReducer, cover, merge, pack, unpack
from pocket_coffea.executors.worker_pool import WorkerPool
from pocket_coffea.utils.interrupt import stop_if_interrupted

if TYPE_CHECKING:
    from pocket_coffea.executors.dask_guard import WorkerGuard

__all__ = ["DaskExecutor", "FuturesExecutor", "IterativeExecutor", "Observer", "chunk_summary"]

log = logging.getLogger(__name__)

#: Called as ``observer(item, summary)`` when an item is done; see :func:`chunk_summary`.
Observer = Callable[[Any, dict[str, Any]], None]


def chunk_summary(output: Any) -> dict[str, Any]:
    """Return what the progress display needs of the output of one item: its ``throughput`` entry."""
    return dict(output.get("throughput", {})) if isinstance(output, dict) else {}


def _finish(total: Any, accumulator: Any) -> tuple[Any, int]:
    return (total if accumulator is None else accumulate([total], accumulator)), 0


def _segments(items: Sequence[Any], fan_in: int, store: NodeStore | None) -> list[Any]:
    return list(cover(len(items), fan_in, store.has if store is not None else lambda _level, _index: False))


def _tell_stored(observer: Observer | None, items: Sequence[Any], segment: Any, fan_in: int) -> None:
    if observer is not None:
        width = fan_in**segment.level
        for item in items[segment.index * width : (segment.index + 1) * width]:
            observer(item, {"stored": True})


@dataclass
class IterativeExecutor(processor.IterativeExecutor):
    """One chunk after the other in this process."""

    treereduction: int = 20
    observer: Observer | None = None
    store: NodeStore | None = None

    def __call__(self, items: Any, function: Callable[[Any], Any], accumulator: Any) -> Any:
        """Return ``(merged output, 0)``, as the Runner of coffea expects."""
        items = list(items)
        if not items:
            return accumulator, 0
        reducer = TreeReducer(self.treereduction, self.store)
        for segment in _segments(items, self.treereduction, self.store):
            if segment.stored and self.store is not None:
                reducer.add(unpack(self.store.load_node(segment.level, segment.index)), segment.level)
                _tell_stored(self.observer, items, segment, self.treereduction)
                continue
            stop_if_interrupted()
            output = function(items[segment.index])
            if self.store is not None and self.store.wants(0):
                self.store.save_node(0, segment.index, pack(output))
            if self.observer is not None:
                self.observer(items[segment.index], chunk_summary(output))
            reducer.add(output)
        return _finish(reducer.result(), accumulator)


class _Task:
    """What a worker does with one numbered item: work, pack, keep, and answer with the packed output."""

    def __init__(self, function: Callable[[Any], Any], store: NodeStore | None) -> None:
        self.function = function
        self.store = store

    def __call__(self, numbered: tuple[int, Any]) -> tuple[dict[str, Any], bytes]:
        index, item = numbered
        output = self.function(item)
        data = pack(output)
        if self.store is not None and self.store.wants(0):
            self.store.save_node(0, index, data)
        return chunk_summary(output), data


@dataclass
class FuturesExecutor(processor.FuturesExecutor):
    """Chunks in parallel processes on this machine.

    ``workers`` processes from ``processes`` (made when None). Outputs that wait for an earlier chunk are
    kept packed; no more than ``window`` chunks per worker run ahead of the merging.
    """

    treereduction: int = 20
    observer: Observer | None = None
    store: NodeStore | None = None
    processes: WorkerPool | None = None
    window: int = 8

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "processes": None, "observer": None}

    def __call__(self, items: Any, function: Callable[[Any], Any], accumulator: Any) -> Any:
        """Return ``(merged output, 0)``, as the Runner of coffea expects."""
        items = list(items)
        if not items:
            return accumulator, 0
        with contextlib.ExitStack() as stack:
            pool = self.processes
            if pool is None:
                pool = WorkerPool(self.workers)
                stack.callback(pool.close)
            return _finish(self._merge_in_order(pool, items, function), accumulator)

    def _merge_in_order(self, pool: WorkerPool, items: list[Any], function: Callable[[Any], Any]) -> Any:
        segments = _segments(items, self.treereduction, self.store)
        reducer = TreeReducer(self.treereduction, self.store)
        early: dict[int, bytes] = {}
        position = 0

        def advance() -> int:
            at = position
            while at < len(segments) and (segments[at].stored or segments[at].index in early):
                segment = segments[at]
                if segment.stored and self.store is not None:
                    reducer.add(unpack(self.store.load_node(segment.level, segment.index)), segment.level)
                    _tell_stored(self.observer, items, segment, self.treereduction)
                else:
                    reducer.add(unpack(early.pop(segment.index)))
                at += 1
            return at

        position = advance()
        todo = [segment.index for segment in segments if not segment.stored]
        for index, (summary, data) in self._results(pool, items, function, todo, lambda: reducer.merged):
            early[index] = data
            if self.observer is not None:
                self.observer(items[index], summary)
            position = advance()
        return reducer.result()

    def _results(
        self,
        pool: WorkerPool,
        items: list[Any],
        function: Callable[[Any], Any],
        todo: list[int],
        merged: Callable[[], int],
    ) -> Iterator[tuple[int, tuple[dict[str, Any], bytes]]]:
        ahead = self.window * self.workers
        return pool.run(
            _Task(function, self.store),
            list(enumerate(items)),
            todo,
            horizon=lambda: merged() + ahead,
            describe=lambda numbered: _describe(numbered[1]),
        )


def _describe(item: Any) -> str:
    """Name a work item in a message."""
    if hasattr(item, "entrystart"):
        return f"dataset {item.dataset!r}, file {item.filename}, entries {item.entrystart}-{item.entrystop}"
    return str(item)


class _DaskReduce:
    """Merge one group of packed outputs; runs on a worker."""

    def __init__(self, store: NodeStore | None) -> None:
        self.store = store

    def __call__(self, group: list[bytes], level: int, index: int, whole: bool) -> bytes:
        total = None
        for data in group:
            total = merge(total, unpack(data))
        packed = pack(total)
        if whole and self.store is not None and self.store.wants(level):
            self.store.save_node(level, index, packed)
        return packed


#: How often the states of chunks are looked at [s], and how long that may take of all the time: with ten
#: thousands of them a look takes milliseconds.
_LOOK_S, _LOOK_PART = 0.2, 0.01
_DIED = (
    "the Dask workers died again and again while working on {what}: most often they run out of memory (run "
    "option mem-per-worker), or the code crashes. Smaller chunks (-c) need less memory."
)


@dataclass
class DaskExecutor(processor.DaskExecutor):
    """Chunks on the workers of a Dask cluster; the outputs are merged there as well.

    ``client`` is made for this machine alone when None. Reading problems are tried again inside a task; a
    task whose worker died is given to others by the scheduler (``distributed.scheduler.allowed-failures``).
    """

    observer: Observer | None = None
    store: NodeStore | None = None
    #: Whether the workers can write into the folder of ``store``; without it nothing is kept.
    workers_see_store: bool = True
    #: Ends the waiting when no worker is left and none comes.
    guard: WorkerGuard | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "observer": None, "guard": None}

    def __call__(self, items: Any, function: Callable[[Any], Any], accumulator: Any) -> Any:
        """Return ``(merged output, 0)``, as the Runner of coffea expects."""
        items = list(items)
        if not items:
            return accumulator, 0
        if self.store is not None and not self.workers_see_store:
            self.store = None
            log.info(
                "the Dask workers do not see the output folder: completed chunks are not kept, and --resume "
                "would begin anew"
            )
        try:
            from distributed.scheduler import KilledWorker
        except ImportError as exc:
            raise ConfigurationError(NO_DASK.format(missing=exc.name)) from exc
        with contextlib.ExitStack() as stack:
            client = self.client
            if client is None:
                cluster, client = local_cluster(os.cpu_count() or 1)
                stack.callback(cluster.close)
                stack.callback(client.close)
            # one copy of the processor per worker, not per task
            shared = (
                None if self.heavy_input is None else client.submit(_itself, self.heavy_input, pure=False)
            )
            leaves, top = self._submit(client, items, _Task(function, self.store), shared)
            numbers = {str(future.key): index for future, index in leaves.items()}
            if self.guard is not None:
                stack.enter_context(self.guard.watching(lambda: client.cancel([*leaves, top], force=True)))
            try:
                self._watch(client, leaves, top, items)
                return _finish(unpack(top.result()), accumulator)
            except KilledWorker as exc:
                index = numbers.get(str(exc.task))
                what = "merging outputs" if index is None else _describe(items[index])
                raise ProcessingError(_DIED.format(what=what)) from exc
            except CancelledError as exc:
                if self.guard is None or not self.guard.verdict:
                    raise
                raise ProcessingError(self.guard.verdict) from exc
            finally:
                client.cancel([*leaves, top], force=True)

    def _submit(self, client: Any, items: list[Any], task: _Task, shared: Any) -> tuple[dict[Any, int], Any]:
        """Submit the whole tree; return {future of a chunk: its index} and the future of the sum.

        Each level goes in one message: the scheduler then needs half the time and memory for a chunk.
        """
        options: dict[str, Any] = {"pure": False, "priority": self.priority, "retries": 0}
        segments = _segments(items, self.treereduction, self.store)
        level: dict[int, dict[int, Any]] = {0: {}}
        todo = [segment.index for segment in segments if not segment.stored]
        heavy = {} if shared is None else {"shared": shared}
        futures = client.map(
            partial(_call, task),
            [(index, items[index]) for index in todo],
            key=self.function_name or "chunk",  # Dask averages durations by name
            **heavy,
            **options,
        )
        leaves = dict(zip(futures, todo, strict=True))
        for future, index in leaves.items():
            level[0][index] = future
        for segment in segments:
            if segment.stored and self.store is not None:
                future = client.submit(self.store.load_node, segment.level, segment.index, **options)
                level.setdefault(segment.level, {})[segment.index] = future
                _tell_stored(self.observer, items, segment, self.treereduction)
        depth, width = 0, len(items)
        while width > 1:
            parents = self._merge_level(client, level.pop(depth), depth, len(items), options)
            width, depth = -(-width // self.treereduction), depth + 1
            level[depth] = level.get(depth, {}) | parents
        return leaves, level[depth][0]

    def _merge_level(
        self, client: Any, nodes: dict[int, Any], depth: int, n_items: int, options: dict[str, Any]
    ) -> dict[int, Any]:
        """Submit the merging of one level of the tree; return the futures of the next one."""
        fan_in = self.treereduction
        groups: dict[int, list[Any]] = {}
        for index in sorted(nodes):
            groups.setdefault(index // fan_in, []).append(nodes[index])
        whole = [(index + 1) * fan_in ** (depth + 1) <= n_items for index in groups]
        merges = client.map(
            _DaskReduce(self.store),
            list(groups.values()),
            [depth + 1] * len(groups),
            list(groups),
            whole,
            # before further chunks, whose outputs would gather on the workers
            **{**options, "priority": self.priority + 1},
        )
        return dict(zip(groups, merges, strict=True))

    def _watch(self, client: Any, leaves: dict[Any, int], top: Any, items: list[Any]) -> None:
        """Return when ``top`` is done; chunks that are done leave ``leaves``.

        Whoever holds the future of a chunk holds its output on the worker. The states of futures are looked
        at now and then: a call-back of each costs more memory than all that the scheduler knows of it.
        """
        over = threading.Event()
        top.add_done_callback(lambda _: over.set())
        with contextlib.ExitStack() as stack:
            ahead = stack.enter_context(Readahead(client, next(iter(leaves)).key)) if leaves else None
            last, pause = False, _LOOK_S
            while not last:
                last = over.wait(pause)
                stop_if_interrupted()
                began = time.thread_time()
                self._look(leaves, items)
                pause = max(_LOOK_S, (time.thread_time() - began) / _LOOK_PART)
                if ahead is not None:
                    ahead.look()

    def _look(self, leaves: dict[Any, int], items: list[Any]) -> None:
        """Take out the chunks that are done. Raises what one of them raised."""
        # what was lost with a worker is computed again
        for future in [each for each in leaves if each.status not in ("pending", "lost")]:
            if future.status != "finished":
                future.result()  # raises what the task raised
            index = leaves.pop(future)
            if self.observer is not None:
                self.observer(items[index], {})


def _itself(value: Any) -> Any:
    return value


def _call(task: _Task, numbered: tuple[int, Any], shared: Any = None) -> bytes:
    """Call the task, with the processor beside the item where there is one; runs on a worker."""
    index, item = numbered
    return task(numbered if shared is None else (index, (item, shared)))[1]
