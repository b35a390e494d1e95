"""Where else a file of a job can be read: the replicas that its slice lists, those of a catalogue, sites.

A site is known by the name that the catalogue gives it (``T1_DE_KIT``, without ``_Disk``) and by the host of
its addresses; users block either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["Lookup", "Replica", "Sites", "host_of", "plain_name", "same_address"]


class Replica(NamedTuple):
    """A copy of a file: the storage element that has it ("" when that is not known), and its address."""

    site: str
    address: str


#: Asks a catalogue for the replicas of logical names. Raises PocketCoffeaError when it does not answer.
Lookup = Callable[[Sequence[str]], Mapping[str, Sequence[Replica]]]


def plain_name(site: str) -> str:
    """Return a site's name without what its storage element adds.

    >>> plain_name("T1_DE_KIT_Disk")
    'T1_DE_KIT'
    """
    return site.removesuffix("_Disk")


def host_of(address: str) -> str:
    """Return the host of an address in small letters, without its port; empty for a local path.

    >>> host_of("root://Kit.site:1095//store/a.root"), host_of("/store/a.root")
    ('kit.site', '')
    """
    if "://" not in address:
        return ""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def same_address(address: str) -> str:
    """Return an address in the one form in which equal ones are equal: no parameters, no doubled slashes.

    >>> same_address("root://Host:1094///eos//cms/a.root?xrd.x=1")
    'root://host:1094//eos/cms/a.root'
    """
    scheme, mark, rest = address.partition("://")
    if not mark:
        return address
    server, _, path = rest.partition("?")[0].partition("/")
    inner = "/".join(part for part in path.split("/") if part)
    return f"{scheme.lower()}://{server.lower()}//{inner}"


class Sites:
    """Names of sites, learned from the map of sites and from the answers of the catalogue."""

    def __init__(self, by_host: Mapping[str, str] | None = None, redirectors: Iterable[str] = ()) -> None:
        """``by_host``: {host: name of the site}; ``redirectors``: addresses, of no site."""
        self._by_host = {host: plain_name(site) for host, site in (by_host or {}).items()}
        self._redirectors = {host_of(each) for each in redirectors} - {""}

    def learn(self, replicas: Iterable[Replica]) -> None:
        """Remember which hosts belong to which sites."""
        for replica in replicas:
            if replica.site and (host := host_of(replica.address)):
                self._by_host.setdefault(host, plain_name(replica.site))

    def is_redirector(self, address: str) -> bool:
        """Return whether an address is that of a redirector, which leads to any site."""
        return host_of(address) in self._redirectors

    def name(self, address: str) -> str:
        """Return the site of an address: its name or else its host; empty for redirectors and paths."""
        host = host_of(address)
        return "" if host in self._redirectors else self._by_host.get(host, host)

    def is_at(self, address: str, sites: Collection[str]) -> bool:
        """Return whether an address is at one of ``sites``, named either way."""
        host = host_of(address)
        if not host or not sites:
            return False
        names = {plain_name(site) for site in sites} | {site.lower() for site in sites}
        return host in names or self._by_host.get(host, host) in names
