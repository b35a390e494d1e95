"""What a worker does with one chunk: read, process, and report."""

from __future__ import annotations

import pickle
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lz4.frame
from coffea.nanoevents import NanoAODSchema
from coffea.processor import ProcessorABC
from coffea.processor.executor import WorkItem

from pocket_coffea.errors import InputFileError, PocketCoffeaError, ProcessingError
from pocket_coffea.lib.memo import forget
from pocket_coffea.run.event_source import check_identity, close_all, open_events
from pocket_coffea.run.plan import Skipped
from pocket_coffea.run.retry import with_retries
from pocket_coffea.utils.modules import user_place

__all__ = ["ChunkTask", "chunk_metadata", "describe", "process_chunk", "unpack_processor"]


def describe(item: WorkItem) -> str:
    """Name a chunk in messages."""
    return f"dataset {item.dataset!r}, file {item.filename}, entries {item.entrystart}-{item.entrystop}"


def unpack_processor(processor: Any) -> Any:
    """Return a fresh processor if it comes as compressed pickle: state of one chunk never leaks into the
    next.
    """
    if isinstance(processor, ProcessorABC) or callable(processor):
        return processor
    return pickle.loads(lz4.frame.decompress(processor))


def chunk_metadata(item: WorkItem) -> dict[str, Any]:
    """Return ``events.metadata`` of a chunk: where it comes from, and the metadata of the dataset."""
    return {
        "dataset": item.dataset,
        "filename": item.filename,
        "treename": item.treename,
        "entrystart": item.entrystart,
        "entrystop": item.entrystop,
        "fileuuid": str(uuid.UUID(bytes=item.fileuuid)) if item.fileuuid else "",
        **(item.usermeta or {}),
    }


def process_chunk(
    item: WorkItem, processor: Any, timeout: float | None = 60, schema: Any = NanoAODSchema
) -> dict[str, Any]:
    """Return ``{"out": accumulator, "processed": {chunk}, ...}`` for one chunk; ``sizes`` holds the number of
    entries of its file, ``throughput`` events and seconds by dataset.

    Raises InputFileError when it cannot be read, ProcessingError for anything that user code raises; both
    name the chunk.
    """
    began = time.perf_counter()
    own = processor
    try:
        own = unpack_processor(processor)
        events = open_events(
            item.filename,
            item.treename,
            item.entrystart,
            item.entrystop,
            chunk_metadata(item),
            timeout=timeout,
            schemaclass=schema,
        )
        entries = check_identity(item.filename, item.treename, item.fileuuid, item.entrystop, timeout)
        out = own.process(events) if isinstance(own, ProcessorABC) else own(events)
    except Exception as exc:
        named = _named(exc, item)
        if named is exc:
            raise
        raise named from exc
    finally:
        if own is not processor:
            _let_go(own)
    if out is None:
        msg = f"{type(own).__name__}.process() returned None; it must return its output ({describe(item)})."
        raise ProcessingError(msg)
    seconds = time.perf_counter() - began
    return {
        "out": out,
        # the metadata of the dataset need not travel back with every chunk
        "processed": {replace(item, usermeta=None)},
        "sizes": {(item.filename, item.treename, entries)},
        "throughput": {item.dataset: {"events": len(item), "chunks": 1, "seconds": seconds}},
    }


def _let_go(processor: Any) -> None:
    """Break the circles that a processor of one chunk is part of (itself and its configuration, events and
    what was remembered of them): else its columns stay in memory until the garbage collector finds them.
    """
    events = getattr(processor, "events", None)
    if events is not None:
        forget(events)
    if hasattr(processor, "__dict__"):
        vars(processor).clear()


def _named(exc: Exception, item: WorkItem) -> Exception:
    """Return the error to raise: one of ours, naming file and dataset."""
    reading = _reading_problem(exc)
    if reading is not None:
        exc = reading
    if not isinstance(exc, PocketCoffeaError):
        place = user_place(exc)
        text = f"{type(exc).__name__}: {exc}" + (f"\n{place}\n" if place else " ")
        return ProcessingError(f"{text}({describe(item)})")
    if item.filename in str(exc) and item.dataset in str(exc):
        return exc
    return type(exc)(f"{exc} ({describe(item)})")


def _reading_problem(exc: BaseException | None) -> InputFileError | None:
    """Return the InputFileError that lies behind an error, if one does."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        if isinstance(exc, InputFileError):
            return exc
        seen.add(id(exc))
        exc = exc.__cause__ or exc.__context__
    return None


class ChunkTask:
    """:func:`process_chunk` with retries, and with ``skip`` a report of what cannot be read in place of an
    error.

    Called with a chunk, or with (chunk, processor) where the processor travels apart from the task.
    """

    def __init__(
        self,
        processor: Any,
        *,
        retries: int = 0,
        skip: bool = False,
        timeout: float | None = 60,
        schema: Any = NanoAODSchema,
        checkpointer: Any = None,
    ) -> None:
        self.processor = processor
        self.retries = retries
        self.skip = skip
        self.timeout = timeout
        self.schema = schema
        self.checkpointer = checkpointer

    def __call__(self, item: WorkItem | tuple[WorkItem, Any]) -> Mapping[str, Any]:
        chunk, processor = item if isinstance(item, tuple) else (item, self.processor)
        if self.checkpointer is not None:
            kept = self.checkpointer.load(chunk_metadata(chunk), processor)
            if kept is not None:
                return kept
        try:
            output = with_retries(
                self.retries,
                chunk.filename,
                lambda: process_chunk(chunk, processor, self.timeout, self.schema),
                between=close_all,
            )
        except InputFileError as exc:
            if not self.skip:
                raise
            return {"out": {}, "processed": set(), "skipped": [_skipped(chunk, exc)]}
        if self.checkpointer is not None:
            self.checkpointer.save(output, chunk_metadata(chunk), processor)
        return output


def _skipped(chunk: WorkItem, exc: InputFileError) -> Skipped:
    return Skipped(chunk.dataset, chunk.filename, chunk.treename, str(exc), chunk.entrystart, chunk.entrystop)
