"""Lab tests in several labs at once: each file in one share, and the end of all is the end of the worst."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ci.lab.errors import LabError
from ci.lab.host import testing
from ci.lab.host.places import Instance
from tests.lab.shares import SECONDS, USUAL, shares

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(path.stem for path in (ROOT / "tests" / "lab").glob("test_*.py"))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_file_is_in_one_share(number):
    found = shares((name for name in FILES for _ in range(3)), number)
    assert sorted(name for share in found for name in share) == FILES
    assert all(found)


def test_shares_take_about_as_long():
    first, second = (sum(SECONDS.get(name, 3 * USUAL) for name in share) for share in shares(FILES * 3, 2))
    assert first == pytest.approx(second, rel=0.1)


def test_files_with_a_time_are_there():
    assert set(SECONDS) <= set(FILES)


@pytest.mark.parametrize("share", ["3/2", "0/2", "half", "1/2/3", ""])
def test_a_share_that_cannot_be_is_named(share):
    argv = [sys.executable, "-m", "pytest", "--co", "-q", f"--share={share}", "tests/lab/outside"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert f"--share {share}: N/M is needed" in done.stderr


@pytest.mark.parametrize(("words", "number"), [("1", 1), ("2", 2)])
def test_the_number_of_labs_is_what_is_asked_for(monkeypatch, words, number):
    monkeypatch.setenv("LAB_TESTS_AT_ONCE", words)
    assert testing.number_of_labs() == number


def test_a_number_of_labs_that_is_none_is_named(monkeypatch):
    monkeypatch.setenv("LAB_TESTS_AT_ONCE", "many")
    with pytest.raises(LabError, match=re.escape("LAB_TESTS_AT_ONCE=many: a number of labs is needed")):
        testing.number_of_labs()


@pytest.mark.parametrize(("here", "there", "code"), [(0, 0, 0), (1, 0, 1), (0, 5, 5)])
def test_the_exit_code_is_that_of_the_share_that_failed(tmp_path, monkeypatch, capfd, here, there, code):
    """The other lab is a process that prints and ends; real labs do the same in `make lab-test`."""
    script = tmp_path / "ci" / "lab" / "lab"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\necho "$@"\nexit {there}\n')
    script.chmod(0o755)
    monkeypatch.setattr(testing, "PROJECT", tmp_path)
    monkeypatch.setenv("POCKET_COFFEA_CACHE", str(tmp_path))
    monkeypatch.setattr(testing, "run_here", lambda _lab, words, _up: print(*words) or here)
    assert testing.run_shares(Instance("one"), 2, lambda: None) == code
    said = capfd.readouterr().out
    assert said.index("--share=1/2 tests/lab") < said.index("--name one-2 test --share=2/2 tests/lab")
