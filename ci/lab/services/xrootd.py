"""XRootD: two data servers that stand for two CMS sites, and a redirector over both.

`kit` wants a grid proxy and lets physicist write below /store/user/physicist; `fnal` is open and read-only.
Each server is an xrootd with its cmsd, which ends with it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ci.lab.errors import NotReadyError
from ci.lab.inside.service import Daemon, Service, folder, must_listen, write
from ci.lab.layout import ETC, PHYSICIST, PORTS
from ci.lab.process import CommandFailedError, run
from ci.lab.services.certificates import (
    CA_FOLDER,
    PROBE_PROXY,
    USER_NAME,
    VO,
    VOMS_FOLDER,
    XROOTD_CERT,
    XROOTD_KEY,
    faketime,
)
from ci.lab.services.data import catalogue, local

TEMPLATES = Path(__file__).parent
CONFIG = ETC / "xrootd"
RUN = Path("/run/xrootd")
REDIRECTOR = f"redirector.site:{PORTS['xrootd-redirector']}"
SLOW_RATE = 200_000  # bytes/s
CLIENT_LIMITS = {  # an answer within seconds or none: a check must not hang on a server that a fault froze
    "XRD_CONNECTIONRETRY": "1",
    "XRD_CONNECTIONWINDOW": "2",
    "XRD_TIMEOUTRESOLUTION": "1",
    "XRD_REQUESTTIMEOUT": "4",
    "XRD_STREAMTIMEOUT": "4",
    "XRD_STREAMERRORWINDOW": "2",
}


@dataclass
class Site:
    """A data server; faults set ``slow`` and ``clock`` (seconds ahead), which hold from its next start."""

    name: str
    rse: str  # the name that CMS gives to its storage
    prefix: str  # of its file names
    protected: bool
    slow: bool = False
    clock: int = 0
    fault: str = field(default="", compare=False)  # why it does not answer

    @property
    def address(self) -> str:
        return f"{self.name}.site:{PORTS[f'xrootd-{self.name}']}"

    @property
    def daemon(self) -> str:
        return f"xrootd-{self.name}"

    @property
    def root(self) -> Path:
        return Path("/srv/xrootd") / self.name

    def path(self, lfn: str) -> Path:
        """Return the site's own copy of a file."""
        return self.root / lfn.lstrip("/")


SITES = {
    "kit": Site("kit", "T1_DE_KIT_Disk", "/pnfs/gridka.de/cms", protected=True),
    "fnal": Site("fnal", "T2_US_FNAL", "/eos/uscms", protected=False),
}


class XRootD(Service):
    name = "xrootd"
    needs = ("certificates", "data")
    ports = tuple(
        PORTS[name] for name in ("xrootd-redirector", "xrootd-kit", "xrootd-fnal", "cmsd-redirector")
    )
    stop_seconds = 3.0

    def prepare(self) -> None:
        folder(RUN, owner="xrootd")
        fill = {"cmsd": PORTS["cmsd-redirector"], "run": RUN, "port": PORTS["xrootd-redirector"]}
        write(CONFIG / "redirector.cfg", _template("redirector", **fill))
        for site in SITES.values():
            _copy_files(site)
            configure(site)

    def daemons(self) -> list[Daemon]:
        return [_daemon("redirector"), *(_daemon(site.name, site.clock) for site in SITES.values())]

    def check(self) -> str:
        if faults := [site.fault for site in SITES.values() if site.fault]:
            raise NotReadyError("; ".join(faults))
        for port in self.ports:
            must_listen(port)
        for site in SITES.values():
            check_site(site)
        addresses = ", ".join(f"{site.name} root://{site.address}" for site in SITES.values())
        return f"root://{REDIRECTOR} over {addresses}"


