"""Can this machine host a lab? Each lack is one sentence that says what to do."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from ci.lab.errors import LabError
from ci.lab.host import places
from ci.lab.process import CommandFailedError, run

NEEDED_DISK = 5 * 1024**3
UP_DISK = 1024**3  # once it is built
NEEDED_MEMORY = 3 * 1024**3
NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--fork")
TOOLS = ("unshare", "nsenter", "setpriv", "mount", "pivot_root", "ip")


def lacks() -> list[str]:
    """Return what keeps this machine from hosting a lab; empty when nothing does."""
    if platform.system() != "Linux":
        return [f"the lab needs Linux; this is {platform.system()}"]
    if os.geteuid() != 0:
        return ["the lab needs root (it has several users and mounts): run it as root, e.g. with sudo"]
    checks = (_tools, _namespaces, _user_namespaces, _name, _disk, _memory, _readable, _mmdebstrap)
    return [text for check in checks if (text := check())]


def check() -> None:
    """Raise LabError with every lack of this machine."""
    found = lacks()
    if found:
        raise LabError("This machine cannot host a lab:\n" + "\n".join(f"- {text}" for text in found))


def install_mmdebstrap() -> None:
    """Install the one tool that building needs, if it is not there; raises LabError when that fails."""
    if shutil.which("mmdebstrap"):
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "mmdebstrap"]
    try:
        if run(install, env=env, check=False).returncode:
            run(["apt-get", "update", "-qq"], env=env)
            run(install, env=env)
    except CommandFailedError as error:
        msg = f"mmdebstrap could not be installed; install it by hand and try again.\n{error}"
        raise LabError(msg) from error


def _tools() -> str:
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"not on PATH: {', '.join(missing)} (packages util-linux and iproute2)" if missing else ""


def _namespaces() -> str:
    done = run(["unshare", *NAMESPACES, "true"], check=False, timeout=30)
    if done.returncode == 0:
        return ""
    said = done.stdout.strip().splitlines()
    return (
        f"mount, pid and network namespaces cannot be made ({said[-1] if said else 'no message'}); "
        "inside a container, start it with --privileged"
    )


def _user_namespaces() -> str:
    """Apptainer in the lab runs as an unprivileged user, who needs user namespaces."""
    limit = _number(Path("/proc/sys/user/max_user_namespaces"), 1)
    if limit == 0 or _number(Path("/proc/sys/kernel/unprivileged_userns_clone"), 1) == 0:
        return (
            "user namespaces are switched off for unprivileged users: sysctl -w "
            "user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1"
        )
    if _number(Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"), 0) == 1:
        return "AppArmor restricts user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return ""


def _name() -> str:
    """A comma or colon in a folder's name ends it for overlay mounts and apt."""
    if odd := re.search(r"[^\w ./@+~-]", str(places.lab_cache()), re.ASCII):
        return f"{places.lab_cache()} has {odd[0]!r} in its name: set POCKET_COFFEA_CACHE to a plain one"
    return ""


def _disk() -> str:
    from ci.lab.host.build import root_folder

    folder = _existing(places.lab_cache())
    free = shutil.disk_usage(folder).free
    needed = UP_DISK if root_folder().is_dir() else NEEDED_DISK
    if free >= needed:
        return ""
    return (
        f"{folder} has {free / 1024**3:.1f} GiB free, a lab needs {needed / 1024**3:.0f}: free some "
        "space, or set POCKET_COFFEA_CACHE to a folder on a larger disk"
    )


def _memory() -> str:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
            if available < NEEDED_MEMORY:
                return f"{available / 1024**3:.1f} GiB of memory are available, a lab needs 3"
    return ""


def _readable() -> str:
    closed = [
        folder
        for folder in (places.PROJECT, places.PROJECT / "pocket_coffea")
        if folder.stat().st_mode & 0o005 != 0o005
    ]
    if not closed:
        return ""
    return f"{closed[0]} is not readable to the lab's users: chmod -R go+rX {places.PROJECT}"


def _mmdebstrap() -> str:
    if shutil.which("mmdebstrap") or shutil.which("apt-get"):
        return ""
    return "mmdebstrap is not on PATH and there is no apt-get to install it with: install mmdebstrap"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _number(path: Path, default: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return default
