import os

from pocket_coffea.lib.cut_definition import Cut
from pocket_coffea.lib.cut_functions import get_HLTsel, get_nObj_min
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.parameters.histograms import *
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

localdir = os.path.dirname(os.path.abspath(__file__))
parameters = defaults.merge_parameters_from_files(
    defaults.get_default_parameters(), f"{localdir}/params.yaml", update=True
)

central = Cut("central", {"eta": 1.2}, lambda events, params, **kw: abs(events.JetGood.eta) < params["eta"], collection="JetGood")
hard = Cut("hard", {"pt": 60}, lambda events, params, **kw: events.JetGood.pt > params["pt"], collection="JetGood")

cfg = Configurator(
    parameters=parameters,
    datasets={"jsons": [f"{localdir}/datasets.json"], "filter": {"samples": ["TTToAnything"]}},
    workflow=ttHbbBaseProcessor,
    skim=[get_HLTsel(primaryDatasets=["SingleMuon"])],
    preselections=[get_nObj_min(1, coll="JetGood")],
    categories={
        "all_jets": [passthrough],
        "central_jets": [central],
        "central_and_hard": [central, hard],
        "hard_in_busy_events": [hard, get_nObj_min(4, coll="JetGood")],
    },
    weights={"common": {"inclusive": ["genWeight", "lumi", "XS"]}},
    variations={"weights": {"common": {"inclusive": []}}},
    calibrators=[],
    variables={
        **jet_hists(),
        "met": HistConf([Axis(coll="MET", field="pt", bins=20, start=0, stop=200, label="MET")], collapse_2D_masks=True),
    },
)
