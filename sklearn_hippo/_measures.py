"""The measures: which part of the past counts, in which basis, and by which dynamics the coefficients go on.

A measure is data. Everything else in the library asks it for what it needs and never for its name, so a new one is an
entry in the registry, with a basis (_bases.py) and, if it has an online form, dynamics (_dynamics.py) of its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import _dynamics
from ._bases import Basis, Chebyshev, Fourier, Laguerre, Legendre, WarpedLegendre
from ._dynamics import Dynamics

Array = NDArray[Any]


@dataclass(frozen=True)
class Measure:
    """A window on the past and the basis that is orthonormal in it.

    ``window`` is "all" for the whole history, whose coordinate scales with the series, "sliding" for the last
    ``timescale`` of it, and "decaying" for an exponential weight with that time constant. ``dynamics`` makes the online
    form for an order, if there is one; it is ``exact`` if its state is the projection, and otherwise approaches it as
    the order grows. The
    basis of dynamics that have none, which are of use in a network only, has no chart.
    """

    window: Literal["all", "sliding", "decaying"]
    basis: Basis
    dynamics: Callable[[int], Dynamics] | None = None
    exact: bool = False

    @property
    def has_timescale(self) -> bool:
        """Whether the measure needs a timescale, in units of the timestamps."""
        return self.window != "all"

    @property
    def has_projection(self) -> bool:
        """Whether there is a basis."""
        return bool(self.basis.chart)

    @property
    def has_memory(self) -> bool:
        """Whether coefficients can go on from those of the past, and merge."""
        moves_on = self.has_timescale or (self.exact and self.basis.embeds)
        return self.has_projection and self.dynamics is not None and moves_on

    @property
    def clock(self) -> Literal["log", "linear"]:
        """What a step h of its dynamics is, (E8): log((t_k - t_0) / (t_{k-1} - t_0)), or (t_k - t_{k-1}) / timescale.

        In log-time, a measure that scales with the series is time-invariant as well.
        """
        return "linear" if self.has_timescale else "log"

    def coordinate(self, times: Array, start: float | Array, stop: float | Array, timescale: float | None) -> Array:
        """Place times of a series that lasts from ``start`` to ``stop`` on the coordinate of the basis."""
        length = stop - start if timescale is None or not self.has_timescale else timescale
        if self.window == "decaying":
            return (times - stop) / length
        # Times are taken since an end of the series, so that large ones lose no digits. All that there is of a series
        # of zero duration is its end.
        own = np.where(length > 0, length, 1)
        position = 1 + (times - stop) / own if self.has_timescale else (times - start) / own
        position = np.where(length > 0, position, 1.0)
        return self.basis.low + (self.basis.high - self.basis.low) * position


MEASURES = {
    "legs": Measure("all", Legendre(), _dynamics.legs, exact=True),
    "legt": Measure("sliding", Legendre(), _dynamics.legt),
    "lagt": Measure("decaying", Laguerre(), _dynamics.lagt, exact=True),
    "legs_lti": Measure("decaying", WarpedLegendre(), _dynamics.legs, exact=True),
    "fous": Measure("all", Fourier()),
    "fout": Measure("sliding", Fourier(), _dynamics.fout),
    "chebs": Measure("all", Chebyshev()),
    "chebt": Measure("sliding", Chebyshev()),
    "lmu": Measure("sliding", Basis(), _dynamics.lmu),
    "rand": Measure("decaying", Basis(), _dynamics.rand),
}


def with_projection() -> dict[str, Measure]:
    """The measures on which series can be projected."""
    return {name: measure for name, measure in MEASURES.items() if measure.has_projection}


def with_memory() -> dict[str, Measure]:
    """Those whose coefficients a `HiPPOMemory` remembers."""
    return {name: measure for name, measure in MEASURES.items() if measure.has_memory}


def with_dynamics() -> dict[str, Measure]:
    """Those that can be the memory of a network."""
    return {name: measure for name, measure in MEASURES.items() if measure.dynamics is not None}


def dynamics_of(measure: str, order: int) -> Dynamics:
    """The dynamics of a measure that has some, by name."""
    make = MEASURES[measure].dynamics
    assert make is not None
    return make(order)


def feature_names(channels: Iterable[str], measure: str, order: int, add_duration: bool) -> NDArray[np.object_]:
    """Names of coefficients, channel by channel, and of the duration behind them."""
    names = [f"{channel}__{measure}_c{n}" for channel in channels for n in range(order)]
    return np.array(names + ["duration"] * add_duration, dtype=object)
