"""HiPPO for scikit-learn: optimal polynomial projections of irregular, ragged, incomplete time series."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ._bank import MemoryBank
from ._early import EarlyClassifier
from ._memory import HiPPOMemory
from ._panel import Panel
from ._random import RandomHiPPOTransformer
from ._ridge import HiPPOClassifier, HiPPORegressor
from ._transformer import HiPPOTransformer

if TYPE_CHECKING:
    from ._rnn import HiPPORNNClassifier as HiPPORNNClassifier
    from ._rnn import HiPPORNNRegressor as HiPPORNNRegressor
    from ._ssm import HiPPOSSMClassifier as HiPPOSSMClassifier
    from ._ssm import HiPPOSSMRegressor as HiPPOSSMRegressor

__version__ = version("sklearn-hippo")

__all__ = [
    "EarlyClassifier",
    "HiPPOClassifier",
    "HiPPOMemory",
    "HiPPORegressor",
    "HiPPOTransformer",
    "MemoryBank",
    "Panel",
    "RandomHiPPOTransformer",
]
LAZY = {  # what needs PyTorch is no part of import *
    "HiPPORNNClassifier": "._rnn",
    "HiPPORNNRegressor": "._rnn",
    "HiPPOSSMClassifier": "._ssm",
    "HiPPOSSMRegressor": "._ssm",
}


def __getattr__(name: str) -> Any:
    """Load the half that needs PyTorch when it is asked for."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(LAZY[name], __name__), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "skorch"):
            raise
        raise ImportError(f'{name} needs PyTorch and skorch: pip install "sklearn-hippo[rnn]"') from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *LAZY})
