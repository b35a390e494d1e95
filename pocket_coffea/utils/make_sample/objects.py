"""The branches that carry physics, per collection and per event."""

from __future__ import annotations

from typing import Any

import numpy as np

from pocket_coffea.types import FloatArray
from pocket_coffea.utils.make_sample.detector import Jagged, Reconstruction
from pocket_coffea.utils.make_sample.kinematics import eta_of, mass_of, phi_of, pt_of
from pocket_coffea.utils.make_sample.processes import FIRST_COPY_HARD_PROCESS, GeneratedEvents

__all__ = ["MEAN_COUNTS", "flat_physics", "object_physics", "trigger_bits"]

#: Mean number of objects in collections that are only filled up; a negative number is an exact count.
MEAN_COUNTS = {
    "CorrT1METJet": 3.0,
    "FatJet": 0.3,
    "FsrPhoton": 0.05,
    "GenProton": -2.0,
    "IsoTrack": 0.3,
    "LHEPart": -4.0,
    "LHEReweightingWeight": 0.0,
    "LowPtElectron": 0.6,
    "OtherPV": -3.0,
    "Photon": 0.7,
    "SV": 1.2,
    "SoftActivityJet": -6.0,
    "SubJet": 0.5,
    "Tau": 0.4,
    "boostedTau": 0.05,
}


def _muon_fields(rng: np.random.Generator, muons: Jagged) -> dict[str, Any]:
    f, n = muons.fields, len(muons)
    error = 0.002 + 0.0005 * rng.exponential(1, n)
    return f | {
        "pfRelIso04_all": f["iso"],
        "pfRelIso03_all": 0.9 * f["iso"],
        "pfRelIso03_chg": 0.5 * f["iso"],
        "miniPFRelIso_all": 0.6 * f["iso"],
        "tightId": f["good"],
        "mediumId": f["good"] | (rng.uniform(size=n) < 0.5),
        "looseId": np.ones(n, bool),
        "isPFcand": np.ones(n, bool),
        "isGlobal": f["good"] | (rng.uniform(size=n) < 0.8),
        "isTracker": np.ones(n, bool),
        "dxyErr": error,
        "dzErr": 2 * error,
        "ip3d": np.hypot(f["dxy"], f["dz"]),
        "sip3d": np.abs(f["dxy"]) / error,
        "ptErr": 0.013 * f["pt"],
        "nTrackerLayers": rng.integers(6, 18, n),
        "genPartFlav": np.where(f["prompt"], 1, 0),
    }


def _electron_fields(rng: np.random.Generator, electrons: Jagged) -> dict[str, Any]:
    f, n = electrons.fields, len(electrons)
    good = f["good"]
    tight = good & (rng.uniform(size=n) < 0.92)
    identification = {
        name: chosen
        for chosen, names in (
            (tight, ("mvaFall17V2Iso_WP80", "mvaFall17V2noIso_WP80", "mvaIso_WP80", "mvaNoIso_WP80")),
            (good, ("mvaFall17V2Iso_WP90", "mvaFall17V2noIso_WP90", "mvaIso_WP90", "mvaNoIso_WP90")),
        )
        for name in names
    }
    error = 0.003 + 0.001 * rng.exponential(1, n)
    return (
        f
        | identification
        | {
            "pfRelIso03_all": f["iso"],
            "pfRelIso03_chg": 0.5 * f["iso"],
            "miniPFRelIso_all": 0.6 * f["iso"],
            "cutBased": np.where(tight, 4, np.where(good, 3, 1)),
            "deltaEtaSC": rng.normal(0, 0.02, n),
            "convVeto": np.ones(n, bool),
            "lostHits": np.where(good, 0, 1),
            "dxyErr": error,
            "dzErr": 2 * error,
            "sip3d": np.abs(f["dxy"]) / error,
            "energyErr": 0.022 * f["pt"] * np.cosh(f["eta"]),
            "genPartFlav": np.where(f["prompt"], 1, 0),
            "seedGain": np.full(n, 12),
            "r9": np.clip(rng.normal(0.93, 0.05, n), 0, 1),
        }
    )


