"""What an image says about itself: the manifest in it, the CycloneDX list of parts, Apptainer's metadata."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pocket_coffea.images.fetch import PYTHON
from pocket_coffea.images.inputs import Inputs
from pocket_coffea.images.locks import DebianPackage, Wheel

__all__ = ["LABEL", "MANIFEST", "environment_script", "inspect_data", "labels", "manifest", "sbom", "to_json"]

#: Where a job finds it; run/provenance.py reads it.
MANIFEST = ".pocket-coffea/manifest.json"
#: Our labels begin with it; images/labels.py reads them.
LABEL = "org.pocket-coffea."


def manifest(inputs: Inputs) -> dict[str, Any]:
    """Return what is in ``/.pocket-coffea/manifest.json``. The commit is not in it: equal sources give equal
    images, whatever the commit that brought them."""
    debian = packages(inputs)
    versions = {item.name: item.version for item in debian}
    # the package python3 depends on the one that has the interpreter
    python = versions[f"python{PYTHON}"]
    return {
        "schema": 1,
        "site": inputs.site,
        "version": inputs.project.version,
        "source_digest": inputs.project.source_digest,
        "input_digest": inputs.digest,
        "base_digest": inputs.base,
        "locks": dict(inputs.lock_digests),
        "source_date_epoch": inputs.locks.epoch,
        "python": python.partition("-")[0],
        "packages": {
            "debian": versions,
            "python": {item.name: item.version for item in inputs.locks.wheels},
        },
    }


def packages(inputs: Inputs) -> list[DebianPackage]:
    """Return all Debian packages of the image, sorted."""
    return sorted(inputs.locks.packages_of(*(item.name for item in inputs.chain)))


def sbom(inputs: Inputs) -> dict[str, Any]:
    """Return the bill of materials in CycloneDX 1.5."""
    made = datetime.fromtimestamp(inputs.locks.epoch, UTC).isoformat(timespec="seconds")
    project = inputs.project
    parts: list[tuple[str, DebianPackage | Wheel]] = [
        (f"pkg:deb/debian/{item.name}@{item.version}?arch={item.architecture}", item)
        for item in packages(inputs)
    ]
    parts += [(f"pkg:pypi/{item.name}@{item.version}", item) for item in inputs.locks.wheels]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": made.replace("+00:00", "Z"),
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": f"pocket-coffea-{inputs.site}",
                "version": project.version,
            },
        },
        "components": [
            {
                "type": "library",
                "bom-ref": purl,
                "name": part.name,
                "version": part.version,
                "purl": purl,
                "hashes": [{"alg": "SHA-256", "content": part.sha256}],
            }
            for purl, part in parts
        ]
        + [
            {
                "type": "application",
                "bom-ref": "pocket-coffea",
                "name": "pocket-coffea",
                "version": project.version,
                "properties": [{"name": "source_digest", "value": project.source_digest}],
            }
        ],
    }


def labels(inputs: Inputs) -> dict[str, str]:
    """Return the labels of the image, those of the site over those of the base."""
    merged = {key: value for item in inputs.chain for key, value in item.labels().items()}
    merged[f"{LABEL}version"] = inputs.project.version
    merged[f"{LABEL}source-digest"] = inputs.project.source_digest
    merged[f"{LABEL}input-digest"] = inputs.digest
    merged[f"{LABEL}python"] = PYTHON
    return merged


def environment_script(inputs: Inputs) -> str:
    """Return ``%environment`` of the whole chain, the base's first, as Apptainer does it."""
    return "#!/bin/sh\n" + "".join(item.script("environment") for item in inputs.chain)


def last_script(inputs: Inputs, section: str) -> str:
    """Return a section of the topmost definition that has it, as a program."""
    found = [item.script(section) for item in inputs.chain if section in item.sections]
    return "#!/bin/sh\n" + found[-1] if found else ""


def inspect_data(inputs: Inputs) -> dict[str, Any]:
    """Return what ``apptainer inspect`` shows."""
    attributes = {
        "deffile": inputs.chain[-1].text,
        "environment": {"/.singularity.d/env/90-environment.sh": environment_script(inputs)},
        "helpfile": inputs.chain[-1].script("help"),
        "labels": labels(inputs),
        "runscript": last_script(inputs, "runscript"),
        "test": last_script(inputs, "test"),
    }
    return {"data": {"attributes": attributes}, "type": "container"}


def to_json(content: object) -> str:
    """Return canonical, readable JSON."""
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
