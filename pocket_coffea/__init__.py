"""PocketCoffea: declarative CMS NanoAOD analysis, from datasets to histograms.

Importing this package loads nothing heavy; import what you need from its modules.
"""

from pocket_coffea._version import __version__

__all__ = ["__version__"]
