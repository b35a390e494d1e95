"""Start, find and end a lab: what it started is in its pid namespace and ends with its first process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

from ci.lab.control import ask
from ci.lab.errors import LabError, NotReadyError
from ci.lab.host import machine, places
from ci.lab.host.build import build, only_builder, say
from ci.lab.host.places import Instance
from ci.lab.process import foreground, start

UP_SECONDS = 120.0
DOWN_SECONDS = 40.0
ASKING_SECONDS = 0.3
HANG_UP = ("setpriv", "--pdeathsig=HUP")  # a command in the lab ends with the `lab exec` that started it


def alive(instance: Instance) -> bool:
    """Return whether the lab runs: its first process holds a lock for as long as it lives."""
    if not instance.lock.exists():
        return False
    with instance.lock.open() as lock:
        return not _locked(lock, fcntl.LOCK_SH)  # shared with others who ask


def init_pid(instance: Instance) -> int | None:
    """Return the pid of the lab's first process, or None when the lab is down."""
    for _ in range(100):
        if not alive(instance):
            return None
        try:
            return int(instance.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)
    msg = f"The lab does not say its pid:\n{_tail(instance.console)}"
    raise LabError(msg)


def up(instance: Instance, services: str = "") -> dict:
    """Start the lab, if it is not up, and wait until every service is healthy; return their status.

    Raises LabError with the service, its last message and its log when one does not come up.
    """
    root = build()
    places.make_lab_cache()
    instance.folder.mkdir(parents=True, exist_ok=True)
    with instance.lock.open("a") as lock:
        if _take(instance, lock):
            machine.check()
            _start(instance, root, services, lock.fileno())
    return _wait_healthy(instance)


def _take(instance: Instance, lock: IO[str]) -> bool:
    """Take the lock of a lab that is down or ends just now; return False when one is up or starts."""
    begin = time.monotonic()
    while not _locked(lock, fcntl.LOCK_EX):
        waited = time.monotonic() - begin
        # who only asks whether the lab is up has the lock for a moment, too
        if waited > DOWN_SECONDS or (waited > ASKING_SECONDS and not _ending(instance)):
            return False
        time.sleep(0.05)
    return True


def _ending(instance: Instance) -> bool:
    try:
        return bool(request(instance, "status").get("ending"))
    except NotReadyError:
        return False


def _locked(lock: IO[str], kind: int) -> bool:
    """Take the lock if it is free; it is given back when the last process that has it open ends."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(instance: Instance, root: Path, services: str, lock: int) -> None:
    _forget(instance)
    for folder in (instance.layers, instance.logs, instance.work, instance.run, places.image_store()):
        folder.mkdir(parents=True, exist_ok=True)
    os.chown(instance.work, 1000, 1000)
    inside = {
        "lower": root,
        "layers": instance.layers,
        "project": places.PROJECT,
        "work": instance.work,
        "logs": instance.logs,
        "run": instance.run,
        "images": places.image_store(),
        "pid-file": instance.pid_file,
        "services": services,
    }
    options = [str(part) for name, value in inside.items() for part in (f"--{name}", value)]
    command = ["unshare", *machine.NAMESPACES, "--kill-child=SIGKILL", "--propagation=private"]
    command += [sys.executable, "-m", "ci.lab.host.enter", *options]
    env = {**os.environ, "PYTHONPATH": str(places.PROJECT)}
    start(command, log=instance.console, env=env, keep=[lock])


def _wait_healthy(instance: Instance) -> dict:
    deadline = time.monotonic() + UP_SECONDS
    status: dict = {}
    while time.monotonic() < deadline:
        if not alive(instance):
            msg = f"The lab {instance.name} ended while it started:\n{_tail(instance.console)}"
            raise LabError(msg)
        try:
            status = request(instance, "status")
        except NotReadyError:
            status = {}
        states = {service["state"] for service in status.get("services", [])}
        if states and states <= {"healthy"}:
            return status
        if "failed" in states:
            break
        time.sleep(0.2)
    raise LabError(_not_healthy(instance, status))


def _not_healthy(instance: Instance, status: dict) -> str:
    bad = [service for service in status.get("services", []) if service["state"] != "healthy"]
    lines = [f"The lab {instance.name} is not healthy:"]
    lines += [f"- {service['name']}: {service['state']}: {service['note']}" for service in bad]
    lines += [f"See `ci/lab/lab --name {instance.name} logs {service['name']}`" for service in bad[:1]]
    if faults := status.get("faults"):
        lines.append("Faults are on: " + ", ".join(faults))
    return "\n".join(lines if bad else [*lines, _tail(instance.console)])


def request(instance: Instance, verb: str, *arguments: str, timeout: float = 120) -> dict:
    """Ask the lab's first process; raises NotReadyError when it does not listen, LabError when it refuses."""
    return ask(instance.run / "control.sock", verb, *arguments, timeout=timeout)


