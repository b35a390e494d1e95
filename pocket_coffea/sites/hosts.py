"""Whether this machine is one where jobs of a site are submitted."""

from __future__ import annotations

import fnmatch
import socket

from pocket_coffea.errors import SiteError
from pocket_coffea.sites.site import Site

__all__ = ["host_names", "is_submit_host", "require_submit_host"]


def host_names() -> list[str]:
    """Return the names of this machine: the full one, and the one that it was given."""
    return list(dict.fromkeys((socket.getfqdn(), socket.gethostname())))


def is_submit_host(site: Site) -> bool:
    """Return whether a name of this machine fits the site's patterns; without patterns every machine does.

    A machine that does not know its domain may be in any: ``login1`` fits ``*.psi.ch``.
    """
    names = [name.lower() for name in host_names()]
    return not site.hosts or any(_fits(names, pattern.lower()) for pattern in site.hosts)


def _fits(names: list[str], pattern: str) -> bool:
    if pattern.startswith("*.") and not any("." in name for name in names):
        return True
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def require_submit_host(site: Site, executor: str) -> None:
    """Raise SiteError when jobs for ``executor`` cannot be submitted from this machine."""
    if is_submit_host(site):
        return
    msg = (
        f"{executor} runs on a machine of {site.name}, whose name is like {' or '.join(site.hosts)}; "
        f"this one is {host_names()[0]}. Log in there; or, when this is such a machine, set the run option "
        "submit-hosts to its name. What else the site needs: "
        f"`pocket-coffea sites check {site.name}`."
    )
    raise SiteError(msg)
