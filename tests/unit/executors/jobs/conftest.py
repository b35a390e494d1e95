"""An analysis to split into jobs: two datasets, whose files need not be there for that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pocket_coffea.cli.make_config import write_template
from pocket_coffea.utils.utils import load_config


@pytest.fixture
def analysis(tmp_path: Path) -> Path:
    """Return the configuration file of a new analysis; DY has 3 files with 900 events, data 2 with 100."""
    folder = tmp_path / "analysis"
    write_template(folder)
    datasets = folder / "datasets" / "datasets.json"
    content = json.loads(datasets.read_text())
    for name, files, events in (("DYJetsToLL_2018", 3, 900), ("DATA_SingleMuon_2018_EraA", 2, 100)):
        content[name]["files"] = [f"root://server//store/{name}/{k}.root" for k in range(files)]
        content[name]["metadata"]["nevents"] = str(events)
    datasets.write_text(json.dumps(content))
    return folder / "analysis_config.py"


@pytest.fixture
def config(analysis: Path) -> Any:
    """Return the loaded Configurator of that analysis."""
    return load_config(analysis, save_config=False)
