"""The archive of bytecode in the images: what is imported by way of it, and when it stands back."""

from __future__ import annotations

import os
import py_compile
import sys
from pathlib import Path

import pytest

from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command

STEPS = Path(__file__).resolve().parents[3] / "containers" / "steps"
HASHED = py_compile.PycInvalidationMode.UNCHECKED_HASH
#: What a fresh Python does in the folder of the packages; the archive is beside it.
START = "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]; import bytecode_archive as b; "
INSTALL = START + "b.install(sys.argv[3]); "


@pytest.fixture
def there(tmp_path):
    """A folder with a package whose bytecode is in an archive."""
    packages = tmp_path / "packages"
    sources = {"meson/__init__.py": "from meson import pion", "meson/pion.py": "mass = 140"}
    for name, text in sources.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(text)
        py_compile.compile(str(packages / name), invalidation_mode=HASHED)
    python(tmp_path, START + "b.write(sys.argv[3], ['meson'])")
    return tmp_path


def python(folder: Path, code: str) -> str:
    """Run a program that has the archive's module, and return what it printed."""
    argv = [sys.executable, "-I", "-B", "-c", code, STEPS, folder / "packages", folder / "bytecode.bin"]
    return run_command([str(word) for word in argv], timeout=30).stdout.strip()


def forget_bytecode(folder: Path) -> None:
    """Change the bytecode beside the sources: who reads it does not read the archive."""
    for path in (folder / "packages").rglob("*.pyc"):
        path.write_bytes(b"damaged")


def test_modules_come_from_the_archive(there):
    forget_bytecode(there)
    code = "import meson; print(meson.pion.mass, type(meson.pion.__spec__.loader).__name__)"
    assert python(there, INSTALL + code) == "140 ArchiveLoader"


def test_a_module_looks_like_any_other(there):
    code = (
        "import inspect, meson; from importlib.resources import files; "
        "print(inspect.getsource(meson.pion), meson.__path__, meson.pion.__file__, meson.pion.__cached__, "
        "files('meson').joinpath('pion.py').read_text())"
    )
    assert python(there, INSTALL + code) == python(there, START + code)


def test_a_folder_changed_later_is_looked_at(there):
    module = there / "packages" / "meson" / "pion.py"
    module.write_text("mass = 135")
    later = (there / "bytecode.bin").stat().st_mtime + 10
    os.utime(module.parent, (later, later))
    for path in module.parent.rglob("*.pyc"):
        path.unlink()
    code = "import meson; print(meson.pion.mass, type(meson.__spec__.loader).__name__)"
    assert python(there, INSTALL + code) == "135 SourceFileLoader"


def test_a_changed_package_runs_its_own_first_file(there):
    package = there / "packages" / "meson"
    (package / "__init__.py").write_text("mine = True")
    for path in package.rglob("*.pyc"):
        path.unlink()
    # as for a folder that is mounted over it, the folder above is as it was
    before = (there / "bytecode.bin").stat().st_mtime
    os.utime(package, (before + 10, before + 10))
    assert python(there, INSTALL + "import meson; print(meson.mine)") == "True"


def test_a_folder_mounted_over_it_is_looked_at(there):
    code = INSTALL + (
        "archive = b.Archive(sys.argv[3]); archive.device += 1; print(archive.find(sys.argv[2], 'meson'))"
    )
    assert python(there, code) == "None"


def test_modules_that_are_not_in_it_are_found(there):
    (there / "packages" / "quark.py").write_text("charge = -1")
    assert python(there, INSTALL + "import quark; print(quark.charge)") == "-1"


def test_what_stands_before_it_in_the_path_wins(there):
    (there / "own").mkdir()
    (there / "own" / "meson.py").write_text("name = 'mine'")
    code = INSTALL + f"sys.path.insert(0, {str(there / 'own')!r}); import meson; print(meson.name)"
    assert python(there, code) == "mine"


def test_a_module_that_is_nowhere_is_an_import_error(there):
    with pytest.raises(CommandFailed, match=r"meson[.]kaon"):
        python(there, INSTALL + "import meson.kaon")


@pytest.mark.parametrize("content", [None, b"", b"another Python wrote it"])
def test_without_a_good_archive_nothing_changes(there, content):
    (there / "bytecode.bin").unlink()
    if content is not None:
        (there / "bytecode.bin").write_bytes(content)
    assert python(there, INSTALL + "import meson; print(meson.pion.mass)") == "140"


def test_the_same_modules_give_the_same_bytes(there):
    before = (there / "bytecode.bin").read_bytes()
    python(there, START + "import meson.pion, email.message; b.write(sys.argv[3], ['meson'])")
    one = (there / "bytecode.bin").read_bytes()
    python(there, START + "import email.message; b.write(sys.argv[3], ['meson'])")
    assert (there / "bytecode.bin").read_bytes() == one != before
