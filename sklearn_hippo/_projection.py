"""Panel -> coefficients -> Panel: the only module that calls the projection kernel."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import jv, roots_legendre

from ._bases import Basis, Legendre
from ._ext_projection import embed as _embed
from ._ext_projection import project as _project
from ._ext_projection import rule_sizes, scratch_size
from ._measures import Measure
from ._panel import Panel

Array = NDArray[Any]

INTERPOLATIONS = ("linear", "hold")
PASTS = ("zero", "constant")

_LEGENDRE = Legendre()

# Values of a basis in flight, in reconstructions.
_BATCH_BYTES = 1 << 20


def _gauss_table(max_nodes: int, tolerance: float = 1e-15) -> NDArray[np.float64]:
    """Gauss rules on [0, 1] and how far they reach, one row for each number of nodes q = 1 .. max_nodes.

    A row holds the greatest h for which the rule integrates cos(h x) over [-1, 1] to the tolerance (the leading term of
    its error is h^{2q} 2^{2q+1} q!^4 / ((2q+1) (2q)!^3)), the nodes, and the weights, which sum to one.
    """
    table = np.zeros((max_nodes, 1 + 2 * max_nodes))
    for q in range(1, max_nodes + 1):
        nodes, weights = np.polynomial.legendre.leggauss(q)
        error = 2.0 ** (2 * q) * factorial(q) ** 4 / ((2 * q + 1) * factorial(2 * q) ** 3)
        table[q - 1, 0] = (tolerance / error) ** (1 / (2 * q))
        table[q - 1, 1 : 1 + q] = (nodes + 1) / 2
        table[q - 1, 1 + max_nodes : 1 + max_nodes + q] = weights / 2
    return table


def _local_table(max_nodes: int, tolerance: float) -> NDArray[np.float64]:
    """Chebyshev nodes that stand for a dense stretch, one row for each of some numbers p of them.

    A row holds p, the greatest h for which interpolation at them reproduces cos(h x) on [-1, 1] to the tolerance (its
    Chebyshev coefficients are Bessel functions, the first one left out is 2 J_p(h)), the nodes x_i in ascending order,
    and, for each m, the row 2/p T_m(x_i), halved for m = 0: what a moment of T_m adds to the weights of the nodes.
    """
    rows = []
    for p in (6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80):
        row, h = np.zeros((1 + max_nodes, max_nodes)), np.linspace(0, p, 4001)
        reach = h[np.flatnonzero(2 * np.abs(jv(p, h)) <= tolerance)]
        angles = (p - 0.5 - np.arange(p)) * np.pi / p
        row[0, :p] = np.cos(angles)
        row[1 : 1 + p, :p] = 2 / p * np.cos(np.outer(np.arange(p), angles))
        row[1, :p] /= 2
        rows.append(np.concatenate([[p, reach.max()], row.ravel()]))
    assert len(rows) <= _LOCAL_RULES
    return np.stack(rows)


# By the dtype of the values.
_GAUSS_NODES, _LOCAL_NODES, _LOCAL_RULES = rule_sizes()
_RULES = {
    np.dtype(dtype): (_gauss_table(_GAUSS_NODES), _local_table(_LOCAL_NODES, tolerance), np.ones(_LOCAL_NODES))
    for dtype, tolerance in [(np.float64, 1e-16), (np.float32, 1e-12)]
}


def project(
    panel: Panel,
    measure: Measure,
    order: int,
    *,
    timescale: float | NDArray[np.float64] | None = None,
    interpolation: str = "linear",
    past: str = "zero",
    rows: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
    out: Array | None = None,
    n_threads: int = 1,
) -> Array:
    """Coefficients of every series at its last time, by (E1).

    Parameters
    ----------
    panel : Panel
    measure : Measure
    order : int
        Number of basis functions.
    timescale : float or ndarray of shape (n_series,), optional
        In units of the timestamps; ignored by the measures that scale with the series.
    interpolation : {"linear", "hold"}
        What the series does between its observations.
    past : {"zero", "constant"}
        What it was before its first time: nothing, or each channel's first own value. Only the measures with a
        timescale look there, and of a series without duration at nothing else.
    rows : (begins, ends), optional
        Take these rows of the panel's observations as the series, instead of the panel's own; they may overlap.
    out : ndarray of shape (n_series, n_channels, order), optional
        Where to put them.
    n_threads : int

    Returns
    -------
    ndarray of shape (n_series, n_channels, order)
        Of the dtype of the values; NaN for a channel without observations.
    """
    begins, ends = (panel.offsets[:-1], panel.offsets[1:]) if rows is None else rows
    n_series, n_channels = len(begins), panel.n_channels
    timescales = np.zeros(n_series)
    if measure.has_timescale:
        timescales[:] = timescale
    n_threads = max(1, min(n_threads, n_series))
    schedule, chunk = _share(np.subtract(ends, begins), n_threads)
    coefficients = np.empty((n_series, n_channels, order), panel.values.dtype) if out is None else out
    _project(
        panel.values, panel.times, begins, ends, schedule, chunk, _describe(measure.basis, order),
        _RULES[panel.values.dtype], timescales, panel.has_missing, interpolation == "hold",
        past == "constant", _scratch(measure.basis, order, n_channels, n_threads), coefficients,
    )  # fmt: skip
    return coefficients


@contextmanager
def every_point() -> Iterator[None]:
    """Let the kernel visit every node itself, instead of a few that stand for many: for tests and measurements."""
    rules = _RULES.copy()
    _RULES.update({dtype: (gauss, local[:0], ones) for dtype, (gauss, local, ones) in rules.items()})
    try:
        yield
    finally:
        _RULES.update(rules)


def _share(lengths: NDArray[np.intp], n_threads: int) -> tuple[NDArray[np.intp], int]:
    """In which order threads take series, and how many at a time.

    The longest first, so that no thread is left with it in the end; and many short ones together, but never so many
    that they could be more than a small part of a thread's work.
    """
    if n_threads == 1 or not lengths.any():
        return np.arange(len(lengths), dtype=np.intp), max(1, len(lengths))
    fair = lengths.sum() / (64 * n_threads * lengths.max())
    return np.argsort(-lengths, kind="stable"), int(min(max(fair, 1), 16))


@lru_cache(maxsize=64)
def _describe(basis: Basis, order: int) -> tuple[Any, ...]:
    """What the kernel needs to know of a basis."""
    return (
        basis.chart, basis.n_families, order, basis.low, basis.high, basis.reach,
        basis.recurrence(basis.n_moments(order)), basis.integration(order)(),
    )  # fmt: skip


def _scratch(basis: Basis, order: int, n_channels: int, n_threads: int) -> NDArray[np.float64]:
    n_columns = _describe(basis, order)[-1][0]
    return np.empty((n_threads, scratch_size(n_channels, basis.n_moments(order), basis.n_families, n_columns)))


@lru_cache(maxsize=16)
def _gauss_nodes(order: int) -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes on [0, 1] with their weights, and the values of the Legendre basis there.

    The known weights are off by up to 1e-12 at order 256, all in one direction: a memory that is embedded thousands of
    times would feel it. Two steps of Newton leave rounding.
    """
    nodes = roots_legendre(order)[0]
    for last in (False, False, True):
        before, now = np.ones(order), nodes
        for n in range(1, order):
            before, now = now, ((2 * n + 1) * nodes * now - n * before) / (n + 1)
        room = (1 - nodes) * (1 + nodes)
        slope = order * (before - nodes * now) / room  # P_N'
        if not last:
            nodes = nodes - now / slope
    return (nodes + 1) / 2, 1 / (room * slope**2), _LEGENDRE.evaluate(nodes, order)


