"""Writes skims; with SKIM_JSON set it runs on them."""
import os

from pocket_coffea.lib.cut_functions import get_HLTsel, get_nObj_min, get_nPVgood
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.parameters.histograms import *
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

localdir = os.path.dirname(os.path.abspath(__file__))
parameters = defaults.merge_parameters_from_files(
    defaults.get_default_parameters(), f"{localdir}/params.yaml", update=True
)
on_skim = "SKIM_JSON" in os.environ

cfg = Configurator(
    parameters=parameters,
    datasets={
        "jsons": [os.environ["SKIM_JSON"] if on_skim else f"{localdir}/datasets.json"],
        "filter": {"samples": ["TTToAnything", "DATA_SingleMuon"]},
    },
    workflow=ttHbbBaseProcessor,
    workflow_options={"skim_mode": os.environ["SKIM_MODE"]} if "SKIM_MODE" in os.environ else {},
    save_skimmed_files=os.environ.get("SKIM_FOLDER"),
    skim=[get_nPVgood(1), get_HLTsel(primaryDatasets=["SingleMuon"])],
    preselections=[get_nObj_min(2, coll="JetGood")],
    categories={"baseline": [passthrough], "4jets": [get_nObj_min(4, coll="JetGood")]},
    weights={"common": {"inclusive": ["genWeight", "lumi", "XS"]}},
    variations={"weights": {"common": {"inclusive": []}}},
    calibrators=[],
    variables={**jet_hists(coll="JetGood", pos=0), **muon_hists()},
)
