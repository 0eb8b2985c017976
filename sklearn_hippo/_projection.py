"""Panel -> coefficients -> Panel: the only module that calls the projection kernel."""

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._ext_projection import Chart, scratch_size
from ._ext_projection import project as _project
from ._measures import Measure
from ._panel import Panel

Array = NDArray[Any]

INTERPOLATIONS = ("linear", "hold")

# Moments in flight: a batch of series is finished while its moments are still in the cache.
_BATCH_BYTES = 1 << 20


def _gauss_table(max_nodes: int = 8, tolerance: float = 1e-16) -> NDArray[np.float64]:
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


_GAUSS = _gauss_table()


def project(
    panel: Panel,
    measure: Measure,
    order: int,
    *,
    timescale: float | None = None,
    interpolation: str = "linear",
    n_threads: int = 1,
) -> Array:
    """Coefficients of every series at its last time.

    Parameters
    ----------
    panel : Panel
    measure : Measure
    order : int
        Number of basis functions.
    timescale : float, optional
        In units of the timestamps; ignored by the measures that scale with the series.
    interpolation : {"linear", "hold"}
        What the series does between its observations.
    n_threads : int

    Returns
    -------
    ndarray of shape (n_series, n_channels, order)
        Of the dtype of the values; NaN for a channel without observations.
    """
    basis = measure.basis
    n_channels, n_moments, n_sequences = panel.n_channels, basis.n_moments(order), basis.n_sequences
    description = (Chart[basis.chart], order, basis.low, basis.high, *basis.recurrence(n_moments))
    missing = panel.has_missing
    scratch = np.empty((min(n_threads, len(panel)), scratch_size(n_channels, n_moments, n_sequences)))
    coefficients = np.empty((len(panel), n_channels, order), panel.values.dtype)
    batch = max(n_threads, _BATCH_BYTES // (16 * n_sequences * n_channels * n_moments))
    shape = (min(batch, len(panel)), 2, n_sequences, n_channels, n_moments)
    moments, extras = np.empty(shape), np.empty((shape[0], 2, n_channels, 2))
    last = np.empty((shape[0], n_channels))
    for begin in range(0, len(panel), batch):
        n = min(batch, len(panel) - begin)
        offsets = panel.offsets[begin : begin + n + 1]
        _project(
            panel.values, panel.times, offsets, description, _GAUSS,
            timescale if timescale and measure.has_timescale else 0.0, missing, interpolation == "hold",
            scratch, moments[:n], extras[:n], last[:n],
        )  # fmt: skip
        out = basis.coefficients(moments[:n, 0], moments[:n, 1], extras[:n, 0], extras[:n, 1], order)
        out[..., 0] += last[:n]
        coefficients[begin : begin + n] = out
    return coefficients


def reconstruct(
    coefficients: Array,
    measure: Measure,
    times: NDArray[np.float64],
    offsets: NDArray[np.intp],
    *,
    timescale: float | None = None,
    interpolation: str = "linear",
) -> Array:
    """Values of the signals that have these coefficients.

    Parameters
    ----------
    coefficients : ndarray of shape (n_series, n_channels, order)
    measure : Measure
    times : ndarray of shape (n_observations,)
        Where to evaluate; each series lasts until the last of its times.
    offsets : ndarray of shape (n_series + 1,)
    timescale, interpolation
        As in `project`.

    Returns
    -------
    ndarray of shape (n_observations, n_channels)
        NaN where a sliding window does not reach.
    """
    start, stop = series_span(times, offsets, interpolation)
    order = coefficients.shape[2]
    series = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    values = np.empty((len(times), coefficients.shape[1]), coefficients.dtype)
    step = max(1, _BATCH_BYTES // (8 * order * (1 + coefficients.shape[1])))
    for k in range(0, len(times), step):
        rows, which = slice(k, k + step), series[k : k + step]
        r = measure.coordinate(times[rows], start[which], stop[which], timescale)
        basis = measure.basis.evaluate(r, order)
        if measure.window == "sliding":
            # Times that were computed in different ways may fall short of the window by rounding.
            basis[r < measure.basis.low - 1e-9 * (measure.basis.high - measure.basis.low)] = np.nan
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
