"""Panel: the one container in which series travel, and `check_panel`, which makes one of whatever users have."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from ._columns import (
    all_finite,
    as_python,
    as_times,
    as_values,
    clock_of,
    codes_of,
    column_of,
    flatten,
    holds_series,
    is_none,
    item_of,
    lists_of,
)

Array = NDArray[Any]


class Panel:
    """Time series of different lengths, stored end to end like the rows of a CSR matrix.

    Series ``i`` is ``values[offsets[i]:offsets[i + 1]]``, observed at the same rows of ``times``. A panel is immutable;
    it is indexed like an array of series, which is what scikit-learn's splitters do to it, and it is cheap to pickle.

    Parameters
    ----------
    values : array-like of shape (n_observations, n_channels) or (n_observations,)
        float32 and float64 are kept, other numbers become float64. NaN means that a channel was not observed at that
        time. Contiguous arrays of values and times are not copied: do not change them afterwards.
    times : array-like of shape (n_observations,), optional
        Numbers in any unit (kept as float64), or datetimes or timedeltas (which become seconds, datetimes since 1970 in
        UTC). They must not decrease within a series; equal times are a jump. Without ``times``, observation ``k`` of
        every series is at time ``k``.
    offsets : array-like of int of shape (n_series + 1,), optional
        Where the series begin and end. Without ``offsets``, all observations are one series.
    channel_names : sequence of str of length n_channels, optional

    Attributes
    ----------
    values, times, offsets : ndarray, or None for absent times
        Read-only.
    channel_names : tuple of str, or None

    Raises
    ------
    ValueError
        For infinite values, times that are not finite or that decrease, and shapes that do not match; the message names
        the series, the channel and the position.
    TypeError, ValueError
        For values or times that are not real numbers.

    Examples
    --------
    >>> from sklearn_hippo import Panel
    >>> panel = Panel.from_list([([0.0, 0.5, 2.0], [1.0, 2.0, 3.0]), ([0.0, 1.0], [4.0, 5.0])])
    >>> panel
    Panel(n_series=2, n_channels=1, n_observations=5, dtype=float64)
    >>> panel.lengths
    array([3, 2])
    >>> times, values = panel[0]
    >>> times
    array([0. , 0.5, 2. ])
    >>> panel[[1]].durations
    array([1.])
    """

    __slots__ = ("_has_missing", "channel_names", "offsets", "times", "values")

    values: Array
    times: Array | None
    offsets: NDArray[np.intp]
    channel_names: tuple[str, ...] | None
    _has_missing: bool | None

    def __init__(
        self,
        values: ArrayLike,
        times: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
        *,
        channel_names: Iterable[str] | None = None,
    ):
        values = as_values(values, "values")
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2:
            raise ValueError(
                f"values must have shape (n_observations, n_channels), got {values.shape}. For an array of shape "
                "(n_series, length, n_channels) use Panel.from_padded, for (n_series, n_channels, length) "
                "Panel.from_numpy3D."
            )
        if values.shape[1] == 0:
            raise ValueError("values have no channel: their shape is (n_observations, 0).")
        offsets = np.array([0, len(values)]) if offsets is None else np.asarray(offsets)
        if offsets.ndim != 1 or len(offsets) < 1 or offsets.dtype.kind not in "iu":
            raise ValueError("offsets must be a one-dimensional array of n_series + 1 integers.")
        offsets = np.array(offsets, dtype=np.intp)  # a copy: the kernels rely on it
        if offsets[0] != 0 or offsets[-1] != len(values):
            raise ValueError(
                f"offsets must begin with 0 and end with the number of observations, {len(values)}; they begin with "
                f"{offsets[0]} and end with {offsets[-1]}."
            )
        backwards = np.flatnonzero(np.diff(offsets) < 0)
        if len(backwards):
            i = backwards[0]
            raise ValueError(f"offsets must not decrease: series {i} goes from {offsets[i]} to {offsets[i + 1]}.")
        if times is not None:
            times = as_times(times, "times")[0]
            if times.shape != (len(values),):
                raise ValueError(
                    f"times must have shape ({len(values)},), one for each observation, got {times.shape}."
                )
            times = np.ascontiguousarray(times)
            _check_times(times, offsets)
        self._set(np.ascontiguousarray(values), times, offsets, None)
        if channel_names is not None:
            names = tuple(channel_names)
            if len(set(names)) != self.n_channels or not all(isinstance(name, str) for name in names):
                raise ValueError(f"channel_names must be {self.n_channels} different strings, got {names!r}.")
            object.__setattr__(self, "channel_names", names)
        self._check_values()

    def _set(
        self,
        values: Array,
        times: Array | None,
        offsets: Array,
        channel_names: tuple[str, ...] | None,
        has_missing: bool | None = None,
    ) -> None:
        for name, array in (("values", values), ("times", times), ("offsets", offsets)):
            if array is not None:
                array = array.view()
                array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "channel_names", channel_names)
        object.__setattr__(self, "_has_missing", has_missing)  # None: not yet known

    @staticmethod
    def _trusted(*state: Any) -> "Panel":
        """Make a panel of what came out of one, without checking it again."""
        panel = object.__new__(Panel)
        panel._set(*state)
        return panel

    def _select(self, values: Array, times: Array | None, offsets: Array) -> "Panel":
        return Panel._trusted(
            values, times, offsets, self.channel_names, None if self._has_missing else self._has_missing
        )

    def _check_values(self) -> None:
        object.__setattr__(self, "_has_missing", not all_finite(self.values))
        if not self._has_missing:
            return
        if np.isinf(self.values).any():
            row, channel = np.argwhere(np.isinf(self.values))[0]
            series = int(np.searchsorted(self.offsets, row, side="right")) - 1
            raise ValueError(
                f"Series {series}, channel {self._name(channel)}: infinite value at position "
                f"{row - self.offsets[series]}. Write NaN where a channel was not observed."
            )

    def _name(self, channel: int) -> str:
        return str(channel) if self.channel_names is None else repr(self.channel_names[channel])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"A Panel is immutable; make a new one instead of setting {name!r}.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("A Panel is immutable.")

    def __reduce__(self) -> tuple[Any, ...]:
        return Panel._trusted, (self.values, self.times, self.offsets, self.channel_names, self._has_missing)

    def __repr__(self) -> str:
        return (
            f"Panel(n_series={len(self)}, n_channels={self.n_channels}, n_observations={len(self.values)}, "
            f"dtype={self.values.dtype})"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        raise TypeError(
            "A Panel holds series of different lengths and is not an array. Estimators that need one belong after "
            "HiPPOTransformer() in the pipeline; Panel.to_padded() makes a 3-D array."
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int]:
        """``(n_series,)``."""
        return (len(self),)

    @property
    def n_channels(self) -> int:
        """Number of channels, the same for every series."""
        return self.values.shape[1]

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Number of observations of every series, shape (n_series,)."""
        return np.diff(self.offsets)

    @property
    def durations(self) -> Array:
        """Time from the first to the last observation of every series, shape (n_series,), in units of the times.

        It is 0 for a series in which nothing was observed.
        """
        durations = np.zeros(len(self))
        seen = self._observed
        begins, last = self.offsets[:-1][seen], self.offsets[1:][seen] - 1
        durations[seen] = last - begins if self.times is None else self.times[last] - self.times[begins]
        return durations

    @property
    def _observed(self) -> NDArray[np.bool_]:
        """Whether anything was observed in a series, shape (n_series,): whether it has a value that is not NaN."""
        seen = self.lengths > 0
        if self.has_missing:
            rows = np.flatnonzero(~np.isnan(self.values).all(axis=1))
            seen = np.searchsorted(rows, self.offsets[:-1]) < np.searchsorted(rows, self.offsets[1:])
        return seen

    @property
    def has_missing(self) -> bool:
        """Whether any value is NaN."""
        if self._has_missing is None:
            object.__setattr__(self, "_has_missing", bool(np.isnan(self.values).any()))
        return bool(self._has_missing)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> tuple[Array, Array]: ...
    @overload
    def __getitem__(self, key: slice | Sequence[Any] | Array) -> "Panel": ...
    def __getitem__(self, key: Any) -> Any:
        """Series ``key`` as ``(times, values)``, or the panel of the series that a slice, mask or index array selects.

        ``panel[key, ...]``, which is how scikit-learn asks for rows, is ``panel[key]``.
        """
        if isinstance(key, tuple):
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError("A Panel has one axis, its series: use panel[i] or panel[i, ...].")
            key = key[0]
        if isinstance(key, (int, np.integer)) and not isinstance(key, (bool, np.bool_)):
            i = range(len(self))[key]  # negative keys count from the end, others raise IndexError
            rows = slice(self.offsets[i], self.offsets[i + 1])
            times = np.arange(self.lengths[i], dtype=np.float64) if self.times is None else self.times[rows]
            return times, self.values[rows]
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                offsets = self.offsets[start : max(start, stop) + 1]
                rows = slice(offsets[0], offsets[-1])
                own_times = None if self.times is None else self.times[rows]
                return self._select(self.values[rows], own_times, offsets - offsets[0])
            key = np.arange(start, stop, step)
        return self._take(_as_indices(key, len(self)))

    def _take(self, indices: NDArray[np.intp]) -> "Panel":
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        # Row k of the selection lies as far behind its series' first row as k lies behind the series' new offset.
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[indices] - offsets[:-1], lengths)
        times = None if self.times is None else self.times[rows]
        return self._select(self.values[rows], times, offsets)

    # --- from what users have ---------------------------------------------------------------------

    @classmethod
    def from_list(cls, series: Sequence[Any], *, channel_names: Iterable[str] | None = None) -> Self:
        """Make a panel of a sequence of series.

        Parameters
        ----------
        series : sequence
            Each an array of shape (length,) or (length, n_channels), a tuple ``(times, values)``, or a pandas Series or
            DataFrame, whose index is its times unless it is the default 0, 1, 2, ... . A polars Series or DataFrame has
            no index and thus no times. An empty one, or None, is a series in which nothing was observed.
        channel_names : sequence of str, optional
            Taken from the columns of DataFrames if not given.

        Returns
        -------
        Panel

        Raises
        ------
        ValueError, TypeError
            As `Panel` does, and if the series differ in their number of channels or in the kind of their times.

        Examples
        --------
        >>> from sklearn_hippo import Panel
        >>> Panel.from_list([[1.0, 2.0, 3.0], ([0.0, 2.5], [4.0, 5.0])]).durations
        array([2. , 2.5])
        """
        if isinstance(series, (str, bytes)) or not isinstance(series, (Sequence, np.ndarray)):
            raise TypeError(f"A sequence of series is needed, got {type(series).__name__}.")
        if len(series) == 0:
            raise ValueError("The list of series is empty: at least one series is needed.")
        return cls._assemble([_read_series(one, i) for i, one in enumerate(series)], channel_names)

    @classmethod
    def _assemble(cls, parts: "list[_Series]", channel_names: Iterable[str] | None, *, oriented: bool = False) -> Self:
        """Put series end to end; ``oriented`` if time is known to run along their first axis."""
        lengths = [len(part.values) for part in parts]
        # What is empty says nothing of channels, times and names.
        told = [i for i, part in enumerate(parts) if len(part.values) or part.names is not None] or [0]
        head = parts[told[0]]
        n_channels = head.values.shape[1]
        for i in told:
            part = parts[i]
            if part.values.shape[1] != n_channels:
                raise ValueError(
                    f"Series {i} has {part.values.shape[1]} channels, series {told[0]} has {n_channels}. An array of "
                    "one series has shape (length, n_channels); transpose arrays of shape (n_channels, length)."
                )
            if part.names is not None and part.names != head.names:
                raise ValueError(
                    f"Series {i} has the columns {list(part.names)}, series {told[0]} has "
                    f"{None if head.names is None else list(head.names)}. Give all series the same columns in "
                    "the same order."
                )
        names, parts = head.names, [part for part in parts if len(part.values)]
        if not parts:
            values = np.empty((0, n_channels), head.values.dtype)
            return cls(values, None, np.zeros(len(lengths) + 1, np.intp), channel_names=channel_names or names)
        bare = all(part.times is None and part.names is None for part in parts)
        if bare and not oriented and n_channels > max(lengths) > 1:
            _warn_transposed(n_channels, max(lengths))
        kinds = {part.kind: i for i, part in reversed(list(zip(np.flatnonzero(lengths), parts, strict=True)))}
        if len(kinds.keys() - {None}) > 1 or (None in kinds and kinds.keys() & {"datetime", "timedelta"}):
            mixed = ", ".join(
                f"series {i}: {kind or 'no times'}" for kind, i in sorted(kinds.items(), key=lambda k: k[1])
            )
            raise TypeError(
                f"The times of the series are of different kinds ({mixed}). Give all of them the same kind."
            )
        times = None
        if kinds.keys() != {None}:
            clocks = [
                np.arange(len(part.values), dtype=np.float64) if part.times is None else part.times for part in parts
            ]
            times = clocks[0] if len(clocks) == 1 else np.concatenate(clocks)
        # A single series is not copied: it may be long.
        values = parts[0].values if len(parts) == 1 else np.concatenate([part.values for part in parts])
        return cls(values, times, np.concatenate([[0], np.cumsum(lengths)]), channel_names=channel_names or names)

    @classmethod
    def from_long(cls, frame: Any, *, id: str, time: str, values: str | Sequence[str]) -> Self:
        """Make a panel of a long table, which has a row for every observation.

        Parameters
        ----------
        frame : DataFrame of pandas or polars, pyarrow Table, or mapping of column names to arrays
            Or what grouping one by ``id`` leaves: a row for every series, with Arrow lists of the same lengths in the
            columns ``time`` and ``values``.
        id : str
            Column that tells which series a row belongs to: integers, strings, categories. Series come in the order of
            their first rows, as in ``frame[id].unique()`` of pandas and ``frame[id].unique(maintain_order=True)`` of
            polars, wherever their other rows are.
        time : str
            Column of numbers, datetimes or timedeltas. Datetimes with a time zone are instants, those without are taken
            for UTC; both become seconds since 1970, which float64 resolves to a quarter of a microsecond. Rows of one
            series that are out of order are sorted by it. Equal times are a jump, from the earlier row to the later.
        values : str or sequence of str
            The channels' columns. A row without a value (NaN or null) is an observation of the other channels only; of
            a series that has no other rows, nothing was observed.

        Returns
        -------
        Panel
            One channel of a sorted table, or of lists, is not copied: do not change it afterwards.

        Raises
        ------
        ValueError, TypeError
            If columns are absent, are not what they should be, or have no id or no time in some row; if lists have
            different lengths; or as `Panel` does.

        Examples
        --------
        >>> from sklearn_hippo import Panel
        >>> table = {"who": ["a", "a", "b"], "t": [0.0, 1.5, 0.0], "x": [1.0, 2.0, 3.0]}
        >>> Panel.from_long(table, id="who", time="t", values="x").lengths
        array([2, 1])
        """
        names = [values] if isinstance(values, str) else list(values)
        if not names:
            raise ValueError("values names no columns: at least one channel is needed.")
        columns = {name: column_of(frame, name) for name in [id, time, *names]}
        ids = columns[id]
        for name, column in columns.items():
            if len(column) != len(ids):
                raise ValueError(f"Column {name!r} has {len(column)} rows, column {id!r} has {len(ids)}.")
        if len(ids) == 0:
            raise ValueError("The table has no rows: at least one series is needed.")
        codes, first = codes_of(ids, id)
        codes, where = flatten(columns, [time, *names], codes)
        ticks, clock, _ = clock_of(columns[time], f"column {time!r}{where}")
        if not all_finite(clock):
            raise ValueError(
                f"Column {time!r}{where}: the time at position {np.flatnonzero(~np.isfinite(clock))[0]} is not finite."
            )
        channels = [as_values(columns[name], f"column {name!r}{where}") for name in names]
        block = channels[0][:, None] if len(channels) == 1 else np.stack(channels, axis=1)
        complete = all_finite(block)
        if not complete and np.isinf(block).any():
            row, channel = np.argwhere(np.isinf(block))[0]
            owner = item_of(ids, first[codes[row]])
            raise ValueError(
                f"Column {names[channel]!r}{where}: infinite value at position {row}, of {id} {owner!r}. Write NaN "
                "where a channel was not observed."
            )
        if not ((np.diff(codes) >= 0).all() and ((ticks[1:] >= ticks[:-1]) | (np.diff(codes) > 0)).all()):
            rows = np.lexsort((ticks, codes))
            codes, clock, block = codes[rows], clock[rows], block[rows]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(first)))])
        return cls(block, clock, offsets, channel_names=[str(name) for name in names])

    @classmethod
    def from_numpy3D(cls, X: ArrayLike, *, channel_names: Iterable[str] | None = None) -> Self:
        """Make a panel of an array of shape (n_series, n_channels, length), the layout of sktime and aeon.

        NaN is read as in `from_padded`.
        """
        X = as_values(X, "X")
        if X.ndim != 3:
            raise ValueError(f"X must have shape (n_series, n_channels, length), got {X.shape}.")
        return cls.from_padded(X.transpose(0, 2, 1), channel_names=channel_names)

    @classmethod
    def from_aeon(cls, X: Any, *, channel_names: Iterable[str] | None = None) -> Self:
        """Make a panel of a collection of aeon: series of shape (n_channels, length).

        Parameters
        ----------
        X : ndarray of shape (n_series, n_channels, length), or sequence of ndarray of shape (n_channels, length_i)
            aeon's formats numpy3D and np-list. They have no times: observation k is at time k. NaN is a missing value,
            also at the end of a series: aeon does not pad.
        channel_names : sequence of str, optional

        Returns
        -------
        Panel

        Raises
        ------
        ValueError, TypeError
            As `from_list` does, and for a series that is not an array of two dimensions.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_hippo import Panel
        >>> Panel.from_aeon([np.zeros((2, 5)), np.ones((2, 3))])
        Panel(n_series=2, n_channels=2, n_observations=8, dtype=float64)
        """
        if isinstance(X, (str, bytes, dict)) or not isinstance(X, (Sequence, np.ndarray)):
            raise TypeError(f"A collection of aeon is an array or a list of arrays, got {type(X).__name__}.")
        if len(X) == 0:
            raise ValueError("The collection is empty: at least one series is needed.")
        if isinstance(X, np.ndarray) and X.dtype != object:
            X = as_values(X, "X")
            if X.ndim != 3:
                raise ValueError(f"X must have shape (n_series, n_channels, length), got {X.shape}.")
            return cls.from_padded(X.transpose(0, 2, 1), np.full(len(X), X.shape[2]), channel_names=channel_names)
        series = [as_values(one, f"series {i}") for i, one in enumerate(X)]
        flat = [i for i, one in enumerate(series) if one.ndim != 2]
        if flat:
            raise ValueError(f"Series {flat[0]} has shape {series[flat[0]].shape}; (n_channels, length) is needed.")
        return cls._assemble([_Series(one.T, None, None, None) for one in series], channel_names, oriented=True)

    @classmethod
    def from_pyrregular(cls, data: Any) -> Self:
        """Make a panel of a data set of pyrregular, straight from its sparse array.

        Parameters
        ----------
        data : xarray.DataArray over a sparse.COO of dims (ts_id, signal_id, time_id)
            What is not stored, or NaN, is missing. The signals are the channels.

        Returns
        -------
        Panel
            Series in the order of ``ts_id``, with the times of ``time_id`` at which any of their signals was observed.

        Raises
        ------
        ValueError, TypeError
            If the dims are others, the array is not sparse, or as `Panel` does.
        """
        dims = tuple(getattr(data, "dims", ()))
        if dims != ("ts_id", "signal_id", "time_id"):
            raise ValueError(f"A data set of pyrregular has the dims ts_id, signal_id and time_id, got {dims}.")
        array = data.data
        if not hasattr(array, "coords"):
            raise TypeError(f"A data set of pyrregular is a sparse.COO inside, got {type(array).__name__}.")
        n_series, n_channels, n_times = array.shape
        clock = as_times(data["time_id"].values, "time_id")[0]
        entries = as_values(array.data, "data")
        seen = ~np.isnan(entries)
        series, channel, position = (np.asarray(one, np.intp)[seen] for one in array.coords)
        rank = np.empty(n_times, np.intp)
        rank[np.argsort(clock, kind="stable")] = np.arange(n_times)
        cells, rows = np.unique(series * n_times + rank[position], return_inverse=True)
        values = np.full((len(cells), n_channels), np.nan, entries.dtype)
        values[rows, channel] = entries[seen]
        lengths = np.bincount(cells // n_times, minlength=n_series)
        names = [str(name) for name in data["signal_id"].values]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return cls(values, np.sort(clock)[cells % n_times], offsets, channel_names=names)

    @classmethod
    def from_padded(
        cls,
        X: ArrayLike,
        lengths: ArrayLike | None = None,
        time_channel: int | None = None,
        *,
        channel_names: Iterable[str] | None = None,
    ) -> Self:
        """Make a panel of an array of shape (n_series, max_length, n_channels), or (n_series, max_length).

        Parameters
        ----------
        X : array-like of shape (n_series, max_length, n_channels) or (n_series, max_length)
            NaN is a missing value, but rows of nothing but NaN at the end of a series are padding.
        lengths : array-like of int of shape (n_series,), optional
            The number of observations of each series, if NaN is not to decide.
        time_channel : int, optional
            The channel that holds the times; the others are the values.
        channel_names : sequence of str, optional
            Names of the channels of values.

        Returns
        -------
        Panel

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_hippo import Panel
        >>> X = np.array([[[1.0], [2.0], [3.0]], [[4.0], [np.nan], [np.nan]]])
        >>> Panel.from_padded(X).lengths
        array([3, 1])
        """
        X = as_values(X, "X")
        if X.ndim == 2 and time_channel is None:
            X = X[:, :, None]
        if X.ndim != 3:
            raise ValueError(f"X must have shape (n_series, max_length, n_channels), got {X.shape}.")
        if 0 in X.shape:
            raise ValueError(f"X is empty: its shape is {X.shape}.")
        n_series, max_length, _ = X.shape
        if lengths is None:
            observed = np.asarray(~np.isnan(X).all(axis=2))
            lengths = np.where(observed.any(axis=1), max_length - np.argmax(observed[:, ::-1], axis=1), 0)
        else:
            lengths = np.asarray(lengths)
            if lengths.shape != (n_series,) or lengths.dtype.kind not in "iu":
                raise ValueError(f"lengths must be {n_series} integers, one for each series.")
            wrong = np.flatnonzero((lengths < 0) | (lengths > max_length))
            if len(wrong):
                i = wrong[0]
                raise ValueError(f"Series {i}: length {lengths[i]} is not between 0 and {max_length}.")
        kept = np.arange(max_length) < lengths[:, None]
        values = X.reshape(-1, X.shape[2]) if kept.all() else X[kept]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        times = None
        if time_channel is not None:
            if not -X.shape[2] <= time_channel < X.shape[2]:
                raise ValueError(f"time_channel={time_channel}, but X has {X.shape[2]} channels.")
            times = values[:, time_channel]
            values = np.delete(values, time_channel, axis=1)
        return cls(values, times, offsets, channel_names=channel_names)

    # --- into what others want --------------------------------------------------------------------

    def to_padded(self, fill: float = np.nan) -> Array:
        """Make an array of the values, with short series filled up at their ends. The times are left out.

        Parameters
        ----------
        fill : float, default=nan

        Returns
        -------
        ndarray of shape (n_series, max(lengths), n_channels)
        """
        padded = np.full((len(self), max(self.lengths, default=0), self.n_channels), fill, self.values.dtype)
        padded[np.arange(padded.shape[1]) < self.lengths[:, None]] = self.values
        return padded

    def to_aeon(self) -> Array | list[Array]:
        """Make a collection of aeon. The times are left out: aeon has none.

        Returns
        -------
        ndarray of shape (n_series, n_channels, length), or list of ndarray of shape (n_channels, length_i)
            An array if all series are equally long.
        """
        series = [np.ascontiguousarray(values.T) for _, values in self]
        return np.stack(series) if len(set(self.lengths.tolist())) == 1 else series

    def to_list(self) -> list[tuple[NDArray[np.float64], Array]]:
        """Make a list of series.

        Returns
        -------
        list of (times, values)
            Of shapes (length,) and (length, n_channels).
        """
        return list(self)

    def to_long(self, *, id: str = "series", time: str = "time") -> dict[str, Array]:
        """Make the columns of a long table, with a row for every observation.

        Parameters
        ----------
        id, time : str
            Names of the columns for the position of the series and for the times.

        Returns
        -------
        dict of str to ndarray of shape (n_observations,)
            Which ``pandas.DataFrame``, ``polars.DataFrame`` and ``pyarrow.table`` all take.
        """
        names = self.channel_names or [f"x{c}" for c in range(self.n_channels)]
        if {id, time} & set(names) or id == time:
            raise ValueError(
                f"The columns {id!r}, {time!r} and {list(names)} have the same name: choose others for id and time."
            )
        columns = dict(zip(names, self.values.T, strict=True))
        return {id: np.repeat(np.arange(len(self)), self.lengths), time: own_times(self), **columns}


def own_times(panel: Panel) -> Array:
    """Times of all observations, also where the panel leaves them implicit."""
    if panel.times is not None:
        return panel.times
    return np.arange(len(panel.values), dtype=np.float64) - np.repeat(panel.offsets[:-1], panel.lengths)


def merge_stamps(panel: Panel) -> Panel:
    """Make one observation of those of one stamp, as a network sees them.

    Of each channel it is the last one that is not missing. A series in which nothing was observed has no stamps.
    """
    kept = np.repeat(panel._observed, panel.lengths)
    ends = kept.copy()
    if panel.times is not None:
        tied = panel.times[1:] == panel.times[:-1]
        tied[panel.offsets[(panel.offsets > 0) & (panel.offsets < len(kept))] - 1] = False
        ends[:-1] &= ~tied
    if ends.all():
        return panel
    stamp: NDArray[np.intp] = np.cumsum(ends) - ends  # of each row, among those that stay
    values = np.full((int(ends.sum()), panel.n_channels), np.nan, panel.values.dtype)
    rows, channels = np.nonzero(~np.isnan(panel.values))  # in the order of time: the last of a stamp stays
    values[stamp[rows], channels] = panel.values[rows, channels]
    times = None if panel.times is None else panel.times[ends]
    offsets = np.concatenate([[0], np.cumsum(ends)])[panel.offsets]
    return Panel._trusted(values, times, offsets, panel.channel_names)


class _Series:
    """One series on its way into a panel: times may be None, kind is None, "numbers", "datetime" or "timedelta"."""

    __slots__ = ("kind", "names", "times", "values")

    def __init__(self, values: Array, times: Array | None, kind: str | None, names: tuple[str, ...] | None):
        self.values, self.times, self.kind, self.names = values, times, kind, names


def _read_series(one: Any, i: int) -> _Series:
    where = f"series {i}"
    index = names = None
    if is_none(one):
        return _Series(np.empty((0, 1)), None, None, None)
    if isinstance(one, tuple):
        if len(one) != 2:
            raise ValueError(f"Series {i} is a tuple of {len(one)}; (times, values) is needed.")
        index, one = one
    elif hasattr(one, "iloc"):  # pandas
        index = None if _is_default_index(one.index) else one.index
    if hasattr(one, "columns"):
        names = tuple(str(name) for name in one.columns)
    values = as_values(one, where)
    if values.ndim == 0:
        raise ValueError(
            f"Series {i} is a single number. X is a collection of series; put a single series into a list: [series]."
        )
    if values.ndim > 2:
        raise ValueError(f"Series {i} has shape {values.shape}; (length,) or (length, n_channels) is needed.")
    times, kind = (None, None) if index is None else as_times(index, f"times of series {i}")
    if times is not None and times.shape != (len(values),):
        raise ValueError(f"Series {i} has {len(values)} observations and times of shape {times.shape}.")
    return _Series(values[:, None] if values.ndim == 1 else values, times, kind, names)


def _is_default_index(index: Any) -> bool:
    """Whether a pandas index says no more than 0, 1, 2, ..."""
    return type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1


def _check_times(times: NDArray[np.float64], offsets: NDArray[np.intp]) -> None:
    def place(row: int) -> tuple[int, int]:
        series = int(np.searchsorted(offsets, row, side="right")) - 1
        return series, int(row - offsets[series])

    if not all_finite(times):
        series, position = place(np.flatnonzero(~np.isfinite(times))[0])
        raise ValueError(f"Series {series}: the time at position {position} is {times[offsets[series] + position]}.")
    some = np.flatnonzero(np.diff(offsets))
    first, last = offsets[some], offsets[some + 1] - 1
    with np.errstate(over="ignore"):
        long = np.flatnonzero(np.abs(times[last] - times[first]) > np.finfo(np.float64).max / 4)
    if len(long):
        raise ValueError(f"Series {some[long[0]]} lasts longer than float64 can tell. Choose another unit of time.")
    decreasing = times[1:] < times[:-1]
    decreasing[first[1:] - 1] = False
    if decreasing.any():
        series, position = place(np.flatnonzero(decreasing)[0] + 1)
        row = offsets[series] + position
        raise ValueError(
            f"Series {series}: times decrease at position {position}, from {times[row - 1]} to {times[row]}. Sort the "
            "observations by time."
        )


def _as_indices(key: Any, n_series: int) -> NDArray[np.intp]:
    indices = np.asarray(key)
    if indices.dtype == bool:
        if indices.shape != (n_series,):
            raise IndexError(f"A mask for this panel has shape ({n_series},), got {indices.shape}.")
        return np.flatnonzero(indices)
    if indices.size == 0:
        indices = indices.astype(np.intp)
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        raise IndexError(
            "A Panel is indexed by an integer, a slice, a boolean mask or a one-dimensional integer array."
        )
    wrong = np.flatnonzero((indices < -n_series) | (indices >= n_series))
    if len(wrong):
        raise IndexError(f"Index {indices[wrong[0]]} is out of bounds for a panel of {n_series} series.")
    return np.where(indices < 0, indices + n_series, indices).astype(np.intp)


def _warn_transposed(n_channels: int, length: int) -> None:
    warnings.warn(
        f"X has more channels ({n_channels}) than time points ({length}). Time runs along the first axis of a series; "
        "for arrays of shape (n_series, n_channels, length) use Panel.from_numpy3D.",
        UserWarning,
        stacklevel=4,
    )


# --- whatever X is ------------------------------------------------------------------------------------


def check_panel(X: Any) -> Panel:
    """Make a panel of X, in any of the forms that estimators take.

    Parameters
    ----------
    X : Panel, array, sequence or DataFrame
        Decided by type, never by sizes:

        - a `Panel`;
        - a numeric array, DataFrame or list of equally long lists, of shape (n_series, length): each row a regular
          series of one channel, which ends before the NaN at its end;
        - an array of shape (n_series, length, n_channels), where rows of NaN at the end of a series are padding;
        - a list, tuple, object array or pandas Series of series, as `Panel.from_list` takes them;
        - a DataFrame or Table whose cells are series (arrays, pandas Series or lists): each column a channel;
        - a polars Series or pyarrow Array of lists: series of one channel.

    Returns
    -------
    Panel

    Raises
    ------
    ValueError, TypeError
        If X is none of these, or as `Panel` does.
    """
    if isinstance(X, Panel):
        panel = X
    elif isinstance(X, (str, bytes, dict)) and not issparse(X):
        raise TypeError(f"X is a {type(X).__name__}; see Panel.from_list and Panel.from_long for what can be read.")
    elif hasattr(X, "columns") or hasattr(X, "column_names"):
        panel = _from_frame(X)
    elif hasattr(X, "iloc"):  # pandas Series
        panel = Panel.from_list(list(X))
    elif hasattr(X, "to_numpy") and not isinstance(X, np.ndarray):  # polars Series, pyarrow Array
        panel = _from_cells([X], None)
    elif isinstance(X, (list, tuple)):
        panel = Panel.from_list(X)
        if _is_nested_list(X):
            panel = Panel.from_padded(panel.values.reshape(len(panel), -1))
    else:
        panel = _from_array(as_values(X, "X") if issparse(X) else np.asanyarray(X))  # a mask tells what is missing
    if len(panel) == 0:
        raise ValueError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required: X has no series.")
    return panel


def _from_array(X: Array) -> Panel:
    if X.dtype == object and X.ndim == 1:
        return Panel.from_list(list(X))
    X = as_values(X, "X")
    if X.ndim == 1:
        raise ValueError(
            "Expected 2D array, got 1D array instead. X is a collection of series. Reshape your data: a single series "
            "is X.reshape(1, -1), or [series] in a list."
        )
    if X.ndim == 2:
        for size, what in zip(X.shape, ("sample", "feature"), strict=True):
            if size == 0:
                raise ValueError(f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required.")
        return Panel.from_padded(X)
    if X.ndim != 3:
        raise ValueError(f"X has {X.ndim} dimensions; (n_series, length) or (n_series, length, n_channels) is needed.")
    if X.shape[2] > X.shape[1]:
        _warn_transposed(X.shape[2], X.shape[1])
    return Panel.from_padded(X)


def _columns(X: Any) -> tuple[list[str], list[Any]]:
    """Names and columns of a frame of pandas or polars or of a pyarrow table."""
    names = X.column_names if hasattr(X, "column_names") else X.columns
    columns = [X.iloc[:, c] if hasattr(X, "iloc") else X[name] for c, name in enumerate(names)]
    return [str(name) for name in names], columns


def _from_frame(X: Any) -> Panel:
    """A DataFrame of numbers, whose rows are series, or of cells that are series, whose columns are channels."""
    names, columns = _columns(X)
    if not _is_table_of_numbers(X):
        return _from_cells(columns, names)
    numbers = []
    for name, column in zip(names, columns, strict=True):
        try:
            numbers.append(as_values(column, f"column {name!r}"))
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{error} A long table, with a row for every observation, is read by Panel.from_long(frame, id=..., "
                "time=..., values=...)."
            ) from None
    return _from_array(np.column_stack(numbers))


def _is_table_of_numbers(X: Any) -> bool:
    """Whether the rows of a frame are its series, or else its cells are; nothing is converted."""
    if getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        raise TypeError(
            "X is a long table with a multi-index: its rows are not its series, so no cross-validation could split it. "
            "Use Panel.from_long(frame.reset_index(), id=..., time=..., values=...)."
        )
    names, columns = _columns(X)
    if len(names) == 0 or len(X) == 0:
        raise ValueError(f"X is empty: it has {len(X)} rows (0 sample(s)) and {len(names)} columns (0 feature(s)).")
    nested = [holds_series(column) for column in columns]
    if any(nested) and not all(nested):
        raise TypeError(
            f"Column {names[nested.index(True)]!r} holds series, column {names[nested.index(False)]!r} does not. Send "
            "them to different transformers with a ColumnTransformer."
        )
    return not any(nested)


def _from_cells(columns: list[Any], names: list[str] | None) -> Panel:
    """Columns of cells: each cell a channel of a series."""
    if len(columns) == 1 and (found := lists_of(columns[0])):
        elements, offsets = found
        return Panel(elements, None, offsets, channel_names=names)  # lists of Arrow are laid out as a panel is
    rows = [[as_python(cell) for cell in column] for column in columns]
    series = []
    for i, cells in enumerate(zip(*rows, strict=True)):
        absent = [is_none(cell) or (isinstance(cell, float) and cell != cell) for cell in cells]
        wrong = [c for c, cell in enumerate(cells) if not absent[c] and not hasattr(cell, "__len__")]
        if wrong:
            name = names[wrong[0]] if names else wrong[0]
            raise ValueError(f"Series {i}, channel {name!r}: the cell holds no series, but {cells[wrong[0]]}.")
        if all(absent):
            series.append(_Series(np.empty((0, len(cells))), None, None, tuple(names) if names else None))
            continue
        present = next(cell for c, cell in enumerate(cells) if not absent[c])
        parts = [_read_series(present if absent[c] else cell, i) for c, cell in enumerate(cells)]
        for c, part in enumerate(parts):
            name = names[c] if names else c
            if part.values.shape[1] != 1:
                raise ValueError(f"Series {i}, channel {name!r}: a cell has shape {part.values.shape}, not (length,).")
            if len(part.values) != len(parts[0].values):
                raise ValueError(
                    f"Series {i}: channel {name!r} has {len(part.values)} observations, the first channel has "
                    f"{len(parts[0].values)}. Channels share their times; write NaN where one was not observed."
                )
            same = part.kind == parts[0].kind and (
                part.times is None or parts[0].times is None or np.array_equal(part.times, parts[0].times)
            )
            if not same:
                raise ValueError(f"Series {i}: the times of channel {name!r} differ from those of the first channel.")
        values = np.concatenate([part.values for part in parts], axis=1)
        if any(absent):  # the channel was not observed
            values = np.where(absent, np.nan, values)
        series.append(_Series(values, parts[0].times, parts[0].kind, tuple(names) if names else None))
    return Panel._assemble(series, names)


def _is_table(X: Any) -> bool:
    """Whether X is a table of numbers, whose rows are regular series: the one form that scikit-learn knows too."""
    if issparse(X):
        return True  # for scikit-learn to refuse
    if isinstance(X, (Panel, list, tuple, str, bytes, dict)):
        return False
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        return _is_table_of_numbers(X)
    return isinstance(X, np.ndarray) and X.ndim == 2


def _is_nested_list(X: Any) -> bool:
    """Whether X is [[x, ...], ...] of numbers in rows of one length, which scikit-learn takes for a table as well."""
    return (
        isinstance(X, list)
        and len(X) > 0
        and all(isinstance(row, list) and len(row) == len(X[0]) > 0 and not hasattr(row[0], "__len__") for row in X)
    )


def validate_panel(estimator: Any, X: Any, *, reset: bool) -> Panel:
    """Make a panel of an estimator's X, and hold it against what the estimator was fitted on.

    With ``reset``, sets ``n_features_in_``, ``feature_names_in_`` (where X is a DataFrame), ``n_channels_`` and
    ``channel_names_``. ``n_features_in_`` is the length of the series if X is a table of numbers (or nested lists of
    one length, which scikit-learn takes for a table), and the number of channels otherwise. A table at `transform` must
    be as wide as the one at `fit`; series of other lengths come as a list or a `Panel`.
    """
    if not isinstance(X, (Panel, list, tuple, str, bytes, dict, np.ndarray)) and not hasattr(X, "to_numpy"):
        X = X if hasattr(X, "columns") or issparse(X) else np.asarray(X)
    table = _is_table(X)
    # scikit-learn's own checks of the names and the number of columns, wherever X has columns that mean what they did
    # in fit; of cells' names first, and of numbers when they are known to be valid.
    panel = check_panel(X) if table else None
    compared = reset or (hasattr(X, "columns") and not table) or (table and estimator._fitted_on_table)
    if compared and hasattr(X, "columns"):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    panel = check_panel(X) if panel is None else panel
    if reset and not table and _is_nested_list(X):
        table = compared = True
    if compared and not hasattr(X, "columns"):
        validate_data(estimator, X if table else None, reset=reset, skip_check_array=True)
    if reset:
        estimator._fitted_on_table = table
        estimator.n_channels_ = panel.n_channels
        estimator.channel_names_ = panel.channel_names
        if not table:
            estimator.n_features_in_ = panel.n_channels
        return panel
    if not len(panel.values) and panel.channel_names is None:  # which says nothing of channels
        panel = Panel(np.empty((0, estimator.n_channels_), panel.values.dtype), None, panel.offsets)
    if panel.n_channels != estimator.n_channels_:
        raise ValueError(
            f"X has {panel.n_channels} channels, but {type(estimator).__name__} was fitted on {estimator.n_channels_}. "
            "Give the same channels in the same order."
        )
    fitted = estimator.channel_names_
    if fitted is not None and panel.channel_names is not None and fitted != panel.channel_names:
        raise ValueError(
            f"X has the channels {list(panel.channel_names)}, but {type(estimator).__name__} was fitted on "
            f"{list(fitted)}. Give the same channels in the same order."
        )
    return panel


def check_observed(panel: Panel) -> None:
    """Refuse to learn from series of which a channel was never observed."""
    if panel.has_missing or not len(panel.values):
        never = np.flatnonzero(np.isnan(panel.values).all(axis=0))
        if len(never):
            raise ValueError(
                f"Channel {panel._name(never[0])} has no observation in any training series. Leave it out."
            )


def learned_timescale(measure: str, timescale: float | None, duration: float) -> float:
    """The timescale that an estimator was given, or else the median duration of its training series."""
    if timescale is None and duration == 0:
        raise ValueError(
            f"The timescale of measure={measure!r} cannot be learned: the median duration of the training series is "
            "zero, as it is in a table with n_features = 1. Set timescale, in units of the timestamps."
        )
    return duration if timescale is None else float(timescale)
