"""When to believe a classifier of series that go on: checkpoints, probabilities of folds left out, thresholds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.utils.validation import _check_method_params

from ._panel import Panel

Array = NDArray[Any]

LEAST = -14.0  # logarithm of a probability below which none is believed


def spread(panel: Panel, weights: Array, n: int) -> Array:
    """Times by which k/n of all observations have been made, k = 1 ... n - 1, each of them once."""
    elapsed, of_rows = panel._elapsed, np.repeat(weights, panel.lengths)
    order = np.argsort(elapsed, kind="stable")
    made = np.cumsum(of_rows[order])
    wanted = np.arange(1, n) / n * (made[-1] if len(made) else 0.0)
    # as many observations as are wanted, but for the rounding of their sum
    return np.unique(elapsed[order][np.searchsorted(made, wanted * (1 - 1e-12))]) if len(made) else np.zeros(0)


def first_sure(confidence: Array, running: NDArray[np.bool_], threshold: float) -> NDArray[np.intp]:
    """The checkpoint at which each series is decided, the last row being the end, at which all are.

    Parameters
    ----------
    confidence : ndarray of shape (n_checkpoints + 1, n_series)
    running : ndarray of bool of shape (n_checkpoints, n_series)
        Whether a series goes on at a checkpoint.
    threshold : float
        What the confidence has to exceed.
    """
    sure = np.ones(confidence.shape, bool)
    sure[:-1] = (confidence[:-1] > threshold) & running
    return sure.argmax(axis=0)


def best_threshold(
    confidence: Array, times: Array, running: NDArray[np.bool_], weights: Array, costs: tuple[float, float] | None
) -> float:
    """The threshold that is expected to do best, were the confidences true.

    Accuracy is the mean confidence of what is decided, not the share of it that is right: of few series, that share is
    mostly chance, and its best threshold is a lucky one.

    Parameters
    ----------
    confidence, running
        As in `first_sure`.
    times : ndarray of shape (n_checkpoints + 1, n_series)
        At which decisions are made: in units of the costs, or else as shares of the duration.
    weights : ndarray of shape (n_series,)
    costs : (float, float) or None
        Of waiting for a unit of time, and of an error. None for the harmonic mean of accuracy and 1 - earliness.
    """
    series = np.arange(confidence.shape[1])
    best, chosen = -np.inf, 1.0
    # from the highest on, so that of thresholds that do as well the one that waits longer stays
    tried = np.unique(np.quantile(np.unique(confidence), np.linspace(0, 1, 201), method="lower"))
    for threshold in [*tried[::-1].tolist(), 0.0]:
        when = first_sure(confidence, running, threshold)
        accuracy = np.average(confidence[when, series], weights=weights)
        time = np.average(times[when, series], weights=weights)
        if costs is None:
            value = 2 * accuracy * (1 - time) / max(accuracy + 1 - time, 1e-300)
        else:
            value = -(costs[0] * time + costs[1] * (1 - accuracy))
        if value > best:
            best, chosen = value, threshold
    return float(chosen)


def logarithms(estimator: Any, panel: Panel, classes: Array) -> Array:
    """Logarithms of an estimator's probabilities of all classes, some of which it may not know."""
    if hasattr(estimator, "predict_proba"):
        with np.errstate(divide="ignore"):
            own = np.log(np.asarray(estimator.predict_proba(panel), np.float64))
    else:
        own = np.asarray(estimator.decision_function(panel), np.float64)
        if own.ndim == 1:
            own = np.stack([np.zeros(len(own)), own], axis=1)
        own = log_softmax(own, axis=1)
    found = np.full((len(panel), len(classes)), LEAST)
    found[:, np.searchsorted(classes, estimator.classes_)] = np.maximum(own, LEAST)
    return found


def fit_prefixes(
    estimator: Any, panel: Panel, y: Array, params: dict[str, Any], folds: list[tuple[Array, Array]], own: bool,
    where: str,
) -> tuple[Any, Array]:  # fmt: skip
    """A fitted clone, and logarithms of probabilities for every series by those that were fitted without it, or NaN.

    With ``own``, those are an estimator's own that cross-validates itself.
    """
    classes = np.unique(y)
    whole = clone(estimator)
    try:
        if own and hasattr(whole, "_fit_left_out") and not params.keys() - {"sample_weight"}:
            found = whole._fit_left_out(panel, y, params.get("sample_weight"))
            if not np.isnan(found).any():
                with np.errstate(divide="ignore"):
                    return whole, np.maximum(np.log(found), LEAST)
        else:
            whole.fit(panel, y, **params)
        left_out = np.full((len(y), len(classes)), np.nan)
        for train, test in folds:
            part = clone(estimator).fit(panel[train], y[train], **_check_method_params(panel, params, indices=train))
            if len(test):
                left_out[test] = logarithms(part, panel[test], classes)
    except (TypeError, ValueError) as error:
        error.add_note(f"This was said of the series {where}.")
        raise
    return whole, left_out
