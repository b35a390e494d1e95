"""The bytecode that a start of Python reads, in one file: ``/opt/pocket-coffea/bytecode.bin``.

Mounted with squashfuse, a thousand small files cost more than what is in them: each is looked up, opened,
read and closed by way of another process. As a program (``bytecode_archive.py MODULE...``) this imports the
modules and writes the file; imported by a ``.pth`` file it puts a finder before Python's own one, for folders
in the file alone. A folder that was changed after the file was written, or is mounted from elsewhere, is
looked at by Python's own finder: packages installed or bound over those of the image are what is imported.
"""
# pathlib is not imported here: it would be read at each start of Python
# ruff: noqa: PTH113, PTH116, PTH120

from __future__ import annotations

import importlib
import marshal
import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import MAGIC_NUMBER, spec_from_file_location
from types import CodeType, ModuleType

ARCHIVE = "/opt/pocket-coffea/bytecode.bin"

#: What reads most of the image when it is imported. The first of them lets the rest be read ahead.
HEAVY = {"awkward", "coffea"}

#: Of a module: is it a package, where its bytecode begins after the table, and its bytes.
Place = tuple[bool, int, int]
#: Bytes before the table: Python's magic number, and the length of the table.
HEAD = 12
#: Bytes before the code in a ``.pyc`` file.
PYC_HEAD = 16


class Archive:
    """The file, as it is read. Raises OSError when it cannot be, ValueError when another Python wrote it."""

    def __init__(self, path: str) -> None:
        self.path = path
        with open(path, "rb") as file:
            head = file.read(HEAD)
            if head[:4] != MAGIC_NUMBER:
                raise ValueError(path)
            self.start = HEAD + int.from_bytes(head[4:], "little")
            self.folders: dict[str, dict[str, Place]] = marshal.loads(file.read(self.start - HEAD))
            self.time = os.fstat(file.fileno()).st_mtime
        self.device = os.stat(os.path.dirname(path)).st_dev
        self._content: memoryview | None = None

    def find(self, folder: str, name: str) -> Place | None:
        """Return where a module of a folder is; None when it is not here, or the folder is another now."""
        place = self.folders[folder].get(name)
        # what is bound over a package, or edited in it, has an __init__.py of its own
        if place is None or not self._as_written(folder):
            return None
        return place if not place[0] or self._as_written(f"{folder}/{name}") else None

    def _as_written(self, folder: str) -> bool:
        try:
            status = os.stat(folder)
        except OSError:
            return False
        return status.st_mtime <= self.time and status.st_dev == self.device

    def code(self, place: Place) -> CodeType:
        """Return the code of a module."""
        if self._content is None:
            # not at the top: most starts of Python have no need of it
            import mmap

            with open(self.path, "rb") as file:
                self._content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        _, offset, size = place
        code: CodeType = marshal.loads(self._content[self.start + offset : self.start + offset + size])
        return code


class ArchiveLoader(SourceFileLoader):
    """Loads a module as ever, but for its bytecode. Source and data are read from the folder."""

    def __init__(self, fullname: str, path: str, archive: Archive, place: Place) -> None:
        super().__init__(fullname, path)
        self._archive, self._place = archive, place

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the module, which has no other name than that it was found by."""
        return self._archive.code(self._place) if fullname == self.name else super().get_code(fullname)


class ArchiveFinder(FileFinder):
    """Finds the modules of one folder: in the archive, else as Python does."""

    def __init__(self, path: str, archive: Archive) -> None:
        super().__init__(
            path,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (SourceFileLoader, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )
        self._archive = archive

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how to load a module, or None when the folder does not have it."""
        if fullname in HEAVY:
            _read_ahead()
        name = fullname.rpartition(".")[2]
        place = self._archive.find(self.path, name)
        if place is None:
            return super().find_spec(fullname, target)
        path, folders = _source(self.path, name, place[0])
        loader = ArchiveLoader(fullname, path, self._archive, place)
        return spec_from_file_location(fullname, path, loader=loader, submodule_search_locations=folders)


def _read_ahead() -> None:
    """Start to read ahead, once."""
    HEAVY.clear()
    try:
        importlib.import_module("_read_ahead").start()
    except (ImportError, OSError):
        # nothing depends on it: all is read when it is needed
        return


def _source(folder: str, name: str, package: bool) -> tuple[str, list[str] | None]:
    """Return the source file of a module, and the folders of its own modules if it is a package."""
    if package:
        return f"{folder}/{name}/__init__.py", [f"{folder}/{name}"]
    return f"{folder}/{name}.py", None


def install(path: str = ARCHIVE) -> None:
    """Let Python find modules in the archive. Without a good one everything stays as it is."""
    try:
        archive = Archive(path)
    except (OSError, ValueError, EOFError):
        return

    def hook(folder: str) -> ArchiveFinder:
        if folder not in archive.folders:
            raise ImportError(folder)
        return ArchiveFinder(folder, archive)

    sys.path_hooks.insert(0, hook)
    # Python has looked at these folders before it came to the .pth file
    for folder in archive.folders.keys() & sys.path_importer_cache.keys():
        sys.path_importer_cache[folder] = hook(folder)


def write(target: str, modules: list[str]) -> None:
    """Import the modules and write the bytecode of all that this has loaded. Raises OSError, ImportError."""
    for module in modules:
        importlib.import_module(module)
    sources = dict(filter(None, map(_of_file, list(sys.modules.values()))))
    folders: dict[str, dict[str, Place]] = {}
    contents: list[bytes] = []
    offset = 0
    # in the order of names: the order of imports may differ between two machines
    for (folder, name), (package, cached) in sorted(sources.items()):
        with open(cached, "rb") as file:
            content = file.read()[PYC_HEAD:]
        folders.setdefault(folder, {})[name] = (package, offset, len(content))
        contents.append(content)
        offset += len(content)
    # version 2 of the format: later ones depend on how often an object is used elsewhere
    table = marshal.dumps(folders, 2)
    with open(target, "wb") as file:
        file.write(MAGIC_NUMBER + len(table).to_bytes(HEAD - len(MAGIC_NUMBER), "little") + table)
        file.writelines(contents)


def _of_file(module: ModuleType) -> tuple[tuple[str, str], tuple[bool, str]] | None:
    """Return folder and name of a module, is it a package, and its bytecode; None if it is no such module."""
    spec: ModuleSpec | None = getattr(module, "__spec__", None)
    if spec is None or type(spec.loader) is not SourceFileLoader or not os.path.isfile(spec.cached or ""):
        return None
    package = spec.submodule_search_locations is not None
    source = spec.origin or ""
    folder = os.path.dirname(os.path.dirname(source) if package else source)
    name = spec.name.rpartition(".")[2]
    # a module that is not where its name says is left to whoever found it
    if (source, spec.submodule_search_locations) != _source(folder, name, package):
        return None
    return (folder, name), (package, spec.cached or "")


if __name__ == "__main__":
    write(ARCHIVE, sys.argv[1:])
else:
    install()