def _jet_fields(rng: np.random.Generator, jets: Jagged) -> dict[str, Any]:
    f, n = jets.fields, len(jets)
    real = f["genJetIdx"] >= 0
    neutral_em = np.clip(rng.beta(2, 6, n), 0, 0.95)
    charged_em = np.clip(rng.beta(0.6, 12, n), 0, 0.95)
    neutral_had = (1 - neutral_em - charged_em).clip(0) * rng.beta(1.2, 7, n)
    muon = (1 - neutral_em - charged_em - neutral_had).clip(0) * rng.beta(0.3, 20, n)
    charm_like = np.clip(0.35 + 0.4 * (f["hadronFlavour"] >= 4) + rng.normal(0, 0.2, n), 0, 1)
    b_taggers = ("DeepFlavB", "PNetB", "UParTAK4B", "DeepB", "RobustParTAK4B", "CSVV2")
    taggers = {f"btag{name}": f["btag"] for name in b_taggers}
    for algorithm in ("btagDeep", "btagDeepFlav", "btagPNet", "btagUParTAK4", "btagRobustParTAK4"):
        taggers |= {f"{algorithm}CvL": charm_like, f"{algorithm}CvB": 1 - f["btag"]}
    return (
        f
        | taggers
        | {
            "jetId": np.where(rng.uniform(size=n) < 0.985, 6, 0),
            "puId": np.where(real | (f["pt"] > 50), 7, rng.choice([0, 4, 6, 7], n, p=[0.7, 0.1, 0.1, 0.1])),
            "rawFactor": np.clip(rng.normal(0.06, 0.03, n), -0.2, 0.3),
            "area": rng.normal(0.5, 0.03, n),
            "neEmEF": neutral_em,
            "chEmEF": charged_em,
            "neHEF": neutral_had,
            "muEF": muon,
            "chHEF": (1 - neutral_em - charged_em - neutral_had - muon).clip(0),
            "nConstituents": rng.integers(4, 60, n),
            "chMultiplicity": rng.integers(2, 40, n),
            "neMultiplicity": rng.integers(1, 30, n),
            "nMuons": rng.poisson(0.05, n),
            "nElectrons": rng.poisson(0.05, n),
            "PNetRegPtRawCorr": rng.normal(1.05, 0.05, n),
        }
    )


def _gen_part(gen: GeneratedEvents) -> Jagged:
    n, k = gen.pdg_id.shape
    p4 = gen.p4.reshape(-1, 4)
    return Jagged(
        n,
        np.repeat(np.arange(n), k),
        {
            "pt": pt_of(p4),
            "eta": eta_of(p4),
            "phi": phi_of(p4),
            "mass": mass_of(p4),
            "pdgId": gen.pdg_id.reshape(-1),
            "status": gen.status.reshape(-1),
            "statusFlags": np.full(n * k, FIRST_COPY_HARD_PROCESS),
            "genPartIdxMother": np.tile(gen.mother, n),
        },
    )


def _weights(rng: np.random.Generator, n: int, per_event: int, spread: float) -> Jagged:
    values = 1 + spread * np.tile(np.linspace(-1, 1, per_event), n) * rng.uniform(0.7, 1.3, n * per_event)
    return Jagged(n, np.repeat(np.arange(n), per_event), {"": values})


def _trigger_objects(reco: Reconstruction) -> Jagged:
    muons, electrons = reco.muons, reco.electrons
    keep_mu = muons.fields["good"] & (muons.fields["pt"] > 20)
    keep_ele = electrons.fields["good"] & (electrons.fields["pt"] > 25)
    parts = [muons.select(keep_mu), electrons.select(keep_ele)]
    event = np.concatenate([part.event for part in parts])
    fields = {name: np.concatenate([part.fields[name] for part in parts]) for name in ("pt", "eta", "phi")}
    fields["id"] = np.concatenate([np.full(len(parts[0]), 13), np.full(len(parts[1]), 11)])
    fields["filterBits"] = np.where(fields["id"] == 13, 2 + 8, 2 + 1024)
    return Jagged(muons.n_events, event, fields).sorted_by_pt()


def object_physics(
    rng: np.random.Generator, gen: GeneratedEvents | None, reco: Reconstruction
) -> dict[str, Jagged]:
    """Return {collection: objects with their physical fields}; generator collections only with ``gen``."""
    n = reco.muons.n_events
    out = {
        "Muon": Jagged(n, reco.muons.event, _muon_fields(rng, reco.muons)),
        "Electron": Jagged(n, reco.electrons.event, _electron_fields(rng, reco.electrons)),
        "Jet": Jagged(n, reco.jets.event, _jet_fields(rng, reco.jets)),
        "TrigObj": _trigger_objects(reco),
    }
    if gen is not None:
        out["GenPart"] = _gen_part(gen)
        out["GenJet"] = reco.gen_jets
        out["LHEScaleWeight"] = _weights(rng, n, 9, 0.12)
        out["LHEPdfWeight"] = _weights(rng, n, 33, 0.02)
        out["PSWeight"] = _weights(rng, n, 4, 0.06)
    return out


