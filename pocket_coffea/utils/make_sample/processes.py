"""Generator level: Drell-Yan and top-pair events as fixed lists of particles.

An event of a process always has the same number of generator particles, so that a whole
sample is one array of shape (n_events, n_particles, 4) with the particles' identities beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pocket_coffea.types import FloatArray, IntArray
from pocket_coffea.utils.make_sample.kinematics import from_pt_y_phi_m, two_body_decay

__all__ = ["CROSS_SECTIONS", "GENERATORS", "GeneratedEvents", "generate"]

Z_MASS, Z_WIDTH = 91.1876, 2.4952
W_MASS, TOP_MASS, B_MASS = 80.377, 172.5, 4.8
LEPTON_MASS = {11: 0.000511, 13: 0.10566, 15: 1.77686}

#: Inclusive cross sections in pb at 13 TeV that go into the dataset metadata.
CROSS_SECTIONS = {"dy": 6077.22, "ttbar": 831.76}

FIRST_COPY_HARD_PROCESS = (1 << 0) | (1 << 7) | (1 << 8) | (1 << 12) | (1 << 13)


@dataclass
class GeneratedEvents:
    """Generator particles of one process.

    p4: (n, k, 4) in GeV; pdg_id, status: (n, k); mother: (k,) index in the event or -1;
    weight: (n,) generator weight.
    """

    p4: FloatArray
    pdg_id: IntArray
    status: IntArray
    mother: IntArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.p4)


def _breit_wigner(rng: np.random.Generator, n: int) -> FloatArray:
    """Z masses in [50, 250] GeV: a Breit-Wigner over a 6 % falling continuum."""
    low, high = (np.arctan((edge - Z_MASS) / (Z_WIDTH / 2)) for edge in (50.0, 250.0))
    peak = Z_MASS + Z_WIDTH / 2 * np.tan(rng.uniform(low, high, n))
    continuum = 50.0 / (1 - rng.uniform(0, 1, n) * (1 - 50.0 / 250.0))
    return np.where(rng.uniform(size=n) < 0.06, continuum, peak)


def _drell_yan(rng: np.random.Generator, n: int) -> GeneratedEvents:
    mass = _breit_wigner(rng, n)
    pt = np.minimum(rng.gamma(1.4, 9.0, n) + rng.exponential(3.0, n), 900)
    boson = from_pt_y_phi_m(pt, rng.normal(0, 1.5, n), rng.uniform(-np.pi, np.pi, n), mass)
    flavour = rng.choice([11, 13, 15], size=n)
    lepton_mass = np.vectorize(LEPTON_MASS.get)(flavour).astype(float)
    minus, plus = two_body_decay(rng, boson, lepton_mass, lepton_mass)
    pdg_id = np.stack([np.full(n, 23), flavour, -flavour], axis=1)
    sign = np.where(rng.uniform(size=n) < 0.16, -1.0, 1.0)  # negative weights of an NLO generator
    return GeneratedEvents(
        p4=np.stack([boson, minus, plus], axis=1),
        pdg_id=pdg_id,
        status=np.tile([62, 1, 1], (n, 1)),
        mother=np.array([-1, 0, 0]),
        weight=sign * 22000.0,
    )


def _w_products(rng: np.random.Generator, n: int, charge: int) -> IntArray:
    """PDG ids (n, 2) of the W decay products with the measured branching fractions."""
    mode = rng.choice(5, size=n, p=[0.108, 0.108, 0.108, 0.338, 0.338])
    up_type = np.array([-11, -13, -15, 2, 4])[mode]
    down_type = np.array([12, 14, 16, -1, -3])[mode]
    return charge * np.stack([up_type, down_type], axis=1)


def _top_pair(rng: np.random.Generator, n: int) -> GeneratedEvents:
    recoil_pt = rng.gamma(1.5, 15.0, n)
    recoil_phi = rng.uniform(-np.pi, np.pi, n)
    pair_mass = 2 * TOP_MASS + 5 + rng.gamma(1.6, 70.0, n)
    system = from_pt_y_phi_m(recoil_pt, rng.normal(0, 0.9, n), recoil_phi, pair_mass)
    top, antitop = two_body_decay(rng, system, TOP_MASS, TOP_MASS)
    w_plus, bottom = two_body_decay(rng, top, W_MASS, B_MASS)
    w_minus, antibottom = two_body_decay(rng, antitop, W_MASS, B_MASS)
    products_plus, products_minus = _w_products(rng, n, 1), _w_products(rng, n, -1)
    f1, f2 = two_body_decay(rng, w_plus, 0.1, 0.0)
    f3, f4 = two_body_decay(rng, w_minus, 0.1, 0.0)
    ids = [np.full(n, code) for code in (6, -6, 24, 5, -24, -5)]
    pdg_id = np.concatenate([np.stack(ids, axis=1), products_plus, products_minus], axis=1)
    final = np.where(np.abs(pdg_id[:, 6:]) <= 5, 23, 1)
    status = np.concatenate([np.tile([62, 62, 22, 23, 22, 23], (n, 1)), final], axis=1)
    sign = np.where(rng.uniform(size=n) < 0.004, -1.0, 1.0)
    return GeneratedEvents(
        p4=np.stack([top, antitop, w_plus, bottom, w_minus, antibottom, f1, f2, f3, f4], axis=1),
        pdg_id=pdg_id,
        status=status,
        mother=np.array([-1, -1, 0, 0, 1, 1, 2, 2, 4, 4]),
        weight=sign * 72.0,
    )


GENERATORS: dict[str, Callable[[np.random.Generator, int], GeneratedEvents]] = {
    "dy": _drell_yan,
    "ttbar": _top_pair,
}


def generate(rng: np.random.Generator, process: str, n: int) -> GeneratedEvents:
    """Generate ``n`` events of ``process`` (a key of ``GENERATORS``)."""
    return GENERATORS[process](rng, n)
