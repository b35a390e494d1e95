"""NanoAOD files with the names that CMS gives them, made by `make-sample`, and their catalogue.

``data.json`` lists them; each dataset has one block. They are made once and kept on the host's disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import uuid
import zlib
from pathlib import Path

from ci.lab.errors import LabError, NotReadyError
from ci.lab.inside.service import Service, folder, write
from ci.lab.layout import PROJECT, VENV, WORK
from ci.lab.process import CommandFailedError, run

LIST = Path(__file__).with_suffix(".json")
MAKER = PROJECT / "pocket_coffea" / "utils" / "make_sample"
KEPT = WORK / ".lab-data"
DATA = Path("/data")
STORE = DATA / "store"  # a link to the files below KEPT
CATALOGUE = DATA / "catalogue.json"
BRANCHES = 320


class Data(Service):
    name = "data"

    def prepare(self) -> None:
        kept = KEPT / _digest()
        if not kept.is_dir():
            _make(kept)
        folder(DATA)
        STORE.unlink(missing_ok=True)
        STORE.symlink_to(kept / "store")
        shutil.copyfile(kept / CATALOGUE.name, CATALOGUE)

    def check(self) -> str:
        try:
            files = catalogue()
        except OSError as error:
            msg = f"no catalogue: {error}"
            raise NotReadyError(msg) from error
        size = sum(file["bytes"] for file in files) / 1024**2
        return f"{CATALOGUE}: {len(files)} files, {size:.1f} MiB"


def catalogue() -> list[dict]:
    """Return the files: lfn, dataset, block, bytes, adler32 (8 hex digits), events, sites."""
    return json.loads(CATALOGUE.read_text())


def local(lfn: str) -> Path:
    """Return the master copy of a file of the catalogue."""
    return DATA / lfn.lstrip("/")


def dataset_of(lfn: str) -> str:
    """Return the name of the dataset of a file.

    >>> dataset_of("/store/mc/Campaign/Process/NANOAODSIM/conditions-v1/230000/A.root")
    '/Process/Campaign-conditions-v1/NANOAODSIM'
    """
    _, _, _, campaign, process, tier, version, _, _ = lfn.split("/")
    return f"/{process}/{campaign}-{version}/{tier}"


def _digest() -> str:
    """Return the digest of what decides the files: the list, this module and the sources of make-sample."""
    total = hashlib.sha256()
    for path in (LIST, Path(__file__), *sorted(MAKER.glob("*.py")), *sorted(MAKER.glob("*.yaml"))):
        total.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:24]


def _make(kept: Path) -> None:
    """Make the files and the catalogue in a new folder that appears whole or not at all."""
    folder(KEPT)
    for old in KEPT.iterdir():
        shutil.rmtree(old)
    half = folder(kept.with_suffix(".part"))
    env = {
        "PATH": f"{VENV}/bin:/usr/bin:/bin",
        "HOME": "/root",
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
    try:
        run([VENV / "bin" / "python", "-m", "ci.lab.services.data", half], env=env, timeout=120)
    except CommandFailedError as error:
        shutil.rmtree(half)
        msg = f"the lab's NanoAOD files could not be made: {error}"
        raise LabError(msg) from error
    rows = [_row(file, half) for file in json.loads(LIST.read_text())]
    write(half / CATALOGUE.name, json.dumps(rows, indent=1) + "\n")
    half.rename(kept)


def _row(file: dict, base: Path) -> dict:
    content = (base / file["lfn"].lstrip("/")).read_bytes()
    dataset = dataset_of(file["lfn"])
    return {
        "lfn": file["lfn"],
        "dataset": dataset,
        "block": f"{dataset}#{uuid.uuid5(uuid.NAMESPACE_URL, dataset)}",
        "bytes": len(content),
        "adler32": f"{zlib.adler32(content):08x}",
        "events": file["events"],
        "sites": file["sites"],
    }


def make_files(base: Path) -> None:
    """Make every file of the list below ``base``; runs in the environment that has the project's packages."""
    from pocket_coffea.utils.make_sample import make_sample

    for file in json.loads(LIST.read_text()):
        target = base / file["lfn"].lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        make_sample(
            target,
            file["flavour"],
            file["kind"],
            n_events=file["events"],
            seed=file["seed"],
            n_branches=BRANCHES,
        )


SERVICE = Data()

if __name__ == "__main__":
    os.umask(0o022)
    make_files(Path(sys.argv[1]))
