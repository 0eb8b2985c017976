import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import MEASURES
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_hippo import Panel, _projection
from sklearn_hippo._bases import Legendre
from sklearn_hippo._ext_projection import cost_model, simd_name
from sklearn_hippo._projection import INTERPOLATIONS, PASTS, every_point, project, series_span
from sklearn_hippo._projection import reconstruct as reconstruct_between

pytestmark = pytest.mark.usefixtures("simd")  # every test, under every instruction set


def wild_series(seed, length, n_channels=2, missing=0.2, dtype=np.float64):
    """Irregular times with gaps of many sizes and ties, values with an offset, some of them missing."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(size=length) * rng.choice([1, 1, 1, 0.01, 1e-6, 10, 0], size=length)
    times = 3 + np.cumsum(gaps)
    times[-1] += 1
    values = rng.normal(size=(length, n_channels)) + 2
    values[rng.uniform(size=values.shape) < missing] = np.nan
    values[rng.integers(length), :] = 1.5
    return times, values.astype(dtype)


def coefficients(times, values, measure, order, **kwargs):
    return project(Panel(values, times), MEASURES[measure], order, **kwargs)[0]


def expected(times, values, measure, order, timescale, interpolation, past="zero"):
    arguments = timescale, interpolation, past
    return np.array([oracles.project(measure, order, times, channel, *arguments) for channel in values.T])


def reconstruct(c, measure, times, offsets, timescale=None):
    return reconstruct_between(c, measure, times, offsets, *series_span(times, offsets, "linear"), timescale=timescale)


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("window", [0.3, 2.5])
def test_coefficients_are_the_defining_integrals(measure, interpolation, window, past):
    for length, order, missing in [(2, 1, 0), (2, 64, 0), (3, 2, 0.2), (7, 7, 0.5), (60, 64, 0.2), (700, 33, 0.3)]:
        times, values = wild_series(length, length, missing=missing)
        timescale = window * (times[-1] - times[0])
        kwargs = {"timescale": timescale, "interpolation": interpolation, "past": past}
        actual = coefficients(times, values, measure, order, **kwargs)
        reference = expected(times, values, measure, order, **kwargs)
        for channel in range(2):
            assert oracles.relative_error(actual[channel], reference[channel]) < 1e-10


@pytest.mark.parametrize("measure", MEASURES)
def test_any_number_of_channels_and_any_order(measure, simd):
    assert simd_name() == simd
    for n_channels in (1, 2, 5):
        times, values = wild_series(1, 400, n_channels)
        for order in (1, 6, 40, 700):
            actual = coefficients(times, values, measure, order, timescale=50.0)
            if order < 100:
                assert_allclose(actual, expected(times, values, measure, order, 50.0, "linear"), atol=1e-10)
            assert np.isfinite(actual).all()


def test_legs_at_order_256():
    times, values = wild_series(2, 300, n_channels=1)
    for interpolation in INTERPOLATIONS:
        actual = coefficients(times, values, "legs", 256, interpolation=interpolation)
        reference = expected(times, values, "legs", 256, None, interpolation)
        assert oracles.relative_error(actual, reference) < 1e-8


def test_order_1024_reconstructs_the_signal():
    t = np.linspace(0, 1, 30_001)
    f = np.sin(900 * t) * np.exp(-t)
    c = coefficients(t, f[:, None], "legs", 1024)
    back = reconstruct(c[None], MEASURES["legs"], t, np.array([0, len(t)]))
    assert_allclose(back[:, 0], f, atol=1e-4)  # what straight lines between the samples leave


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_float32_series(measure, interpolation, past):
    times, values = wild_series(3, 200, dtype=np.float32)
    actual = coefficients(times, values, measure, 64, timescale=40.0, interpolation=interpolation, past=past)
    assert actual.dtype == np.float32
    reference = expected(times, values.astype(np.float64), measure, 64, 40.0, interpolation, past)
    assert oracles.relative_error(actual, reference) < 1e-5


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("measure", ["legs", "legs_lti", "lagt"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_coefficients_are_the_state_of_the_dynamics(measure, interpolation, past):
    times, values = wild_series(4, 80, n_channels=1, missing=0.2)
    actual = coefficients(times, values, measure, 24, timescale=9.0, interpolation=interpolation, past=past)
    reference = oracles.recur(measure, 24, times, values[:, 0], 9.0, interpolation, past)
    assert oracles.relative_error(actual[0], reference) < 1e-10


@pytest.mark.parametrize("measure", ["legs", "lagt", "fous", "chebs"])
def test_white_noise_in_long_dense_series_keeps_its_digits(measure):
    # The slopes of dense noise are huge and nearly cancel: what a naive integration by parts gets wrong.
    rng = np.random.default_rng(5)
    values = rng.normal(size=(20_000, 1))
    actual = coefficients(None, values, measure, 12, timescale=5000.0)
    reference = expected(np.arange(20_000.0), values, measure, 12, 5000.0, "linear")
    assert oracles.relative_error(actual, reference) < 1e-10


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_constants_have_one_coefficient(measure, interpolation):
    # A full window, or a constant past: then to the last bit, in windows of any length.
    panel = Panel.from_list([(np.arange(1.0, 1 + n), np.full(n, 0.1)) for n in (1, 2, 5, 300)])
    kwargs = {"interpolation": interpolation, "past": "constant"}
    for timescale in (1e-3, 1.0, 10.0, 1e9):
        c = project(panel, MEASURES[measure], 9, timescale=timescale, **kwargs)
        assert_array_equal(c[:, 0, 0], 0.1)
        assert_array_equal(c[:, 0, 1:], 0)
    if MEASURES[measure].window != "decaying":
        full = project(panel[1:], MEASURES[measure], 9, timescale=1.0, interpolation=interpolation)
        assert_array_equal(full, c[1:])


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("times", [[5.0], [5.0, 5.0, 5.0]])
def test_a_series_without_duration(measure, interpolation, times, past):
    # The scaled measures see a constant; in a window there is nothing but the past.
    values = np.array([[1.0, 7.0, np.nan, np.nan], [2.0, 6.0, 4.0, np.nan], [3.0, np.nan, 5.0, np.nan]])[: len(times)]
    kwargs = {"timescale": 2.0, "interpolation": interpolation, "past": past}
    c = coefficients(times, values, measure, 4, **kwargs)
    last, first = ([1.0, 7.0], [1.0, 7.0]) if len(times) == 1 else ([3.0, 6.0, 5.0], [1.0, 7.0, 4.0])
    constant = last if not MEASURES[measure].has_timescale else first if past == "constant" else np.zeros(len(first))
    assert_array_equal(c[: len(first), 0], constant)
    assert_array_equal(c[: len(first), 1:], 0)
    assert np.isnan(c[len(first) :]).all()
    if not MEASURES[measure].has_timescale or len(times) == 1:
        return
    # It is the limit of a series that goes on for a moment. Of a window, that sees a part of 1e-12 / 2, or, where the
    # density of Chebyshev has its pole, of 2 / pi arcsin(sqrt(1e-12 / 2)) = 5e-7; times max|f| sqrt(2 n + 1).
    longer = np.concatenate([values, values[:1]])
    near = coefficients([*times, times[-1] + 1e-12], longer, measure, 4, **kwargs)
    tolerance = 7 * np.sqrt(7) * 2 * (5e-7 if measure == "chebt" else 5e-13 * 2)
    assert_allclose(near, c, rtol=0, atol=tolerance)


def test_a_tie_is_a_jump():
    times = [0.0, 1.0, 1.0, 2.0]
    values = np.array([[0.0], [0.0], [1.0], [1.0]])
    for gap in (0, 1e-12, 1e-7):  # and the limit of a steep rise
        near = np.add(times, [0, 0, gap, 0])
        c = coefficients(near, values, "legs", 3)
        assert_allclose(c[0], [0.5, np.sqrt(3) / 4, 0], atol=2 * gap + 1e-15)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_channel_without_observations_is_nan_and_alone(measure):
    times, values = wild_series(6, 50, n_channels=3)
    alone = coefficients(times, values[:, [0, 2]], measure, 8, timescale=20.0)
    values[:, 1] = np.nan
    c = coefficients(times, values, measure, 8, timescale=20.0)
    assert np.isnan(c[1]).all()
    assert_allclose(c[[0, 2]], alone, rtol=1e-13, atol=1e-13)


def test_no_times_are_0_1_2():
    _, values = wild_series(7, 600)
    for measure in MEASURES:
        with_times = coefficients(np.arange(600.0), values, measure, 10, timescale=100.0)
        assert_array_equal(coefficients(None, values, measure, 10, timescale=100.0), with_times)


def test_epoch_seconds_do_not_lose_digits():
    times, values = wild_series(8, 100, missing=0)
    times = np.round(times * 1024) / 1024  # exact in the sum
    for measure in MEASURES:
        near = coefficients(times, values, measure, 16, timescale=32.0)
        far = coefficients(times + 2.0**31, values, measure, 16, timescale=32.0)
        assert_allclose(far, near, rtol=1e-12, atol=1e-12)
        for timescale in (10.1, 1e-3, 1e-10):  # of which the beginning of the window is no multiple
            near = coefficients(times, values, measure, 16, timescale=timescale)
            assert_array_equal(coefficients(times + 2.0**31, values, measure, 16, timescale=timescale), near)


series = st.builds(
    wild_series,
    st.integers(0, 10_000),
    st.integers(2, 120),
    n_channels=st.integers(1, 3),
    missing=st.sampled_from([0, 0.3]),
)
measures = st.sampled_from(sorted(MEASURES))
orders = st.integers(1, 40)
interpolations = st.sampled_from(INTERPOLATIONS)


def same(actual, expected):
    scale = np.nanmax(np.abs(expected), initial=1)
    assert_allclose(actual, expected, rtol=0, atol=1e-11 * scale)


@settings(deadline=None, max_examples=150)
@given(series, measures, orders, interpolations, st.sampled_from(PASTS), st.floats(0.05, 3))
def test_any_series_matches_quadrature(one, measure, order, interpolation, past, window):
    times, values = one
    kwargs = {"timescale": window * (times[-1] - times[0]), "interpolation": interpolation, "past": past}
    actual = coefficients(times, values, measure, order, **kwargs)
    for channel in range(values.shape[1]):
        reference = oracles.project(measure, order, times, values[:, channel], **kwargs)
        assert_allclose(actual[channel], reference, rtol=0, atol=1e-10 * max(1, np.abs(reference).max()))


@settings(deadline=None)
@given(st.lists(series.filter(lambda s: s[1].shape[1] == 2), min_size=1, max_size=5), measures, orders, interpolations,
       st.randoms(use_true_random=False))  # fmt: skip
def test_the_batch_does_not_matter(many, measure, order, interpolation, random):
    panel = Panel.from_list(many)
    kwargs = {"timescale": 10.0, "interpolation": interpolation}
    together = project(panel, MEASURES[measure], order, **kwargs)
    alone = np.concatenate([project(panel[[i]], MEASURES[measure], order, **kwargs) for i in range(len(panel))])
    assert_array_equal(together, alone)
    shuffled = random.sample(range(len(panel)), len(panel))
    assert_array_equal(project(panel[shuffled], MEASURES[measure], order, **kwargs), together[shuffled])
    assert_array_equal(project(panel, MEASURES[measure], order, n_threads=2, **kwargs), together)


@settings(deadline=None)
@given(series, st.sampled_from(oracles.SCALED), orders, interpolations, st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_scaled_measures_do_not_see_the_time_axis(one, measure, order, interpolation, a, b):
    times, values = one
    c = coefficients(times, values, measure, order, interpolation=interpolation)
    # Rounding of a t + b moves observations by what rounding makes of it, hence gaps that are no smaller.
    kept = np.r_[True, np.diff(times) > 1e-3]
    times, values = times[kept], values[kept]
    if len(times) < 2 or np.isnan(values).all(axis=0).any():
        return
    c = coefficients(times, values, measure, order, interpolation=interpolation)
    moved = coefficients(a * times + b, values, measure, order, interpolation=interpolation)
    slope = np.nanmax(np.abs(values)) * (1 + abs(b) / a) * 1e-12 / 1e-3
    assert_allclose(moved, c, rtol=0, atol=1e-10 + slope)


@settings(deadline=None)
@given(series, measures, orders, interpolations, st.floats(-10, 10), st.floats(-10, 10))
def test_coefficients_are_linear_in_the_values(one, measure, order, interpolation, a, b):
    times, values = one
    other = np.where(np.isnan(values), np.nan, np.cos(np.arange(values.size)).reshape(values.shape))

    def c(x):
        return coefficients(times, x, measure, order, timescale=7.0, interpolation=interpolation)

    # Rounding is relative to what goes in: the sums may cancel.
    amplitude = max(1, abs(a) * np.nanmax(np.abs(values)) + abs(b))
    assert_allclose(c(a * values + b * other), a * c(values) + b * c(other), rtol=0, atol=1e-11 * amplitude)


@settings(deadline=None)
@given(series, measures, orders, interpolations)
def test_channels_are_independent(one, measure, order, interpolation):
    times, values = one
    kwargs = {"timescale": 5.0, "interpolation": interpolation}
    c = coefficients(times, values, measure, order, **kwargs)
    same(coefficients(times, values[:, ::-1], measure, order, **kwargs), c[::-1])
    same(np.concatenate([coefficients(times, x[:, None], measure, order, **kwargs) for x in values.T]), c)


def test_smooth_signals_converge_spectrally():
    t = np.linspace(0, 1, 200_001)
    f = np.exp(np.sin(5 * t + 1))
    grid = np.linspace(0, 1, 501)
    truth = np.exp(np.sin(5 * grid + 1))
    for measure in ("legs", "legt", "chebs", "chebt"):
        errors = []
        for order in (4, 8, 12, 16, 20, 24, 28, 32):
            c = coefficients(t, f[:, None], measure, order, timescale=1.0)
            back = reconstruct(c[None], MEASURES[measure], grid, np.array([0, len(grid)]),
                               timescale=1.0 if MEASURES[measure].has_timescale else None)  # fmt: skip
            errors.append(np.abs(back[:, 0] - truth).max())
        # Each four more functions cut the error to less than a tenth, down to what the straight lines leave.
        for before, after in pairwise(errors):
            assert after < max(before / 10, 1e-9)
        assert errors[-1] < 1e-9
    g = np.exp(np.sin(2 * np.pi * t))  # periodic, for Fourier
    for measure in ("fous", "fout"):
        c = coefficients(t, g[:, None], measure, 41, timescale=1.0)
        back = reconstruct(c[None], MEASURES[measure], grid, np.array([0, len(grid)]),
                           timescale=1.0 if MEASURES[measure].has_timescale else None)  # fmt: skip
        assert_allclose(back[:, 0], np.exp(np.sin(2 * np.pi * grid)), atol=1e-9)


@pytest.mark.parametrize(("measure", "order"), [("lagt", 40), ("legs_lti", 60)])
def test_decaying_measures_reconstruct_the_recent_past(measure, order):
    t = np.linspace(0, 60, 60_001)
    f = np.exp(-0.3 * (60 - t)) * np.cos(60 - t)  # so that little is lost before t_0
    c = coefficients(t, f[:, None], measure, order, timescale=2.0)
    recent = np.linspace(50, 60, 101)
    back = reconstruct(c[None], MEASURES[measure], recent, np.array([0, 101]), timescale=2.0)
    assert_allclose(back[:, 0], np.interp(recent, t, f), atol=2e-3)


def test_legs_is_exact_for_polynomials():
    rng = np.random.default_rng(9)
    grid = np.sort(rng.uniform(2, 5, 50))
    offsets = np.array([0, 50])
    # A straight line is its own interpolant, however it is sampled.
    line = 3 * grid - 1
    c = coefficients(grid, line[:, None], "legs", 5)
    assert_allclose(reconstruct(c[None], MEASURES["legs"], grid, offsets)[:, 0], line, rtol=1e-13)
    # The coefficients of a polynomial of any degree below the order give it back at any time.
    polynomial = np.polynomial.Polynomial(rng.normal(size=8))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    start, stop = grid[0], grid[-1]
    f = polynomial(start + (nodes + 1) / 2 * (stop - start))
    c = (weights / 2 * f) @ oracles.basis("legs", 8, (nodes + 1) / 2)
    back = reconstruct(c[None, None], MEASURES["legs"], grid, offsets)[:, 0]
    assert_allclose(back, polynomial(grid), rtol=1e-11, atol=1e-9)
    # Sampled, it is a broken line: what comes back is off by its sagitta, max |f''| h^2 / 8, and no more.
    dense = np.linspace(start, stop, 2001)
    c = coefficients(dense, polynomial(dense)[:, None], "legs", 8)
    back = reconstruct(c[None], MEASURES["legs"], dense, np.array([0, 2001]))[:, 0]
    sagitta = np.abs(polynomial.deriv(2)(dense)).max() * (dense[1] - dense[0]) ** 2 / 8
    assert np.abs(back - polynomial(dense)).max() < 4 * sagitta


def test_a_sliding_window_reconstructs_itself_and_nothing_before():
    t = np.linspace(0, 10, 1001)
    c = coefficients(t, np.sin(t)[:, None], "legt", 12, timescale=4.0)
    back = reconstruct(c[None], MEASURES["legt"], t, np.array([0, 1001]), timescale=4.0)[:, 0]
    assert np.isnan(back[t < 5.99]).all()
    assert_allclose(back[t > 6], np.sin(t[t > 6]), atol=1e-4)


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("ratio", [10, 100, 1000])
@pytest.mark.parametrize("measure", [m for m in MEASURES if MEASURES[m].has_timescale])
def test_windows_far_longer_than_the_series(measure, ratio, past):
    # All of the series lies within a fraction of the window, where its kinks nearly cancel.
    for seed, length in [(0, 4), (1, 40), (2, 300)]:
        rng = np.random.default_rng(seed)
        times, values = np.cumsum(rng.exponential(size=length)), rng.normal(size=(length, 1)) + 1
        timescale = ratio * (times[-1] - times[0])
        actual = coefficients(times, values, measure, 16, timescale=timescale, past=past)
        reference = expected(times, values, measure, 16, timescale, "linear", past)
        assert oracles.relative_error(actual, reference) < 1e-10
        if past == "constant":  # what the series adds to the constant, a thousandth of it
            beyond = reference[:, 1:]
            assert (
                oracles.relative_error(actual[:, 1:], beyond) < 1e-10 * np.abs(reference).max() / np.abs(beyond).max()
            )


@pytest.mark.parametrize("measure", ["legt", "fout", "chebt"])
def test_a_window_of_just_the_length_of_the_series_is_full(measure):
    times = 0.1 * np.arange(3, 30)
    c = coefficients(
        times, np.ones((27, 1)), measure, 6, timescale=float(np.median([times[-1] - times[0]])) * (1 + 1e-16)
    )
    assert_array_equal(c, [[1, 0, 0, 0, 0, 0]])


def test_long_gaps_are_searched_once():
    values = np.random.default_rng(0).normal(size=(300_000, 2))
    values[1:, 1] = np.nan  # a quadratic search would take minutes
    values[-1, 1] = 3.0
    c = coefficients(None, values, "legs", 3)
    assert_allclose(c[1], oracles.project("legs", 3, np.array([0, 299_999.0]), values[[0, -1], 1]), atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 1000), st.integers(49, 3000), st.integers(20, 300), measures, interpolations, st.floats(0.3, 3),
    st.sampled_from(["regular", "irregular", "wild"]),
)  # fmt: skip
def test_dense_chunks_are_what_their_points_are(seed, length, order, measure, interpolation, window, kind):
    # The few nodes that stand for a dense chunk, against all of its points. Both are the kernel's: that the points are
    # right is for the quadrature to say.
    rng = np.random.default_rng(seed)
    gaps = {"regular": 1.0, "irregular": rng.exponential(size=length), "wild": rng.lognormal(0, 3, size=length)}[kind]
    times = np.cumsum(gaps * np.ones(length))
    values = rng.normal(size=(length, 2)).cumsum(axis=0) / 10
    values[rng.uniform(size=values.shape) < 0.2] = np.nan
    values[0] = 1
    kwargs = {"timescale": window * (times[-1] - times[0]), "interpolation": interpolation}
    dense = coefficients(times, values, measure, order, **kwargs)
    with every_point():
        points = coefficients(times, values, measure, order, **kwargs)
    assert_allclose(dense, points, rtol=0, atol=1e-10 * np.abs(points).max())


@cache  # for every instruction set
def long_and_dense(measure, interpolation):
    """A series, a timescale and coefficients by quadrature."""
    times, values = np.cumsum(np.random.default_rng(1).exponential(size=6000)), np.empty((6000, 1))
    values[:, 0] = np.sin(times / 300) + np.random.default_rng(2).normal(size=6000) / 10
    timescale = 0.8 * (times[-1] - times[0])
    return times, values, timescale, expected(times, values, measure, 96, timescale, interpolation)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("measure", MEASURES)
def test_long_dense_series_against_quadrature(measure, interpolation):
    times, values, timescale, reference = long_and_dense(measure, interpolation)
    actual = coefficients(times, values, measure, 96, timescale=timescale, interpolation=interpolation)
    assert oracles.relative_error(actual, reference) < 1e-10


@cache
def a_million(kind, interpolation):
    """White noise or a random walk, and its coefficients in extended precision."""
    values = np.random.default_rng(3).normal(size=1_000_000)
    values = np.cumsum(values) if kind == "walk" else values
    return values, oracles.long_legendre(values, 40, interpolation)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="needs extended precision")
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("order", [12, 40])  # every node meets the basis, and few stand for many
@pytest.mark.parametrize("kind", ["noise", "walk"])
def test_a_million_samples_keep_their_digits(kind, order, interpolation):
    # c = f(T) e_0 - sum_j jump_j Phi(r_j), and nobody can know r_j and Phi(r_j), which is below one, better than to a
    # rounding of eps / 2 each. Independent, these add up to eps / 2 sqrt(2 sum_j jump_j^2): a standard deviation, of
    # which the worst of all coefficients is allowed one and a half. Of noise, whose jumps nearly cancel, that is 3e-10
    # of the largest coefficient. Nothing is left to the sums, which have to be better than that.
    values, exact = a_million(kind, interpolation)
    exact = exact[:order]
    rounding = np.finfo(float).eps / 2 * np.sqrt(2 * np.sum(np.diff(values) ** 2)) / np.abs(exact).max()
    tolerance = max(1e-14, 1.5 * rounding)
    assert tolerance < (3e-10 if kind == "noise" else 1e-13)
    direct = coefficients(None, values[:, None], "legs", order, interpolation=interpolation)
    assert oracles.relative_error(direct, exact) < tolerance
    with every_point():
        direct = coefficients(None, values[:, None], "legs", order, interpolation=interpolation)
    assert oracles.relative_error(direct, exact) < tolerance


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("measure", ["lagt", "legs_lti"])
def test_what_the_weight_makes_negligible_is_left_out_without_a_trace(measure, interpolation):
    times = np.cumsum(np.random.default_rng(4).exponential(size=4000))
    values = np.random.default_rng(5).normal(size=(4000, 2)) + 3
    values[::7, 1] = np.nan
    for timescale in (0.7, 5.0, 20.0):  # a hundredth of the series' length and less
        actual = coefficients(times, values, measure, 20, timescale=timescale, interpolation=interpolation)
        recent = times > times[-1] - 150 * timescale
        reference = expected(times[recent], values[recent], measure, 20, timescale, interpolation)
        assert oracles.relative_error(actual, reference) < 1e-11
    # However large the far past was, if it was not absurdly large.
    values[:100] *= 1e9
    assert (
        oracles.relative_error(
            coefficients(times, values, measure, 20, timescale=5.0, interpolation=interpolation),
            expected(times[2000:], values[2000:], measure, 20, 5.0, interpolation),
        )
        < 1e-11
    )


def test_the_clock_of_one_series_is_not_that_of_the_next():
    # Series without times share it as long as they are equally long.
    rng = np.random.default_rng(6)
    series = [rng.normal(size=(n, 1)) for n in (50, 50, 51, 50, 300, 50, 1, 50, 50)]
    series.insert(3, np.array([[1.0], [np.nan]] * 25))
    panel = Panel.from_list(series)
    for measure in MEASURES:
        for interpolation in INTERPOLATIONS:
            for timescale in (30.0, 49.0, 50.0, 80.0):
                kwargs = {"timescale": timescale, "interpolation": interpolation}
                together = project(panel, MEASURES[measure], 9, **kwargs)
                for i, one in enumerate(series):
                    assert_array_equal(together[i], project(Panel(one), MEASURES[measure], 9, **kwargs)[0])
            timescales = np.linspace(10, 60, 10)
            many = project(panel, MEASURES[measure], 9, timescale=timescales, interpolation=interpolation)
            for i, tau in enumerate(timescales):
                alone = project(panel[[i]], MEASURES[measure], 9, timescale=tau, interpolation=interpolation)
                assert_array_equal(many[i], alone[0])


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("measure", ["lagt", "legs_lti"])
@pytest.mark.parametrize("timescale", [1e-3, 0.1, 3.0])
def test_a_memory_much_shorter_than_a_gap(measure, interpolation, timescale):
    times, values = np.array([0.0, 1.0, 7.0, 20.0, 30.0]), np.array([[3.0], [-2.0], [5.0], [1.0], [4.0]])
    actual = coefficients(times, values, measure, 12, timescale=timescale, interpolation=interpolation)
    reference = expected(times, values, measure, 12, timescale, interpolation)
    assert oracles.relative_error(actual, reference) < 1e-11


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_largest_numbers_have_coefficients(measure, interpolation, past):
    rng = np.random.default_rng(0)
    fine, times = rng.uniform(-1, 1, size=(40, 2)), np.cumsum(rng.exponential(size=40))
    fine[[3, 4, 17], 1] = np.nan
    fine[[8, 9], 0] = 1, -1
    unseen = np.column_stack([fine[:, 0], np.full(40, np.nan)])
    series = [fine, 1.7e308 * fine, fine, 1.7e308 * unseen, 1e300 * fine, fine * [1.7e308, 1e-300]]
    panel = Panel.from_list([(times, x) for x in series])
    for window in (0.3, 2.0):
        kwargs = {"timescale": window * (times[-1] - times[0]), "interpolation": interpolation, "past": past}
        c = project(panel, MEASURES[measure], 5, **kwargs)
        assert_array_equal(c[2], c[0])  # the others do not notice
        reference = expected(times, fine, measure, 5, **kwargs)
        assert_allclose(c[1] / 1.7e308, reference, rtol=0, atol=1e-12)
        assert_allclose(c[3, 0] / 1.7e308, reference[0], rtol=0, atol=1e-12)
        assert np.isnan(c[3, 1]).all()
        assert_allclose(c[4] / 1e300, reference, rtol=0, atol=1e-12)
        assert_allclose(c[5] / [[1.7e308], [1e-300]], reference, rtol=0, atol=1e-12)  # each channel has its own unit


def test_a_jump_over_the_whole_range():
    c = coefficients([0.0, 0.5, 1.0], np.array([[1.7e308], [-1.7e308], [1.7e308]]), "legs", 3)
    # f = |4 u - 2| - 1: the mean is 0, and so is the slope; sqrt(5) integral f P_2(2 u - 1) = sqrt(5) / 4
    assert_allclose(c[0] / 1.7e308, [0, 0, np.sqrt(5) / 4], atol=1e-15)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_series_without_observations_has_no_coefficients(measure, interpolation):
    times, values = wild_series(3, 30, n_channels=2, missing=0)
    panel = Panel.from_list([[], (times, values), [], (times, values), []])
    for n_threads in (1, 2):
        kwargs = {"timescale": 5.0, "interpolation": interpolation, "n_threads": n_threads}
        c = project(panel, MEASURES[measure], 4, **kwargs)
        assert np.isnan(c[::2]).all()
        assert_array_equal(c[1], project(panel[[1]], MEASURES[measure], 4, **kwargs)[0])
        assert_array_equal(c[3], c[1])
        assert np.isnan(project(panel[[0, 2]], MEASURES[measure], 4, **kwargs)).all()


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("n_ties", [1, 2, 4])
def test_the_first_cell_of_held_values_is_as_long_as_the_next_between_different_stamps(measure, n_ties):
    rng = np.random.default_rng(n_ties)
    times = np.r_[np.full(n_ties + 1, 3.0), 4.5, 4.5, 7.0]
    values = rng.normal(size=(len(times), 3))
    values[1:, 1] = np.where(np.arange(1, len(times)) < n_ties, np.nan, values[1:, 1])
    values[0, 2] = np.nan
    actual = coefficients(times, values, measure, 6, timescale=4.0, interpolation="hold")
    assert_allclose(actual, expected(times, values, measure, 6, 4.0, "hold"), rtol=0, atol=1e-12)
    n = np.nan
    c = coefficients([0.0, 0, 10], np.array([[1, n], [n, 5], [3, 7.0]]), "legs", 1, interpolation="hold")
    assert_array_equal(c[:, 0], [2, 6])


@pytest.mark.parametrize("measure", ["legt", "fout", "chebt"])
@pytest.mark.parametrize("far", [0.0, 2.0**31, -(2.0**33)])
def test_short_windows_at_large_times_are_not_rounded_to_the_series(measure, far):
    # Numbers that are exact at all of these times: the window of 2 ms opens microseconds before the series or inside.
    for duration in (2.0**-9, 2.0**-9 + 2.0**-15):
        times = np.array([0.0, 0.25, 0.625, 1.0]) * duration
        times = np.round(times * 2.0**19) / 2.0**19
        values = np.array([[3.0], [1.0], [4.0], [1.5]])
        for timescale in (0.002, float(times[-1]), float(times[-1]) * (1 + 1e-9), float(times[-1]) * (1 - 1e-9)):
            actual = coefficients(far + times, values, measure, 8, timescale=timescale)
            assert_allclose(actual, expected(times, values, measure, 8, timescale, "linear"), rtol=0, atol=4e-12)


@pytest.mark.parametrize("far", [10.0, 10 + 1.7e9, 2.0**31])
def test_a_reconstruction_at_large_times_keeps_its_digits(far):
    for measure in ("legt", "fout", "chebt", "lagt", "legs_lti"):
        timescale, order = 2.7, 64
        c = np.zeros((1, 1, order))
        c[..., -1] = 1
        times = far - np.array([2.5, 1.0, 0.5, 2.0**-20, 0])
        back = reconstruct(c, MEASURES[measure], times, np.array([0, 5]), timescale=timescale)[:, 0]
        age = (far - times) / timescale  # exact differences
        u = age if MEASURES[measure].window == "decaying" else 1 - age
        # An age is rounded to eps / 2, of which a function of this order makes n^2 as much near an end, where it is
        # sqrt(2 n + 1) high.
        tolerance = 2.0**-53 * order**2 * np.sqrt(2 * order + 1) * 2
        assert_allclose(back, oracles.basis(measure, order, u)[:, -1], rtol=0, atol=tolerance)
    last = reconstruct(c, MEASURES["legt"], np.array([far - 2.5, far]), np.array([0, 2]), timescale=2.7)
    assert_allclose(last[-1, 0], np.sqrt(127), rtol=1e-15)


def test_durations_of_any_size():
    values = np.array([[1.0], [4.0], [2.0]])
    expected = coefficients([0.0, 1.0, 3.0], values, "legs", 4)
    for scale in (5e-324, 1e-310, 1e-300, 1e-30, 1e30, 1e307):
        assert_allclose(coefficients(scale * np.array([0.0, 1.0, 3.0]), values, "legs", 4), expected, rtol=1e-13)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(5000, 60_000), st.integers(8, 400), measures, interpolations, st.booleans())
def test_levels_of_nodes_are_what_their_points_are(seed, length, order, measure, interpolation, gaps):
    rng = np.random.default_rng(seed)
    steps = rng.exponential(size=length)
    if gaps:
        steps[rng.integers(length, size=5)] *= length / 10
    times, values = np.cumsum(steps), np.cumsum(rng.normal(size=(length, 1)), axis=0)
    kwargs = {"timescale": 0.7 * (times[-1] - times[0]), "interpolation": interpolation}
    condensed = coefficients(times, values, measure, order, **kwargs)
    with every_point():
        points = coefficients(times, values, measure, order, **kwargs)
    assert_allclose(condensed, points, rtol=0, atol=1e-11 * np.abs(points).max())


@pytest.mark.parametrize(("cpu", "expected"), [("Nehalem", "baseline"), ("Haswell", "avx2")])
def test_one_build_runs_on_older_processors(cpu, expected, tmp_path):
    emulator = shutil.which("qemu-x86_64")
    if emulator is None or platform.machine() != "x86_64":
        pytest.skip("needs qemu-x86_64, an emulator of processors")
    script = (
        "import sys; sys.modules |= dict.fromkeys(('pandas', 'pyarrow', 'polars'));"  # they ask for more
        "import numpy as np; from sklearn_hippo import Panel; from sklearn_hippo._projection import project;"
        "from sklearn_hippo._measures import MEASURES; from sklearn_hippo._ext_projection import simd_name;"
        "c = project(Panel(np.sin(np.arange(3000) / 50)), MEASURES['legs'], 20);"
        f"np.save({str(tmp_path / 'c.npy')!r}, c); print(simd_name())"
    )
    command = [emulator, "-cpu", cpu, os.path.realpath(sys.executable), "-c", script]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected
    here = coefficients(None, np.sin(np.arange(3000) / 50)[:, None], "legs", 20)
    assert_allclose(np.load(tmp_path / "c.npy")[0], here, rtol=0, atol=1e-14)


def test_threads_share_series_fairly():
    share = _projection._share
    order, chunk = share(np.array([5, 900, 7, 900]), 2)
    assert_array_equal(order, [1, 3, 2, 0])  # the longest first
    assert chunk == 1
    assert share(np.full(10_000, 100), 2)[1] == 16
    assert share(np.array([10**6] + [100] * 5000), 2)[1] == 1  # the long one takes a thread's share by itself
    order, chunk = share(np.array([3, 8]), 1)
    assert (order.tolist(), chunk) == ([0, 1], 2)


@cache
def clustered(seed, interpolation):
    """Observations close to both ends of the axis and to each other, and their coefficients in forty digits."""
    pytest.importorskip("mpmath")
    rng = np.random.default_rng(seed)
    width, n = 10.0 ** -rng.uniform(3, 15), int(rng.choice([2, 5, 60]))
    near = [np.sort(rng.uniform(0, width, n)) for _ in range(2)]
    times = np.sort(np.concatenate([[0, 1], near[0], rng.uniform(0, 1, 6), 1 - near[1]])) + seed % 3
    values, order = rng.normal(size=len(times)), int(rng.integers(1, 40))
    windows = [None, 1.0, 0.75, 1.3]
    return times, values, {
        window: oracles.chebyshev_in_forty_digits(order, times, values, window, interpolation) for window in windows
    }  # fmt: skip


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("seed", range(15))
def test_clusters_at_the_ends_of_a_chebyshev_window_keep_their_digits(seed, interpolation):
    times, values, exact = clustered(seed, interpolation)
    # What kinks may cost: eps / 3e-5 of a jump, see the maths page.
    tolerance = 7e-12 * np.abs(np.diff(values)).max()
    for window, expected_ in exact.items():
        measure, kwargs = "chebs" if window is None else "chebt", {"timescale": window, "interpolation": interpolation}
        condensed = coefficients(times, values[:, None], measure, len(expected_), **kwargs)
        with every_point():
            points = coefficients(times, values[:, None], measure, len(expected_), **kwargs)
        for c in (condensed, points):
            assert_allclose(c[0], expected_, rtol=0, atol=tolerance)


def test_a_cell_of_no_width_at_the_end_of_a_chebyshev_window():
    g = 1e-15
    c = coefficients([0.0, g, 0.5, 1.0], np.array([[5.0], [1], [1], [1]]), "chebs", 2, interpolation="hold")
    assert_allclose(c[0, 0] - 1, 8 / np.pi * np.arcsin(np.sqrt(g / (1 + g))), rtol=1e-8)


def test_an_unknown_chart_is_an_error():
    class Elsewhere(Legendre):
        chart = "legendary"

    with pytest.raises(ValueError, match="There is no chart 'legendary' in the kernel"):
        project(Panel(np.arange(3.0)), replace(MEASURES["legs"], basis=Elsewhere()), 3)


def test_the_cost_model_is_by_name():
    constants = cost_model()
    assert cost_model(**constants) == constants
    with pytest.raises(ValueError, match="The cost model has no 'hope', but overhead, later, final, least"):
        cost_model(hope=1.0)
