"""Change where the files of a fileset are read from: a redirector, or another site that holds a copy.

Every function returns a deep copy; a file without ``/store/`` in its address is left as it is.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from pocket_coffea.errors import InvalidValue, PhysicsNotAvailable, UnknownName, did_you_mean
from pocket_coffea.utils.wording import count_of

__all__ = [
    "REDIRECTOR",
    "find_other_file",
    "join_name",
    "logical_name",
    "rewrite_fileset_blocklist",
    "rewrite_fileset_to_redirector",
]

log = logging.getLogger(__name__)

#: Finds any file of CMS, wherever it is.
REDIRECTOR = "root://xrootd-cms.infn.it//"

Fileset = dict[str, Any]
#: logical file name -> [(site, address), ...]
Replicas = Callable[[str], Iterable[tuple[str, str]]] | Mapping[str, Iterable[tuple[str, str]]]


def logical_name(address: str) -> str | None:
    """The part of an address that is the same at all sites, from ``/store/`` on; None when there is none.

    >>> logical_name("root://site.edu:1094//cms/store/mc/a.root?x=1")
    '/store/mc/a.root?x=1'
    """
    position = address.find("/store/")
    return None if position < 0 else address[position:]


def join_name(prefix: str, name: str) -> str:
    """Return the address of a logical name; the path of an XRootD address starts with two slashes.

    >>> join_name("root://host//", "/store/a.root"), join_name("root://host//eos/cms", "/store/a.root")
    ('root://host//store/a.root', 'root://host//eos/cms/store/a.root')
    """
    if "://" not in prefix:
        return prefix.rstrip("/") + name
    scheme, rest = prefix.split("://", 1)
    host, _, path = rest.partition("/")
    path = path.strip("/")
    return f"{scheme}://{host}//{path}{name}" if path else f"{scheme}://{host}/{name}"


def _site(name: str) -> str:
    return name.removesuffix("_Disk")


def _site_of(address: str, sitemap: Mapping[str, str]) -> str | None:
    """The site whose prefix the address starts with; the longest prefix wins."""
    matches = [
        (len(prefix), site)
        for site, prefix in sitemap.items()
        if address.replace("//", "/").startswith(prefix.rstrip("/").replace("//", "/") + "/")
    ]
    return max(matches)[1] if matches else None


def find_other_file(
    address: str,
    sitemap: Mapping[str, str],
    blocklist: Collection[str] = (),
    replicas: Replicas | None = None,
) -> str | None:
    """Return the address of another copy of a file, outside the blocked sites and the site of ``address``.

    sitemap: {site: prefix of its addresses}. replicas: for a logical name its (site, address) pairs, a
    mapping or a function. None when no other copy is known. Raises PhysicsNotAvailable without ``replicas``:
    the catalogue of replicas (Rucio) is not asked in this version.
    """
    if replicas is None:
        msg = (
            "finding another replica needs the Rucio catalogue, which this version does not ask; give "
            "`replicas`"
        )
        raise PhysicsNotAvailable(msg)
    name = logical_name(address)
    if name is None:
        return None
    avoid = {_site(site) for site in blocklist} | {_site(_site_of(address, sitemap) or "")}
    found = replicas(name) if callable(replicas) else replicas.get(name, ())
    return next((other for site, other in found if _site(site) not in avoid and other != address), None)


def rewrite_fileset_to_redirector(fileset: Mapping[str, Any], redirector: str = REDIRECTOR) -> Fileset:
    """Return a copy of the fileset in which every ``/store/`` file is read through ``redirector``."""
    changed = 0

    def move(address: str) -> str:
        nonlocal changed
        name = logical_name(address)
        if name is None:
            log.warning("%s has no /store/ path and is left as it is", address)
            return address
        changed += 1
        return join_name(redirector, name)

    result = _map_files(fileset, move)
    log.info("[redirector] %s now read through %s", count_of(changed, "file is", "files are"), redirector)
    return result


def rewrite_fileset_blocklist(
    fileset: Mapping[str, Any],
    sitemap: Mapping[str, str],
    blocklist: Collection[str],
    replicas: Replicas | None = None,
    redirector: str = REDIRECTOR,
) -> Fileset:
    """Return a copy of the fileset without files at blocked sites; the order of files stays.

    sitemap: {site: prefix of its addresses}; a file is at the site whose prefix it starts with. It moves to
    another replica (see :func:`find_other_file`) when ``replicas`` knows one, else to ``redirector``. Files
    at other sites stay. Raises UnknownName for a blocked site that is not in the map, InvalidValue for an
    address in the block list.
    """
    blocked = _checked_blocklist(blocklist, sitemap)

    def move(address: str) -> str:
        site, name = _site_of(address, sitemap), logical_name(address)
        if name is None or site is None or _site(site) not in blocked:
            return address
        other = find_other_file(address, sitemap, blocked, replicas) if replicas is not None else None
        new = other or join_name(redirector, name)
        log.info("[site rewrite] %s %s -> %s", name, address, new)
        return new

    return _map_files(fileset, move)


def _checked_blocklist(blocklist: Collection[str], sitemap: Mapping[str, str]) -> set[str]:
    known = {_site(site) for site in sitemap}
    for site in blocklist:
        if "://" in site:
            msg = f"the block list holds site names, not addresses: {site!r}"
            raise InvalidValue(msg)
        if _site(site) not in known:
            msg = f"blocked site {site!r} is not in the site map. {did_you_mean(site, known)}"
            raise UnknownName(msg)
    return {_site(site) for site in blocklist}


def _map_files(fileset: Mapping[str, Any], move: Callable[[str], str]) -> Fileset:
    result: Fileset = copy.deepcopy(dict(fileset))
    for entry in result.values():
        files = entry["files"]
        if isinstance(files, Mapping):
            entry["files"] = {move(address): tree for address, tree in files.items()}
        else:
            entry["files"] = [move(address) for address in files]
    return result
