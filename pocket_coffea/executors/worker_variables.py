"""Environment variables of the processes that read events at a site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pocket_coffea.executors.worker_pool import ALLOCATOR

if TYPE_CHECKING:
    from pocket_coffea.sites.site import Site

__all__ = ["XROOTD_LIMITS", "worker_variables"]

#: Limits of the XRootD client [s]. By default it waits half an hour for an answer, and longer for a server
#: that accepts connections and does nothing else.
XROOTD_LIMITS = {
    "XRD_CONNECTIONRETRY": "2",
    "XRD_CONNECTIONWINDOW": "10",
    "XRD_REQUESTTIMEOUT": "30",
    "XRD_STREAMTIMEOUT": "30",
    "XRD_STREAMERRORWINDOW": "10",
    "XRD_TIMEOUTRESOLUTION": "1",
}


def worker_variables(site: Site, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a worker; those of the site come last and win.

    ``options`` are the run options; none of them changes a variable so far.
    """
    del options
    return {"XRD_RUNFORKHANDLER": "1", **XROOTD_LIMITS, **ALLOCATOR, **site.environment}
