"""HiPPOClassifier and HiPPORegressor: random features of a sliding memory, and a ridge regression on all of them.

(Two estimators and their base side by side: more than half of these lines is documentation.)
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from itertools import pairwise
from time import perf_counter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted

from ._columns import refuse_masked
from ._compat import CallbackSupportMixin, StrOptions, fit_task, set_parameters
from ._head import Features, Head, Scaling, fit_calibrated, fit_head, predict
from ._machine import check_memory
from ._panel import Panel, merge_stamps, own_times
from ._parts import Units, check_parts, checked, fit_parts, of_part, pairs_of
from ._random import RandomHiPPOTransformer
from ._scales import mean_and_scale
from ._validation import Scores, check_classes, check_labels, check_numbers, validate_panel, weights_by_class

Array = NDArray[Any]

SERIES_AT_ONCE = 1000  # whose features are there together, in predictions
# Variance of the features of a pooling, in views of series as they are, and standardized by themselves.
VARIANCES = {"ppv": (1.0, 0.3), "longest": (0.5, 0.15), "thirds": (0.1, 0.0), "spread": (3.0, 0.0), "pairs": (0.5, 0.0)}
OF_SUMMARIES = 30.0

_PARAMETERS = """
    n_features, windows, order, poolings, derivative, normalized, conjunctions, summaries : optional
        Of the features, as in `RandomHiPPOTransformer`.
"""
_MORE = """
    random_state : int, RandomState instance or None, default=None
        Of the features, and of the folds of a calibration.
    n_jobs : int, optional
        Threads over the series, as in `HiPPOTransformer`.
    verbose : int, default=0
        Whether steps are printed when they are done; from 2 on also every few thousand series in a pass over very many.
        scikit-learn's callbacks are told of all of them.
"""
_ATTRIBUTES = """
    transformer_ : RandomHiPPOTransformer
        Fitted.
    coef_ : ndarray of shape (n_features_out, n_targets)
        Of the scaled features.
    intercept_ : ndarray of shape (n_targets,)
    scaling_ : tuple
        What is subtracted from each feature, what the difference is multiplied by, and the weight of the result; and,
        where series are then divided by the length of all these, the mean that is subtracted, otherwise None.
    penalty_ : float
        That was chosen by leave-one-out, as a multiple of the mean square of a series of scaled features.
    n_channels_ : int
        Number of channels.
    channel_names_ : tuple of str or None
        Names of the channels, where X had them.
    n_features_in_ : int
        Length of the series if X was a table of numbers, otherwise the number of channels.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string columns.
"""
_NOTES = """
    Features are standardized, scaled by the square root of the share of their variance that the targets explain, and
    enter one ridge regression, whose penalty is chosen by leave-one-out in closed form. It is solved with the smaller
    of two matrices: of fewer series than features, their products with each other, otherwise those of the features. The
    time grows with the cube of its size, and beyond that with the number of series; features of many series are
    computed some at a time, and not kept.
