"""The transformer for river: features of every history so far, one event at a time.

Needs river: ``pip install "sklearn-hippo[river]"``.
"""

from collections.abc import Hashable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import isnan, nan
from numbers import Real
from typing import Any

import numpy as np

from ._columns import as_times, capital, is_none, names_in
from ._ids import called
from ._measures import feature_names
from ._memory import HiPPOMemory

try:
    from river.base import Transformer
except ModuleNotFoundError as error:
    if error.name != "river":
        raise
    raise ImportError('sklearn_hippo.river needs river: pip install "sklearn-hippo[river]"') from error

__all__ = ["HiPPOFeatures"]

_LARGEST = 2.0**1000  # of values and times: what can be remembered

# River's checks that leave out keys of x at random: a clock and an id may not be missing.
_LEAVE_OUT = {"check_emerging_features", "check_disappearing_features", "check_radically_disappearing_features"}


@dataclass
class _Series:
    """What is remembered of one id."""

    memory: HiPPOMemory
    channels: dict[Hashable, int] = field(default_factory=dict)  # in the order in which they appeared
    last: float = nan
    count: int = 0

    def __copy__(self) -> "_Series":
        return replace(self, memory=copy(self.memory), channels=self.channels.copy())

    def update(self, when: float, values: dict[Hashable, float]) -> None:
        for name in values:
            self.channels.setdefault(name, len(self.channels))
        if len(self.channels) > self.memory.n_channels:
            self.memory = _wider(self.memory, len(self.channels))
        row = [nan] * self.memory.n_channels
        for name, value in values.items():
            row[self.channels[name]] = value
        self.memory.update(row if len(row) > 1 else row[0], when)
        self.last, self.count = when, self.count + 1


