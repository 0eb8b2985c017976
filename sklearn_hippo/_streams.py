"""Streams: the states of many memories side by side, and the observations that have not entered them yet.

New observations wait in one log for all streams, until there are so many that it pays to enter them together, sorted by
stream and time. Those that may still be overtaken by late ones stay there longer. Nothing of this depends on whether
the streams were read or stored in between.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ._long import sorted_rows
from ._machine import usable_threads
from ._state import Evolution, State

Array = NDArray[Any]

LEAST = 8192  # observations that are worth an entry; its pause is some milliseconds
TOGETHER = 1024  # streams whose entry stays in the cache


class Streams:
    """Rows of states, grown as needed; observations of a row are in the order of time, up to the lateness."""

    def __init__(self, evolution: Evolution, state: State, latest: Array, lateness: float):
        self.evolution, self.n_threads = replace(evolution, n_threads=1), evolution.n_threads
        self.lateness = lateness
        self.n = len(latest)
        self.state = state  # of as many rows as there is room for
        self.latest = latest  # their greatest times, of what waits as well; NaN where there is none
        self.n_waiting = 0
        self.limit = LEAST
        n_channels = state.last_time.shape[1]
        self._log: tuple[Array, ...] = np.empty(0, np.intp), np.empty(0), np.empty((0, n_channels))

    @classmethod
    def empty(cls, evolution: Evolution, n_channels: int, order: int, lateness: float) -> Self:
        return cls(evolution, State.empty(0, n_channels, evolution.size(order)), np.empty(0), lateness)

    @property
    def log(self) -> tuple[Array, Array, Array]:
        """Rows (k,), times (k,) and values (k, c) of what waits, in order of arrival."""
        rows, times, values = (array[: self.n_waiting] for array in self._log)
        return rows, times, values

    def add(self, rows: Array, times: Array, values: Array, n: int) -> None:
        """Add observations, sorted by row and time, of what are ``n`` rows from now on: all of them or none."""
        self._make_room(n, len(rows))
        if len(rows):
            last = np.append(np.flatnonzero(rows[1:] != rows[:-1]), len(rows) - 1)
            touched = rows[last]
            before = self.latest[touched]
            self.latest[touched] = np.fmax(before, times[last])
            try:
                if self.n_waiting + len(rows) < self.limit:
                    self._let_wait(rows, times, values)
                else:
                    self._enter(rows, times, values)
            except BaseException:
                self.latest[touched] = before
                raise
        self.n = n

    def add_one(self, row: int, time: float, values: Any) -> bool:
        """Add an observation of a row that there is, if it can wait."""
        k = self.n_waiting
        rows, times, log_values = self._log
        if k + 1 >= self.limit or k == len(rows):
            return False
        rows[k], times[k], log_values[k] = row, time, values
        self.n_waiting = k + 1
        if not time <= self.latest[row]:
            self.latest[row] = time
        return True

    def _let_wait(self, rows: Array, times: Array, values: Array) -> None:
        k, n = self.n_waiting, self.n_waiting + len(rows)
        for array, new in zip(self._log, (rows, times, values), strict=True):
            array[k:n] = new
        self.n_waiting = n

    def _enter(self, rows: Array, times: Array, values: Array) -> None:
        """Have these observations and those that wait enter the states, but for those that may still be overtaken."""
        if self.n_waiting:
            rows, times, values = (np.concatenate(pair) for pair in zip(self.log, (rows, times, values), strict=True))
            rows, times, values = _sorted(rows, times, values)
        kept = rows[:0], times[:0], values[:0]
        if self.lateness:
            young = times > self.latest[rows] - self.lateness
            kept, old = (rows[young], times[young], values[young]), ~young
            rows, times, values = rows[old], times[old], values[old]
        if len(rows):
            streams, offsets = _segments(rows)
            entered = self._map(lambda part: self._entered(part, streams, offsets, times, values), len(streams))
            for part, state in entered:
                self.state.assign(streams[part], state)
        self.keep(*kept)

    def _entered(self, part: slice, streams: Array, offsets: Array, times: Array, values: Array) -> State:
        """The states of some of these streams, after their observations."""
        own = offsets[part.start : part.stop + 1]
        rows, state = slice(own[0], own[-1]), self.state.take(streams[part])
        return self.evolution.absorb_rows(state, times[rows], values[rows], own - own[0])

    def _map(self, function: Callable[[slice], Any], n: int) -> list[tuple[slice, Any]]:
        """What a function makes of each part of so many streams, in threads."""
        parts = [slice(k, min(k + TOGETHER, n)) for k in range(0, n, TOGETHER)]
        n_threads = min(usable_threads(self.n_threads), len(parts))
        if n_threads <= 1:
            return [(part, function(part)) for part in parts]
        # Not those of the kernels: here no thread waits for another one before the end.
        with ThreadPoolExecutor(n_threads) as pool:
            return list(zip(parts, pool.map(function, parts), strict=True))

    def keep(self, rows: Array, times: Array, values: Array) -> None:
        """Let these observations wait, and no others."""
        self.n_waiting, self.limit = 0, max(LEAST, 2 * len(rows))
        self._make_room(self.n, len(rows))
        self._let_wait(rows, times, values)

    def _make_room(self, n: int, n_new: int) -> None:
        capacity = len(self.latest)
        if n > capacity:
            more = max(n, capacity + capacity // 2, 64) - capacity
            for field in fields(State):
                array = getattr(self.state, field.name)
                shape = (len(array) + more, *array.shape[1:])
                if array.dtype.kind == "i" or field.name == "core":
                    larger = np.zeros(shape, array.dtype)
                else:
                    larger = np.full(shape, np.nan)
                larger[: len(array)] = array
                setattr(self.state, field.name, larger)
            self.latest = np.append(self.latest, np.full(more, np.nan))
        k = min(self.n_waiting + n_new + 1, self.limit)
        if k > len(self._log[0]):
            size = min(max(k, 2 * len(self._log[0]), 64), self.limit)
            log = tuple(np.empty((size, *array.shape[1:]), array.dtype) for array in self._log)
            for array, old in zip(log, self.log, strict=True):
                array[: self.n_waiting] = old
            self._log = log

    # --- reading --------------------------------------------------------------------------------------

    def settled(self, streams: Array) -> State:
        """The states of some rows, in increasing order, with all that waits in them; the streams do not change."""
        state, (rows, times, values) = self.state.take(streams), self.log
        if len(rows) and len(streams):
            place = np.minimum(np.searchsorted(streams, rows), len(streams) - 1)
            mine = np.flatnonzero(streams[place] == rows)
            if len(mine):
                place, times, values = _sorted(place[mine], times[mine], values[mine])
                some, offsets = _segments(place)
                state = state.put(some, self.evolution.absorb_rows(state.take(some), times, values, offsets))
        return state

    def counts(self) -> Array:
        """Numbers of observations of all rows."""
        return self.state.count[: self.n] + np.bincount(self.log[0], minlength=self.n)

    # --- other rows -----------------------------------------------------------------------------------

    def select(self, streams: Array) -> "Streams":
        """Copy some rows, in increasing order, which are numbered anew."""
        evolution = replace(self.evolution, n_threads=self.n_threads)
        other = Streams(evolution, self.state.take(streams), self.latest[streams], self.lateness)
        rows, times, values = self.log
        number = np.full(self.n, -1, np.intp)
        number[streams] = np.arange(len(streams))
        mine = number[rows] >= 0
        other.keep(number[rows[mine]], times[mine], values[mine])
        other.limit = self.limit
        return other

    def clear(self, streams: Array) -> None:
        """Forget what some rows hold."""
        self.state.assign(streams, State.empty(1, *self.state.core.shape[1:]))
        self.latest[streams] = np.nan
        rows, times, values = self.log
        mine = ~np.isin(rows, streams)
        if not mine.all():
            self.keep(rows[mine], times[mine], values[mine])

    def overlap(self, other: "Streams", mine: Array, others: Array) -> Array:
        """Which of some rows of both go back in time from here to the other, further than late observations may."""
        first = other.state.heads[: other.n, 0].copy()
        np.fmin.at(first, other.log[0], other.log[1])
        first, ends = first[others], self.latest[mine]
        # What came so late in the other that all of it still waits there may be put in its place here.
        waits = first > np.fmax(ends, other.latest[others]) - self.lateness
        return (first < ends) & ~waits

    def merge(self, other: "Streams", places: Array, n: int) -> "Streams":
        """These rows and the ``places`` of those of another, ``n`` in all; common ones go on from here to there."""
        merged = self.select(np.arange(self.n))
        merged._make_room(n, 0)
        state, waiting = other.state.take(slice(0, other.n)), self.log
        begun = (places < self.n) & (state.count > 0)
        new = np.flatnonzero(places >= self.n)
        changed = [(places[new], state.take(new))]
        if begun.any():
            both = np.flatnonzero(begun)
            both = both[np.argsort(places[both])]
            changed.append((places[both], self.evolution.merge(self.settled(places[both]), state.take(both))))
            still = ~np.isin(waiting[0], places[both])
            waiting = waiting[0][still], waiting[1][still], waiting[2][still]
        for rows, entered in changed:
            merged.state.assign(rows, entered)
        merged.latest[places] = np.fmax(merged.latest[places], other.latest[: other.n])
        merged.n = n
        theirs = (places[other.log[0]], *other.log[1:])
        merged.keep(*(np.concatenate(pair) for pair in zip(waiting, theirs, strict=True)))
        return merged


def _sorted(rows: Array, times: Array, values: Array) -> tuple[Array, Array, Array]:
    order = sorted_rows(rows, times)
    return (rows, times, values) if order is None else (rows[order], times[order], values[order])


def _segments(rows: Array) -> tuple[Array, Array]:
    """Which rows there are, of sorted ones, and where each begins and ends."""
    offsets = np.concatenate([[0], np.flatnonzero(rows[1:] != rows[:-1]) + 1, [len(rows)]])
    return rows[offsets[:-1]], offsets
