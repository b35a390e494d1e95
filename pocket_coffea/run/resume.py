"""Completed chunks of an unfinished run, kept on disk until the run is complete.

``<output>/.resume/<plan digest>/<level>-<index>.node`` holds the output of chunk ``index`` (level 0), or
of a group of ``fan_in ** level`` chunks, whose members are then removed: a run of thousands of chunks
keeps some dozens of files. Files appear whole or not at all, so that the process may be killed at any time.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from coffea.processor import CheckpointerABC
from coffea.processor.executor import WorkItem

from pocket_coffea.errors import PocketCoffeaError
from pocket_coffea.executors.reduction import pack, unpack
from pocket_coffea.utils.atomic import write_whole

__all__ = ["CheckpointStore", "DamagedCheckpoint", "changed_since", "resume_folder"]

log = logging.getLogger(__name__)

#: What the outputs kept in a folder depend on.
DESCRIPTION = "description.json"
#: Writing may take this share of the running time; a chunk that would cost more is not kept.
MAX_SHARE = 0.03
#: Writing that is always allowed, in seconds.
FREE_S = 0.5


class DamagedCheckpoint(PocketCoffeaError):
    """A kept output cannot be read; it was removed, and its chunks will be processed again."""


def resume_folder(outputdir: str | Path) -> Path:
    """Return where an output folder keeps the completed chunks of unfinished runs."""
    return Path(outputdir).absolute() / ".resume"  # workers have another working directory


class CheckpointStore(CheckpointerABC):
    """The kept outputs of one plan. Copies in worker processes write into the same folder."""

    def __init__(self, folder: str | Path, fan_in: int, chunks: Sequence[WorkItem] = ()) -> None:
        self.folder = Path(folder)
        self.fan_in = fan_in
        self._index = {
            (c.dataset, c.fileuuid.hex(), c.treename, c.entrystart, c.entrystop): i
            for i, c in enumerate(chunks)
        }
        self._reset_clock()

    def _reset_clock(self) -> None:
        self._began = time.monotonic()
        self._spent = 0.0
        self._broken = False

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "fan_in": self.fan_in, "_index": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset_clock()

    # -- nodes of the tree

    def path(self, level: int, index: int) -> Path:
        """Return the file of a node."""
        return self.folder / f"{level}-{index}.node"

    def has(self, level: int, index: int) -> bool:
        return self.path(level, index).is_file()

    def wants(self, level: int) -> bool:
        """Return whether keeping another output is cheap enough. Groups always are: they replace
        many files."""
        if self._broken:
            return False
        return level > 0 or self._spent <= FREE_S + MAX_SHARE * (time.monotonic() - self._began)

    def load_node(self, level: int, index: int) -> bytes:
        """Return a kept output, packed. Raises DamagedCheckpoint after removing one that is not whole."""
        path = self.path(level, index)
        data = b""
        try:
            data = path.read_bytes()
            unpack(data)
        except Exception as exc:
            with contextlib.suppress(OSError):
                path.unlink()
            msg = (
                f"the completed chunks in {path} cannot be read ({type(exc).__name__}: {exc}); they are "
                f"processed again"
            )
            raise DamagedCheckpoint(msg) from exc
        return data

    def save_node(self, level: int, index: int, data: bytes | Callable[[], bytes]) -> None:
        """Keep an output; a group replaces its members. Running out of disk only ends the keeping, with a
        warning."""
        began = time.monotonic()
        path = self.path(level, index)
        part = path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data() if callable(data) else data)
            part.replace(path)
            if level > 0:
                for child in range(index * self.fan_in, (index + 1) * self.fan_in):
                    self.path(level - 1, child).unlink(missing_ok=True)
        except OSError as exc:
            self._broken = True
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            log.warning("completed chunks are not kept any more, --resume would start earlier: %s", exc)
        self._spent += time.monotonic() - began

    # -- the interface of coffea, for executors that know nothing of the tree

    def _number(self, metadata: dict[str, Any]) -> int | None:
        key = (
            metadata["dataset"],
            str(metadata["fileuuid"]).replace("-", ""),
            metadata["treename"],
            metadata["entrystart"],
            metadata["entrystop"],
        )
        return self._index.get(key)

    def load(self, metadata: Any, processor_instance: Any) -> Any:
        """Return the kept output of a chunk, None if there is none."""
        del processor_instance
        index = self._number(metadata)
        return None if index is None or not self.has(0, index) else unpack(self.load_node(0, index))

    def save(self, output: Any, metadata: Any, processor_instance: Any) -> None:
        """Keep the output of a chunk."""
        del processor_instance
        index = self._number(metadata)
        if index is not None and self.wants(0):
            self.save_node(0, index, lambda: pack(output))

    # -- the folder as a whole

    def count(self) -> int:
        """Return how many chunks are kept; one that is in a group, too, counts once."""
        nodes = [tuple(map(int, path.stem.split("-"))) for path in self.folder.glob("*.node")]
        widths = [(self.fan_in**level, index) for level, index in nodes]
        return len({chunk for width, index in widths for chunk in range(index * width, (index + 1) * width)})

    def describe(self, group: str, parts: Mapping[str, str]) -> None:
        """Write down what the kept outputs depend on, for :func:`changed_since` in a later run."""
        with contextlib.suppress(OSError):  # without it a later run only knows less
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / DESCRIPTION, json.dumps({"group": group, "parts": dict(parts)}))

    def clear(self) -> None:
        """Remove what is kept for this plan, and the folder above when nothing else is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


def changed_since(folder: Path, group: str, parts: Mapping[str, str]) -> list[str]:
    """Return what differs between now and the unfinished run of a group whose chunks are kept in ``folder``.

    Empty when no chunk is kept.
    """
    changed: list[str] = []
    for path in sorted(folder.glob(f"*/{DESCRIPTION}")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            before = json.loads(path.read_text(encoding="utf-8"))
            if before["group"] == group and next(path.parent.glob("*.node"), None) is not None:
                then = before["parts"]
                changed += [name for name, digest in parts.items() if then.get(name) != digest]
    return list(dict.fromkeys(changed))
