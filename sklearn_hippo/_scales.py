"""Scales that are learned from series: medians, means and standard deviations that extreme values cannot ruin."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Of the standardization: how far away values count, in median distances from the median; which share of them may be
# further away by mistake; and how far the network sees values as they are, in standard deviations.
REACH, FEW, FAR = 40.0, 0.05, 20.0


def median(x: Array, weights: Array) -> float:
    """The median of numbers that count as often as their weights say."""
    order = np.argsort(x)
    total = np.cumsum(weights[order])
    low, high = (np.searchsorted(total, total[-1] / 2, side=side) for side in ("left", "right"))
    low, high = x[order[low]], x[order[min(high, len(x) - 1)]]
    return float((low + high) / 2 if abs(low) < 1 and abs(high) < 1 else low / 2 + high / 2)


def mean_and_scale(x: Array, weights: Array, reach: float = np.inf) -> tuple[float, float]:
    """Weighted mean and standard deviation, computed in a unit in which no square over- or underflows.

    What is further from the median than ``reach`` times the median distance of what differs from it is left out or, if
    that is more than FEW of all, counts as if it were there. The scale of a constant, or of what varies by rounding
    only, is 1.
    """
    weights = weights / weights.max()
    if np.isfinite(reach):
        center = median(x, weights)
        with np.errstate(over="ignore"):  # infinitely far away is far away
            away = np.abs(x - center)
            apart = away > 0
            if apart.any():
                room = reach * median(away[apart], weights[apart])
                far = away > room
                if weights[far].sum() <= FEW * weights.sum():
                    x, weights = x[~far], weights[~far]
                else:
                    x = np.clip(x, center - room, center + room)
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
