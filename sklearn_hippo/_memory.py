"""HiPPOMemory: the projection online, in constant memory; memories merge.

What is remembered, and how it evolves, is in _state.py. Here, new observations wait in a buffer until they enter it a
block at a time; and whatever comes in is checked. (Half of these lines are documentation.)
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ._columns import as_times, as_values, in_seconds, refuse_masked
from ._compat import Interval, Registered, StrOptions
from ._machine import threads_of
from ._measures import MEASURES, feature_names, with_memory
from ._projection import INTERPOLATIONS, PASTS, reconstruct
from ._recurrence import EXACT, interpolation_of
from ._state import Evolution, State, inconsistency

Array = NDArray[Any]

_FORMAT = 1  # of to_dict

# What needs no look: a plain number that is no larger than this, at a time below which all integers are floats.
_PLAIN = frozenset((float, int, np.float64))
_LARGE = 2.0**64  # see `_projection.excess`
_LATE = 2.0**53


def _groups(n_waiting: Array) -> list[tuple[int, Any]]:
    """Numbers of waiting observations, and which streams have so many: a slice where all have."""
    first = n_waiting[0]
    if (n_waiting == first).all():
        return [(int(first), slice(None))]
    return [(int(n), np.flatnonzero(n_waiting == n)) for n in np.unique(n_waiting)]


def _check_fit(state: State, streams: Array) -> None:
    """Refuse coefficients that could not be represented."""
    misfit = state.misfit()
    if misfit is not None:
        raise ValueError(
            f"Stream {streams[misfit[0]]}, channel {misfit[1]}: the coefficients are beyond the largest numbers of "
            "float64. Divide the values."
        )


class HiPPOMemory(BaseEstimator):
    r"""Remember signals online, in constant memory, as the coefficients of their projection.

    The state after any number of observations is the projection of the whole history, as `HiPPOTransformer` computes
    it from all of it at once, to rounding, in whatever chunks the observations came. (Under the sliding measures, it
    is the state of the dynamics :math:`c' = A c + B f`, equation (2) of the paper [1]_, solved exactly for the
    interpolated signal; it approaches the projection as the order grows.)

    Parameters
    ----------
    measure : {"legs", "legs_lti", "lagt", "legt", "fout"}, default="legs"
        As in `HiPPOTransformer`.
    order : int, default=16
        Number of coefficients for each channel.
    n_channels : int, default=1
        Channels of a stream share their times; NaN is a value that was not observed.
    n_streams : int, default=1
        Independent streams, with times of their own, which are updated together.
    timescale : float or timedelta, optional
        Length of the window or time constant, in units of the times: seconds, where these are datetimes; a duration of
        Python, NumPy or pandas is one in seconds. Needed by all measures but ``"legs"``.
    interpolation : {"linear", "hold"}, default="linear"
        As in `HiPPOTransformer`.
    past : {"constant", "zero"}, default="constant"
        As in `HiPPOTransformer`: what a channel was before the first time, in windows that reach back so far.
    add_duration : bool, default=False
        Whether `features` ends with the durations.
    channel_names : tuple of str, optional
        For the names of the features; by default x0, x1, ...
    n_jobs : int, optional
        Threads over the streams, as in scikit-learn: None is one, -1 all processors. They help where steps are most of
        the work: many streams, and the sliding measures.

    Attributes
    ----------
    coefficients_ : ndarray of shape (n_streams, n_channels, order)
        NaN for a channel that was not observed yet.
    time_ : ndarray of shape (n_streams,)
        Time of the last observation; NaN before the first.
    n_observations_ : int or ndarray of shape (n_streams,)
        Observations of every stream so far, missing ones included; an array where they are not equally many.

    See Also
    --------
    HiPPOTransformer : The same for series that are there from beginning to end.

    Notes
    -----
    New observations wait in a buffer of about ``order`` of them, so that an update costs O(order) on average. Reading
    the coefficients does not change the memory: it goes on to the same bits whether it was read, pickled or neither.

    References
    ----------
    .. [1] Gu, Dao, Ermon, Rudra, Ré, "HiPPO: Recurrent Memory with Optimal Polynomial Projections", NeurIPS 2020,
       arXiv:2008.07669.

    Examples
    --------
    >>> from sklearn_hippo import HiPPOMemory
    >>> memory = HiPPOMemory(order=3)
    >>> memory.update(1.0, 0.0).update([3.0, 4.0], [1.0, 3.0]).coefficients_.round(3)
    array([[[ 3.   ,  0.77 , -0.248]]])

    Two halves make a whole, the gap between them included:

    >>> later = HiPPOMemory(order=3).update([3.0, 4.0], [1.0, 3.0])
    >>> (HiPPOMemory(order=3).update(1.0, 0.0) + later).coefficients_.round(3)
    array([[[ 3.   ,  0.77 , -0.248]]])
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "measure": [Registered(with_memory)],
        "order": [Interval(Integral, 1, None, closed="left")],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "n_streams": [Interval(Integral, 1, None, closed="left")],
        "timescale": [timedelta, np.timedelta64, Interval(Real, 0, None, closed="neither"), None],
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "past": [StrOptions(set(PASTS))],
        "add_duration": ["boolean"],
        "channel_names": [tuple, list, None],
        "n_jobs": [Integral, None],
    }

    _state: State
    _times: Array  # (n_streams, capacity) of observations that wait to enter the state a block at a time ...
    _values: Array  # (n_streams, capacity, n_channels) ... and their values
    _n_waiting: Array  # (n_streams,) how many of them
    _regular: bool
    _kind: str | None = None  # of the times: numbers, datetimes, timedeltas; None if left out, or not known
    _parameters: dict[str, Any]  # with which the state was made
    _checked: tuple[Any, ...]  # parameters that were found to be these

    def __init__(
        self,
        measure: str = "legs",
        order: int = 16,
        *,
        n_channels: int = 1,
        n_streams: int = 1,
        timescale: float | timedelta | np.timedelta64 | None = None,
        interpolation: str = "linear",
        past: str = "constant",
        add_duration: bool = False,
        channel_names: Sequence[str] | None = None,
        n_jobs: int | None = None,
    ):
        self.measure = measure
        self.order = order
        self.n_channels = n_channels
        self.n_streams = n_streams
        self.timescale = timescale
        self.interpolation = interpolation
        self.past = past
        self.add_duration = add_duration
        self.channel_names = channel_names
        self.n_jobs = n_jobs

    # --- what goes in ---------------------------------------------------------------------------------

    def update(self, values: ArrayLike, times: ArrayLike | None = None, streams: ArrayLike | None = None) -> Self:
        """Remember one or many new observations of every stream, or of some. Several threads may do so.

        Parameters
        ----------
        values : array-like of shape (n_streams, n_new, n_channels)
            Axes of length one may be left out: of a single stream, a single channel, a single new observation. NaN is a
            missing value.
        times : array-like of shape (n_streams, n_new) or (n_new,), optional
            In no decreasing order. Times of shape (n_new,) are those of all streams; for one new observation, times of
            shape (n_streams,) or a scalar will do. Without times, observation k is at time k, from the first update on.
        streams : array-like of int, or of bool of shape (n_streams,), optional
            Which streams the observations are of, each of them once; n_streams is their number then. Others stay as
            they are.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If values or times are not numbers, shapes do not match, a value is infinite, or times are not finite or
            decrease, within the update or against the memory's last time; or if coefficients would be beyond the
            largest numbers. The memory stays as it was.
        """
        with self._lock:
            self._initialize()
            if streams is None and self._enqueue_number(values, times):
                return self
            rows = self._rows(streams)
            new_values, new_times, kind = self._check_update(values, times, rows)
            if new_values.size:
                self._enqueue(rows, new_values, new_times)
                self._regular, self._kind = times is None, kind
        return self

    def _enqueue_number(self, value: Any, time: Any) -> bool:
        """Remember one number of the only channel of the only stream, if it is plain and all is well: the fast path."""
        if type(value) not in _PLAIN or self._values.size != self._values.shape[1]:
            return False
        n = int(self._n_waiting[0])
        before = self._times[0, n - 1] if n else self._state.time[0]
        if time is None:
            if not self._regular:
                return False
            when = self._state.count[0] + n
        elif type(time) not in _PLAIN or not -_LATE <= time <= _LATE or time < before or self._kind != "numbers":
            return False
        else:
            when = time
        if not (-_LARGE < value < _LARGE or value != value):
            return False
        self._values[0, n, 0] = value
        self._times[0, n] = when
        if n + 1 < self._times.shape[1]:
            self._n_waiting[0] = n + 1
        else:
            self._set_state(self._evolution.absorb(self._state, self._times, self._values))
        self._regular = time is None
        return True

    def _enqueue(self, rows: Array, values: Array, times: Array) -> None:
        """Let observations wait, or make room for them by having what waits enter the state."""
        m, capacity = times.shape[1], self._times.shape[1]
        state, n_waiting = self._state, self._n_waiting.copy()
        for n, some in _groups(self._n_waiting[rows]):
            group = some if len(rows) == len(n_waiting) and isinstance(some, slice) else rows[some]
            total = n + m
            if total <= capacity:  # what lies beyond the waiting ones is nobody's
                self._times[group, n:total], self._values[group, n:total] = times[some], values[some]
            # What is large must not wait: it is refused now or not at all.
            if total < capacity and not (np.abs(values[some]) >= _LARGE).any():
                n_waiting[group] = total
                continue
            queue = self._times[group, :total], self._values[group, :total]
            if total > capacity:
                waiting = self._times[group, :n], self._values[group, :n]
                new = times[some], values[some]
                queue = np.concatenate([waiting[0], new[0]], axis=1), np.concatenate([waiting[1], new[1]], axis=1)
            entered = self._evolution.absorb(self._state.take(group), *queue)
            _check_fit(entered, rows[some])
            state, n_waiting[group] = state.put(group, entered), 0
        self._state, self._n_waiting = state, n_waiting

    def _rows(self, streams: ArrayLike | None) -> Array:
        """Numbers of the streams."""
        if streams is None:
            return np.arange(self.n_streams)
        refuse_masked(streams, "streams")
        rows = np.asarray(streams)
        if rows.dtype == bool and rows.shape == (self.n_streams,):
            return np.flatnonzero(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise ValueError(
                f"streams must be the numbers of some streams, or {self.n_streams} truth values, got {rows.dtype} of "
                f"shape {rows.shape}."
            )
        wrong = rows[(rows < 0) | (rows >= self.n_streams)]
        if wrong.size:
            raise ValueError(f"There is no stream {wrong[0]}: there are {self.n_streams}, from 0 on.")
        numbers, times_given = np.unique(rows, return_counts=True)
        if (times_given > 1).any():
            raise ValueError(
                f"Stream {numbers[times_given > 1][0]} is given more than once: give all its new observations together."
            )
        return rows.astype(np.intp)

    def _set_state(self, state: State) -> None:
        """Replace the state by one in which nothing waits any more."""
        _check_fit(state, np.arange(self.n_streams))
        self._state, self._n_waiting = state, np.zeros(self.n_streams, np.intp)

    @classmethod
    def from_chunks(cls, chunks: Iterable[Any], measure: str = "legs", order: int = 16, **parameters: Any) -> Self:
        """Remember a series that comes in pieces: slices of a memory map, row groups of a file, a generator.

        Pieces of one series can also be remembered apart, by other processes or machines, and merged.

        Parameters
        ----------
        chunks : iterable
            Of values or of ``(times, values)``, each in a form that `update` takes, in the order of time.
        measure, order, **parameters
            As in `HiPPOMemory`.

        Returns
        -------
        HiPPOMemory

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_hippo import HiPPOMemory
        >>> signal = np.arange(10.0)
        >>> HiPPOMemory.from_chunks((signal[k : k + 4] for k in range(0, 10, 4)), order=2).coefficients_.round(3)
        array([[[4.5  , 2.598]]])
        """
        memory = cls(measure, order, **parameters)
        for chunk in chunks:
            if isinstance(chunk, tuple):
                memory.update(chunk[1], chunk[0])
            else:
                memory.update(chunk)
        return memory

    @classmethod
    def from_transformer(cls, transformer: Any, n_streams: int = 1) -> Self:
        """Make an empty memory whose `features` are those of a fitted transformer, for what was trained on these.

        Parameters
        ----------
        transformer : HiPPOTransformer
            Fitted. Its measure needs an online form in which the features are the same: ``"legs"``, ``"legs_lti"`` and
            ``"lagt"`` have one, and so has ``method="recurrence"`` with an exact discretization, ``"zoh"`` or
            ``"linear"``, whatever the measure.
        n_streams : int, default=1
            Independent streams.

        Returns
        -------
        HiPPOMemory
            With the measure, order, fitted timescale, interpolation, past, channels and duration of the transformer.

        Raises
        ------
        TypeError
            If it is not a transformer.
        ValueError
            If it is not fitted, its parameters have changed since, or its features have no online form.

        Examples
        --------
        >>> from sklearn_hippo import HiPPOMemory, HiPPOTransformer
        >>> X = [([0.0, 1.0, 3.0], [1.0, 3.0, 4.0]), ([0.0, 2.0], [0.0, 2.0])]
        >>> transformer = HiPPOTransformer("lagt", order=2, add_duration=True).fit(X)
        >>> memory = HiPPOMemory.from_transformer(transformer)
        >>> memory.update([1.0, 3.0, 4.0], [0.0, 1.0, 3.0]).features().round(3)
        array([[2.571, 0.97 , 3.   ]])
        >>> transformer.transform(X[:1]).round(3)
        array([[2.571, 0.97 , 3.   ]])
        """
        if not hasattr(transformer, "discretization") or not hasattr(transformer, "inverse_transform"):
            raise TypeError(
                f"from_transformer takes a fitted HiPPOTransformer, not a {type(transformer).__name__}; of a pipeline "
                "it is a step, such as pipeline[0]."
            )
        transformer._check_parameters()
        measure = MEASURES[transformer.measure]
        interpolation = transformer.interpolation
        if transformer.method == "recurrence":
            interpolation = interpolation_of(transformer.discretization)
            if transformer.discretization not in EXACT:
                raise ValueError(
                    f"A memory solves the dynamics exactly, method='recurrence' with discretization="
                    f"{transformer.discretization!r} does not: train with 'zoh' or 'linear'."
                )
        elif not measure.has_memory:
            raise ValueError(
                f"measure={transformer.measure!r} has no online form: train with 'legs', 'legs_lti' or 'lagt'."
            )
        elif not measure.exact:
            raise ValueError(
                f"The online form of measure={transformer.measure!r} only approaches its projection: train with "
                "method='recurrence' and discretization='linear' or 'zoh', whose features a memory has."
            )
        return cls(
            transformer.measure,
            int(transformer.order),
            n_channels=transformer.n_channels_,
            n_streams=n_streams,
            timescale=transformer.timescale_,
            interpolation=interpolation,
            past=transformer.past,
            add_duration=bool(transformer.add_duration),
            channel_names=transformer.channel_names_,
            n_jobs=transformer.n_jobs,
        )

    def reset(self) -> Self:
        """Forget everything.

        Returns
        -------
        self
        """
        with self._lock:
            self.__dict__.pop("_state", None)
            self.__dict__.pop("_checked", None)
        return self

    def merge(self, other: "HiPPOMemory") -> "HiPPOMemory":
        """Join this memory and one of later observations. ``a + b`` is ``a.merge(b)``.

        Parameters
        ----------
        other : HiPPOMemory
            With the same parameters; its first times must not be before the last times of this one.

        Returns
        -------
        HiPPOMemory
            A new memory, as if it had seen all observations: the gap is interpolated like any other.

        Raises
        ------
        ValueError
            If the parameters differ, the memories overlap in time, or coefficients would be beyond the largest numbers.
            Both memories stay as they were.
        """
        if not isinstance(other, HiPPOMemory):
            raise TypeError(f"A HiPPOMemory merges with another one, not with a {type(other).__name__}.")
        left, right = self._settled(), other._settled()
        mine, others = self._parameters, other._parameters
        different = [name for name in mine if name not in others or mine[name] != others[name]]
        if different:
            told = ", ".join(f"{name}={mine[name]!r} and {others.get(name)!r}" for name in different)
            raise ValueError(f"Only memories with the same parameters merge; these have {told}.")
        if self._kind and other._kind and self._kind != other._kind:
            raise ValueError(f"The times of these memories are of different kinds: {self._kind} and {other._kind}.")
        if (right.heads[:, 0] < left.time).any():
            stream = int(np.flatnonzero(right.heads[:, 0] < left.time)[0])
            raise ValueError(
                f"Stream {stream}: the memories overlap: the first ends at {left.time[stream]}, the second begins at "
                f"{right.heads[stream, 0]}. Merge them in the order of time."
            )
        merged = HiPPOMemory(**self.get_params())
        merged._initialize()
        merged._set_state(merged._evolution.merge(left, right))
        both = left.count.any() and right.count.any()
        merged._regular = not both and (self if left.count.any() else other)._regular
        merged._kind = self._kind or other._kind
        return merged

    def __add__(self, other: Any) -> "HiPPOMemory":
        return self.merge(other) if isinstance(other, HiPPOMemory) else NotImplemented

    # --- what comes out -------------------------------------------------------------------------------

    @property
    def coefficients_(self) -> Array:
        """Coefficients of the history, shape (n_streams, n_channels, order)."""
        return np.ascontiguousarray(self._evolution.read(self._seen())[..., : self.order])

    def features(self) -> Array:
        """The histories as a table with a row for every stream, as `HiPPOTransformer.transform` makes it of series.

        Returns
        -------
        ndarray of shape (n_streams, n_channels * order [+ 1])
            The coefficients, channel by channel; then the durations, with ``add_duration``. NaN for a channel that was
            not observed yet, whose stream lasts for 0 if none was.

        Raises
        ------
        ValueError
            If nothing was observed yet.
        """
        state, evolution = self._seen(), self._evolution
        coefficients = evolution.read(state)[..., : self.order].reshape(self.n_streams, -1)
        if not self.add_duration:
            return np.ascontiguousarray(coefficients)
        start, stop = evolution.span(state)
        observed = ~np.isnan(state.last_time).all(axis=1)
        return np.column_stack([coefficients, np.where(observed, stop - start, 0.0)])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the features: ``<channel>__<measure>_c<n>``, and ``duration``.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the channels; by default ``channel_names``, or x0, x1, ...

        Returns
        -------
        ndarray of str
        """
        refuse_masked(input_features, "input_features")
        names = self.channel_names if input_features is None else [str(name) for name in np.asarray(input_features)]
        if names is None:
            names = [f"x{c}" for c in range(self.n_channels)]
        if len(names) != self.n_channels:
            raise ValueError(f"There are {len(names)} names for {self.n_channels} channels.")
        return feature_names(names, self.measure, self.order, self.add_duration)

    @property
    def time_(self) -> Array:
        """Times of the last observations, shape (n_streams,)."""
        return self._seen().time.copy()

    @property
    def n_observations_(self) -> int | Array:
        """Number of observations of every stream."""
        with self._lock:
            if not hasattr(self, "_state"):
                return 0
            count = self._state.count + self._n_waiting
            return int(count[0]) if (count == count[0]).all() else count

    def reconstruct(self, times: ArrayLike) -> Array:
        """Evaluate what is remembered.

        Parameters
        ----------
        times : array-like of shape (n_times,) or (n_streams, n_times)
            Numbers, datetimes or timedeltas, as in `update`.

        Returns
        -------
        ndarray of shape (n_streams, n_times, n_channels)
            NaN outside of the history, whatever ``past`` says was before, and where a sliding window does not reach.

        Raises
        ------
        ValueError
            If nothing was observed yet, or times do not match.
        """
        state = self._seen()
        when = as_times(times, "times")[0]
        if when.ndim == 0 or when.ndim > 2 or (when.ndim == 2 and len(when) != self.n_streams):
            raise ValueError(f"times must have shape (n_times,) or ({self.n_streams}, n_times), got {when.shape}.")
        when = np.ascontiguousarray(np.broadcast_to(when, (self.n_streams, when.shape[-1])))
        offsets = when.shape[1] * np.arange(self.n_streams + 1)
        start, stop = self._evolution.span(state)
        values = reconstruct(
            self._evolution.read(state)[..., : self.order],
            self._evolution.measure,
            when.ravel(),
            offsets,
            start,
            stop,
            timescale=self._evolution.timescale,
        )
        values = values.reshape(self.n_streams, -1, self.n_channels)
        values[(when < start[:, None]) | (when > stop[:, None])] = np.nan
        return values

    def to_dict(self) -> dict[str, Array]:
        """Everything that the memory is, as arrays of numbers and strings, for storage without pickle.

        Returns
        -------
        dict of str to ndarray
            ``np.savez(path, **memory.to_dict())`` stores it, and ``HiPPOMemory.from_dict(np.load(path))`` restores it
            to the same bits; so does JSON of their ``tolist()``. ``format`` is the version of the format, ``param_*``
            are the parameters, ``state_*`` is the state: ``count`` observations of each stream, ``heads`` their first
            time and the first one after it, ``time`` their last, ``first_time``, ``first_value``, ``last_time`` and
            ``last_value`` a channel's own first and last observation, ``core`` the coefficients of what lies between.
            ``waiting_times`` and ``waiting_values`` are observations that have not entered it yet, with NaN behind
            those of a stream that has fewer of them than others; ``regular`` tells whether the times were left out.
        """
        with self._lock:
            self._initialize()
            state, regular, (waiting_times, waiting_values) = self._state, self._regular, self._queue()
        stored = {"format": _FORMAT, **{f"param_{k}": v for k, v in self.get_params().items() if v is not None}}
        if self.timescale is not None:
            stored["param_timescale"] = in_seconds(self.timescale)
        stored |= {f"state_{field.name}": getattr(state, field.name) for field in fields(State)}
        stored |= {"waiting_times": waiting_times, "waiting_values": waiting_values, "regular": regular}
        return {name: np.array(value) for name, value in stored.items()}

    @classmethod
    def from_dict(cls, stored: Any) -> Self:
        """Restore a memory from what `to_dict` made.

        Parameters
        ----------
        stored : mapping of str to array-like

        Returns
        -------
        HiPPOMemory

        Raises
        ------
        ValueError
            If it is not from `to_dict`, or from a later version; the message names the entry.
        """
        try:
            for name in stored:  # np.array forgets a mask
                if np.ma.is_masked(stored[name]):
                    raise ValueError(f"{name} has masked entries; fill them, or store the memory again.")
            stored = {name: np.array(stored[name]) for name in stored}
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError(f"This is not a memory, which is a mapping of names to arrays: {error}") from None
        if (
            "format" not in stored
            or stored["format"].ndim
            or stored["format"].dtype.kind not in "iu"
            or (stored["format"] != _FORMAT)
        ):
            raise ValueError(f"This is not a memory in format {_FORMAT}, which HiPPOMemory.to_dict writes.")
        known = {"format", "waiting_times", "waiting_values", "regular"}
        known |= {f"param_{name}" for name in cls().get_params()} | {f"state_{field.name}" for field in fields(State)}
        for name in sorted(known - stored.keys() - {"param_timescale", "param_channel_names", "param_n_jobs"}):
            raise ValueError(f"This is not a complete memory: it lacks the entry {name!r}.")
        for name in sorted(stored.keys() - known):
            raise ValueError(f"This is not a complete memory, but has the unknown entry {name!r}.")
        single = {"regular", *(name for name in known if "param" in name)} - {"param_channel_names"}
        for name in known & stored.keys() & single:
            if stored[name].ndim:
                raise ValueError(f"{name} has shape {stored[name].shape}, not ().")
        parameters = {k.removeprefix("param_"): v.tolist() for k, v in stored.items() if k.startswith("param_")}
        for name, value in parameters.items():
            if isinstance(value, bool) and name != "add_duration":
                raise ValueError(f"param_{name} must be no truth value, got {value}.")
        core, wanted = stored["state_core"].shape, [parameters[name] for name in ("n_streams", "n_channels", "order")]
        if (
            all(isinstance(size, int) for size in wanted)
            and not (  # before anything is made of this size
                len(core) == 3 and list(core[:2]) == wanted[:2] and wanted[2] <= core[2] <= wanted[2] + 1
            )
        ):
            raise ValueError(
                f"state_core has shape {core}, not that of param_n_streams={wanted[0]}, param_n_channels={wanted[1]}, "
                f"param_order={wanted[2]}."
            )
        if "channel_names" in parameters:
            names = parameters["channel_names"]
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError(f"param_channel_names must be names, got {names!r}.")
            parameters["channel_names"] = tuple(names)
        memory = cls(**parameters)
        memory._initialize()
        for name in (f"state_{field.name}" for field in fields(State) if field.name != "count"):
            shape = np.shape(getattr(memory._state, name.removeprefix("state_")))
            if stored[name].dtype.kind not in "fiu":
                raise ValueError(f"{name} must hold numbers, got dtype {stored[name].dtype}.")
            if stored[name].shape != shape:
                raise ValueError(f"{name} has shape {stored[name].shape}, not {shape}.")
        count, regular = stored["state_count"], stored["regular"]
        if count.dtype.kind not in "iu" or count.shape != (memory.n_streams,) or ((count < 0) | (count >= 2**53)).any():
            raise ValueError(f"state_count must be a number of observations for each stream, got {count.tolist()!r}.")
        if regular.dtype.kind != "b":
            raise ValueError(f"regular must be true or false, got {regular.item()!r}.")
        floats = {k.removeprefix("state_"): v.astype(np.float64) for k, v in stored.items() if k.startswith("state_")}
        state = State(**(floats | {"count": count.astype(np.int64)}))
        inconsistent = inconsistency(state)
        if inconsistent is not None:
            raise ValueError(f"state_{inconsistent[0]} {inconsistent[1]}.")
        if regular and ((state.time != state.count - 1) & (state.count > 0)).any():
            raise ValueError("regular is true, but state_time is not that of the last of state_count observations.")
        memory._state, memory._regular = state, bool(regular)
        values, times = stored["waiting_values"], stored["waiting_times"]
        shape = (memory.n_streams, times.shape[1] if times.ndim == 2 else -1)
        if values.dtype.kind not in "fiu" or times.dtype.kind not in "fiu":
            raise ValueError(
                f"waiting_times and waiting_values must hold numbers, got {times.dtype} and {values.dtype}."
            )
        if values.size or times.size:
            try:
                if times.shape != shape or values.shape != (*shape, memory.n_channels):
                    raise ValueError(f"their shapes are {times.shape} and {values.shape}.")
                times = times.astype(np.float64)
                behind = np.isnan(times)
                own = state.count[:, None] + np.arange(shape[1])
                if regular and (times != own)[~behind].any():
                    raise ValueError("regular is true, but waiting_times do not go on with state_count.")
                if (behind[:, :-1] & ~behind[:, 1:]).any() or not np.isnan(values[behind]).all() or behind.all(0).any():
                    raise ValueError("a time is NaN, and it is not behind all observations of its stream.")
                for n, some in _groups((~np.isnan(times)).sum(axis=1)):
                    memory.update(values[some, :n], times[some, :n], np.arange(memory.n_streams)[some])
            except ValueError as error:
                raise ValueError(f"waiting_times and waiting_values do not fit: {error}") from None
        memory._regular, memory._kind = bool(regular), None
        return memory

    # --- inside ---------------------------------------------------------------------------------------

    @property
    def _evolution(self) -> Evolution:
        measure = MEASURES[self.measure]
        timescale = in_seconds(self.timescale) if measure.has_timescale else None
        return Evolution(measure, timescale, self.interpolation, self.past, threads_of(self.n_jobs))

    def _initialize(self) -> None:
        """Check the parameters and make an empty state, before the first use."""
        parameters = (
            self.measure, self.order, self.n_channels, self.n_streams, self.timescale, self.interpolation, self.past,
            self.add_duration, self.channel_names, self.n_jobs,
        )  # fmt: skip
        if self.__dict__.get("_checked") == parameters:
            return
        if hasattr(self, "_state"):
            changed = [name for name, value in self._used_parameters().items() if value != self._parameters.get(name)]
            if not changed:
                self._checked = parameters
                return
            if np.any(self.n_observations_):
                raise ValueError(f"{changed[0]!r} has changed since the first update; reset() forgets the old state.")
        self._validate_params()
        threads_of(self.n_jobs)  # raises for 0
        if MEASURES[self.measure].has_timescale and self.timescale is None:
            raise ValueError(f"measure={self.measure!r} needs a timescale, in units of the times.")
        if self.channel_names is not None and len(self.channel_names) != self.n_channels:
            raise ValueError(f"channel_names has {len(self.channel_names)} names for {self.n_channels} channels.")
        state = State.empty(self.n_streams, self.n_channels, self._evolution.size(self.order))
        nothing = np.empty((self.n_streams, 0)), np.empty((self.n_streams, 0, self.n_channels))
        self._make_room(*nothing, np.zeros(self.n_streams, np.intp))
        self._regular, self._kind = True, None
        self._parameters = self._used_parameters()
        self._state, self._checked = state, parameters

    def _make_room(self, times: Array, values: Array, n_waiting: Array) -> None:
        """Make the buffer, in which these observations wait."""
        n, capacity = times.shape[1], max(32, int(self.order))
        self._times, self._values = np.empty((len(times), capacity)), np.empty((len(times), capacity, values.shape[2]))
        self._times[:, :n], self._values[:, :n], self._n_waiting = times, values, n_waiting

    def _used_parameters(self) -> dict[str, Any]:
        """The parameters of the state: without threads, nor a timescale and a past that the measure does not have."""
        parameters = self.get_params()
        del parameters["n_jobs"]
        parameters["timescale"] = in_seconds(self.timescale)
        if self.channel_names is not None:
            parameters["channel_names"] = tuple(self.channel_names)
        if not MEASURES[self.measure].has_timescale:
            del parameters["timescale"], parameters["past"]
        return parameters

    def _queue(self) -> tuple[Array, Array]:
        """Times (s, m) and values (s, m, c) of the observations that wait for their block: copies, filled with NaN."""
        n = int(self._n_waiting.max())
        times, values = self._times[:, :n].copy(), self._values[:, :n].copy()
        beyond = np.arange(n) >= self._n_waiting[:, None]
        times[beyond], values[beyond] = np.nan, np.nan
        return times, values

    def _settled(self) -> State:
        """The state with the waiting observations in it; the memory itself does not change."""
        with self._lock:
            self._initialize()  # have the parameters changed?
            state, n_waiting, (times, values) = self._state, self._n_waiting.copy(), self._queue()
        settled = state
        for n, some in _groups(n_waiting):
            settled = settled.put(some, self._evolution.absorb(state.take(some), times[some, :n], values[some, :n]))
        return settled

    def _seen(self) -> State:
        if not np.any(self.n_observations_):
            raise NotFittedError("This memory has not seen any observations: call update first.")
        return self._settled()

    @property
    def _lock(self) -> Any:
        lock = self.__dict__.get("_own_lock")
        return self.__dict__.setdefault("_own_lock", threading.RLock()) if lock is None else lock

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            left_out = ("_own_lock", "_checked")
            state = {name: value for name, value in super().__getstate__().items() if name not in left_out}
            if "_times" in state:
                (state["_times"], state["_values"]), state["_n_waiting"] = self._queue(), self._n_waiting.copy()
            return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_times" in state:
            self._make_room(state["_times"], state["_values"], state["_n_waiting"])

    def _check_update(self, values: ArrayLike, times: ArrayLike | None, rows: Array) -> tuple[Array, Array, str | None]:
        """Values (s, n_new, n_channels) and times (s, n_new) of these streams, all valid, and the kind of the times."""
        s, c, kind = len(rows), self.n_channels, self._kind
        names = list(getattr(values, "columns", ()))
        named = self.channel_names is not None and any(isinstance(name, str) for name in names)
        if self.channel_names is not None and named and names != list(self.channel_names):
            raise ValueError(
                f"values have the channels {names}, but this memory has {list(self.channel_names)}. Give the same "
                "channels in the same order."
            )
        x = as_values(values, "values").astype(np.float64, copy=False)
        given = x.shape
        if x.ndim == 1 and x.size == 0:
            x = x.reshape(s, 0, c)
        if s == 1 and not (x.ndim == 3 and x.shape[0] == 1) and not (c == 1 and x.ndim == 2 and x.shape[0] == 1):
            x = x[None]
        if c == 1 and (x.ndim < 3 or x.shape[-1] != 1):
            x = x[..., None]
        if x.ndim == 2 and x.shape == (s, c):
            x = x[:, None]
        if x.ndim != 3 or x.shape[0] != s or x.shape[2] != c:
            raise ValueError(f"values must have shape ({s} streams, n_new, {c} channels), got {given}.")
        m, count = x.shape[1], (self._state.count + self._n_waiting)
        if np.isinf(x).any():
            stream, position, channel = np.argwhere(np.isinf(x))[0]
            raise ValueError(
                f"Stream {rows[stream]}, channel {channel}: infinite value at position {position} of the update."
            )
        if times is None:
            if not self._regular and count.any():
                raise ValueError("This memory has times of its own: give the times of the new observations.")
            t = count[rows][:, None] + np.arange(m, dtype=np.float64)
        else:
            try:
                t, kind = as_times(times, "times")
            except TypeError as error:
                raise ValueError(str(error)) from None
            if self._kind not in (None, kind):
                raise ValueError(f"times are of another kind ({kind}) than those of the memory so far ({self._kind}).")
            if t.shape == (s,) and m == 1:
                t = t[:, None]
            if t.shape not in ((), (m,), (s, m)) or (t.shape == () and m != 1):
                raise ValueError(f"times must have shape ({m},) or ({s}, {m}) for these values, got {t.shape}.")
            t = t if t.shape == (s, m) else np.broadcast_to(t, (s, m))
            if not np.isfinite(t).all():
                stream, position = np.argwhere(~np.isfinite(t))[0]
                raise ValueError(f"Stream {rows[stream]}: the time at position {position} is {t[stream, position]}.")
        if m:
            n = self._n_waiting[rows]  # before the first observation, the time is NaN
            before = np.where(n > 0, self._times[rows, n - 1], self._state.time[rows])
            wrong = (t[:, 0] < before).any() or (t[:, 1:] < t[:, :-1]).any()
            if wrong:
                steps = np.diff(t, axis=1, prepend=np.where(np.isnan(before), t[:, 0], before)[:, None])
                stream, position = np.argwhere(steps < 0)[0]
                last = before[stream] if position == 0 else t[stream, position - 1]
                raise ValueError(
                    f"Stream {rows[stream]}: times decrease at position {position} of the update, from {last} to "
                    f"{t[stream, position]}. A memory goes forward only; merge memories of other times."
                )
        return x, t, kind
