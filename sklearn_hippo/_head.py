"""The head of `HiPPOClassifier` and `HiPPORegressor`: ridge regression on very many features of few series.

Features are standardized, and scaled by how much of their variance the targets explain; the penalty is chosen by
leave-one-out, in closed form. All of it is in the dual, where the size of the problem is the number of series.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Array = NDArray[Any]

FLOOR = 0.02  # share of variance below which all features are alike
FAR = 30.0  # standard deviations, beyond which a feature of a new series counts as if it were there
PENALTIES = np.logspace(-6, 2, 17)  # of the mean eigenvalue
N_AT_ONCE = 4096  # features


class Scaling(NamedTuple):
    """Z = (features - center) * inverse * weight, where new series are clipped to FAR standard deviations."""

    center: Array  # (n_features,)
    inverse: Array  # (n_features,) of the standard deviations; 0 for a feature that does not vary
    weight: Array  # (n_features,)

    def of(self, features: Array, columns: slice, *, new: bool = False) -> NDArray[np.float32]:
        """Some of the features, scaled."""
        own = np.asarray(features[:, columns], np.float64) - self.center[columns]
        own *= self.inverse[columns]
        if new:
            np.clip(own, -FAR, FAR, out=own)
        own *= self.weight[columns]
        return own.astype(np.float32)


def columns_of(n: int) -> list[slice]:
    """Features, some at a time."""
    return [slice(k, min(k + N_AT_ONCE, n)) for k in range(0, n, N_AT_ONCE)]


def learn_scaling(
    features: Array, targets: Array, weights: Array, blocks: list[tuple[slice, float]], *, n_classes: int = 0
) -> Scaling:
    """Standardize features, and scale them by what the targets explain of them.

    Parameters
    ----------
    features : ndarray of shape (n_series, n_features)
    targets : ndarray of shape (n_series, n_targets)
        Of classes, 1 or -1.
    weights : ndarray of shape (n_series,)
        Of the series; they sum up to their number.
    blocks : list of (columns, float)
        Columns whose scales are relative to each other, and the variance that they have together, for each of them.
    n_classes : int
        0 for a regression, in which all targets explain together.
    """
    n, p = features.shape
    share = weights / weights.sum()
    center, inverse, explained = np.zeros(p), np.zeros(p), np.zeros(p)
    if n_classes:
        member = (targets > 0).T * share
        size = member.sum(axis=1)
    else:
        centered = targets - share @ targets
        spread = np.sqrt(share @ centered**2)
        centered = centered / np.where(spread > 0, spread, 1)
    for columns in columns_of(p):
        own = np.asarray(features[:, columns], np.float64)
        center[columns] = share @ own
        own = own - center[columns]
        scale = np.sqrt(share @ own**2)
        varies = scale > 1e-7 * np.maximum(1, np.abs(center[columns]))
        inverse[columns] = np.where(varies, 1 / np.where(varies, scale, 1), 0)
        own *= inverse[columns]
        if n_classes:
            between = ((member @ own) ** 2 / np.maximum(size, 1e-300)[:, None]).sum(axis=0)
            chance = (n_classes - 1) / max(n - 1, 1)
            explained[columns] = (between - chance) / max(1 - chance, 1e-12)
        else:
            explained[columns] = (((share[:, None] * centered).T @ own) ** 2).max(axis=0) - 1 / n
    weight = np.sqrt(np.maximum(explained, FLOOR))
    for columns, variance in blocks:
        some = weight[columns][inverse[columns] > 0]
        if len(some):
            weight[columns] *= np.sqrt(variance) / np.sqrt(np.mean(some**2))
    return Scaling(center, inverse, weight)


class Solution(NamedTuple):
    """Of the ridge regression: targets are Z @ coefficients + intercept."""

    dual: Array  # (n_series, n_targets) of which the coefficients are made: Z^T dual
    intercept: Array  # (n_targets,)
    penalty: float
    left_out: Array  # (n_series, n_targets) what is predicted for a series by all others


def gram(features: Array, scaling: Scaling) -> Array:
    """Products of all series with each other."""
    total = np.zeros((len(features), len(features)), np.float32)
    for columns in columns_of(features.shape[1]):
        own = scaling.of(features, columns)
        total += own @ own.T
    return total.astype(np.float64)


def solve(products: Array, targets: Array, weights: Array) -> Solution:
    """Ridge regression with weights, the penalty chosen by leave-one-out.

    With Z' = sqrt(weights) Z, whose mean is zero, and K = Z' Z'^T = U e U^T, predictions are H y with
    H = U e / (e + penalty) U^T + s s^T, s the square roots of the shares of the weights, and what is predicted for a
    series by all others is y - (y - H y) / (1 - diag H), all in these units.
    """
    root = np.sqrt(weights)
    share = weights / weights.sum()
    intercept = share @ targets
    y = (targets - intercept) * root[:, None]
    values, vectors = eigh(products * np.outer(root, root))
    values = np.maximum(values, 0)
    seen, squares = vectors.T @ y, vectors**2
    best: tuple[float, float, Array] | None = None
    for penalty in PENALTIES * max(values.mean(), np.finfo(float).tiny):
        kept = values / (values + penalty)
        leverage = np.minimum(squares @ kept + share, 1 - 1e-9)
        residuals = (y - vectors @ (kept[:, None] * seen)) / (1 - leverage)[:, None]
        error = float(np.mean(residuals**2))
        if best is None or error < best[0]:
            best = error, penalty, residuals
    assert best is not None
    _, penalty, residuals = best
    dual = root[:, None] * (vectors @ (seen / (values + penalty)[:, None]))
    left_out = targets - residuals / np.where(root > 0, root, 1)[:, None]
    return Solution(dual, intercept, penalty, left_out)


def coefficients_of(features: Array, scaling: Scaling, solution: Solution) -> Array:
    """Coefficients of all scaled features, (n_features, n_targets)."""
    parts = [scaling.of(features, columns).T @ solution.dual for columns in columns_of(features.shape[1])]
    return np.concatenate(parts)


def predict(features: Array, scaling: Scaling, coefficients: Array, intercept: Array) -> Array:
    """Targets of series."""
    total = np.tile(np.asarray(intercept, np.float64), (len(features), 1))
    for columns in columns_of(features.shape[1]):
        total += scaling.of(features, columns, new=True) @ coefficients[columns]
    return total
