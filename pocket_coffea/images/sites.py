"""The sites whose jobs run in our images, from ``sites/<site>.yaml`` of a checkout (sites/README.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pocket_coffea.errors import ConfigurationError
from pocket_coffea.utils.site_files import site_folder

__all__ = ["Site", "image_of", "read_sites"]


@dataclass(frozen=True, slots=True)
class Site:
    """A site: its name, the definition file of its image (``containers/<image>.def``), further names."""

    name: str
    image: str
    description: str
    aliases: tuple[str, ...] = ()


def read_sites(root: Path) -> list[Site]:
    """Return the sites of a checkout by name. Raises ConfigurationError, naming the file that is wrong."""
    paths = site_folder(root).glob("*.yaml")
    return [_read(path, root) for path in sorted(paths, key=lambda path: path.name.lower())]


def image_of(root: Path, name: str) -> str:
    """Return the image of a site or an alias; another name is returned as it is."""
    found = [site.image for site in read_sites(root) if name in (site.name, *site.aliases)]
    return found[0] if found else name


def _read(path: Path, root: Path) -> Site:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        site = Site(
            name=content["name"],
            image=content["image"],
            description=content["description"],
            aliases=tuple(content.get("aliases", ())),
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path} must have name, image and description ({error!r}). See {path.parent / 'README.md'}."
        raise ConfigurationError(msg) from error
    if site.name != path.stem:
        msg = f"{path}: the name is {site.name!r}; it must be that of the file, {path.stem!r}."
        raise ConfigurationError(msg)
    if not (root / "containers" / f"{site.image}.def").is_file():
        msg = f"{path}: the image {site.image!r} has no definition file containers/{site.image}.def."
        raise ConfigurationError(msg)
    return site
