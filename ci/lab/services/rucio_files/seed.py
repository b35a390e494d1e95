"""Fill the catalogue through Rucio's interface; runs in the virtual environment that has rucio-clients.

seed.py CATALOGUE < WHAT   (JSON: account, password, dn, and the storage elements by name)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rucio.client import Client

SCOPE = "cms"
EVERYTHING = {"read": 1, "write": 1, "delete": 1}
BOTH_WAYS = {"third_party_copy_read": 1, "third_party_copy_write": 1}


def main() -> None:
    catalogue = json.loads(Path(sys.argv[1]).read_text())
    what = json.load(sys.stdin)
    client = Client()
    add_user(client, what)
    client.add_scope("root", SCOPE)
    for rse, storage in what["storage"].items():
        add_storage(client, rse, storage)
        here = [file for file in catalogue if rse in file["sites"]]
        client.add_replicas(rse, [replica(file) for file in here])
    add_datasets(client, catalogue)


def add_user(client: Client, what: dict[str, str]) -> None:
    account, mail = what["account"], f"{what['account']}@lab.site"
    client.add_account(account, "USER", mail)
    client.add_identity(account, account, "USERPASS", mail, default=True, password=what["password"])
    client.add_identity(account, what["dn"], "X509", mail, default=True)


def add_storage(client: Client, rse: str, storage: dict[str, Any]) -> None:
    client.add_rse(rse, deterministic=True, volatile=False, rse_type="DISK")
    domains = {"lan": EVERYTHING, "wan": {**EVERYTHING, **BOTH_WAYS}}
    protocol = {"scheme": "root", "impl": "rucio.rse.protocols.xrootd.Default", "domains": domains}
    client.add_protocol(rse, {**protocol, **storage})
    client.add_rse_attribute(rse, "lfn2pfn_algorithm", "lfn2pfn")
    client.add_rse_attribute(rse, "country", rse.split("_")[1])
    client.add_rse_attribute(rse, "tier", rse[1])


def replica(file: dict[str, Any]) -> dict[str, Any]:
    meta = {"events": file["events"]}
    return {
        "scope": SCOPE,
        "name": file["lfn"],
        "bytes": file["bytes"],
        "adler32": file["adler32"],
        "meta": meta,
    }


def add_datasets(client: Client, catalogue: list[dict[str, Any]]) -> None:
    """Add what CMS calls datasets (Rucio: containers) and their blocks (Rucio: datasets)."""
    for dataset in sorted({file["dataset"] for file in catalogue}):
        client.add_container(SCOPE, dataset)
        blocks = sorted({file["block"] for file in catalogue if file["dataset"] == dataset})
        for block in blocks:
            client.add_dataset(SCOPE, block)
            files = [file["lfn"] for file in catalogue if file["block"] == block]
            client.attach_dids(SCOPE, block, [{"scope": SCOPE, "name": name} for name in files])
        client.attach_dids(SCOPE, dataset, [{"scope": SCOPE, "name": name} for name in blocks])


if __name__ == "__main__":
    main()
