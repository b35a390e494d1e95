"""A jobs folder that appears whole or not at all: it is made under another name beside its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Self

from pocket_coffea.errors import ConfigurationError, OutputError

__all__ = ["NewFolder", "jobs_folder"]

#: Files written at the same time: on network file systems each one waits for its server.
_THREADS = 8


def jobs_folder(jobs_dir: str, name: str) -> Path:
    """Return the folder of a submission, which must not be there yet. Raises ConfigurationError."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        msg = f"run option job-name = {name!r}: it is the name of a folder, without '/'. Choose another one."
        raise ConfigurationError(msg)
    if "://" in jobs_dir:
        msg = (
            f"run option jobs-dir = {jobs_dir}: jobs are prepared in a folder of this machine. Give one of "
            "a mounted file system; outputs may go to an address (-o)."
        )
        raise ConfigurationError(msg)
    folder = Path(jobs_dir).expanduser().absolute() / name
    _refuse_existing(folder)
    return folder


def _refuse_existing(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        msg = (
            f"Jobs directory {folder} already exists. Please clean it up before running the jobs, or give "
            f"another job-name. What became of its jobs: pocket-coffea check-jobs -j {quote(str(folder))}"
        )
        raise ConfigurationError(msg)


class NewFolder:
    """``with NewFolder(folder) as new: ...``: ``new.path`` becomes ``folder`` at the end of the block.

    An error in the block leaves nothing behind. Raises OutputError, ConfigurationError when the folder was
    made by somebody else meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = Path()

    def __enter__(self) -> Self:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            name = tempfile.mkdtemp(prefix=f".{self.folder.name[:60]}.", dir=self.folder.parent)
        except OSError as error:
            msg = f"The jobs folder {self.folder} cannot be made: {error.strerror or error}."
            raise OutputError(msg) from error
        self.path = Path(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._appear()
        finally:
            shutil.rmtree(self.path, ignore_errors=True)

    def _appear(self) -> None:
        _refuse_existing(self.folder)
        try:
            umask = os.umask(0)
            os.umask(umask)
            self.path.chmod(0o777 & ~umask)  # mkdtemp makes private ones
            self.path.rename(self.folder)
        except OSError as error:
            msg = f"The jobs folder {self.folder} cannot be made: {error.strerror or error}."
            raise OutputError(msg) from error

    def add(self, name: str, content: bytes | str, secret: bool = True) -> Path:
        """Write a file of mode 0600, 0700 when not ``secret``, and return its path. Raises OutputError."""
        path = self.path / name
        data = content.encode() if isinstance(content, str) else content
        mode = 0o600 if secret else 0o700
        with self._errors(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(data)
        return path

    def write(self, name: str, content: str) -> None:
        """Write a file that anybody may read. Raises OutputError."""
        path = self.path / name
        with self._errors(path):
            path.write_text(content, encoding="utf-8")

    def copy(self, source: Path) -> Path:
        """Copy a file under its own name and return its path. Raises OutputError."""
        path = self.path / source.name
        with self._errors(path):
            shutil.copyfile(source, path)
        return path

    def write_all(self, jobs: int, files: Callable[[int], Iterable[tuple[str, bytes]]]) -> None:
        """Write the ``files`` of every job, (name, content). Raises OutputError."""

        def write_some(first: int) -> None:
            for job in range(first, jobs, _THREADS):
                for name, content in files(job):
                    with self._errors(Path(name)), open(f"{self.path}/{name}", "wb", buffering=0) as file:
                        file.write(content)

        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(write_some, range(_THREADS)):
                pass

    @contextlib.contextmanager
    def _errors(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"{self.folder / path.name} cannot be written: {error.strerror or error}."
            raise OutputError(msg) from error
