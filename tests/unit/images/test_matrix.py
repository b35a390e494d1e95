"""The test of all images: two sites at once, each with a row of its own, whatever becomes of the others."""

from __future__ import annotations

import shutil
from dataclasses import replace

from ci.matrix import ROOT, Common, _test_all
from pocket_coffea.images.apptainer import Apptainer
from pocket_coffea.images.inputs import read_inputs
from pocket_coffea.images.sites import read_sites
from pocket_coffea.images.store import Record, Store

NAMES = ("swan", "casa", "lxplus")


def put(store, image):
    """Put a file into the store that is no image; return its input digest."""
    digest = read_inputs(ROOT, image, allow_dirty=True).digest
    with store.working() as folder:
        (folder / "image.sif").write_bytes(b"no image")
        built = "2026-01-01T00:00:00+00:00"
        store.add(folder, Record(image, "1.0", digest, "2" * 64, "3" * 64, "4" * 64, "5" * 40, 8, built, 1.0))
    return digest


def test_a_site_that_fails_ends_its_own_row_only(tmp_path, capsys):
    store = Store(tmp_path)
    sites = [site for name in NAMES for site in read_sites(ROOT) if site.name == name]
    digests = [put(store, site.image) for site in sites]
    # in the place of an Apptainer that cannot run any image
    fails = Apptainer((shutil.which("false"),), tmp_path, tmp_path, str(ROOT))
    rows = _test_all(sites, Common(store, fails, keep=False), 2)
    assert [row.site for row in rows] == list(NAMES)
    assert all("ended with code 1" in row.error and list(row.seconds) == ["image"] for row in rows)
    printed = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in printed) == sorted(NAMES)
    assert all(line.endswith("FAILED") for line in printed)
    # what was in the store before stays
    assert all(store.find(digest) for digest in digests)


def test_sites_that_share_an_image_are_tested_one_after_the_other(tmp_path):
    store = Store(tmp_path)
    site = next(site for site in read_sites(ROOT) if site.name == "swan")
    put(store, site.image)
    fails = Apptainer((shutil.which("false"),), tmp_path, tmp_path, str(ROOT))
    rows = _test_all([site, replace(site, name="other")], Common(store, fails, keep=False), 2)
    assert [row.site for row in rows] == ["swan", "other"]
