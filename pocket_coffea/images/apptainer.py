"""Apptainer, for running in an image: this machine's or, where there is none, that of the lab.

The lab (docs/lab.md) is part of a checkout only. A command starts one of its own, which sees one folder of
images and no other file of this machine, and ends it again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pocket_coffea.errors import CommandFailed
from pocket_coffea.images.store import cache_folder
from pocket_coffea.utils.process import run_command

__all__ = ["Apptainer", "NoApptainer", "apptainer_for", "machine_apptainer"]

#: Folders of sites that are mounted into a shell where the machine has them.
BINDS = ("/afs", "/cvmfs", "/eos", "/pnfs", "/work", "/scratch", "/uscms_data", "/depot", "/gpfs")
#: What the lab calls the checkout, the folder of images, and a folder to write to (docs/lab.md).
_LAB_PROJECT, _LAB_IMAGES, _LAB_WORK = "/project", "/images", "/work"
_LAB_BINDS = (_LAB_PROJECT, _LAB_WORK, "/shared", "/scratch")
_LAB_NAME = "apptainer"
_CHECKOUT = Path(__file__).resolve().parents[2]
_TEST_LIMIT = 900.0
_NONE = "This machine has no Apptainer (neither apptainer nor singularity is on PATH)"
#: The first lab of a machine is built for minutes.
_LAB_LIMIT = 3600.0


class NoApptainer(CommandFailed):
    """Neither this machine has Apptainer nor can it host the lab, which has."""


@dataclass(frozen=True, slots=True)
class Apptainer:
    """A program that can read images below ``images``, which it sees as ``seen``.

    ``words`` start it, ``project`` is the checkout as it sees it, ``binds`` are folders that a shell in an
    image has, ``work`` is where it can write, empty for this machine's temporary folders.
    """

    words: tuple[str, ...]
    images: Path
    seen: Path
    project: str
    binds: tuple[str, ...] = ()
    work: str = ""

    def path(self, image: Path) -> str:
        """Return how this Apptainer names an image below ``images``."""
        return str(self.seen / image.resolve().relative_to(self.images))

    def test(self, image: Path) -> str:
        """Run ``%test`` without the home folder; return what it printed. Raises CommandFailed."""
        words = ["test", "--no-home", "--cleanenv", self.path(image)]
        return run_command([*self.words, *words], timeout=_TEST_LIMIT).stdout

    def run(self, image: Path, words: Sequence[str], *options: str, limit: float) -> str:
        """Run a command in an image, with nothing of the caller's environment; return what it printed.

        ``limit`` in s. Raises CommandFailed with what it printed.
        """
        argv = [*self.words, "exec", "--no-home", "--cleanenv", *options, self.path(image), *words]
        return run_command(argv, timeout=limit).stdout

    @contextmanager
    def scratch(self, name: str) -> Iterator[str]:
        """Give a folder to write to, as this Apptainer sees it. The lab's stays as long as the lab is up."""
        if not self.work:
            with tempfile.TemporaryDirectory(prefix=f"pocket-coffea-{name}-") as folder:
                yield folder
            return
        folder = f"{self.work}/{name}"
        run_command([*self.words[:-1], "mkdir", "-p", folder], timeout=60)
        yield folder

    def attach(self, image: Path, words: Sequence[str]) -> int:
        """Run a command in an image on this terminal, a shell without words; return its exit code."""
        binds = [word for folder in self.binds for word in ("--bind", folder)]
        argv = [*self.words, "exec" if words else "shell", *binds, self.path(image), *words]
        return run_command(argv, timeout=None, check=False, attached=True).returncode


@contextmanager
def apptainer_for(images: Path, say: Callable[[str], None]) -> Iterator[Apptainer]:
    """Give an Apptainer that sees the folder ``images``; ``say`` is told which one it is.

    Raises NoApptainer with what is missing, CommandFailed when the lab does not start.
    """
    images = images.resolve()
    found = _of_machine()
    if found:
        say(f"Apptainer: {found}")
        there = tuple(folder for folder in BINDS if Path(folder).is_dir())
        yield Apptainer((found,), images, images, str(_CHECKOUT), there)
        return
    program = _lab()
    with _lab_alone(say):
        yield from _of_lab(program, images, say)


def _of_machine() -> str:
    names = ("apptainer", "singularity")
    return next((found for found in map(shutil.which, names) if found), "")


def machine_apptainer() -> str:
    """Return the path of this machine's Apptainer. Raises NoApptainer."""
    found = _of_machine()
    if not found:
        msg = f"{_NONE}. In a checkout the lab has one: ci/lab/lab exec -- pocket-coffea image ..."
        raise NoApptainer(msg)
    return found


def _lab() -> str:
    """Return the program of the lab. Raises NoApptainer."""
    program = _CHECKOUT / "ci" / "lab" / "lab"
    if not program.is_file() or not (_CHECKOUT / "containers").is_dir():
        msg = f"{_NONE}, and there is no checkout with the lab, which has one. Install Apptainer."
        raise NoApptainer(msg)
    asked = run_command([str(program), "check"], timeout=60, check=False)
    if asked.returncode:
        why = " ".join((asked.stdout + asked.stderr).split())
        msg = f"{_NONE}, and it cannot host the lab, which has one: {why}"
        raise NoApptainer(msg)
    return str(program)


@contextmanager
def _lab_alone(say: Callable[[str], None]) -> Iterator[None]:
    """One command at a time has the lab, because each shows it other images."""
    path = cache_folder() / f"lab-{_LAB_NAME}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command runs images in the lab; waiting for it to end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _of_lab(program: str, images: Path, say: Callable[[str], None]) -> Iterator[Apptainer]:
    lab = [program, "--name", _LAB_NAME]
    say(f"Apptainer: the lab's, for this machine has none ({' '.join(lab)})")
    env = {**os.environ, "POCKET_COFFEA_IMAGES": str(images)}
    # one that a killed command has left shows other images
    run_command([*lab, "down"], timeout=120)
    try:
        run_command([*lab, "up", "--services", "apptainer"], timeout=_LAB_LIMIT, env=env)
        words = (*lab, "exec", "--", "apptainer")
        yield Apptainer(words, images, Path(_LAB_IMAGES), _LAB_PROJECT, _LAB_BINDS, _LAB_WORK)
    finally:
        run_command([*lab, "down"], timeout=120, check=False)
