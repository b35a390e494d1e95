import os

from pocket_coffea.lib.categorization import CartesianSelection, MultiCut, StandardSelection
from pocket_coffea.lib.cut_functions import get_HLTsel, get_nBtagEq, get_nBtagMin, get_nObj_eq, get_nObj_min
from pocket_coffea.parameters import defaults
from pocket_coffea.parameters.cuts import passthrough
from pocket_coffea.parameters.histograms import *
from pocket_coffea.utils.configurator import Configurator
from pocket_coffea.workflows.tthbb_base_processor import ttHbbBaseProcessor

localdir = os.path.dirname(os.path.abspath(__file__))
defaults.register_configuration_dir("config_dir", localdir)
parameters = defaults.merge_parameters_from_files(
    defaults.get_default_parameters(), f"{localdir}/params.yaml", update=True
)

cfg = Configurator(
    parameters=parameters,
    datasets={"jsons": [f"{localdir}/datasets.json"], "filter": {"samples": ["TTToAnything"], "year": ["2018"]}},
    workflow=ttHbbBaseProcessor,
    skim=[get_nObj_min(1, 18.0, "Jet"), get_HLTsel(primaryDatasets=["SingleMuon", "SingleEle"])],
    preselections=[get_nObj_min(1, coll="LeptonGood")],
    categories=CartesianSelection(
        multicuts=[
            MultiCut(
                name="Njets",
                cuts=[get_nObj_eq(1, 15.0, "JetGood"), get_nObj_eq(2, 15.0, "JetGood"), get_nObj_min(3, 15.0, "JetGood")],
                cuts_names=["1j", "2j", "3j"],
            ),
            MultiCut(
                name="Nbjet",
                cuts=[get_nBtagEq(0, 15.0, "BJetGood"), get_nBtagEq(1, 15.0, "BJetGood"), get_nBtagMin(2, 15.0, "BJetGood")],
                cuts_names=["0b", "1b", "2b"],
            ),
        ],
        common_cats=StandardSelection({"inclusive": [passthrough], "4jets_40pt": [get_nObj_min(4, 40.0, "JetGood")]}),
    ),
    weights={
        "common": {"inclusive": ["genWeight", "lumi", "XS"], "bycategory": {"2j_1b": ["sf_partonshower_isr"]}},
        "bysample": {},
    },
    variations={
        "weights": {
            "common": {"inclusive": [], "bycategory": {"2j_1b": ["sf_partonshower_isr"]}},
            "bysample": {},
        }
    },
    calibrators=[],
    variables={
        **ele_hists(),
        **muon_hists(),
        **count_hist(name="nJets", coll="JetGood", bins=10, start=0, stop=10),
        **count_hist(name="nBJets", coll="BJetGood", bins=12, start=2, stop=14),
        **jet_hists(coll="JetGood", pos=0),
        "ht": HistConf([Axis(coll="events", field="JetGood_Ht", bins=30, start=0, stop=900, label="HT")],
                       exclude_categories=["4jets_40pt"], variations=False),
        "no_weights": HistConf([Axis(coll="events", field="nJetGood", bins=10, start=0, stop=10, label="n")], no_weights=True),
    },
)
