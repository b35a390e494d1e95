"""The grid proxy that jobs need: found, and checked before anything is submitted.

What can be wrong with it would otherwise be seen hours later, as jobs that cannot open their files. Nothing
of its content is logged; the file is read here and by :mod:`pocket_coffea.executors.worker_folder` alone.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_coffea.errors import CommandFailed, ConfigurationError
from pocket_coffea.utils.process import run_command
from pocket_coffea.utils.units import to_seconds

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["RENEW", "SHORTEST", "GridProxy", "find_proxy", "read_proxy"]

log = logging.getLogger(__name__)

#: What makes a new proxy.
RENEW = "voms-proxy-init -voms cms -rfc --valid 168:0"
#: A proxy with less time left [s] is refused.
SHORTEST = 20 * 60

_WITHOUT = "or, when all input is open data, set the run option ignore-grid-certificate: true"
#: Where a proxy carries the signed attributes of its VO.
_ATTRIBUTES = "1.3.6.1.4.1.8005.100.100.5"
#: Their validity: a sequence of two times, in DER.
_VALIDITY = re.compile(rb"\x30\x22\x18\x0f\d{14}Z\x18\x0f(\d{14})Z")
_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class GridProxy:
    """A usable proxy. ``not_after``: when the first of its certificates and VO attributes ends, in UTC;
    ``subject``: whose it is, as voms-proxy-info writes it; ``voms``: whether it has attributes of a VO."""

    path: Path
    not_after: datetime
    subject: str
    voms: bool

    def seconds_left(self) -> float:
        """Return how long it is good from now on [s]."""
        return (self.not_after - datetime.now(UTC)).total_seconds()


def find_proxy(options: Mapping[str, Any], needed: float | None = None) -> GridProxy | None:
    """Return the proxy of the run, None with ``ignore-grid-certificate``.

    Looked for at ``voms-proxy``, ``$X509_USER_PROXY``, ``voms-proxy-info -path`` and
    ``/tmp/x509up_u<uid>``; the first that is named counts. ``needed``: how long jobs may run [s], by default
    the option ``walltime``; a proxy that ends earlier is said in the log. Raises ConfigurationError when
    there is none, others may read it, it is none, or it ends within 20 minutes.
    """
    if options.get("ignore-grid-certificate"):
        return None
    path, origin = _place(options)
    proxy = read_proxy(path, origin)
    left = proxy.seconds_left()
    if left < SHORTEST:
        msg = (
            f"The grid proxy {path} ({origin}) {_ends(proxy)}, and jobs need at least {SHORTEST // 60} "
            f"minutes. Renew it: {RENEW} ({_WITHOUT})."
        )
        raise ConfigurationError(msg)
    if needed is None and options.get("walltime") is not None:
        needed = to_seconds(options["walltime"])
    if needed is not None and left < needed:
        log.warning(
            "The grid proxy %s %s, but a job may run for %s: what still runs then cannot open files any "
            "more. Renew it: %s",
            path,
            _ends(proxy),
            _span(needed),
            RENEW,
        )
    if not proxy.voms:
        log.warning(
            "The grid proxy %s has no attributes of a VO: CMS sites will refuse it. Renew it: %s", path, RENEW
        )
    return proxy


def _place(options: Mapping[str, Any]) -> tuple[Path, str]:
    """Return where the proxy is and what says so."""
    if given := options.get("voms-proxy"):
        return Path(os.path.expandvars(str(given))).expanduser().absolute(), "run option voms-proxy"
    if named := os.environ.get("X509_USER_PROXY"):
        return Path(named).absolute(), "$X509_USER_PROXY"
    if shutil.which("voms-proxy-info"):
        try:
            told = run_command(["voms-proxy-info", "-path"], timeout=60, check=False).stdout.strip()
        except CommandFailed:
            told = ""
        if told.startswith("/"):
            return Path(told.splitlines()[0]), "voms-proxy-info -path"
    return Path(f"/tmp/x509up_u{os.getuid()}"), "where voms-proxy-init puts it"


def read_proxy(path: Path, origin: str = "") -> GridProxy:
    """Return what a proxy file says. ``origin``: what named the file, for messages.

    Raises ConfigurationError when it is missing, belongs to somebody else, can be read by others or is no
    proxy. How much time is left is not looked at.
    """
    where = f"{path} ({origin})" if origin else str(path)
    _require_private(path, where)
    try:
        content = path.read_bytes()
        certificates = _certificates(content)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no readable certificate"
        msg = f"The grid proxy {where} cannot be read: {reason}. Make a new one: {RENEW}."
        raise ConfigurationError(msg) from error
    if not _KEY.search(content):
        msg = f"The file {where} is no grid proxy: it has a certificate but no key. Make one: {RENEW}."
        raise ConfigurationError(msg)
    attributes = [found for each in certificates for found in _attributes(each)]
    ends = [each.not_valid_after_utc for each in certificates]
    ends += [end for found in attributes for end in _ends_of_attributes(found)]
    # the certificate after the proxies is the user's own
    owner = certificates[-1].subject if len(certificates) > 1 else certificates[0].issuer
    subject = "".join(f"/{part.rfc4514_string()}" for part in owner.rdns)
    return GridProxy(path, min(ends), subject, bool(attributes))


def _require_private(path: Path, where: str) -> None:
    try:
        status = path.stat()
    except OSError as error:
        msg = f"There is no grid proxy at {where}: {error.strerror}. Make one: {RENEW} ({_WITHOUT})."
        raise ConfigurationError(msg) from error
    if not stat.S_ISREG(status.st_mode):
        msg = f"The grid proxy {where} is no file. Make one: {RENEW} ({_WITHOUT})."
        raise ConfigurationError(msg)
    if status.st_uid != os.getuid():
        msg = (
            f"The grid proxy {where} belongs to user {status.st_uid}, not to you ({os.getuid()}). Make your "
            f"own: {RENEW}."
        )
        raise ConfigurationError(msg)
    if status.st_mode & 0o077:
        msg = (
            f"The grid proxy {where} has mode {stat.S_IMODE(status.st_mode):04o}: others can read your key, "
            f"and grid programs refuse it. Run: chmod 600 {path}"
        )
        raise ConfigurationError(msg)


def _certificates(content: bytes) -> list[Certificate]:
    try:
        from cryptography.x509 import load_pem_x509_certificates
    except ImportError as error:
        msg = (
            "The grid proxy is checked with the package cryptography, which is not installed: "
            "pip install 'pocket-coffea[dask]'."
        )
        raise ConfigurationError(msg) from error
    return load_pem_x509_certificates(content)


def _attributes(certificate: Certificate) -> Iterator[bytes]:
    from cryptography.x509 import UnrecognizedExtension

    for extension in certificate.extensions:
        if extension.oid.dotted_string == _ATTRIBUTES and isinstance(extension.value, UnrecognizedExtension):
            yield extension.value.value


def _ends_of_attributes(attributes: bytes) -> Iterator[datetime]:
    """Yield when VO attributes end, which may be before their proxy does."""
    for found in _VALIDITY.findall(attributes):
        yield datetime.strptime(found.decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _ends(proxy: GridProxy) -> str:
    left = proxy.seconds_left()
    when = f"{proxy.not_after:%Y-%m-%d %H:%M} UTC"
    return f"ended {_span(-left)} ago, at {when}" if left <= 0 else f"ends in {_span(left)}, at {when}"


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
