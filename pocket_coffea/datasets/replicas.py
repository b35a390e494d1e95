"""Replicas of a dataset, for programs: sites, addresses and how many files are where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Literal

from pocket_coffea.datasets.cache import AnswerCache
from pocket_coffea.datasets.rucio_client import SCOPE, RucioCatalogue, get_rucio_client
from pocket_coffea.datasets.select import SiteRules
from pocket_coffea.datasets.site_map import read_site_map
from pocket_coffea.errors import CatalogueError, OptionError

__all__ = ["catalogue", "get_dataset_files_replicas", "get_rucio_client", "query_dataset"]

#: The site map is read again after so long [s].
_MAP_AGE = 3600


def catalogue(client: Any = None, scope: str = SCOPE) -> RucioCatalogue:
    """Return the catalogue of replicas; ``client``: one that is there already, used by this thread only."""
    make = get_rucio_client if client is None else lambda: client
    return RucioCatalogue(read_site_map(AnswerCache(_MAP_AGE)), make, scope)


def get_dataset_files_replicas(
    dataset: str,
    allowlist_sites: Collection[str] | None = None,
    blocklist_sites: Collection[str] | None = None,
    regex_sites: str | None = None,
    *,
    mode: Literal["full", "first", "best"] = "full",
    partial_allowed: bool = False,
    client: Any = None,
    scope: str = SCOPE,
    sort: str = "geoip",
) -> tuple[list[Any], list[Any], dict[str, int]]:
    """Return (files, sites, number of files by site) of a dataset, its files sorted by name.

    mode: "full": all addresses and sites of each file, as lists; "first" or "best": one of each, the nearest.
    A file without a replica at an allowed site is left out with ``partial_allowed``; without it that raises
    CatalogueError. Raises OptionError for an unknown mode or order.
    """
    if mode not in ("full", "first", "best"):
        msg = f"mode {mode!r} is not known. Allowed: full, first, best."
        raise OptionError(msg)
    rules = SiteRules(tuple(allowlist_sites or ()), tuple(blocklist_sites or ()), regex_sites, sort=sort)
    addresses: list[Any] = []
    sites: list[Any] = []
    counts: Counter[str] = Counter()
    for file in sorted(catalogue(client, scope).files(dataset), key=lambda file: file.name):
        replicas = rules.ordered(file)
        if not replicas:
            if partial_allowed:
                continue
            msg = f"{file.name} of {dataset} has no replica at a site that may be used."
            raise CatalogueError(msg)
        chosen = replicas if mode == "full" else replicas[:1]
        counts.update(replica.site for replica in chosen)
        where, what = [each.address for each in chosen], [each.site for each in chosen]
        addresses.append(where if mode == "full" else where[0])
        sites.append(what if mode == "full" else what[0])
    return addresses, sites, dict(sorted(counts.items()))


def query_dataset(
    query: str, client: Any = None, *, tree: bool = False, datatype: str = "container", scope: str = SCOPE
) -> Any:
    """Return the datasets whose name matches a pattern with ``*``, sorted.

    ``tree``: as {primary: {processed: [tiers]}} instead of a list. Raises OptionError for a ``datatype``
    other than "container".
    """
    if datatype != "container":
        msg = f"datatype {datatype!r}: datasets of CMS are Rucio's containers. Allowed: container."
        raise OptionError(msg)
    names = catalogue(client, scope).names(query)
    if not tree:
        return names
    branches: dict[str, dict[str, list[str]]] = {}
    for name in names:
        _, primary, processed, tier = name.split("/")
        branches.setdefault(primary, {}).setdefault(processed, []).append(tier)
    return branches
