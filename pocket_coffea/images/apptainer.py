"""Apptainer of this machine: running, testing and shells in an image."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command

__all__ = ["binds_there", "find_apptainer", "run_in_image", "run_test"]

#: Folders of sites that are mounted into a shell where the machine has them.
BINDS = ("/afs", "/cvmfs", "/eos", "/pnfs", "/work", "/scratch", "/uscms_data", "/depot", "/gpfs")
_TEST_LIMIT = 900.0


def find_apptainer() -> str:
    """Return the path of ``apptainer`` or ``singularity``. Raises CommandFailed when there is none."""
    for name in ("apptainer", "singularity"):
        found = shutil.which(name)
        if found:
            return found
    msg = (
        "This machine has no Apptainer (neither apptainer nor singularity is on PATH). Install it, or use "
        "the image on a machine that has it."
    )
    raise CommandFailed(msg)


def binds_there() -> list[str]:
    """Return the options that mount what this machine has of ``BINDS``."""
    return [word for folder in BINDS if Path(folder).is_dir() for word in ("--bind", folder)]


def run_test(image: Path) -> str:
    """Run ``%test`` of an image without the home folder; return what it printed. Raises CommandFailed."""
    argv = [find_apptainer(), "test", "--no-home", "--cleanenv", str(image)]
    return run_command(argv, timeout=_TEST_LIMIT).stdout


def run_in_image(image: Path, words: Sequence[str]) -> int:
    """Run a command in an image on this terminal, a shell when there are no words; return its exit code.

    Raises CommandFailed when Apptainer is missing.
    """
    program = find_apptainer()
    verb = ["exec"] if words else ["shell"]
    argv = [program, *verb, *binds_there(), str(image), *words]
    return run_command(argv, timeout=None, check=False, attached=True).returncode
