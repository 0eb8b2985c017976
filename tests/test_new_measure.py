"""A measure of one's own, in one file: what CONTRIBUTING.md describes.

Its window is exponential with half the time constant of the others, mu = 2 exp(-2 a) da at an age of a timescales. In
w = exp(-a) that is 2 w dw on [0, 1], under which the polynomials p_n = sqrt(n + 1) P_n^(0,1)(2 w - 1) of Jacobi are
orthonormal.
"""

import numpy as np
import oracles
import pytest
from makers import walk
from numpy.testing import assert_allclose
from scipy.special import eval_jacobi, eval_legendre, roots_legendre

from sklearn_hippo import HiPPOMemory, HiPPOTransformer, Panel
from sklearn_hippo._bases import Basis, Integration, Legendre, WarpedLegendre
from sklearn_hippo._dynamics import Dynamics
from sklearn_hippo._measures import MEASURES, Measure
from sklearn_hippo._recurrence import recur

# --- the measure ---------------------------------------------------------------------------------------


class Jacobi(Basis):
    """Integrals of p_n mu are w times polynomials in w, as the functions of the warped chart are."""

    chart = "warped"
    reach = 46.0

    def n_moments(self, order):
        return order + 2

    def recurrence(self, n_moments):
        return WarpedLegendre().recurrence(n_moments)

    def integration(self, order):
        nodes, weights = roots_legendre(2 * order + 8)
        w, dw = (nodes + 1) / 2, weights / 2
        n, k = np.arange(order), np.arange(order + 2)
        orthonormal = np.sqrt(2 * k[:, None] + 1) * eval_legendre(k[:, None], 2 * w - 1)

        def once(w):  # Phi / w, from int_0^w p_n(v) 2 v dv with v = w s
            s, ds = w[..., None] * (nodes + 1) / 2, weights / 2
            return np.sqrt(n + 1) * np.einsum(
                "...sn,...s->...n", eval_jacobi(n, 0, 1, 2 * s[..., None] - 1), 2 * s * ds
            )

        twice = np.einsum("qsn,s->qn", once(w[:, None] * w), dw)  # Psi / w, from int_0^w Phi(v) / v dv
        own = Integration(order + 2)
        c = own.columns(order)
        scale = Legendre.scale(order + 2)  # makes the moments of the recurrence's terms those of the orthonormal ones
        own.add_matrix(c, own.jumps[:-2], -(orthonormal * dw @ once(w)).T * scale)
        own.add_matrix(c, own.kinks[:-2], (orthonormal * dw @ twice).T * scale)
        return own

    def evaluate(self, r, order):
        n = np.arange(order)
        return np.sqrt(n + 1) * eval_jacobi(n, 0, 1, 2 * np.exp(r)[:, None] - 1)

    def density(self, age):
        return np.where(age >= 0, 2 * np.exp(-2 * age), 0.0)


def dynamics(order):
    """The edge of the window enters with p_n(1) mu(0), and A + A^T = -2 I - 2 p(1) p(1)^T."""
    edge = np.sqrt(np.arange(order) + 1.0)
    A = -np.diag(np.arange(order) + 2.0) - 2 * np.tril(np.outer(edge, edge), -1)
    return Dynamics(A, 2 * edge, damping=1.0, V=edge[None])


MEASURE = Measure("decaying", Jacobi(), dynamics, exact=True)

# --- and what it gets ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """The measure in the registry, and in the references, from quadrature."""
    monkeypatch.setitem(MEASURES, "jacobi", MEASURE)
    monkeypatch.setattr(oracles, "DECAYING", (*oracles.DECAYING, "jacobi"))
    known_basis, known_dynamics = oracles.basis, oracles.dynamics

    def basis(measure, order, u):  # the references weigh decaying measures with exp(-u)
        if measure != "jacobi":
            return known_basis(measure, order, u)
        n = np.arange(order)
        return np.sqrt(n + 1) * eval_jacobi(n, 0, 1, 2 * np.exp(-u)[:, None] - 1) * 2 * np.exp(-u)[:, None]

    def of_quadrature(measure, order):  # A from <d/da (p_n mu), p_k>
        if measure != "jacobi":
            return known_dynamics(measure, order)
        nodes, weights = roots_legendre(2 * order + 4)
        w, n = (nodes + 1) / 2, np.arange(order)
        values = np.sqrt(n + 1) * eval_jacobi(n, 0, 1, 2 * w[:, None] - 1)
        # dP_n^(a,b)/dx = (n + a + b + 1) / 2 P_{n-1}^(a+1,b+1), and dw/da = -w
        slopes = np.sqrt(n + 1) * (n + 2) * np.where(n > 0, eval_jacobi(n - 1, 1, 2, 2 * w[:, None] - 1), 0)
        change = -w[:, None] * slopes - 2 * values
        A = np.einsum("qn,qk,q->nk", change, values, weights * w)
        return A, 2 * np.sqrt(n + 1) * eval_jacobi(n, 0, 1, 1.0)

    monkeypatch.setattr(oracles, "basis", basis)
    monkeypatch.setattr(oracles, "dynamics", of_quadrature)


