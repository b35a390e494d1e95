"""Munge: how the daemons and commands of Slurm prove who calls them."""

from __future__ import annotations

import secrets
from pathlib import Path

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.process import CommandFailedError, run

KEY = Path("/etc/munge/munge.key")


class Munge(Service):
    name = "munge"

    def prepare(self) -> None:
        folder(KEY.parent, owner="munge", mode=0o700)
        folder("/run/munge", owner="munge")
        folder("/var/lib/munge", owner="munge", mode=0o700)
        folder("/var/log/munge", owner="munge", mode=0o700)
        self._new_key()

    def daemons(self) -> list[Daemon]:
        return [Daemon("munged", ("munged", "--foreground", f"--key-file={KEY}"), user="munge")]

    def check(self) -> str:
        try:
            token = run(["munge", "--no-input"], timeout=5).stdout
            run(["unmunge", "--no-output"], stdin=token, timeout=5)
        except CommandFailedError as error:
            raise NotReadyError(str(error)) from error
        return "a credential was made and read"

    def _new_key(self) -> None:
        """Each lab gets a key of its own; the one of the package is the same in every lab of the root."""
        KEY.unlink(missing_ok=True)
        write(KEY, "", mode=0o600, owner="munge").write_bytes(secrets.token_bytes(128))


SERVICE = Munge()
