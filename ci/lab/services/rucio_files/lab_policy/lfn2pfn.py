"""Where a file is at a site: the site's prefix and the whole logical name, as in CMS."""


def lfn2pfn(_scope: str, name: str, _rse: str, _rse_attributes: object, _protocol_attributes: object) -> str:
    """Return the path below the prefix, e.g. ``store/mc/...``."""
    return name.lstrip("/")
