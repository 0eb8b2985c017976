"""Conversions: what a panel is made of, and made into. `Panel` has them; how they are read is in _reading.py."""

from collections.abc import Iterable, Sequence
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar

from ._columns import as_values
from ._ids import as_ids, called_series, named_index
from ._interop import read_aeon, read_pyrregular, to_aeon
from ._long import read_long
from ._reading import read_list, read_padded

Array = NDArray[Any]


class Conversions:
    """The readers and writers of `Panel`."""

    if TYPE_CHECKING:
        values: Array
        channel_names: tuple[str, ...] | None
        ids: Array | None
        id_names: tuple[str, ...] | None

        def __init__(self, *parts: Any, **names: Any): ...
        @property
        def n_channels(self) -> int: ...
        @property
        def lengths(self) -> NDArray[np.intp]: ...
        @property
        def _own_times(self) -> Array: ...
        @property
        def _id_width(self) -> int: ...
        def __len__(self) -> int: ...
        def __iter__(self) -> Any: ...

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
        name = called_series
        if ids is not None:
            own, names = as_ids(ids, len(series), id_names)
            name = partial(called_series, ids=own, names=names)
        values, times, offsets, names = read_list(series, name)
        return cls(values, times, offsets, channel_names=channel_names or names, ids=ids, id_names=id_names)

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
        block, times, offsets, names, ids, keys = read_long(frame, id, time, values, channel, channels)
        return cls(block, times, offsets, channel_names=names, ids=ids, id_names=keys)

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
        return cls(*read_aeon(X)[:3], channel_names=channel_names)

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
        (values, times, offsets, names), ids = read_pyrregular(data)
        return cls(values, times, offsets, channel_names=names, ids=ids, id_names=None if ids is None else "ts_id")

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
        if ids is None and hasattr(X, "iloc"):
            ids = named_index(X)
        values, times, offsets, _ = read_padded(X, lengths, time_channel)
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
        return to_aeon(self)

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

    def to_ids(self, *, id: str | None = None) -> dict[str, Array]:
        """Make the columns of ids, with a row for every series, for predictions to be joined to a table by them.

        Parameters
        ----------
        id : str, optional
            As in `to_long`.

        Returns
        -------
        dict of str to ndarray of shape (n_series,)

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_hippo import Panel
        >>> beds = pd.DataFrame({"ward": ["A", "A", "B"], "bed": [1, 2, 1], "age": [70, 44, 58]})
        >>> panel = Panel.from_list([[1.0], [2.0]], ids=[("B", 1), ("A", 1)], id_names=["ward", "bed"])
        >>> risk = pd.DataFrame(panel.to_ids() | {"risk": [0.8, 0.1]})  # say, model.predict_proba(panel)[:, 1]
        >>> beds.merge(risk, how="left")["risk"].tolist()
        [0.1, nan, 0.8]
        """
        ids: Array = np.arange(len(self)) if self.ids is None else self.ids
        keys = list(self.id_names or ["series"]) if id is None else [id]
        parts = list(zip(*ids, strict=True)) if self._id_width else [ids] * (1 if len(self) else len(keys))
        if len(keys) < len(parts):
            keys = [f"{keys[0]}_{k}" for k in range(len(parts))] if id is not None or not self.id_names else keys
        return {name: np.array(part) for name, part in zip(keys, parts, strict=True)}

    def to_long(self, *, id: str | None = None, time: str = "time", datetimes: bool = False) -> dict[str, Array]:
        """Make the columns of a long table, with a row for every observation.

        Parameters
        ----------
        id : str, optional
            Name of the column that tells the series: their ids, or their positions if they have none. By default the
            panel's own name of its ids, or ``"series"``. Ids of several parts become several columns, named
            ``id_names`` or ``<id>_0``, ``<id>_1``, ...
        time : str
            Name of the column of times.
        datetimes : bool, default=False
            Whether times, which are seconds since 1970 then, become datetimes again: in UTC, to the microsecond, which
            is what float64 keeps of them.

        Returns
        -------
        dict of str to ndarray of shape (n_observations,)
            Which ``pandas.DataFrame``, ``polars.DataFrame`` and ``pyarrow.table`` all take.

        Raises
        ------
        ValueError
            If columns would have the same name, or times are no datetimes.
        """
        ids, times = self.to_ids(id=id), self._own_times
        names = self.channel_names or [f"x{c}" for c in range(self.n_channels)]
        if len({*ids, time, *names}) < len(ids) + 1 + len(names):
            raise ValueError(
                f"Two of the columns {list(ids)}, {time!r} and {list(names)} have the same name: choose others for id "
                "and time."
            )
        if datetimes:
            if np.abs(times).max(initial=0) > 253402300799:
                raise ValueError("These times are no datetimes: as seconds since 1970, they are beyond the year 9999.")
            times = np.rint(1e6 * times).astype("datetime64[us]")
        columns = {name: np.repeat(part, self.lengths) for name, part in ids.items()}
        return columns | {time: times} | dict(zip(names, self.values.T, strict=True))
