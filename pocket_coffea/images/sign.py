"""Signing an image. A signature has a time in it, so a copy is signed: the image keeps its bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from pocket_coffea.errors import ConfigurationError, OutputError, PocketCoffeaError
from pocket_coffea.images.apptainer import machine_apptainer
from pocket_coffea.images.sif import SifObject, read_sif
from pocket_coffea.utils.process import run_command

__all__ = ["sign_copy"]

_PIECE = 1 << 20


def sign_copy(image: Path, target: Path, key: Path | None) -> None:
    """Write a signed copy of an image, whole or not at all.

    ``key``: a PEM file, else the PGP key of ``apptainer key``. Raises NoApptainer, CommandFailed when
    Apptainer does not sign, OutputError, ConfigurationError when the target is there.
    """
    program = machine_apptainer()
    if target.exists():
        msg = f"{target} is there already. Name another file, or remove it."
        raise ConfigurationError(msg)
    temporary = Path()
    try:
        temporary = Path(tempfile.mkdtemp(prefix=".sign-", dir=target.parent.resolve()))
        copy = temporary / target.name
        shutil.copyfile(image, copy)
        copy.chmod(0o755)
        words = [program, "sign", *(["--key", str(key)] if key else []), str(copy)]
        # on the terminal: Apptainer asks for the passphrase
        run_command(words, timeout=None, attached=True)
        _require_same_objects(image, copy)
        os.link(copy, target)
    except OSError as error:
        if isinstance(error, PocketCoffeaError):
            raise
        msg = f"{target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    finally:
        if temporary.name:
            with suppress(OSError):
                shutil.rmtree(temporary)


def _require_same_objects(image: Path, signed: Path) -> None:
    """Raise PocketCoffeaError unless the copy has all objects of the image as they are, and signatures."""
    before, after = read_sif(image), read_sif(signed)
    same = all(_equal(*pair) for pair in zip(before, after, strict=False))
    if len(after) <= len(before) or not same:
        msg = f"Apptainer did more to {signed.name} than adding a signature; nothing was kept."
        raise PocketCoffeaError(msg)


def _equal(one: SifObject, other: SifObject) -> bool:
    if (one.kind, one.name, one.length()) != (other.kind, other.name, other.length()):
        return False
    with one.path.open("rb") as first, other.path.open("rb") as second:
        first.seek(one.offset)
        second.seek(other.offset)
        for start in range(0, one.length(), _PIECE):
            size = min(_PIECE, one.length() - start)
            if first.read(size) != second.read(size):
                return False
    return True
