"""Whatever X is, as a panel; and what estimators check of it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_feature_names_in, validate_data

from ._columns import as_values, holds_series, is_empty, refuse_masked
from ._ids import as_ids, called_series, named_index
from ._panel import Panel
from ._reading import read_cells, warn_transposed

Array = NDArray[Any]


def check_panel(X: Any, *, cells: bool = False) -> Panel:
    """Make a panel of X, in any of the forms that estimators take.

    Parameters
    ----------
    X : Panel, array, sequence or DataFrame
        Decided by type, never by sizes:

        - a `Panel`;
        - a numeric array, DataFrame or list of equally long lists, of shape (n_series, length): each row a regular
          series of one channel, which ends before the NaN at its end;
        - an array of shape (n_series, length, n_channels), where rows of NaN at the end of a series are padding;
        - a list, tuple, object array or pandas Series of series, as `Panel.from_list` takes them;
        - a DataFrame or Table whose cells are series (arrays, pandas Series or lists): each column a channel;
        - a polars Series or pyarrow Array of lists: series of one channel.
    cells : bool
        Whether a frame in which there is nothing at all is one of cells, not of numbers.

    Returns
    -------
    Panel

    Raises
    ------
    ValueError, TypeError
        If X is none of these, or as `Panel` does.
    """
    _check_kind(X)
    if isinstance(X, Panel):
        panel = X
    elif isinstance(X, (str, bytes, dict)) and not issparse(X):
        raise TypeError(f"X is a {type(X).__name__}; see Panel.from_list and Panel.from_long for what can be read.")
    elif hasattr(X, "columns") or hasattr(X, "column_names"):
        panel = _from_frame(X, cells)
    elif hasattr(X, "iloc"):  # pandas Series
        panel = Panel.from_list(list(X), ids=named_index(X))
    elif hasattr(X, "to_numpy") and not isinstance(X, np.ndarray):  # polars Series, pyarrow Array
        panel = Panel(*read_cells([X], None)[:3])
    elif isinstance(X, (list, tuple)):
        panel = Panel.from_list(X)
        if _is_nested_list(X):
            panel = Panel.from_padded(panel.values.reshape(len(panel), -1))
    else:
        panel = _from_array(as_values(X, "X") if issparse(X) else np.asanyarray(X))  # a mask tells what is missing
    if len(panel) == 0:
        raise ValueError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required: X has no series.")
    return panel


def _check_kind(X: Any) -> None:
    """Refuse what is a table, but one whose rows cannot be told."""
    kind = type(X).__name__
    if kind == "LazyFrame":
        raise TypeError("X is a LazyFrame: its values are needed. Use X.collect().")
    if kind.endswith("GroupBy"):
        raise TypeError(
            f"X is a {kind}: read it by Panel.from_long(X, time=..., values=...), with its groups for series."
        )


def _from_array(X: Array, ids: Any = None) -> Panel:
    if X.dtype == object and X.ndim == 1:
        return Panel.from_list(list(X))
    if X.ndim == 0:
        raise TypeError(
            f"X is a {type(X.item()).__name__}, no collection of series; see Panel.from_list and Panel.from_long for "
            "what can be read."
        )
    X = as_values(X, "X")
    if X.ndim == 1:
        raise ValueError(
            "Expected 2D array, got 1D array instead. X is a collection of series. Reshape your data: a single series "
            "is X.reshape(1, -1), or [series] in a list."
        )
    if X.ndim == 2:
        for size, what in zip(X.shape, ("sample", "feature"), strict=True):
            if size == 0:
                raise ValueError(f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required.")
        return Panel.from_padded(X, ids=ids)
    if X.ndim != 3:
        raise ValueError(f"X has {X.ndim} dimensions; (n_series, length) or (n_series, length, n_channels) is needed.")
    if X.shape[2] > X.shape[1]:
        warn_transposed(X.shape[2], X.shape[1])
    return Panel.from_padded(X)


def _columns(X: Any) -> tuple[list[str], list[Any]]:
    """Names and columns of a frame of pandas or polars or of a pyarrow table."""
    names = X.column_names if hasattr(X, "column_names") else X.columns
    columns = [X.iloc[:, c] if hasattr(X, "iloc") else X[name] for c, name in enumerate(names)]
    return [str(name) for name in names], columns


def _from_frame(X: Any, cells: bool) -> Panel:
    """A DataFrame of numbers, whose rows are series, or of cells that are series, whose columns are channels."""
    names, columns = _columns(X)
    ids = named_index(X) if hasattr(X, "iloc") else None
    if not _is_table_of_numbers(X, cells):
        named = called_series if ids is None else partial(called_series, ids=as_ids(ids, len(X))[0])
        values, times, offsets, channel_names = read_cells(columns, names, named)
        return Panel(values, times, offsets, channel_names=channel_names, ids=ids)
    numbers = []
    for name, column in zip(names, columns, strict=True):
        try:
            numbers.append(as_values(column, f"column {name!r}"))
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{error} A long table, with a row for every observation, is read by Panel.from_long(frame, id=..., "
                "time=..., values=...)."
            ) from None
    return _from_array(np.column_stack(numbers), ids)


def _is_table_of_numbers(X: Any, cells: bool = False) -> bool:
    """Whether the rows of a frame are its series, or else its cells are; nothing is converted.

    With ``cells``, a frame in which there is nothing at all is one of cells.
    """
    names, columns = _columns(X)
    if len(names) == 0 or len(X) == 0:
        raise ValueError(f"X is empty: it has {len(X)} rows (0 sample(s)) and {len(names)} columns (0 feature(s)).")
    nested = [holds_series(column) for column in columns]
    others = [c for c, is_nested in enumerate(nested) if not is_nested]
    if any(nested) or cells:
        others = [c for c in others if not is_empty(columns[c])]
    if any(nested) and others:
        raise TypeError(
            f"Column {names[nested.index(True)]!r} holds series, column {names[others[0]]!r} does not. Send them to "
            "different transformers with a ColumnTransformer."
        )
    if others and getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        raise TypeError(
            "X is a long table with a multi-index: its rows are not its series, so no cross-validation could split it. "
            "Use Panel.from_long(frame.reset_index(), id=..., time=..., values=...)."
        )
    return bool(others)


def _is_table(X: Any, cells: bool = False) -> bool:
    """Whether X is a table of numbers, whose rows are regular series: the one form that scikit-learn knows too."""
    if issparse(X):
        return True  # for scikit-learn to refuse
    if isinstance(X, (Panel, list, tuple, str, bytes, dict)):
        return False
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        return _is_table_of_numbers(X, cells)
    return isinstance(X, np.ndarray) and X.ndim == 2


def _is_nested_list(X: Any) -> bool:
    """Whether X is [[x, ...], ...] of numbers in rows of one length, which scikit-learn takes for a table as well."""
    return (
        isinstance(X, list)
        and len(X) > 0
        and all(isinstance(row, list) and len(row) == len(X[0]) > 0 and _is_number(row[0]) for row in X)
    )


def _is_number(cell: Any) -> bool:
    return cell is np.ma.masked or not hasattr(cell, "__len__")


def validate_panel(estimator: Any, X: Any, *, reset: bool) -> Panel:
    """Make a panel of an estimator's X, and hold it against what the estimator was fitted on.

    With ``reset``, sets ``n_features_in_``, ``feature_names_in_`` (where X is a DataFrame), ``n_channels_`` and
    ``channel_names_``. ``n_features_in_`` is the length of the series if X is a table of numbers (or nested lists of
    one length, which scikit-learn takes for a table), and the number of channels otherwise. A table at `transform` must
    be as wide as the one at `fit`; series of other lengths come as a list or a `Panel`.
    """
    _check_kind(X)
    if isinstance(X, Sequence) and not isinstance(X, (Panel, list, tuple, str, bytes)):
        X = list(X)
    if not isinstance(X, (Panel, list, tuple, str, bytes, dict, np.ndarray)) and not hasattr(X, "to_numpy"):
        X = X if hasattr(X, "columns") or issparse(X) else np.asarray(X)
    cells = not reset and not estimator._fitted_on_table
    table = _is_table(X, cells)
    # scikit-learn's own checks of the names and the number of columns, wherever X has columns that mean what they did
    # in fit; of cells' names first, and of numbers when they are known to be valid.
    panel = check_panel(X) if table else None
    compared = reset or (hasattr(X, "columns") and not table) or (table and estimator._fitted_on_table)
    if not reset and not table and estimator.channel_names_ is not None and not hasattr(estimator, "feature_names_in_"):
        compared = False  # the names of a panel, with which those of the channels are compared below
    if compared and hasattr(X, "columns"):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    panel = check_panel(X, cells=cells) if panel is None else panel
    if reset and not table and _is_nested_list(X):
        table = compared = True
    if compared and not hasattr(X, "columns"):
        validate_data(estimator, X if table else None, reset=reset, skip_check_array=True)
    if reset:
        estimator._fitted_on_table = table
        estimator.n_channels_ = panel.n_channels
        estimator.channel_names_ = panel.channel_names
        if not table and not hasattr(X, "columns"):
            estimator.n_features_in_ = panel.n_channels
        return panel
    if not len(panel.values) and panel.channel_names is None:  # which says nothing of channels
        nothing = np.empty((0, estimator.n_channels_), panel.values.dtype)
        panel = Panel(nothing, None, panel.offsets, ids=panel.ids, id_names=panel.id_names)
    if panel.n_channels != estimator.n_channels_:
        raise ValueError(
            f"X has {panel.n_channels} channels, but {type(estimator).__name__} was fitted on {estimator.n_channels_}. "
            "Give the same channels in the same order."
        )
    fitted = estimator.channel_names_
    if fitted is not None and panel.channel_names is not None and fitted != panel.channel_names:
        raise ValueError(
            f"X has the channels {list(panel.channel_names)}, but {type(estimator).__name__} was fitted on "
            f"{list(fitted)}. Give the same channels in the same order."
        )
    return panel


def names_of_channels(estimator: Any, input_features: Any) -> list[str]:
    """How the channels of a fitted estimator are called, by their names or those given for its ``n_features_in_``."""
    refuse_masked(input_features, "input_features")
    given = [] if input_features is None else list(np.asarray(input_features, dtype=object).ravel())
    n, column = estimator.n_channels_, len(given) == 1 and not hasattr(estimator, "feature_names_in_")
    if estimator._fitted_on_table or not column:  # whose cells may be series of any number of channels
        _check_feature_names_in(estimator, input_features)
    if estimator.channel_names_ is not None:
        return list(estimator.channel_names_)
    if not given or estimator._fitted_on_table:
        return [f"x{c}" for c in range(n)]
    return given if len(given) == n else [f"{given[0]}_{c}" for c in range(n)]


def ids_of_features(X: Any, n_series: int, names: Array, ids: Any) -> Any:
    """Ids of the series of features, those given or of the index of a frame, whose columns must have these names."""
    given = list(getattr(X, "columns", []))
    if all(isinstance(name, str) for name in given) and given not in ([], names.tolist()):
        raise ValueError(f"X has other columns than the transformer makes, or in another order: {given[:10]}.")
    index = named_index(X) if hasattr(X, "iloc") else None
    if ids is None or index is None:
        return index if ids is None else ids
    if list(as_ids(index, n_series)[0]) != list(ids):
        raise ValueError("The index of X and the ids of times differ: bring the series into one order.")
    return ids


def check_unchanged(parameters: dict[str, Any], fitted: dict[str, Any]) -> None:
    """Refuse to go on with other parameters than those of the fit."""
    changed = [name for name, value in parameters.items() if value != fitted[name]]
    if changed:
        raise ValueError(f"The parameter {changed[0]!r} has changed since fit: fit again.")


def check_observed(panel: Panel) -> None:
    """Refuse to learn from series of which a channel was never observed."""
    if panel.has_missing or not len(panel.values):
        never = np.flatnonzero(np.isnan(panel.values).all(axis=0))
        if len(never):
            raise ValueError(
                f"Channel {panel._name(never[0])} has no observation in any training series. Leave it out."
            )


def learned_timescale(measure: str, timescale: float | None, duration: float) -> float:
    """The timescale that an estimator was given, or else the median duration of its training series."""
    if timescale is None and duration == 0:
        raise ValueError(
            f"The timescale of measure={measure!r} cannot be learned: the median duration of the training series is "
            "zero, as it is in a table with n_features = 1. Set timescale, in units of the timestamps."
        )
    return duration if timescale is None else float(timescale)


def name_series(panel: Panel, series: int) -> str:
    """How to speak of a series to which something was given beside the panel, which may be of another length."""
    return panel._called(int(series)) if series < len(panel) else f"Series {series}"


def check_labels(y: Any, panel: Panel) -> Array:
    """A label for each series of a panel, none of them missing, and all of one kind."""
    refuse_masked(y, "y")
    kept = y if isinstance(y, (list, tuple)) else ()  # in an array of numpy's choice, 1 and "1" could be the same
    y = column_or_1d(y, warn=True)
    missing = [i for i, label in enumerate(y.tolist()) if _is_missing(label)]
    if missing:
        raise ValueError(
            f"{name_series(panel, missing[0])} has the label {y[missing[0]]}: leave out series without a label."
        )
    strings = [isinstance(label, str) for label in (kept or (y if y.dtype == object else ()))]
    if any(strings) and not all(strings):
        one, other = strings.index(True), strings.index(False)
        raise TypeError(
            f"{name_series(panel, one)} has the label {y[one]!s}, a string, and {name_series(panel, other)} has "
            f"{y[other]!s}, which is none: labels must be of one kind."
        )
    check_classification_targets(y)
    return y


class Scores:
    """scikit-learn's `score`, which refuses masked targets: what is under the mask would count."""

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the accuracy of predicted classes, or the coefficient of determination of predicted numbers.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.
        y : array-like of shape (n_series,) or (n_series, n_outputs)
            True classes or numbers.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series.

        Returns
        -------
        float
            Of several labels of a series, all have to be right.

        Raises
        ------
        ValueError
            If y or the weights are masked somewhere.
        """
        refuse_masked(y, "y")
        refuse_masked(sample_weight, "sample_weight")
        return float(super().score(X, y, sample_weight))  # type: ignore[misc]


def check_classes(classes: Any) -> Array:
    """Different labels, none of them missing."""
    refuse_masked(classes, "classes")
    found = np.asarray(classes)
    if found.ndim != 1 or len(np.unique(found)) < len(found) or any(_is_missing(label) for label in found.tolist()):
        raise ValueError(f"classes must be different labels, none of them missing, got {classes!r}.")
    return found


def check_numbers(y: Any) -> Array:
    """Targets of a regression, (n_series,) or (n_series, n_targets)."""
    refuse_masked(y, "y")
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim not in (1, 2):
        raise ValueError(f"y must have shape (n_series,) or (n_series, n_targets), got {y.shape}.")
    return y


def weights_by_class(class_weight: Any, y: Array) -> Array:
    """Of every label, the weight of its class: scikit-learn's, as shares of the greatest."""
    present, codes = np.unique(y, return_inverse=True)
    weights = compute_class_weight(class_weight, classes=present, y=y)
    if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise ValueError(f"class_weight must be finite and not negative, nor all zero; got {class_weight}.")
    return (weights / weights.max())[codes]  # of which no sum overflows


def _is_missing(label: Any) -> bool:
    try:
        return bool(label is None or label != label or label in (np.inf, -np.inf))
    except TypeError:  # pandas' NA is neither equal nor different
        return True
