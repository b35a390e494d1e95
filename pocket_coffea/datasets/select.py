"""Which replica of a file is read: sites that may be used, and in which order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pocket_coffea.datasets.files import DatasetFile, Replica, site_name
from pocket_coffea.errors import InvalidValue, OptionError, did_you_mean

__all__ = ["SORTS", "SiteRules", "unknown_sites"]

#: geoip: as Rucio tells by distance; priority: as the list of priorities says; random: drawn with the seed.
SORTS = ("geoip", "priority", "random")


@dataclass(frozen=True)
class SiteRules:
    """What the user wants of sites. Names of sites count for their storage elements (``_Disk``), too.

    allow: these only (empty: all); block: not these; regex: the name must contain a match; priority: the
    preferred ones, best first. Raises OptionError or InvalidValue when they contradict each other.
    """

    allow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    regex: str | None = None
    priority: tuple[str, ...] = ()
    sort: str = "geoip"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            msg = f"--sort-replicas: {self.sort!r} is no order of replicas. {did_you_mean(self.sort, SORTS)}"
            raise OptionError(msg)
        if (self.sort == "priority") != bool(self.priority):
            msg = "--sort-replicas priority and --prioritylist-sites go together: one of them is missing."
            raise OptionError(msg)
        for name in (*self.allow, *self.block, *self.priority):
            if "://" in name:
                msg = f"lists of sites hold names such as T2_CH_CERN, not addresses: {name!r}"
                raise InvalidValue(msg)
        both = {site_name(name) for name in self.allow} & {site_name(name) for name in self.block}
        if both:
            msg = f"{', '.join(sorted(both))} is both in --allowlist-sites and in --blocklist-sites."
            raise OptionError(msg)
        try:
            re.compile(self.regex or "")
        except re.error as error:
            msg = f"--regex-sites: {self.regex!r} is no regular expression: {error}."
            raise InvalidValue(msg) from error

    def allowed(self, site: str) -> bool:
        """Return whether files may be read there."""
        name = site_name(site)
        if self.allow and name not in map(site_name, self.allow):
            return False
        if name in map(site_name, self.block):
            return False
        return self.regex is None or re.search(self.regex, site) is not None

    def ordered(self, file: DatasetFile) -> list[Replica]:
        """Return the replicas that may be used, best first; the same file gives the same order."""
        replicas = [replica for replica in file.replicas if self.allowed(replica.site)]
        if self.sort == "priority":
            ranks = [site_name(name) for name in self.priority]
            return sorted(replicas, key=lambda replica: (_rank(ranks, replica.site), replica.site))
        if self.sort == "random":
            return sorted(replicas, key=lambda replica: self._draw(file.name, replica.site))
        return replicas

    def _draw(self, name: str, site: str) -> str:
        return hashlib.sha256(f"{self.seed}\0{name}\0{site}".encode()).hexdigest()


def _rank(ranks: list[str], site: str) -> int:
    name = site_name(site)
    return ranks.index(name) if name in ranks else len(ranks)


def unknown_sites(rules: SiteRules, seen: Iterable[str]) -> list[str]:
    """Return a sentence for each site of the rules that holds none of the files."""
    known = {site_name(site) for site in seen}
    named = dict.fromkeys((*rules.allow, *rules.block, *rules.priority))
    return [
        f"no replica is at {name!r}, which the options name. {did_you_mean(site_name(name), known)}"
        for name in named
        if site_name(name) not in known
    ]
