"""Small events for the tests of object helpers."""

import awkward as ak
import numpy as np
from coffea.nanoevents.methods import base, candidate
from omegaconf import OmegaConf

PARAMS = {
    "default_nano_version": {"2018": 9, "2022_preEE": 12, "2024": 15},
    "object_preselection": {
        "Muon": {"pt": 15, "eta": 2.4, "iso": 0.25, "iso_soft": 0.5, "id": "tightId"},
        "Electron": {"pt": 15, "eta": 2.4, "id": "mvaFall17V2Iso_WP80"},
        "Jet": {"pt": 30, "eta": 2.4, "jetId": 2, "dr_lepton": 0.4, "puId": {"wp": "L", "maxpt": 50}},
        "FatJet": {"pt": 200, "eta": 2.4, "jetId": 2, "dr_lepton": 0.8, "msd": 40},
        "Photon": {"pt": 20, "eta": 2.4, "cutBased": 1, "dr_lepton": 0.3},
        "GEN_Lep": {"pt": 10, "eta": 2.5},
        "GEN_Jet": {"pt": 20, "eta": 2.5},
    },
    "jet_scale_factors": {"jet_puId": {"2018": {"working_point": {"L": 4, "M": 6, "T": 7}}}, "jet_id": {}},
    "jets_calibration": {"collection": {"2024": {"AK4PFPuppi": "Jet", "AK8PFPuppi": "FatJet"}}},
    "MET_xy": {"MC": {"2018": [[0.1, 1.0], [-0.2, 2.0]]}, "Data": {"2018": {"A": [[0.0, 0.0], [0.0, 5.0]]}}},
}

DEFAULTS = {
    "Muon": {"eta": 0.5, "phi": 0.0, "mass": 0.105, "charge": -1, "pfRelIso04_all": 0.1, "tightId": True}
    | {"dxy": 0.01, "dxyErr": 0.02},
    "Electron": {"eta": 0.5, "phi": 0.0, "mass": 0.0, "charge": -1, "pfRelIso03_all": 0.1, "deltaEtaSC": 0.0}
    | {"mvaFall17V2Iso_WP80": True},
    "Jet": {"eta": 0.0, "phi": 0.0, "mass": 5.0, "jetId": 6, "puId": 7, "btagDeepFlavB": 0.5}
    | {"btagDeepFlavCvL": 0.4, "btagDeepFlavCvB": 0.3},
    "FatJet": {"eta": 0.0, "phi": 0.0, "mass": 90.0, "jetId": 6, "msoftdrop": 80.0, "particleNetMD_Xbb": 0.9}
    | {"particleNetMD_Xcc": 0.1},
    "Photon": {"eta": 0.0, "phi": 0.0, "pixelSeed": False, "cutBased": 2},
    "GenJet": {"eta": 0.0, "phi": 0.0},
    "GenPart": {"eta": 0.0, "phi": 0.0, "status": 1, "genPartIdxMother": -1},
}


def params(**changes):
    """The parameters as OmegaConf; ``Jet={"pt": 20}`` changes cuts of a collection."""
    result = OmegaConf.create(PARAMS)
    for collection, cuts in changes.items():
        result.object_preselection[collection] = OmegaConf.merge(result.object_preselection[collection], cuts)
    return result


def objects(name, events, **columns):
    """A collection from lists of dictionaries; fields left out get the default of the collection."""
    defaults = DEFAULTS.get(name, {}) | columns
    fields = ["pt", *defaults]
    fields += [field for event in events for one in event for field in one if field not in fields]
    fields = list(dict.fromkeys(fields))
    flat = [one for event in events for one in event]
    values = {}
    for field in fields:
        column = [one.get(field, defaults.get(field, 0.0)) for one in flat]
        kind = {bool: np.bool_, int: np.int32}.get(
            type(defaults.get(field, column[0] if column else 0.0)), np.float32
        )
        values[field] = np.array(column, dtype=kind)
    return ak.unflatten(ak.zip(values), np.array([len(event) for event in events], dtype=np.int64))


def make_events(metadata=None, **collections):
    """Events with the given collections (lists of dictionaries, or arrays)."""
    fields = {
        name: objects(name, value) if isinstance(value, list) else value
        for name, value in collections.items()
    }
    n_events = len(next(iter(fields.values())))
    fields["event"] = np.arange(n_events)
    events = ak.Array(fields, behavior=base.behavior | candidate.behavior)
    return ak.with_parameter(ak.with_name(events, "NanoEvents"), "metadata", metadata or {})
