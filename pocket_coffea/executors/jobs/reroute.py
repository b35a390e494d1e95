"""Gives files of a job another address: another replica, or the redirector.

Looked at in this order: the replicas that the slice lists, those of the catalogue (Rucio), the redirector. An
address that failed in this campaign is never chosen again, nor one at a site that is avoided.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pocket_coffea.batch.campaign import Campaign
from pocket_coffea.datasets.files import Replica
from pocket_coffea.executors.jobs.payload import read_slice, rewrite_slice
from pocket_coffea.executors.jobs.record import CampaignRecord, config_name
from pocket_coffea.executors.jobs.replicas import Catalogue, Lookup, Sites, same_address
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.site_rewrite import REDIRECTOR, join_name, logical_name
from pocket_coffea.utils.wording import count_of

__all__ = ["FAILED_FILES", "Rerouter"]

log = logging.getLogger(__name__)

#: Addresses that could not be read, one a line, for people
FAILED_FILES = "xrootdfaillist.txt"


class Rerouter:
    """The addresses of a campaign's files, and how they change."""

    def __init__(
        self,
        record: CampaignRecord,
        campaign: Campaign,
        *,
        sites: Sites | None = None,
        lookup: Lookup | None = None,
        blocked: Collection[str] = (),
    ) -> None:
        """``lookup`` asks a catalogue, by default CMS's Rucio; ``blocked``: sites never moved to."""
        self.record = record
        self.campaign = campaign
        self.redirector = str(record.options.get("redirector") or REDIRECTOR)
        self.sites = sites or Sites((self.redirector, REDIRECTOR))
        self.lookup = lookup or Catalogue()
        self.blocked = frozenset(blocked)
        self._told: set[str] = set()

    def site(self, address: str) -> str:
        """Return the site of an address; empty for a redirector and for a local file."""
        return self.sites.name(address)

    def reroute(
        self, job: int, bad: Sequence[str], avoid: Collection[str], *, redirector: bool
    ) -> dict[str, str]:
        """Change the slice of a job; return {old address: new address}.

        ``bad`` addresses and those at sites to ``avoid`` get another replica; with ``redirector`` all go
        through it. A file without any alternative keeps its address, with a warning. Files outside
        ``/store/`` have the alternatives that their slice lists. Raises InputFileError, OutputError.
        """
        path = self.record.folder / config_name(job)
        filesets = read_slice(path)["filesets"]
        plan = _Plan(self, {same_address(each) for each in bad}, frozenset(avoid), redirector=redirector)
        changes = plan.changes(filesets)
        self._note_failures(bad)
        if changes:
            rewrite_slice(path, lambda found: {name: _changed(each, changes) for name, each in found.items()})
        return changes

    def tell_unnamed(self, hosts: Collection[str], avoid: Collection[str]) -> None:
        """Say, once, of which hosts nobody knows whether they belong to the sites to ``avoid``."""
        new = sorted(set(hosts) - self._told - set(avoid) - {""})
        if new and any("." not in site for site in avoid):
            log.warning(
                "[blocklist] Neither the sites themselves (SITECONF) nor Rucio tell of which site %s is, so "
                "its files stay. To read them elsewhere, block the host: --blocklist-sites %s",
                *(" or ".join(new), ",".join(new)),
            )
            self._told.update(new)

    def known_bad(self) -> set[str]:
        """Return what could not be read so far in this campaign."""
        return {same_address(each) for files in self.campaign.bad_files.values() for each in files}

    def _note_failures(self, bad: Sequence[str]) -> None:
        path = self.record.folder / FAILED_FILES
        before = path.read_text().splitlines() if path.is_file() else []
        new = [each for each in dict.fromkeys(bad) if each not in before]
        if new:
            write_whole(path, "\n".join([*before, *new]) + "\n")


