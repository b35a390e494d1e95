"""Slurm's accounting: what `sacct` answers from, and the accounts that jobs are charged to."""

from __future__ import annotations

from pathlib import Path

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.layout import PHYSICIST, PORTS
from ci.lab.process import CommandFailedError, run
from ci.lab.services.slurm import CLUSTER, CONFIGURATION, HOST, write_configuration

TEMPLATE = Path(__file__).with_suffix(".conf")
ACCOUNTS = ("cms", "cms-top")  # the first is physicist's default; any other is refused, as at a real site


class SlurmAccounting(Service):
    name = "slurmdbd"
    needs = ("munge", "mariadb")
    ports = (PORTS["slurmdbd"],)

    def prepare(self) -> None:
        folder("/run/slurm", owner="slurm")
        write_configuration()
        text = TEMPLATE.read_text().format(host=HOST, port=PORTS["slurmdbd"])
        # slurmdbd insists on this mode
        write(CONFIGURATION.with_name("slurmdbd.conf"), text, mode=0o600, owner="slurm")

    def daemons(self) -> list[Daemon]:
        return [Daemon("slurmdbd", ("slurmdbd", "-D"), user="slurm")]

    def check(self) -> str:
        _sacctmgr("show", "cluster", "format=cluster")
        return f"127.0.0.1:{PORTS['slurmdbd']}; accounts {', '.join(ACCOUNTS)}"

    def settle(self) -> None:
        _sacctmgr("add", "cluster", CLUSTER)
        _sacctmgr("add", "account", ",".join(ACCOUNTS), f"cluster={CLUSTER}", "organization=cms")
        _sacctmgr("add", "user", PHYSICIST, f"account={','.join(ACCOUNTS)}", f"defaultaccount={ACCOUNTS[0]}")


def _sacctmgr(*arguments: str) -> str:
    try:
        return run(["sacctmgr", "--immediate", "--noheader", "--parsable2", *arguments], timeout=20).stdout
    except CommandFailedError as error:
        raise NotReadyError(str(error)) from error


SERVICE = SlurmAccounting()