"""


def distinct(panel: Panel, targets: Array, weights: Array) -> tuple[Panel, Array, Array, NDArray[np.intp]]:
    """The series that differ, in an order of their own, with the weights of all that are equal to them.

    And which of them each series is, -1 for none. So a series of weight two is the same as that series twice, and none
    of its copies tells about it when it is left out. A weight of zero is no series; the weights that are left have the
    mean one.
    """
    n_series, used = len(panel), np.flatnonzero(weights)
    panel, targets, weights = panel[used], targets[used] + 0.0, weights[used]
    # numbers that are equal, in bytes that are: of one type, one zero and one NaN
    times, values = own_times(panel) + 0.0, panel.values.astype(np.float64) + 0.0
    values[np.isnan(values)] = np.nan
    digests = []
    for i, (a, b) in enumerate(pairwise(panel.offsets.tolist())):
        digest = blake2b(values[a:b].tobytes(), digest_size=16)
        digest.update(times[a:b].tobytes())
        # the order is that of the series: other names of the classes draw the same features
        digests.append(digest.digest() + blake2b(targets[i].tobytes(), digest_size=16).digest())
    _, first, which = np.unique(np.array(digests, "V32"), return_index=True, return_inverse=True)
    weights = np.bincount(which, weights)
    places = np.full(n_series, -1)
    places[used] = which
    return panel[first], targets[first], weights / weights.mean(), places


def blocks_of(transformer: RandomHiPPOTransformer) -> list[tuple[str, str, slice, float]]:
    """Columns that are scaled together: of which view, of which pooling, where, and their variance."""
    found, poolings, places = [], tuple(transformer.poolings), transformer.blocks_
    if "channels" in places:
        found.append(("channels", "channels", places["channels"], OF_SUMMARIES))
    for view in transformer.views_:
        start = places[view.name].start
        for _, name, own in view.blocks(poolings):
            found.append((view.name, name, slice(start + own.start, start + own.stop), VARIANCES[name][view.by_series]))
    return found


class _Ridge(CallbackSupportMixin, BaseEstimator):
    """What the classifier and the regressor share."""

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        **RandomHiPPOTransformer._parameter_constraints,
        "verbose": ["verbose"],
    }

    random_state: Any
    verbose: int
    scaling_: Any

    def _panel(self, X: Any, y: Any) -> Any:
        """The series, checked."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Give one value for each "
                "series."
            )
        panel = validate_panel(self, X, reset=True)
        check_consistent_length(panel, y)
        return merge_stamps(panel)  # what is equal to a network is equal here

    def _weights(self, panel: Any, sample_weight: Any) -> Array:
        refuse_masked(sample_weight, "sample_weight")
        weights = _check_sample_weight(sample_weight, np.empty(len(panel)), dtype=np.float64)
        if (weights < 0).any():
            raise ValueError("Negative values in data passed to `sample_weight`.")
        return weights / (weights.max() or 1.0)  # of which no sum overflows

    @contextmanager
    def _steps(self, X: Any, y: Any) -> Iterator[Callable[..., None]]:
        """What is to be told of every step of a fit that has been done."""
        begin = perf_counter()
        with fit_task(self, X, y, None, None, "step") as step_ends:

            def report(done: str, level: int = 1) -> None:
                if self.verbose >= level:
                    print(f"[{type(self).__name__}] {perf_counter() - begin:.1f} s: {done}")
                step_ends()

            yield report

    def _features(
        self, panel: Any, targets: Array, weights: Array, report: Callable[..., None]
    ) -> tuple[Features, Array, Array, NDArray[np.intp]]:
        """Features, targets and weights of the series that differ, and which of them each series is."""
        panel, targets, weights, places = distinct(panel, targets, weights)
        self._draw(panel)
        n, p = len(panel), self.transformer_._n_features_out
        check_memory(
            24.0 * min(n, p) ** 2, f"A ridge regression on {p} features of {n} series", "Take fewer of either."
        )
        return Features(self.transformer_.transform, panel, p, report), targets, weights, places

    def _fit_parts(self, parts: Any, read: Any, executor: Any, learn: Callable[[Any, Panel], Array | None]) -> Self:
        """`fit_parts`, where ``learn(y, panel)`` of the first series notes what targets are, and returns classes."""
        parts = check_parts(parts, read, executor)
        with self._steps(None, None) as report:
            with of_part(parts[0], 0):
                pair: tuple[Any, Any] | None = next(pairs_of(read, parts[0]), None)
                if pair is None:
                    raise ValueError("There are no series in it: features are drawn from the first ones.")
                X, y = pair
                panel = self._panel(X, y)
                classes = learn(y, panel)
                check = partial(checked, classes=classes, shape=np.shape(y)[1:])
                panel, targets = check(panel, y)
            self._draw(panel)
            p = self.transformer_._n_features_out
            check_memory(32.0 * p**2, f"Sums over {p} features", "Take fewer of them.")
            transform = self.transformer_.transform
            units = Units.learn(np.asarray(transform(panel)), targets, classes)
            head = fit_parts(parts, read, transform, check, units, self._blocks(), self._seed, executor, report)
            if classes is None:
                self._keep(head, units.center, units.scale)
            else:
                self._keep(head, head.offset, head.temperature)
        return self

    def _draw(self, panel: Any) -> None:
        """Draw the features from some series."""
        self._seed = int(check_random_state(self.random_state).randint(2**31))
        parameters = {name: getattr(self, name) for name in RandomHiPPOTransformer().get_params()}
        self.transformer_ = RandomHiPPOTransformer(**parameters | {"random_state": self._seed}).fit(panel)

    def _keep(self, head: Head, center: Any, scale: Any) -> None:
        """The head whose outputs are center + scale * what it was fitted to."""
        self.scaling_, self.penalty_ = tuple(head.scaling), head.solution.penalty
        self.coef_, self.intercept_ = head.solution.coefficients * scale, center + head.solution.intercept * scale

    def _blocks(self) -> list[tuple[slice, float]]:
        return [(columns, variance) for _, _, columns, variance in blocks_of(self.transformer_)]

    def _outputs(self, X: Any) -> Array:
        """Outputs of the head, some series at a time."""
        check_is_fitted(self)
        panel = validate_panel(self, X, reset=False)
        scaling = Scaling(*self.scaling_)
        parts = [panel[k : k + SERIES_AT_ONCE] for k in range(0, len(panel), SERIES_AT_ONCE)]
        features = (np.asarray(self.transformer_.transform(part)) for part in parts)
        return np.concatenate([predict(one, scaling, self.coef_, self.intercept_) for one in features])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