def _met_fields(rng: np.random.Generator, met: FloatArray) -> dict[str, Any]:
    out: dict[str, Any] = {}
    collections = (
        "MET",
        "PuppiMET",
        "RawMET",
        "RawPuppiMET",
        "PFMET",
        "RawPFMET",
        "CaloMET",
        "ChsMET",
        "TkMET",
    )
    for name in collections:
        noisy = met + (0 if name in ("MET", "PFMET") else rng.normal(0, 3, met.shape))
        pt, phi = np.hypot(*noisy.T), np.arctan2(noisy[:, 1], noisy[:, 0])
        out |= {f"{name}_pt": pt, f"{name}_phi": phi, f"{name}_sumEt": pt + rng.gamma(8, 160, len(pt))}
        out |= {f"{name}_significance": pt**2 / 300}
    pt, phi = out["PuppiMET_pt"], out["PuppiMET_phi"]
    for source, size in (("Unclustered", 0.05), ("JES", 0.04), ("JER", 0.03)):
        for direction, sign in (("Up", 1), ("Down", -1)):
            out[f"PuppiMET_pt{source}{direction}"] = pt * (1 + sign * size)
            out[f"PuppiMET_phi{source}{direction}"] = phi
    out["MET_MetUnclustEnUpDeltaX"] = rng.normal(0, 5, len(pt))
    out["MET_MetUnclustEnUpDeltaY"] = rng.normal(0, 5, len(pt))
    return out


FLAGS = (
    *("goodVertices", "globalSuperTightHalo2016Filter", "HBHENoiseFilter", "HBHENoiseIsoFilter"),
    *("EcalDeadCellTriggerPrimitiveFilter", "BadPFMuonFilter", "BadPFMuonDzFilter", "eeBadScFilter"),
    *("ecalBadCalibFilter", "hfNoisyHitsFilter", "METFilters", "EcalDeadCellBoundaryEnergyFilter"),
)


def flat_physics(
    rng: np.random.Generator, gen: GeneratedEvents | None, reco: Reconstruction
) -> dict[str, Any]:
    """Return {branch: (n_events,) values} of the event-level branches that mean something."""
    n = len(reco.met)
    rho = 0.55 * reco.true_pileup + rng.normal(0, 2, n)
    prefire = np.clip(rng.normal(0.985, 0.01, n), 0.8, 1)
    out = {
        **_met_fields(rng, reco.met),
        **{f"Flag_{flag}": rng.uniform(size=n) < 0.9985 for flag in FLAGS},
        "PV_npvs": reco.n_vertices,
        "PV_npvsGood": np.maximum(reco.n_vertices - rng.poisson(2, n), 0),
        "fixedGridRhoFastjetAll": rho,
        "Rho_fixedGridRhoFastjetAll": rho,
        "Pileup_nTrueInt": reco.true_pileup,
        "Pileup_nPU": np.maximum(rng.poisson(reco.true_pileup), 0),
        "L1PreFiringWeight_Nom": prefire,
        "L1PreFiringWeight_Up": np.clip(prefire + 0.004, 0, 1),
        "L1PreFiringWeight_Dn": prefire - 0.004,
    }
    if gen is not None:
        out |= {
            "genWeight": gen.weight,
            "Generator_weight": gen.weight,
            "LHEWeight_originalXWGTUP": gen.weight,
        }
    return out


def _leading(collection: Jagged) -> FloatArray:
    """pt of the leading well-identified, isolated object per event; 0 where there is none."""
    best = np.zeros(collection.n_events)
    keep = collection.fields["good"] & (collection.fields["iso"] < 0.15)
    np.maximum.at(best, collection.event[keep], collection.fields["pt"][keep])
    return best


def trigger_bits(rng: np.random.Generator, reco: Reconstruction) -> dict[str, Any]:
    """Return {HLT name: (n_events,) bool} of the lepton triggers, with a 10 % inefficiency."""
    n = reco.muons.n_events
    muon, electron = _leading(reco.muons), _leading(reco.electrons)
    fire_mu, fire_ele = rng.uniform(size=n) < 0.90, rng.uniform(size=n) < 0.86
    out = {f"IsoMu{cut}": fire_mu & (muon > cut) for cut in (20, 24, 27)}
    out["Mu50"] = fire_mu & (muon > 50)
    for cut in (27, 28, 30, 32, 35, 38):
        out[f"Ele{cut}_WPTight_Gsf"] = fire_ele & (electron > cut)
    out["Ele32_WPTight_Gsf_L1DoubleEG"] = out["Ele32_WPTight_Gsf"]
    out["Mu23_TrkIsoVVL_Ele12_CaloIdL_TrackIdL_IsoVL_DZ"] = fire_mu & (muon > 23) & (electron > 12)
    out["Mu8_TrkIsoVVL_Ele23_CaloIdL_TrackIdL_IsoVL_DZ"] = fire_ele & (muon > 8) & (electron > 23)
    return out
