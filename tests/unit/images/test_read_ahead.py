"""Reading ahead in the images: what is read, that nothing can fail by it, and the list of what to read."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

from pocket_coffea.utils.process import run_command

ROOT = Path(__file__).resolve().parents[3]
STEPS = ROOT / "containers" / "steps"


def module_of(path: Path):
    """Load a module that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


read_ahead = module_of(STEPS / "read_ahead.py")
image_reads = module_of(ROOT / "ci" / "image_reads.py")
BLOCK = read_ahead.BLOCK


@pytest.fixture
def library(tmp_path):
    """A file of three blocks and a bit."""
    path = tmp_path / "library.so"
    path.write_bytes(os.urandom(3 * BLOCK + 100))
    return path


def listed(tmp_path, *lines: str) -> str:
    """The path of a list with these lines."""
    path = tmp_path / "read_ahead.txt"
    path.write_text("# made with meson==1.0\n" + "".join(f"{line}\n" for line in lines))
    return str(path)


def start(path: str, before: str = "") -> str:
    """What a fresh Python says that starts to read ahead, and how the process ended that it started."""
    code = (
        f"import os, sys; sys.path.insert(0, {str(STEPS)!r}); import read_ahead; {before}\n"
        "def wait(call, args): print('exit', os.waitstatus_to_exitcode(os.waitpid(*args, 0)[1]))\n"
        "read_ahead._thread = type('Thread', (), {'start_new_thread': staticmethod(wait)})\n"
        "print(read_ahead.start(sys.argv[1]))"
    )
    done = run_command([sys.executable, "-I", "-B", "-c", code, path], timeout=30)
    return done.stdout + done.stderr


TWO = "os.sched_getaffinity = lambda _: {0, 1}"


def test_ranges_and_whole_files_are_read(tmp_path, library):
    size = library.stat().st_size
    assert read_ahead.read(listed(tmp_path, f"{library} 0-1 2-3", str(library))) == 2 * BLOCK + size


def test_a_range_behind_the_end_of_a_file_is_read_as_far_as_it_goes(tmp_path, library):
    assert read_ahead.read(listed(tmp_path, f"{library} 2-9 20-30")) == BLOCK + 100


def test_a_file_that_is_not_there_is_passed_over(tmp_path, library):
    assert read_ahead.read(listed(tmp_path, f"{tmp_path}/other.so 0-1", f"{library} 0-1")) == BLOCK


@pytest.mark.parametrize("line", ["{} 0-x", "{} 5", "{} 0-1-2", "/dev/null/nothing 0-1"])
def test_a_bad_list_is_not_heard_of(tmp_path, library, line):
    path = listed(tmp_path, line.format(library))
    with pytest.raises((OSError, ValueError)):
        read_ahead.read(path)
    assert start(path, TWO).split() == ["exit", "1", "True"]


def test_another_process_reads_what_is_listed(tmp_path, library):
    assert start(listed(tmp_path, str(library)), TWO).split() == ["exit", "0", "True"]


def test_without_a_list_nothing_is_heard_of_it(tmp_path):
    assert start(str(tmp_path / "none.txt"), TWO).split() == ["exit", "1", "True"]


def test_with_one_processor_nothing_is_read_ahead(tmp_path, library):
    one = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    assert start(listed(tmp_path, str(library)), one).split() == ["False"]


def test_nobody_waits_for_what_is_still_read(tmp_path):
    """Neither the program nor who reads its output, or a pipe that it gives to its own processes."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # the process stays until somebody writes to the pipe, which is no file that it could read
    path = listed(tmp_path, str(pipe))
    code = (
        f"import os, sys; sys.path.insert(0, {str(STEPS)!r}); import read_ahead; {TWO}\n"
        "reader, writer = os.pipe(); os.set_inheritable(writer, True)\n"
        "print(read_ahead.start(sys.argv[1]), flush=True)\n"
        "os.close(writer); print(os.read(reader, 1))"
    )
    try:
        done = run_command([sys.executable, "-I", "-B", "-c", code, path], timeout=30)
        assert done.stdout.split() == ["True", "b''"]
    finally:
        # it is there still: without a reader this is an error
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_nothing_is_read_for_a_program_that_has_ended(tmp_path, library):
    path = listed(tmp_path, str(library))
    assert read_ahead.read(path, os.getppid()) > 0
    with pytest.raises(ProcessLookupError):
        read_ahead.read(path, os.getpid())


def test_the_process_is_waited_for(tmp_path, library):
    code = (
        f"import os, sys, time; sys.path.insert(0, {str(STEPS)!r}); import read_ahead; {TWO}\n"
        "print(read_ahead.start(sys.argv[1]), flush=True)\n"
        "look = os.WEXITED | os.WNOWAIT | os.WNOHANG\n"
        "try:\n"
        "    while True: os.waitid(os.P_ALL, 0, look); time.sleep(0.01)\n"
        "except ChildProcessError: print('none left')"
    )
    argv = [sys.executable, "-I", "-B", "-c", code, listed(tmp_path, str(library))]
    assert run_command(argv, timeout=30).stdout.splitlines() == ["True", "none left"]


@pytest.mark.parametrize(("module", "starts"), [("coffea", "True"), ("meson", "False")])
def test_the_first_heavy_import_starts_it(tmp_path, module, starts):
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("coffea", "meson"):
        (packages / f"{name}.py").write_text("")
    shutil.copy(STEPS / "read_ahead.py", packages / "_read_ahead.py")
    code = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]; import bytecode_archive as b\n"
        "b.write(sys.argv[3], ['coffea', 'meson', '_read_ahead'])\n"
        "for name in ('coffea', 'meson', '_read_ahead'): del sys.modules[name]\n"
        "b.install(sys.argv[3])\n"
        f"import {module}; print('_read_ahead' in sys.modules, type({module}.__loader__).__name__)"
    )
    argv = [sys.executable, "-I", "-c", code, str(STEPS), str(packages), str(tmp_path / "bytecode.bin")]
    # the bytecode is compiled by the first
    run_command(argv, timeout=30)
    assert run_command(argv, timeout=30).stdout.split() == [starts, "ArchiveLoader"]


def test_the_list_was_made_with_the_packages_of_the_lock():
    made_with = (STEPS / "read_ahead.txt").read_text().splitlines()[0].partition(" with ")[2].split()
    lock = (ROOT / "containers" / "locks" / "image.txt").read_text().split()
    assert len(made_with) > 3
    advice = "make containers/steps/read_ahead.txt again: docs/images.md, What is read ahead"
    assert [item for item in made_with if item not in lock] == [], advice


def test_the_list_is_in_blocks_of_the_squashfs():
    source = (ROOT / "pocket_coffea" / "images" / "squashfs.py").read_text()
    assert f'"-b", "{BLOCK // 1024}K"' in source
    assert image_reads.BLOCK == BLOCK


def test_what_is_in_memory_is_found(library):
    # it has just been written
    assert image_reads.blocks_in_memory(str(library)) == [0, 1, 2, 3]


def test_neighbouring_blocks_are_one_range():
    assert image_reads.ranges_of([0, 1, 4, 30, 31]) == ["0-2", "4-5", "30-32"]


def test_a_list_of_a_mount_that_reads_ahead_is_refused(library):
    """What has just been written is in memory, though nobody has read it."""
    assert image_reads.is_read_ahead(str(library))
