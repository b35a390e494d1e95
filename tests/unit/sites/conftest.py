"""Site files to read."""

from __future__ import annotations

import pytest

SMALL = "name: here\ndescription: a place\nbatch: htcondor\n"


@pytest.fixture
def site_file(tmp_path):
    """Write a site file and return its path."""

    def write(text: str = SMALL, name: str = "here.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write
