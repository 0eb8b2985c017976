import numpy as np
import oracles
import pytest
from makers import MEASURES
from numpy.testing import assert_allclose


def test_the_registry_is_the_documented_one():
    assert sorted(MEASURES) == sorted(oracles.MEASURES)
    assert [m for m in MEASURES if MEASURES[m].window == "all"] == list(oracles.SCALED)
    assert all(MEASURES[m].has_timescale == (m not in oracles.SCALED) for m in MEASURES)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("order", [1, 2, 5, 20])
def test_bases_have_the_documented_values(measure, order):
    decaying = MEASURES[measure].window == "decaying"
    times = np.linspace(-7, 0, 31) if decaying else np.linspace(0, 1, 31)
    r = MEASURES[measure].coordinate(
        times, 0.0, 0.0 if decaying else 1.0, 1.0 if measure not in oracles.SCALED else None
    )
    u = -times if decaying else times
    assert_allclose(
        MEASURES[measure].basis.evaluate(r, order), oracles.basis(measure, order, u), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("measure", MEASURES)
def test_bases_are_orthonormal_under_their_density(measure):
    order = 12
    nodes, weights = np.polynomial.legendre.leggauss(400)
    u, du = (nodes + 1) / 2, weights / 2
    if measure in ("chebs", "chebt"):
        u, du = (1 - np.cos(np.pi * u)) / 2, du
    elif MEASURES[measure].window == "decaying":
        u, du = 80 * u, du * 80 * np.exp(-80 * u)
    basis = oracles.basis(measure, order, u)
    assert_allclose(basis.T * du @ basis, np.eye(order), atol=1e-9)


@pytest.mark.parametrize("measure", ["legs", "legs_lti", "lagt"])
def test_a_constant_is_a_fixed_point_of_the_dynamics(measure):
    A, B = oracles.dynamics(measure, 9)
    assert_allclose(A[:, 0] + B, 0, atol=1e-14)
