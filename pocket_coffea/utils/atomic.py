"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from pocket_coffea.errors import OutputError

__all__ = ["write_whole"]


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write ``content`` (text in UTF-8) to ``path`` by way of a temporary file in the same folder, which is
    made if needed.

    A reader sees the old file or the new one, never a part. Raises OutputError naming the path and the
    reason."""
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; the result gets the permissions that any other new file would have
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        msg = f"{target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
