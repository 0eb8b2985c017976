"""Targets of trained estimators: classes, labels, numbers; whatever the network is."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from scipy.stats import entropy
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ._columns import refuse_masked
from ._compat import StrOptions
from ._network import NetworkEstimator
from ._panel import Panel
from ._scales import mean_and_scale
from ._validation import Scores, check_labels, name_series, weights_by_class

Array = NDArray[Any]

CLASS_WEIGHT = """    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, on top of ``sample_weight``.
"""


class NetworkClassifier(Scores, ClassifierMixin, NetworkEstimator):
    """Classes, or several labels, of series."""

    class_weight: Any
    _y_names: list[str]  # of labels, if they have names
    _labels: int | None  # number of labels, if every series may have several
    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        **NetworkEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _criterion(self) -> type[nn.Module]:
        return nn.CrossEntropyLoss if self._labels is None else nn.BCEWithLogitsLoss

    def _check_y(self, y: Any, panel: Panel) -> Array:
        self._y_names = _names_of(y)
        if hasattr(y, "toarray"):  # sparse, as label binarizers make it
            y = y.toarray()
        if _is_table(y):
            return _check_table_of_labels(y, panel)
        return check_labels(y, panel)

    def _learn_targets(self, y: Array, classes: Array | None, weights: Array) -> None:
        self._labels = y.shape[1] if y.ndim == 2 else None
        if self._labels is not None:
            self.classes_ = np.arange(self._labels)
            return
        self.classes_ = np.unique(y) if classes is None else classes
        if len(self.classes_) < 2:
            raise ValueError(
                f"The classifier needs series of at least 2 classes, but y has only one class: "
                f"{self.classes_.tolist()[0]!r}."
            )

    def _encode(self, y: Array) -> Array:
        if (y.shape[1] if y.ndim == 2 else None) != self._labels:
            of = "one class" if self._labels is None else f"{self._labels} labels, 0 or 1"
            raise ValueError(f"y has the shape {y.shape}, but the classifier was trained on {of} for each series.")
        if self._labels is not None:
            return y.astype(np.float32)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has the class {unknown.tolist()[0]!r}, which the classifier did not see at first: "
                f"{self.classes_.tolist()}."
            )
        return np.searchsorted(self.classes_, y).astype(np.int64)

    def _class_weights(self, y: Array) -> Array:
        if self.class_weight is None:
            return np.ones(len(y))
        if y.ndim == 2:
            raise ValueError(
                f"class_weight={self.class_weight!r} weighs the classes of one label, but y has {y.shape[1]} labels. "
                "Use sample_weight, or a classifier for each label."
            )
        return weights_by_class(self.class_weight, y)

    def _loss_of_a_constant(self, target: Array, weights: Array) -> float:
        if target.ndim == 2:
            share = np.average(target, axis=0, weights=weights)
            return float(entropy([share, 1 - share]).mean())
        return float(entropy(np.bincount(target, weights)))

    def _n_outputs(self) -> int:
        return len(self.classes_)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one more epoch, at a constant learning rate.

        The first call learns the scales of the channels from what it is given.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`.
        y : array-like of shape (n_series,) or (n_series, n_labels)
            Target values, as in `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes that will ever come; needed by the first call, unless a series may have several labels.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series in the loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit` does, and if the classes are missing or not those of the first call.
        """
        fresh = not self.__sklearn_is_fitted__()
        if fresh and classes is None and not _is_table(y):
            raise ValueError("classes must be passed on the first call to partial_fit: later calls may bring others.")
        if classes is not None:
            refuse_masked(classes, "classes")
            classes = np.unique(np.asarray(classes))
            if not fresh and not np.array_equal(classes, self.classes_):
                raise ValueError(f"classes={classes} are not those of the first call to partial_fit: {self.classes_}.")
        self._fit(X, y, sample_weight, 1, fresh=fresh, classes=classes)
        return self

    def decision_function(self, X: Any) -> Array:
        """Compute the logits of the classes or labels; of two classes, how far the second is above the first.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_classes), or (n_series,) for two classes
        """
        scores = self._outputs(X)
        two = scores.shape[1] == 2 and self._labels is None
        return scores[:, 1] - scores[:, 0] if two else scores

    def predict_proba(self, X: Any) -> Array:
        """Compute the probabilities of the classes, in the order of ``classes_``, or of the labels.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_classes)
            The probabilities of classes add up to one, those of labels are each by itself.
        """
        return self._probabilities(self._outputs(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Compute the logarithms of `predict_proba`, which are finite where a probability is too small for a number.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_classes)
        """
        outputs = self._outputs(X)
        return log_softmax(outputs, axis=1) if self._labels is None else log_expit(outputs)

    def predict_proba_online(self, X: Any) -> Panel:
        """Compute the probabilities after every observation, while the series runs.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        Panel
            The probabilities are its channels, named after the classes, or the columns of a frame y, at the times of
            the observations; those of one stamp are one observation. Each row is `predict_proba` of the series that
            ends there, and no row depends on later ones: one pass computes them all. A series in which nothing was
            observed has no rows.

        Raises
        ------
        ValueError, TypeError
            As `predict_proba` does.
        """
        check_is_fitted(self)
        names = self._y_names if self._labels is not None and self._y_names else [str(label) for label in self.classes_]
        return self._outputs_online(X, names, self._probabilities)

    def predict_online(self, X: Any) -> list[Array]:
        """Predict the class after every observation, while the series runs.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        list of ndarray of shape (n_stamps,) or (n_stamps, n_labels)
            For each series, the classes that belong to the rows of `predict_proba_online`.

        Raises
        ------
        ValueError, TypeError
            As `predict` does.
        """
        panel, outputs = self._evaluate(X, every=True)
        return np.split(self._decided(outputs), panel.offsets[1:-1])

    def predict(self, X: Any) -> Array:
        """Predict the most probable class of every series, or the labels that are more probable than not.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series,) or (n_series, n_labels)
        """
        return self._decided(self._outputs(X))

    def _probabilities(self, outputs: Array) -> Array:
        return softmax(outputs, axis=1) if self._labels is None else expit(outputs)

    def _decided(self, outputs: Array) -> Array:
        return self.classes_[outputs.argmax(axis=1)] if self._labels is None else (outputs > 0).astype(int)


class NetworkRegressor(Scores, RegressorMixin, NetworkEstimator):
    """Numbers that belong to series, standardized inside."""

    _y_names: list[str]  # of targets, if they have names

    def _criterion(self) -> type[nn.Module]:
        return nn.MSELoss

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_y(self, y: Any, panel: Panel) -> Array:
        self._y_names = _names_of(y)
        y = np.asarray(y)
        y = check_array(y, ensure_2d=False, dtype=np.float64, ensure_all_finite=False, input_name="y")
        wrong = np.argwhere(~np.isfinite(y))
        if len(wrong):
            raise ValueError(
                f"{name_series(panel, wrong[0, 0])} has the target {y[tuple(wrong[0])]}: leave out series without a "
                "target."
            )
        if y.ndim > 2:
            raise ValueError(f"y must have shape (n_series,) or (n_series, n_targets), got {y.shape}.")
        return y

    def _learn_targets(self, y: Array, classes: Array | None, weights: Array) -> None:
        self._y_shape = y.shape[1:]
        columns = [mean_and_scale(column, weights) for column in y.reshape(len(y), -1).T]
        self.target_mean_, self.target_scale_ = np.array(columns).T

    def _loss_of_a_constant(self, target: Array, weights: Array) -> float:
        return float(np.mean(np.average((target - np.average(target, 0, weights)) ** 2, 0, weights)))

    def _encode(self, y: Array) -> Array:
        if y.shape[1:] != self._y_shape:
            raise ValueError(
                f"y has the shape {y.shape}, but the regressor was trained on (n_series, *{self._y_shape})."
            )
        return ((y.reshape(len(y), -1) - self.target_mean_) / self.target_scale_).astype(np.float32)

    def _n_outputs(self) -> int:
        return len(self.target_mean_)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one more epoch, at a constant learning rate.

        The first call learns the scales of the channels and of the targets from what it is given.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`.
        y : array-like of shape (n_series,) or (n_series, n_targets)
            Target values.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series in the loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit` does.
        """
        self._fit(X, y, sample_weight, 1, fresh=not self.__sklearn_is_fitted__())
        return self

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
        outputs = self._rescaled(self._outputs(X))
        return outputs.reshape(len(outputs), *self._y_shape)

    def predict_online(self, X: Any) -> Panel:
        """Predict the targets after every observation, while the series runs.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        Panel
            The targets are its channels, named after the columns of a frame y, at the times of the observations; those
            of one stamp are one observation. Each row is `predict` of the series that ends there, and no row depends on
            later ones: one pass computes them all. A series in which nothing was observed has no rows.

        Raises
        ------
        ValueError, TypeError
            As `predict` does.
        """
        check_is_fitted(self)
        names = self._y_names or [f"y{k}" for k in range(len(self.target_mean_))]
        return self._outputs_online(X, names, self._rescaled)

    def _rescaled(self, outputs: Array) -> Array:
        return outputs * self.target_scale_ + self.target_mean_


