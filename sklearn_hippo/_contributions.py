"""What windows, channels and moments of time contribute to an output of `HiPPOClassifier` or `HiPPORegressor`.

A feature is a sum over the positions of a window: of how often it is above a threshold, each position has its share, of
the longest stretch those that are in it. So an output, which is linear in the features, is a sum over positions as
well, exactly; and a position is the stretch of time that its window covers.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._head import FAR, Scaling
from ._panel import Panel, merge_stamps
from ._views import OF_READOUTS, Draw, View, durations_of

Array = NDArray[Any]


class Contributions(NamedTuple):
    """Parts of an output for one series; with the rest, moments sum up to it, and so do windows."""

    moments: Array  # (n_bins,) of equal stretches of the series' duration: what windows contribute that cover them
    windows: list[Array]  # of each view (n_windows, n_channels); read-outs of several channels are shared out
    rest: float  # that is no matter of time: the intercept, and the numbers of every channel


def contributions(estimator: Any, panel: Panel, direction: Array, n_bins: int) -> Contributions:
    """What makes up ``outputs @ direction`` for a panel of one series.

    Parameters
    ----------
    estimator : HiPPOClassifier or HiPPORegressor
        Fitted.
    panel : Panel of one series
    direction : ndarray of shape (n_targets,)
        Of the outputs of the head.
    n_bins : int
    """
    panel = merge_stamps(panel)
    transformer, scaling = estimator.transformer_, Scaling(*estimator.scaling_)
    features = np.asarray(transformer.transform(panel), np.float64)[0]
    factors = scaling.inverse * scaling.weight * (estimator.coef_ @ direction)
    rest = float(estimator.intercept_ @ direction)
    if scaling.mean is not None:
        factors /= scaling.lengths(features[None], new=True)[0]
        rest -= float(scaling.mean @ (estimator.coef_ @ direction))
    away = np.abs(features - scaling.center) * scaling.inverse
    factors /= np.maximum(away / FAR, 1)  # as features that are further away count
    forms, poolings = transformer._standardized(panel), tuple(transformer.poolings)
    moments, windows = np.zeros(n_bins), []
    for view in transformer.views_:
        columns = transformer.blocks_[view.name]
        cells, by_window = of_view(view, forms[view.by_series], poolings, factors[columns], scaling.center[columns])
        moments += in_bins(cells, view.grid.covered(float(durations_of(panel)[0])), n_bins)
        windows.append(by_window)
    if "channels" in transformer.blocks_:
        columns = transformer.blocks_["channels"]
        rest += float(factors[columns] @ (features - scaling.center)[columns])
    return Contributions(moments, windows, rest)


def shares(estimator: Any) -> list[Array]:
    """Share of the variance of the outputs that each window has, by view (n_windows, n_channels); they sum up to 1.

    Of the training series, as if features did not depend on each other.
    """
    transformer, scaling = estimator.transformer_, Scaling(*estimator.scaling_)
    power = scaling.weight**2 * (scaling.inverse > 0) * np.square(estimator.coef_).sum(axis=1)
    found = []
    for view in transformer.views_:
        own, total = power[transformer.blocks_[view.name]], np.zeros((len(view.lengths), view.n_channels))
        for i, name, columns in view.blocks(tuple(transformer.poolings)):
            draw = view.draws[i]
            of_readouts, which = np.zeros(draw.what.shape[1]), draw.of_thresholds()
            if name == "pairs":
                assert draw.pairs is not None
                for one in draw.pairs[:2] >> 1:
                    np.add.at(of_readouts, which[one], own[columns] / 2)
            elif name in OF_READOUTS:
                of_readouts += own[columns].reshape(3, -1).sum(axis=0)
            else:
                np.add.at(of_readouts, which, own[columns].reshape(-1, len(which)).sum(axis=0))
            total += by_window(view, draw, of_readouts)
        found.append(total)
    whole = sum(float(one.sum()) for one in found) or 1.0
    return [one / whole for one in found]


def by_window(view: View, draw: Draw, of_readouts: Array) -> Array:
    """Sums over read-outs, (n_windows, n_channels), of what is shared out equally among their channels."""
    total = np.zeros((len(view.lengths), view.n_channels))
    n = np.diff(draw.channels)
    readout = np.repeat(np.arange(len(n)), n)
    np.add.at(total, (draw.what[0][readout], draw.channel[0]), (of_readouts / n)[readout])
    return total


def in_bins(cells: Array, covered: float, n_bins: int) -> Array:
    """Sums over equal parts of the first ``covered`` cells; what lies beyond is of the last one."""
    total = np.concatenate([[0.0], np.cumsum(cells)])
    at = np.interp(np.linspace(0, covered, n_bins + 1), np.arange(len(total)), total)
    at[-1] = total[-1]
    return np.diff(at)


def of_view(view: View, panel: Panel, poolings: tuple[str, ...], factors: Array, centers: Array) -> tuple[Array, Array]:
    """Of factors * (features - centers) of a view, (n_cells,) by moment and (n_windows, n_channels) by window.

    The panel is one series, whose values are standardized as the view wants them.
    """
    series = view.look(panel)
    n_cells = int(series[3][0])
    moments, windows = np.zeros(n_cells), np.zeros((len(view.lengths), view.n_channels))
    for i, draw in enumerate(view.draws):
        z, n = view.trace(draw, series, np.zeros(draw.what.shape[1], np.intp))
        z, which = z[:, :n_cells], draw.of_thresholds()
        at = np.arange(z.shape[1]) < n[:, None]
        above = (z[which] > draw.threshold[:, None]) & at[which]
        found = np.zeros(z.shape)  # of each read-out at each position
        for whose, name, columns in view.blocks(poolings):
            if whose != i:
                continue
            a, c = factors[columns], centers[columns]
            if name == "pairs":
                found += of_pairs(draw, above, which, n, a, c)
            elif name in OF_READOUTS:
                found += of_spread(z, n, at, a.reshape(3, -1), c.reshape(3, -1))
            else:
                np.add.at(found, which, of_thresholds(name, above, at[which], n[which], a, c))
        moments += over_cells(view, draw, found, n, n_cells)
        windows += by_window(view, draw, found.sum(axis=1))
    return moments, windows


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


def over_cells(view: View, draw: Draw, found: Array, n: Array, n_cells: int) -> Array:
    """Contributions of positions, spread evenly over the cells that their windows cover within the series."""
    length, everywhere = view.lengths[draw.what[0]], n == n_cells
    moments = np.zeros(n_cells)
    for window in np.unique(length).tolist():
        for centered in (False, True):
            rows = (length == window) & (everywhere == centered)
            amount = found[rows].sum(axis=0)
            first = np.arange(len(amount)) - (window - 1 - window // 2 if centered else 0)
            low, high = np.clip(first, 0, n_cells - 1), np.clip(first + window, 1, n_cells)
            change = np.zeros(n_cells + 1)
            np.add.at(change, low, amount / (high - low))
            np.add.at(change, high, -amount / (high - low))
            moments += change[:-1].cumsum()
    return moments
