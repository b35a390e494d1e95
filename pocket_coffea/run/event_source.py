"""NanoEvents for a range of entries, without opening a file twice.

Parsing a NanoAOD file's branches and building its form costs as much as selecting 30,000 events. Both are
kept per process: opened trees for a few recent files, and forms for each distinct list of branches (which
a whole campaign of files shares).
"""

from __future__ import annotations

import copy
import logging
import os
import re
import struct
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from coffea.nanoevents.mapping.uproot import TrivialUprootOpener, UprootSourceMapping
from coffea.nanoevents.util import tuple_to_key

from pocket_coffea.errors import InputFileError, PocketCoffeaError
from pocket_coffea.run.read_limit import limited_read
from pocket_coffea.types import Array

__all__ = [
    "MAX_OPEN_FILES",
    "FileSummary",
    "check_identity",
    "close_all",
    "entry_count",
    "file_summary",
    "open_events",
]

log = logging.getLogger(__name__)

MAX_OPEN_FILES = 8
MAX_FORMS = 64
DEFAULT_TIMEOUT = 60
#: Mark of ROOT for a length before an object.
_HAS_LENGTH = 0x40000000

_lock = threading.RLock()
_trees: OrderedDict[tuple[Any, ...], _OpenTree] = OrderedDict()
_schemas: OrderedDict[Any, Any] = OrderedDict()


@dataclass(frozen=True)
class FileSummary:
    """What planning needs to know of a file: number of entries, identity and cluster boundaries."""

    num_entries: int
    uuid: bytes
    clusters: tuple[int, ...]


@dataclass
class _OpenTree:
    directory: Any
    tree: Any
    filename: str

    @property
    def uuid(self) -> str:
        return str(self.tree.file.uuid)


class _ColumnSource(UprootSourceMapping):
    """coffea's mapping, with read errors that name the file and the branch."""

    filename = ""

    def extract_column(self, columnhandle: Any, start: int, stop: int, *args: Any, **kwargs: Any) -> Any:
        try:
            with limited_read():
                return super().extract_column(columnhandle, start, stop, *args, **kwargs)
        except (MemoryError, PocketCoffeaError):
            raise
        except Exception as error:
            branch = getattr(columnhandle, "name", "?")
            msg = (
                f"cannot read branch {branch!r}, entries {start}-{stop}, of {self.filename}: "
                f"{type(error).__name__}: {_one_line(error)}. The file is truncated or damaged, or its "
                "server stopped; copy it again, use another replica, or run with --skip-bad-files."
            )
            raise InputFileError(msg) from error


#: What clients say when the server is to blame, and how they name themselves.
_AWAY = re.compile(
    r"failed to submit|connection|socket|timed? ?out|expired|unreachable|redirect", re.IGNORECASE
)
_METHOD = re.compile(r"<bound method (\S+) of <[^<>]*>>")


