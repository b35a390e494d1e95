"""Run options and addresses as Parsl wants them; nothing here needs Parsl."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pocket_coffea.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Site

__all__ = ["SLURM_NAMES", "escaped", "slurm_options", "submit_address"]

_SLURM_KEYS = ("partition", "account", "scheduler-options")
#: Options of a batch request by the entry of the option ``slurm`` that says the same.
SLURM_NAMES = {"queue": "partition", "account": "account"}


def slurm_options(site: Site, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of the option ``slurm``; what it does not say is as the site has it.

    Raises OptionError for an unknown entry.
    """
    given = options.get("slurm") or {}
    for key in given:
        if str(key).replace("_", "-") not in _SLURM_KEYS:
            msg = f"run option slurm: there is no entry {key!r}. {did_you_mean(key, _SLURM_KEYS)}"
            raise OptionError(msg)
    site_default = site.executors.get("parsl", {}).get("slurm") or {}
    return {**site_default, **{str(key).replace("_", "-"): value for key, value in given.items()}}


def escaped(text: str) -> str:
    """Return text that stays as it is when Parsl twice fills in what is between braces.

    >>> escaped("a{b}").format().format()
    'a{b}'
    """
    return text.replace("{", "{{{{").replace("}", "}}}}")


def submit_address() -> str:
    """Return the IPv4 address at which workers reach this machine: that of its name, or, where this is the
    loopback address as on many laptops, of its default route."""
    try:
        address = socket.gethostbyname(socket.getfqdn())
    except OSError:
        address = "127.0.0.1"
    if not address.startswith("127."):
        return address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent; the address is reserved for documentation
            return str(probe.getsockname()[0])
        except OSError:
            return address
