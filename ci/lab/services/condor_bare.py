"""A worker of the HTCondor pool that sees no file system of the submit side, as at FNAL: bare.site."""

from __future__ import annotations

from pathlib import Path

from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.layout import (
    BARE_HOST_NAME,
    CVMFS,
    ETC,
    IMAGES,
    LOGS,
    PHYSICIST,
    PORTS,
    PROJECT,
    SCRATCH,
    SHARED,
    WORK,
)
from ci.lab.process import replace, run
from ci.lab.services.condor import must_advertise, show_logs

HERE = Path(__file__).parent
FOLDER = ETC / "condor-bare"
STATE = Path("/var/lib/condor-bare")
ABSENT = (SHARED, WORK, PROJECT, Path("/home") / PHYSICIST)  # empty and read-only on this machine


class CondorBare(Service):
    name = "condor-bare"
    needs = ("condor",)
    ports = (PORTS["condor-bare"],)
    stop_seconds = 12.0

    def prepare(self) -> None:
        write(FOLDER / "condor_config", (HERE / "condor-bare.conf").read_text().format(folder=FOLDER))
        text = (HERE / "condor-bare-worker.conf").read_text()
        text = text.format(
            host=BARE_HOST_NAME,
            port=PORTS["condor-bare"],
            state=STATE,
            logs=LOGS / self.name,
            binds=f"{IMAGES},{CVMFS}",
        )
        write(FOLDER / "config.d" / "50-bare.conf", text)
        for name in ("", "run", "lock", "spool"):
            folder(STATE / name, owner="condor")
        show_logs(self.name, ("MasterLog", "StartLog"))

    def daemons(self) -> list[Daemon]:
        command = ["/usr/bin/unshare", "--mount", "--uts", "--propagation=private"]
        command += ["/usr/bin/python3", "-m", "ci.lab.services.condor_bare"]
        environment = {"PYTHONPATH": str(PROJECT), "CONDOR_CONFIG": str(FOLDER / "condor_config")}
        return [Daemon("condor-bare", command, environment=environment)]

    def check(self) -> str:
        must_advertise(BARE_HOST_NAME)
        return f"{BARE_HOST_NAME}:{PORTS['condor-bare']} takes jobs that ask for HasSharedFS == False"


def become_bare() -> None:
    """Hide what this machine does not have, take its name, and become its condor_master; does not return."""
    run(["hostname", BARE_HOST_NAME])
    run(["mount", "-t", "tmpfs", "-o", "mode=1777,size=1g", "scratch", SCRATCH])
    folder(SCRATCH / "condor", owner="condor")
    for path in ABSENT:
        run(["mount", "-t", "tmpfs", "-o", "ro,mode=0555,size=4k", "absent", path])
    replace(["/usr/sbin/condor_master", "-f"])


SERVICE = CondorBare()

if __name__ == "__main__":
    become_bare()
