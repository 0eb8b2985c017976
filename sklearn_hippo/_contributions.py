"""What windows, channels and moments of time contribute to an output of `HiPPOClassifier` or `HiPPORegressor`.

A feature is a sum over the positions of a window: of how often it is above a threshold, each position has its share, of
the longest stretch those that are in it. So an output, which is linear in the features, is a sum over positions as
well, exactly; and a position is the stretch of time that its window covers.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._ext_pooling import trace
from ._panel import Panel
from ._views import OF_READOUTS, WORD, Draw, View

Array = NDArray[Any]


class Contributions(NamedTuple):
    """Of the features of a view to one output, for one series."""

    moments: Array  # (n_cells,) by cell: what windows contribute, spread over the cells that they cover
    windows: Array  # (n_windows, n_channels) by window; read-outs of several channels are shared out among them


def contributions(view: View, panel: Panel, poolings: tuple[str, ...], factors: Array, centers: Array) -> Contributions:
    """Share out factors * (features - centers) of one series.

    Parameters
    ----------
    view : View
    panel : Panel of one series
        Whose values are standardized by channel.
    poolings : tuple of str
    factors, centers : ndarray of shape (n_features,)
        Of the view.
    """
    series = view.look(panel)
    n_cells = int(series[3][0])
    moments = np.zeros(n_cells)
    windows = np.zeros((len(view.lengths), view.n_channels))
    for i, draw in enumerate(view.draws):
        z, n = traced(view, draw, series)
        which = np.repeat(np.arange(len(z)), np.diff(draw.thresholds))  # the read-out of each threshold
        at = np.arange(z.shape[1]) < n[:, None]
        above = (z[which] > draw.threshold[:, None]) & at[which]
        found = np.zeros(z.shape)  # contributions of each read-out at each position
        for whose, name, columns in view.blocks(poolings):
            if whose != i:
                continue
            a, c = factors[columns], centers[columns]
            if name == "pairs":
                found += of_pairs(draw, above, which, n, a, c)
            elif name in OF_READOUTS:
                found += of_spread(z, n, at, a.reshape(3, -1), c.reshape(3, -1))
            else:
                own = of_thresholds(name, above, at[which], n[which], a, c)
                np.add.at(found, which, own)
        _spread_out(view, draw, found, n, n_cells, moments)
        share = np.diff(draw.channels)
        readout = np.repeat(np.arange(len(share)), share)
        np.add.at(windows, (draw.what[0][readout], draw.channel[0]), (found.sum(axis=1) / share)[readout])
    return Contributions(moments, windows)


def traced(view: View, draw: Draw, series: Any) -> tuple[Array, NDArray[np.intp]]:
    """All read-outs along one series, (n_readouts, most positions), and the number of positions of each."""
    k, windows, (u, values, offsets, cells) = draw.what.shape[1], view.windows(), series
    n_cells = int(cells[0])
    z, n = np.empty((k, -(-n_cells // WORD) * WORD), np.float32), np.zeros(k, np.intp)
    scratch = np.empty((1, windows.size(n_cells)), np.float32)
    one, ends, order = np.zeros(1, np.intp), np.array([0, k]), np.arange(k)
    trace(windows, draw.readouts(), u, values, offsets, cells, one, ends, order, z, n, scratch)
    return z[:, :n_cells], n


def of_thresholds(name: str, above: Array, at: Array, n: Array, a: Array, c: Array) -> Array:
    """Of one pooling of thresholds, at each position: its share of the feature, less that of the center."""
    if name == "thirds":
        position = np.arange(above.shape[1])
        total = np.zeros(above.shape)
        for i, (factor, center) in enumerate(zip(a.reshape(3, -1), c.reshape(3, -1), strict=True)):
            begin, end = np.where(n < 3, 0, i * n // 3)[:, None], np.where(n < 3, n, (i + 1) * n // 3)[:, None]
            third = (position >= begin) & (position < end)
            total += factor[:, None] * third * (above - center[:, None]) / (end - begin)
        return total
    return a[:, None] * at * ((longest_run(above) if name == "longest" else above) - c[:, None]) / n[:, None]


def longest_run(above: Array) -> Array:
    """Whether a position is in the longest stretch of its row, the first one of that length."""
    position = np.arange(above.shape[1])
    before = np.maximum.accumulate(np.where(above, -1, position), axis=1)  # the last position that is not above
    length = position - before
    end = length.argmax(axis=1)[:, None]
    return (position <= end) & (position > end - np.take_along_axis(length, end, 1))


def of_spread(z: Array, n: Array, at: Array, a: Array, c: Array) -> Array:
    """Of the standard deviation, least and greatest value of read-outs: squares, and where the extremes are."""
    rows, total = np.arange(len(z)), np.zeros(z.shape)
    x = np.where(at, z, 0.0).astype(np.float64)
    squares = np.where(at, (x - x.sum(axis=1, keepdims=True) / n[:, None]) ** 2, 0)
    sd = np.sqrt(squares.sum(axis=1) / n)
    total += (a[0] / np.where(sd > 0, sd * n, 1))[:, None] * squares
    for place, value in (
        (np.where(at, z, np.inf).argmin(axis=1), a[1]),
        (np.where(at, z, -np.inf).argmax(axis=1), a[2]),
    ):
        total[rows, place] += value * z[rows, place]
    return total - at * ((a * c).sum(axis=0) / n)[:, None]


def of_pairs(draw: Draw, above: Array, which: Array, n: Array, a: Array, c: Array) -> Array:
    """Of pairs of thresholds: half at the position of the one, half at that of the other."""
    assert draw.pairs is not None
    total = np.zeros((len(n), above.shape[1]))
    length = int(n[0])  # of these draws, all windows are everywhere
    for one, other, lag, factor, center in zip(*draw.pairs, a, c, strict=True):
        lag = min(lag, length - 1)
        shared = length - lag
        both = (above[one >> 1, :shared] ^ bool(one & 1)) & (above[other >> 1, lag:length] ^ bool(other & 1))
        own = factor * (both - center) / (2 * shared)
        total[which[one >> 1], :shared] += own
        total[which[other >> 1], lag:length] += own
    return total


def _spread_out(view: View, draw: Draw, found: Array, n: Array, n_cells: int, moments: Array) -> None:
    """Add contributions of positions to the cells that their windows cover."""
    length, everywhere = view.lengths[draw.what[0]], n == n_cells
    for window in np.unique(length):
        for centered in (False, True):
            rows = (length == window) & (everywhere == centered)
            if not rows.any():
                continue
            amount = found[rows].sum(axis=0)
            first = np.arange(len(amount)) - (int(window) - 1 - int(window) // 2 if centered else 0)
            low, high = np.clip(first, 0, n_cells - 1), np.clip(first + window, 1, n_cells)
            change = np.zeros(n_cells + 1)
            np.add.at(change, low, amount / (high - low))
            np.add.at(change, high, -amount / (high - low))
            moments += change[:-1].cumsum()
