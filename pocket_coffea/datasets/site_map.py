"""How each site is read from outside: the ``storage.json`` that sites publish on CVMFS (SITECONF)."""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocket_coffea.datasets.cache import AnswerCache

__all__ = ["SITECONF_VARIABLE", "SiteMap", "read_site_map"]

log = logging.getLogger(__name__)

#: Environment variable that names another folder than CVMFS's.
SITECONF_VARIABLE = "POCKET_COFFEA_SITECONF"
_SITECONF = "/cvmfs/cms.cern.ch/SITECONF"
_READABLE = ("global-ro", "global-rw")


@dataclass(frozen=True, slots=True)
class SiteMap:
    """For each storage element either ``{"prefix": text}`` or ``{"rules": [[expression, template]]}``."""

    elements: Mapping[str, Mapping[str, Any]]

    def address(self, element: str, name: str) -> str | None:
        """Return the address of a logical name at a storage element, None if the map does not tell."""
        how = self.elements.get(element)
        if how is None:
            return None
        if "prefix" in how:
            return str(how["prefix"]).rstrip("/") + name
        for expression, template in how["rules"]:
            found = re.fullmatch(expression, name)
            if found:
                return _filled(template, found)
        return None


def _filled(template: str, found: re.Match[str]) -> str:
    """Return the template with ``$1``, ``$2`` replaced by the groups of the match."""
    return re.sub(r"\$(\d)", lambda group: found[int(group[1])] or "", template)


def read_site_map(cache: AnswerCache, folder: Path | None = None) -> SiteMap:
    """Return what the sites publish below ``folder`` (default: ``$POCKET_COFFEA_SITECONF``, then CVMFS).

    Where there is no such folder, what was read there last, however long ago; an empty map if never. A file
    that cannot be read is left out, with a warning.
    """
    base = folder or Path(os.environ.get(SITECONF_VARIABLE) or _SITECONF)
    kept = cache.get("siteconf", str(base))
    if kept is not None:
        return SiteMap(kept)
    elements: dict[str, dict[str, Any]] = {}
    for path in sorted(base.glob("T*/storage.json")):
        try:
            elements.update(_elements(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
            log.warning("%s cannot be read and is left out: %s", path, error)
    if elements:
        cache.put(elements, "siteconf", str(base))
    elif cache.max_age > 0:
        # without CVMFS an old answer is better than none: sites seldom change
        elements = AnswerCache(math.inf, cache.folder).get("siteconf", str(base)) or {}
    return SiteMap(elements)


def _elements(volumes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the storage elements on disk of a site that are read with XRootD from anywhere."""
    found: dict[str, dict[str, Any]] = {}
    for volume in volumes:
        element = volume.get("rse")
        if volume.get("type") != "DISK" or not element:
            continue
        for protocol in volume.get("protocols", []):
            how = _how(protocol)
            if how:
                found.setdefault(str(element), how)
    return found


def _how(protocol: Mapping[str, Any]) -> dict[str, Any] | None:
    if protocol.get("protocol") != "XRootD" or protocol.get("access") not in _READABLE:
        return None
    if "prefix" in protocol:
        return {"prefix": str(protocol["prefix"])}
    rules = protocol.get("rules", [])
    if not rules or any("chain" in rule for rule in rules):  # a chain goes through another protocol's rules
        return None
    for rule in rules:
        re.compile(rule["lfn"])
    return {"rules": [[str(rule["lfn"]), str(rule["pfn"])] for rule in rules]}
