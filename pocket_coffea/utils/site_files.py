"""Where the site files are: ``sites/`` of a checkout; a wheel has them as ``pocket_coffea/_sites``."""

from __future__ import annotations

from pathlib import Path

__all__ = ["site_folder"]


def site_folder(checkout: Path | None = None) -> Path:
    """Return the folder with a ``<site>.yaml`` for each site: of ``checkout``, by default of what runs."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_sites"
    if checkout is None and installed.is_dir():
        return installed
    return (checkout or package.parent) / "sites"