def embed(coefficients: Array, low: Array, high: Array, *, out: Array | None = None, n_threads: int = 1) -> Array:
    """Legendre coefficients of functions that fill only a part of a window, and are zero elsewhere: M_1, M_2 of (E10).

    Parameters
    ----------
    coefficients : ndarray of shape (n_series, n_channels, order)
        Of the functions on their own windows.
    low, high : ndarray of shape (n_series,)
        Where these lie in the new windows, in [0, 1].
    out : ndarray of shape (n_series, n_channels, order), optional
        Coefficients to which they are added.
    n_threads : int

    Returns
    -------
    ndarray of shape (n_series, n_channels, order)
        Exact: the product of two polynomials of lower degree than the order is integrated by as many Gauss nodes.
    """
    n_series, n_channels, order = coefficients.shape
    nodes, weights, basis = _gauss_nodes(order)
    values = (coefficients.reshape(-1, order) @ basis.T).reshape(coefficients.shape)
    out = np.zeros(coefficients.shape) if out is None else out
    _embed(
        values, np.ascontiguousarray(low), np.ascontiguousarray(high), nodes, weights, _LEGENDRE.scale(order),
        _describe(_LEGENDRE, order), _RULES[np.dtype(np.float64)],
        _scratch(_LEGENDRE, order, n_channels, max(1, min(n_threads, n_series))), out,
    )  # fmt: skip
    return out


