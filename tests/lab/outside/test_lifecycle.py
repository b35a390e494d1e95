"""A lab from the host's side: up, down, twice at once, killed; nothing may stay behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci.lab.host import places
from ci.lab.host.places import Instance

LAB = Path(__file__).resolve().parents[3] / "ci" / "lab" / "lab"
FEW = ("--services", "node")
STANDING = f"s{os.getpid()}"


@pytest.fixture
def lab() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Return ``lab(*words, name=...)`` for labs of this test alone; they are down and gone afterwards."""
    with labs(f"t{os.getpid()}") as call:
        yield call


@pytest.fixture(scope="module")
def standing() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Return ``lab`` for a lab that is up, for tests that leave it so."""
    with labs(STANDING) as call:
        call("up", *FEW)
        yield call


@contextlib.contextmanager
def labs(own: str) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    used: set[str] = set()

    def call(
        *words: str, name: str = own, check: bool = True, umask: int = 0o022
    ) -> subprocess.CompletedProcess[str]:
        used.add(name)
        command = [LAB, "--name", name, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, umask=umask)
        assert not check or done.returncode == 0, done.stderr
        return done

    yield call
    for name in used:
        call("down", name=name)
        places.remove(Instance(name).folder)


def talk(name: str, *command: str) -> subprocess.Popen[str]:
    """Start a command in the lab and return it when it has written its first line."""
    argv = [LAB, "--name", name, "exec", "--", *command]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


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
    folder = Instance(f"t{os.getpid()}").folder
    lab("up", *FEW)
    assert "healthy" in lab("up", *FEW).stdout
    pid = pid_of(lab)
    namespace = os.readlink(f"/proc/{pid}/ns/pid")
    assert places.mounts_below(folder) == [], "the host sees a mount of the lab"
    lab("down")
    left = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _namespace(entry) == namespace
    ]
    assert left == []
    assert places.mounts_below(folder) == []
    assert sorted(path.name for path in folder.iterdir()) == ["console.log", "lock", "logs", "work"]
    assert "was not up" in lab("down").stdout


def _namespace(entry: Path) -> str:
    try:
        return os.readlink(entry / "ns" / "pid")
    except OSError:
        return ""


def test_down_ends_what_users_left_running_in_it(lab):
    lab("up", *FEW)
    child = talk(f"t{os.getpid()}", "sh", "-c", "echo ready; exec sleep 300")
    assert child.poll() is None
    lab("down")
    assert child.wait(10) != 0


def test_a_command_ends_with_the_exec_that_started_it(standing):
    sleep = f"300.{os.getpid()}"
    child = talk(STANDING, "sh", "-c", f"echo ready; exec sleep {sleep}")
    assert sleep in arguments_of_processes()
    child.kill()
    child.wait()
    deadline = time.monotonic() + 10
    while sleep in arguments_of_processes():
        assert time.monotonic() < deadline, "the command outlived a killed `lab exec`"
        time.sleep(0.05)


def arguments_of_processes() -> set[str]:
    said = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return set(said.split())


def test_two_labs_side_by_side_see_only_themselves(lab):
    first, second = f"t{os.getpid()}", f"u{os.getpid()}"
    lab("up", *FEW, name=first)
    lab("up", *FEW, name=second)
    both = [talk(name, "python3", "-c", LISTEN) for name in (first, second)]  # at the same time
    for each in both:
        each.communicate(timeout=30)
    assert [each.returncode for each in both] == [0, 0], "the labs share their ports"
    lab("exec", "--", "touch", "/shared/physicist/mine", name=first)
    assert "mine" not in lab("exec", "--", "ls", "/shared/physicist", name=second).stdout
    lab("down", name=first)
    assert "healthy" in lab("status", name=second).stdout


LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", 9618)):
    print("ready", flush=True)
    sys.stdin.read()
"""


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


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_up_after_kill_9_of_down(lab, seconds):
    """The lab may still be ending: `up` waits for that and starts it again."""
    lab("up", *FEW)
    child = subprocess.Popen([LAB, "--name", f"t{os.getpid()}", "down"], stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    child.kill()
    child.wait()
    lab("up", *FEW)
    time.sleep(1)
    assert "healthy" in lab("status").stdout, "it was the old one that answered"


def test_down_of_a_lab_that_has_just_begun_to_start(lab):
    """Its first process is deaf to SIGTERM until Python runs in it."""
    name = f"t{os.getpid()}"
    child = subprocess.Popen([LAB, "--name", name, "up", *FEW], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not Instance(name).pid_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    started = time.monotonic()
    lab("down")
    assert time.monotonic() - started < 20
    child.wait(20)
    assert processes(name) == []


def test_two_who_start_it_at_once_start_one(lab):
    name = f"t{os.getpid()}"
    both = [subprocess.Popen([LAB, "--name", name, "up", *FEW], stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [each.wait(60) for each in both] == [0, 0]
    assert "healthy" in lab("status").stdout


def test_up_with_services_that_a_running_lab_lacks_says_so(standing):
    done = standing("up", "--services", "node,munge", check=False)
    assert done.returncode == 1
    assert "was up, without munge: `down` it" in done.stderr


def test_whatever_the_umask_the_labs_users_can_work(lab):
    lab("up", *FEW, umask=0o077)
    script = "test -w /run/lab/control.sock && cat /etc/hosts && touch /work/x /shared/physicist/x && umask"
    assert lab("exec", "--", "sh", "-c", script, umask=0o077).stdout.endswith("0022\n")


def test_users_of_the_host_have_no_access_to_the_labs_files(standing):
    """A user of the host has the number of the lab's physicist, or of a daemon that owns a key."""
    assert places.lab_cache().stat().st_mode & 0o077 == 0


def test_the_tests_take_the_words_of_pytest(standing):
    done = standing("test", "-k", "no_test_has_this_name", "tests/lab/test_apptainer.py", check=False)
    assert done.returncode == 5, done.stderr  # pytest: no tests ran
    assert "deselected" in done.stdout


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


def test_no_network_in_the_lab_but_on_demand(standing):
    network = ["readlink", "/proc/self/ns/net"]
    assert standing("exec", "--", *network).stdout.strip() != os.readlink("/proc/self/ns/net")
    assert standing("exec", "--", "cat", "/proc/net/dev").stdout.count(":") == 1, "more than the loopback"
    assert standing("exec", "--network", "--", *network).stdout.strip() == os.readlink("/proc/self/ns/net")


def test_unknown_words_are_refused_by_name(standing):
    for words, said in {
        ("fault", "volcano"): "unknown fault 'volcano'; there are:",
        ("logs", "volcano"): "No log of 'volcano'",
    }.items():
        done = standing(*words, check=False)
        assert done.returncode == 1
        assert said in done.stderr
    done = standing("up", "--services", "volcano", name=f"v{os.getpid()}", check=False)
    assert done.returncode == 1
    assert "unknown service 'volcano'" in done.stderr


def test_exec_gives_the_commands_exit_code_and_environment(standing):
    assert standing("exec", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    assert standing("exec", "--", "id", "-un").stdout == "physicist\n"
    assert standing("exec", "--user", "root", "--", "id", "-un").stdout == "root\n"
    assert standing("exec", "--", "pwd").stdout == "/work\n"


def test_a_port_that_is_taken_is_named(standing):
    """Somebody listens where a service should: the status says which port and how to find out who."""
    done = standing("exec", "--", "/opt/venv/bin/python", "-c", PORT_TAKEN)
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
