"""A lab from the host's side: up, down, twice at once, killed; nothing may stay behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[3] / "ci" / "lab" / "lab"
FEW = ("--services", "node")


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Return ``lab(*words, name=...)`` for labs of this test alone; they are down afterwards."""
    used: set[str] = set()
    own = f"t{os.getpid()}"

    def call(*words: str, name: str = own, check: bool = True) -> subprocess.CompletedProcess[str]:
        used.add(name)
        done = subprocess.run(
            [LAB, "--name", name, *words], capture_output=True, text=True, timeout=500, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    yield call
    for name in used:
        call("down", name=name)


def processes(name: str) -> list[int]:
    """Return the pids of the host that belong to the named lab: they were started with its folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(f"/instances/{name}/".encode() in argument for argument in arguments):
                found.append(int(entry.name))
    return found


def pid_of(lab: Callable) -> int:
    status = json.loads(lab("status", "--json").stdout)
    return status["init"]


def test_up_is_idempotent_and_down_leaves_no_process_and_no_mount(lab):
    mounts = Path("/proc/self/mountinfo").read_text()
    lab("up", *FEW)
    assert "healthy" in lab("up", *FEW).stdout
    pid = pid_of(lab)
    namespace = os.readlink(f"/proc/{pid}/ns/pid")
    assert Path("/proc/self/mountinfo").read_text() == mounts, "the host sees a mount of the lab"
    lab("down")
    left = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _namespace(entry) == namespace
    ]
    assert left == []
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert "was not up" in lab("down").stdout


def _namespace(entry: Path) -> str:
    try:
        return os.readlink(entry / "ns" / "pid")
    except OSError:
        return ""


def test_down_ends_what_users_left_running_in_it(lab):
    lab("up", *FEW)
    name = f"t{os.getpid()}"
    child = subprocess.Popen([LAB, "--name", name, "exec", "--", "sleep", "300"])
    time.sleep(1)
    assert child.poll() is None
    lab("down")
    assert child.wait(10) != 0


def test_two_labs_side_by_side_see_only_themselves(lab):
    first, second = f"t{os.getpid()}", f"u{os.getpid()}"
    lab("up", *FEW, name=first)
    lab("up", *FEW, name=second)
    listen = ["python3", "-c", LISTEN]
    both = [subprocess.Popen([LAB, "--name", name, "exec", "--", *listen]) for name in (first, second)]
    assert [each.wait(30) for each in both] == [0, 0], "the labs share their ports"
    lab("exec", "--", "touch", "/shared/physicist/mine", name=first)
    assert "mine" not in lab("exec", "--", "ls", "/shared/physicist", name=second).stdout
    lab("down", name=first)
    assert "healthy" in lab("status", name=second).stdout


LISTEN = "import socket, time; server = socket.create_server(('127.0.0.1', 9618)); time.sleep(3)"


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.4])
def test_up_after_kill_9_of_up(lab, seconds):
    name = f"t{os.getpid()}"
    child = subprocess.Popen([LAB, "--name", name, "up", *FEW], stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    child.kill()
    child.wait()
    lab("up", *FEW)
    assert "healthy" in lab("status").stdout
    outer = [pid for pid in processes(name) if b"unshare" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(outer) == 1, "two labs of one name"


def test_up_after_kill_9_of_the_lab_itself(lab):
    lab("up", *FEW)
    os.kill(pid_of(lab), signal.SIGKILL)
    failed = lab("status", check=False)
    assert failed.returncode == 1
    assert "is not up" in failed.stderr
    lab("up", *FEW)
    assert "healthy" in lab("status").stdout


def test_the_checkout_is_read_only_and_the_work_folder_survives(lab):
    lab("up", *FEW)
    refused = lab("exec", "--user", "root", "--", "touch", "/project/x", check=False)
    assert refused.returncode == 1
    assert "Read-only file system" in refused.stderr
    lab("exec", "--", "sh", "-c", "echo kept > /work/kept")
    lab("down")
    lab("up", *FEW)
    assert lab("exec", "--", "cat", "/work/kept").stdout == "kept\n"


def test_no_network_in_the_lab_but_on_demand(lab):
    lab("up", *FEW)
    network = ["readlink", "/proc/self/ns/net"]
    assert lab("exec", "--", *network).stdout.strip() != os.readlink("/proc/self/ns/net")
    assert lab("exec", "--", "cat", "/proc/net/dev").stdout.count(":") == 1, "more than the loopback"
    assert lab("exec", "--network", "--", *network).stdout.strip() == os.readlink("/proc/self/ns/net")


def test_unknown_words_are_refused_by_name(lab):
    lab("up", *FEW)
    for words, said in {
        ("fault", "volcano"): "unknown fault 'volcano'; there are:",
        ("logs", "volcano"): "No log of 'volcano'",
    }.items():
        done = lab(*words, check=False)
        assert done.returncode == 1
        assert said in done.stderr
    done = lab("up", "--services", "volcano", name=f"v{os.getpid()}", check=False)
    assert done.returncode == 1
    assert "unknown service 'volcano'" in done.stderr


def test_exec_gives_the_commands_exit_code_and_environment(lab):
    lab("up", *FEW)
    assert lab("exec", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    assert lab("exec", "--", "id", "-un").stdout == "physicist\n"
    assert lab("exec", "--user", "root", "--", "id", "-un").stdout == "root\n"
    assert lab("exec", "--", "pwd").stdout == "/work\n"


def test_a_port_that_is_taken_is_named(lab):
    """Somebody listens where a service should: the status says which port and how to find out who."""
    lab("up", *FEW)
    done = lab("exec", "--", "/opt/venv/bin/python", "-c", PORT_TAKEN)
    assert done.stdout.startswith("port 9618 is taken inside the lab")


PORT_TAKEN = """
import socket, sys
sys.path.insert(0, "/project")
from ci.lab.errors import LabError
from ci.lab.inside.service import Service
from ci.lab.inside.supervisor import Supervised
server = socket.create_server(("127.0.0.1", 9618))
class Late(Service):
    name, ports = "late", (9618,)
late = Supervised(Late())
late.bring_up()
print(late.note)
"""
