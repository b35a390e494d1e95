"""All sites that are known: the shipped ones and those of the user, by name or alias."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from pocket_coffea.errors import SiteError, did_you_mean
from pocket_coffea.sites.read import read_site
from pocket_coffea.sites.site import Site
from pocket_coffea.utils.site_files import site_folder

__all__ = ["SITES_VARIABLE", "SiteBook"]

log = logging.getLogger(__name__)

#: Site files, or folders of them, separated as in PATH.
SITES_VARIABLE = "POCKET_COFFEA_SITES"


class SiteBook:
    """The sites of ``files`` (``--site-file``), then of ``$POCKET_COFFEA_SITES``, then the shipped ones.

    A site of the user replaces a shipped one of the same name, and the log says so. Raises SiteError for a
    file that is missing or wrong, and for a name that two files of one source use.
    """

    def __init__(self, files: Sequence[str | os.PathLike[str]] = ()) -> None:
        self._sites: dict[str, Site] = {}
        self._names: dict[str, Site] = {}
        sources = ([Path(file).expanduser() for file in files], _from_variable())
        for source in sources:
            self._add([_read(path, shipped=False) for path in source])
        self._add([_read(path, shipped=True) for path in _yaml_files(site_folder())])

    def names(self) -> list[str]:
        """Return the names of the sites in alphabetical order, without aliases."""
        return sorted(self._sites, key=str.lower)

    def __iter__(self) -> Iterator[Site]:
        return iter([self._sites[name] for name in self.names()])

    def __len__(self) -> int:
        return len(self._sites)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def get(self, name: str) -> Site:
        """Return a site by name or alias. Raises SiteError with the nearest names."""
        if name not in self._names:
            msg = (
                f"There is no site {name!r}. {did_you_mean(name, self._names, limit=30)} "
                f"A site of your own: --site-file FILE or ${SITES_VARIABLE} (docs/add-a-site.md)."
            )
            raise SiteError(msg)
        return self._names[name]

    def _add(self, sites: Sequence[Site]) -> None:
        """Add the sites of one source; names of an earlier source stay as they are."""
        own: dict[str, Site] = {}
        for site in sites:
            for name in (site.name, *site.aliases):
                if own.get(name, site) is not site:
                    msg = f"The site {name!r} is in two files: {own[name].path} and {site.path}. Keep one."
                    raise SiteError(msg)
                own[name] = site
        for name, site in own.items():
            if name in self._names:
                log.info("site %s: %s is used instead of %s", name, self._names[name].path, site.shown_path)
        for site in sites:
            if site.name not in self._names:
                self._sites[site.name] = site
        self._names = {**own, **self._names}


def _from_variable() -> list[Path]:
    """Return the site files of ``$POCKET_COFFEA_SITES``."""
    files: list[Path] = []
    for part in filter(None, os.environ.get(SITES_VARIABLE, "").split(os.pathsep)):
        path = Path(part).expanduser()
        if not path.exists():
            msg = f"${SITES_VARIABLE}: there is no file or folder {str(path)!r}."
            raise SiteError(msg)
        files += _yaml_files(path) if path.is_dir() else [path]
    return files


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"), key=lambda path: path.name.lower())


def _read(path: Path, shipped: bool) -> Site:
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        msg = f"The site file {path} cannot be read: {error.strerror or error}."
        raise SiteError(msg) from error
    return _read_once(path.resolve(), shipped, changed)


@lru_cache(maxsize=256)
def _read_once(path: Path, shipped: bool, _changed: int) -> Site:
    return read_site(path, shipped)
