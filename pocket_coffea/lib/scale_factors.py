"""Scale factors per event: (nominal, up, down), each of shape (n_events,).

Those of pile-up and L1 prefiring are here. Those of leptons, photons and jet taggers are importable, but
raise PhysicsNotAvailable when called.
"""

from __future__ import annotations

from typing import Any, NoReturn

import awkward as ak
import numpy as np

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib.correction_cache import get_correction
from pocket_coffea.lib.lookup import field_of, lookup
from pocket_coffea.types import Array, FloatArray, Params

__all__ = [
    "sf_L1prefiring",
    "sf_btag",
    "sf_btag_calib",
    "sf_ctag",
    "sf_ctag_calib",
    "sf_ele_id",
    "sf_ele_promptMVA",
    "sf_ele_reco",
    "sf_ele_trigger",
    "sf_jet_puId",
    "sf_mu",
    "sf_mu_promptMVA",
    "sf_photon",
    "sf_pileup_reweight",
]

Triplet = tuple[FloatArray, FloatArray, FloatArray]


def sf_pileup_reweight(params: Params, events: Array, year: str) -> Triplet:
    """Weights that give the simulation the pile-up of the data, by ``events.Pileup.nTrueInt``.

    Source: ``params.pileupJSONfiles[year]`` (file, name). Raises UnknownKey, MissingBranch, DataFileNotFound.
    """
    source = lookup(params, "pileupJSONfiles", str(year))
    correction = get_correction(str(source["file"]), str(source["name"]))
    pileup = field_of(
        field_of(events, "Pileup", "sf_pileup_reweight"), "nTrueInt", "sf_pileup_reweight", "Pileup"
    )
    interactions = ak.to_numpy(pileup).astype(np.float64)
    nominal, up, down = (
        np.asarray(correction.evaluate(interactions, name)) for name in ("nominal", "up", "down")
    )
    return nominal, up, down


def sf_L1prefiring(events: Array) -> Triplet:
    """Weights for triggers that fired one bunch crossing too early: ``events.L1PreFiringWeight`` Nom, Up,
    Dn.
    """
    weight = field_of(events, "L1PreFiringWeight", "sf_L1prefiring")
    nominal, up, down = (
        ak.to_numpy(field_of(weight, name, "sf_L1prefiring", "L1PreFiringWeight")).astype(np.float64)
        for name in ("Nom", "Up", "Dn")
    )
    return nominal, up, down


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.lib.scale_factors.{name}: these scale factors are not in this version. Remove the "
        "weight from "
        "the configuration, or compute it in a weight of your own (WeightLambda.wrap_func) with "
        "correctionlib."
    )
    raise PhysicsNotAvailable(msg)


def sf_btag(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_btag")


def sf_btag_calib(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_btag_calib")


def sf_ctag(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_ctag")


def sf_ctag_calib(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_ctag_calib")


def sf_ele_id(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_ele_id")


def sf_ele_promptMVA(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_ele_promptMVA")


def sf_ele_reco(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_ele_reco")


def sf_ele_trigger(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_ele_trigger")


def sf_jet_puId(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_jet_puId")


def sf_mu(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_mu")


def sf_mu_promptMVA(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_mu_promptMVA")


def sf_photon(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("sf_photon")
