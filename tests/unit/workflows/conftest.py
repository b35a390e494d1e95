"""Small complete analyses: a configuration over generated files, and a loop over its chunks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import cloudpickle
import numpy as np
import pytest
from coffea.processor import accumulate

from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.hist_manager import Axis, HistConf
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.run.event_source import file_summary, open_events
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.base import BaseProcessorABC


class SmallProcessor(BaseProcessorABC):
    """Jets and muons with simple cuts."""

    def apply_object_preselection(self, variation):
        self.events["JetGood"] = self.events.Jet[self.events.Jet.pt > 30]
        self.events["MuonGood"] = self.events.Muon[self.events.Muon.pt > 15]

    def count_objects(self, variation):
        self.events["nJetGood"] = ak.num(self.events.JetGood)
        self.events["nMuonGood"] = ak.num(self.events.MuonGood)


def at_least(n: int, field: str = "nJetGood") -> Cut:
    return Cut(
        name=f"{field}_min{n}",
        params={"n": n, "field": field},
        function=lambda events, params, **_: events[params["field"]] >= params["n"],
    )


def met_above(value: float) -> Cut:
    return Cut(
        name=f"met{value:g}",
        params={"value": value},
        function=lambda events, params, **_: events.MET.pt > params["value"],
    )


def met_hist(**options: Any) -> HistConf:
    axis = Axis(coll="MET", field="pt", bins=20, start=0, stop=200, label="met")
    return HistConf([axis], **options)


@pytest.fixture(scope="session")
def parameters() -> Any:
    return defaults.get_default_parameters()


@pytest.fixture
def make_config(tmp_path: Path, sample_file: Callable, parameters: Any) -> Callable[..., Configurator]:
    """Return ``make(workflow, datasets, **overrides)``: a loaded configuration.

    datasets: {dataset name: (sample, kind, n_events, extra metadata)}.
    """

    def make(
        workflow: type = SmallProcessor,
        datasets: dict[str, tuple] | None = None,
        subsamples: dict | None = None,
        load: bool = True,
        flavour: str = "v9",
        **overrides: Any,
    ) -> Configurator:
        filesets = {}
        for name, (sample, kind, n_events, extra) in (datasets or {"DY_2018": ("DY", "dy", 400, {})}).items():
            info = sample_file(flavour, kind, n_events)
            own = {"xsec": str(info.xsec)} if info.is_mc else {"era": "A", "primaryDataset": "SingleMuon"}
            metadata = {
                "sample": sample,
                "year": "2018",
                "isMC": str(info.is_mc),
                "nevents": str(n_events),
                **own,
                **extra,
            }
            filesets[name] = {"files": [info.path], "metadata": metadata}
        json_file = tmp_path / f"datasets_{len(list(tmp_path.iterdir()))}.json"
        json_file.write_text(json.dumps(filesets))
        options: dict[str, Any] = {
            "parameters": parameters,
            "datasets": {"jsons": [str(json_file)], "subsamples": subsamples or {}},
            "skim": [],
            "preselections": [],
            "categories": {"all": [passthrough], "2j": [at_least(2)]},
            "weights": {"common": {"inclusive": ["genWeight"]}},
            "weights_classes": list(common_weights),
            "variations": {},
            "variables": {"met": met_hist()},
            "calibrators": [],
        }
        options.update(overrides)
        config = Configurator(workflow=workflow, **options)
        if load:
            config.load()
        return config

    return make


def chunks(config: Configurator, size: int = 150) -> Iterator[Any]:
    """Yield the events of every chunk, with the metadata that a runner adds."""
    for dataset, entry in config.filesets.items():
        for file in entry["files"]:
            total = file_summary(file).num_entries
            for start in range(0, total, size):
                metadata = {
                    **entry["metadata"],
                    "dataset": dataset,
                    "filename": file,
                    "treename": "Events",
                    "entrystart": start,
                    "entrystop": min(start + size, total),
                    "fileuuid": f"uuid-{Path(file).stem}",
                }
                yield open_events(
                    file, entry_start=start, entry_stop=min(start + size, total), metadata=metadata
                )


def run(
    config: Configurator, size: int = 150, postprocess: bool = True, fresh: bool = True
) -> dict[str, Any]:
    """Process every chunk (each with a fresh copy of the processor, or all with one instance) and merge."""
    pickled = cloudpickle.dumps(config.processor_instance)
    outputs = []
    for events in chunks(config, size):
        processor = cloudpickle.loads(pickled) if fresh else config.processor_instance
        outputs.append(processor.process(events))
    merged = accumulate(outputs)
    return config.processor_instance.postprocess(merged) if postprocess else merged


@pytest.fixture
def analysis() -> Any:
    """Return the helpers of this module, for the tests next to it."""
    import types

    return types.SimpleNamespace(
        SmallProcessor=SmallProcessor,
        at_least=at_least,
        met_above=met_above,
        met_hist=met_hist,
        chunks=chunks,
        run=run,
        flow_sum=lambda histogram, **where: float(
            np.sum(histogram[where].values(flow=True)) if where else histogram.sum(flow=True)
        ),
    )
