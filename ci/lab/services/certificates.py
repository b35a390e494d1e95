"""The grid's certificates: a test CA, host certificates, a VOMS server's, and physicist's with a VOMS proxy.

There is no VOMS server: the lab signs the attributes itself with the VOMS server's certificate, which every
service of the lab trusts for the VO `cms`.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from ci.lab.errors import LabError, NotReadyError
from ci.lab.inside.service import Service, folder, write
from ci.lab.layout import CVMFS, PHYSICIST
from ci.lab.process import CommandFailedError, run

GRID = Path("/etc/grid-security")
CA_FOLDER, VOMS_FOLDER = GRID / "certificates", GRID / "vomsdir"
PRIVATE = GRID / "private"  # keys of the CA and of the VOMS server, root's alone
#: Where images and site files look for the grid's certificates, as CVMFS offers them at every site.
OFFERED = CVMFS / "grid.cern.ch/etc/grid-security"
HOST_CERT, HOST_KEY = GRID / "hostcert.pem", GRID / "hostkey.pem"
XROOTD_CERT, XROOTD_KEY = GRID / "xrd" / "xrdcert.pem", GRID / "xrd" / "xrdkey.pem"
PROBE_PROXY = PRIVATE / "probe.proxy"  # with which the lab's own checks ask the protected server
USER_CERT = Path(f"/home/{PHYSICIST}/.globus/usercert.pem")
USER_KEY = USER_CERT.with_name("userkey.pem")
OWN_USER = PRIVATE / "user.pem", PRIVATE / "user.key"  # voms-proxy-fake takes a key of its own user only
PROXY = Path("/tmp/x509up_u1000")
RENEWAL = Path("/usr/local/bin/voms-proxy-init")

VO = "cms"
VOMS_HOST = "voms.site"
DOMAIN = "/DC=site/DC=lab"
CA_NAME = f"{DOMAIN}/CN=Lab Test CA"
USER_NAME = f"{DOMAIN}/OU=Users/CN=physicist"
HOST_NAMES = ("localhost", "lab.site", "kit.site", "fnal.site", "redirector.site", "rucio.site")
GROUPS = (f"/{VO}/Role=NULL/Capability=NULL", f"/{VO}/lab/Role=NULL/Capability=NULL")
HOURS = 24  # of the first proxy
LONGEST_HOURS = 24 * 365
BEGIN, END = "20200101000000Z", "20371231000000Z"  # so that no clock that a fault shifts falls outside
EXPIRED_HOURS = 48  # how long ago an expired proxy was made

SIGNING_POLICY = f"""\
access_id_CA   X509    '{CA_NAME}'
pos_rights     globus  CA:sign
cond_subjects  globus  '"{DOMAIN}/*"'
"""


class Certificates(Service):
    name = "certificates"

    def prepare(self) -> None:
        folder(GRID)
        folder(PRIVATE, mode=0o700)
        _make_ca()
        _make_hosts()
        _make_users()
        for public in (CA_FOLDER, VOMS_FOLDER):
            shutil.copytree(public, OFFERED / public.name, dirs_exist_ok=True)
        shutil.copyfile(Path(__file__).with_name("voms-proxy-init"), RENEWAL)
        RENEWAL.chmod(0o755)
        make_proxy(HOURS)

    def check(self) -> str:
        left = run(["/usr/bin/voms-proxy-info", "-file", PROXY, "-timeleft"], timeout=5, check=False).stdout
        if not re.fullmatch(r"-?\d+\s*", left):
            msg = f"no proxy at {PROXY}: {left.strip()}"
            raise NotReadyError(msg)
        hours = int(left) / 3600
        return f"{PROXY}: " + (f"valid for {hours:.1f} h" if hours > 0 else "expired")

    def environment(self) -> dict[str, str]:
        return {"X509_CERT_DIR": str(CA_FOLDER), "X509_VOMS_DIR": str(VOMS_FOLDER)}


def make_proxy(hours: int, *, expired: bool = False) -> None:
    """Replace physicist's VOMS proxy, at once and for good, by one of ``hours`` h or by an expired one."""
    half = PROXY.with_name(f".{PROXY.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        _voms_proxy(*OWN_USER, half, 1 if expired else hours, ago=EXPIRED_HOURS if expired else 0)
        shutil.chown(half, PHYSICIST, PHYSICIST)
        half.rename(PROXY)
    finally:
        half.unlink(missing_ok=True)


def faketime(seconds: int) -> dict[str, str]:
    """Return the environment in which a program's clock is ``seconds`` ahead, or behind if negative."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        msg = "libfaketime is not in the lab's root file system: ci/lab/recipe/packages.txt"
        raise LabError(msg)
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def _make_ca() -> None:
    key, certificate = PRIVATE / "ca.key", PRIVATE / "ca.pem"
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    _certificate(CA_NAME, certificate, key, extensions, signed=False)
    hashed = run(["openssl", "x509", "-in", certificate, "-noout", "-subject_hash"]).stdout.strip()
    folder(CA_FOLDER)
    shutil.copyfile(certificate, CA_FOLDER / f"{hashed}.0")
    write(CA_FOLDER / f"{hashed}.signing_policy", SIGNING_POLICY)


def _make_hosts() -> None:
    names = ",".join(f"DNS:{name}" for name in HOST_NAMES) + ",IP:127.0.0.1"
    extensions = (
        f"subjectAltName={names}",
        "extendedKeyUsage=serverAuth,clientAuth",
        "keyUsage=critical,digitalSignature,keyEncipherment",
    )
    _certificate(f"{DOMAIN}/CN=lab.site", HOST_CERT, HOST_KEY, extensions)
    folder(XROOTD_CERT.parent)
    for source, target in ((HOST_CERT, XROOTD_CERT), (HOST_KEY, XROOTD_KEY)):
        write(target, source.read_text(), mode=0o400, owner="xrootd")
    voms = f"{DOMAIN}/CN={VOMS_HOST}"
    _certificate(voms, PRIVATE / "voms.pem", PRIVATE / "voms.key", extensions[1:])
    write(VOMS_FOLDER / VO / f"{VOMS_HOST}.lsc", f"{voms}\n{CA_NAME}\n")


def _make_users() -> None:
    extensions = ("keyUsage=critical,digitalSignature,keyEncipherment", "extendedKeyUsage=clientAuth")
    folder(USER_CERT.parent, owner=PHYSICIST)
    certificate, key = OWN_USER
    _certificate(USER_NAME, certificate, key, extensions)
    write(USER_CERT, certificate.read_text(), owner=PHYSICIST)
    write(USER_KEY, key.read_text(), mode=0o400, owner=PHYSICIST)
    probe = PRIVATE / "probe.pem", PRIVATE / "probe.key"
    _certificate(f"{DOMAIN}/OU=Robots/CN=probe", *probe, extensions)
    _voms_proxy(*probe, PROBE_PROXY, 2 * LONGEST_HOURS, ago=LONGEST_HOURS)


def _certificate(
    name: str, certificate: Path, key: Path, extensions: tuple[str, ...], *, signed: bool = True
) -> None:
    """Make a key (root's alone) and a certificate, signed by the lab's CA or by itself."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", name]
    command += ["-keyout", str(key), "-out", str(certificate), "-not_before", BEGIN, "-not_after", END]
    if signed:
        command += ["-CA", str(PRIVATE / "ca.pem"), "-CAkey", str(PRIVATE / "ca.key")]
        extensions = ("basicConstraints=critical,CA:FALSE", *extensions)
    for extension in extensions:
        command += ["-addext", extension]
    key.touch(mode=0o600)
    run(command, timeout=30)


def _voms_proxy(certificate: Path, key: Path, out: Path, hours: int, *, ago: int = 0) -> None:
    """Write a proxy with VOMS attributes that is valid for ``hours`` h from ``ago`` h ago on."""
    command: list[str | Path] = [
        "voms-proxy-fake",
        "-rfc",
        "-quiet",
        "-cert",
        certificate,
        "-key",
        key,
        "-bits",
        "2048",
    ]
    command += ["-hostcert", PRIVATE / "voms.pem", "-hostkey", PRIVATE / "voms.key", "-certdir", CA_FOLDER]
    command += ["-voms", VO, "-uri", f"{VOMS_HOST}:15002", "-hours", str(hours), "-vomslife", str(hours)]
    for group in GROUPS:
        command += ["-fqan", group]
    env = {**os.environ, **(faketime(-ago * 3600) if ago else {})}
    try:
        run([*command, "-out", out], timeout=30, env=env)
    except CommandFailedError as error:
        msg = f"no VOMS proxy could be made: {error}"
        raise LabError(msg) from error


SERVICE = Certificates()
