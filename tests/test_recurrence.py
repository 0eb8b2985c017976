import itertools
from dataclasses import replace

import numpy as np
import oracles
import pytest
from makers import DYNAMICS, MEASURES, walk
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from sklearn_hippo import Panel
from sklearn_hippo._projection import embed, fade
from sklearn_hippo._recurrence import recur

pytestmark = pytest.mark.usefixtures("simd")

DISCRETIZATIONS = ["forward", "bilinear", "backward", "zoh", "linear"]
ONLINE = [name for name, measure in MEASURES.items() if measure.dynamics is not None]
TIMESCALE = 60.0


@pytest.mark.parametrize("discretization", DISCRETIZATIONS)
@pytest.mark.parametrize("measure", ONLINE)
@pytest.mark.parametrize("order", [1, 6, 33])
@pytest.mark.parametrize("past", ["zero", "constant"])
def test_every_recurrence_matches_dense_algebra(measure, discretization, order, past):
    times, values = walk()
    panel = Panel(values, times)
    kwargs = {"timescale": TIMESCALE, "discretization": discretization, "past": past}
    reference = [
        oracles.one_step_method(measure, order, times, channel, discretization, TIMESCALE, past) for channel in values.T
    ]
    longest = np.nanmax(oracles.steps(measure, times, discretization, TIMESCALE))
    if (
        discretization == "forward"
        and np.abs(1 + longest * np.linalg.eigvals(oracles.dynamics(measure, order)[0])).max() > 1
    ):
        with pytest.raises(ValueError, match="unstable at order"):
            recur(panel, MEASURES[measure], order, **kwargs)
        return
    states = recur(panel, MEASURES[measure], order, visit=True, **kwargs)
    last = recur(panel, MEASURES[measure], order, **kwargs)
    assert_allclose(last[0], states[-1], rtol=1e-12, atol=1e-12)
    moved = np.flatnonzero(times > times[0])  # before that, there is nothing but the past
    for c in range(2):
        if measure == "legs" and discretization == "linear":  # a line is no line in log-time
            exact = [oracles.recur("legs", order, times[: k + 1], values[: k + 1, c]) for k in moved]
            assert oracles.relative_error(states[moved, c], np.array(exact)) < 1e-9
        else:
            assert oracles.relative_error(states[moved, c], reference[c][moved]) < 1e-9


