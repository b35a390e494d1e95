"""Reproducible random numbers of the muon resolution model; the corrections themselves are not in this
version.
"""

from __future__ import annotations

from typing import Any, NoReturn

import awkward as ak
import numpy as np

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib.flat import Flat, jagged
from pocket_coffea.types import Array, FloatArray

__all__ = ["crystal_ball_quantile", "get_rndm", "pt_resol", "pt_resol_var", "pt_scale", "pt_scale_var"]


def crystal_ball_quantile(
    u: FloatArray, mean: FloatArray, sigma: FloatArray, n: FloatArray, alpha: FloatArray
) -> FloatArray:
    """Return where the cumulative double-sided Crystal Ball function reaches ``u`` (in (0, 1)); all shapes
    alike.

    The function is a Gaussian of ``mean`` and ``sigma`` up to |alpha| standard deviations and falls like a
    power ``n`` > 1 beyond, on both sides alike.
    """
    from scipy.special import erf, erfinv  # type: ignore[import-untyped]

    edge = np.abs(alpha)
    shift = n / edge - edge  # the tail falls like (shift + distance in sigmas)^-n
    tail = n / edge / (n - 1) * np.exp(-0.5 * edge**2)
    core = np.sqrt(2 * np.pi) * erf(edge / np.sqrt(2))
    area = core + 2 * tail
    below = np.minimum(u, 1 - u) * area  # the area from the nearer end, by symmetry
    in_tail = below < tail
    with np.errstate(divide="ignore", invalid="ignore"):
        far = n / edge * (below / tail) ** (-1 / (n - 1)) - shift
        near = -np.sqrt(2) * erfinv((below - area / 2) / np.sqrt(np.pi / 2))
    distance = np.where(in_tail, far, near)
    return mean + sigma * np.where(u < 0.5, -distance, distance)


def get_rndm(  # noqa: PLR0917 -- public signature
    eta: Array, phi: Array, nL: Array, evtNr: Array, lumiNr: Array, cset: Any, nested: bool = False
) -> Array:
    """Return one random deviation of the relative resolution per muon, the same whenever it is asked again.

    eta, phi, nL (number of tracker layers): one per muon; evtNr, lumiNr: one per muon, or one per event with
    ``nested`` (then the muon columns and the result are (n_events, var)). cset: a correction set with
    ``RandomSmearing`` (event, lumi, phi -> uniform number) and ``cb_params`` (|eta|, layers, index of mean,
    sigma, n, alpha), as of the muon scale and resolution payload.
    """
    if not nested:
        return _draw(
            *(np.asarray(ak.to_numpy(column)) for column in (eta, phi, nL, evtNr, lumiNr)), cset=cset
        )
    muons = Flat(eta, "eta")
    event = muons.event_index()
    columns = [muons.values(), Flat(phi, "phi").values(), Flat(nL, "nL").values()]
    columns += [np.asarray(ak.to_numpy(column))[event] for column in (evtNr, lumiNr)]
    return jagged(muons.offsets, _draw(*columns, cset=cset))


def _draw(*columns: np.ndarray[Any, Any], cset: Any) -> FloatArray:
    eta, phi, layers, event, lumi = columns
    if len(eta) == 0:
        return np.zeros(0)
    layers = layers.astype(np.float64)
    uniform = cset["RandomSmearing"].evaluate(*(np.asarray(c, dtype=np.float64) for c in (event, lumi, phi)))
    shape = [cset["cb_params"].evaluate(np.abs(eta).astype(np.float64), layers, index) for index in range(4)]
    return crystal_ball_quantile(np.asarray(uniform), shape[0], shape[1], shape[2], shape[3])


def _not_available(name: str) -> NoReturn:
    msg = (
        f"pocket_coffea.lib.muon_scale_and_resolution.{name}: muon scale and resolution corrections are not "
        "in this "
        "version. The muons keep the momentum of the NanoAOD production."
    )
    raise PhysicsNotAvailable(msg)


def pt_resol(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("pt_resol")


def pt_resol_var(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("pt_resol_var")


def pt_scale(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("pt_scale")


def pt_scale_var(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raise PhysicsNotAvailable."""
    _not_available("pt_scale_var")
