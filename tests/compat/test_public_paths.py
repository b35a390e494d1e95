"""Every import path that existing analyses use can be imported, and importing is cheap where it should be."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

PATHS = Path(__file__).with_name("public_paths.txt")
LINES = [line for line in PATHS.read_text().splitlines() if line and not line.startswith("#")]
HEAVY = ("awkward", "coffea", "hist", "numba", "numpy", "uproot", "pyarrow", "matplotlib", "dask", "scipy")


def load(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # older names say that they are old
        return importlib.import_module(module)


@pytest.mark.parametrize("line", [line for line in LINES if ":*:" not in line])
def test_a_public_name_is_there(line):
    module, _, name = line.partition(":")
    loaded = load(module)
    if not name:
        return
    try:
        found = getattr(loaded, name)
    except AttributeError:  # a submodule: `from package import module`
        found = importlib.import_module(f"{module}.{name}")
    assert found is not None


@pytest.mark.parametrize(
    "line", [line for line in LINES if ":*:" in line], ids=lambda line: line.split(":")[0]
)
def test_a_star_import_brings_what_analyses_use(line):
    module, _, names = line.partition(":*:")
    load(module)
    space = {}
    exec(f"from {module} import *", space)
    wanted = {name.strip() for name in names.split(",")}
    assert wanted <= set(space), f"missing: {sorted(wanted - set(space))}"


def test_the_lines_are_sorted_and_unique():
    assert len(set(LINES)) == len(LINES)
    modules = [line.partition(":")[0] for line in LINES]
    assert modules == sorted(modules)


NAMESPACES = {"pocket_coffea.executors", "pocket_coffea.lib", "pocket_coffea.utils"}  # folders of modules


@pytest.mark.parametrize("name", sorted({line.partition(":")[0] for line in LINES} - NAMESPACES))
def test_every_public_module_has_an_exact_list_of_names(name):
    module = load(name)
    names = getattr(module, "__all__", None)
    assert names is not None, f"{name} has no __all__"
    assert [one for one in names if not hasattr(module, one)] == []


@pytest.mark.parametrize(
    ("module", "replacement"),
    [("datacard", "combine"), ("processes", "processes"), ("systematics", "systematics")],
)
def test_older_module_names_say_the_new_one(module, replacement):
    name = f"pocket_coffea.utils.{module}"
    sys.modules.pop(name, None)
    with pytest.warns(DeprecationWarning, match=rf"pocket_coffea\.utils\.stat\.{replacement}"):
        importlib.import_module(name)


@pytest.mark.parametrize("module", ["pocket_coffea", "pocket_coffea.cli.main", "pocket_coffea.errors"])
def test_the_start_imports_nothing_heavy(module):
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
