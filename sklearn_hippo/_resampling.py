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
    rise = np.diff(series, prepend=-1) == 0  # whether the observation before is of the same series
    step = np.where(rise, np.diff(at, prepend=0.0), 0.0)
    before = np.where(rise, np.concatenate([u[:1], u[:-1]]), u)
    area = np.cumsum(step * (u if held else (u + before) / 2))
    edges = np.arange(n + 1) / n
    # The last observation up to each edge, or the first one of the series.
    found = np.searchsorted(2.0 * series + at, (2.0 * np.arange(n_series)[:, None] + edges).ravel(), side="right") - 1
    start = np.searchsorted(series, np.arange(n_series))
    count = np.searchsorted(series, np.arange(n_series), side="right") - start
    k = np.maximum(found.reshape(n_series, -1), start[:, None])
    k = np.minimum(k, len(u) - 1)
    after = np.minimum(k + 1, len(u) - 1)
    since = edges - at[k]
    inside = (since > 0) & (series[after] == series[k]) & (after > k)
    slope = np.where(inside, (u[after] - u[k]) / np.where(inside, at[after] - at[k], 1.0), 0.0)
    to = area[k] + since * np.where(inside & held, u[after], u[k]) + (0.0 if held else slope * since**2 / 2)
    return np.where(count[:, None] > 0, np.diff(to, axis=1) * n, np.nan)
