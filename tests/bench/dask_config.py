"""The analysis of ``tests.bench.dask_overhead`` as a PocketCoffea configuration: one histogram.

The environment variable ``BENCH_FOLDER`` names the folder of its dataset definition and of the marks.
"""

from __future__ import annotations

import os
from typing import Any

from pocket_coffea.lib.cut_functions import get_nPVgood
from pocket_coffea.lib.hist_manager import Axis, HistConf
from pocket_coffea.lib.weights.common import common_weights
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.base import BaseProcessorABC
from tests.bench.dask_work import mark

FOLDER = os.environ["BENCH_FOLDER"]


class Marking(BaseProcessorABC):
    """No objects; says when the first chunk is there."""

    def apply_object_preselection(self, variation: str) -> None:
        mark(self.workflow_options["marks"])

    def count_objects(self, variation: str) -> None:
        pass


def _configuration() -> Any:
    axis = Axis(coll="PV", field="npvsGood", bins=60, start=0, stop=60, label="vertices")
    return Configurator(
        workflow=Marking,
        workflow_options={"marks": f"{FOLDER}/marks"},
        parameters=defaults.get_default_parameters(),
        datasets={"jsons": [f"{FOLDER}/datasets.json"]},
        skim=[get_nPVgood(0)],
        preselections=[passthrough],
        categories={"all": [passthrough]},
        weights={"common": {"inclusive": ["genWeight"]}},
        weights_classes=list(common_weights),
        calibrators=[],
        variations={"weights": {"common": {"inclusive": []}}},
        variables={"npv": HistConf([axis])},
    )


cfg = _configuration()
