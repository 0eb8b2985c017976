"""EarlyClassifier: any classifier of series, and when to believe it."""

from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    has_fit_parameter,
)

from ._columns import as_elapsed, refuse_masked
from ._compat import CallbackSupportMixin, HasMethods, Interval, Linked, fit_task, set_parameters
from ._head import calibrate
from ._panel import Panel
from ._ridge import distinct
from ._stopping import best_threshold, first_sure, fit_prefixes, logarithms, spread
from ._validation import Scores, check_labels, validate_panel

Array = NDArray[Any]


class Decisions(NamedTuple):
    """What `EarlyClassifier.decide` makes of series that go on."""

    labels: Array
    """(n_series,), the class that is the most probable by now."""
    times: Array
    """(n_series,), after the first observation, at which it was decided; NaN where it is not."""
    sure: NDArray[np.bool_]
    """(n_series,), whether it is decided; else there is reason to wait."""


class EarlyClassifier(Linked, Scores, CallbackSupportMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Classify series while they go on: decide as soon as a classifier is sure enough.

    A clone of the classifier is fitted to what all series are at each of some checkpoints, and one to whole series. A
    series is decided at the first checkpoint at which the most probable class is more probable than a threshold. That
    may be given; else it is the best one for the harmonic mean of accuracy and 1 - earliness (the share of its duration
    after which a series is decided), or for costs of waiting and of errors.

    Parameters
    ----------
    estimator : classifier
        That takes a `Panel`, and has ``predict_proba`` or ``decision_function``: one of ours, or a pipeline.
    checkpoints : int or array-like, default=20
        Times after the first observation of a series, in units of the timestamps (or timedeltas), at which it may be
        decided before its end; or how many there are, the end included. Then about as many observations are made
        between any two of them, in the training series.
    threshold : float in [0, 1], optional
        What a probability has to exceed. With 1, all is decided at the end.
    cost_of_waiting : float, optional
        For a unit of time of the timestamps (a second, if they are dates). The threshold is the one of least cost.
    cost_of_error : float, default=1
        Of a wrong decision.
    cv : int, splitter or iterable, optional
        Folds by which probabilities of series are found that were not fitted. By default five, stratified; a
        `HiPPOClassifier` cross-validates itself, without being fitted again.
    n_jobs : int, optional
        Checkpoints that are fitted at once, in processes of joblib.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    checkpoints_ : ndarray of shape (n_checkpoints,)
        Times after the first observation, without the end.
    end_ : float
        Duration of the longest training series: by then, every series is decided.
    estimators_ : list of n_checkpoints + 1 estimators
        Fitted; the last one to whole series.
    temperatures_ : ndarray of shape (n_checkpoints + 1,)
        What logarithms of their probabilities are multiplied by, so that they are true on average.
    threshold_ : float
        What a probability has to exceed.
    decision_times_ : ndarray of shape (n_series,)
        When the training series would have been decided, by probabilities of folds without them; NaN where there are
        none. Of other series, see `decision_times`: a prediction leaves nothing behind.
    n_channels_ : int
        Number of channels.
    channel_names_ : tuple of str or None
        Names of the channels, where X had them.
    n_features_in_ : int
        Length of the series if X was a table of numbers, otherwise the number of channels.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string columns.

    See Also
    --------
    HiPPORNNClassifier.predict_proba_online : Probabilities after every observation, by one network.
    Panel.until : What series are after some time.

    Notes
    -----
    Time is counted from the first observation of a series, and never as a share of its duration, which is not known
    before it ends. A threshold is chosen by probabilities of series left out, after one temperature for each checkpoint
    has made these true on average; its accuracy is the one that they promise. Of few series, counts of errors are
    mostly chance: thresholds chosen by those were worse in cross-validation, and so were thresholds that differ by
    checkpoint, and costs of all later checkpoints.

    Examples
    --------
    >>> from sklearn_hippo import EarlyClassifier, HiPPOClassifier, Panel
    >>> up = [[0.0, 0.0, 0.0, k, 2.0 * k, 3.0 * k] for k in range(1, 9)]
    >>> down = [[0.0, 0.0, 0.0, -k, -2.0 * k, -3.0 * k] for k in range(1, 9)]
    >>> model = EarlyClassifier(HiPPOClassifier(50, random_state=0), checkpoints=[1, 3, 4])
    >>> model.fit(up + down, ["up"] * 8 + ["down"] * 8).decision_times([[0.0, 0.0, 0.0, 2.0, 4.0, 6.0]])
    array([3.])
    >>> labels, times, sure = model.decide([[0.0, 0.0], [0.0, 0.0, 0.0, -3.0]])
    >>> sure
    array([False,  True])
    >>> times, labels[1]
    (array([nan,  3.]), np.str_('down'))
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "estimator": [HasMethods(["fit", "predict_proba"]), HasMethods(["fit", "decision_function"])],
        "checkpoints": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "threshold": [Interval(Real, 0, 1, closed="both"), None],
        "cost_of_waiting": [Interval(Real, 0, None, closed="left"), None],
        "cost_of_error": [Interval(Real, 0, None, closed="neither")],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        checkpoints: Any = 20,
        threshold: float | None = None,
        cost_of_waiting: float | None = None,
        cost_of_error: float = 1.0,
        cv: Any = None,
        n_jobs: int | None = None,
    ):
        set_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Self:
        """Fit the classifier to what series are at every checkpoint, and find when to believe it.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            Whole series, in any of the forms that `HiPPOTransformer.fit` takes.
        y : array-like of shape (n_series,)
            Classes.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series, from zero on, also for the classifier, which has to take them.
        **fit_params
            More for the classifier's ``fit``. With metadata routing, what it requests.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If X or y are not valid, as in `HiPPOClassifier.fit`; if the classifier refuses what series are at a
            checkpoint, which a note then tells; if both a threshold and a cost of waiting are given.
        """
        with fit_task(self, X, y, None, None, "checkpoint") as checkpoint_ends:
            if self.threshold is not None and self.cost_of_waiting is not None:
                raise ValueError("The threshold is either given or found by costs: leave threshold or cost_of_waiting.")
            if y is None:
                raise ValueError(
                    "EarlyClassifier requires y to be passed, but the target y is None. Give one value for each series."
                )
            panel = validate_panel(self, X, reset=True)
            check_consistent_length(panel, y)
            y = check_labels(y, panel)
            refuse_masked(sample_weight, "sample_weight")
            weights = _check_sample_weight(
                sample_weight, np.empty(len(panel)), dtype=np.float64, ensure_non_negative=True
            )
            used = np.flatnonzero(weights)
            if not len(used):
                raise ValueError("All sample weights are zero: no series is left to learn from.")
            params = _check_method_params(panel, self._params(sample_weight, fit_params), indices=used)
            n_series, folds = len(panel), self._folds(panel, y, used)
            panel, y, weights = panel[used], y[used], weights[used]
            self.classes_, codes = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"The classifier needs series of at least 2 classes, but y has only one class: "
                    f"{self.classes_.tolist()[0]!r}."
                )
            durations = panel._spans
            self.end_ = float(durations.max())
            self.checkpoints_ = self._times(panel, weights)
            found = Parallel(self.n_jobs, return_as="generator")(
                delayed(fit_prefixes)(
                    self.estimator, panel.until(time), y, params, folds, self.cv is None,
                    f"as they are {time:g} after their first observation",
                )
                for time in [*self.checkpoints_, self.end_]
            )  # fmt: skip
            self.estimators_, left_out = [], []
            for whole, logs in found:
                self.estimators_.append(whole)
                left_out.append(logs)
                checkpoint_ends()
            known = np.asarray(~np.isnan(left_out).any(axis=(0, 2)))
            if not known.any():
                raise ValueError("cv leaves out no series, so that no probability can be checked. Give other folds.")
            own, zero = [logs[known] for logs in left_out], np.zeros(len(self.classes_))
            # as much as one more series; the same one twice is no news
            doubt = 1 / (len(distinct(panel[known], codes[known, None], weights[known])[0]) + 2)
            self.temperatures_ = np.array(
                [calibrate(logs, zero, codes[known], weights[known], doubt)[0] for logs in own]
            )
            confidence = np.max([softmax(a * b, axis=1) for a, b in zip(self.temperatures_, own, strict=True)], axis=2)
            self._find_threshold(confidence, durations[known], weights[known])
            when = first_sure(confidence, self._running(durations[known]), self.threshold_)
            self.decision_times_ = np.full(n_series, np.nan)
            self.decision_times_[used[known]] = np.append(self.checkpoints_, np.inf)[when]
            self.decision_times_[used] = np.minimum(self.decision_times_[used], durations)
        return self

    def _folds(self, panel: Panel, y: Array, used: Array) -> list[tuple[Array, Array]]:
        """Folds of those series that are used, by their places among these."""
        if self.cv is None:
            classes, sizes = np.unique(y[used], return_counts=True)
            smallest = int(sizes.min())
            if smallest < 2 <= len(classes):
                raise ValueError(
                    f"The class {classes.tolist()[int(sizes.argmin())]!r} has one series only, which cannot be left "
                    "out: give more of them, or folds of your own as cv."
                )
            return list(StratifiedKFold(max(2, min(5, smallest))).split(used, y[used]))
        places = np.full(len(panel), -1)
        places[used] = np.arange(len(used))
        folds = check_cv(self.cv, y, classifier=True).split(panel, y)
        return [(own[0][own[0] >= 0], own[1][own[1] >= 0]) for own in ((places[a], places[b]) for a, b in folds)]

    def _params(self, sample_weight: Any, fit_params: dict[str, Any]) -> dict[str, Any]:
        """What the classifier is given beside series and classes."""
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        if get_config()["enable_metadata_routing"]:
            return dict(process_routing(self, "fit", **given, **fit_params).estimator.fit)
        if given and not has_fit_parameter(self.estimator, "sample_weight"):
            raise ValueError(
                f"{type(self.estimator).__name__} takes no sample_weight. Of a pipeline, name the step: "
                "fit(X, y, step__sample_weight=...); or enable scikit-learn's metadata routing."
            )
        return given | fit_params

    def get_metadata_routing(self) -> MetadataRouter:
        """Describe which metadata the classifier requests.

        Returns
        -------
        MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add_self_request(self).add(estimator=self.estimator, method_mapping=mapping)

    def _times(self, panel: Panel, weights: Array) -> Array:
        """The checkpoints before the end."""
        if isinstance(self.checkpoints, Integral):
            times = spread(panel, weights, int(self.checkpoints))
        else:
            times = np.atleast_1d(as_elapsed(self.checkpoints, "checkpoints"))
            if times.ndim != 1 or not np.isfinite(times).all() or (times < 0).any() or (np.diff(times) <= 0).any():
                raise ValueError(
                    "checkpoints must be times after the first observation of a series, each of them later than the "
                    f"one before, got {self.checkpoints!r}."
                )
        return times[times < self.end_]

    def _running(self, durations: Array) -> NDArray[np.bool_]:
        """Whether series go on until a checkpoint, (n_checkpoints, n_series)."""
        return self.checkpoints_[:, None] <= durations

    def _find_threshold(self, confidence: Array, durations: Array, weights: Array) -> None:
        if self.threshold is not None:
            self.threshold_ = float(self.threshold)
            return
        times = np.vstack([np.repeat(self.checkpoints_[:, None], len(durations), axis=1), durations])
        if self.cost_of_waiting is None:
            costs, shares = None, np.ones_like(times)
            np.divide(times, durations, out=shares, where=durations > 0)
            times = shares
        else:
            costs = float(self.cost_of_waiting), float(self.cost_of_error)
        self.threshold_ = best_threshold(confidence, times, self._running(durations), weights, costs)

    def _decided(self, X: Any, elapsed: Any, finished: bool) -> tuple[Array, Array]:
        """Logarithms of probabilities, but for a constant, and the times of decisions, NaN where there is none."""
        check_is_fitted(self)
        panel = validate_panel(self, X, reset=False)
        elapsed = panel._spans if elapsed is None else self._check_elapsed(elapsed, panel)
        logs, times = np.zeros((len(panel), len(self.classes_))), np.full(len(panel), np.nan)

        def ask(k: int, rows: Array, time: float) -> None:
            own = logarithms(self.estimators_[k], panel[rows].until(time), self.classes_)
            logs[rows] = self.temperatures_[k] * own

        for k, time in enumerate(self.checkpoints_):
            rows = np.flatnonzero(np.isnan(times) & (elapsed >= time))
            if len(rows):
                ask(k, rows, time)
                times[rows[softmax(logs[rows], axis=1).max(axis=1) > self.threshold_]] = time
        rows = np.flatnonzero(np.isnan(times) & (finished | (elapsed >= self.end_)))
        if len(rows):
            ask(-1, rows, self.end_)
            times[rows] = np.minimum(elapsed[rows], self.end_)
        begun = np.flatnonzero(np.isnan(times) & (elapsed < min([*self.checkpoints_, self.end_])))
        if len(begun):  # there was no checkpoint yet: the first classifier is the one that knows the least
            ask(0, begun, self.end_)
        return logs, times

    def _check_elapsed(self, elapsed: Any, panel: Panel) -> Array:
        refuse_masked(elapsed, "elapsed")
        found = as_elapsed(elapsed, "elapsed")
        if found.ndim > 1 or (found.ndim and len(found) != len(panel)):
            raise ValueError(f"elapsed must be one time, or {len(panel)}, one for each series; got {found.shape}.")
        found = np.broadcast_to(found, len(panel))
        wrong = np.flatnonzero(~(found >= panel._spans) | np.isinf(found))
        if len(wrong):
            i = int(wrong[0])
            raise ValueError(
                f"{panel._called(i)}: {found[i]} is said to have elapsed since its first observation, but the last one "
                f"was made {panel._spans[i]} after it. Give the time by now, in the same unit."
            )
        return found

    def decide(self, X: Any, elapsed: Any = None) -> Decisions:
        """Decide about series that may go on, where there is reason to be sure.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            What is there of the series, as in `fit`, with the same channels. Of a table's rows, unfinished ones are a
            list.
        elapsed : float or array-like of shape (n_series,), optional
            The time since the first observation of each series, where it is later than its last one: nothing was
            observed since then.

        Returns
        -------
        Decisions
            ``labels``, ``times`` and ``sure``, a named tuple. A series is decided at the first checkpoint that it has
            passed and at which its class is more probable than the threshold, or after ``end_``; so a decision stays
            when more is observed. Where it is not decided, the label is the most probable one, and the time is NaN.

        Raises
        ------
        ValueError
            If less time has elapsed than observations took.
        """
        logs, times = self._decided(X, elapsed, finished=False)
        return Decisions(self.classes_[logs.argmax(axis=1)], times, ~np.isnan(times))

    def decision_times(self, X: Any) -> Array:
        """Tell when `predict` decides.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            Finished series.

        Returns
        -------
        ndarray of shape (n_series,)
            Times after the first observation; the duration, where it is only decided at the end.
        """
        return self._decided(X, None, finished=True)[1]

    def predict(self, X: Any) -> Array:
        """Predict the class of finished series, from as little of them as it takes.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels. A series ends with its last observation, and is then decided by the
            classifier of whole series. After ``end_``, nothing is read.

        Returns
        -------
        ndarray of shape (n_series,)
        """
        logs, _ = self._decided(X, None, finished=True)
        return self.classes_[logs.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Compute the probabilities of the classes when finished series are decided.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_series, n_classes)
            In the order of ``classes_``.
        """
        return softmax(self._decided(X, None, finished=True)[0], axis=1)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        tags.input_tags.sparse = False
        return tags
