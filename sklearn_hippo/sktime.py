"""Adapters for sktime: the estimators of this package among those of sktime.

sktime's estimators do not work inside of scikit-learn's tools and the other way round, so each has a class of its own;
both compute the same. Needs sktime: ``pip install "sklearn-hippo[sktime]"``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from ._sktime_features import HiPPOFeatures
    from ._sktime_ridge import HiPPOTimeSeriesClassifier, HiPPOTimeSeriesRegressor
except ModuleNotFoundError as error:
    if error.name not in ("sktime", "pandas", "skbase"):
        raise
    raise ImportError(
        f'sklearn_hippo.sktime needs sktime and pandas (there is no {error.name}): pip install "sklearn-hippo[sktime]"'
    ) from error

if TYPE_CHECKING:
    from ._sktime_networks import (
        HiPPORNNTimeSeriesClassifier,
        HiPPORNNTimeSeriesRegressor,
        HiPPOSSMTimeSeriesClassifier,
        HiPPOSSMTimeSeriesRegressor,
    )

__all__ = [
    "HiPPOFeatures",
    "HiPPORNNTimeSeriesClassifier",
    "HiPPORNNTimeSeriesRegressor",
    "HiPPOSSMTimeSeriesClassifier",
    "HiPPOSSMTimeSeriesRegressor",
    "HiPPOTimeSeriesClassifier",
    "HiPPOTimeSeriesRegressor",
]


def __getattr__(name: str) -> Any:
    """Load the half that needs PyTorch when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module("._sktime_networks", __package__), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "skorch"):
            raise
        raise ImportError(f'{name} needs PyTorch and skorch: pip install "sklearn-hippo[rnn]"') from error
