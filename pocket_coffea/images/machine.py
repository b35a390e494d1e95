"""What this machine lacks to build images, in one sentence."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from pocket_coffea.errors import CommandFailed
from pocket_coffea.utils.process import run_command

__all__ = ["require_building"]

_PROGRAMS = ("mmdebstrap", "apt-get", "tar", "chroot")


def require_building() -> None:
    """Raise CommandFailed, saying what is missing and how to get it, when no image can be built here."""
    lacking = _lacking()
    if lacking:
        msg = f"Images cannot be built on this machine: {lacking}"
        raise CommandFailed(msg)


def _lacking() -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"
    programs = [name for name in _PROGRAMS if shutil.which(name, path=path) is None]
    if programs:
        return f"there is no {' and no '.join(programs)}. On Debian or Ubuntu: apt-get install mmdebstrap."
    if os.geteuid() == 0:
        return ""
    if shutil.which("newuidmap", path=path) is None:
        return "there is no newuidmap to map users with. On Debian or Ubuntu: apt-get install uidmap."
    user = pwd.getpwuid(os.getuid()).pw_name
    for name in ("/etc/subuid", "/etc/subgid"):
        lines = Path(name).read_text().splitlines() if Path(name).exists() else []
        if not any(line.split(":")[0] in (user, str(os.getuid())) for line in lines):
            return (
                f"{name} gives {user} no range of subordinate ids. The administrator can: "
                f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}."
            )
    if run_command(["unshare", "--user", "true"], timeout=30, check=False).returncode:
        return "the kernel refuses user namespaces (sysctl user.max_user_namespaces)."
    return ""
