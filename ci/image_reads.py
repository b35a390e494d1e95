"""What ``import coffea`` reads of an image, for ``containers/steps/read_ahead.txt``: see docs/images.md.

Run by the Python of an image, from a new squashfuse mount for which the kernel reads nothing ahead itself:
what is in memory after the imports is then what they have read. Prints the list.
"""

from __future__ import annotations

import ctypes
import importlib
import mmap
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

MODULES = ("coffea.processor", "coffea.nanoevents")
BLOCK = 128 * 1024
#: A file of more than one page that no start of Python has read.
UNREAD = str(Path(importlib.__file__).parents[1] / "_pydecimal.py")
#: A file of which fewer blocks are read is not worth to be opened for it.
FEW = 5


class MappedFiles:
    """A finder that finds nothing: at each import it notes which files were mapped since the one before."""

    def __init__(self) -> None:
        self.found = dict.fromkeys(_mapped())
        self.python = len(self.found)

    def find_spec(self, _name: str, _path: object = None, _target: object = None) -> None:
        """Note the files of the imports that are done."""
        self.found.update(dict.fromkeys(_mapped()))

    def in_order(self) -> list[str]:
        """Return the files in the order of use, without those of Python itself."""
        return list(self.found)[self.python :]


def _mapped() -> list[str]:
    lines = (line.split() for line in Path("/proc/self/maps").read_text().splitlines())
    return [words[5] for words in lines if len(words) == 6 and words[5].startswith("/")]


def pages_in_memory(path: str) -> list[int]:
    """Return the pages of a file that are in memory. Raises OSError when it cannot be told."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = Path(path).stat().st_size
    pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
    # a private map that may be written has an address that ctypes takes; nothing is written
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as memory:
        start = ctypes.c_char.from_buffer(memory)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), pages)
        del start
    if failed:
        raise OSError(ctypes.get_errno(), "mincore", path)
    return [page for page, there in enumerate(pages) if there & 1]


def blocks_in_memory(path: str) -> list[int]:
    """Return the blocks of a file of which a page is in memory. Raises OSError when it cannot be told."""
    return sorted({page * mmap.PAGESIZE // BLOCK for page in pages_in_memory(path)})


def is_read_ahead(path: str) -> bool:
    """Say whether more of a file that nobody has read comes to memory than what is asked for."""
    if pages_in_memory(path):
        return True
    with Path(path).open("rb", buffering=0) as file:
        file.read(1)
    return len(pages_in_memory(path)) > 1


def ranges_of(blocks: list[int]) -> list[str]:
    """Return blocks as ranges FIRST-END."""
    joined: list[list[int]] = []
    for block in blocks:
        if joined and block == joined[-1][1]:
            joined[-1][1] = block + 1
        else:
            joined.append([block, block + 1])
    return [f"{first}-{end}" for first, end in joined]


def packages_of(files: list[str]) -> list[str]:
    """Return NAME==VERSION of the Python packages that files belong to, named as in the lock."""
    owners = packages_distributions()
    tops = {path.partition("/site-packages/")[2].partition("/")[0].removesuffix(".libs") for path in files}
    return sorted(
        {f"{name.lower().replace('_', '-')}=={version(name)}" for top in tops for name in owners.get(top, [])}
    )


def main() -> None:
    """Import, and print the list."""
    archive = importlib.import_module("_bytecode_archive")
    if is_read_ahead(UNREAD):
        advice = "use a new mount, for which read_ahead_kb is 0: docs/images.md, What is read ahead"
        sys.exit(f"More of {UNREAD} is in memory than was read; {advice}.")
    # what is read ahead now would be listed again
    getattr(archive, "HEAVY", set()).clear()
    mapped = MappedFiles()
    sys.meta_path.insert(0, mapped)
    for module in MODULES:
        importlib.import_module(module)
    mapped.find_spec("")
    # an overlay shows the files of the image as a device of their own
    image = Path(archive.ARCHIVE).stat().st_dev
    lines = {}
    for path in mapped.in_order():
        if path != archive.ARCHIVE and Path(path).stat().st_dev == image:
            blocks = blocks_in_memory(path)
            if len(blocks) >= FEW:
                lines[path] = " ".join(ranges_of(blocks))
    print("# what import coffea reads, made by ci/image_reads.py with", *packages_of(list(lines)))
    # all of it: it is another in each image
    print(archive.ARCHIVE)
    for path, ranges in lines.items():
        print(path, ranges)


if __name__ == "__main__":
    main()
