"""Four-vectors and decays on flat numpy arrays: all that a toy event generator needs.

Momenta are arrays of shape (n, 4) holding (E, px, py, pz) in GeV.
"""

from __future__ import annotations

import numpy as np

from pocket_coffea.types import FloatArray

__all__ = ["boost", "eta_of", "from_pt_y_phi_m", "mass_of", "phi_of", "pt_of", "two_body_decay", "wrap_phi"]


def from_pt_y_phi_m(pt: FloatArray, rapidity: FloatArray, phi: FloatArray, mass: FloatArray) -> FloatArray:
    """Return the (n, 4) momenta of particles given pt [GeV], rapidity, phi [rad] and mass [GeV]."""
    transverse_mass = np.sqrt(pt**2 + mass**2)
    return np.stack(
        [
            transverse_mass * np.cosh(rapidity),
            pt * np.cos(phi),
            pt * np.sin(phi),
            transverse_mass * np.sinh(rapidity),
        ],
        axis=1,
    )


def pt_of(p4: FloatArray) -> FloatArray:
    """Return the transverse momentum, (n,) in GeV."""
    return np.hypot(p4[:, 1], p4[:, 2])


def phi_of(p4: FloatArray) -> FloatArray:
    """Return the azimuth in (-pi, pi], (n,)."""
    return np.arctan2(p4[:, 2], p4[:, 1])


def eta_of(p4: FloatArray) -> FloatArray:
    """Return the pseudorapidity, (n,); a vector without transverse momentum gets +-10."""
    pt = np.maximum(pt_of(p4), 1e-4 * np.abs(p4[:, 3]) + 1e-9)
    return np.clip(np.arcsinh(p4[:, 3] / pt), -10, 10)


def mass_of(p4: FloatArray) -> FloatArray:
    """Return the invariant mass, (n,) in GeV; rounding below zero gives 0."""
    return np.sqrt(np.maximum(p4[:, 0] ** 2 - np.sum(p4[:, 1:] ** 2, axis=1), 0.0))


def wrap_phi(phi: FloatArray) -> FloatArray:
    """Bring angles into [-pi, pi).

    >>> float(wrap_phi(np.array([3 * np.pi / 2]))[0].round(6))
    -1.570796
    """
    return (phi + np.pi) % (2 * np.pi) - np.pi


def boost(p4: FloatArray, parent: FloatArray) -> FloatArray:
    """Boost (n, 4) momenta from the rest frame of ``parent`` into the frame where it is given."""
    beta = parent[:, 1:] / parent[:, :1]
    beta2 = np.sum(beta**2, axis=1)
    gamma = 1.0 / np.sqrt(np.maximum(1.0 - beta2, 1e-12))
    along = np.sum(beta * p4[:, 1:], axis=1)
    factor = np.where(beta2 > 0, (gamma - 1.0) / np.maximum(beta2, 1e-12), 0.0)
    energy = gamma * (p4[:, 0] + along)
    space = p4[:, 1:] + (factor * along + gamma * p4[:, 0])[:, None] * beta
    return np.concatenate([energy[:, None], space], axis=1)


def two_body_decay(
    rng: np.random.Generator, parent: FloatArray, mass1: FloatArray | float, mass2: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    """Decay each parent isotropically into two particles of the given masses [GeV]; return both momenta."""
    n = len(parent)
    mass = mass_of(parent)
    m1, m2 = np.broadcast_to(mass1, n), np.broadcast_to(mass2, n)
    momentum2 = (mass**2 - (m1 + m2) ** 2) * (mass**2 - (m1 - m2) ** 2)
    momentum = np.sqrt(np.maximum(momentum2, 0.0)) / (2 * np.maximum(mass, 1e-6))
    cos_theta = rng.uniform(-1, 1, n)
    sin_theta = np.sqrt(1 - cos_theta**2)
    phi = rng.uniform(-np.pi, np.pi, n)
    direction = np.stack([sin_theta * np.cos(phi), sin_theta * np.sin(phi), cos_theta], axis=1)
    first = np.concatenate([np.sqrt(momentum**2 + m1**2)[:, None], momentum[:, None] * direction], axis=1)
    second = np.concatenate([np.sqrt(momentum**2 + m2**2)[:, None], -momentum[:, None] * direction], axis=1)
    return boost(first, parent), boost(second, parent)
