import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket_coffea.errors import PhysicsNotAvailable
from pocket_coffea.lib import muon_scale_and_resolution as muons
from pocket_coffea.lib.muon_scale_and_resolution import crystal_ball_quantile, get_rndm


def quantile(u, mean=0.0, sigma=1.0, n=3.0, alpha=1.5):
    return crystal_ball_quantile(*(np.asarray(value, dtype=float) for value in (u, mean, sigma, n, alpha)))


@settings(max_examples=30, deadline=None)
@given(alpha=st.floats(0.5, 3), n=st.floats(1.5, 10))
def test_the_quantile_inverts_the_integral_of_the_function(alpha, n):
    x = np.linspace(-60, 60, 240_001)
    edge, shift = abs(alpha), n / alpha - alpha
    tail = (n / edge) ** n * np.exp(-0.5 * edge**2) * (shift + np.abs(x)).clip(1e-9) ** -n
    density = np.where(np.abs(x) < edge, np.exp(-0.5 * x**2), tail)
    area_tail = n / edge / (n - 1) * np.exp(-0.5 * edge**2)
    beyond = area_tail * ((shift + 60) / (n / edge)) ** (1 - n)
    steps = (density[1:] + density[:-1]) / 2 * (x[1] - x[0])
    cumulative = beyond + np.concatenate(([0], np.cumsum(steps)))
    total = cumulative[-1] + beyond
    chosen = np.abs(x) < 8
    result = quantile(cumulative[chosen][::200] / total, n=n, alpha=alpha)
    np.testing.assert_allclose(result, x[chosen][::200], rtol=2e-3, atol=2e-3)


def test_mean_width_and_symmetry():
    assert quantile(0.5, mean=2.0) == 2.0
    assert quantile(0.9, mean=1.0, sigma=2.0) == pytest.approx(1 + 2 * quantile(0.9))
    assert quantile(0.001) == pytest.approx(-quantile(0.999))


class Payload(dict):
    """Corrections that answer like those of the muon payload."""

    class Smearing:
        def evaluate(self, event, lumi, phi):
            return (event * 0.31 + lumi * 0.17 + np.abs(phi) * 0.07) % 1

    class Shape:
        def evaluate(self, eta, layers, index):
            return np.full(len(eta), [0.0, 1.0, 3.0, 1.5][index]) + 0.001 * layers + 0 * eta

    def __init__(self):
        super().__init__(RandomSmearing=self.Smearing(), cb_params=self.Shape())


def test_draws_are_the_same_per_muon_and_per_event():
    eta, phi = ak.Array([[0.5, -1.0], [], [2.0]]), ak.Array([[0.1, 0.2], [], [-3.0]])
    layers, event, lumi = ak.Array([[10, 12], [], [8]]), np.array([11, 12, 13]), np.array([1, 2, 3])
    nested = get_rndm(eta, phi, layers, event, lumi, Payload(), nested=True)
    assert ak.num(nested).tolist() == [2, 0, 1]
    columns = [ak.flatten(column) for column in (eta, phi, layers)]
    flat = get_rndm(*columns, event[[0, 0, 2]], lumi[[0, 0, 2]], Payload())
    assert ak.flatten(nested).tolist() == flat.tolist()
    assert len(set(flat.tolist())) == 3
    assert get_rndm(*[[]] * 5, Payload()).tolist() == []


@pytest.mark.parametrize("name", ["pt_scale", "pt_resol", "pt_scale_var", "pt_resol_var"])
def test_corrections_say_that_they_are_missing(name):
    with pytest.raises(PhysicsNotAvailable, match=name):
        getattr(muons, name)(1, 2)
