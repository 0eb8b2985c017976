"""State: all that a memory remembers; and how states evolve, merge and are read, in pure functions of them.

What is kept of a channel is the function between its own first and last observation (its core), and these two
observations. So the gap between two memories is interpolated like any other, and merged memories are what a single pass
would have made. A block of new observations enters at a time: the core fades, exp(A h) c, and the block's own
projection is added to it.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._measures import Measure
from ._panel import Panel
from ._projection import embed, excess, fade, is_large, project
from ._recurrence import exact_steps

Array = NDArray[Any]

LATEST = 2.0**1000  # of times, in their own units


@dataclass
class State:
    """Everything that is remembered, of n_streams (s) and n_channels (c); NaN where nothing was observed yet."""

    count: Array  # (s,) observations, missing ones included
    heads: Array  # (s, 2) the first time, and the first one after it
    time: Array  # (s,) the last time
    first_time: Array  # (s, c) first own observation of a channel
    first_value: Array  # (s, c)
    last_time: Array  # (s, c) last own observation
    last_value: Array  # (s, c)
    core: Array  # (s, c, order) coefficients of the function between these two

    @classmethod
    def empty(cls, n_streams: int, n_channels: int, order: int) -> "State":
        unknown = np.full((n_streams, n_channels), np.nan)
        core = np.zeros((n_streams, n_channels, order))
        heads = np.full((n_streams, 2), np.nan)
        return cls(
            np.zeros(n_streams, np.int64), heads, np.full(n_streams, np.nan), unknown, unknown, unknown, unknown, core
        )

    @property
    def is_large(self) -> bool:
        """Whether there is any `excess`."""
        return is_large(self.core) or is_large(self.first_value) or is_large(self.last_value)

    @property
    def excess(self) -> Array:
        """As `_projection.excess`, shape (s, c)."""
        return excess(np.dstack([self.first_value, self.last_value, self.core]), axis=2)

    def ldexp(self, exponent: Array) -> "State":
        """The state of signals that are so many powers of two, of shape (s, c), as large."""
        with np.errstate(over="ignore"):  # for whoever asked for it to notice
            return replace(
                self,
                first_value=np.ldexp(self.first_value, exponent),
                last_value=np.ldexp(self.last_value, exponent),
                core=np.ldexp(self.core, exponent[..., None]),
            )

    def take(self, streams: Any) -> "State":
        """Some of the streams."""
        return State(**{field.name: getattr(self, field.name)[streams] for field in fields(self)})

    def put(self, streams: Any, some: "State") -> "State":
        """The state in which these streams are as in another one."""
        if isinstance(streams, slice):  # all of them
            return some
        new = State(**{field.name: getattr(self, field.name).copy() for field in fields(self)})
        new.assign(streams, some)
        return new

    def assign(self, streams: Any, some: "State") -> None:
        """Put these streams, in place, into the state that they have in another one, or all into its only one."""
        for field in fields(self):
            getattr(self, field.name)[streams] = getattr(some, field.name)

    def misfit(self) -> tuple[int, int] | None:
        """Stream and channel of a core that could not be represented, if there is one."""
        wrong = np.argwhere(~np.isfinite(self.core).all(axis=2) & ~np.isnan(self.last_time))
        return tuple(wrong[0].tolist()) if len(wrong) else None


def _first_times(heads: Array, times: Array, offsets: Array) -> Array:
    """Of the rows of each stream, the first time, and the first one after the stream's own, where that matters."""
    found = np.stack([times[offsets[:-1]]] * 2, axis=1)
    first = np.where(np.isnan(heads[:, 0]), found[:, 0], heads[:, 0])
    some = np.flatnonzero(np.isnan(heads[:, 1]) & (times[offsets[1:] - 1] > first))
    if len(some):
        later = np.flatnonzero(times > np.repeat(first, np.diff(offsets)))
        found[some, 1] = times[later[np.searchsorted(later, offsets[some])]]
    return found


