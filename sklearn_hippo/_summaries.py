"""Eight numbers of every channel of a series, for channels that are hardly ever observed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._panel import Panel, own_times

Array = NDArray[Any]

SUMMARIES = ("mean", "min", "max", "sd", "first", "last", "log_count", "since_last")


def summarize(panel: Panel) -> NDArray[np.float32]:
    """Of the observations of a channel: mean, least, greatest, standard deviation, first, last, log(1 + how many), and
    how long ago the last one is at the end of the series, as a share of its duration.

    Parameters
    ----------
    panel : Panel
        Observations of one stamp count as the last of them.

    Returns
    -------
    ndarray of shape (n_series, n_channels * 8)
        Of a channel that was never observed all are 0, but the last one is 1.
    """
    out = np.zeros((len(panel), panel.n_channels, len(SUMMARIES)), np.float32)
    out[..., -1] = 1
    times, which = own_times(panel), np.repeat(np.arange(len(panel)), panel.lengths)
    last = np.maximum(panel.offsets[1:] - 1, 0)
    for c in range(panel.n_channels):
        rows = np.flatnonzero(~np.isnan(panel.values[:, c]))
        same = (which[rows[1:]] == which[rows[:-1]]) & (times[rows[1:]] == times[rows[:-1]])
        rows = rows[np.append(~same, True)[: len(rows)]]
        if not len(rows):
            continue
        x, begins = panel.values[rows, c].astype(np.float64), np.flatnonzero(np.diff(which[rows], prepend=-1))
        ends = np.append(begins[1:], len(rows)) - 1
        series, counts = which[rows[begins]], ends - begins + 1
        mean = np.add.reduceat(x, begins) / counts
        squares = np.add.reduceat((x - np.repeat(mean, counts)) ** 2, begins)
        duration = times[last[series]] - times[panel.offsets[series]]
        since = (times[last[series]] - times[rows[ends]]) / np.where(duration > 0, duration, 1)
        out[series, c] = np.stack(
            [
                mean, np.minimum.reduceat(x, begins), np.maximum.reduceat(x, begins), np.sqrt(squares / counts),
                x[begins], x[ends], np.log1p(counts), since,
            ], axis=1,
        )  # fmt: skip
    return out.reshape(len(panel), -1)
