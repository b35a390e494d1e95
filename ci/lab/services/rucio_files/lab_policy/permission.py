"""Who may do what: Rucio's generic rules (users read everything and write nothing in the scope cms)."""

from rucio.core.permission.generic import *  # noqa: F403 - a policy package has to offer all of them
