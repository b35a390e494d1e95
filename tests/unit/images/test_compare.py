"""Which file differs between two images."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pocket_coffea.errors import InputFileError, PocketCoffeaError
from pocket_coffea.images.builder import locked_tool
from pocket_coffea.images.compare import _entries, _listings, compare_images
from pocket_coffea.images.locks import read_locks
from pocket_coffea.images.sif import DEFINITION, PARTITION, SifObject, write_sif

ROOT = Path(__file__).resolve().parents[3]
LISTING = """\
drwxr-xr-x 0/0                     387 2026-11-22 02:23:09 squashfs-root
-rw-r--r-- 0/0                    9633 2026-11-22 02:23:09 squashfs-root/.pocket-coffea/manifest.json
lrwxrwxrwx 0/0                       7 2026-07-17 17:05:42 squashfs-root/bin -> usr/bin
crw-rw-rw- 0/0                  1,   3 2026-11-22 02:23:09 squashfs-root/dev/null
"""


def test_a_listing_is_read_with_links_and_devices():
    entries = dict(_entries(LISTING))
    assert entries["/"] == "drwxr-xr-x 0/0 2026-11-22 02:23:09"
    assert entries["/.pocket-coffea/manifest.json"] == "-rw-r--r-- 0/0 size 9633 2026-11-22 02:23:09"
    assert entries["/bin"].endswith("17:05:42 -> usr/bin")
    assert entries["/dev/null"].startswith("crw-rw-rw- 0/0 size 1,   3")


def test_differences_of_listings_are_named():
    one = dict(_entries(LISTING))
    other = dict(_entries(LISTING.replace("9633", "9634").replace("/bin ->", "/sbin ->")))
    assert [line.partition(":")[0] for line in _listings(one, other)] == [
        "/.pocket-coffea/manifest.json",
        "/bin",
        "/sbin",
    ]


@pytest.fixture(scope="module")
def squashfs_tools():
    """Words that run mksquashfs and unsquashfs: those of the lock, where no mirror has them the machine's."""
    names = ("mksquashfs", "unsquashfs")
    try:
        locks = read_locks(ROOT / "containers" / "locks")
        return {name: locked_tool(locks, name) for name in names}
    except PocketCoffeaError as error:
        if all(map(shutil.which, names)):
            return {name: [name] for name in names}
        pytest.skip(f"there are no squashfs-tools on this machine, and those of the lock: {error}")


def make_image(folder, name, files, mksquashfs):
    root = folder / f"{name}-root"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    squashfs = folder / f"{name}.squashfs"
    argv = [*mksquashfs, str(root), str(squashfs), "-quiet", "-no-progress", "-all-time", "1", "-all-root"]
    subprocess.run(argv, check=True, capture_output=True)
    (folder / f"{name}.def").write_text("Bootstrap: localimage\n")
    objects = [
        SifObject(DEFINITION, "x.def", folder / f"{name}.def"),
        SifObject(PARTITION, "root.squashfs", squashfs),
    ]
    write_sif(folder / f"{name}.sif", objects, 1)
    return folder / f"{name}.sif"


def test_the_file_that_differs_is_named(tmp_path, squashfs_tools):
    files = {"etc/same": "x", "etc/changed": "a", "only": "x"}
    one = make_image(tmp_path, "one", files, squashfs_tools["mksquashfs"])
    files = {"etc/same": "x", "etc/changed": "b", "new": "x"}
    other = make_image(tmp_path, "other", files, squashfs_tools["mksquashfs"])
    lines = compare_images(one, other, squashfs_tools["unsquashfs"])
    assert "/etc/changed: content differs" in lines
    assert "/only: only in the first image" in lines
    assert "/new: only in the second image" in lines
    assert not any("same" in line for line in lines)


def test_equal_images_have_no_differences(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).write_text("Bootstrap: localimage\n")
        write_sif(tmp_path / f"{name}.sif", [SifObject(DEFINITION, "x.def", tmp_path / name)], 1)
    assert compare_images(tmp_path / "one.sif", tmp_path / "other.sif", ["unsquashfs"]) == []


def test_an_image_without_a_root_file_system_is_told(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).write_text(f"Bootstrap: {name}\n")
        write_sif(tmp_path / f"{name}.sif", [SifObject(DEFINITION, "x.def", tmp_path / name)], 1)
    with pytest.raises(InputFileError, match="no root file system"):
        compare_images(tmp_path / "one.sif", tmp_path / "other.sif", ["unsquashfs"])
