"""Start the services in the order of their needs, watch them, answer requests, and end them."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import pwd
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ci.lab.services
from ci.lab.errors import LabError
from ci.lab.inside.service import Daemon, Service, until_ready
from ci.lab.layout import LOGS, PHYSICIST, VENV
from ci.lab.process import start


def all_services() -> dict[str, Service]:
    """Return every service that a module of ``ci.lab.services`` defines, by name."""
    found = {}
    for module in pkgutil.iter_modules(ci.lab.services.__path__):
        loaded = importlib.import_module(f"ci.lab.services.{module.name}")
        if hasattr(loaded, "SERVICE"):
            found[loaded.SERVICE.name] = loaded.SERVICE
    return found


def with_needs(names: list[str], services: dict[str, Service]) -> dict[str, Service]:
    """Return the named services (all without names) and what they need; raises LabError on an unknown one."""
    chosen: dict[str, Service] = {}
    todo = names or list(services)
    while todo:
        name = todo.pop(0)
        if name not in services:
            msg = f"unknown service {name!r}; there are: {', '.join(sorted(services))}"
            raise LabError(msg)
        chosen[name] = services[name]
        todo += [need for need in all_needs(services[name]) if need not in chosen]
    return {name: services[name] for name in services if name in chosen}


def all_needs(service: Service) -> tuple[str, ...]:
    return service.needs + service.settle_needs


class Supervised:
    """One service with its processes and its state: waiting, starting, healthy, failed or stopped."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.state, self.note, self.seconds = "waiting", "", 0.0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.lock = threading.RLock()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes.values() if process.poll() is None]

    def bring_up(self, others: Callable[[Sequence[str]], None] = lambda _names: None) -> None:
        """Start the service and wait for its first good check; sets the state, never raises LabError.

        ``others`` waits for other services.
        """
        started = time.monotonic()
        self.state = "starting"
        try:
            self._free_ports()
            self.service.prepare()
            self.start_daemons()
            self.wait_healthy()
            others(self.service.settle_needs)
            self.service.settle()
            self.state = "healthy"
        except LabError as error:
            self.state, self.note = "failed", str(error)
        self.seconds = time.monotonic() - started

    def start_daemons(self, only: str | None = None) -> None:
        with self.lock:
            for daemon in self.service.daemons():
                if only in (None, daemon.name):
                    self.start_daemon(daemon)

    def start_daemon(self, daemon: Daemon) -> None:
        """Start one daemon, unless it runs already."""
        with self.lock:
            running = self.processes.get(daemon.name)
            if running is not None and running.poll() is None:
                return
            self.processes[daemon.name] = start(
                daemon.command,
                log=LOGS / f"{daemon.name}.log",
                env={**daemon_environment(), **daemon.environment},
                cwd=daemon.folder,
                user=None if daemon.user == "root" else daemon.user,
            )

    def wait_healthy(self, seconds: float | None = None) -> None:
        """Wait until the check is good; raises LabError with the last reason when it takes too long."""
        limit = seconds or self.service.up_seconds
        self.note = until_ready(self._checked, limit, "not healthy in time")

    def _checked(self) -> str:
        self._no_early_end()
        return self.service.check()

    def check_now(self) -> None:
        """Look again at a service that is up: healthy or failed."""
        if self.state not in ("healthy", "failed"):
            return
        try:
            self.note, self.state = self._checked(), "healthy"
        except LabError as error:
            self.note, self.state = str(error), "failed"
        except Exception as error:  # noqa: BLE001 - a defect of the lab itself: shown, not lost in a thread
            self.note, self.state = f"defect of the lab: {error!r}", "failed"

    def _no_early_end(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = LOGS / f"{name}.log"
                tail = " | ".join(log.read_text(errors="replace").splitlines()[-3:])
                msg = f"{name} ended with exit code {process.returncode}: {tail}"
                raise LabError(msg)

    def _free_ports(self) -> None:
        for port in self.service.ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    msg = (
                        f"port {port} is taken inside the lab; see `ci/lab/lab exec --user root -- ss -ltnp`"
                    )
                    raise LabError(msg) from error

    def stop(self, only: str | None = None, *, force: bool = False) -> None:
        """End its daemons, the last started first: TERM, then KILL; with ``force`` KILL at once."""
        with self.lock:
            for name in reversed(list(self.processes)):
                if only in (None, name):
                    end(self.processes.pop(name), 0 if force else self.service.stop_seconds)


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a daemon and the process group that it leads."""
    if process.poll() is None and seconds:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def daemon_environment() -> dict[str, str]:
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
    }


class Supervisor:
    """All services of this lab."""

    def __init__(self, services: dict[str, Service]) -> None:
        self.services = {name: Supervised(service) for name, service in services.items()}
        self.faults: dict[str, str] = {}
        self.ended = threading.Event()

    def __getitem__(self, name: str) -> Supervised:
        if name not in self.services:
            msg = f"the service {name} does not run in this lab; it has: {', '.join(self.services)}"
            raise LabError(msg)
        return self.services[name]

    def bring_up(self) -> None:
        """Start every service in a thread of its own as soon as what it needs is healthy."""
        for supervised in self.services.values():
            threading.Thread(target=self._when_ready, args=(supervised,), daemon=True).start()

    def _when_ready(self, supervised: Supervised) -> None:
        try:
            self._await(supervised.service.needs)
            supervised.bring_up(self._await)
        except LabError as error:
            supervised.state, supervised.note = "failed", str(error)
        except Exception as error:  # a defect of the lab itself: shown in the status, not lost in a thread
            supervised.state, supervised.note = "failed", f"defect of the lab: {error!r}"
            raise

    def _await(self, names: Sequence[str]) -> None:
        """Wait until the named services are healthy; raises LabError when one of them failed."""
        needed = [self.services[name] for name in names]
        while any(need.state != "healthy" for need in needed):
            if failed := [need.service.name for need in needed if need.state == "failed"]:
                msg = f"needs {failed[0]}, which failed"
                raise LabError(msg)
            time.sleep(0.05)

    def status(self, *, now: bool = False) -> dict:
        """Return the state of every service; with ``now`` each is checked again first."""
        if now:
            checks = [threading.Thread(target=each.check_now) for each in self.services.values()]
            for check in checks:
                check.start()
            for check in checks:
                check.join()
        rows = [
            {
                "name": name,
                "state": each.state,
                "note": each.note,
                "seconds": each.seconds,
                "pids": each.pids,
            }
            for name, each in self.services.items()
        ]
        faults = sorted(self.faults.values())
        return {"services": rows, "faults": faults, "ending": self.ended.is_set()}

    def environment(self, user: str) -> dict[str, str]:
        """Return the environment of a user of the lab; raises LabError when there is no such user."""
        try:
            home = pwd.getpwnam(user).pw_dir
        except KeyError as error:
            msg = f"there is no user {user!r} in the lab; people are {PHYSICIST} and root"
            raise LabError(msg) from error
        found = {
            "PATH": f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin"
            + (":/usr/sbin:/sbin" if user == "root" else ""),
            "HOME": home,
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/bash",
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
            "PS1": f"{user}@lab:\\w$ ",
        }
        for each in self.services.values():
            found.update(each.service.environment())
        return found

    def stop(self) -> None:
        """End the services at once, those that others need last."""
        waiting = dict(self.services)
        while waiting:
            needed = {need for each in waiting.values() for need in all_needs(each.service)}
            free = [name for name in waiting if name not in needed] or list(waiting)
            threads = [threading.Thread(target=waiting.pop(name).stop) for name in free]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()


def supervise() -> None:
    """Run the lab until it is told to end."""
    from ci.lab.inside.listener import listen

    names = [name for name in os.environ.get("LAB_SERVICES", "").split(",") if name]
    supervisor = Supervisor(with_needs(names, all_services()))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.ended.set())
    listen(supervisor)
    _settle_project()
    supervisor.bring_up()
    supervisor.ended.wait()
    supervisor.stop()


def _settle_project() -> None:
    """Give the virtual environment the checkout, and users a shell that looks like `lab exec`."""
    from ci.lab.inside.project import install

    install()
    home = Path(f"/home/{PHYSICIST}")
    (home / ".profile").write_text("cd /work\n")
