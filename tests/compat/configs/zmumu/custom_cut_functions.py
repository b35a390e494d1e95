import awkward as ak
from pocket_coffea.lib.cut_definition import Cut


def dimuon(events, params, year, sample, **kwargs):
    # mask on the number of leptons, charge and mass
    OS = events.ll.charge == 0
    mask = (
        (events.nMuonGood == 2)
        & (ak.firsts(events.MuonGood.pt) > params["pt_leading_muon"])
        & OS
        & (events.ll.mass > params["mll"]["low"])
        & (events.ll.mass < params["mll"]["high"])
    )
    # pad None values with False
    return ak.where(ak.is_none(mask), False, mask)


def mass_window(events, params, **kwargs):
    return (events.ll.mass > params["low"]) & (events.ll.mass < params["high"])


dimuon_presel = Cut(
    name="dilepton",
    params={"pt_leading_muon": 25, "mll": {"low": 60, "high": 120}},
    function=dimuon,
)