def check_site(site: Site) -> None:
    """Raise NotReadyError unless the site answers and the redirector sends clients to it."""
    _ask(site.address, "stat", "/store")
    port = site.address.rpartition(":")[2]
    if f":{port} " not in _ask(REDIRECTOR, "locate", "-h", _everywhere()) + " ":
        msg = f"the redirector does not see {site.name} yet"
        raise NotReadyError(msg)


def configure(site: Site) -> None:
    """Write the configuration of a site's daemons, as its faults want it."""
    fill = {
        "site": site.name,
        "cmsd": PORTS["cmsd-redirector"],
        "root": site.root,
        "prefix": site.prefix,
        "run": RUN,
        "port": PORTS[f"xrootd-{site.name}"],
        "writing": "r/w" if site.protected else "r/o",
    }
    text = _template("site", **fill)
    if site.protected:
        text += _protection(site)
    if site.slow:
        text += _template("slow", rate=SLOW_RATE)
    write(CONFIG / f"{site.name}.cfg", text)


def _protection(site: Site) -> str:
    gridmap = write(CONFIG / f"{site.name}.gridmap", f'"{USER_NAME}" {PHYSICIST}\n')
    bases = ("", site.prefix)
    rights = [
        f"g /{VO} " + " ".join(f"{base}/store rl" for base in bases),
        f"u {PHYSICIST} " + " ".join(f"{base}/store/user/{PHYSICIST} a" for base in bases),
    ]
    return _template(
        "gsi",
        certificates=CA_FOLDER,
        vomsdir=VOMS_FOLDER,
        cert=XROOTD_CERT,
        key=XROOTD_KEY,
        gridmap=gridmap,
        vo=VO,
        authdb=write(CONFIG / f"{site.name}.authdb", "\n".join(rights) + "\n"),
    )


def _template(name: str, **fill: object) -> str:
    return (TEMPLATES / f"xrootd-{name}.cfg").read_text().format(**fill)


def _copy_files(site: Site) -> None:
    """Give the site its own copies: a fault may corrupt one of them."""
    shutil.rmtree(site.root, ignore_errors=True)
    for file in catalogue():
        if site.rse in file["sites"]:
            target = site.path(file["lfn"])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(local(file["lfn"]), target)
    folder(site.path(f"/store/user/{PHYSICIST}"))
    prefixed = site.path(site.prefix) / "store"
    prefixed.parent.mkdir(parents=True)
    prefixed.symlink_to(os.path.relpath(site.path("/store"), prefixed.parent))
    run(["chown", "-R", "xrootd:xrootd", site.root])


def _daemon(name: str, clock: int = 0) -> Daemon:
    """Return the pair of a node; an xrootd that starts before its cmsd listens would wait for ten seconds."""
    manager = name == "redirector"
    where = str(PORTS["cmsd-redirector"]) if manager else str(RUN / name / ".olb" / "olbd.admin")
    options = ["-c", str(CONFIG / f"{name}.cfg"), "-n", name]
    command = ["/usr/bin/python3", "-m", "ci.lab.inside.paired", where]
    command += ["xrootd", *options, "--", "cmsd", *options]
    environment = {"PYTHONPATH": "/project", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.update(faketime(clock) if clock else {})
    return Daemon(f"xrootd-{name}", command, user="xrootd", environment=environment, folder=str(RUN))


def _everywhere() -> str:
    return next(file["lfn"] for file in catalogue() if len(file["sites"]) == len(SITES))


def _ask(address: str, *question: str) -> str:
    env = {
        **os.environ,
        **CLIENT_LIMITS,
        "X509_USER_PROXY": str(PROBE_PROXY),
        "X509_CERT_DIR": str(CA_FOLDER),
    }
    try:
        return run(["xrdfs", address, *question], timeout=8, env=env).stdout.strip()
    except CommandFailedError as error:
        said = error.output.strip().splitlines()
        msg = f"root://{address} does not answer `{question[0]}`: {said[-1] if said else 'time limit'}"
        raise NotReadyError(msg) from error


SERVICE = XRootD()
