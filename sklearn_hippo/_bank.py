"""MemoryBank: the features of a fitted transformer online, for any number of series, by their ids.

What is remembered of each is in _state.py, how many of them go on together in _streams.py. Here ids find their rows,
and whatever comes in is checked. (Half of these lines are documentation.)
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar

from ._bank_file import describe, read, write
from ._bank_ids import all_of, cells_of, check_zones, is_missing_id, kind_of, plain, told_kind
from ._columns import as_times, capital, names_in
from ._compat import output_of, pandas_frame, polars_frame
from ._ext_tables import find
from ._ids import called
from ._long import Rows, read_rows, sorted_rows
from ._machine import threads_of
from ._memory import HiPPOMemory
from ._projection import is_large
from ._state import LATEST, State
from ._streams import Streams

Array = NDArray[Any]

_LARGEST = 2.0**1000  # coefficients of values below this can be represented
_BATCH = 1 << 16  # rows that are read together
_NUMBERS = frozenset((float, int))
_PLAIN_IDS = frozenset((str, int))
_LATE = ("raise", "count")


class MemoryBank:
    """Features of many series while they go on: those of a fitted transformer, kept for every id.

    A bank takes events as they come, of any ids in any order, and has, of every history so far, the features that
    ``transformer.transform`` would make of it, to rounding. It remembers no events, but a state of fixed size for each
    id, so that it is the transformer's place in production.

    Parameters
    ----------
    transformer : HiPPOTransformer
        Fitted, on channels with names if events come in tables with channel names. Its measure needs an online form
        in which the features are the same: ``"legs"``, ``"legs_lti"`` and ``"lagt"`` have one, and so has
        ``method="recurrence"`` with an exact discretization, ``"zoh"`` or ``"linear"``, of these, ``"legt"`` and
        ``"fout"``.
    lateness : float or timedelta, default=0
        How far an event may go back in time from the last one of its id, in units of the times: seconds, where these
        are datetimes. It is put in its place, as if it had come in time. Events of one update have no order: only what
        came with earlier updates makes them late.
    late : {"raise", "count"}, default="raise"
        What happens to an event that is later than that. An update in which there is one is refused as a whole; or the
        event is left out, and counted in ``n_late``.
    n_jobs : int, optional
        Threads over the ids, as in scikit-learn; by default as many as the transformer has.

    Raises
    ------
    TypeError
        If it is not a transformer.
    ValueError
        If the transformer is not fitted, its parameters have changed since, or its features have no online form; or
        ``lateness`` or ``late`` is not one.

    See Also
    --------
    HiPPOMemory : The same for a fixed number of streams without ids, and for measures without a transformer.

    Notes
    -----
    New events wait in a log until there are some thousands, and enter the states of their ids together, sorted by id
    and time; events that may still be overtaken by late ones wait for longer. Reading does not change anything: a bank
    goes on to the same bits whether it was read, stored, or neither. Several threads may use one bank.

    Examples
    --------
    >>> from sklearn_hippo import HiPPOTransformer, MemoryBank, Panel
    >>> training = Panel.from_list([([0.0, 1.0, 3.0], [1.0, 3.0, 4.0])], channel_names=["x"])
    >>> transformer = HiPPOTransformer(order=3).fit(training)
    >>> bank = MemoryBank(transformer)
    >>> events = {"who": ["a", "b", "a"], "t": [0.0, 0.0, 1.0], "x": [1.0, 5.0, 3.0]}
    >>> bank.update(events, id="who", time="t", values="x")
    MemoryBank(measure='legs', order=3, n_channels=1, n_ids=2)
    >>> bank.update({"who": "a", "t": 3.0, "x": 4.0}, id="who", time="t", values="x").transform(["a"]).round(3)
    array([[ 3.   ,  0.77 , -0.248]])
    >>> transformer.transform(training).round(3)
    array([[ 3.   ,  0.77 , -0.248]])
    """

    _kind: str | None = None  # of the times; None before the first
    _id_kind: Any = None  # a type, or those of all parts
    _id_names: tuple[str, ...] = ()
    _known: tuple[Any, ...] | None = None  # names of columns of events that were found to be right

    def __init__(
        self,
        transformer: Any,
        *,
        lateness: float | timedelta | np.timedelta64 = 0.0,
        late: str = "raise",
        n_jobs: int | None = None,
    ):
        memory = HiPPOMemory.from_transformer(transformer)
        if n_jobs is not None:
            memory.n_jobs = n_jobs
        self._begin(memory, lateness, late)
        self._sklearn_output_config = dict(getattr(transformer, "_sklearn_output_config", {}))

    def _begin(self, memory: HiPPOMemory, lateness: Any, late: str) -> None:
        self._memory = memory
        threads_of(memory.n_jobs)  # raises for 0
        if isinstance(lateness, (timedelta, np.timedelta64)):
            lateness = float(np.timedelta64(lateness) / np.timedelta64(1, "s"))
        self.lateness = float(check_scalar(lateness, "lateness", Real, min_val=0))
        if not np.isfinite(self.lateness):
            raise ValueError(
                f"lateness must be finite, got {lateness}: a bank that waits for ever remembers all events."
            )
        if late not in _LATE:
            raise ValueError(f"late must be one of {_LATE}, got {late!r}.")
        self.late = late
        self._evolution, self._order = memory._evolution, int(memory.order)
        self._channels = memory.channel_names or tuple(f"x{c}" for c in range(memory.n_channels))
        self._streams = Streams.empty(self._evolution, memory.n_channels, self._order, self.lateness)
        self._index: dict[Any, int] = {}  # id -> row, in the order of rows
        self._ids: list[Any] = []  # of every row; None of one that is empty
        self._n_late: dict[Any, int] = {}

    # --- what goes in ---------------------------------------------------------------------------------

    def update(
        self, events: Any, *, id: str | Sequence[str] | None = None, time: str, values: str | Sequence[str],
        channel: str | None = None,
    ) -> Self:  # fmt: skip
        """Take new events, of any ids, in any order.

        Parameters
        ----------
        events : DataFrame of pandas or polars, pyarrow Table or RecordBatch, or mapping of column names to arrays
            A long table with a row for every event, as `Panel.from_long` reads it, or a grouped one. One event may be a
            mapping of column names to plain cells.
        id : str or sequence of str
            Column that tells whose an event is, or columns that tell it together. Ids are of one kind in all updates:
            integers, strings, dates, ...; new ones may come at any time.
        time : str
            Column of times, of one kind in all updates.
        values : str or sequence of str
            The columns of the transformer's channels, in their order. NaN is a value that was not observed.
        channel : str, optional
            Of a tall table, which has a row for every value: the column that tells its channel.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `Panel.from_long` does; if channels are not those of the transformer; if an id is of another kind than
            those before; if a value is too large for coefficients of it to be represented (beyond 1e301); if an event
            is late by more than ``lateness``, unless these are counted. The message names the id and the position in
            the table. The bank stays as it was.
        """
        with self._lock:
            if type(events) is dict and id is not None:
                if type(id) is str and self._take_plain(events, id, time, values, channel):
                    return self
                events = _as_table(events, id)
            fresh: dict[Any, int] = {}
            kinds: list[Any] = []

            def code(columns: dict[str, Any]) -> tuple[NDArray[np.intp], Callable[[int], Any]]:
                return self._code(columns, fresh, kinds)

            tall = list(self._channels) if channel is not None else None
            rows = read_rows(events, id, time, values, channel, tall, code, strict=True)
            if not len(rows.stamps):
                return self
            self._check(rows, fresh)
            codes, stamps, block, counted = self._in_order(rows, fresh)
            self._streams.add(codes, stamps, block, len(self._ids) + len(fresh))
            for row in counted:
                item = self._ids[row]
                self._n_late[item] = self._n_late.get(item, 0) + 1
            self._index.update(fresh)
            self._ids.extend(fresh)
            self._kind, self._id_kind = rows.kind, self._id_kind or kinds[0]
            self._id_names = self._id_names or tuple(rows.keys)
            self._known = (id, time, values if isinstance(values, str) else tuple(values), channel)
        return self

    def _take_plain(self, events: dict[str, Any], id: str, time: str, values: Any, channel: str | None) -> bool:
        """Take one event whose cells are plain numbers and whose id is known, if all is well: the fast path."""
        names = values if type(values) is str else tuple(values)
        if self._known != (id, time, names, channel) or self._kind != "numbers":
            return False
        item: Any = events.get(id)
        when: Any = events.get(time)
        if type(item) is not self._id_kind or type(item) not in _PLAIN_IDS or type(when) not in _NUMBERS:
            return False
        row = self._index.get(item)
        if row is None or not -(2.0**53) <= when <= 2.0**53 or when < self._streams.latest[row] - self.lateness:
            return False
        block: list[Any]
        if channel is None:
            block = [events.get(name) for name in ((names,) if type(names) is str else names)]
        else:
            where, block = events.get(channel), [np.nan] * len(self._channels)
            if where not in self._channels or type(names) is not str:
                return False
            block[self._channels.index(where)] = events.get(names)
        for value in block:
            if type(value) not in _NUMBERS or not (-(2.0**64) < value < 2.0**64 or value != value):
                return False
        return self._streams.add_one(row, when, block)

    def _code(
        self, columns: dict[str, Any], fresh: dict[Any, int], kinds: list[Any]
    ) -> tuple[NDArray[np.intp], Callable[[int], Any]]:
        """Rows of the ids in columns; new ones are put into ``fresh``, and their kind into ``kinds``."""
        items = [cells_of(column) for column in columns.values()]
        (first, *others), names = items, tuple(columns)
        told = f"Column {names[0]!r}" if not others else f"Columns {names!r}"
        if self._id_kind and len(items) != self._n_parts:
            raise ValueError(f"{told}: ids have {len(items)} parts, those of this bank have {self._n_parts}.")
        if others:
            kinds.append(self._id_kind or tuple(type(plain(column[0])) for column in items))
            items = [
                all_of(kind, column, name) for kind, column, name in zip(kinds[0], items, names, strict=True)
            ]  # fmt: skip
        else:
            kinds.append(self._id_kind or type(plain(first[0])))
        if datetime in (kinds[0] if others else kinds):
            items = [[plain(cell) for cell in column] for column in items]
            check_zones(next(iter(self._index), None), items, names)
        ids = list(zip(*items, strict=True)) if others else items[0]
        rows = np.empty(len(ids), np.intp)
        kind = tuple if others else kinds[0]
        try:
            stop = find(self._index, ids, kind, len(self._ids), fresh, rows)
            if stop >= 0:
                ids = [plain(item) for item in ids]
                stop = find(self._index, ids, kind, len(self._ids), fresh, rows)
        except TypeError:
            raise TypeError(f"{told} holds what is no id.") from None
        if any(map(is_missing_id, fresh)) or (stop >= 0 and is_missing_id(ids[stop])):
            raise ValueError(f"{told} has no id at position {[is_missing_id(item) for item in ids].index(True)}.")
        if stop >= 0:
            raise TypeError(
                f"{told}: the id {ids[stop]!r} at position {stop} is of another kind ({type(ids[stop]).__name__}) than "
                f"the others ({kind.__name__})."
            )
        return rows, lambda row: self._ids[row] if row < len(self._ids) else list(fresh)[row - len(self._ids)]

    def _check(self, rows: Rows, fresh: dict[Any, int]) -> None:
        """Refuse other channels, other kinds of times, and values that are too large."""
        names, n_channels = self._memory.channel_names, len(self._channels)
        if len(rows.names) != n_channels or (names is not None and tuple(rows.names) != tuple(names)):
            raise ValueError(
                f"The events have the channels {rows.names}, the transformer has {list(self._channels)}. Give the same "
                "channels in the same order."
            )
        if self._kind not in (None, rows.kind):
            raise ValueError(f"The times are of another kind ({rows.kind}) than those so far ({self._kind}).")
        if is_large(rows.stamps, LATEST):
            row = np.flatnonzero(np.abs(rows.stamps) >= LATEST)[0]
            raise ValueError(
                f"{self._place(rows, row, fresh)}: the time {rows.stamps[row]} is too far away. Choose another unit of "
                "time."
            )
        if is_large(rows.values, _LARGEST):
            row, channel = np.argwhere(np.abs(rows.values) >= _LARGEST)[0]
            raise ValueError(
                f"{self._place(rows, row, fresh)}, channel {self._channels[channel]!r}: the value "
                f"{rows.values[row, channel]} is too large. Divide the values."
            )

    def _in_order(self, rows: Rows, fresh: dict[Any, int]) -> tuple[Array, Array, Array, list[int]]:
        """Rows, times and values sorted by row and time; and the rows of events that are too late and left out."""
        order: Any = sorted_rows(rows.codes, rows.ticks)
        values = rows.values.astype(np.float64, copy=False)
        codes, stamps = rows.codes, rows.stamps
        if order is not None:
            codes, stamps, values = codes[order], stamps[order], np.take(values, order, axis=0)
        floor = self._streams.latest
        begins = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1])
        begins = begins[codes[begins] < len(self._ids)]  # of new ids, no event is late
        if not (stamps[begins] < floor[codes[begins]] - self.lateness).any():
            return codes, stamps, values, []
        old = codes < len(self._ids)
        late = np.zeros(len(codes), bool)
        late[old] = stamps[old] < floor[codes[old]] - self.lateness
        if self.late == "raise":
            row = np.flatnonzero(late)[0] if order is None else order[late].min()
            raise ValueError(
                f"{self._place(rows, row, fresh)}: the time {rows.stamps[row]} is before the last one of this id, "
                f"{floor[rows.codes[row]]}, by more than lateness={self.lateness:g}. Choose a larger lateness, or "
                "late='count' to leave such events out."
            )
        return codes[~late], stamps[~late], values[~late], codes[late].tolist()

    def _place(self, rows: Rows, row: int, fresh: dict[Any, int]) -> str:
        """How to speak of an event."""
        position, code = row if rows.positions is None else rows.positions[row], rows.codes[row]
        item = self._ids[code] if code < len(self._ids) else list(fresh)[code - len(self._ids)]
        return f"Position {position}, of {called(item, tuple(rows.keys))}"

    # --- what comes out -------------------------------------------------------------------------------

    def transform(self, ids: Any = None, at: ArrayLike | None = None) -> Any:
        """Features of the histories so far, as the transformer makes them.

        Parameters
        ----------
        ids : sequence, optional
            Whose; by default all of them, in the order of their first events, as in ``ids``.
        at : time, or array-like of shape (n_ids,), optional
            At which time: every channel keeps its last value until then. By default at the last event of each.

        Returns
        -------
        ndarray of shape (n_ids, n_channels * order [+ 1]), or frame
            The coefficients, channel by channel; then the durations, if the transformer adds them. A frame of pandas
            has the ids as its index, one of polars as its first columns: by ``set_output``, of the transformer or here.

        Raises
        ------
        ValueError, TypeError
            If there is no such id, or ``at`` is before its last event, or no time of the kind of the events.
        """
        with self._lock:
            rows = self._rows(ids)
            until = None if at is None else self._until(at, rows)
            width = len(self._channels) * self._order
            features = np.empty((len(rows), width + bool(self._memory.add_duration)))
            for begin in range(0, len(rows), _BATCH):
                part = slice(begin, begin + _BATCH)
                unique, again = np.unique(rows[part], return_inverse=True)
                state = self._streams.settled(unique).take(again)
                self._fill(features[part], state, None if until is None else until[part])
            return self._framed(features, rows)

    def _fill(self, features: Array, state: State, until: Array | None) -> None:
        evolution = self._streams.evolution
        if until is not None:  # as if there was an observation of no channel
            state = replace(state, time=until, heads=evolution.heads(state.heads, until[:, None]))
        coefficients = evolution.read(state)[..., : self._order].reshape(len(features), -1)
        features[:, : coefficients.shape[1]] = coefficients
        if self._memory.add_duration:
            start, stop = evolution.span(state)
            features[:, -1] = np.where(np.isnan(state.last_time).all(axis=1), 0.0, stop - start)

    def _framed(self, features: Array, rows: Array) -> Any:
        kind = output_of(self)
        if kind == "default":
            return features
        names, ids = self.get_feature_names_out().tolist(), [self._ids[row] for row in rows]
        if kind == "pandas":
            return pandas_frame(features, ids, self._id_names, names)
        parts = list(zip(*ids, strict=True)) if self._n_parts > 1 else [ids]
        parts = parts if ids else [[]] * len(self._id_names)
        columns = dict(zip(self._id_names, map(list, parts), strict=True))
        return polars_frame(columns | dict(zip(names, features.T, strict=True)))

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what `transform` returns; by default what the transformer was set to.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, optional
            An array, or a frame with the ids.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For anything else.
        """
        if transform is not None:
            if transform not in ("default", "pandas", "polars"):
                raise ValueError(f"transform must be 'default', 'pandas' or 'polars', got {transform!r}.")
            self._sklearn_output_config["transform"] = transform
        return self

    def get_feature_names_out(self) -> NDArray[np.object_]:
        """Names of the features, those of the transformer.

        Returns
        -------
        ndarray of str
        """
        return self._memory.get_feature_names_out()

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, id: Any) -> bool:
        return plain(id) in self._index

    @property
    def ids(self) -> list[Any]:
        """The ids, in the order of their first events."""
        return list(self._index)

    @property
    def times(self) -> Array:
        """Times of the last events of all ids, shape (n_ids,); datetimes are seconds since 1970."""
        with self._lock:
            return self._streams.latest[self._rows()]

    @property
    def n_observations(self) -> Array:
        """Numbers of events of all ids, shape (n_ids,), without those that came too late."""
        with self._lock:
            return self._streams.counts()[self._rows()]

    @property
    def n_late(self) -> dict[Any, int]:
        """How many events came too late and were left out, of every id that has some."""
        return self._n_late.copy()

    # --- fewer and more -------------------------------------------------------------------------------

    def drop(self, ids: Any) -> Self:
        """Forget some ids; events of theirs that come later begin anew.

        Parameters
        ----------
        ids : sequence

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such id. Then none is dropped.
        """
        with self._lock:
            self._drop(self._rows(ids))
        return self

    def expire(self, before: Any) -> list[Any]:
        """Forget the ids of which nothing came since a time.

        Parameters
        ----------
        before : time
            Of the kind of the events' times. Ids are dropped whose last event is before it.

        Returns
        -------
        list
            The ids that were dropped.

        Raises
        ------
        ValueError, TypeError
            If it is not such a time.
        """
        with self._lock:
            rows = self._rows()
            rows = rows[self._streams.latest[rows] < self._as_times(before, "before", ())]
            ids = [self._ids[row] for row in rows]
            self._drop(rows)
        return ids

    def _drop(self, rows: Array) -> None:
        if not len(rows):
            return
        self._streams.clear(np.unique(rows))
        for row in np.unique(rows).tolist():
            item, self._ids[row] = self._ids[row], None
            del self._index[item]
            self._n_late.pop(item, None)
        if not self._index:  # as if there had never been one
            self._id_kind, self._id_names = None, ()
        if len(self._ids) > 2 * len(self._index):  # more holes than rows
            self._streams = self._streams.select(self._rows())
            self._ids = list(self._index)
            self._index = dict(zip(self._ids, range(len(self._ids)), strict=True))

    def merge(self, other: "MemoryBank") -> "MemoryBank":
        """Join this bank and another one, of other ids, or of later events of the same ones.

        Parameters
        ----------
        other : MemoryBank
            Of a transformer that makes the same features, with the same lateness. Of an id that both have, its events
            must not begin before those here end, but for events that may still come late here, which are put in their
            place if all that it has of this id is as recent.

        Returns
        -------
        MemoryBank
            A new one, as if it had seen all events; what comes too late it treats as this one does.

        Raises
        ------
        ValueError, TypeError
            If the banks are of different transformers, kinds of times or ids, or an id goes back in time; the message
            names it. Both banks stay as they were.
        """
        if not isinstance(other, MemoryBank):
            raise TypeError(f"A MemoryBank merges with another one, not with a {type(other).__name__}.")
        first, second = sorted((self, other), key=id)
        with first._lock, second._lock:
            self._check_alike(other)
            merged = self._like()
            merged._ids = list(self._index)
            merged._index = dict(zip(merged._ids, range(len(merged._ids)), strict=True))
            new = [item for item in other._index if item not in merged._index]
            merged._index.update(zip(new, range(len(merged._ids), len(merged._ids) + len(new)), strict=True))
            merged._ids += new
            mine, theirs = self._streams.select(self._rows()), other._streams.select(other._rows())
            places = np.fromiter(map(merged._index.get, other._index), np.intp, len(other._index))
            common = np.flatnonzero(places < mine.n)
            wrong = np.flatnonzero(mine.overlap(theirs, places[common], common))
            if len(wrong):
                row = places[common[wrong[0]]]
                raise ValueError(
                    f"{capital(called(merged._ids[row], self._id_names))}: the events of the second bank begin before "
                    f"those of the first end, at {mine.latest[row]}. Merge stretches in the order of time."
                )
            merged._streams = mine.merge(theirs, places, len(merged._ids))
            merged._kind, merged._id_kind = self._kind or other._kind, self._id_kind or other._id_kind
            merged._id_names = self._id_names or other._id_names
            merged._n_late = self.n_late
            for item, n in other._n_late.items():
                merged._n_late[item] = merged._n_late.get(item, 0) + n
        return merged

    def _check_alike(self, other: "MemoryBank") -> None:
        mine, theirs = ({**bank._memory._used_parameters(), "lateness": bank.lateness} for bank in (self, other))
        mine["n_streams"] = theirs["n_streams"] = 1
        different = [name for name in mine if name not in theirs or mine[name] != theirs[name]]
        if different:
            told = ", ".join(f"{name}={mine[name]!r} and {theirs.get(name)!r}" for name in different)
            raise ValueError(f"Only banks of transformers that make the same features merge; these have {told}.")
        for what, a, b in (("times", self._kind, other._kind), ("ids", self._id_kind, other._id_kind)):
            if a and b and a != b:
                raise ValueError(
                    f"The {what} of these banks are of different kinds: {told_kind(a)} and {told_kind(b)}."
                )

    def _like(self) -> "MemoryBank":
        """An empty bank of the same transformer."""
        bank = object.__new__(MemoryBank)
        bank._begin(self._memory, self.lateness, self.late)
        bank._sklearn_output_config = self._sklearn_output_config.copy()
        return bank

    # --- files ----------------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write everything that the bank is into one file, for `load`.

        Parameters
        ----------
        path : str or path-like
            A file of Arrow, with a row for every id; one that exists is replaced when the new one is complete, so a
            process that is killed meanwhile leaves the old one. It needs pyarrow, and is read without pickle.

        Raises
        ------
        TypeError
            If Arrow has no such ids.
        ImportError
            If there is no pyarrow.
        """
        with self._lock:
            rows = self._rows()
            streams = self._streams if len(rows) == self._streams.n else self._streams.select(rows)
            ids, n = list(self._index), len(rows)
            late = np.zeros(n, np.int64)
            if self._n_late:
                late[:] = [self._n_late.get(item, 0) for item in ids]
            described = {
                "parameters": self._memory._used_parameters(), "lateness": self.lateness, "late": self.late,
                "times": self._kind, "id_names": self._id_names, "limit": streams.limit,
                "width": self._n_parts,
            }  # fmt: skip
            order = np.argsort(streams.log[0], kind="stable")
            waiting_rows, times, values = streams.log
            log = waiting_rows[order], times[order], values[order]
            write(path, described, ids, streams.state.take(slice(0, n)), streams.latest[:n], late, log)

    @classmethod
    def load(cls, path: Any, transformer: Any = None, *, n_jobs: int | None = None) -> Self:
        """Read a bank that `save` wrote; it goes on to the same bits.

        Parameters
        ----------
        path : str or path-like
        transformer : HiPPOTransformer, optional
            The file says all that a bank needs. If a transformer is given, it must make the same features.
        n_jobs : int, optional
            As in `MemoryBank`.

        Returns
        -------
        MemoryBank

        Raises
        ------
        ValueError
            If it is not the file of a bank, or damaged, or the bank was one of another transformer.
        """
        described, table = describe(path)
        bank = object.__new__(cls)
        try:
            parameters = dict(described["parameters"])
            if parameters.get("channel_names") is not None:
                parameters["channel_names"] = tuple(parameters["channel_names"])
            memory = HiPPOMemory(**parameters, n_jobs=n_jobs)
            memory._initialize()  # checks the parameters
            bank._begin(memory, described["lateness"], described["late"])
            names, limit, kind = tuple(described["id_names"]), int(described["limit"]), described["times"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{str(path)!r} is not the file of a bank: {error}") from None
        bank._sklearn_output_config = {}
        if transformer is not None:
            own = cls(transformer, lateness=bank.lateness, n_jobs=n_jobs)
            own._check_alike(bank)
            bank._memory.n_jobs, bank._evolution = own._memory.n_jobs, own._evolution
            bank._sklearn_output_config = own._sklearn_output_config
        ids, state, latest, late, log = read(path, described, table, bank._streams.state.core.shape[1:])
        bank._ids, bank._index = ids, dict(zip(ids, range(len(ids)), strict=True))
        if len(bank._index) < len(ids):
            raise ValueError(f"{str(path)!r} is not the file of a bank: an id is there twice.")
        bank._streams = Streams(bank._evolution, state, latest, bank.lateness)
        bank._streams.keep(*log)
        bank._streams.limit = limit
        bank._kind, bank._id_kind, bank._id_names = kind, kind_of(ids[0]) if ids else None, names
        bank._n_late = {ids[row]: int(late[row]) for row in np.flatnonzero(late)}
        return bank

    # --- inside ---------------------------------------------------------------------------------------

    @property
    def _n_parts(self) -> int:
        """Columns that tell an id."""
        return len(self._id_kind) if isinstance(self._id_kind, tuple) else 1

    def _rows(self, ids: Any = None) -> Array:
        """Rows of ids; of all, in the order of rows, if none are given."""
        if ids is None:
            if len(self._index) == len(self._ids):
                return np.arange(len(self._ids))
            return np.fromiter(self._index.values(), np.intp, len(self._index))
        if isinstance(ids, (str, bytes)) or not hasattr(ids, "__len__"):
            raise TypeError(f"ids must be a sequence of ids, got {type(ids).__name__}.")
        items = [plain(item) for item in cells_of(ids)]
        try:
            rows = [self._index.get(item) for item in items]
        except TypeError:
            raise TypeError("ids must be a sequence of ids, which are numbers, strings, dates or tuples.") from None
        wrong = [item for item, row in zip(items, rows, strict=True) if row is None or kind_of(item) != self._id_kind]
        if wrong:
            raise ValueError(f"There is no id {wrong[0]!r} in this bank, which has {len(self)}.")
        return np.array(rows, np.intp)

    def _as_times(self, times: Any, name: str, shape: tuple[int, ...]) -> Array:
        """A time, or as many as that, of the kind of those of the events."""
        found, kind = as_times(times, name)
        if self._kind not in (None, kind):
            raise ValueError(f"{name} is of another kind ({kind}) than the times of the events ({self._kind}).")
        if found.shape not in ((), shape):
            raise ValueError(f"{name} must be one time{f' or of shape {shape}' * bool(shape)}, got {found.shape}.")
        if not np.isfinite(found).all():
            raise ValueError(f"{name} must be finite.")
        return np.broadcast_to(found, shape)

    def _until(self, at: Any, rows: Array) -> Array:
        until, last = self._as_times(at, "at", (len(rows),)), self._streams.latest[rows]
        early = np.flatnonzero(until < last)
        if len(early):
            row = early[0]
            raise ValueError(
                f"{capital(called(self._ids[rows[row]], self._id_names))}: at={until[row]} is before its last event, "
                f"at {last[row]}. A bank does not go back."
            )
        return np.array(until)

    @property
    def _lock(self) -> Any:
        lock = self.__dict__.get("_own_lock")
        return self.__dict__.setdefault("_own_lock", threading.RLock()) if lock is None else lock

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            state = {name: value for name, value in vars(self).items() if name != "_own_lock"}
            # Others may go on while this copy is stored.
            return state | {
                "_streams": self._streams.select(np.arange(self._streams.n)),
                "_index": self._index.copy(), "_ids": self._ids.copy(), "_n_late": self._n_late.copy(),
                "_sklearn_output_config": self._sklearn_output_config.copy(),
            }  # fmt: skip

    def __repr__(self) -> str:
        memory = self._memory
        return (
            f"MemoryBank(measure={memory.measure!r}, order={memory.order}, n_channels={memory.n_channels}, "
            f"n_ids={len(self)})"
        )


def _as_table(event: dict[str, Any], id: Any) -> dict[str, Any]:
    """One event as a table, if its cells are no columns."""
    head = next((event[name] for name in names_in(id) if name in event), ())
    alone = isinstance(head, (str, bytes)) or not hasattr(head, "__len__") or getattr(head, "shape", None) == ()
    return {name: [cell[()] if hasattr(cell, "shape") else cell] for name, cell in event.items()} if alone else event
