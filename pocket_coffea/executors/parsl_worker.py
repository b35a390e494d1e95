"""What a Parsl worker does with one task, and what it answers.

All tasks of a run have the same function, which with the processor may weigh megabytes. Workers that see a
folder of the submit machine read it once from there; otherwise it comes along with each task. Either way
its sha256 is compared before it is unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle

from pocket_coffea.errors import PocketCoffeaError, ProcessingError

__all__ = ["Answer", "Shared", "load_error", "run_task"]

#: A file that was just written may show up later on another machine of a network file system.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Shared:
    """The pickled function of all tasks: ``data``, or the content of ``path``; sha256 is of these bytes.

    folder: where the run was started; workers that see it work there, as paths may be relative to it.
    """

    sha256: str
    data: bytes | None = None
    path: str | None = None
    folder: str | None = None

    def load(self) -> bytes:
        """Return the bytes. Raises ProcessingError when they cannot be read here, or are others."""
        data = self.data if self.data is not None else _read_patiently(Path(self.path or ""))
        if hashlib.sha256(data).hexdigest() != self.sha256:
            msg = f"what the worker got to run ({self.path or 'with the task'}) is not what was submitted."
            raise ProcessingError(msg)
        return data


def _read_patiently(path: Path, patience: float = PATIENCE_S) -> bytes:
    deadline = time.monotonic() + patience
    while True:
        try:
            return path.read_bytes()
        except OSError as exc:
            if time.monotonic() > deadline:
                msg = (
                    f"the worker on {os.uname().nodename} cannot read {path} ({exc.strerror}). The output "
                    "folder has to be on a file system that the workers see (run option shared-folders)."
                )
                raise ProcessingError(msg) from exc
            time.sleep(1.0)


@dataclass(frozen=True)
class Answer:
    """What comes back: ``result`` of the function, or its ``error`` (pickled) with the ``traceback``.

    records: warnings that the task logged, as (logger, level, message).
    """

    result: Any = None
    error: bytes | None = None
    traceback: str = ""
    records: tuple[tuple[str, int, str], ...] = field(default=())


class _Collector(logging.Handler):
    """Keeps warnings of a task, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: dict[tuple[str, int, str], None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            self.records[(record.name, record.levelno, record.getMessage())] = None


_loaded: dict[str, Any] = {}


def run_task(shared: Shared, item: Any) -> Answer:
    """Call the shared function with an item. Never raises: errors of the function are in the answer."""
    collector = _Collector()
    root = logging.getLogger()
    root.addHandler(collector)
    try:
        result = _function(shared)(item)
        return Answer(result, records=tuple(collector.records))
    except BaseException as exc:  # noqa: BLE001  (whatever it is, the submit side must hear of it)
        return Answer(
            error=_dump_error(exc), traceback=traceback.format_exc(), records=tuple(collector.records)
        )
    finally:
        root.removeHandler(collector)


def _function(shared: Shared) -> Any:
    if shared.sha256 not in _loaded:
        logging.captureWarnings(capture=True)
        warnings.simplefilter("default")
        if shared.folder is not None:
            with contextlib.suppress(OSError):
                os.chdir(shared.folder)
        data = shared.load()
        _loaded.clear()
        _loaded[shared.sha256] = pickle.loads(data)
    return _loaded[shared.sha256]


def _dump_error(exc: BaseException) -> bytes:
    try:
        data = cloudpickle.dumps(exc)
        pickle.loads(data)
    except Exception:  # noqa: BLE001  (pickling runs foreign code)
        return cloudpickle.dumps(ProcessingError(f"{type(exc).__name__}: {exc}"))
    return data


def load_error(data: bytes) -> BaseException:
    """Return the error of an answer; one that cannot be unpickled here is named by a ProcessingError."""
    try:
        error = pickle.loads(data)
    except Exception as exc:  # noqa: BLE001  (unpickling runs foreign code)
        return ProcessingError(f"a worker failed with an error that cannot be read here ({exc})")
    if isinstance(error, PocketCoffeaError | Exception):
        return error
    return ProcessingError(f"{type(error).__name__}: {error}")