@dataclass(frozen=True)
class Evolution:
    """How states evolve: a measure, its timescale (None for one that scales), the interpolation and the past."""

    measure: Measure
    timescale: float | None
    interpolation: str
    past: str
    n_threads: int = 1

    def size(self, order: int) -> int:
        """Length of a core: the order, or as many numbers as the dynamics need for it."""
        return order if self.measure.exact else len(self._dynamics(order).B)

    def fade(self, core: Array, h: Array) -> Array:
        """exp(A h) c for (n, channels, order) and h of shape (n,)."""
        if not h.any():
            return core.copy()
        if self.measure.exact and self.measure.basis.fades:
            return fade(core, self.measure.basis, h, n_threads=self.n_threads)
        n, channels, order = core.shape
        faded = core.copy()
        begins = np.arange(n, dtype=np.intp)
        silence = np.zeros((n, channels))
        exact_steps(self._dynamics(order), "hold", h, silence, begins, begins + 1, faded, n_threads=self.n_threads)
        return faded

    def embed(self, core: Array, low: Array, high: Array) -> Array:
        """As `_projection.embed`."""
        return embed(core, low, high, n_threads=self.n_threads)

    def _dynamics(self, order: int) -> Any:
        assert self.measure.dynamics is not None
        return self.measure.dynamics(order)

    def block(self, panel: Panel, core: Array, first: Array) -> Array:
        """Cores after the observations of a panel, whose first rows are where the cores ended.

        ``first`` is where the functions of the cores begin, shape (n_series,).
        """
        begins, ends = panel.offsets[:-1], panel.offsets[1:]
        assert panel.times is not None
        start, stop = panel.times[begins], panel.times[ends - 1]
        order = core.shape[2]
        if not self.measure.exact:
            with np.errstate(over="ignore"):  # endless to a memory of next to no length
                steps = np.diff(panel.times, prepend=0) / self.timescale
            steps[begins] = 0
            later = core.copy()
            exact_steps(
                self._dynamics(order), self.interpolation, steps, panel.values, begins, ends, later,
                n_threads=self.n_threads,
            )  # fmt: skip
            return later
        if self.timescale is None:
            # In the window from first to stop, the block is a function that is zero before its start.
            length = stop - first
            window, timescale = Measure("sliding", self.measure.basis), np.where(length > 0, length, 1.0)
        else:
            window, timescale = self.measure, np.full(len(first), self.timescale)
        if self.interpolation == "hold":  # the first row ends an interval that is not the block's
            values = panel.values.copy()
            values[begins] = 0
            panel = Panel(values, panel.times, panel.offsets)
        later = project(
            panel, window, order, timescale=timescale, interpolation=self.interpolation, n_threads=self.n_threads
        )
        if self.timescale is None:
            embed(core, np.zeros(len(first)), (start - first) / timescale, out=later, n_threads=self.n_threads)
        else:
            later += self.fade(core, (stop - start) / self.timescale)
        moved = stop > start
        if not moved.all():  # no time has passed: a jump, which has no weight yet
            later[~moved] = core[~moved]
        return later

    def absorb(self, state: State, times: Array, values: Array) -> State:
        """The state after observations at ``times`` (s, m) of ``values`` (s, m, c)."""
        s, m, n_channels = values.shape
        if m == 0:
            return state
        return self.absorb_rows(state, times.reshape(-1), values.reshape(-1, n_channels), m * np.arange(s + 1))

    def absorb_rows(self, state: State, times: Array, values: Array, offsets: Array) -> State:
        """The state after observations at ``times`` (k,) of ``values`` (k, c).

        Those of stream i are the rows from ``offsets[i]`` to ``offsets[i + 1]``; every stream has some.
        """
        begins, lengths = offsets[:-1], np.diff(offsets)
        if state.is_large or is_large(values):
            largest = np.fmax.reduceat(np.abs(values), begins, axis=0)
            exponent = np.maximum(state.excess, excess(largest[..., None], axis=2))
            smaller = np.ldexp(values, np.repeat(-exponent, lengths, axis=0))
            return self.absorb_rows(state.ldexp(-exponent), times, smaller, offsets).ldexp(exponent)
        new = replace(state, count=state.count + lengths, time=times[offsets[1:] - 1])
        new.heads = self.heads(state.heads, _first_times(state.heads, times, offsets))
        s, n_channels = state.last_time.shape
        seen = ~np.isnan(values)
        # A lane is a series of the kernel: a stream if its channels go together, otherwise a channel of a stream.
        alike = (state.first_time == state.first_time[:, :1]) & (state.last_time == state.last_time[:, :1])
        together = alike.all(axis=1) | np.isnan(state.last_time).all(axis=1)
        if not seen.all():
            together &= np.logical_and.reduceat(seen.all(axis=1), begins)
        changed: list[tuple[Any, tuple[Array, ...]]] = []
        for lanes in (together, ~together):
            if not lanes.any():
                continue
            of_lanes = slice(None) if lanes.all() else np.flatnonzero(lanes)
            rows = slice(None) if lanes.all() else np.repeat(lanes, lengths)
            part, own_times, own_values = state.take(of_lanes), times[rows], values[rows]
            if lanes is together:
                own = np.concatenate([[0], np.cumsum(lengths[of_lanes])])
                ends = part.first_time[:, 0], part.first_value, part.last_time[:, 0], part.last_value
                changed.append(((of_lanes,), self._enter(*ends, part.core, own_times, own_values, own)))
                continue
            channel, row = np.nonzero(seen[rows].T)  # channel by channel, which have rows of their own
            lane = channel * len(part.count) + np.repeat(np.arange(len(part.count)), lengths[of_lanes])[row]
            counts = np.bincount(lane, minlength=n_channels * len(part.count))
            active = np.flatnonzero(counts)
            if not len(active):
                continue
            own = np.concatenate([[0], np.cumsum(counts[active])])
            which, stream = np.divmod(active, len(part.count))
            at = stream, which
            ends = part.first_time[at], part.first_value[at][:, None], part.last_time[at], part.last_value[at][:, None]
            core, own_values = part.core[at][:, None], own_values[row, channel][:, None]
            entered = self._enter(*ends, core, own_times[row], own_values, own)
            place = (np.arange(s)[of_lanes][stream], which)
            changed.append((place, tuple(x.reshape(len(active), *x.shape[2:]) for x in entered)))
        names = ("first_time", "first_value", "last_time", "last_value", "core")
        for name in names:
            array = np.empty_like(getattr(state, name)) if together.all() else getattr(state, name).copy()
            setattr(new, name, array)
        for place, entered in changed:
            for name, array in zip(names, entered, strict=True):
                getattr(new, name)[place] = array
        return new

    def _enter(
        self, first_time: Array, first_value: Array, last_time: Array, last_value: Array, core: Array, times: Array,
        values: Array, offsets: Array,
    ) -> tuple[Array, ...]:  # fmt: skip
        """Ends (n, c) and cores of lanes after observations of which none is missing; their times are (n,) before."""
        known, width = ~np.isnan(last_time), last_value.shape[1]
        # Rows of each lane: where its core ended, if it has one, and its new observations.
        wider = offsets + np.concatenate([[0], np.cumsum(known)])
        at = np.arange(len(times)) + np.repeat(np.cumsum(known), np.diff(offsets))
        row_times, row_values = np.empty(wider[-1]), np.empty((wider[-1], width))
        row_times[at], row_values[at] = times, values
        ends = wider[:-1][known]
        row_times[ends], row_values[ends] = last_time[known], last_value[known]
        begin = np.where(known, first_time, row_times[wider[:-1]])
        head = np.where(known[:, None], first_value, row_values[wider[:-1]])
        if is_large(times, LATEST):  # there is no room for sums of such times, as the panel will say
            panel = Panel(row_values, row_times, wider)
        else:
            panel = Panel._trusted(row_values, row_times, wider, None, False)
        core, last = self.block(panel, core, begin), offsets[1:] - 1

        def each(x: Array) -> Array:
            return np.repeat(x[:, None], width, axis=1)

        return each(begin), head, each(times[last]), values[last], core

    @staticmethod
    def heads(heads: Array, times: Array) -> Array:
        """The first time and the first one after it, of observations at ``times`` (s, m) after those of ``heads``."""
        first = np.where(np.isnan(heads[:, 0]), times[:, 0], heads[:, 0])
        later = np.where(times > first[:, None], times, np.inf).min(axis=1)
        second = np.where(np.isnan(heads[:, 1]) & np.isfinite(later), later, heads[:, 1])
        return np.stack([first, second], axis=1)

    def span(self, state: State) -> tuple[Array, Array]:
        """Where the functions begin and end, two arrays of shape (s,)."""
        start, second = state.heads.T
        if self.interpolation == "hold":
            start = np.where((state.time > start) & ~np.isnan(second), 2 * start - second, start)
        return start, state.time

    def read(self, state: State) -> Array:
        """Coefficients (s, c, order) of the functions from the first to the last time, constant beyond the cores.

        With a timescale, of what was before the first time as well.
        """
        if state.is_large:
            exponent = state.excess
            return np.ldexp(self.read(state.ldexp(-exponent)), exponent[..., None])
        n_streams, n_channels, order = state.core.shape
        start, stop = (np.repeat(x, n_channels) for x in self.span(state))
        begin, end = state.first_time.ravel(), state.last_time.ravel()
        core = state.core.reshape(-1, 1, order)
        unit = np.zeros((len(begin), 1, order))
        unit[..., 0] = 1
        head, tail = state.first_value.reshape(-1, 1, 1), state.last_value.reshape(-1, 1, 1)
        instant, endless = stop <= start, self.timescale is not None and self.past == "constant"
        if ((begin == start) & (end == stop)).all() and not endless:
            total = core.copy()
        elif self.timescale is None:
            length = np.where(instant, 1.0, stop - start)
            low, high = np.clip([(begin - start) / length, (end - start) / length], 0, 1)
            total = self.embed(core, low, high)
            total += self.embed(unit * head, np.zeros(len(low)), low) + self.embed(unit * tail, high, np.ones(len(low)))
        else:
            # A constant input x takes a state to x e_0, since A e_0 + B = 0.
            with np.errstate(over="ignore"):
                ages = [(stop - when) / self.timescale for when in (start, begin, end)]
            older, recent = (self.fade(unit, np.nan_to_num(age)) for age in ages[1:])
            # If endless, the constant before the core began before all times.
            oldest = 0 * unit if endless else self.fade(unit, np.nan_to_num(ages[0]))
            total = self.fade(core, np.nan_to_num(ages[2])) + head * (older - oldest) + tail * (unit - recent)
        # No duration: a constant function; in a window of any length, there is nothing but the past.
        value = tail if self.timescale is None else head if endless else np.zeros_like(head)
        total[instant] = (unit * value)[instant]
        total[np.isnan(end)] = np.nan
        return total.reshape(n_streams, n_channels, order)

    def merge(self, left: State, right: State) -> State:
        """The state of all observations of ``left`` and then all of ``right``, by (E10)."""
        if not left.count.any() or not right.count.any():
            return left if left.count.any() else right
        exponent = np.maximum(left.excess, right.excess)
        if exponent.any():
            return self.merge(left.ldexp(-exponent), right.ldexp(-exponent)).ldexp(exponent)
        n_streams, n_channels, order = left.core.shape
        heads = self.heads(left.heads, right.heads)
        only_left, only_right = np.isnan(right.last_time), np.isnan(left.last_time)
        time = np.where(np.isnan(right.time), left.time, right.time)
        new = replace(right, count=left.count + right.count, heads=heads, time=time)
        for name in ("first_time", "first_value", "last_time", "last_value", "core"):
            a, b = getattr(left, name), getattr(right, name)
            chosen = only_left | (name.startswith("first") & ~only_right)
            setattr(new, name, np.where(chosen[..., None] if a.ndim == 3 else chosen, a, b))
        both = np.flatnonzero(~(only_left | only_right))
        if len(both) == 0:
            return new

        def of(x: Array) -> Array:
            return x.reshape(n_streams * n_channels, -1)[both]

        # The gap: the left memory goes on to the first observation of the right one.
        times = np.stack([of(left.last_time), of(right.first_time)], axis=1).reshape(-1)
        values = np.stack([of(left.last_value), of(right.first_value)], axis=1).reshape(-1, 1)
        first, meet, last = (of(x)[:, 0] for x in (left.first_time, right.first_time, right.last_time))
        bridged = self.block(Panel(values, times, 2 * np.arange(len(both) + 1)), of(left.core)[:, None], first)
        later = of(right.core)[:, None]
        if self.timescale is None:
            length = np.where(last > first, last - first, 1.0)
            middle = np.clip((meet - first) / length, 0, 1)
            middle[last <= first] = 1.0
            core = self.embed(bridged, np.zeros(len(both)), middle) + self.embed(later, middle, np.ones(len(both)))
        else:
            core = self.fade(bridged, (last - meet) / self.timescale) + later
        flat = new.core.reshape(n_streams * n_channels, order)
        flat[both] = core[:, 0]
        new.core = flat.reshape(new.core.shape)
        return new


