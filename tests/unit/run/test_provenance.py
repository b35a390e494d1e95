from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime

from pocket_coffea._version import __version__
from pocket_coffea.run.options import merge_run_options
from pocket_coffea.run.provenance import code_identity, image_identity, make_provenance, source_digest


def test_what_made_an_output_is_recorded(tmp_path):
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    options = merge_run_options("futures", flags={"scaleout": 3}, extra={"voms-proxy": "/tmp/x509up_u1000"})
    made = make_provenance(
        digests={"configuration": "c", "parameters": "p", "datasets": "d"},
        options=options.with_origins(),
        executor="futures",
        plan="plan",
        start=start,
        configuration_file="/home/somebody/analysis/config.py",
    )
    assert made["code"]["version"] == __version__
    assert len(made["code"]["source_digest"]) == 64
    assert made["digests"] == {"configuration": "c", "parameters": "p", "datasets": "d"}
    assert made["run_options"]["scaleout"] == {"value": 3, "origin": "command line (--scaleout)"}
    assert made["run_options"]["chunksize"]["origin"].startswith("defaults (general), ")
    assert made["start"] == "2026-01-02T03:04:05+00:00"
    assert datetime.fromisoformat(made["end"]) > start
    assert made["packages"]["coffea"].startswith("20")
    assert made["configuration_file"] == "config.py"
    text = json.dumps(made)
    assert "x509up" not in text
    assert "somebody" not in text
    if getpass.getuser() != "root":
        assert getpass.getuser() not in made


def test_the_source_digest_is_stable():
    assert source_digest() == source_digest.__wrapped__()
    assert code_identity()["source_digest"] == source_digest()


def test_an_image_says_what_it_is(tmp_path):
    assert image_identity(tmp_path / "manifest.json") is None
    (tmp_path / "manifest.json").write_text('{"digest": "sha256:1"}')
    assert image_identity(tmp_path / "manifest.json") == {"digest": "sha256:1"}
    (tmp_path / "manifest.json").write_text("{")
    assert image_identity(tmp_path / "manifest.json") is None
