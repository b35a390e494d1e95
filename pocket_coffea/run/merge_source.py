"""Where a merge reads an output from: a file of this machine, or one on an XRootD server.

What is on a server is looked for with ``xrdfs``, and copied to this machine with ``xrdcp`` for as long as it
is read.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from pocket_coffea.errors import CommandFailed, InputFileError, OptionError
from pocket_coffea.executors.jobs.outputs import remote_size, remote_sizes
from pocket_coffea.utils.transfer import fetch, is_remote

__all__ = ["RemoteOutput", "Source", "copy_here", "local_place", "look_up", "output_at", "size_of"]


class RemoteOutput:
    """An output on a server, with what a merge asks of a path."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._size: int | None = None

    def __str__(self) -> str:
        return self.address

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(self.address)

    @property
    def folder(self) -> str:
        """Address of the folder."""
        return self.address.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.address.rpartition("/")[2]

    def with_name(self, name: str) -> RemoteOutput:
        """Return another file of the same folder."""
        return RemoteOutput(f"{self.folder}/{name}")

    def resolve(self) -> RemoteOutput:
        """Return itself: a server has no links to follow."""
        return self

    def is_known_as(self, size: int) -> None:
        """Take over a size in bytes that a listing has told."""
        self._size = size

    def size(self) -> int:
        """Return the size in bytes. Raises FileNotFoundError, OSError when the server does not tell."""
        if self._size is None:
            try:
                self._size = remote_size(self.address)
            except CommandFailed as error:
                raise OSError(None, str(error)) from error
        if self._size is None:
            raise FileNotFoundError(None, "no such file")
        return self._size


#: A file that is merged.
Source = Path | RemoteOutput


def output_at(folder: Path, path: object) -> Source:
    """Return the output at a path, which is relative to ``folder``, or at an address.

    Raises OptionError for an address of another kind than XRootD's.
    """
    text = str(path)
    if is_remote(text):
        return RemoteOutput(text)
    if "://" in text:
        msg = f"{text}: outputs are merged from files of this machine and from addresses root://host//path."
        raise OptionError(msg)
    return folder / Path(text).expanduser()


def size_of(source: Source) -> int:
    """Return the size in bytes. Raises OSError."""
    return source.size() if isinstance(source, RemoteOutput) else source.stat().st_size


def look_up(sources: Iterable[Source]) -> None:
    """Find out the sizes of all that is on servers with one question for each folder.

    Raises InputFileError when a server does not answer.
    """
    by_folder: dict[str, list[RemoteOutput]] = {}
    for source in sources:
        if isinstance(source, RemoteOutput):
            by_folder.setdefault(source.folder, []).append(source)
    for folder, wanted in by_folder.items():
        if len(wanted) == 1:
            continue  # asked for by itself
        sizes = names_in(folder)
        for each in wanted:
            if each.name in sizes:
                each.is_known_as(sizes[each.name])


def names_in(folder: str) -> dict[str, int]:
    """Return the sizes in bytes of the files in a folder of a server, by name.

    Raises InputFileError when the server does not answer.
    """
    try:
        return remote_sizes(folder)
    except CommandFailed as error:
        msg = f"The outputs in {folder} cannot be looked for: {error}"
        raise InputFileError(msg) from error


def local_place(folder: str | os.PathLike[str] | None) -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder of this machine in ``folder``, or where these are. Raises OSError."""
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=".merging-", dir=folder)


@contextlib.contextmanager
def copy_here(source: Source, folder: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Give a file of this machine with the output in it; a copy is in ``folder``, for as long as the block.

    Raises InputFileError when it cannot be copied.
    """
    if isinstance(source, Path):
        yield source
        return
    try:
        place = local_place(folder)
    except OSError as error:
        msg = f"There is no place for a copy of {source} in {folder or tempfile.gettempdir()}: {error}."
        raise InputFileError(msg) from error
    with place as name:
        target = Path(name) / source.name
        fetch(source.address, target)
        try:
            yield target
        except InputFileError as error:
            # nobody knows the copy, which has gone when this is read
            raise InputFileError(str(error).replace(str(target), source.address)) from error
