"""Panel: the one container in which series travel. What it is made of, and made into, is in _conversions.py.

(A third of these lines is documentation.)
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._columns import all_finite, as_elapsed, as_times, as_values, capital, names_in, refuse_masked
from ._conversions import Conversions
from ._ids import as_ids, called_series

Array = NDArray[Any]

_PARTS = ("values", "times", "offsets", "channel_names", "ids", "id_names")


class Panel(Conversions):
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
        refuse_masked(offsets, "offsets")
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
                f"{self._called(some[long[0]])} lasts so long that float64 has no room for sums of its times. Choose "
                "another unit of time."
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
        return capital(called_series(series, self.ids, self.id_names))

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

    def replace(self, **changes: Any) -> Self:
        """Make a panel in which some parts are others, and the rest as it is.

        Parameters
        ----------
        **changes
            ``values``, ``times``, ``offsets``, ``channel_names``, ``ids`` or ``id_names``, as in `Panel`. Other ids
            have no names unless these are given as well.

        Returns
        -------
        Panel

        Raises
        ------
        TypeError
            For any other keyword.
        ValueError, TypeError
            As `Panel` does.

        Examples
        --------
        >>> from sklearn_hippo import Panel
        >>> celsius = Panel.from_list([[36.8, 37.1], [38.2]], channel_names=["temperature"], ids=["Ada", "Ben"])
        >>> celsius.replace(values=1.8 * celsius.values + 32).values[:, 0].round(1), celsius.replace(ids=None).ids
        (array([ 98.2,  98.8, 100.8]), None)
        """
        parts = {name: getattr(self, name) for name in _PARTS}
        unknown = sorted(changes.keys() - parts.keys())
        if unknown:
            raise TypeError(f"A Panel has no {unknown[0]!r} to replace, but {', '.join(_PARTS)}.")
        if "ids" in changes and "id_names" not in changes:
            changes["id_names"] = None
        return type(self)(**parts | changes)

    def __eq__(self, other: object) -> bool:
        """Whether another panel has the same series: values (NaN where NaN), times, names of channels, ids."""
        if not isinstance(other, Panel):
            return NotImplemented
        alike = all(getattr(self, name) == getattr(other, name) for name in ("channel_names", "id_names"))
        mine, others = ((panel._own_times, panel.values, panel.offsets) for panel in (self, other))
        if not alike or any(a.shape != b.shape for a, b in zip(mine, others, strict=True)):
            return False
        ids = (None if panel.ids is None else list(panel.ids) for panel in (self, other))
        if next(ids) != next(ids):
            return False
        return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(mine, others, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it is as large as its arrays

    @classmethod
    def concat(cls, panels: Iterable[Any]) -> Self:
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
        wrong = [type(panel).__name__ for panel in panels if not isinstance(panel, Panel)]
        if wrong or not panels:
            raise TypeError(f"Panel.concat takes a sequence of panels, got {wrong[0] if wrong else 'an empty one'}.")
        for what in ("n_channels", "channel_names", "id_names"):
            for i, panel in enumerate(panels):
                if getattr(panel, what) != getattr(panels[0], what):
                    raise ValueError(
                        f"Panel {i} has {what}={getattr(panel, what)!r}, panel 0 has {getattr(panels[0], what)!r}. "
                        "Give all panels the same channels and ids of the same names."
                    )
        known = [panel.ids is not None for panel in panels]
        if any(known) and not all(known):
            raise ValueError(
                f"Panel {known.index(False)} has no ids, panel {known.index(True)} has. Give all of them ids."
            )
        timed = any(panel.times is not None for panel in panels)
        return cls(
            np.concatenate([panel.values for panel in panels]),
            np.concatenate([own_times(panel) for panel in panels]) if timed else None,
            np.concatenate([[0], np.cumsum(np.concatenate([panel.lengths for panel in panels]))]),
            channel_names=panels[0].channel_names,
            ids=_joined([panel.ids for panel in panels if panel.ids is not None]) if known[0] else None,
            id_names=panels[0].id_names,
        )

    def until(self, elapsed: Any) -> "Panel":
        """Make a panel of what the series are some time after their first observation.

        Parameters
        ----------
        elapsed : float, timedelta or array-like of shape (n_series,)
            In units of the times, from zero on; a duration is one in seconds.

        Returns
        -------
        Panel

        Raises
        ------
        ValueError
            For times of another number than the series, or that are negative or no numbers.
        TypeError
            For datetimes.

        Examples
        --------
        >>> from sklearn_hippo import Panel
        >>> Panel.from_list([([5.0, 5.5, 7.0], [1.0, 2.0, 3.0]), ([0.0, 1.0], [4.0, 5.0])]).until(1.0).lengths
        array([2, 2])
        """
        refuse_masked(elapsed, "elapsed")
        limit = as_elapsed(elapsed, "elapsed")
        if limit.shape not in ((), (len(self),)) or not (limit >= 0).all():
            raise ValueError(
                f"elapsed must be one time from zero on, or {len(self)}, one for each series; got {elapsed!r}."
            )
        kept = self._elapsed <= np.repeat(np.broadcast_to(limit, len(self)), self.lengths)
        if kept.all():
            return self
        times = None if self.times is None else self.times[kept]
        return self._select(self.values[kept], times, np.concatenate([[0], np.cumsum(kept)])[self.offsets], slice(None))

    @property
    def _elapsed(self) -> Array:
        """Of every observation, the time since the first one of its series."""
        some, times = self.lengths > 0, self._own_times
        return times - np.repeat(times[self.offsets[:-1][some]], self.lengths[some])

    @property
    def _spans(self) -> Array:
        """Times from the first to the last row of the series, also where nothing was observed in it."""
        spans = np.zeros(len(self))
        spans[self.lengths > 0] = self._elapsed[self.offsets[1:][self.lengths > 0] - 1]
        return spans

    @property
    def _own_times(self) -> Array:
        """Times of all observations, also where they are implicit."""
        if self.times is not None:
            return self.times
        return np.arange(len(self.values), dtype=np.float64) - np.repeat(self.offsets[:-1], self.lengths)

    @property
    def _id_width(self) -> int:
        """Of how many parts an id is, if it is a tuple; else 0."""
        first = self.ids[0] if self.ids is not None and len(self) else None
        return len(first) if isinstance(first, tuple) else 0


def own_times(panel: Panel) -> Array:
    """Times of all observations, also where the panel leaves them implicit."""
    return panel._own_times


def merge_stamps(panel: Panel, *, unobserved: bool = True) -> Panel:
    """Make one observation of those of one stamp: of each channel, the last one that is not missing.

    Without ``unobserved``, a series in which nothing was observed has no stamps.
    """
    kept = np.ones(len(panel.values), bool) if unobserved else np.repeat(panel._observed, panel.lengths)
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
    kinds = {item.dtype.kind for item in ids}
    return np.concatenate([item if len(kinds) == 1 else item.astype(object) for item in ids])


def _as_indices(key: Any, n_series: int) -> NDArray[np.intp]:
    refuse_masked(key, "the index")
    indices = np.asarray(key)
    if indices.dtype == bool:
        if indices.shape != (n_series,):
            raise IndexError(f"A mask for this panel has shape ({n_series},), got {indices.shape}.")
        return np.flatnonzero(indices)
    if indices.size == 0:
        indices = indices.astype(np.intp)
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        raise IndexError(
            "A Panel is indexed by an integer, a slice, a boolean mask or a one-dimensional integer array. The mask "
            "of an id is panel.ids == id."
        )
    wrong = np.flatnonzero((indices < -n_series) | (indices >= n_series))
    if len(wrong):
        raise IndexError(f"Index {indices[wrong[0]]} is out of bounds for a panel of {n_series} series.")
    return np.where(indices < 0, indices + n_series, indices).astype(np.intp)
