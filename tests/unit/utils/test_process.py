"""Programs are started without a shell, and their failures say what was run and what it printed."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import pocket_coffea
from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command


def test_arguments_reach_the_program_as_they_are():
    awkward = "a b; echo $HOME 'x' \"y\" ü,*"
    done = run_command([sys.executable, "-c", "import sys; print(sys.argv[1])", awkward], timeout=30)
    assert done.stdout == awkward + "\n"


def test_failure_shows_command_code_and_streams():
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    with pytest.raises(CommandFailed, match=r"(?s)-c .*ended with code 3.*out.*err"):
        run_command([sys.executable, "-c", code], timeout=30)
    assert run_command([sys.executable, "-c", code], timeout=30, check=False).returncode == 3


def test_time_limit_and_missing_program():
    with pytest.raises(CommandFailed, match=r"did not end within 0\.2 s"):
        run_command([sys.executable, "-c", "import time; time.sleep(20)"], timeout=0.2)
    with pytest.raises(CommandFailed, match=r"no-such-program cannot be started: No such file"):
        run_command(["no-such-program"], timeout=1)


def test_it_is_the_only_door():
    package = Path(pocket_coffea.__file__).parent
    importers = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] == "subprocess" for name in names):
                importers.add(str(path.relative_to(package)))
    assert importers == {"utils/process.py"}
