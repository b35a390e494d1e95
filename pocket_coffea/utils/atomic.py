"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pocket_coffea.errors import OutputError, PocketCoffeaError

__all__ = ["whole_file", "write_whole"]


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write ``content`` (text in UTF-8) to ``path`` by way of a temporary file in the same folder, which is
    made if needed.

    A reader sees the old file or the new one, never a part. Raises OutputError naming the path and the
    reason."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the temporary file, in the same folder, that becomes ``path`` when the block ends without an
    error.

    The folder is made if needed. An error in the block leaves what was there before. Raises OutputError
    naming the path and the reason when writing fails."""
    target = Path(path)
    temporary = Path()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        os.close(descriptor)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes files private; the result gets the permissions that any other new file would have
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, PocketCoffeaError):
            raise  # the block has said it already
        msg = f"{target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    finally:
        with contextlib.suppress(OSError):
            if temporary.name:
                temporary.unlink()
