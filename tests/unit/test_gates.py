"""The lint and type gates bite: each is shown a deliberate violation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import subprocess\nsubprocess.run('ls', shell=True)\n", "S602"),
        ("import os\nos.system('ls')\n", "S605"),
        ("print('hello')\n", "T201"),
        ("try:\n    x = 1\nexcept Exception:\n    x = 2\n", "BLE001"),
        ("import logging\nlogging.info(f'{1}')\n", "G004"),
        ("def f(a=[]):\n    return a\n", "B006"),
    ],
)
def test_ruff_catches(tmp_path, code, rule):
    path = tmp_path / "violation.py"
    path.write_text(code)
    done = run("ruff", "check", "--no-cache", "--config", "pyproject.toml", str(path))
    assert done.returncode == 1
    assert rule in done.stdout


def test_mypy_catches_an_untyped_function_and_a_wrong_type(tmp_path):
    path = tmp_path / "violation.py"
    path.write_text("def f(x):\n    return x\n\n\ny: int = 'text'\n")
    done = run("mypy", "--config-file", "pyproject.toml", "--cache-dir", str(tmp_path / "cache"), str(path))
    assert done.returncode == 1
    assert "no-untyped-def" in done.stdout
    assert "assignment" in done.stdout


def test_pytest_turns_warnings_into_errors():
    import warnings

    with pytest.raises(UserWarning, match="caught"):
        warnings.warn("caught", UserWarning, stacklevel=1)
