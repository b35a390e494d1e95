"""The rooms of the house: who may import whom, and that starting is quick."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "pocket_coffea"

#: room -> rooms it may import from (besides itself)
BASE = {"errors", "log", "types", "_version"}
ALLOWED = {
    **dict.fromkeys(BASE, BASE),
    "utils": BASE,
    "lib": BASE | {"utils"},
    "parameters": BASE | {"utils", "lib", "sites"},
    "config": BASE | {"utils", "lib", "parameters"},
    "workflows": BASE | {"utils", "lib", "parameters", "config"},
    "images": BASE | {"utils"},
    "datasets": BASE | {"utils", "lib"},
    "sites": BASE | {"utils"},
    "batch": BASE | {"utils"},
    "executors": BASE | {"utils", "images", "batch", "sites", "datasets"},
    "plotting": BASE | {"utils", "parameters", "executors"},
    "run": BASE | {"utils", "lib", "parameters", "config", "workflows", "executors", "sites", "datasets"},
    "report": BASE | {"utils", "parameters", "batch", "executors", "run", "plotting"},
    "scripts": BASE | {"utils", "lib", "parameters", "config", "workflows", "executors", "run", "datasets"},
    "cli": BASE
    | {"utils", "lib", "parameters", "config", "workflows", "images", "executors", "run", "scripts", "sites"}
    | {"datasets", "plotting", "report"},
}
#: Modules that keep an old import path alive and may look upwards.
FACADES = {
    *("scripts.dataset.dataset_query", "utils.configurator", "utils.rucio", "utils.utils"),
    *("utils.plot_utils", "utils.plot_functions", "utils.cutflow_utils"),
}


def imports(path: Path) -> Iterator[str]:
    """Dotted names below the package that a module imports, at any level of nesting."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("pocket_coffea."))
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module.startswith("pocket_coffea."):
                yield node.module
            elif node.module == "pocket_coffea":
                yield from (f"pocket_coffea.{alias.name}" for alias in node.names)


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    name = str(path.relative_to(PACKAGE).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    if name in FACADES:
        return
    room = name.split(".")[0]
    rooms = {module.split(".")[1] for module in imports(path)} - {room}
    assert rooms <= ALLOWED[room], f"{name} may not import from {sorted(rooms - ALLOWED[room])}"


def test_the_help_imports_nothing_heavy():
    code = (
        "import sys, pocket_coffea, pocket_coffea.cli.main\n"
        "heavy = {'numpy', 'awkward', 'coffea', 'uproot', 'hist', 'numba', 'omegaconf', 'dask', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
