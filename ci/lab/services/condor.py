"""HTCondor as CERN's users see it: flavours with time limits, images in /srv, holds; on lab.site."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from ci.lab.errors import LabError, NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, write
from ci.lab.layout import CVMFS, HOST_NAME, IMAGES, LOGS, PHYSICIST, PORTS, PROJECT, SCRATCH, SHARED
from ci.lab.process import run

TEMPLATE = Path(__file__).with_suffix(".conf")
CONFIG = Path("/etc/condor/condor_config")  # Debian's; it reads config.d
BINDS = (SHARED, IMAGES, PROJECT, Path("/home") / PHYSICIST, CVMFS)
CREDENTIALS = Path("/var/lib/condor/krb")
FLAVOURS = {  # CERN's limits, with minutes turned into seconds
    "espresso": 20,
    "microcentury": 60,
    "longlunch": 2 * 60,
    "workday": 8 * 60,
    "tomorrow": 24 * 60,
    "testmatch": 3 * 24 * 60,
    "nextweek": 7 * 24 * 60,
}
LOG_NAMES = ("MasterLog", "CollectorLog", "NegotiatorLog", "SchedLog", "StartLog", "ShadowLog")


class Condor(Service):
    name = "condor"
    needs = ("node",)
    ports = (PORTS["condor"],)
    stop_seconds = 12.0

    def prepare(self) -> None:
        text = TEMPLATE.read_text().format(
            host=HOST_NAME,
            port=PORTS["condor"],
            scratch=SCRATCH,
            logs=LOGS / self.name,
            credentials=CREDENTIALS,
            binds=",".join(str(path) for path in BINDS),
            flavours=flavours_expression(),
        )
        write(CONFIG.parent / "config.d" / "50-lab.conf", text)
        for path in ("/run/condor", "/run/lock/condor", "/var/spool/condor", SCRATCH / "condor"):
            folder(path, owner="condor")
        folder(CREDENTIALS, mode=0o711)  # HTCondor looks for the file as condor, and reads it as root
        cache = write(CREDENTIALS / f"{PHYSICIST}.cc", "", mode=0o600)
        cache.write_bytes(kerberos_cache(PHYSICIST, HOST_NAME.upper()))
        show_logs(self.name, LOG_NAMES)

    def daemons(self) -> list[Daemon]:
        return [Daemon("condor", ["/usr/sbin/condor_master", "-f"])]

    def check(self) -> str:
        must_advertise(HOST_NAME)
        jobs = client("condor_q", "-allusers", "-totals").strip().splitlines()[-1]
        return f"{HOST_NAME}:{PORTS['condor']} takes jobs; {jobs.removeprefix('Total for all users: ')}"

    def environment(self) -> Mapping[str, str]:
        return {"CONDOR_CONFIG": str(CONFIG)}


def kerberos_cache(user: str, realm: str) -> bytes:
    """Return a Kerberos cache (file format 4) of the user, without tickets: nobody issues any here."""
    words = [word.encode() for word in (realm, user)]
    principal = b"".join(struct.pack(">I", len(word)) + word for word in words)
    return b"\x05\x04" + struct.pack(">H", 0) + struct.pack(">II", 1, len(words) - 1) + principal


def flavours_expression() -> str:
    """Return the ClassAd expression of a job's time limit in s; an unknown flavour is espresso."""
    expression = str(FLAVOURS["espresso"])
    for flavour, seconds in FLAVOURS.items():
        expression = f'(JobFlavour == "{flavour}" ? {seconds} : {expression})'
    return expression


def show_logs(name: str, logs: tuple[str, ...]) -> None:
    """Give the machine's daemons a folder of logs, and `lab logs` a name for each of them."""
    folder(LOGS / name, owner="condor")
    for log in logs:
        link = LOGS / f"{name}-{log.removesuffix('Log').lower()}.log"
        link.unlink(missing_ok=True)
        link.symlink_to(Path(name) / log)


def must_advertise(machine: str) -> None:
    """Raise NotReadyError unless the collector knows a slot of the machine."""
    constraint = f'Machine == "{machine}" && PartitionableSlot'
    if client("condor_status", "-constraint", constraint, "-af", "Name").strip():
        return
    msg = f"{machine} has not joined the pool"
    raise NotReadyError(msg)


def client(*command: str) -> str:
    """Return what a client's command prints; raises NotReadyError when it fails."""
    try:
        return run(command, timeout=10).stdout
    except LabError as error:
        raise NotReadyError(str(error)) from error


SERVICE = Condor()