def inconsistency(state: State) -> tuple[str, str] | None:
    """The field of a state that cannot be, and what is wrong with it."""
    seen, start, second = state.count > 0, *state.heads.T
    known = ~np.isnan(state.last_time)
    infinite = [name for name in ("heads", "first_time", "first_value", "last_time", "last_value", "core", "time")
                if np.isinf(getattr(state, name)).any()]  # fmt: skip
    if infinite:
        return infinite[0], "is infinite"
    for name, wrong, what in (
        ("time", np.isnan(state.time) == seen, "is NaN where there are observations, or the reverse"),
        ("heads", np.isnan(start) == seen, "is NaN where there are observations, or the reverse"),
        ("count", (state.count < 2) & ~np.isnan(second), "is less than the times that state_heads tells"),
        ("heads", np.isnan(start) & ~np.isnan(second), "has a second time without a first"),
        ("time", state.time < start, "is before the first time, in state_heads"),
        ("heads", (second <= start) | (second > state.time), "is not the first time and a later one, up to state_time"),
        ("heads", np.isnan(second) & (state.time > start), "does not tell the second of several times"),
        ("first_time", np.isnan(state.first_time) == known, "is NaN where state_last_time is not, or the reverse"),
        ("first_value", np.isnan(state.first_value) == known, "is NaN where state_last_time is not, or the reverse"),
        ("last_value", np.isnan(state.last_value) == known, "is NaN where state_last_time is not, or the reverse"),
        ("core", np.isnan(state.core), "is NaN"),
        ("core", (state.core != 0).any(axis=2) & ~known, "is not zero where nothing was observed"),
        ("first_time", state.first_time < start[:, None], "is before the first time, in state_heads"),
        ("last_time", (state.last_time < state.first_time) | (state.last_time > state.time[:, None]),
         "is before state_first_time or after state_time"),
    ):  # fmt: skip
        if np.any(wrong):
            return name, what
    return None