class _Plan:
    """What is to be done about the files of one job."""

    def __init__(self, router: Rerouter, bad: set[str], avoid: frozenset[str], *, redirector: bool) -> None:
        self.router = router
        self.bad = bad
        self.failed = bad | router.known_bad()
        self.avoid = avoid | router.blocked
        self.redirector = redirector
        self._found: Mapping[str, Sequence[Replica]] | None = None

    def changes(self, filesets: Mapping[str, Any]) -> dict[str, str]:
        """Return {old address: new address} of all files that move."""
        if self.router.sites.unknown(self.avoid):  # the answer tells which hosts are theirs
            self._of_catalogue([name for address, _ in _files(filesets) if (name := logical_name(address))])
        if not self.redirector:
            unnamed = {self.router.sites.unnamed_host(address) for address, _ in _files(filesets)}
            self.router.tell_unnamed(unnamed, self.avoid)
        moving = [(address, replicas) for address, replicas in _files(filesets) if self._has_to_move(address)]
        names = [name for address, _ in moving if (name := logical_name(address))]
        changes = {}
        for address, replicas in moving:
            new = self._other(address, replicas, names)
            if new is None:
                log.warning("No alternative site found for %s. Resubmitting with the same file!", address)
            elif same_address(new) != same_address(address):
                log.info("[site rewrite] %s %s -> %s", logical_name(address) or address, address, new)
                changes[address] = new
        self._log_totals(filesets, changes)
        return changes

    def _has_to_move(self, address: str) -> bool:
        if same_address(address) in self.bad or self.router.sites.is_at(address, self.avoid):
            return True
        return self.redirector and not self.router.sites.is_redirector(address)

    def _other(self, address: str, replicas: Iterable[str], names: Sequence[str]) -> str | None:
        name = logical_name(address)
        through = None if name is None else join_name(self.router.redirector, name)
        if through is not None and same_address(through) in self.failed:
            through = None
        if self.redirector and through is not None:
            return through
        if self.redirector and name is None and same_address(address) not in self.bad:
            log.warning("%s has no /store/ path and is left as it is", address)
            return address
        for candidate in self._candidates(name, replicas, names):
            if self._is_usable(candidate, address):
                return candidate
        return through

    def _candidates(self, name: str | None, replicas: Iterable[str], names: Sequence[str]) -> Iterator[str]:
        yield from replicas
        if name is not None:
            yield from (replica.address for replica in self._of_catalogue(names).get(name, ()))

    def _is_usable(self, candidate: str, old: str) -> bool:
        sites = self.router.sites
        if same_address(candidate) in self.failed or sites.is_at(candidate, self.avoid):
            return False
        here = sites.name(old)
        return same_address(candidate) != same_address(old) and (not here or sites.name(candidate) != here)

    def _of_catalogue(self, names: Sequence[str]) -> Mapping[str, Sequence[Replica]]:
        """Ask the catalogue once for all files that move."""
        if self._found is None:
            self._found = self.router.lookup(names)
            for replicas in self._found.values():
                self.router.sites.learn(replicas)
        return self._found

    def _log_totals(self, filesets: Mapping[str, Any], changes: Mapping[str, str]) -> None:
        total = sum(len(fileset["files"]) for fileset in filesets.values())
        if self.redirector:
            log.info("[redirector] rewrote %d/%s", len(changes), count_of(total, "file"))
        elif self.avoid:
            files = count_of(total, "file")
            log.info("[blocklist] %s: rewrote %d/%s", ",".join(sorted(self.avoid)), len(changes), files)


def _files(filesets: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield every file of a slice with the further addresses that the slice lists."""
    for fileset in filesets.values():
        listed = fileset.get("replicas") or {}
        for address in fileset["files"]:
            yield str(address), listed.get(address, ())


def _changed(fileset: Mapping[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    """Return a dataset with its new addresses, in the same order; the old ones become further replicas."""
    files = fileset["files"]
    changed = dict(fileset)
    if isinstance(files, Mapping):
        changed["files"] = {changes.get(address, address): steps for address, steps in files.items()}
    else:
        changed["files"] = [changes.get(address, address) for address in files]
    replicas = {address: list(others) for address, others in (fileset.get("replicas") or {}).items()}
    for old, new in changes.items():
        if old in files:
            others = [*replicas.pop(old, []), old]
            replicas[new] = [each for each in dict.fromkeys(others) if each != new]
    if replicas:
        changed["replicas"] = replicas
    return changed
