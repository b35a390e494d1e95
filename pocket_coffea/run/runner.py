"""The coffea Runner that plans, processes and accounts for every entry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cloudpickle
import lz4.frame
from coffea.processor import ProcessorABC, Runner
from coffea.processor.executor import WorkItem

from pocket_coffea.errors import (
    ConfigurationError,
    InputFileError,
    NothingToDo,
    PocketCoffeaError,
    ProcessingError,
)
from pocket_coffea.run.chunk import ChunkTask
from pocket_coffea.run.event_source import MAX_OPEN_FILES
from pocket_coffea.run.ledger import build_ledger
from pocket_coffea.run.plan import FileInfo, Inspector, Plan, make_chunks, work_files
from pocket_coffea.run.resume import CheckpointStore, DamagedCheckpoint
from pocket_coffea.utils.modules import user_place

__all__ = ["PocketRunner", "postprocessed"]

log = logging.getLogger(__name__)


@dataclass
class PocketRunner(Runner):
    """A coffea Runner whose output does not depend on the executor, and that knows what it contains.

    ``chunksize`` may be a function of the metadata of the dataset. ``observer(chunk, summary)`` hears of
    each finished chunk. ``store`` keeps finished chunks for a later run. After a run ``plan`` holds what
    was to be processed, ``ledger`` what was, and ``throughput`` events, chunks and seconds by dataset.
    """

    chunksize: int | Callable[[Mapping[str, Any]], int] = 100000
    observer: Callable[[Any, dict[str, Any]], None] | None = None
    store: CheckpointStore | None = None
    plan: Plan = field(default_factory=Plan, init=False)
    ledger: dict[str, Any] = field(default_factory=dict, init=False)
    throughput: dict[str, dict[str, float]] = field(default_factory=dict, init=False)

    # -- planning

    def make_plan(self, fileset: Mapping[str, Any], treename: str | None = "Events") -> Plan:
        """Look at every file that is needed and return the chunks.

        Raises InputFileError for an unreadable file, unless ``skipbadfiles``; NothingToDo when no chunk is
        left.
        """
        files = self._limit_preprocess_files(list(work_files(fileset, treename)))
        wanted = list(dict.fromkeys((file.filename, file.treename) for file in files))
        try:
            infos = self._inspect(wanted) if wanted else {}
        except InputFileError as exc:
            datasets = {file.dataset for file in files if file.filename in str(exc)}
            msg = f"{exc} (dataset {', '.join(sorted(datasets))})"
            raise InputFileError(msg) from exc
        size = self.chunksize
        per_dataset = size if callable(size) else (lambda _metadata: size)
        self.plan = make_chunks(files, infos, per_dataset, self.maxchunks)
        if not self.plan.chunks:
            if self.plan.skipped:
                raise _nothing_readable(len(infos), "file", self.plan.skipped[0].reason)
            msg = "There is nothing to process: the datasets have no files."
            raise NothingToDo(msg)
        return self.plan

    def _inspect(self, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], FileInfo]:
        executor = self._executor(
            self.pre_executor or self.executor,
            function_name="get_metadata",
            desc="Preprocessing",
            unit="file",
            compression=None,
            heavy_input=None,
            worker_affinity=False,
        )
        keep = len(wanted) <= MAX_OPEN_FILES  # more would be closed again before they are processed
        inspect = Inspector(self.xrootdtimeout, self.retries, bool(self.skipbadfiles), keep=keep)
        found, _ = executor(wanted, inspect, None)
        return dict(found)

    def _executor(self, executor: Any, **settings: Any) -> Any:
        """Return a copy of an executor with the settings that its class has."""
        known = type(executor).__dataclass_fields__
        return executor.copy(**{key: value for key, value in settings.items() if key in known})

    def preprocess(
        self, fileset: Mapping[str, Any], *, treename: str | None = None, **_options: Any
    ) -> Generator[WorkItem, int, int]:
        """Yield the chunks of a fileset."""
        with self._auto_dask_client():
            yield from self.make_plan(fileset, treename).chunks
        return 0

    # -- processing

    def _run_impl(
        self, fileset: Any, processor_instance: Any, *, treename: str | None = None, **_options: Any
    ) -> dict[str, Any]:
        if not isinstance(processor_instance, ProcessorABC) and not callable(processor_instance):
            msg = f"the processor must derive from ProcessorABC, got {type(processor_instance).__name__}"
            raise ConfigurationError(msg)
        if isinstance(fileset, Mapping):
            self.make_plan(fileset, treename)
        else:
            self.plan = self._given_plan(list(fileset))
        wrapped, status = self._process(self.plan.chunks, processor_instance)
        skipped = [*self.plan.skipped, *wrapped.get("skipped", [])]
        self.plan.check_sizes(wrapped.get("sizes", ()))
        self.ledger = build_ledger(wrapped["processed"], skipped, self.plan.files)
        self.throughput = wrapped.get("throughput", {})
        if not wrapped["processed"]:
            raise _nothing_readable(len(self.plan.chunks), "chunk", skipped[0].reason)
        wrapped["out"] = postprocessed(processor_instance, wrapped["out"])
        if self.savemetrics:
            wrapped["metrics"] = {"chunks": len(self.plan.chunks), "throughput": self.throughput}
        return {**wrapped, "exception": status}

    def time_chunks(self, chunks: Sequence[WorkItem], processor_instance: Any) -> dict[str, dict[str, float]]:
        """Process chunks of a plan and return events, chunks and seconds by dataset; there is no output, and
        nothing is post-processed.

        Raises InputFileError and ProcessingError as a run does.
        """
        throughput: dict[str, dict[str, float]] = self._process(chunks, processor_instance)[0]["throughput"]
        return throughput

    def _given_plan(self, chunks: list[WorkItem]) -> Plan:
        """Return a plan for chunks that the caller made; those of :meth:`make_plan` keep theirs."""
        if chunks == self.plan.chunks:
            return self.plan
        entries: dict[tuple[str, str], FileInfo] = {}
        for chunk in chunks:
            key = (chunk.filename, chunk.treename)
            known = entries[key].entries if key in entries else 0
            entries[key] = FileInfo(bytes(chunk.fileuuid), max(known, chunk.entrystop))
        return Plan(chunks, entries)

    def _process(self, chunks: Sequence[WorkItem], processor_instance: Any) -> tuple[dict[str, Any], Any]:
        if not chunks:
            msg = "There is nothing to process: no chunk is left."
            raise NothingToDo(msg)
        payload = lz4.frame.compress(cloudpickle.dumps(processor_instance), compression_level=1)
        apart = "heavy_input" in type(self.executor).__dataclass_fields__
        # executors that know the tree keep chunks themselves
        knows_tree = "store" in type(self.executor).__dataclass_fields__
        task = partial(
            ChunkTask,
            retries=self.retries,
            skip=bool(self.skipbadfiles),
            timeout=self.xrootdtimeout,
            schema=self.schema,
            checkpointer=None if knows_tree else (self.store or self.checkpointer),
        )(None if apart else payload)
        executor = self._executor(
            self.executor,
            unit="chunk",
            function_name=type(processor_instance).__name__,
            observer=self.observer,
            store=self.store,
            heavy_input=payload,
        )
        while True:
            try:
                return executor(list(chunks), task, None)
            except DamagedCheckpoint as exc:
                log.warning("%s", exc)  # it is gone now: the next round goes without it


def postprocessed(processor: Any, output: Any) -> Any:
    """Return what the processor makes of the merged output. Raises ProcessingError for what user code
    raises.
    """
    postprocess = getattr(processor, "postprocess", None)
    if not callable(postprocess):
        return output
    try:
        result = postprocess(output)
    except PocketCoffeaError:
        raise
    except Exception as exc:
        place = user_place(exc)
        where = f"{place or ''}\nRaised in postprocess() of {type(processor).__name__}."
        msg = f"{type(exc).__name__}: {exc}\n{where.lstrip()}"
        raise ProcessingError(msg) from exc
    done = output if result is None else result
    _warn_without_super(processor, done)
    return done


def _warn_without_super(processor: Any, output: Any) -> None:
    """Warn when the postprocess() of a user did not call that of the package, which fills the metadata."""
    wanted = getattr(getattr(processor, "cfg", None), "do_postprocessing", False)
    if wanted and isinstance(output, Mapping) and output.get("datasets_metadata") == {}:
        log.warning(
            "postprocess() of %s does not call super().postprocess(accumulator): histograms are not divided "
            "by the sums of generator weights, and the output does not describe its datasets.",
            type(processor).__name__,
        )


def _nothing_readable(number: int, noun: str, reason: str) -> InputFileError:
    """Return the error of a run or a job that skipping bad files leaves nothing of."""
    found = f"The only {noun} cannot be read" if number == 1 else f"None of the {number} {noun}s can be read"
    return InputFileError(f"{found}, and with skip-bad-files at least one must be; the first: {reason}")
