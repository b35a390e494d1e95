"""What ``%environment`` of the images sets, seen by a program that a plain shell starts with it."""

from __future__ import annotations

from pathlib import Path

from pocket_coffea.images.definition import read_definition
from pocket_coffea.utils.process import run_command

BASE = Path(__file__).resolve().parents[3] / "containers" / "base.def"


def environment(tmp_path, **caller):
    """The environment after ``%environment``, for a caller with these variables."""
    script = tmp_path / "environment.sh"
    script.write_text(read_definition(BASE, {"MIRROR": "-"}).script("environment") + "\n/usr/bin/env\n")
    done = run_command(["/bin/sh", "-eu", str(script)], timeout=10, env={"HOME": str(tmp_path), **caller})
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_bytecode_of_the_image_is_not_hidden(tmp_path):
    assert environment(tmp_path, PYTHONPYCACHEPREFIX="/elsewhere")["PYTHONPYCACHEPREFIX"] == ""


def test_memory_is_left_to_the_allocator(tmp_path):
    assert not [name for name in environment(tmp_path) if name.startswith("MALLOC_")]


def test_a_cache_of_numba_that_is_named_stays(tmp_path):
    assert environment(tmp_path, NUMBA_CACHE_DIR="/mine")["NUMBA_CACHE_DIR"] == "/mine"
