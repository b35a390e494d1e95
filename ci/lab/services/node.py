"""The machine itself: names, memory and the FUSE device that Apptainer mounts images with."""

from __future__ import annotations

import os
import shutil
import socket

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Service, folder
from ci.lab.layout import CVMFS, PHYSICIST, SCRATCH, SHARED


class Node(Service):
    name = "node"

    def prepare(self) -> None:
        folder(SHARED / PHYSICIST, owner=PHYSICIST)
        folder(SCRATCH, mode=0o1777)
        folder(CVMFS)

    def check(self) -> str:
        if not os.access("/dev/fuse", os.W_OK):
            msg = "/dev/fuse cannot be opened"
            raise NotReadyError(msg)
        free = shutil.disk_usage(SHARED).free / 1024**2
        return f"{socket.gethostname()}: {SHARED} has {free:.0f} MiB free"


SERVICE = Node()