def _one_line(error: BaseException) -> str:
    text = _METHOD.sub(r"\1", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else "no further message"


def _key(filename: str, treename: str) -> tuple[Any, ...]:
    """Identity of an open tree: a local file that was replaced is opened again, as is any after a fork."""
    stamp: tuple[Any, ...] = ()
    if "://" not in filename:
        try:
            stat = Path(filename).stat()
        except OSError:
            stat = None
        if stat is not None:
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return (os.getpid(), filename, treename, *stamp)


def _raise_unreadable(filename: str, error: Exception) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        reason = "it does not exist"
    elif isinstance(error, PermissionError):
        reason = "permission denied"
    elif "://" not in filename and Path(filename).is_file() and not Path(filename).stat().st_size:
        reason = "it is empty"
    elif "auth failed" in str(error).lower():
        reason = (
            f"the server does not let us in ({_one_line(error)}). Is there a valid grid proxy "
            "(voms-proxy-info; X509_USER_PROXY), and are the grid's CA certificates here (X509_CERT_DIR, or "
            "/cvmfs/grid.cern.ch bound into the image)?"
        )
    elif "://" in filename and _AWAY.search(str(error)):
        reason = f"its server does not answer ({_one_line(error)})"
    else:
        reason = f"it is truncated, damaged or not a ROOT file ({type(error).__name__}: {_one_line(error)})"
    msg = (
        f"cannot open {filename}: {reason}. Check the path and the replica in the dataset definition, "
        "or run with --skip-bad-files to go on without it."
    )
    raise InputFileError(msg) from error


def _open(filename: str, treename: str, timeout: float | None) -> _OpenTree:
    try:
        with limited_read():
            directory = uproot.open(
                {filename: None}, timeout=timeout or DEFAULT_TIMEOUT, array_cache=None, object_cache=None
            )
    except Exception as error:  # noqa: BLE001 - uproot raises whatever the bytes lead it to
        _raise_unreadable(filename, error)
    try:
        with limited_read():
            tree = directory[treename]
    except uproot.exceptions.KeyInFileError as error:
        trees = ", ".join(sorted({key.split(";")[0] for key in list(directory)})) or "nothing"
        directory.close()
        msg = f"{filename} has no tree {treename!r}; it holds: {trees}. Is it NanoAOD?"
        raise InputFileError(msg) from error
    except Exception as error:  # noqa: BLE001
        directory.close()
        _raise_unreadable(filename, error)
    return _OpenTree(directory, tree, filename)


def _tree(filename: str, treename: str, timeout: float | None) -> _OpenTree:
    key = _key(filename, treename)
    with _lock:
        found = _trees.get(key)
        if found is not None:
            _trees.move_to_end(key)
            return found
    opened = _open(filename, treename, timeout)
    with _lock:
        _trees[key] = opened
        while len(_trees) > MAX_OPEN_FILES:
            (pid, *_), oldest = _trees.popitem(last=False)
            if pid == os.getpid():
                oldest.directory.close()
    return opened


def _signature(tree: Any) -> tuple[Any, ...]:
    """What decides the form of a TTree: names and leaf types of its branches."""
    return tuple(
        (
            branch.member("fName"),
            branch.member("fTitle"),
            *((leaf.classname, leaf.member("fTitle")) for leaf in branch.member("fLeaves")),
        )
        for branch in tree.branches
    )


def _schema(tree: Any, schemaclass: Any) -> Any:
    """Build, or take from the cache, the schema (with its form) for the branches of ``tree``."""
    is_ttree = isinstance(tree, uproot.behaviors.TTree.TTree)
    key = (schemaclass, _signature(tree)) if is_ttree else None
    with _lock:
        if key is not None and key in _schemas:
            return _schemas[key]
    with warnings.catch_warnings():
        # trimmed files lack cross-reference targets; that is no news for the user
        warnings.filterwarnings("ignore", message="Missing cross-reference", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message="Branch .* already exists", category=RuntimeWarning)
        schema = schemaclass(UprootSourceMapping._extract_base_form(tree))
    if key is not None:
        with _lock:
            _schemas[key] = schema
            while len(_schemas) > MAX_FORMS:
                _schemas.popitem(last=False)
    return schema


def _with_metadata(schema: Any, metadata: Mapping[str, Any]) -> Any:
    """Return the cached schema with this chunk's metadata; the branch forms are shared."""
    form = schema.form
    own = copy.copy(schema)
    own._form = {**form, "parameters": {**form["parameters"], "metadata": dict(metadata)}}
    return own


def file_summary(filename: str, treename: str = "Events", timeout: float | None = None) -> FileSummary:
    """Return entries, uuid and cluster boundaries of a tree. Raises InputFileError."""
    opened = _tree(filename, treename, timeout)
    tree = opened.tree
    if isinstance(tree, uproot.behaviors.TTree.TTree):
        clusters = tuple(int(edge) for edge in tree.common_entry_offsets())
    else:
        starts = {int(cluster.num_first_entry) for cluster in tree.cluster_summaries}
        clusters = tuple(sorted(starts | {int(tree.num_entries)}))
    return FileSummary(int(tree.num_entries), opened.directory.file.fUUID, clusters)


def entry_count(filename: str, treename: str = "Events", timeout: float | None = None) -> tuple[int, bytes]:
    """Return number of entries and uuid of a tree without looking at its branches, which takes a
    thirtieth of the time of :func:`file_summary`. Nothing stays open. Raises InputFileError.
    """
    try:
        with (
            limited_read(),
            uproot.open(
                {filename: None}, timeout=timeout or DEFAULT_TIMEOUT, array_cache=None, object_cache=None
            ) as directory,
        ):
            key = directory.key(treename)
            entries = _entries_in(key) if key.fClassName == "TTree" else None
            if entries is not None:
                return entries, directory.file.fUUID
    except Exception as error:  # noqa: BLE001 - the full look below says what is wrong
        log.debug("%s: %s: %s", filename, type(error).__name__, error)
    summary = file_summary(filename, treename, timeout)
    return summary.num_entries, summary.uuid


def check_identity(
    filename: str, treename: str, planned: bytes, last_entry: int, timeout: float | None = None
) -> int:
    """Return the number of entries of a tree that is about to be read as it was planned.

    planned: uuid of the file when it was planned (empty: unknown); last_entry: what the chunk reads up to.
    Raises InputFileError when it is another file by now, or has fewer entries.
    """
    opened = _tree(filename, treename, timeout)
    entries = int(opened.tree.num_entries)
    replaced = bool(planned) and opened.directory.file.fUUID != planned
    if replaced or last_entry > entries:
        found = "another file is there now" if replaced else f"it has only {entries} entries"
        msg = f"{filename} is not what was planned: {found}. Run again, so that it is looked at anew."
        raise InputFileError(msg)
    return entries


def _entries_in(key: Any) -> int | None:
    """Read ``fEntries`` of a TTree: it follows four base classes, each of which begins with its length."""
    chunk, cursor = key.get_uncompressed_chunk_cursor()
    data = bytes(chunk.raw_data)
    position = cursor.index - chunk.start + 6  # length and version of the tree itself
    for _base in ("TNamed", "TAttLine", "TAttFill", "TAttMarker"):
        (length,) = struct.unpack_from(">I", data, position)
        if not length & _HAS_LENGTH:
            return None
        position += 4 + (length & ~_HAS_LENGTH)
    (entries,) = struct.unpack_from(">q", data, position)
    return int(entries) if entries >= 0 else None


def open_events(
    filename: str,
    treename: str = "Events",
    entry_start: int = 0,
    entry_stop: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    schemaclass: Any = NanoAODSchema,
) -> Array:
    """Return the entries [entry_start, entry_stop) as NanoEvents whose columns are read when touched.

    metadata becomes ``events.metadata``. timeout in seconds is for opening remote files.
    Raises InputFileError, naming the file, when it cannot be opened or a column cannot be read.
    """
    opened = _tree(filename, treename, timeout)
    tree = opened.tree
    stop = int(tree.num_entries) if entry_stop is None else min(int(entry_stop), int(tree.num_entries))
    start = max(0, int(entry_start))
    mapping = _ColumnSource(
        TrivialUprootOpener({opened.uuid: filename}), start, stop, cache={}, use_ak_forth=True, virtual=True
    )
    mapping.filename = filename
    mapping.preload_column_source(opened.uuid, tree.object_path, tree)
    key = tuple_to_key((opened.uuid, tree.object_path, f"{start}-{stop}"))
    schema = _with_metadata(_schema(tree, schemaclass), metadata or {})
    return NanoEventsFactory(schema, mapping, key, mode="virtual").events()


def close_all() -> None:
    """Close every file that this process keeps open and forget the forms."""
    with _lock:
        for (pid, *_), opened in _trees.items():
            if pid == os.getpid():
                opened.directory.close()
        _trees.clear()
        _schemas.clear()
    # fsspec keeps handles of its own by address; after a server went away they only say "closed file"
    if (remote := sys.modules.get("fsspec_xrootd")) is not None:
        remote.XRootDFileSystem.clear_instance_cache()
