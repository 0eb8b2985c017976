"""Panel: the one container in which series travel, and `check_panel`, which makes one of whatever users have."""

from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import check_scalar
from sklearn.utils.validation import validate_data

from ._columns import all_finite, as_ids, as_times, as_values, called, holds_series, is_empty, named_index, names_in
from ._reading import Series, join, read_cells, read_list, read_long, warn_transposed

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
    ids : array-like of shape (n_series,), optional
        Which series is which: numbers, strings, dates, or tuples of them if it takes several to tell. They go with the
        series wherever these go: selections, concatenations, pickles, tables (`to_long`), the index of features
        (``set_output(transform="pandas")``) and the words of errors.
    id_names : str or sequence of str, optional
        Name of the ids, or names of the parts of tuples; by default those of a pandas index.

    Attributes
    ----------
    values, times, offsets : ndarray, or None for absent times
        Read-only.
    channel_names : tuple of str, or None
    ids : ndarray of shape (n_series,), or None
        Read-only; of tuples, it is of dtype object.
    id_names : tuple of str, or None

    Raises
    ------
    ValueError
        For infinite values, times that are not finite or that decrease, shapes that do not match, and absent ids; the
        message names the series, the channel and the position.
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
    >>> named = Panel.from_list([[1.0, 2.0], [3.0], [4.0, 5.0]], ids=["a", "b", "c"])
    >>> named[[2, 0]].ids
    array(['c', 'a'], dtype=object)
    """

    __slots__ = ("_has_missing", "channel_names", "id_names", "ids", "offsets", "times", "values")

    values: Array
    times: Array | None
    offsets: NDArray[np.intp]
    channel_names: tuple[str, ...] | None
    ids: Array | None
    id_names: tuple[str, ...] | None
    _has_missing: bool | None

    def __init__(
        self,
        values: ArrayLike,
        times: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
        *,
        channel_names: Iterable[str] | None = None,
        ids: Any = None,
        id_names: str | Iterable[str] | None = None,
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
        names = None if channel_names is None else tuple(names_in(channel_names))
        if names is not None and (
            len(names) != values.shape[1]
            or not all(isinstance(name, str) for name in names)
            or len(set(names)) < len(names)
        ):
            raise ValueError(f"channel_names must be {values.shape[1]} different strings, got {names!r}.")
        found, found_names = (None, None) if ids is None else as_ids(ids, len(offsets) - 1, id_names)
        if ids is None and id_names is not None:
            raise ValueError(f"id_names={id_names!r} are names of ids, but there are no ids.")
        self._set(np.ascontiguousarray(values), times, offsets, names, None, found, found_names)
        self._check_times()
        self._check_values()

    def _set(
        self,
        values: Array,
        times: Array | None,
        offsets: Array,
        channel_names: tuple[str, ...] | None,
        has_missing: bool | None = None,
        ids: Array | None = None,
        id_names: tuple[str, ...] | None = None,
    ) -> None:
        for name, array in (("values", values), ("times", times), ("offsets", offsets), ("ids", ids)):
            if array is not None:
                array = array.view()
                array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "channel_names", channel_names)
        object.__setattr__(self, "id_names", id_names)
        object.__setattr__(self, "_has_missing", has_missing)  # None: not yet known

    @staticmethod
    def _trusted(*state: Any) -> "Panel":
        """Make a panel of what came out of one, without checking it again."""
        panel = object.__new__(Panel)
        panel._set(*state)
        return panel

    def _select(self, values: Array, times: Array | None, offsets: Array, key: Any) -> "Panel":
        missing = None if self._has_missing else self._has_missing
        ids = None if self.ids is None else self.ids[key]
        return Panel._trusted(values, times, offsets, self.channel_names, missing, ids, self.id_names)

    def _with(
        self,
        values: Array,
        times: Array | None,
        offsets: Array | None = None,
        channel_names: Iterable[str] | None = None,
    ) -> "Panel":
        """The same series of other values and times; of other channels, if these have names."""
        offsets = self.offsets if offsets is None else offsets
        names = self.channel_names if channel_names is None else channel_names
        return Panel(values, times, offsets, channel_names=names, ids=self.ids, id_names=self.id_names)

    def _check_values(self) -> None:
        object.__setattr__(self, "_has_missing", not all_finite(self.values))
        if not self._has_missing:
            return
        if np.isinf(self.values).any():
            row, channel = np.argwhere(np.isinf(self.values))[0]
            series, position = self._place(row)
            raise ValueError(
                f"{self._called(series)}, channel {self._name(channel)}: infinite value at position {position}. Write "
                "NaN where a channel was not observed."
            )

    def _check_times(self) -> None:
        times, offsets = self.times, self.offsets
        if times is None:
            return
        if not all_finite(times):
            row = int(np.flatnonzero(~np.isfinite(times))[0])
            series, position = self._place(row)
            raise ValueError(f"{self._called(series)}: the time at position {position} is {times[row]}.")
        some = np.flatnonzero(np.diff(offsets))
        first, last = offsets[some], offsets[some + 1] - 1
        with np.errstate(over="ignore"):
            long = np.flatnonzero(np.abs(times[last] - times[first]) > np.finfo(np.float64).max / 4)
        if len(long):
            raise ValueError(
                f"{self._called(some[long[0]])} lasts longer than float64 can tell. Choose another unit of time."
            )
        decreasing = times[1:] < times[:-1]
        decreasing[first[1:] - 1] = False
        if decreasing.any():
            row = int(np.flatnonzero(decreasing)[0]) + 1
            series, position = self._place(row)
            raise ValueError(
                f"{self._called(series)}: times decrease at position {position}, from {times[row - 1]} to {times[row]}."
                " Sort the observations by time."
            )

    def _place(self, row: int) -> tuple[int, int]:
        """Series and position of an observation."""
        series = int(np.searchsorted(self.offsets, row, side="right")) - 1
        return series, int(row - self.offsets[series])

    def _called(self, series: int) -> str:
        """How to speak of a series: by its position and its id."""
        if self.ids is None:
            return f"Series {series}"
        return f"Series {series} ({called(self.ids[series], self.id_names)})"

    def _name(self, channel: int) -> str:
        return str(channel) if self.channel_names is None else repr(self.channel_names[channel])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"A Panel is immutable; make a new one instead of setting {name!r}.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("A Panel is immutable.")

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Panel.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(*(state[name] for name in (
            "values", "times", "offsets", "channel_names", "_has_missing", "ids", "id_names",
        )))  # fmt: skip

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
            if not -len(self) <= key < len(self):
                raise IndexError(f"Index {key} is out of bounds for a panel of {len(self)} series.")
            i = range(len(self))[key]  # negative keys count from the end
            rows = slice(self.offsets[i], self.offsets[i + 1])
            times = np.arange(self.lengths[i], dtype=np.float64) if self.times is None else self.times[rows]
            return times, self.values[rows]
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                offsets = self.offsets[start : max(start, stop) + 1]
                rows = slice(offsets[0], offsets[-1])
                own_times = None if self.times is None else self.times[rows]
                return self._select(self.values[rows], own_times, offsets - offsets[0], key)
            key = np.arange(start, stop, step)
        return self._take(_as_indices(key, len(self)))

    def _take(self, indices: NDArray[np.intp]) -> "Panel":
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        # Row k of the selection lies as far behind its series' first row as k lies behind the series' new offset.
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[indices] - offsets[:-1], lengths)
        times = None if self.times is None else self.times[rows]
        return self._select(self.values[rows], times, offsets, indices)

    # --- from what users have ---------------------------------------------------------------------

    @classmethod
    def from_list(
        cls,
        series: Sequence[Any],
        *,
        channel_names: Iterable[str] | None = None,
        ids: Any = None,
        id_names: str | Iterable[str] | None = None,
    ) -> Self:
        """Make a panel of a sequence of series.

        Parameters
        ----------
        series : sequence
            Each an array of shape (length,) or (length, n_channels), a tuple ``(times, values)``, or a pandas Series or
            DataFrame, whose index is its times unless it is the default 0, 1, 2, ... . A polars Series or DataFrame has
            no index and thus no times. An empty one, or None, is a series in which nothing was observed.
        channel_names : sequence of str, optional
            Taken from the columns of DataFrames if not given.
        ids, id_names : optional
            As in `Panel`. A pandas Series of series has them in its index, unless that is 0, 1, 2, ...

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
        values, times, offsets, names = read_list(series)
        return cls(values, times, offsets, channel_names=channel_names or names, ids=ids, id_names=id_names)

    @classmethod
    def concat(cls, panels: Sequence["Panel"]) -> Self:
        """Make a panel of the series of several panels, one after the other.

        Parameters
        ----------
        panels : sequence of Panel
            With the same channels. If some have times and others have not, observation k of the others is at time k.

        Returns
        -------
        Panel
            With the ids of all of them, which may repeat; with none if no panel has any.

        Raises
        ------
        ValueError, TypeError
            If there is no panel, if their channels or the names of their ids differ, or if some have ids and others
            have not.

        Examples
        --------
        >>> from sklearn_hippo import Panel
        >>> day, night = Panel.from_list([[1.0, 2.0]], ids=["a"]), Panel.from_list([[3.0]], ids=["b"])
        >>> Panel.concat([day, night]).ids
        array(['a', 'b'], dtype=object)
        """
        panels = list(panels)
        wrong = [type(one).__name__ for one in panels if not isinstance(one, Panel)]
        if wrong or not panels:
            raise TypeError(f"Panel.concat takes a sequence of panels, got {wrong[0] if wrong else 'an empty one'}.")
        for what in ("n_channels", "channel_names", "id_names"):
            for i, one in enumerate(panels):
                if getattr(one, what) != getattr(panels[0], what):
                    raise ValueError(
                        f"Panel {i} has {what}={getattr(one, what)!r}, panel 0 has {getattr(panels[0], what)!r}. Give "
                        "all panels the same channels and ids of the same names."
                    )
        known = [one.ids is not None for one in panels]
        if any(known) and not all(known):
            raise ValueError(
                f"Panel {known.index(False)} has no ids, panel {known.index(True)} has. Give all of them ids."
            )
        timed = any(one.times is not None for one in panels)
        return cls(
            np.concatenate([one.values for one in panels]),
            np.concatenate([own_times(one) for one in panels]) if timed else None,
            np.concatenate([[0], np.cumsum(np.concatenate([one.lengths for one in panels]))]),
            channel_names=panels[0].channel_names,
            ids=_joined([one.ids for one in panels if one.ids is not None]) if known[0] else None,
            id_names=panels[0].id_names,
        )

    @classmethod
    def from_long(
        cls,
        frame: Any,
        *,
        id: str | Sequence[str] | None = None,
        time: str,
        values: str | Sequence[str],
        channel: str | None = None,
        channels: Sequence[Any] | None = None,
    ) -> Self:
        """Make a panel of a long table, which has a row for every observation.

        Parameters
        ----------
        frame : DataFrame of pandas or polars, pyarrow Table, or mapping of column names to arrays
            Or such a frame grouped by its ids, ``frame.groupby("patient")`` of pandas or ``frame.group_by("patient")``
            of polars; or what grouping leaves: a row for every series, with Arrow lists of the same lengths in the
            columns ``time`` and ``values``.
        id : str or sequence of str
            Column that tells which series a row belongs to, or columns that tell it together: integers, strings,
            categories, dates. They become the ids of the panel. Series come in the order of their first rows, as in
            ``frame[id].unique()`` of pandas and ``frame[id].unique(maintain_order=True)`` of polars, wherever their
            other rows are. Of a grouped frame, the ids are what it is grouped by.
        time : str
            Column of numbers, datetimes or timedeltas. Datetimes with a time zone are instants, those without are taken
            for UTC; both become seconds since 1970, which float64 resolves to a quarter of a microsecond. Rows of one
            series that are out of order are sorted by it. Equal times are a jump, from the earlier row to the later.
        values : str or sequence of str
            The channels' columns. A row without a value (NaN or null) is an observation of the other channels only; of
            a series that has no other rows, nothing was observed.
        channel : str, optional
            Of a tall table, which has a row for every value: the column that tells to which channel it belongs, while
            ``values`` names the column of the values. Rows of one series and one time are one observation; a channel
            that has several of them at that time jumps, from the earlier row to the later.
        channels : sequence, optional
            Of a tall table: which channels are read, and in which order. By default all of them, sorted by their names.
            Name them where tables for training and for prediction need not have the same ones.

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
        >>> panel = Panel.from_long(table, id="who", time="t", values="x")
        >>> panel.ids, panel.lengths
        (array(['a', 'b'], dtype=object), array([2, 1]))

        The same measurements and some of another channel, as databases have them:

        >>> tall = {
        ...     "who": ["a", "a", "a", "b"],
        ...     "t": [0.0, 0.0, 1.5, 0.0],
        ...     "kind": ["x", "y", "x", "x"],
        ...     "value": [1.0, 7.0, 2.0, 3.0],
        ... }
        >>> Panel.from_long(tall, id="who", time="t", values="value", channel="kind")[0][1]
        array([[ 1.,  7.],
               [ 2., nan]])
        """
        block, clock, offsets, names, ids, keys = read_long(frame, id, time, values, channel, channels)
        return cls(block, clock, offsets, channel_names=names, ids=ids, id_names=keys)

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
        values, times, offsets, _ = join([Series(one.T, None, None, None) for one in series], oriented=True)
        return cls(values, times, offsets, channel_names=channel_names)

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
        times = np.sort(clock)[cells % n_times]
        known = "ts_id" in getattr(data, "coords", ())
        ids = data["ts_id"].values if known else None
        return cls(values, times, offsets, channel_names=names, ids=ids, id_names="ts_id" if known else None)

    @classmethod
    def from_padded(
        cls,
        X: ArrayLike,
        lengths: ArrayLike | None = None,
        time_channel: int | None = None,
        *,
        channel_names: Iterable[str] | None = None,
        ids: Any = None,
        id_names: str | Iterable[str] | None = None,
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
        ids, id_names : optional
            As in `Panel`.

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
            time_channel = check_scalar(time_channel, "time_channel", Integral)
            if not -X.shape[2] <= time_channel < X.shape[2]:
                raise ValueError(f"time_channel={time_channel}, but X has {X.shape[2]} channels.")
            times = values[:, time_channel]
            values = np.delete(values, time_channel, axis=1)
        return cls(values, times, offsets, channel_names=channel_names, ids=ids, id_names=id_names)

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
        fill = check_scalar(fill, "fill", Real)
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

    def to_cells(self) -> dict[str, list[tuple[Array, Array]]]:
        """Make the columns of a frame whose cells are series, for ordinary columns to stand beside them.

        Returns
        -------
        dict of str to list of (times, values)
            A column for each channel, with a cell of arrays of shape (length,) for each series.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_hippo import Panel
        >>> panel = Panel.from_list([([0.0, 9.0], [36.8, 37.1]), ([3.0], [38.2])], ids=["Ada", "Ben"])
        >>> patients = pd.DataFrame({"age": [70, 44]}, index=["Ben", "Ada"])
        >>> patients = patients.join(pd.DataFrame(panel.to_cells(), index=panel.ids))
        >>> patients.columns.tolist(), patients.loc["Ben", "x0"]
        (['age', 'x0'], (array([3.]), array([38.2])))
        """
        names = self.channel_names or [f"x{c}" for c in range(self.n_channels)]
        return {name: [(times, values[:, c]) for times, values in self] for c, name in enumerate(names)}

    def to_long(self, *, id: str | None = None, time: str = "time") -> dict[str, Array]:
        """Make the columns of a long table, with a row for every observation.

        Parameters
        ----------
        id : str, optional
            Name of the column that tells the series: their ids, or their positions if they have none. By default the
            panel's own name of its ids, or ``"series"``. Ids of several parts become several columns, named
            ``id_names`` or ``<id>_0``, ``<id>_1``, ...
        time : str
            Name of the column of times.

        Returns
        -------
        dict of str to ndarray of shape (n_observations,)
            Which ``pandas.DataFrame``, ``polars.DataFrame`` and ``pyarrow.table`` all take.

        Raises
        ------
        ValueError
            If columns would have the same name.
        """
        ids: Array = np.arange(len(self)) if self.ids is None else self.ids
        keys = list(self.id_names or ["series"]) if id is None else [id]
        parts = list(zip(*ids, strict=True)) if self._id_width else [ids] * (1 if len(self) else len(keys))
        if len(keys) < len(parts):
            keys = [f"{keys[0]}_{k}" for k in range(len(parts))] if id is not None or not self.id_names else keys
        names = self.channel_names or [f"x{c}" for c in range(self.n_channels)]
        if len({*keys, time, *names}) < len(keys) + 1 + len(names):
            raise ValueError(
                f"Two of the columns {keys}, {time!r} and {list(names)} have the same name: choose others for id and "
                "time."
            )
        columns = {name: np.repeat(np.array(part), self.lengths) for name, part in zip(keys, parts, strict=True)}
        return columns | {time: own_times(self)} | dict(zip(names, self.values.T, strict=True))

    @property
    def _id_width(self) -> int:
        """Of how many parts an id is, if it is a tuple; else 0."""
        first = self.ids[0] if self.ids is not None and len(self) else None
        return len(first) if isinstance(first, tuple) else 0


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
    return Panel._trusted(values, times, offsets, panel.channel_names, None, panel.ids, panel.id_names)


def _joined(ids: Sequence[Array]) -> Array:
    """Ids of several panels; of different kinds, they stay what they are."""
    kinds = {one.dtype.kind for one in ids}
    return np.concatenate([one if len(kinds) == 1 else one.astype(object) for one in ids])


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


# --- whatever X is ------------------------------------------------------------------------------------


def check_panel(X: Any, *, cells: bool = False) -> Panel:
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
    cells : bool
        Whether a frame in which there is nothing at all is one of cells, not of numbers.

    Returns
    -------
    Panel

    Raises
    ------
    ValueError, TypeError
        If X is none of these, or as `Panel` does.
    """
    _check_kind(X)
    if isinstance(X, Panel):
        panel = X
    elif isinstance(X, (str, bytes, dict)) and not issparse(X):
        raise TypeError(f"X is a {type(X).__name__}; see Panel.from_list and Panel.from_long for what can be read.")
    elif hasattr(X, "columns") or hasattr(X, "column_names"):
        panel = _from_frame(X, cells)
    elif hasattr(X, "iloc"):  # pandas Series
        panel = Panel.from_list(list(X), ids=named_index(X))
    elif hasattr(X, "to_numpy") and not isinstance(X, np.ndarray):  # polars Series, pyarrow Array
        panel = Panel(*read_cells([X], None)[:3])
    elif isinstance(X, (list, tuple)):
        panel = Panel.from_list(X)
        if _is_nested_list(X):
            panel = Panel.from_padded(panel.values.reshape(len(panel), -1))
    else:
        panel = _from_array(as_values(X, "X") if issparse(X) else np.asanyarray(X))  # a mask tells what is missing
    if len(panel) == 0:
        raise ValueError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required: X has no series.")
    return panel


def _check_kind(X: Any) -> None:
    """Refuse what is a table, but one whose rows cannot be told."""
    kind = type(X).__name__
    if kind == "LazyFrame":
        raise TypeError("X is a LazyFrame: its values are needed. Use X.collect().")
    if kind.endswith("GroupBy"):
        raise TypeError(
            f"X is a {kind}: read it by Panel.from_long(X, time=..., values=...), with its groups for series."
        )


def _from_array(X: Array, ids: Any = None) -> Panel:
    if X.dtype == object and X.ndim == 1:
        return Panel.from_list(list(X))
    if X.ndim == 0:
        raise TypeError(
            f"X is a {type(X.item()).__name__}, no collection of series; see Panel.from_list and Panel.from_long for "
            "what can be read."
        )
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
        return Panel.from_padded(X, ids=ids)
    if X.ndim != 3:
        raise ValueError(f"X has {X.ndim} dimensions; (n_series, length) or (n_series, length, n_channels) is needed.")
    if X.shape[2] > X.shape[1]:
        warn_transposed(X.shape[2], X.shape[1])
    return Panel.from_padded(X)


def _columns(X: Any) -> tuple[list[str], list[Any]]:
    """Names and columns of a frame of pandas or polars or of a pyarrow table."""
    names = X.column_names if hasattr(X, "column_names") else X.columns
    columns = [X.iloc[:, c] if hasattr(X, "iloc") else X[name] for c, name in enumerate(names)]
    return [str(name) for name in names], columns


def _from_frame(X: Any, cells: bool) -> Panel:
    """A DataFrame of numbers, whose rows are series, or of cells that are series, whose columns are channels."""
    names, columns = _columns(X)
    ids = named_index(X) if hasattr(X, "iloc") else None
    if not _is_table_of_numbers(X, cells):
        values, times, offsets, channel_names = read_cells(columns, names)
        return Panel(values, times, offsets, channel_names=channel_names, ids=ids)
    numbers = []
    for name, column in zip(names, columns, strict=True):
        try:
            numbers.append(as_values(column, f"column {name!r}"))
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{error} A long table, with a row for every observation, is read by Panel.from_long(frame, id=..., "
                "time=..., values=...)."
            ) from None
    return _from_array(np.column_stack(numbers), ids)


def _is_table_of_numbers(X: Any, cells: bool = False) -> bool:
    """Whether the rows of a frame are its series, or else its cells are; nothing is converted.

    With ``cells``, a frame in which there is nothing at all is one of cells.
    """
    names, columns = _columns(X)
    if len(names) == 0 or len(X) == 0:
        raise ValueError(f"X is empty: it has {len(X)} rows (0 sample(s)) and {len(names)} columns (0 feature(s)).")
    nested = [holds_series(column) for column in columns]
    others = [c for c, one in enumerate(nested) if not one]
    if any(nested) or cells:
        others = [c for c in others if not is_empty(columns[c])]
    if any(nested) and others:
        raise TypeError(
            f"Column {names[nested.index(True)]!r} holds series, column {names[others[0]]!r} does not. Send them to "
            "different transformers with a ColumnTransformer."
        )
    if others and getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        raise TypeError(
            "X is a long table with a multi-index: its rows are not its series, so no cross-validation could split it. "
            "Use Panel.from_long(frame.reset_index(), id=..., time=..., values=...)."
        )
    return bool(others)


def _is_table(X: Any, cells: bool = False) -> bool:
    """Whether X is a table of numbers, whose rows are regular series: the one form that scikit-learn knows too."""
    if issparse(X):
        return True  # for scikit-learn to refuse
    if isinstance(X, (Panel, list, tuple, str, bytes, dict)):
        return False
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        return _is_table_of_numbers(X, cells)
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
    _check_kind(X)
    if not isinstance(X, (Panel, list, tuple, str, bytes, dict, np.ndarray)) and not hasattr(X, "to_numpy"):
        X = X if hasattr(X, "columns") or issparse(X) else np.asarray(X)
    cells = not reset and not estimator._fitted_on_table
    table = _is_table(X, cells)
    # scikit-learn's own checks of the names and the number of columns, wherever X has columns that mean what they did
    # in fit; of cells' names first, and of numbers when they are known to be valid.
    panel = check_panel(X) if table else None
    compared = reset or (hasattr(X, "columns") and not table) or (table and estimator._fitted_on_table)
    if compared and hasattr(X, "columns"):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    panel = check_panel(X, cells=cells) if panel is None else panel
    if reset and not table and _is_nested_list(X):
        table = compared = True
    if compared and not hasattr(X, "columns"):
        validate_data(estimator, X if table else None, reset=reset, skip_check_array=True)
    if reset:
        estimator._fitted_on_table = table
        estimator.n_channels_ = panel.n_channels
        estimator.channel_names_ = panel.channel_names
        if not table and not hasattr(X, "columns"):
            estimator.n_features_in_ = panel.n_channels
        return panel
    if not len(panel.values) and panel.channel_names is None:  # which says nothing of channels
        nothing = np.empty((0, estimator.n_channels_), panel.values.dtype)
        panel = Panel(nothing, None, panel.offsets, ids=panel.ids, id_names=panel.id_names)
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