def _names_of(y: Any) -> list[str]:
    """Names of targets, of a frame or a column of one."""
    names: list[Any] = list(y.columns) if hasattr(y, "columns") else [getattr(y, "name", None)]
    return names if all(isinstance(name, str) for name in names) and len(set(names)) == len(names) else []


def _is_table(y: Any) -> bool:
    """Whether y is to have several labels for each series."""
    if isinstance(y, (list, tuple)) and len({len(row) if hasattr(row, "__len__") else -1 for row in y}) > 1:
        return not any(isinstance(row, str) for row in y)  # lists of labels, which are refused
    y = np.asarray(y)
    return y.ndim == 2 and y.shape[1] > 1


def _check_table_of_labels(y: Any, panel: Panel) -> Array:
    """Zeros and ones, (n_series, n_labels)."""
    advice = "Several labels of a series are a table of 0 and 1, as sklearn.preprocessing.MultiLabelBinarizer makes it."
    try:
        table = np.asarray(y)
    except ValueError:
        raise ValueError(f"y must be an array of labels, or a table with a row for each series. {advice}") from None
    wrong = np.argwhere(~np.isin(table, [0, 1])) if table.dtype.kind in "biuf" else np.zeros((1, 2), int)
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"{name_series(panel, row)} has the label {table[row, column]!s} in column {column} of y. {advice}"
        )
    return table