class HiPPOClassifier(Scores, ClassifierMixin, _Ridge):
    __doc__ = rf"""Classify series by random features of a sliding memory and a ridge regression.

    The features are those of `RandomHiPPOTransformer`: which shapes there are, how often and for how long. Series may
    be of different lengths, irregularly sampled and incomplete.

    Parameters
    ----------
    {_PARAMETERS.strip()}
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, on top of ``sample_weight``.
    {_MORE.strip()}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    {_ATTRIBUTES.strip()}

    See Also
    --------
    RandomHiPPOTransformer : The features by themselves, for another classifier.
    HiPPORNNClassifier : A network, for many series.
    HiPPORegressor : The same for numbers.

    Notes
    -----
    {_NOTES.strip()} Outputs are scaled to be logarithms of probabilities, by cross-validation of the head; of
    so many series that their features are not kept, by a fifth of them. Where series are fewer than features, it
    also decides whether each series is scaled to unit length and, where classes are of very different sizes, whether
    weights make up for half of that.

    Examples
    --------
    >>> from sklearn_hippo import HiPPOClassifier
    >>> X = [[0.0, 1.0, 2.0], [0.0, 1.0], [2.0, 1.0, 0.0, -1.0], ([0.0, 2.5], [1.0, 0.0])] * 5
    >>> y = ["up", "up", "down", "down"] * 5
    >>> HiPPOClassifier(random_state=0).fit(X, y).predict([[1.0, 2.0, 3.0, 4.0]])
    array(['up'], dtype='<U4')
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        **_Ridge._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        n_features: int = 1000,
        *,
        windows: str = "both",
        order: int = 6,
        poolings: Any = ("ppv", "longest"),
        derivative: bool = True,
        normalized: bool = False,
        conjunctions: int = 2000,
        summaries: Any = "auto",
        class_weight: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        set_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Draw the features, and fit the head.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            The series, in any of the forms that `HiPPOTransformer.fit` takes.
        y : array-like of shape (n_series,)
            Classes.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series, from zero on.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If X is not valid, as in `HiPPOTransformer.fit`; if y is missing, of another length or has only one class;
            if there are too many series for the memory of the machine.
        """
        self._fit_left_out(X, y, sample_weight)
        return self

    def _fit_left_out(self, X: Any, y: Any, sample_weight: Any) -> Array:
        """Fit, and return the probabilities of every series by the folds without it; NaN where there are none."""
        with self._steps(X, y) as report:
            panel = self._panel(X, y)
            y = check_labels(y, panel)
            weights = self._weights(panel, sample_weight)
            used = np.flatnonzero(weights)
            if self.class_weight is not None:
                weights[used] *= weights_by_class(self.class_weight, y[used])
                used = np.flatnonzero(weights)
            targets = np.full((len(y), len(self._learn_classes(y[used]))), -1.0)
            targets[used, np.searchsorted(self.classes_, y[used])] = 1
            features, own, weights, places = self._features(panel, targets, weights, report)
            head = fit_calibrated(features, own, weights, self._blocks(), self._seed)
            self._keep(head, head.offset, head.temperature)
        if head.left_out is None:
            return np.full(targets.shape, np.nan)
        known = softmax(head.temperature * head.left_out + head.offset, axis=1)
        return np.where(places[:, None] < 0, np.nan, known[places])

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_parts(
        self, parts: Iterable[Any], read: Callable[[Any], Iterable[tuple[Any, Any]]], *, classes: Any = None,
        executor: Any = None,
    ) -> Self:  # fmt: skip
        """Fit to more series than there is memory for, or on several machines.

        A worker reads a part some series at a time, and sends back sums of products of their features, which is all
        that a ridge regression needs: 8 bytes for each pair of features, however many series there are. The penalty and
        the probabilities are those that are best for about 4,000 random series, which are held out, and then fitted as
        well. Series that are equal are not looked for, and have no weights.

        Parameters
        ----------
        parts : iterable
            What tells ``read`` where series are: names of files, for example. A series lies in one part.
        read : callable
            Of a part it makes an iterable of pairs ``(X, y)``, of some thousand series each, as in ``fit``. Features
            are drawn from the first pair of the first part, which should have series of all kinds.
        classes : array-like, optional
            All classes. By default those of the first pair.
        executor : concurrent.futures.Executor, optional
            Whose ``map`` reads parts at once: a ``ProcessPoolExecutor``, or ``get_executor()`` of a client of dask. By
            default one part is read after the other, here.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If series or targets are not valid, as in ``fit``, with a note that tells the part; if a class is not among
            those given; if there are so few series that one would fit them at once; if there are too many features for
            the memory of the machine.
        """
        if self.class_weight is not None:
            raise ValueError("class_weight is not for series in parts.")
        given = None if classes is None else check_classes(classes)
        return self._fit_parts(
            parts,
            read,
            executor,
            lambda y, panel: self._learn_classes(check_labels(y, panel) if given is None else given),
        )

    def _learn_classes(self, y: Array) -> Array:
        """The different labels."""
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"The classifier needs series of at least 2 classes, but y has only one class: "
                f"{self.classes_.tolist()[0]!r}."
            )
        return self.classes_

    def decision_function(self, X: Any) -> Array:
        """Compute logarithms of probabilities, but for a constant; of two classes, their difference.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_classes), or (n_series,) for two classes
        """
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict(self, X: Any) -> Array:
        """Predict the class of every series.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series,)
        """
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Compute the probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_classes)
        """
        outputs = self._outputs(X)
        return softmax(outputs, axis=1)


class HiPPORegressor(Scores, RegressorMixin, _Ridge):
    __doc__ = rf"""Predict numbers from series by random features of a sliding memory and a ridge regression.

    As `HiPPOClassifier`, for one or several targets, and with more features by default, which tell sizes and places.

    Parameters
    ----------
    {_PARAMETERS.strip()}
    {_MORE.strip()}

    Attributes
    ----------
    {_ATTRIBUTES.strip()}

    See Also
    --------
    RandomHiPPOTransformer : The features by themselves, for another regressor.
    HiPPOClassifier : The same for classes.

    Notes
    -----
    {_NOTES.strip()}

    Examples
    --------
    >>> from sklearn_hippo import HiPPORegressor
    >>> X = [[k / 10, k / 10 + 1, k / 10] for k in range(20)]
    >>> regressor = HiPPORegressor(random_state=0).fit(X, range(20))
    >>> regressor.predict([[1.0, 2.0, 1.0]]).round()
    array([10.])
    """

    def __init__(
        self,
        n_features: int = 2000,
        *,
        windows: str = "both",
        order: int = 6,
        poolings: Any = ("ppv", "longest", "thirds", "spread"),
        derivative: bool = True,
        normalized: bool = True,
        conjunctions: int = 2000,
        summaries: Any = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        set_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Draw the features, and fit the head.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            The series, in any of the forms that `HiPPOTransformer.fit` takes.
        y : array-like of shape (n_series,) or (n_series, n_targets)
            Numbers.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series, from zero on.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If X is not valid, as in `HiPPOTransformer.fit`; if y is missing, not finite or of another length; if there
            are too many series for the memory of the machine.
        """
        with self._steps(X, y) as report:
            panel = self._panel(X, y)
            y = check_numbers(y)
            self._y_shape = y.shape[1:]
            weights = self._weights(panel, sample_weight)
            features, targets, weights, _ = self._features(panel, y.reshape(len(y), -1), weights, report)
            # numbers in units of their own, so that no square of them overflows
            center, scale = np.transpose([mean_and_scale(target, weights) for target in targets.T])
            self._keep(fit_head(features, (targets - center) / scale, weights, self._blocks(), 0), center, scale)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_parts(
        self, parts: Iterable[Any], read: Callable[[Any], Iterable[tuple[Any, Any]]], *, executor: Any = None
    ) -> Self:
        """Fit to more series than there is memory for, or on several machines: see `HiPPOClassifier.fit_parts`.

        Parameters
        ----------
        parts : iterable
            What tells ``read`` where series are: names of files, for example. A series lies in one part.
        read : callable
            Of a part it makes an iterable of pairs ``(X, y)``, of some thousand series each, as in ``fit``.
        executor : concurrent.futures.Executor, optional
            Whose ``map`` reads parts at once.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `HiPPOClassifier.fit_parts`; if targets are extreme beside those of the first series.
        """

        def learn(y: Any, panel: Panel) -> None:
            self._y_shape = check_numbers(y).shape[1:]

        return self._fit_parts(parts, read, executor, learn)

    def predict(self, X: Any) -> Array:
        """Predict the targets of every series.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series,) or (n_series, n_targets), as y in `fit`
        """
        outputs = self._outputs(X)
        return outputs.reshape(len(outputs), *self._y_shape)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
