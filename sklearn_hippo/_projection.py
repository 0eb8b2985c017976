"""Panel -> coefficients -> Panel: the only module that calls the projection kernel."""

from functools import lru_cache
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import jv, roots_legendre

from ._ext_projection import Chart, node_moments, scratch_size
from ._ext_projection import project as _project
from ._measures import Basis, Laguerre, Legendre, Measure
from ._panel import Panel

Array = NDArray[Any]

INTERPOLATIONS = ("linear", "hold")

# Moments in flight: a batch of series is finished while its moments are still in the cache.
_BATCH_BYTES = 1 << 20


def _gauss_table(max_nodes: int = 8, tolerance: float = 1e-15) -> NDArray[np.float64]:
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


def _local_table(max_nodes: int = 96, tolerance: float = 1e-15) -> NDArray[np.float64]:
    """Chebyshev nodes that stand for a dense stretch, one row for each of some numbers p of them.

    A row holds p, the greatest h for which interpolation at them reproduces cos(h x) on [-1, 1] to the tolerance (its
    Chebyshev coefficients are Bessel functions, the first one left out is 2 J_p(h)), the nodes x_i, and the matrix
    2/p T_m(x_i), halved for m = 0, that makes weights at the nodes of moments of the T_m.
    """
    rows = []
    for p in (8, 12, 16, 20, 24, 32, 40, 48, 64, 80):
        row, h = np.zeros((1 + max_nodes, max_nodes)), np.linspace(0, p, 4001)
        reach = h[np.flatnonzero(2 * np.abs(jv(p, h)) <= tolerance)]
        angles = (np.arange(p) + 0.5) * np.pi / p
        row[0, :p] = np.cos(angles)
        row[1 : 1 + p, :p] = 2 / p * np.cos(np.outer(angles, np.arange(p)))
        row[1 : 1 + p, 0] /= 2
        rows.append(np.concatenate([[p, reach.max()], row.ravel()]))
    return np.stack(rows)


_RULES = _gauss_table(), _local_table(), np.ones(96)


def project(
    panel: Panel,
    measure: Measure,
    order: int,
    *,
    timescale: float | NDArray[np.float64] | None = None,
    interpolation: str = "linear",
    rows: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
    out: Array | None = None,
    n_threads: int = 1,
) -> Array:
    """Coefficients of every series at its last time.

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
    basis = measure.basis
    begins, ends = (panel.offsets[:-1], panel.offsets[1:]) if rows is None else rows
    n_series, n_channels = len(begins), panel.n_channels
    n_moments, n_sequences = basis.n_moments(order), basis.n_sequences
    timescales = np.zeros(n_series)
    if measure.has_timescale:
        timescales[:] = timescale
    scratch = np.empty((max(1, min(n_threads, n_series)), scratch_size(n_channels, n_moments, n_sequences)))
    coefficients = np.empty((n_series, n_channels, order), panel.values.dtype) if out is None else out
    batch = max(n_threads, _BATCH_BYTES // (16 * n_sequences * n_channels * n_moments))
    shape = (min(batch, n_series), 2, n_sequences, n_channels, n_moments)
    moments, extras = np.empty(shape), np.empty((shape[0], 2, n_channels, 2))
    last = np.empty((shape[0], n_channels))
    description = _describe(basis, order)
    for begin in range(0, n_series, batch):
        some = slice(begin, begin + batch)
        n = len(begins[some])
        _project(
            panel.values, panel.times, begins[some], ends[some], description, _RULES, timescales[some],
            panel.has_missing, interpolation == "hold", scratch, moments[:n], extras[:n], last[:n],
        )  # fmt: skip
        finished = basis.coefficients(moments[:n, 0], moments[:n, 1], extras[:n, 0], extras[:n, 1], order)
        finished[..., 0] += last[:n]
        if panel.has_missing:
            finished[np.isnan(last[:n])] = np.nan
        coefficients[some] = finished
    return coefficients


def _describe(basis: Basis, order: int) -> tuple[Any, ...]:
    """What the kernel needs to know of a basis."""
    return Chart[basis.chart], order, basis.low, basis.high, *basis.recurrence(basis.n_moments(order))


@lru_cache(maxsize=16)
def _gauss_nodes(order: int) -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes on [0, 1] with their weights, and the values of the Legendre basis there."""
    nodes, weights = roots_legendre(order)
    return (nodes + 1) / 2, weights / 2, Legendre().evaluate(nodes, order)


