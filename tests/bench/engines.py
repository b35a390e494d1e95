"""The things that are compared; each returns (seconds, result) for one pass over the file."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from coffea import processor
from coffea.nanoevents import NanoAODSchema

from pocket_coffea.executors.local import IterativeExecutor
from pocket_coffea.run.runner import PocketRunner
from tests.bench.analysis import CATEGORIES, VARIABLES, configuration
from tests.bench.handwritten import HandWritten

CHUNK = 100_000
LUMI, XSEC = 59832.47534, 831.76

#: What the analysis reads, for the pure reading time.
BRANCHES = (
    *("genWeight", "PV_npvsGood", "HLT_IsoMu24", "HLT_Ele32_WPTight_Gsf", "MET_pt", "MET_phi"),
    *("Flag_goodVertices", "Flag_globalSuperTightHalo2016Filter", "Flag_HBHENoiseFilter"),
    *("Flag_HBHENoiseIsoFilter", "Flag_EcalDeadCellTriggerPrimitiveFilter", "Flag_BadPFMuonFilter"),
    *(f"Muon_{name}" for name in ("pt", "eta", "phi", "mass", "charge", "pfRelIso04_all", "tightId")),
    *(
        f"Electron_{name}"
        for name in ("pt", "eta", "phi", "mass", "charge", "deltaEtaSC", "mvaFall17V2Iso_WP90")
    ),
    *(
        f"Jet_{name}"
        for name in ("pt", "eta", "phi", "mass", "jetId", "puId", "btagDeepFlavB", "hadronFlavour")
    ),
)


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function()
    return time.perf_counter() - start, result


class Engines:
    """(a) ours, (b) hand-written, (c) reading, (d) ours with variations, over one dataset."""

    def __init__(self, path: Path, dataset_json: Path) -> None:
        self.path = str(path)
        self.dataset_json = str(dataset_json)
        self._loaded: dict[bool, Any] = {}

    def _configuration(self, with_variations: bool) -> Any:
        if with_variations not in self._loaded:
            cfg = configuration(self.dataset_json, with_variations=with_variations)
            cfg.load()
            self._loaded[with_variations] = cfg
        return self._loaded[with_variations]

    def _ours(self, with_variations: bool) -> tuple[float, Any]:
        cfg = self._configuration(with_variations)
        runner = PocketRunner(executor=IterativeExecutor(), chunksize=CHUNK, schema=NanoAODSchema)
        return _timed(
            lambda: runner(cfg.filesets, treename="Events", processor_instance=cfg.processor_instance)
        )

    def ours(self) -> tuple[float, Any]:
        """(a) 25 histograms x 11 categories."""
        return self._ours(False)

    def variations(self) -> tuple[float, Any]:
        """(d) the same with 10 two-sided weights and 6 shape variations."""
        return self._ours(True)

    def handwritten(self) -> tuple[float, Any]:
        """(b) the same selection and histograms directly on coffea."""
        runner = processor.Runner(
            executor=processor.IterativeExecutor(status=False), chunksize=CHUNK, schema=NanoAODSchema
        )
        fileset = {"TTToAnything_2018": {"files": [self.path]}}
        instance = HandWritten(LUMI, XSEC)
        return _timed(lambda: runner(fileset, treename="Events", processor_instance=instance))

    def reading(self) -> tuple[float, Any]:
        """(c) uproot reading the needed branches in the same chunks."""

        def read() -> int:
            with uproot.open(self.path) as file:
                steps = file["Events"].iterate(list(BRANCHES), step_size=CHUNK)
                return sum(len(arrays) for arrays in steps)

        return _timed(read)


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise AssertionError unless both engines filled the same histograms."""
    for name in VARIABLES:
        mine = next(iter(next(iter(ours["variables"][name].values())).values()))
        for category in CATEGORIES:
            left = mine[{"cat": category, "variation": "nominal"}].view(flow=True)
            right = theirs["histograms"][name][{"cat": category}].view(flow=True)
            np.testing.assert_allclose(left["value"], right["value"], rtol=1e-9, err_msg=f"{name} {category}")
            np.testing.assert_allclose(left["variance"], right["variance"], rtol=1e-9, err_msg=name)
