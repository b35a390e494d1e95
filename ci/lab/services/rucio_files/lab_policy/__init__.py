"""Rucio's policy package of the lab: names of files, blocks, datasets and storage as CMS has them."""

SUPPORTED_VERSION = [">=41,<42"]
