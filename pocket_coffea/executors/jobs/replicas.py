"""Where else a file of a job can be read: the replicas that its slice lists, those of a catalogue, sites.

A site is known by the name that the catalogue gives it (``T1_DE_KIT``, without ``_Disk``) and by the host of
its addresses; users block either.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from pocket_coffea.datasets.cache import AnswerCache
from pocket_coffea.datasets.files import Replica, site_name
from pocket_coffea.datasets.rucio_client import RucioCatalogue
from pocket_coffea.datasets.site_map import SiteMap, read_site_map
from pocket_coffea.errors import PocketCoffeaError

__all__ = ["Catalogue", "Lookup", "Sites", "host_of", "places_of", "published_sites", "same_address"]

log = logging.getLogger(__name__)

#: Asks a catalogue for the replicas of logical names; an empty answer when it cannot be asked.
Lookup = Callable[[Sequence[str]], Mapping[str, Sequence[Replica]]]

_SITES_AGE = 3600.0  # s for which what sites publish is kept
_REST = 300.0  # s for which a catalogue that did not answer is left in peace


def published_sites() -> SiteMap:
    """Return what the sites publish of their storage elements; empty where CVMFS is not mounted."""
    return read_site_map(AnswerCache(_SITES_AGE))


class Catalogue:
    """Rucio, asked when needed. One that does not answer is not asked again for a while."""

    def __init__(self, ask: Callable[..., Mapping[str, Sequence[Replica]]] | None = None) -> None:
        """``ask(*names)``: another catalogue than CMS's Rucio."""
        self._ask = ask
        self._not_before = 0.0

    def __call__(self, names: Sequence[str]) -> Mapping[str, Sequence[Replica]]:
        """Return the replicas of files by logical name; none, with a warning, when Rucio does not answer."""
        if not names or time.monotonic() < self._not_before:
            return {}
        try:
            if self._ask is None:
                self._ask = RucioCatalogue(published_sites()).replicas
            return self._ask(*names)
        except PocketCoffeaError as error:
            self._not_before = time.monotonic() + _REST
            log.warning("No replicas are looked up for %.0f s: %s", _REST, error)
            return {}


def places_of(sites: SiteMap) -> dict[str, list[tuple[str, str]]]:
    """Return {host: [(path below which files are, site)]} of all that sites publish."""
    found: dict[str, list[tuple[str, str]]] = {}
    for element, how in sites.elements.items():
        patterns = [how["prefix"]] if "prefix" in how else [template for _, template in how["rules"]]
        for pattern in map(str, patterns):
            # what comes before $1, up to the last whole folder
            address = pattern.partition("$")[0].rpartition("/")[0] if "$" in pattern else pattern
            if host := host_of(address):
                found.setdefault(host, []).append((_path(address), site_name(element)))
    return found


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


def _path(address: str) -> str:
    """Return the path of an address without slashes at its ends."""
    return same_address(address).partition("://")[2].partition("//")[2]


class Sites:
    """Names of sites, learned from what sites publish and from the answers of the catalogue."""

    def __init__(
        self,
        redirectors: Iterable[str] = (),
        published: Callable[[], SiteMap] = published_sites,
    ) -> None:
        """``redirectors``: addresses that are of no site. ``published`` is called once, when needed."""
        self._published = published
        self._known: dict[str, list[tuple[str, str]]] | None = None
        self._redirectors = {host_of(each) for each in redirectors} - {""}

    @property
    def _places(self) -> dict[str, list[tuple[str, str]]]:
        if self._known is None:
            self._known = places_of(self._published())
        return self._known

    def _sites_of(self, address: str) -> set[str]:
        """Return the sites that an address may be at: by the longest path of its host, else by the host."""
        places = self._places.get(host_of(address), [])
        path = _path(address)
        depth = {place: len(place) for place, _ in places if not place or f"{path}/".startswith(f"{place}/")}
        longest = max(depth, key=lambda place: depth[place], default=None)
        return {site for place, site in places if longest is None or place == longest}

    def learn(self, replicas: Iterable[Replica]) -> None:
        """Remember which hosts belong to which sites."""
        for replica in replicas:
            if replica.site and (host := host_of(replica.address)):
                self._places.setdefault(host, [("", site_name(replica.site))])

    def is_redirector(self, address: str) -> bool:
        """Return whether an address is that of a redirector, which leads to any site."""
        return host_of(address) in self._redirectors

    def name(self, address: str) -> str:
        """Return the site of an address: its name or else its host; empty for redirectors and paths."""
        host = host_of(address)
        if not host or host in self._redirectors:
            return ""
        sites = self._sites_of(address)
        return sites.pop() if len(sites) == 1 else host

    def unnamed_host(self, address: str) -> str:
        """Return the host of an address of which nobody tells the site; empty for all others."""
        host = host_of(address)
        return "" if host in self._redirectors or self._sites_of(address) else host

    def is_at(self, address: str, sites: Collection[str]) -> bool:
        """Return whether an address is at one of ``sites``, named either way."""
        host = host_of(address)
        if not host or not sites:
            return False
        names = {site_name(site) for site in sites} | {site.lower() for site in sites}
        return host in names or not names.isdisjoint(self._sites_of(address))

    def unknown(self, sites: Iterable[str]) -> list[str]:
        """Return those names that are neither a host nor a site whose hosts are known."""
        known = {site for places in self._places.values() for _, site in places}
        return [site for site in sites if "." not in site and site_name(site) not in known]
