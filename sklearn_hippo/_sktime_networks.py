"""The trained networks, gated recurrences and state spaces, for sktime."""

from typing import Any

from numpy.typing import NDArray
from sktime.classification.base import BaseClassifier
from sktime.regression.base import BaseRegressor

from ._rnn import HiPPORNNClassifier, HiPPORNNRegressor
from ._sktime_features import CLASSIFIER_TAGS, TAGS, TargetAdapter, as_panel, parameters_of
from ._ssm import HiPPOSSMClassifier, HiPPOSSMRegressor

NEEDS = {"python_dependencies": ["torch", "skorch"]}
TEST_PARAMS: list[dict[str, Any]] = [
    {"hidden_size": 4, "order": 3, "max_epochs": 1, "random_state": 0},
    {
        "measure": "legt",
        "hidden_size": 3,
        "order": 4,
        "timescale": 6.0,
        "gate": None,
        "max_epochs": 1,
        "random_state": 1,
    },
]
SSM_TEST_PARAMS: list[dict[str, Any]] = [
    {"hidden_size": 4, "order": 4, "max_epochs": 1, "random_state": 0},
    {"measure": "legt", "hidden_size": 3, "order": 4, "pooling": "last", "max_epochs": 1, "random_state": 1},
]


@parameters_of(HiPPORNNClassifier)
class HiPPORNNTimeSeriesClassifier(TargetAdapter, BaseClassifier):
    """Classify series with a gated HiPPO-RNN.

    `HiPPORNNClassifier` for sktime: panels of series of different lengths, with values missing. Index
    values are times, as in `HiPPOFeatures`.

    {parameters}

    Attributes
    ----------
    estimator_ : HiPPORNNClassifier
        Fitted.

    See Also
    --------
    sklearn_hippo.HiPPORNNClassifier : For scikit-learn; it says what is trained and how.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from sklearn_hippo.sktime import HiPPORNNTimeSeriesClassifier
    >>> X, y = load_unit_test(split="train")
    >>> classifier = HiPPORNNTimeSeriesClassifier(hidden_size=8, max_epochs=30, random_state=0).fit(X, y)
    >>> classifier.predict(X[:2])
    array(['1', '1'], dtype='<U1')
    """

    _tags = CLASSIFIER_TAGS | NEEDS
    _test_params = TEST_PARAMS
    _estimator = HiPPORNNClassifier

    def _predict_proba(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict_proba(as_panel(X))


@parameters_of(HiPPORNNRegressor)
class HiPPORNNTimeSeriesRegressor(TargetAdapter, BaseRegressor):
    """Predict numbers from series with a gated HiPPO-RNN.

    `HiPPORNNRegressor` for sktime: panels of series of different lengths, with values missing. Index
    values are times, as in `HiPPOFeatures`.

    {parameters}

    Attributes
    ----------
    estimator_ : HiPPORNNRegressor
        Fitted.

    See Also
    --------
    sklearn_hippo.HiPPORNNRegressor : For scikit-learn; it says what is trained and how.

    Examples
    --------
    >>> import numpy as np
    >>> from sktime.datasets import load_unit_test
    >>> from sklearn_hippo.sktime import HiPPORNNTimeSeriesRegressor
    >>> X, y = load_unit_test(split="train")
    >>> regressor = HiPPORNNTimeSeriesRegressor(hidden_size=4, max_epochs=20, random_state=0)
    >>> regressor.fit(X, y.astype(float)).predict(X).shape
    (20,)
    """

    _tags = TAGS | NEEDS
    _test_params = TEST_PARAMS
    _estimator = HiPPORNNRegressor


@parameters_of(HiPPOSSMClassifier)
class HiPPOSSMTimeSeriesClassifier(TargetAdapter, BaseClassifier):
    """Classify series with layers of state spaces of HiPPO bases.

    `HiPPOSSMClassifier` for sktime: panels of series of different lengths, with values missing. Index
    values are times, as in `HiPPOFeatures`.

    {parameters}

    Attributes
    ----------
    estimator_ : HiPPOSSMClassifier
        Fitted.

    See Also
    --------
    sklearn_hippo.HiPPOSSMClassifier : For scikit-learn; it says what is trained and how.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from sklearn_hippo.sktime import HiPPOSSMTimeSeriesClassifier
    >>> X, y = load_unit_test(split="train")
    >>> classifier = HiPPOSSMTimeSeriesClassifier(hidden_size=8, max_epochs=100, lr=0.02, random_state=0).fit(X, y)
    >>> classifier.predict(X[:2])
    array(['1', '1'], dtype='<U1')
    """

    _tags = CLASSIFIER_TAGS | NEEDS
    _test_params = SSM_TEST_PARAMS
    _estimator = HiPPOSSMClassifier

    def _predict_proba(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict_proba(as_panel(X))


@parameters_of(HiPPOSSMRegressor)
class HiPPOSSMTimeSeriesRegressor(TargetAdapter, BaseRegressor):
    """Predict numbers from series with layers of state spaces of HiPPO bases.

    `HiPPOSSMRegressor` for sktime: panels of series of different lengths, with values missing. Index
    values are times, as in `HiPPOFeatures`.

    {parameters}

    Attributes
    ----------
    estimator_ : HiPPOSSMRegressor
        Fitted.

    See Also
    --------
    sklearn_hippo.HiPPOSSMRegressor : For scikit-learn; it says what is trained and how.

    Examples
    --------
    >>> import numpy as np
    >>> from sktime.datasets import load_unit_test
    >>> from sklearn_hippo.sktime import HiPPOSSMTimeSeriesRegressor
    >>> X, y = load_unit_test(split="train")
    >>> regressor = HiPPOSSMTimeSeriesRegressor(hidden_size=4, max_epochs=20, random_state=0)
    >>> regressor.fit(X, y.astype(float)).predict(X).shape
    (20,)
    """

    _tags = TAGS | NEEDS
    _test_params = SSM_TEST_PARAMS
    _estimator = HiPPOSSMRegressor
