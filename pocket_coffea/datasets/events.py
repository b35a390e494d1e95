"""How many events a ROOT file has."""

from __future__ import annotations

import re

from pocket_coffea.errors import ConfigurationError, InputFileError

__all__ = ["TREE", "count_events"]

TREE = "Events"
#: What the XRootD reader puts before the message of the server.
_OBJECT = re.compile(r"Failed to submit <.*?>> request: ")


def count_events(address: str) -> int:
    """Return the number of entries of the tree ``Events``. Raises InputFileError, and ConfigurationError
    where the package that reads ``root://`` is missing."""
    import uproot

    try:
        with uproot.open(address) as file:
            return int(file[TREE].num_entries)
    except ImportError as error:
        msg = (
            f"{address} cannot be read: {error}. Install XRootD: pip install xrootd fsspec-xrootd (the site "
            "images have it)."
        )
        raise ConfigurationError(msg) from error
    except Exception as error:  # whatever a damaged file or a server does to the reader
        reason = " ".join(_OBJECT.sub("", str(error)).split())
        msg = f"{address} cannot be read: {reason[:200] or type(error).__name__}"
        raise InputFileError(msg) from error
