"""What keeps a machine from hosting a lab is said in a sentence, with the way out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ci.lab.errors import LabError
from ci.lab.host import build, machine, places
from ci.lab.process import CommandFailedError

ROOT = Path(__file__).resolve().parents[3]


def lab(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "ci" / "lab" / "lab", *words],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_without_root_it_says_so(tmp_path):
    code = "import os; from ci.lab.host.cli import main; os.setuid(65534); main()"
    done = subprocess.run(
        ["python3", "-c", code, "check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "run it as root, e.g. with sudo" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("NEEDED_DISK", 10**18, "set POCKET_COFFEA_CACHE to a folder on a larger disk"),
        ("NEEDED_MEMORY", 10**18, "of memory are available"),
        ("TOOLS", ("unshare", "a-tool-that-is-not-there"), "not on PATH: a-tool-that-is-not-there"),
        ("NAMESPACES", ("--a-namespace-that-is-not-there",), "namespaces cannot be made"),
    ],
)
def test_each_lack_is_named_with_the_way_out(monkeypatch, tmp_path, attribute, value, said):
    monkeypatch.setenv("POCKET_COFFEA_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, attribute, value)
    with pytest.raises(LabError, match=said):
        machine.check()


def test_a_lab_that_is_built_needs_less_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKET_COFFEA_CACHE", str(tmp_path))
    monkeypatch.setattr(machine, "NEEDED_DISK", 10**18)
    assert "set POCKET_COFFEA_CACHE" in machine._disk()
    build.root_folder().mkdir(parents=True)
    assert machine._disk() == ""


@pytest.mark.parametrize("odd", [",", ":", "\\", '"', "$", "é"])
def test_a_cache_with_an_odd_name_is_refused_with_the_way_out(monkeypatch, tmp_path, odd):
    monkeypatch.setenv("POCKET_COFFEA_CACHE", str(tmp_path / "a b"))
    assert machine._name() == ""
    monkeypatch.setenv("POCKET_COFFEA_CACHE", str(tmp_path / f"a{odd}b"))
    assert f"has {odd!r} in its name: set POCKET_COFFEA_CACHE" in machine._name()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor restricts"),
    ],
)
def test_switched_off_user_namespaces_are_named(monkeypatch, file, content, said):
    real = machine._number
    monkeypatch.setattr(
        machine, "_number", lambda path, default: int(content) if str(path) == file else real(path, default)
    )
    assert said in machine._user_namespaces()


def test_a_checkout_that_others_cannot_read_is_named(monkeypatch, tmp_path):
    (tmp_path / "pocket_coffea").mkdir()
    tmp_path.chmod(0o700)
    monkeypatch.setattr(places, "PROJECT", tmp_path)
    assert f"{tmp_path} is not readable to the lab's users: chmod" in machine._readable()


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mmdebstrap"), reason="needs root and mmdebstrap, as the lab does"
)
def test_a_mirror_that_does_not_answer_is_named_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setenv("MIRROR", "http://127.0.0.1:9/debian")
    with pytest.raises(LabError, match="name another: MIRROR=<address> ci/lab/lab build"):
        build._debian(tmp_path / "root", tmp_path)


def test_a_failed_installation_of_mmdebstrap_keeps_apts_words(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda tool: None)

    def no_apt(command, **_options):
        raise CommandFailedError(command, 100, "E: Unable to locate package mmdebstrap")

    monkeypatch.setattr(machine, "run", no_apt)
    with pytest.raises(LabError, match=r"install it by hand(.|\n)*Unable to locate package"):
        machine.install_mmdebstrap()


def test_a_bad_name_of_a_lab_is_refused():
    done = lab("--name", "../etc", "status")
    assert done.returncode == 1
    assert "--name '../etc': lower-case letters" in done.stderr


@pytest.mark.parametrize("words", [("status",), ("exec", "--", "true"), ("fault", "disk", "full")])
def test_asking_a_lab_that_is_not_up(words, tmp_path):
    done = lab("--name", "nobody", *words, POCKET_COFFEA_CACHE=str(tmp_path))
    assert done.returncode == 1
    assert "start it with `ci/lab/lab --name nobody up`" in done.stderr


def test_down_of_a_lab_that_is_not_up_is_fine(tmp_path):
    done = lab("--name", "nobody", "down", POCKET_COFFEA_CACHE=str(tmp_path))
    assert done.returncode == 0
    assert "was not up" in done.stdout
