"""The HiPPO-RNN and state spaces as PyTorch modules: ``pip install "sklearn-hippo[rnn]"``."""

try:
    from ._rnn import HiPPOCell, HiPPORNN, HiPPOState
    from ._selective import SelectiveSSM, SelectiveSSMState
    from ._ssm import HiPPOSSM, HiPPOSSMState
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError('sklearn_hippo.nn needs PyTorch: pip install "sklearn-hippo[rnn]"') from error

__all__ = ["HiPPOCell", "HiPPORNN", "HiPPOSSM", "HiPPOSSMState", "HiPPOState", "SelectiveSSM", "SelectiveSSMState"]
