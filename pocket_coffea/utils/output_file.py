"""Outputs on disk: ``.coffea``, one compressed pickle, or ``.coffea.zip``, a member for each histogram.

Which of the two a file is follows from its first bytes, not from its name.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import lz4.frame

from pocket_coffea.errors import InputFileError, OptionError, UnknownName, did_you_mean
from pocket_coffea.utils.atomic import whole_file

__all__ = [
    "FORMATS",
    "format_of",
    "is_zip",
    "load_output",
    "not_readable",
    "read_packed",
    "save_output",
    "unpickle_output",
    "write_coffea",
]

#: format -> end of the file name
FORMATS = {"coffea": ".coffea", "zip": ".coffea.zip"}

_ZIP, _LZ4, _PICKLE = b"PK\x03\x04", b"\x04\x22\x4d\x18", b"\x80"
#: What unpickling and unpacking of damaged or foreign data raise.
_DAMAGED = (
    *(pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError),
    *(MemoryError, RuntimeError, TypeError, ValueError),
)


def load_output(
    path: str | os.PathLike[str], variables: Collection[str] | None = None, *, columns: bool = True
) -> dict[str, Any]:
    """Return an output, of either format.

    variables: names of the histograms that are wanted (None: all, an empty list: none). columns: False leaves
    exported columns out. Of a zip file only what is wanted is read.

    Unpickling runs code: load only files that you trust. Raises InputFileError when the file is missing,
    damaged or no output, UnknownName for a histogram that it does not have.
    """
    file = Path(path).expanduser()
    if is_zip(file):
        from pocket_coffea.utils.output_zip import ZipOutput

        with ZipOutput(file) as archive:
            return archive.load(variables, columns=columns)
    output = unpickle_output(read_packed(file), file)
    if variables is not None:
        _keep_variables(output, variables, file)
    if not columns and "columns" in output:
        output["columns"] = {}
    return output


def _keep_variables(output: dict[str, Any], wanted: Collection[str], path: Path) -> None:
    known = output.get("variables", {})
    check_names(wanted, known, path)
    output["variables"] = {name: content for name, content in known.items() if name in wanted}


def check_names(wanted: Collection[str], known: Collection[str], path: Path) -> None:
    """Raise UnknownName for a histogram that is not in the output, or for a text in place of a list."""
    for name in [wanted] if isinstance(wanted, str) else wanted:
        if name not in known or isinstance(wanted, str):
            hint = f"variables must be a list, [{name!r}]." if name in known else did_you_mean(name, known)
            msg = f"{path} has no histogram {name!r}. {hint}" if name not in known else f"{path}: {hint}"
            raise UnknownName(msg)


def save_output(output: Any, path: str | os.PathLike[str]) -> Path:
    """Write an output whole or not at all, as a zip file if the name ends with ``.zip``. Return the path.

    Raises OutputError, for example when the disk is full; an older file then stays.
    """
    target = Path(path).expanduser()
    if format_of(target) == "zip":
        from pocket_coffea.utils.output_zip import write_zip

        write_zip(output, target)
    else:
        write_coffea(output, target)
    return target


def format_of(path: str | os.PathLike[str], chosen: str | None = None) -> str:
    """Return the format that a file of this name has. Raises OptionError when another one was ``chosen``."""
    by_name = "zip" if str(path).endswith(".zip") else "coffea"
    if chosen is not None and chosen != by_name:
        msg = f"--format {chosen}: such a file is named *{FORMATS[chosen]}, not {path}."
        raise OptionError(msg)
    return by_name


def write_coffea(output: Any, path: Path) -> None:
    """Write a ``.coffea`` file, which ``coffea.util.load`` reads, too; it carries a checksum."""
    with (
        whole_file(path) as part,
        lz4.frame.open(part, "wb", compression_level=0, content_checksum=True) as file,
    ):
        cloudpickle.Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(output)


def is_zip(path: Path) -> bool:
    """Tell whether a file is a zip file. Raises InputFileError when it cannot be opened."""
    with reading(path), path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def read_packed(path: Path) -> bytes:
    """Return the pickle in a ``.coffea`` file, unpacked. Raises InputFileError for anything else.

    Other threads go on meanwhile.
    """
    with reading(path):
        data = path.read_bytes()
        if data.startswith(_LZ4):
            return bytes(lz4.frame.decompress(data))
    if not data.startswith(_PICKLE):
        msg = f"{path} is not an output: it starts with {data[:4]!r}." if data else f"{path} is empty."
        raise InputFileError(msg)
    return data


def unpickle_output(data: bytes, path: object) -> dict[str, Any]:
    """Return the output in a pickle; ``path`` is for messages. Raises InputFileError."""
    with reading(path):
        output = pickle.loads(data)
    if not isinstance(output, dict):
        msg = f"{path} is not an output: it holds a {type(output).__name__}, not a dictionary."
        raise InputFileError(msg)
    return output


@contextlib.contextmanager
def reading(path: object) -> Iterator[None]:
    """Report what reading, unpacking or unpickling raises as an InputFileError that names the file."""
    try:
        yield
    except InputFileError:
        raise
    except ModuleNotFoundError as error:
        msg = f"{path} needs the module {error.name!r}, which is not here."
        raise InputFileError(msg) from error
    except OSError as error:
        raise not_readable(path, error.strerror or str(error)) from error
    except _DAMAGED as error:
        reason = f"{type(error).__name__}: {error}. It may be truncated or damaged"
        raise not_readable(path, reason) from error


def not_readable(path: object, reason: str) -> InputFileError:
    """Return the error that says why an output cannot be read."""
    return InputFileError(f"{path} cannot be read: {reason}.")
