"""Views of series by a sliding memory, and what is read out of them: the only module that calls the pooling kernel.

A view is a way to look at all series: time in shares of a series' duration, or in its own unit; values as they are
(standardized by channel), or standardized by series as well. Its windows are merged once, and all its read-outs pooled.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ._ext_pooling import Readouts, Windows, add_squares, pool, trace
from ._panel import Panel, own_times
from ._projection import embed

Array = NDArray[Any]

GOLDEN = 0.6180339887  # levels of successive thresholds, which it spreads over all quantiles
ROUNDING = 1e-6  # in whitened units: what is above a threshold by less is not above it
N_WHITENING = 60  # series whose coefficients tell how large they are
MOST_CELLS = 3000
# Features of a threshold, and of a read-out, by pooling: in this order in the kernel.
OF_THRESHOLDS = {"ppv": ("ppv",), "longest": ("longest",), "thirds": ("first", "middle", "last")}
OF_READOUTS = {"spread": ("sd", "min", "max")}
POOLINGS = (*OF_THRESHOLDS, *OF_READOUTS)
WORD = 64  # cells, in whose multiples the kernel computes


@dataclass(frozen=True)
class Grid:
    """How times become cells: ``n_cells`` of every duration, or cells of one length in units of the times."""

    relative: bool
    n_cells: int
    cell: float
    longest: float  # window, in cells
    shortest: float

    @classmethod
    def learn(cls, relative: bool, durations: Array, n_stamps: Array) -> "Grid":
        """From the durations of the training series and their numbers of different times."""
        typical = max(float(np.median(n_stamps)), 2.0)
        if relative:
            n_cells = int(np.clip(2 ** ceil(np.log2(typical)), 64, 512))
            return cls(True, n_cells, 0.0, n_cells, min(max(4.0, 2 * n_cells / (typical - 1)), n_cells / 4))
        duration = float(np.median(durations)) or float(durations.max()) or 1.0
        cell = max(duration / min(typical - 1, 512), np.finfo(np.float64).tiny)
        return cls(False, 0, cell, max(duration / cell, 4.0), 4.0)

    def windows(self) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """Lengths of the windows in cells, from 1 on, and which of them are read."""
        lengths = sorted({2**k for k in range(13)} | {3 * 2**k for k in range(12)})
        known = np.array([w for w in lengths if w <= max(self.longest, 4)], np.int32)
        read = np.flatnonzero(known >= self.shortest)
        return known, read if len(read) else np.array([len(known) - 1])

    def place(self, panel: Panel) -> tuple[Array, NDArray[np.intp]]:
        """Times of all observations in cells from the beginning of their series, and how many cells each has."""
        times, durations = own_times(panel), durations_of(panel)
        some = panel.lengths > 0
        start = np.zeros(len(panel))
        start[some] = times[panel.offsets[:-1][some]]
        since = times - np.repeat(start, panel.lengths)

        # What is nearer to the beginning is at it: slopes must not overflow.
        def since_start(u: Array) -> Array:
            return np.where(u < 1e-100, 0.0, u)

        if self.relative:
            whole = np.repeat(np.where(durations > 0, durations, 1), panel.lengths)
            return since_start(since / whole * self.n_cells), np.full(len(panel), self.n_cells, np.intp)
        with np.errstate(over="ignore"):  # of series that last far longer than those in training
            n_cells = np.clip(np.ceil(durations / self.cell), 2, MOST_CELLS).astype(np.intp)
            return since_start(np.minimum(since / self.cell, 1e15)), n_cells

    def covered(self, duration: float) -> float:
        """How many cells a series of this duration covers."""
        return float(self.n_cells) if self.relative else max(duration / self.cell, 1e-300)

    def span(self, duration: float, n_cells: Array) -> Array:
        """How long windows of so many cells are, in a series of this duration."""
        return n_cells * (duration / self.n_cells if self.relative else self.cell)


def durations_of(panel: Panel) -> Array:
    """From the first to the last time of every series, whatever was observed then."""
    durations = np.zeros(len(panel))
    some = panel.lengths > 0
    begins, last = panel.offsets[:-1][some], panel.offsets[1:][some] - 1
    times = own_times(panel)
    durations[some] = times[last] - times[begins]
    return durations


def stamps_of(panel: Panel) -> Array:
    """Number of different times of every series."""
    times = own_times(panel)
    new = np.ones(len(times), bool)
    new[1:] = times[1:] != times[:-1]
    new[panel.offsets[:-1][panel.lengths > 0]] = True
    total = np.concatenate([[0], np.cumsum(new)])
    return total[panel.offsets[1:]] - total[panel.offsets[:-1]]


def standardized_by_series(panel: Panel) -> Panel:
    """A panel of values less the mean of their series and channel over time, divided by its standard deviation.

    Both are over time, integrals of the straight lines between a channel's own observations, so that observations on a
    line change nothing. A channel that hardly varies is divided by 1; values are to be of order one.
    """
    of_rows = np.repeat(np.arange(len(panel)), panel.lengths)
    times, values = own_times(panel), panel.values.copy()
    ends = np.zeros((2, len(panel)))
    some = panel.lengths > 0
    ends[:, some] = times[panel.offsets[:-1][some]], times[panel.offsets[1:][some] - 1]
    for c in range(panel.n_channels):
        rows = np.flatnonzero(~np.isnan(values[:, c]))
        if len(rows):
            values[rows, c] = _standardized(values[rows, c], times[rows], of_rows[rows], ends)
    return Panel._trusted(values, panel.times, panel.offsets, None, None, panel.ids, panel.id_names)


def _standardized(x: Array, times: Array, series: NDArray[np.intp], ends: Array) -> Array:
    """One channel, from its own observations; ``ends`` (2, n_series) are the first and last times of the series."""
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    lasts = np.append(begins[1:], len(x)) - 1
    counts = lasts - begins + 1
    start, stop = ends[:, series[begins]]
    duration = stop - start
    instant = duration <= 0  # a constant, of its last value
    duration = np.where(instant, 1.0, duration)
    # shares of the duration, of which no product overflows
    h = np.append(np.diff(times), 0.0)
    h[lasts] = 0
    h /= np.repeat(duration, counts)
    before, behind = (times[begins] - start) / duration, (stop - times[lasts]) / duration

    def mean_of(between: Array, at: Array) -> Array:
        """Of a function with these means over the segments behind the observations, constant beyond them."""
        return np.add.reduceat(h * between, begins) + at[begins] * before + at[lasts] * behind

    after = np.append(x[1:], 0.0)
    x = x - np.repeat(np.where(instant, x[lasts], mean_of((x + after) / 2, x)), counts)
    after = np.append(x[1:], 0.0)
    scale = np.sqrt(mean_of((x**2 + x * after + after**2) / 3, x**2))
    return x / np.repeat(np.where(instant | (scale < 1e-8), 1.0, scale), counts)


@dataclass
class Draw:
    """Read-outs of a view, as the kernel wants them: see `_ext_pooling.Readouts`."""

    what: NDArray[np.int32]  # (6, n_readouts) window, kind, first, second, sign, inside
    channels: NDArray[np.int32]  # (n_readouts + 1,)
    channel: NDArray[np.int32]  # (2, ...)
    thresholds: NDArray[np.int32]  # (n_readouts + 1,)
    threshold: NDArray[np.float32]
    pairs: NDArray[np.int32] | None = None

    def of_thresholds(self) -> NDArray[np.intp]:
        """The read-out of each threshold."""
        return np.repeat(np.arange(self.what.shape[1]), np.diff(self.thresholds))

    def readouts(self) -> Readouts:
        return Readouts(self.what, self.channels, self.channel, self.thresholds, self.threshold, self.pairs)


def draw_readouts(
    rng: np.random.RandomState, windows: NDArray[np.intp], n_kinds: int, order: int, n_channels: int, target: int,
    *, everywhere: bool,
) -> Draw:  # fmt: skip
    """Single coefficients, sums and differences of all windows, or as many of them as thresholds are wanted.

    Some windows stay within the series, others have their centre everywhere: a coin for each, unless all are to be
    ``everywhere``. Each read-out sums a few channels with random signs.
    """
    n, m = np.triu_indices(order, 1)
    single = np.stack([np.arange(order), np.arange(order), np.zeros(order, int)])
    coefficients = np.concatenate([single, *([n, m, np.full(len(n), sign)] for sign in (1, -1))], axis=1)
    grid = np.stack(np.meshgrid(windows, np.arange(n_kinds), np.arange(coefficients.shape[1]), indexing="ij"))
    window, kind, which = grid.reshape(3, -1)
    if len(window) > target:
        some = np.sort(rng.permutation(len(window))[:target])
        window, kind, which = window[some], kind[some], which[some]
    k = len(window)
    inside = np.zeros(k, int) if everywhere else rng.randint(0, 2, k)
    what = np.stack([window, kind, *coefficients[:, which], inside])
    counts = (2 ** rng.uniform(0, np.log2(min(n_channels, 9) + 1), k)).astype(int).clip(1, n_channels)
    ranks = np.argsort(rng.uniform(size=(k, n_channels)), axis=1)  # each row a permutation of the channels
    chosen = np.arange(n_channels) < counts[:, None]
    channel = np.stack([ranks[chosen], rng.choice([-1, 1], chosen.sum())])
    each = ceil(target / k)
    return Draw(
        what.astype(np.int32), np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), channel.astype(np.int32),
        (each * np.arange(k + 1)).astype(np.int32), np.zeros(each * k, np.float32),
    )  # fmt: skip


def draw_pairs(rng: np.random.RandomState, draw: Draw, n_pairs: int, longest: float) -> NDArray[np.int32]:
    """Pairs of thresholds of windows of about the same length, each above or below, some of them apart in time."""
    n = len(draw.threshold)
    window = draw.what[0][draw.of_thresholds()]
    order = np.argsort(window + rng.uniform(0, 2.5, n))
    place = np.empty(n, int)
    place[order] = np.arange(n)
    one = rng.randint(0, n, n_pairs)
    away = rng.randint(1, 60, n_pairs) * rng.choice([-1, 1], n_pairs)
    other = order[np.clip(place[one] + away, 0, n - 1)]
    lag = (2 ** rng.uniform(0, max(np.log2(longest / 2), 0), n_pairs)).astype(int)
    lag[rng.uniform(size=n_pairs) < 0.5] = 0
    return np.stack([2 * one + rng.randint(0, 2, n_pairs), 2 * other + rng.randint(0, 2, n_pairs), lag]).astype(
        np.int32
    )


@cache
def halves(lengths: tuple[int, ...], d: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Of which windows each is made, an older and a newer one, and the matrices that merge these."""
    older, newer = np.zeros(len(lengths), np.int32), np.zeros(len(lengths), np.int32)
    merge = np.zeros((len(lengths), 2, d, d), np.float32)
    for i, length in enumerate(lengths[1:], 1):
        older[i] = lengths.index(length - length // 2)  # the older part is the longer one
        newer[i] = lengths.index(length // 2)
        share = np.full(d, (length - length // 2) / length)
        for part, (low, high) in enumerate(((0 * share, share), (share, 1 + 0 * share))):
            merge[i, part] = embed(np.eye(d)[:, None], low, high)[:, 0].T
    return older, newer, merge


class View:
    """One way to look at all series, fitted: its grid, its windows, and what is read out of them."""

    def __init__(self, name: str, grid: Grid, *, by_series: bool, order: int, derivative: bool, n_channels: int):
        self.name, self.grid, self.by_series = name, grid, by_series
        self.order, self.n_kinds, self.n_channels = order, 1 + derivative, n_channels
        self.lengths, self.read = grid.windows()
        self.draws: list[Draw] = []
        self.scale: NDArray[np.float32] | None = None

    def windows(self) -> Windows:
        """The windows, as the kernel wants them."""
        older, newer, merge = halves(tuple(self.lengths.tolist()), self.order)
        padding = int(self.lengths[-1]) // 2 + 1
        return Windows(self.n_channels, self.n_kinds, padding, self.lengths, older, newer, merge, self.scale)

    def look(self, panel: Panel) -> tuple[Array, Array, NDArray[np.intp], NDArray[np.intp]]:
        """Places, values, offsets and numbers of cells of series whose values are standardized as they are to be."""
        u, n_cells = self.grid.place(panel)
        return u, np.ascontiguousarray(panel.values), panel.offsets, n_cells

    def fit(
        self, panel: Panel, rng: np.random.RandomState, target: int, n_paired: int, n_pairs: int, n_threads: int
    ) -> Self:
        """Learn how large coefficients are, and draw read-outs and thresholds."""
        series = self.look(panel)
        some = np.flatnonzero(panel._observed)
        sample = np.sort(rng.permutation(some)[:N_WHITENING]).astype(np.intp)
        self.scale = self._whitening(series, sample)
        self.draws = [
            draw_readouts(rng, self.read, self.n_kinds, self.order, self.n_channels, target, everywhere=False)
        ]
        if n_pairs:
            paired = draw_readouts(
                rng, self.read, self.n_kinds, self.order, self.n_channels, n_paired, everywhere=True
            )  # fmt: skip
            paired.pairs = draw_pairs(rng, paired, n_pairs, self.grid.longest)
            self.draws.append(paired)
        for draw in self.draws:
            self._set_thresholds(draw, series, rng, some, n_threads)
        return self

    def _whitening(self, series: Any, sample: NDArray[np.intp]) -> NDArray[np.float32]:
        windows, (u, values, offsets, n_cells) = self.windows(), series
        n = len(self.lengths)
        squares = np.zeros((n, self.n_kinds * self.n_channels * self.order))
        counts = np.zeros(n)
        scratch = np.empty(windows.size(int(n_cells[sample].max())), np.float32)
        add_squares(windows, u, values, offsets, n_cells, sample, squares, counts, scratch)
        size = np.sqrt(squares / counts[:, None]).reshape(n, self.n_kinds, self.n_channels, self.order)
        least = np.maximum(1e-4 * size.max(axis=(0, 2, 3), keepdims=True), 1e-12)
        return (1 / np.maximum(size, least)).astype(np.float32)

    def _set_thresholds(
        self, draw: Draw, series: Any, rng: np.random.RandomState, some: NDArray[np.intp], n_threads: int
    ) -> None:
        """Quantiles of each read-out along a series of its own."""
        k = draw.what.shape[1]
        z, n = self.trace(draw, series, rng.choice(some, k), n_threads)
        z[np.arange(z.shape[1]) >= n[:, None]] = np.inf
        z.sort(axis=1)
        each = int(draw.thresholds[1])
        level = ((np.arange(each * k) * GOLDEN + rng.uniform()) % 1).reshape(k, each) * (n - 1)[:, None]
        low = np.minimum(level.astype(int), np.maximum(n - 2, 0)[:, None])
        high = np.minimum(low + 1, (n - 1)[:, None])
        below, above = np.take_along_axis(z, low, 1), np.take_along_axis(z, high, 1)
        draw.threshold = (below + (above - below) * (level - low) + ROUNDING).astype(np.float32).ravel()

    def trace(
        self, draw: Draw, series: Any, of_readouts: NDArray[np.intp], n_threads: int = 1
    ) -> tuple[Array, NDArray[np.intp]]:
        """Each read-out along a series, (n_readouts, whole words of positions), and how many positions it has."""
        k, windows, (u, values, offsets, n_cells) = len(of_readouts), self.windows(), series
        which, of_readouts = np.unique(of_readouts, return_inverse=True)
        order = np.argsort(of_readouts, kind="stable")
        begins = np.searchsorted(of_readouts[order], np.arange(len(which) + 1))
        most = int(n_cells.max())
        z, n = np.empty((k, -(-most // WORD) * WORD), np.float32), np.zeros(k, np.intp)
        scratch = np.empty((n_threads, windows.size(most)), np.float32)
        trace(windows, draw.readouts(), u, values, offsets, n_cells, which, begins, order, z, n, scratch)
        return z, n

    def columns(self, poolings: tuple[str, ...]) -> tuple[NDArray[np.intp], int]:
        """Where the features of each draw are among those of the view, and how many there are."""
        blocks = self.blocks(poolings)
        places = np.full((len(self.draws), len(POOLINGS) + 1), -1, np.intp)
        for i, name, columns in blocks:
            places[i, [*POOLINGS, "pairs"].index(name)] = columns.start
        return places, blocks[-1][2].stop if blocks else 0

    def blocks(self, poolings: tuple[str, ...]) -> list[tuple[int, str, slice]]:
        """Features of one pooling, or pairs: of which draw they are, what, and where among those of the view.

        Series that are standardized by themselves have no poolings of their own beyond how often and how long.
        """
        found: list[tuple[int, str, slice]] = []
        plain = self.draws[0]
        for name in ("ppv", "longest") if self.by_series else POOLINGS:
            if name in poolings:
                each = plain.what.shape[1] if name in OF_READOUTS else len(plain.threshold)
                size = each * len((OF_THRESHOLDS | OF_READOUTS)[name])
                found.append((0, name, slice(size)))
        found += [(i, "pairs", slice(d.pairs.shape[1])) for i, d in enumerate(self.draws) if d.pairs is not None]
        ends = np.cumsum([0, *(columns.stop for _, _, columns in found)]).tolist()
        return [(i, name, slice(*ends[k : k + 2])) for k, (i, name, _) in enumerate(found)]

    def pool(self, panel: Panel, poolings: tuple[str, ...], out: NDArray[np.float32], n_threads: int) -> None:
        """Fill ``out`` with the features of all series."""
        windows, sets = self.windows(), [draw.readouts() for draw in self.draws]
        series = self.look(panel)
        most = int(series[3].max(initial=1))
        places, total = self.columns(poolings)
        features = out if out.flags.c_contiguous else np.empty((len(panel), total), np.float32)
        pool(
            windows, sets, places, *series, np.empty((n_threads, windows.size(most)), np.float32),
            np.empty((n_threads, -(-most // WORD) * WORD), np.float32),
            np.empty((n_threads, max(one.n_bits(most) for one in sets)), np.uint64), features,
        )  # fmt: skip
        if features is not out:
            out[:] = features

    def names(self, poolings: tuple[str, ...], channels: list[str]) -> list[str]:
        """Names of the features: view, window, channels, read-out, threshold and pooling."""

        def called(draw: Draw) -> list[str]:
            names = []
            for k, (w, kind, n, m, sign, _) in enumerate(draw.what.T.tolist()):
                which, signs = draw.channel[:, draw.channels[k] : draw.channels[k + 1]].tolist()
                mixed = "".join(f"{'-' if s < 0 else '+'}{channels[c]}" for c, s in zip(which, signs, strict=True))
                read = f"c{n}" + ("" if sign == 0 else f"{'+' if sign > 0 else '-'}c{m}")
                names.append(f"w{self.lengths[w]}{'_slope' if kind else ''}_{mixed.removeprefix('+')}_{read}")
            return names

        def with_thresholds(draw: Draw) -> list[str]:
            ranges = zip(called(draw), pairwise(draw.thresholds.tolist()), strict=True)
            return [f"{one}_t{j}" for one, ends in ranges for j in range(*ends)]

        names = []
        for i, name, _ in self.blocks(poolings):
            draw = self.draws[i]
            if draw.pairs is not None and name == "pairs":
                own = with_thresholds(draw)
                for j, (a, b, lag) in enumerate(draw.pairs.T.tolist()):
                    both = "__".join(("not_" if x & 1 else "") + own[x >> 1] for x in (a, b))
                    names.append(f"{self.name}__{both}__lag{lag}_pair{j}")
            else:
                own = called(draw) if name in OF_READOUTS else with_thresholds(draw)
                parts = (OF_THRESHOLDS | OF_READOUTS)[name]
                names += [f"{self.name}__{one}__{part}" for part in parts for one in own]
        return names
