"""The folder of a new analysis with small samples, in which the pages are read."""

from __future__ import annotations

import json
import shutil

import pytest

from pocket_coffea.cli.make_config import write_template

N_EVENTS = 400


@pytest.fixture
def analysis(tmp_path, sample_file, monkeypatch):
    """What `make-config` makes, and the sample files of its README, of fewer events."""
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "no_proxy"))
    folder = tmp_path / "zmumu"
    write_template(folder)
    datasets = folder / "datasets" / "datasets.json"
    content = json.loads(datasets.read_text())
    for entry in content.values():
        entry["metadata"]["nevents"] = str(N_EVENTS)
    datasets.write_text(json.dumps(content, indent=2))
    (folder / "samples").mkdir()
    for name, kind in (("dy", "dy"), ("data", "data_singlemuon")):
        info = sample_file(kind=kind, n_events=N_EVENTS, cluster_size=N_EVENTS // 4)
        shutil.copy(info.path, folder / "samples" / f"{name}.root")
    return folder
