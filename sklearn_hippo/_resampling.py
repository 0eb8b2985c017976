"""Series on a regular grid: means over equal parts of their durations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._panel import Panel, own_times

Array = NDArray[Any]


def resampled(panel: Panel, n: int, *, held: bool = False) -> Panel:
    """Every series as n values for each channel, the means over n equal parts of its duration, at their middles.

    A channel is a broken line through its own observations, or with ``held`` each value since the one before; constant
    before its first and after its last observation, and NaN where there is none. So the means are those of its optimal
    approximation by constants, however it was sampled. What has no duration stays as it is.
    """
    lasting = panel.durations > 0
    lengths = np.where(lasting, n, panel.lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    times, values = np.empty(offsets[-1]), np.full((offsets[-1], panel.n_channels), np.nan, panel.values.dtype)
    to = offsets[:-1][lasting, None] + np.arange(n)
    stays = np.repeat(~lasting, lengths)
    stayed = np.repeat(~lasting, panel.lengths)
    stamps = own_times(panel)
    first, duration = stamps[panel.offsets[:-1][lasting]], panel.durations[lasting]
    times[to] = first[:, None] + duration[:, None] * (np.arange(n) + 0.5) / n
    times[stays], values[stays] = stamps[stayed], panel.values[stayed]
    series = np.repeat(np.cumsum(lasting) - 1, panel.lengths)  # which one of those that last
    rows = np.flatnonzero(~stayed)
    place = np.minimum((stamps[rows] - first[series[rows]]) / duration[series[rows]], 1.0)  # in a duration
    for c in range(panel.n_channels):
        seen = ~np.isnan(panel.values[rows, c])
        if seen.any():
            values[to, c] = _means(series[rows][seen], place[seen], panel.values[rows[seen], c], len(first), n, held)
    return Panel._trusted(values, times, offsets, panel.channel_names, None, panel.ids, panel.id_names)


def _means(series: Array, at: Array, u: Array, n_series: int, n: int, held: bool) -> Array:
    """Means (n_series, n) of one channel of series from 0 to 1, NaN for those that were never observed."""
    u = u.astype(np.float64)
    edges = np.arange(n + 1) / n
    # The last observation up to each edge, or the first one of the series, and the one behind it.
    found = np.searchsorted(2.0 * series + at, (2.0 * np.arange(n_series)[:, None] + edges).ravel(), side="right") - 1
    start, stop = (np.searchsorted(series, np.arange(n_series), side=side) for side in ("left", "right"))
    k = np.minimum(np.maximum(found.reshape(n_series, -1), start[:, None]), len(u) - 1)
    after = np.minimum(k + 1, np.maximum(stop - 1, 0)[:, None])
    since, step = edges - at[k], at[after] - at[k]
    part = np.where((since > 0) & (step > 0), since / np.where(step > 0, step, 1.0), 0.0)
    values = np.where(part > 0, u[after], u[k]) if held else u[k] * (1 - part) + u[after] * part
    # Pieces between observations and edges: each belongs to the part of the edge before it.
    of = np.concatenate([series, np.repeat(np.arange(n_series), n + 1)])
    place, value = np.concatenate([at, np.tile(edges, n_series)]), np.concatenate([u, values.ravel()])
    is_edge = np.arange(len(of)) >= len(u)
    order = np.lexsort((is_edge, place, of))
    of, place, value, is_edge = of[order], place[order], value[order], is_edge[order]
    width = np.where(of[1:] == of[:-1], np.diff(place), 0.0) * n
    height = value[1:] if held else value[1:] / 2 + value[:-1] / 2
    cell = np.clip(np.cumsum(is_edge)[:-1] - 1 - (n + 1) * of[:-1], 0, n - 1)
    means = np.bincount(n * of[:-1] + cell, width * height, n * n_series).reshape(n_series, n)
    return np.where((stop > start)[:, None], means, np.nan)