def fade(coefficients: Array, basis: Basis, h: Array, *, n_threads: int = 1) -> Array:
    """Coefficients exp(A h) c, after a dimensionless time h in which nothing came in, in a basis that knows them.

    Parameters
    ----------
    coefficients : ndarray of shape (n_series, n_channels, order)
    basis : Basis
    h : ndarray of shape (n_series,)
    n_threads : int

    Returns
    -------
    ndarray of shape (n_series, n_channels, order)
    """
    return basis.fade(coefficients, h, partial(embed, n_threads=n_threads))


def reconstruct(
    coefficients: Array,
    measure: Measure,
    times: NDArray[np.float64],
    offsets: NDArray[np.intp],
    start: Array,
    stop: Array,
    *,
    timescale: float | None = None,
) -> Array:
    """Values of the signals that have these coefficients, by (E2).

    Parameters
    ----------
    coefficients : ndarray of shape (n_series, n_channels, order)
    measure : Measure
    times : ndarray of shape (n_observations,)
        Where to evaluate.
    offsets : ndarray of shape (n_series + 1,)
    start, stop : ndarray of shape (n_series,)
        Where the series begin and end.
    timescale : float, optional
        As in `project`.

    Returns
    -------
    ndarray of shape (n_observations, n_channels)
        NaN where a sliding window does not reach, and where the past is so far that a polynomial overflows.
    """
    order = coefficients.shape[2]
    series = np.repeat(np.arange(len(offsets) - 1, dtype=np.intp), np.diff(offsets))
    values = np.empty((len(times), coefficients.shape[1]), coefficients.dtype)
    exponent = excess(coefficients, axis=2)
    coefficients = np.ldexp(coefficients.astype(np.float64, copy=False), -exponent[..., None])
    step = max(1, _BATCH_BYTES // (8 * order * (1 + coefficients.shape[1])))
    for k in range(0, len(times), step):
        rows, which = slice(k, k + step), series[k : k + step]
        r = measure.coordinate(times[rows], start[which], stop[which], timescale)
        with np.errstate(over="ignore", invalid="ignore"):  # of Laguerre polynomials in the far past
            basis = measure.basis.evaluate(r, order)
        if measure.window == "sliding":
            # Times that were computed in different ways may fall short of the window by rounding.
            basis[r < measure.basis.low - 1e-9 * (measure.basis.high - measure.basis.low)] = np.nan
        basis[~np.isfinite(basis).all(axis=1)] = np.nan
        values[rows] = np.ldexp(np.einsum("mn,mcn->mc", basis, coefficients[which]), exponent[which])
    return values


def excess(numbers: Array, axis: int) -> Array:
    """The powers of two by which to divide numbers so large that what is computed of them could overflow; 0 elsewhere.

    One for all that lie along an axis, which are numbers of one channel: others may be as small as these are large.
    """
    largest = np.max(np.abs(numbers), axis=axis, initial=0, where=~np.isnan(numbers))
    return np.where(largest < 2.0**64, 0, np.frexp(largest)[1])


def is_large(numbers: Array, limit: float = 2.0**64) -> bool:
    """Whether there is any `excess`, or a number as large as another limit."""
    if not numbers.size:
        return False
    low, high = numbers.min(), numbers.max()
    if low != low:  # the smallest and the largest of those that are not missing take longer
        low, high = np.fmin.reduce(numbers, axis=None), np.fmax.reduce(numbers, axis=None)
    return float(high) >= limit or float(low) <= -limit


def series_span(
    times: NDArray[np.float64] | None, offsets: NDArray[np.intp], interpolation: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the interpolated series begin and end, two arrays of shape (n_series,).

    With "hold", the first value fills an interval before the first time that is as long as the one from there to the
    next later time. A series without observations is nowhere: from 0 to 0.
    """
    begin, lengths = offsets[:-1], np.diff(offsets)
    if times is None:
        stop = np.maximum(lengths - 1.0, 0.0)
        return -np.minimum(stop, 1.0) if interpolation == "hold" else np.zeros(len(stop)), stop
    start, stop = np.zeros(len(lengths)), np.zeros(len(lengths))
    some = lengths > 0
    start[some], stop[some] = times[begin[some]], times[offsets[1:][some] - 1]
    moves = stop > start
    if interpolation == "hold" and moves.any():
        later = np.flatnonzero(times > np.repeat(start, lengths))
        start[moves] = 2 * start[moves] - times[later[np.searchsorted(later, begin[moves])]]
    return start, stop
