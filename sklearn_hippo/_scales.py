"""Scales that are learned from series: medians, means and standard deviations that extreme values cannot ruin."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Of the standardization: beyond how many median distances from the median values may be mistakes; which share of them
# may be; and how far the network sees values as they are, in standard deviations.
REACH, FEW, FAR = 40.0, 0.05, 20.0


def median(x: Array, weights: Array) -> float:
    """The median of numbers that count as often as their weights say."""
    order = np.argsort(x)
    total = np.cumsum(weights[order])
    low, high = (np.searchsorted(total, total[-1] / 2, side=side) for side in ("left", "right"))
    low, high = x[order[low]], x[order[min(high, len(x) - 1)]]
    return float((low + high) / 2 if abs(low) < 1 and abs(high) < 1 else low / 2 + high / 2)


def _are_mistakes(x: Array, weights: Array, reach: float) -> NDArray[np.bool_]:
    """Which values are so far away, and so few, that they are taken for mistakes."""
    center = median(x, weights)
    with np.errstate(over="ignore"):  # infinitely far away is far away
        away = np.abs(x - center)
        order = np.argsort(away)
        nearer = np.cumsum(weights[order])  # weight of what is as near as that, or nearer
        few = FEW * nearer[-1] * (1 + 1e-9)
        first = np.searchsorted(away[order], 0, side="right")
        if first == len(x):
            return np.zeros(len(x), dtype=bool)
        same = nearer[first - 1] if first else 0.0
        apart = nearer[-1] - same
        # Half of what differs is as near, or as much of it as is no mistake, at least FEW of it.
        within = max(FEW * apart, min(apart / 2, apart - few)) * (1 - 1e-9)
        typical = away[order[max(first, np.searchsorted(nearer, same + within))]]
        far = away > reach * typical
        if weights[far].sum() > few:
            far = away > reach * away[order[np.searchsorted(nearer, nearer[-1] - few)]]
    return far


def mean_and_scale(x: Array, weights: Array, reach: float = np.inf) -> tuple[float, float]:
    """Weighted mean and standard deviation, computed in a unit in which no square over- or underflows.

    With a finite ``reach``, mistakes are left out: values further from the median than ``reach`` times as half of what
    differs from it (or less, if that half may be mistakes). Where these are more than FEW of all, they are none, and
    those are that are further than ``reach`` times all but FEW. The scale of a constant, or of what varies by rounding
    only, is 1.
    """
    weights = weights / weights.max()
    if np.isfinite(reach):
        right = ~_are_mistakes(x, weights, reach)
        x, weights = x[right], weights[right]
    exponent = int(np.frexp(np.abs(x).max())[1])
    x = np.ldexp(x, -exponent)
    mean = float(np.average(x, weights=weights))
    scale = float(np.sqrt(np.average((x - mean) ** 2, weights=weights)))
    varies = scale > 1e-12 * abs(mean)
    scale = max(float(np.ldexp(scale, exponent)), 5e-324) if varies else 1.0  # no number is smaller
    return float(np.ldexp(mean, exponent)), scale


def standardized(values: Array, mean: Array, scale: Array, farthest: float) -> Array:
    """Values in standard deviations from the mean, at most so many, also where their difference is no number."""
    exponent = np.frexp(scale)[1]  # powers of two change no digit
    with np.errstate(over="ignore"):
        values = np.ldexp(values.astype(np.float64), -exponent) - np.ldexp(mean, -exponent)
        return np.clip(values / np.ldexp(scale, -exponent), -farthest, farthest)


def bounded(values: Array, mean: Array, scale: Array) -> Array:
    """Values in standard deviations, as the network sees them: beyond FAR, 2 FAR - FAR^2 / z goes on."""
    values = standardized(values, mean, scale, 1e300)
    far = np.maximum(np.abs(values), FAR)
    return np.where(np.abs(values) > FAR, np.copysign(2 * FAR - FAR**2 / far, values), values)