def down(instance: Instance) -> bool:
    """End the lab and all it started; return whether there was one. Files in its work folder stay."""
    pid = init_pid(instance)
    if pid is not None and not _end(instance, pid, signal.SIGTERM, DOWN_SECONDS):
        say("The lab did not end by itself; ending it by force.")
        if not _end(instance, pid, signal.SIGKILL, 10):
            msg = f"The lab {instance.name} does not end: its first process is {pid}."
            raise LabError(msg)
    _forget(instance)
    return pid is not None


def _end(instance: Instance, pid: int, number: signal.Signals, seconds: float) -> bool:
    """Send the signal until the lab has ended, for so many s; return whether it has."""
    started = _start_time(pid)
    deadline = time.monotonic() + seconds
    heard = 0.0
    while alive(instance) and time.monotonic() < deadline:
        # again and again: a first process that starts just now is deaf to what it does not handle yet
        if time.monotonic() > heard + 0.5 and started is not None and _start_time(pid) == started:
            heard = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(0.05)
    return not alive(instance)


def _forget(instance: Instance) -> None:
    """Remove what belongs to one life of the lab: its writable layer, socket and pid."""
    for folder in (instance.layers, instance.run):
        places.remove(folder)
    instance.pid_file.unlink(missing_ok=True)


def execute(instance: Instance, command: list[str], *, user: str, network: bool, cwd: str) -> int:
    """Run a command in the lab as ``user``, in the foreground; return its exit code.

    With ``network`` it sees the host's network instead of the lab's (to fetch packages).
    """
    pid = init_pid(instance)
    if pid is None:
        msg = f"The lab {instance.name} is not up; start it with `ci/lab/lab --name {instance.name} up`."
        raise LabError(msg)
    environment = request(instance, "environment", user)["environment"]
    for name in ("TERM", "CI", "COLUMNS", "LINES"):
        if name in os.environ:
            environment[name] = os.environ[name]
    namespaces = ["--mount", "--uts", "--ipc", "--pid"] + ([] if network else ["--net"])
    argv = [*HANG_UP, "nsenter", f"--target={pid}", *namespaces, "--root", "--"]
    argv += [
        "/usr/bin/env",
        "-i",
        f"--chdir={cwd}",
        *(f"{key}={value}" for key, value in environment.items()),
    ]
    who = [] if user == "root" else ["--init-groups", f"--reuid={user}", f"--regid={user}"]
    return foreground([*argv, *HANG_UP, *who, "--", *command])


def logs(instance: Instance, service: str | None, lines: int) -> str:
    """Return the end of the logs of a service (all services without a name)."""
    found = sorted(instance.logs.glob(f"{service or ''}*.log"))
    if service is None:
        found.append(instance.console)
    if not found:
        known = sorted(path.stem for path in instance.logs.glob("*.log"))
        msg = f"No log of {service!r} in {instance.logs}; there are: {', '.join(known) or 'none'}"
        raise LabError(msg)
    return "\n".join(f"== {path}\n{_tail(path, lines)}" for path in found)


def clean() -> None:
    """End every lab and remove all that labs keep on this machine, work folders too."""
    if not places.lab_cache().is_dir():
        return
    instances = places.lab_cache() / "instances"
    with only_builder():
        for folder in sorted(instances.iterdir()) if instances.is_dir() else []:
            down(Instance(folder.name))
        places.remove(places.lab_cache())
    for folder in (
        places.cache() / "images",
        places.cache(),
    ):  # if nothing else is in them
        with contextlib.suppress(OSError):
            folder.rmdir()


def _tail(path: Path, lines: int = 30) -> str:
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:] if lines > 0 else [])


def _start_time(pid: int) -> str | None:
    """Return the kernel's start time of a live process (clock ticks since boot), else None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