def series(seed=0):
    times, values = walk(seed, 40, 1)
    return times, values[:, 0]


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("past", ["zero", "constant"])
def test_transformer_and_inverse(interpolation, past):
    times, values = series()
    X = [(times, values)]
    transformer = HiPPOTransformer("jacobi", 9, timescale=8.0, interpolation=interpolation, past=past).fit(X)
    coefficients = transformer.transform(X)
    expected = oracles.project("jacobi", 9, times, values, 8.0, interpolation, past)
    assert oracles.relative_error(coefficients[0], expected) < 1e-12
    back = transformer.inverse_transform(coefficients, times[-5:])
    basis = (
        oracles.basis("jacobi", 9, (times[-1] - times[-5:]) / 8) / (2 * np.exp((times[-5:] - times[-1]) / 8))[:, None]
    )
    assert_allclose(back.values[:, 0], basis @ expected, rtol=1e-10)


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
def test_memory(interpolation):
    times, values = series()
    kwargs = {"order": 6, "timescale": 8.0, "interpolation": interpolation}
    first, second = HiPPOMemory("jacobi", **kwargs), HiPPOMemory("jacobi", **kwargs)
    merged = first.update(values[:17], times[:17]) + second.update(values[17:], times[17:])
    expected = oracles.project("jacobi", 6, times, values, 8.0, interpolation, "constant")
    assert oracles.relative_error(merged.coefficients_[0, 0], expected) < 1e-12


@pytest.mark.parametrize("discretization", ["bilinear", "backward", "zoh", "linear"])
def test_recurrence(discretization):
    times, values = series()
    states = recur(Panel(values, times), MEASURE, 6, timescale=8.0, discretization=discretization, visit=True)
    expected = oracles.one_step_method("jacobi", 6, times, values, discretization, 8.0)
    assert oracles.relative_error(states[1:, 0], expected[1:]) < 1e-12


@pytest.mark.parametrize("discretization", ["bilinear", "zoh"])  # compiled, and in plain PyTorch
def test_network(discretization):
    torch = pytest.importorskip("torch")
    from sklearn_hippo import HiPPORNNClassifier
    from sklearn_hippo.nn import HiPPORNN

    torch.manual_seed(0)
    rnn = HiPPORNN(2, 5, measure="jacobi", order=6, timescale=3.0, discretization=discretization).double()
    rng = np.random.default_rng(0)
    x, times = rng.normal(size=(20, 2)), np.cumsum(rng.exponential(size=20))
    outputs, _ = rnn(torch.tensor(x)[None], torch.tensor(times)[None])
    names = ("weight_ux", "weight_uh", "bias_u", "weight_x", "weight_c", "bias")
    weights = [*(getattr(rnn.cell, name).detach().numpy() for name in names), None]
    hidden, _ = oracles.gated("jacobi", 6, x, times, weights, "mgu", discretization, 3.0)
    assert_allclose(outputs[0].detach(), hidden, atol=1e-12)
    X, y = [([0, 1, 3], [0, sign, sign]) for sign in (1, -1) * 8], [0, 1] * 8
    assert HiPPORNNClassifier("jacobi", 8, max_epochs=20, random_state=0).fit(X, y).score(X, y) == 1


def test_displays():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    from sklearn_hippo.inspection import MeasureDisplay, MemoryDisplay, ReconstructionDisplay

    X = [series()]
    transformer = HiPPOTransformer("jacobi", 20, timescale=8.0).fit(X)
    line = MeasureDisplay.from_estimator(transformer).line_
    assert_allclose(line.get_ydata(), 2 * np.exp(-2 * line.get_xdata()), rtol=1e-12)
    drawn = ReconstructionDisplay.from_estimator(transformer, X)
    expected = transformer.inverse_transform(transformer.transform(X), [drawn.grid - drawn.grid[0]]).values[:, 0]
    assert_allclose(drawn.line_.get_ydata(), expected, rtol=1e-9)
    image = MemoryDisplay.from_estimator(transformer, X).image_.get_array()
    assert_allclose(image[:, -1], transformer.transform(X)[0], rtol=1e-10)
    plt.close("all")