@pytest.mark.parametrize("measure", ["legt", "fout"])
def test_exact_steps_solve_the_differential_equation(measure):
    times, values = walk(1, 30, 1)
    A, B = oracles.dynamics(measure, 9)
    state = recur(Panel(values, times), MEASURES[measure], 9, timescale=TIMESCALE, discretization="linear")[0, 0]

    def slope(t, c):
        return (A @ c + B * np.interp(t, times, values[:, 0])) / TIMESCALE

    memory = np.zeros(len(B))
    for start, stop in itertools.pairwise(times):
        if stop > start:
            memory = solve_ivp(slope, (start, stop), memory, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    assert oracles.relative_error(state, memory[:9]) < 1e-9


def test_batches_and_threads():
    many = [walk(seed, 5 + 7 * seed) for seed in range(9)]
    panel = Panel.from_list(many)
    for measure in ONLINE:
        for discretization in ("bilinear", "zoh"):
            kwargs = {"timescale": TIMESCALE, "discretization": discretization}
            together = recur(panel, MEASURES[measure], 7, **kwargs)
            assert_array_equal(recur(panel, MEASURES[measure], 7, n_threads=2, **kwargs), together)
            alone = [recur(Panel.from_list([one]), MEASURES[measure], 7, **kwargs)[0] for one in many]
            assert_allclose(together, alone, rtol=1e-12, atol=1e-12)
            visited = recur(panel, MEASURES[measure], 7, visit=True, **kwargs)
            assert_allclose(visited[panel.offsets[1:] - 1], together, rtol=1e-12, atol=1e-12)


def test_missing_values_are_interpolated_by_channel():
    times, values = walk(3, 30, 2)
    times = times + np.arange(30)  # no ties
    holes = values.copy()
    holes[5:8, 0] = holes[0, 1] = holes[-1, 0] = np.nan
    for discretization in ("linear", "bilinear"):
        filled = holes.copy()
        for c in range(2):
            seen = np.flatnonzero(~np.isnan(holes[:, c]))
            if discretization == "linear":
                filled[:, c] = np.interp(times, times[seen], holes[seen, c])
            else:  # the value at a time fills the interval before it
                filled[:, c] = holes[seen[np.minimum(np.searchsorted(seen, np.arange(30)), len(seen) - 1)], c]
        expected = recur(Panel(filled, times), MEASURES["legt"], 5, timescale=9.0, discretization=discretization)
        actual = recur(Panel(holes, times), MEASURES["legt"], 5, timescale=9.0, discretization=discretization)
        assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("measure", ["legs", "legs_lti", "lagt"])
@pytest.mark.parametrize("order", [1, 5, 40])
def test_decay_is_the_matrix_exponential(measure, order):
    c = np.random.default_rng(0).normal(size=(4, 2, order))
    h = np.array([0.0, 1e-3, 0.7, 5.0])
    A, _ = oracles.dynamics(measure, order)
    expected = np.stack([one @ expm(A * step).T for one, step in zip(c, h, strict=True)])
    assert_allclose(fade(c, MEASURES[measure].basis, h), expected, atol=1e-11)
    assert_allclose(fade(c, MEASURES[measure].basis, np.full(4, 2000.0)), 0, atol=1e-100)


def test_embed_is_exact():
    order = 30
    c = np.random.default_rng(1).normal(size=(3, 1, order))
    low, high = np.array([0.0, 0.25, 0.6]), np.array([0.3, 1.0, 0.61])
    nodes, weights = np.polynomial.legendre.leggauss(order)
    for one, a, b, actual in zip(c, low, high, embed(c, low, high), strict=True):
        u = (nodes + 1) / 2
        f = oracles.basis("legs", order, u) @ one[0]
        expected = ((b - a) * weights / 2 * f) @ oracles.basis("legs", order, a + (b - a) * u)
        assert_allclose(actual[0], expected, atol=1e-13)


@pytest.mark.parametrize("order", [1, 2, 9, 16])
def test_dynamics_are_the_documented_ones(order):
    for name in ONLINE:
        A, B = oracles.dynamics(name, order)
        assert_allclose(DYNAMICS[name](order).A, A)
        assert_allclose(DYNAMICS[name](order).B, B)
    lmu, legt = DYNAMICS["lmu"](order), DYNAMICS["legt"](order)
    scale = np.sqrt(2 * np.arange(order) + 1) * (-1.0) ** np.arange(order)
    assert_allclose(lmu.A, scale[:, None] * legt.A / scale, atol=1e-10)
    assert_allclose(lmu.B, scale * legt.B)


@pytest.mark.parametrize("order", [1, 2, 3, 17, 128, 256])
def test_a_random_memory_fades(order):
    A = DYNAMICS["rand"](order).A
    assert_array_equal(A, DYNAMICS["rand"](order).A)
    assert np.linalg.eigvals(A).real.max() < -0.5 + 1e-12 * order
    constant = np.linalg.solve(A, -DYNAMICS["rand"](order).B)
    assert np.linalg.norm(constant) == pytest.approx(1, rel=1e-12)  # A is well conditioned: some hundreds


@pytest.mark.parametrize("discretization", ["zoh", "linear"])
@pytest.mark.parametrize("measure", ["legt", "fout"])
def test_repeated_steps_are_what_their_digits_are(measure, discretization):
    values = walk(4, 60, 2)[1]
    regular, shaken = np.arange(60.0), np.arange(60.0)
    shaken[1:-1] += np.random.default_rng(0).uniform(-1e-12, 1e-12, 58)  # so that no two steps are the same
    one, other = (
        recur(Panel(values, t), MEASURES[measure], 12, timescale=9.0, discretization=discretization, visit=True)
        for t in (regular, shaken)
    )
    assert_allclose(one, other, rtol=0, atol=1e-9)
    reference = oracles.one_step_method(measure, 12, regular, values[:, 0], discretization, 9.0)
    assert oracles.relative_error(one[1:, 0], reference[1:]) < 1e-11


@pytest.mark.parametrize("visit", [False, True])
@pytest.mark.parametrize("measure", ONLINE)
def test_small_numbers_keep_their_digits_beside_the_largest(measure, visit):
    many = [walk(seed, 20) for seed in range(3)]
    sizes = np.array([[2.0**-900, 1.0], [2.0**1000, 2.0**-300], [1.0, 1.0]])  # of series and channels
    panel = Panel.from_list([(times, size * values) for (times, values), size in zip(many, sizes, strict=True)])
    kwargs = {"timescale": TIMESCALE, "discretization": "bilinear", "visit": visit}
    states = recur(panel, MEASURES[measure], 5, **kwargs)
    expected = recur(Panel.from_list(many), MEASURES[measure], 5, **kwargs)
    of_states = np.repeat(sizes, 20, axis=0) if visit else sizes
    assert_allclose(states / of_states[..., None], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("discretization", ["forward", "bilinear", "backward"])
@pytest.mark.parametrize("measure", ONLINE)
def test_dynamics_of_which_nothing_is_known(measure, discretization):
    own = MEASURES[measure]
    plain = replace(own, dynamics=lambda order: replace(own.dynamics(order), factors=None, V=None), exact=False)
    panel = Panel.from_list([walk(seed, 20 + seed) for seed in range(4)])
    kwargs = {"timescale": 5000.0, "discretization": discretization, "visit": True}
    if (measure, discretization) == ("legs", "forward"):  # whose first steps are too long
        return
    actual, expected = recur(panel, plain, 4, **kwargs), recur(panel, own, 4, **kwargs)
    assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)
