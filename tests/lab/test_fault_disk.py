"""Fault `disk full|free`: writers get "No space left on device", and can write again afterwards."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ci.lab.control import ask
from ci.lab.errors import LabError
from ci.lab.layout import CONTROL, PHYSICIST, SCRATCH, SHARED

OFF = ("disk", "free")
SIZE = 1_000_000  # bytes: more than what a file system rounds to


def write(path: Path) -> int:
    """Write a file and return 0, or the number of the error; the file is gone afterwards."""
    try:
        path.write_bytes(b"x" * SIZE)
    except OSError as error:
        return error.errno
    finally:
        path.unlink(missing_ok=True)
    return 0


@pytest.fixture
def files(shared_folder):
    scratch = SCRATCH / f"{PHYSICIST}-disk-test"
    return {SHARED: shared_folder / "file", SCRATCH: scratch}


@pytest.mark.parametrize("disk", [SHARED, SCRATCH])
def test_one_full_disk(fault, files, disk):
    other = next(path for path in files if path != disk)
    fault("disk", "full", str(disk), off=OFF)
    assert write(files[disk]) == errno.ENOSPC
    assert write(files[other]) == 0
    assert ask(CONTROL, "status")["faults"] == [f"{disk} full"]
    fault("disk", "free", str(disk))
    assert write(files[disk]) == 0
    assert ask(CONTROL, "status")["faults"] == []


def test_all_disks_are_full_and_free_again_with_their_old_size(fault, files, command):
    before = command("df", "--output=size,target", SHARED, SCRATCH)
    fault("disk", "full", off=OFF)
    fault("disk", "full")  # again: no harm
    assert [write(path) for path in files.values()] == [errno.ENOSPC] * 2
    fault("disk", "free")
    fault("disk", "free")
    assert [write(path) for path in files.values()] == [0, 0]
    assert command("df", "--output=size,target", SHARED, SCRATCH) == before


def test_what_is_on_a_full_disk_can_be_read_and_removed(fault, shared_folder):
    (shared_folder / "kept").write_bytes(b"x" * SIZE)
    fault("disk", "full", "/shared", off=OFF)
    assert (shared_folder / "kept").read_bytes() == b"x" * SIZE
    (shared_folder / "kept").unlink()
    assert write(shared_folder / "new") == 0  # its space is free now


@pytest.mark.parametrize("words", [(), ("half",), ("full", "/home"), ("free", "shared")])
def test_unknown_words_are_refused_with_those_that_are_known(fault, words):
    with pytest.raises(LabError, match=r"there are: disk full \| disk free, then /shared or /scratch"):
        fault("disk", *words)
