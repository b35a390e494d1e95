"""Fixtures of the workers' surroundings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pocket_coffea.sites.site import Container, ProxyDelivery, Queue, Site


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[..., Site]:
    """Return ``make_site(batch="slurm", ...)``: a site that shares the test's folder with its workers."""

    def make(**changes: object) -> Site:
        plain: dict = {
            "name": "here",
            "description": "a site of a test",
            "image": None,
            "aliases": (),
            "batch": "slurm",
            "hosts": (),
            "container": Container("apptainer", ()),
            "queues": (Queue("short", 3600), Queue("long", 86400)),
            "queue_directive": "partition",
            "shared": (str(tmp_path),),
            "proxy": ProxyDelivery("shared"),
            "scratch": str(tmp_path / "scratch"),
            "logs": "{outputdir}/logs",
            "environment": {},
            "prologue": (),
            "directives": {},
            "storage": (),
            "executors": {},
            "path": tmp_path / "here.yaml",
        }
        return Site(**{**plain, **changes})

    return make
