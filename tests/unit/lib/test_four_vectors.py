import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_coffea.lib.four_vectors import delta_phi, sum_p4

ANGLE = st.floats(-np.pi, np.pi)


@given(a=ANGLE, b=ANGLE)
def test_delta_phi_is_the_short_way(a, b):
    result = delta_phi(a, b)
    assert -np.pi <= result <= np.pi
    assert np.cos(result) == pytest.approx(np.cos(a - b), abs=1e-9)
    assert np.sin(result) == pytest.approx(np.sin(a - b), abs=1e-9)


@given(pt=st.floats(1, 1000), eta=st.floats(-4, 4), phi=ANGLE, mass=st.floats(0.1, 200))
def test_a_single_vector_comes_back_and_two_equal_ones_double(pt, eta, phi, mass):
    one = sum_p4([(pt, eta, phi, mass)])
    assert [float(value) for value in one] == pytest.approx([pt, eta, phi, mass], rel=1e-3, abs=1e-6)
    two = sum_p4([(pt, eta, phi, mass)] * 2)
    assert [float(value) for value in two] == pytest.approx([2 * pt, eta, phi, 2 * mass], rel=1e-3, abs=1e-6)


def test_nothing_at_all_has_no_direction():
    assert [float(value) for value in sum_p4([(0, 0, 0, 0)])] == [0, 0, 0, 0]
