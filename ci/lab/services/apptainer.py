"""Apptainer for unprivileged users, shown by a small image that tests run jobs in."""

from __future__ import annotations

from pathlib import Path

from ci.lab.inside.service import Service, folder
from ci.lab.layout import PHYSICIST
from ci.lab.process import run

DEFINITION = Path(__file__).with_suffix(".def")
IMAGE = Path("/shared/images/busybox.sif")
AS_PHYSICIST = ("setpriv", f"--reuid={PHYSICIST}", f"--regid={PHYSICIST}", "--init-groups", "env", "-i")


class Apptainer(Service):
    name = "apptainer"
    needs = ("node",)

    def prepare(self) -> None:
        folder(IMAGE.parent, owner=PHYSICIST)
        self._as_physicist("build", "--fakeroot", IMAGE, DEFINITION)

    def check(self) -> str:
        self._as_physicist("exec", IMAGE, "true")
        return f"{self._as_physicist('--version')}; {IMAGE}"

    def _as_physicist(self, *arguments: str | Path) -> str:
        environment = [f"HOME=/home/{PHYSICIST}", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C.UTF-8"]
        command = [*AS_PHYSICIST, *environment, "--chdir=/tmp", "apptainer", *arguments]
        return run(command, timeout=60).stdout.strip()


SERVICE = Apptainer()
