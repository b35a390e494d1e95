"""Slurm: a controller and a worker node, with the partitions that sites name, and real accounting."""

from __future__ import annotations

from pathlib import Path

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.layout import PHYSICIST, PORTS, PROJECT, SCRATCH
from ci.lab.process import CommandFailedError, run

CLUSTER = "lab"
HOST = "lab"  # of controller and node: the machine's short name
CPUS = 8
MEMORY = 16_000  # MB
CONFIGURATION = Path("/etc/slurm/slurm.conf")
TEMPLATE = Path(__file__).with_suffix(".conf")
MEMORY_WATCH = ("/usr/bin/python3", "-B", "-m", "ci.lab.services.slurm_memory")
READY = ("idle", "mixed", "allocated", "completing")


class Slurm(Service):
    name = "slurm"
    needs = ("node", "munge", "slurmdbd")
    ports = (PORTS["slurmctld"], PORTS["slurmd"])

    def prepare(self) -> None:
        folder("/var/spool/slurm/controller", owner="slurm", mode=0o700)
        folder("/var/spool/slurm/node")
        folder(SCRATCH / PHYSICIST, owner=PHYSICIST)
        write_configuration()

    def daemons(self) -> list[Daemon]:
        return [
            Daemon("slurmctld", ("slurmctld", "-D"), user="slurm"),
            Daemon("slurmd", ("slurmd", "-D", "-N", HOST)),
            Daemon("slurm-memory", MEMORY_WATCH, environment={"PYTHONPATH": str(PROJECT)}),
        ]

    def check(self) -> str:
        try:
            said = run(["sinfo", "--noheader", "--Node", "--format=%T", f"--nodes={HOST}"], timeout=10).stdout
        except CommandFailedError as error:
            raise NotReadyError(str(error)) from error
        state = (said.split() or ["unknown"])[0]
        if state not in READY:
            msg = f"node {HOST} is {state}"
            raise NotReadyError(msg)
        return f"127.0.0.1:{PORTS['slurmctld']}; node {HOST} is {state}, {CPUS} CPUs, {MEMORY} MB"


def write_configuration() -> None:
    """Write what every daemon and command of Slurm reads; nothing in it is secret."""
    # glibc finds no name for Slurm, which asks with AI_ADDRCONFIG, where 127.0.0.1 is the only address
    run(["ip", "address", "replace", "127.0.1.1/8", "dev", "lo"])
    ports = {name: PORTS[name] for name in ("slurmctld", "slurmd", "slurmdbd")}
    text = TEMPLATE.read_text().format(cluster=CLUSTER, host=HOST, cpus=CPUS, memory=MEMORY, **ports)
    write(CONFIGURATION, text)
    write(CONFIGURATION.with_name("cgroup.conf"), "CgroupPlugin=disabled\n")


SERVICE = Slurm()