def embed(coefficients: Array, low: Array, high: Array) -> Array:
    """Legendre coefficients of functions that fill only a part of a window, and are zero elsewhere.

    Parameters
    ----------
    coefficients : ndarray of shape (n_series, n_channels, order)
        Of the functions on their own windows.
    low, high : ndarray of shape (n_series,)
        Where these lie in the new windows, in [0, 1].

    Returns
    -------
    ndarray of shape (n_series, n_channels, order)
        Exact: the product of two polynomials of lower degree than the order is integrated by as many Gauss nodes.
    """
    n_series, n_channels, order = coefficients.shape
    nodes, weights, basis = _gauss_nodes(order)
    width = (high - low)[:, None]
    r = 2 * (low[:, None] + width * nodes) - 1
    weighted = np.einsum("scn,qn->scq", coefficients, basis, optimize=True) * (width * weights)[:, None, :]
    legendre = Legendre()
    n_moments = legendre.n_moments(order)
    moments = np.empty((n_series, n_channels, n_moments))
    scratch = np.empty((1, scratch_size(n_channels, n_moments, 1)))
    node_moments(r, np.ascontiguousarray(weighted), _describe(legendre, order), scratch, moments)
    return legendre.expand(moments[..., :order])


def decay(coefficients: Array, measure: Measure, h: Array) -> Array:
    """Coefficients exp(A h) c, after a dimensionless time h in which nothing came in, of the measures that are exact.

    Parameters
    ----------
    coefficients : ndarray of shape (n_series, n_channels, order)
    measure : Measure
    h : ndarray of shape (n_series,)

    Returns
    -------
    ndarray of shape (n_series, n_channels, order)
    """
    if not isinstance(measure.basis, Laguerre):  # LegS: the old window is the first exp(-h) of the new one
        return embed(coefficients, np.zeros(len(h)), np.exp(-h))
    # exp(A h) is a Toeplitz matrix, with the Laguerre functions' differences below the diagonal.
    order = coefficients.shape[2]
    h = np.minimum(h, 700.0)  # where all is lost, but nothing overflows
    column = np.diff(measure.basis.evaluate(-h, order), axis=1, prepend=0) * np.exp(-h)[:, None]
    later = np.zeros_like(coefficients)
    for n in range(order):
        later[..., n:] += coefficients[..., n : n + 1] * column[:, None, : order - n]
    return later


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
    """Values of the signals that have these coefficients.

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
    series = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    values = np.empty((len(times), coefficients.shape[1]), coefficients.dtype)
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
        values[rows] = np.einsum("mn,mcn->mc", basis, coefficients[which])
    return values


def series_span(
    times: NDArray[np.float64] | None, offsets: NDArray[np.intp], interpolation: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the interpolated series begin and end, two arrays of shape (n_series,).

    With "hold", the first value fills an interval before the first time that is as long as the one after it.
    """
    begin, lengths = offsets[:-1], np.diff(offsets)
    if times is None:
        start, stop = np.zeros(len(lengths)), lengths - 1.0
        second = np.where(lengths > 1, 1.0, 0.0)
    else:
        start, stop = times[begin], times[offsets[1:] - 1]
        second = times[begin + (lengths > 1)]
    if interpolation == "hold":
        start = np.where(stop > start, 2 * start - second, start)
    return start, stop