class HiPPOFeatures(Transformer):
    """Remember the history of every id, in constant memory, as the coefficients of its projection.

    `HiPPOMemory` for river. An event is a dict: its time and the id of its series are under keys that parameters name,
    its other keys are channels, which may come and go. The features of a history are those that `HiPPOTransformer`
    makes of it as a whole, to rounding. (Those of ``"legt"`` and ``"fout"`` are the ones with ``method="recurrence"``.)

    Parameters
    ----------
    measure : {"legs", "legs_lti", "lagt", "legt", "fout"}, default="legs"
        As in `HiPPOTransformer`.
    order : int, default=16
        Number of coefficients for each channel.
    timescale : float or timedelta, optional
        Length of the window or time constant, in units of the times: seconds, where these are datetimes. Needed by all
        measures but ``"legs"``.
    time : str, optional
        Key of the clock time, which every event has: a number, a datetime or a timedelta. By default the observations
        of an id are at 0, 1, 2, ...
    id : str, optional
        Key that tells whose an event is; by default all events are of one series.
    channels : str or sequence of str, optional
        Keys of the channels; others are left alone. By default all keys but those of time and id. A value that is None,
        NaN or absent was not observed.
    interpolation : {"linear", "hold"}, default="linear"
        As in `HiPPOTransformer`.
    past : {"constant", "zero"}, default="constant"
        As in `HiPPOTransformer`.
    add_duration : bool, default=False
        Whether there is a feature ``duration``.

    See Also
    --------
    sklearn_hippo.MemoryBank : For many events at a time, and late ones, after a fitted transformer.

    Notes
    -----
    With a clock, the features of an event are those of the history up to it, whether it was learned already or not: a
    pipeline predicts from what it learns from. (An event that was learned may come again, which changes nothing.)
    Without one, the features are those of what was learned, as of river's own transformers; inside of
    ``compose.learn_during_predict()`` this makes no difference.

    The state of an id is of fixed size, and is kept for ever. A channel that was not observed yet has no features.

    Examples
    --------
    >>> from river import linear_model, preprocessing
    >>> from sklearn_hippo.river import HiPPOFeatures
    >>> features = HiPPOFeatures(order=2, time="t", id="who")
    >>> for x in ({"t": 0.0, "who": "a", "x": 1.0}, {"t": 0.0, "who": "b", "x": 5.0}, {"t": 1.0, "who": "a", "x": 3.0}):
    ...     features.learn_one(x)
    >>> {name: round(c, 3) for name, c in features.transform_one({"t": 3.0, "who": "a", "x": 4.0}).items()}
    {'x__legs_c0': 3.0, 'x__legs_c1': 0.77}
    >>> model = features | preprocessing.StandardScaler() | linear_model.LogisticRegression()
    """

    def __init__(
        self,
        measure: str = "legs",
        order: int = 16,
        *,
        timescale: float | timedelta | None = None,
        time: Hashable | None = None,
        id: Hashable | None = None,
        channels: Sequence[Hashable] | None = None,
        interpolation: str = "linear",
        past: str = "constant",
        add_duration: bool = False,
    ):
        self.measure = measure
        self.order = order
        self.timescale = timescale
        self.time = time
        self.id = id
        self.channels = channels
        self.interpolation = interpolation
        self.past = past
        self.add_duration = add_duration
        self._series: dict[Any, _Series] = {}
        self._kind: str | None = None  # of the times

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Remember an event.

        Parameters
        ----------
        x : dict
            With a time not before the last one of its id.

        Raises
        ------
        ValueError, TypeError
            If there is no time or id, or not such a one; if a channel is no number; if the time is before that of the
            last event of this id; or if parameters are not those of `HiPPOMemory`. What is remembered stays as it was.
        """
        item, kind, when, values = self._read(x)
        series = self._of(item)
        series.update(series.count if when is None else when, values)
        self._series[item], self._kind = series, kind

    def transform_one(self, x: dict[Hashable, Any]) -> dict[str, float]:
        """Features of the history of an event's id, up to this event. Nothing is remembered.

        Parameters
        ----------
        x : dict

        Returns
        -------
        dict
            Coefficients ``<channel>__<measure>_c<n>`` of the channels that were observed; and ``duration``.

        Raises
        ------
        ValueError, TypeError
            As `learn_one` does.
        """
        item, _, when, values = self._read(x)
        series = self._of(item)
        if when is not None:
            series = copy(series)
            series.update(when, values)
        elif not series.count:
            return {}
        names = feature_names(map(str, series.channels or [""]), self.measure, self.order, self.add_duration)
        features = series.memory.features()[0].tolist()
        return {name: value for name, value in zip(names.tolist(), features, strict=True) if not isnan(value)}

    def _of(self, item: Any) -> _Series:
        if item in self._series:
            return self._series[item]
        memory = HiPPOMemory(
            self.measure, self.order, timescale=self.timescale, interpolation=self.interpolation, past=self.past,
            add_duration=self.add_duration,
        )  # fmt: skip
        return _Series(memory)

    def _read(self, x: dict[Hashable, Any]) -> tuple[Any, str | None, float | None, dict[Hashable, float]]:
        """Whose an event is, the kind of its time, the time, and what was observed."""
        item, kind, when = None, self._kind, None
        if self.id is not None:
            item = x.get(self.id)
            if is_none(item) or item != item:
                raise ValueError(f"An event has no id {self.id!r}: {x}.")
        try:
            series = self._series.get(item)
        except TypeError:
            raise TypeError(f"What an event has as {self.id!r} is no id: {item!r}.") from None
        event = "an event" if self.id is None else f"an event of {called(item, (str(self.id),))}"
        if self.time is not None:
            told = f"the time {self.time!r} of {event}"
            if is_none(x.get(self.time)):
                raise ValueError(f"{capital(told)} is missing: {x}.")
            found, kind = as_times(x[self.time], told)
            if found.ndim or not abs(found) < _LARGEST:
                raise ValueError(f"{capital(told)} must be one finite time, not {x[self.time]!r}.")
            if self._kind not in (None, kind):
                raise ValueError(f"{capital(told)} is of another kind ({kind}) than those so far ({self._kind}).")
            when = float(found)
            if series is not None and when < series.last:
                raise ValueError(
                    f"{capital(told)}, {when}, is before that of the last one, {series.last}. A memory goes forward "
                    "only; MemoryBank takes late events."
                )
        values = {}
        others = (key for key in x if key not in (self.time, self.id))
        for name in others if self.channels is None else names_in(self.channels):
            cell = x.get(name)
            if is_none(cell):
                continue
            if not isinstance(cell, (Real, np.bool_)):
                raise TypeError(f"Channel {name!r} of {event} is no number, but {cell!r}: choose the channels.")
            value = float(cell)
            if abs(value) >= _LARGEST:
                raise ValueError(f"Channel {name!r} of {event} is infinite or too large: {value}. Divide the values.")
            if not isnan(value):
                values[name] = value
        known = {} if series is None else series.channels
        if values.keys() - known:
            called_so: dict[str, Hashable] = {}
            for name in (*known, *values):
                other = called_so.setdefault(str(name), name)
                if other != name:
                    raise ValueError(f"Channels {other!r} and {name!r} of {event} would have features of one name.")
        return item, kind, when, values

    def _unit_test_skips(self) -> set[str]:
        return set() if self.time is None and self.id is None else _LEAVE_OUT

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"order": 4}
        yield {"measure": "lagt", "order": 3, "timescale": 10.0, "time": "ordinal_date", "add_duration": True}


def _wider(memory: HiPPOMemory, n_channels: int) -> HiPPOMemory:
    """The memory with channels behind its own that were not observed yet."""
    stored = memory.to_dict()
    more = n_channels - memory.n_channels
    for name in ("first_time", "first_value", "last_time", "last_value"):
        stored[f"state_{name}"] = np.pad(stored[f"state_{name}"], ((0, 0), (0, more)), constant_values=nan)
    stored["state_core"] = np.pad(stored["state_core"], ((0, 0), (0, more), (0, 0)))
    stored["waiting_values"] = np.pad(stored["waiting_values"], ((0, 0), (0, 0), (0, more)), constant_values=nan)
    return HiPPOMemory.from_dict(stored | {"param_n_channels": np.array(n_channels)})
