"""Build the lab's root file system: Debian packages, then virtual environments from the locks.

It is kept under the digest of its recipe, appears whole or not at all, and is built once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ci.lab.errors import LabError
from ci.lab.host import machine, places
from ci.lab.layout import GATEWAY_VENV, RUCIO_VENV, VENV
from ci.lab.process import CommandFailedError, run

BUILDER = 1  # raise it when this module makes something else of the same recipe
UNUSED_DAYS = 14
SUITE = "trixie"
PYTHON = "313"  # of the suite
MANYLINUX = ("2_5", "2_12", "2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34", "2_35", "2_38", "2_39")
VENVS = {VENV: "lab.txt", RUCIO_VENV: "lab-rucio.txt", GATEWAY_VENV: "lab-gateway.txt"}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def digest() -> str:
    """Return the hex digest of all that decides the root file system: recipe, locks, builder's version."""
    files = sorted(path for path in places.RECIPE.rglob("*") if path.is_file())
    files += [places.LOCKS / name for name in sorted(VENVS.values())]
    total = hashlib.sha256(f"builder {BUILDER}\n".encode())
    for path in files:
        total.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:24]


def root_folder() -> Path:
    return places.lab_cache() / digest()


def build() -> Path:
    """Return the root file system, building it if needed.

    Raises LabError when the machine lacks something, the mirror cannot be reached or a package is missing.
    """
    root = root_folder()
    if root.is_dir():
        os.utime(root)  # in use: see _remove_unused
        return root
    machine.check()
    places.make_lab_cache()
    with only_builder():
        if not root.is_dir():
            _remove_leftovers()
            _build_whole(root)
            _remove_unused(root)
    return root


@contextlib.contextmanager
def only_builder() -> Iterator[None]:
    """Hold the lock of builders; wait for another one. The kernel gives it back when its holder is killed."""
    with (places.lab_cache() / "build.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another `lab build` is at work; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_leftovers() -> None:
    for folder in places.lab_cache().glob("*.building"):
        places.remove(folder)


def _remove_unused(current: Path) -> None:
    """Drop root file systems of older recipes that no `up` has used for a fortnight."""
    limit = time.time() - UNUSED_DAYS * 86400
    for root in places.lab_cache().iterdir():
        if re.fullmatch("[0-9a-f]{24}", root.name) and root != current and root.stat().st_mtime < limit:
            places.remove(root)


def _build_whole(root: Path) -> None:
    started = time.monotonic()
    machine.install_mmdebstrap()
    half = root.with_name(root.name + ".building")
    wheels = root.with_name("wheels.building")
    temporary = root.with_name("tmp.building")
    say(f"Building the lab's root file system {root.name} (once, two or three minutes) ...")
    try:
        temporary.mkdir()
        _together(lambda: _debian(half, temporary), lambda: _download(wheels, temporary))
        for venv, lock in VENVS.items():
            _make_venv(half, venv, wheels / lock)
        half.rename(root)
    finally:
        for folder in (wheels, temporary, half):
            shutil.rmtree(folder, ignore_errors=True)
    say(f"Built in {time.monotonic() - started:.0f} s: {root}")


def _together(*works: Callable[[], None]) -> None:
    """Run the works at once, wait for all, then raise the first error."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    # daemons: an interrupted builder does not wait for them, and what they run ends with it
    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _contained(proc: Path = Path("/proc")) -> list[str]:
    """Return the words with which a command gets namespaces of its own, which end with the builder.

    Even a killed builder leaves no process and no mount: removing a half-made root in which /dev/shm is still
    mounted would remove the host's files.
    """
    spaces = ["--mount", "--propagation=private", f"--mount-proc={proc}", "--pid", "--fork", "--kill-child"]
    return ["setpriv", "--pdeathsig=KILL", "unshare", *spaces, "--"]


def _packages() -> str:
    lines = (places.RECIPE / "packages.txt").read_text().splitlines()
    return ",".join(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def _debian(root: Path, temporary: Path) -> None:
    customize = shlex.quote(str(places.RECIPE / "customize.sh"))
    command = [*_contained(), "mmdebstrap", "--variant=minbase", "--mode=root", f"--include={_packages()}"]
    command += [f"--aptopt={option}" for option in _APT_OPTIONS]
    command += [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "locale", "doc")]
    command += [f'--customize-hook={customize} "$1"', SUITE, str(root)]
    if mirror := os.environ.get("MIRROR"):
        command.append(mirror)
    plain = re.fullmatch(r"[\w./+-]+", str(temporary))  # apt takes a blank or comma for the end of a name
    env = {**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": str(temporary) if plain else "/tmp"}
    try:
        run(command, timeout=1800, env=env)
    except CommandFailedError as error:
        msg = (
            f"The Debian packages of the lab could not be installed (suite {SUITE}). If the mirror cannot be "
            f"reached or lacks a package, name another: MIRROR=<address> ci/lab/lab build\n{error}"
        )
        raise LabError(msg) from error


_APT_OPTIONS = ('Acquire::Check-Valid-Until "false"', 'APT::Install-Recommends "false"', "Acquire::Retries 3")


def _download(wheels: Path, temporary: Path) -> None:
    """Fetch the wheels of every lock with the host's pip, which knows this machine's package index."""
    arch = platform.machine()
    tags = [f"manylinux_{level}_{arch}" for level in MANYLINUX]
    tags += [f"manylinux2014_{arch}", f"manylinux2010_{arch}", f"linux_{arch}"]
    target = ["--python-version", PYTHON, "--implementation", "cp"]
    target += [option for abi in (f"cp{PYTHON}", "abi3", "none") for option in ("--abi", abi)]
    target += [option for tag in tags for option in ("--platform", tag)]
    env = {**os.environ, "TMPDIR": str(temporary)}
    pip = [*_contained(), *_pip(wheels)]
    fetch = [*pip, "download", "--quiet", "--require-hashes", "--no-deps", "--prefer-binary"]
    for lock in VENVS.values():
        folder = wheels / lock
        try:
            run([*fetch, *target, "-r", places.LOCKS / lock, "--dest", folder], env=env, timeout=1800)
        except CommandFailedError as error:
            msg = f"The packages of {places.LOCKS / lock} could not be fetched.\n{error}"
            raise LabError(msg) from error
        for source in folder.glob("*.tar.gz"):  # pure Python packages without a wheel
            run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source], env=env)
            source.unlink()


def _pip(folder: Path) -> list[str]:
    """Return the command of a pip on the host: of this Python, else of a small environment of its own."""
    if run([sys.executable, "-m", "pip", "--version"], check=False).returncode == 0:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    venv = folder / "pip"
    if not venv.is_dir():
        run([sys.executable, "-m", "venv", venv])
    return [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]


def _make_venv(root: Path, venv: Path, wheels: Path) -> None:
    """Install the wheels offline in the root file system, and compile them once for all."""
    inside = root / "tmp" / "wheels"
    shutil.move(wheels, inside)
    chroot: list[str | Path] = [*_contained(proc=root / "proc"), "chroot", root]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    names = sorted(f"/tmp/wheels/{path.name}" for path in inside.glob("*.whl"))
    python = venv / "bin" / "python"
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    install.append("--no-compile")
    try:
        run([*chroot, "/usr/bin/python3", "-m", "venv", venv], env=env)
        run([*chroot, *install, *names], env=env)
        run([*chroot, python, "-m", "compileall", "-qq", "-j", "0", venv / "lib"], env=env, check=False)
    finally:
        shutil.rmtree(inside, ignore_errors=True)
