"""``worker.sh``, run by a real bash: what it hands on, in which order, and how it fails."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.executors.start_script import FAILED, Preparation, commands_of, start_script
from pocket_coffea.images.check import Expectation
from pocket_coffea.utils.process import run_command

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))"
ROOT = Path(__file__).resolve().parents[3]
DIFFICULT = [
    "a b  c",
    "it's",
    'say "no"',
    "$HOME `id` $(id) \\",
    "ünïcödé μ→eγ",
    "two\nlines\n",
    "*",
    "",
    "-n",
    "a;b|c&d>e",
    "%s{here",
    "tab\there",
    "!!",
]


@pytest.fixture(params=["plain", 'a folder\'s "name" with $spaces'])
def folder(tmp_path, request) -> Path:
    made = tmp_path / request.param
    made.mkdir()
    return made


def run(folder: Path, preparation: Preparation, *argv: str, **variables: str) -> CompletedProcess[str]:
    script = folder / "worker.sh"
    script.write_text(start_script(preparation))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    words = argv or (sys.executable, "-c", SHOW)
    return run_command(["bash", str(script), *words], timeout=30, check=False, env=env, cwd="/")


def shown(done: CompletedProcess[str]) -> tuple[list[str], dict[str, str], str]:
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def test_values_arrive_as_they_are(folder):
    variables = {f"VALUE_{number}": text for number, text in enumerate(DIFFICULT)}
    _, environment, _ = shown(run(folder, Preparation(variables=variables)))
    assert {name: environment[name] for name in variables} == variables


def test_arguments_arrive_as_they_are(folder):
    arguments, _, where = shown(run(folder, Preparation(), sys.executable, "-c", SHOW, *DIFFICULT))
    assert arguments == DIFFICULT
    assert where == "/"


def test_its_folder_and_the_scratch_folder_are_filled_in(folder):
    argv = ("--cert={here}/user.pem", "{scratch}", "a {scratch}/b {here}")
    scratch = str(folder / "on the $(node)")
    arguments, _, _ = shown(
        run(folder, Preparation(scratch=scratch), sys.executable, "-c", SHOW, *argv),
    )
    assert arguments == [f"--cert={folder}/user.pem", scratch, f"a {scratch}/b {folder}"]
    assert Path(scratch).is_dir()


def test_scratch_in_the_temporary_folder_of_the_worker(folder):
    preparation = Preparation(scratch="$TMPDIR/my workers")
    arguments, _, _ = shown(
        run(folder, preparation, sys.executable, "-c", SHOW, "{scratch}", TMPDIR=str(folder))
    )
    assert arguments == [f"{folder}/my workers"]
    preparation = Preparation()
    condor = folder / "condor"
    condor.mkdir()
    words = (sys.executable, "-c", SHOW, "{scratch}")
    arguments, _, _ = shown(run(folder, preparation, *words, _CONDOR_SCRATCH_DIR=str(condor)))
    assert arguments == [str(condor)]


def test_a_temporary_folder_of_the_node_that_the_image_does_not_have(folder):
    words = (sys.executable, "-c", SHOW, "{scratch}")
    arguments, environment, _ = shown(run(folder, Preparation(), *words, TMPDIR="/nodes/own/folder"))
    assert arguments == ["/tmp"]
    assert environment["TMPDIR"] == "/tmp"


def test_a_scratch_folder_that_cannot_be_made(folder):
    done = run(folder, Preparation(scratch="/proc/none"))
    assert done.returncode == FAILED
    assert "making the scratch folder failed" in done.stderr


def test_a_copy_finds_what_was_copied_with_it(folder, tmp_path):
    run(folder, Preparation(proxy="x509up"))
    job = tmp_path / "execute"
    job.mkdir()
    shutil.copy(folder / "worker.sh", job)
    (job / "x509up").write_text("secret")
    (job / "x509up").chmod(0o644)
    env = {"PATH": os.environ["PATH"]}
    words = ["bash", "worker.sh", sys.executable, "-c", SHOW]
    _, environment, _ = shown(run_command(words, timeout=30, check=False, env=env, cwd=job))
    assert environment["X509_USER_PROXY"] == str(job / "x509up")
    assert (job / "x509up").stat().st_mode & 0o777 == 0o600


def test_a_proxy_that_did_not_arrive_stops_the_worker(folder):
    done = run(folder, Preparation(proxy="x509up"), "echo", "started")
    assert done.returncode == FAILED
    assert "finding the grid proxy failed" in done.stderr
    assert "started" not in done.stdout


def test_commands_run_in_order_and_change_what_follows(folder):
    preparation = Preparation(
        variables={"ORDER": "variables"},
        lines=[
            ("prologue of the site here", ['ORDER="$ORDER prologue"', "cd /tmp"]),
            ("custom-setup-commands", ['export ORDER="$ORDER one"', 'ORDER="$ORDER two"', "f() { :; }\nf"]),
        ],
        lenient=['ORDER="$ORDER lenient"'],
        activation=['ORDER="$ORDER activation"'],
    )
    _, environment, where = shown(run(folder, preparation))
    assert environment["ORDER"] == "variables prologue one two lenient activation"
    assert where == "/tmp"
    assert not [name for name in environment if name.startswith("worker_")]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("false", 1),
        ("exit 3", 3),
        ("exit 0", 0),
        ("source /nonexistent/setup.sh", 1),
        ("no-such-program --here", 127),
        ("if then", 1),
        ("(exit 5)", 5),
        ("set -e; false; true", None),
        ("echo 'it'\"'\"'s %s $HOME' >/dev/null; false", 1),
        ("set -u; echo $NOT_SET_ANYWHERE", 1),
    ],
)
def test_a_command_that_fails_stops_the_worker_and_is_shown(folder, command, code):
    lines = [("custom-setup-commands", ["echo before", command, "echo after"])]
    done = run(folder, Preparation(lines=lines), "echo", "started")
    if code is None:  # `set -e` has no power here, as in any list of commands
        assert done.returncode == 0
        return
    assert done.returncode == FAILED, (done.stdout, done.stderr)
    *_, what, text = done.stderr.splitlines()
    assert f"custom-setup-commands, command 2 of 3, failed with code {code}" in what or "if then" in command
    assert text == command
    assert done.stdout == "before\n"


def test_lines_of_a_subclass_that_fail_are_said_and_no_more(folder):
    lenient = ["ulimit -u 99999999999999", "echo 100% 'q'; false", "export LAST=1"]
    done = run(folder, Preparation(lenient=lenient))
    assert shown(done)[1]["LAST"] == "1"
    assert "failed with code 1, and the worker goes on: echo 100% 'q'; false\n" in done.stderr


def test_a_sourced_script_does_not_see_the_arguments_of_the_worker(folder):
    (folder / "setup.sh").write_text('export SEEN="$#"\nset -u\nset -e\n')
    (folder / "worker.sh").touch()
    lines = [("custom-setup-commands", [f"cd {quoted(folder)}", "source ./setup.sh"])]
    arguments, environment, _ = shown(
        run(folder, Preparation(lines=lines), sys.executable, "-c", SHOW, "x", "y")
    )
    assert environment["SEEN"] == "0"
    assert arguments == ["x", "y"]


def quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\"'\"'") + "'"


def test_code_of_the_submitting_shell_does_not_replace_that_of_the_image(folder):
    lines = [("custom-setup-commands", ["export PYTHONPATH=/mine"])]
    dirty = {"PYTHONPATH": str(folder), "PYTHONSTARTUP": "/x"}
    _, environment, _ = shown(run(folder, Preparation(clean_python=True), **dirty))
    assert not environment.keys() & dirty.keys()
    _, environment, _ = shown(run(folder, Preparation(clean_python=True, lines=lines), **dirty))
    assert environment["PYTHONPATH"] == "/mine"
    _, environment, _ = shown(run(folder, Preparation(), **dirty))
    assert environment["PYTHONPATH"] == str(folder)


def test_the_worker_takes_the_place_of_the_shell(folder):
    done = run(folder, Preparation(), "bash", "-c", "echo $$ $PPID; exit 42")
    assert done.returncode == 42
    assert int(done.stdout.split()[1]) == os.getpid()


def test_the_image_is_checked_before_the_command(folder):
    expected = Expectation("x.sif", "sif", True, "sha256:" + "0" * 64, "1" * 64, "", "", "3.99")
    (folder / "expectation.json").write_text(expected.to_json())
    preparation = Preparation(expectation="expectation.json", python=sys.executable)
    done = run(folder, preparation, "echo", "started", PYTHONPATH=str(ROOT))
    assert done.returncode == 70
    assert "runs in no image" in done.stderr
    assert done.stdout == ""
    unpinned = expected._replace(pinned=False)
    (folder / "expectation.json").write_text(unpinned.to_json())
    assert run(folder, preparation, "echo", "started", PYTHONPATH=str(ROOT)).returncode == 71
    (folder / "expectation.json").write_text("{")
    assert run(folder, preparation, "echo", "started", PYTHONPATH=str(ROOT)).returncode == 72
    right = unpinned._replace(python=f"{sys.version_info[0]}.{sys.version_info[1]}")
    (folder / "expectation.json").write_text(right.to_json())
    done = run(folder, preparation, "echo", "started", PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stdout) == (0, "started\n")


def test_commands_are_a_text_or_a_list():
    assert commands_of(None) == []
    assert commands_of("one\n\ntwo 'x'\n") == ["one", "two 'x'"]
    assert commands_of(["one", "two\nlines", " "]) == ["one", "two\nlines"]
    for wrong in (5, {"a": 1}, [1]):
        with pytest.raises(ConfigurationError, match="custom-setup-commands"):
            commands_of(wrong)


@pytest.mark.parametrize("name", ["A B", "1A", "A=B", "", "A;id", "ü"])
def test_names_that_no_shell_has_are_refused(name):
    with pytest.raises(ConfigurationError, match="no name of an environment variable"):
        start_script(Preparation(variables={name: "x"}))


def test_a_zero_byte_is_refused():
    with pytest.raises(ConfigurationError, match="zero byte"):
        start_script(Preparation(variables={"A": "x\0y"}))
