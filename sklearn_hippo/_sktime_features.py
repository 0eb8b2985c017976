"""The transformer for sktime, and what the adapters share."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sktime.transformations.base import BaseTransformer

from ._panel import Panel
from ._transformer import HiPPOTransformer
from ._validation import check_panel

# What the adapters take as it is; sktime converts everything else to the first of these, which keeps lengths and times.
MTYPES = ["df-list", "numpy3D", "pd-multiindex", "nested_univ"]


def parameters_of(estimator: Any) -> Callable[[Any], Any]:
    """Give a class the parameters of an estimator, their defaults and their documentation."""
    signature = inspect.signature(estimator.__init__)

    def decorate(adapter: Any) -> Any:
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            given = signature.bind(self, *args, **kwargs)
            given.apply_defaults()
            for name, value in list(given.arguments.items())[1:]:
                setattr(self, name, value)
            super(adapter, self).__init__()

        __init__.__signature__ = signature  # type: ignore[attr-defined]  # where sktime looks for the parameters
        adapter.__init__ = __init__
        described = inspect.getdoc(estimator) or ""
        begin, end = described.index("Parameters\n---"), described.index("Attributes\n---")
        adapter.__doc__ = inspect.cleandoc(adapter.__doc__ or "").replace("{parameters}\n\n", described[begin:end])
        return adapter

    return decorate


def as_panel(X: Any) -> Panel:
    """Series of one of ``MTYPES`` as a panel: an index is its series' times, unless it is 0, 1, 2, ..."""
    if isinstance(X, np.ndarray):
        return Panel.from_numpy3D(X)
    if not isinstance(X, pd.DataFrame):
        return Panel.from_list(X)
    if X.index.nlevels == 1:
        return check_panel(X)
    index = {"instance": X.index.droplevel(-1).factorize()[0], "time": X.index.get_level_values(-1)}
    channels = {f"channel {name}": X.iloc[:, c] for c, name in enumerate(X.columns)}
    panel = Panel.from_long(index | channels, id="instance", time="time", values=list(channels))
    names = [str(name) for name in X.columns]
    return Panel(panel.values, panel.times, panel.offsets, channel_names=names, ids=instances(X))


def instances(X: Any) -> pd.Index | None:
    """Names of the series of X, where it has them."""
    if not isinstance(X, pd.DataFrame):
        return None
    return X.index if X.index.nlevels == 1 else X.index.droplevel(-1).unique()


class Adapter:
    """What all adapters have: the parameters with which sktime tests them."""

    _test_params: list[dict[str, Any]]

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Parameters with which sktime tests the class.

        Parameters
        ----------
        parameter_set : str
            There is only one.

        Returns
        -------
        list of dict
        """
        return cls._test_params


class TargetAdapter(Adapter):
    """What adapters of classifiers and regressors have in common; ``_estimator`` is the class that they adapt."""

    _estimator: Any
    get_params: Any

    def _fit(self, X: Any, y: NDArray[Any]) -> Any:
        self.estimator_ = self._estimator(**self.get_params(deep=False)).fit(as_panel(X), y)
        return self

    def _predict(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict(as_panel(X))


# Of classifiers and regressors.
TAGS = {
    "authors": ["sklearn-hippo developers"],
    "maintainers": ["sklearn-hippo developers"],
    "X_inner_mtype": MTYPES,
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:missing_values": True,
    "capability:random_state": True,
    "property:randomness": "derandomized",
}
CLASSIFIER_TAGS = TAGS | {"capability:predict_proba": True, "capability:class_weight": True}


@parameters_of(HiPPOTransformer)
class HiPPOFeatures(Adapter, BaseTransformer):
    """Compress each series into the coefficients of its optimal polynomial projection.

    `HiPPOTransformer` for sktime: panels (pd-multiindex, df-list, nested_univ, numpy3D) of series of different lengths,
    with values missing, become tables with a row for every series, under its name; so do hierarchies of series, whose
    rows keep all levels of their names. Index values are times: integers as
    they are, datetimes, periods and timedeltas in seconds.

    {parameters}

    Attributes
    ----------
    transformer_ : HiPPOTransformer
        Fitted.

    See Also
    --------
    sklearn_hippo.HiPPOTransformer : For scikit-learn; it says what the coefficients are.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktime.datasets import load_unit_test
    >>> from sklearn_hippo.sktime import HiPPOFeatures
    >>> X, y = load_unit_test(split="train")
    >>> classifier = HiPPOFeatures(order=4) * LogisticRegression()
    >>> classifier.fit(X, y).predict(X[:2])
    array(['1', '1'], dtype='<U1')
    """

    _tags = {  # noqa: RUF012  sktime's convention
        "authors": ["sklearn-hippo developers"],
        "maintainers": ["sklearn-hippo developers"],
        "scitype:transform-input": "Series",
        "scitype:transform-output": "Primitives",
        "scitype:instancewise": True,
        "X_inner_mtype": [*MTYPES, "pd_multiindex_hier"],
        "y_inner_mtype": "None",
        "fit_is_empty": False,
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:unequal_length:removes": True,
        "capability:missing_values": True,
        "capability:missing_values:removes": True,
        "capability:categorical_in_X": False,
        "python_dependencies": None,
    }
    _test_params = [  # noqa: RUF012
        {"order": 3},
        {"measure": "legs_lti", "order": 2, "timescale": 5.0, "add_duration": True},
    ]

    def _fit(self, X: Any, y: Any = None) -> "HiPPOFeatures":
        self.transformer_ = HiPPOTransformer(**self.get_params(deep=False)).fit(as_panel(X))
        return self

    def _transform(self, X: Any, y: Any = None) -> pd.DataFrame:
        features: NDArray[Any] = self.transformer_.transform(as_panel(X))
        return pd.DataFrame(features, instances(X), self.transformer_.get_feature_names_out())
