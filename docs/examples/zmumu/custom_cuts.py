"""Cuts of the analysis."""

from pocket_coffea.lib.cut_definition import Cut


def dimuon(events, params, **kwargs):
    """Exactly two muons of opposite charge with a mass in the window."""
    return (
        (events.nMuonGood == 2)
        & (events.ll.charge == 0)
        & (events.ll.mass > params["low"])
        & (events.ll.mass < params["high"])
    )


dimuon_preselection = Cut(name="dimuon", params={"low": 60, "high": 120}, function=dimuon)
z_window = Cut(name="z_window", params={"low": 81, "high": 101}, function=dimuon)
