"""HiPPO for scikit-learn: optimal polynomial projections of irregular, ragged, incomplete time series."""

from importlib.metadata import version

from ._memory import HiPPOMemory
from ._panel import Panel
from ._transformer import HiPPOTransformer

__version__ = version("sklearn-hippo")

__all__ = ["HiPPOMemory", "HiPPOTransformer", "Panel"]
