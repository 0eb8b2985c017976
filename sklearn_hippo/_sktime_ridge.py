"""HiPPOClassifier and HiPPORegressor for sktime."""

from typing import Any

from numpy.typing import NDArray
from sktime.classification.base import BaseClassifier
from sktime.regression.base import BaseRegressor

from ._ridge import HiPPOClassifier, HiPPORegressor
from ._sktime_features import CLASSIFIER_TAGS, TAGS, TargetAdapter, as_panel, parameters_of

NEEDS = {"python_dependencies": None}
TEST_PARAMS: list[dict[str, Any]] = [
    {"n_features": 20, "conjunctions": 10, "random_state": 0},
    {"n_features": 10, "windows": "relative", "order": 3, "conjunctions": 0, "normalized": False, "random_state": 1},
]


@parameters_of(HiPPOClassifier)
class HiPPOTimeSeriesClassifier(TargetAdapter, BaseClassifier):
    """Classify series by random features of a sliding memory.

    `HiPPOClassifier` for sktime: panels of series of different lengths, with values missing. Index values are times, as
    in `HiPPOFeatures`.

    {parameters}

    Attributes
    ----------
    estimator_ : HiPPOClassifier
        Fitted.

    See Also
    --------
    sklearn_hippo.HiPPOClassifier : For scikit-learn; it says what the features are.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from sklearn_hippo.sktime import HiPPOTimeSeriesClassifier
    >>> X, y = load_unit_test(split="train")
    >>> HiPPOTimeSeriesClassifier(random_state=0).fit(X, y).predict(X[:2])
    array(['1', '1'], dtype='<U1')
    """

    _tags = CLASSIFIER_TAGS | NEEDS
    _test_params = TEST_PARAMS
    _estimator = HiPPOClassifier

    def _predict_proba(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict_proba(as_panel(X))


@parameters_of(HiPPORegressor)
class HiPPOTimeSeriesRegressor(TargetAdapter, BaseRegressor):
    """Predict numbers from series by random features of a sliding memory.

    `HiPPORegressor` for sktime: panels of series of different lengths, with values missing. Index values are times, as
    in `HiPPOFeatures`.

    {parameters}

    Attributes
    ----------
    estimator_ : HiPPORegressor
        Fitted.

    See Also
    --------
    sklearn_hippo.HiPPORegressor : For scikit-learn; it says what the features are.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from sklearn_hippo.sktime import HiPPOTimeSeriesRegressor
    >>> X, y = load_unit_test(split="train")
    >>> HiPPOTimeSeriesRegressor(random_state=0).fit(X, y.astype(float)).predict(X).shape
    (20,)
    """

    _tags = TAGS | NEEDS
    _test_params = TEST_PARAMS
    _estimator = HiPPORegressor
