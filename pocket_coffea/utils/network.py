"""Grid credentials of this user: where the VOMS proxy is, and whether it is still good."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pocket_coffea.errors import CommandFailed, ConfigurationError
from pocket_coffea.utils.process import run_command

__all__ = ["get_proxy_path"]

_HELP = (
    "Make one with: voms-proxy-init -voms cms -rfc --valid 192:0 (or set the run option "
    "ignore-grid-certificate)."
)


def _candidate() -> Path:
    named = os.environ.get("X509_USER_PROXY")
    return (
        Path(named) if named else Path(f"/tmp/x509up_u{os.getuid()}")
    )  # the place voms-proxy-init writes to


def _seconds_left(path: Path) -> int:
    """Remaining life time in seconds, as openssl or voms-proxy-info tell. Raises ConfigurationError."""
    if shutil.which("voms-proxy-info"):
        argv = ["voms-proxy-info", "-file", str(path), "-timeleft"]
    elif shutil.which("openssl"):
        argv = ["openssl", "x509", "-in", str(path), "-noout", "-checkend", "0"]
    else:
        msg = f"cannot check the VOMS proxy {path}: neither voms-proxy-info nor openssl is on PATH"
        raise ConfigurationError(msg)
    if argv[0] == "openssl":
        return 1 if run_command(argv, timeout=60, check=False).returncode == 0 else 0
    try:
        done = run_command(argv, timeout=60)
    except CommandFailed as exc:
        msg = f"cannot check the VOMS proxy {path}: {exc}"
        raise ConfigurationError(msg) from exc
    return int(done.stdout.strip() or 0)


def get_proxy_path() -> str:
    """Return the path of a valid VOMS proxy: ``$X509_USER_PROXY``, else ``/tmp/x509up_u<uid>``.

    Raises ConfigurationError when there is none, when it cannot be read, or when its time is over.
    """
    path = _candidate()
    if not path.is_file() or not os.access(path, os.R_OK):
        msg = f"no readable VOMS proxy at {path}. {_HELP}"
        raise ConfigurationError(msg)
    if _seconds_left(path) <= 0:
        msg = f"the VOMS proxy {path} has expired. {_HELP}"
        raise ConfigurationError(msg)
    return str(path)
