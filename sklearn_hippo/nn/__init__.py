"""The HiPPO-RNN as PyTorch modules: ``pip install "sklearn-hippo[rnn]"``."""

from ._modules import HiPPOCell, HiPPORNN, HiPPOState

__all__ = ["HiPPOCell", "HiPPORNN", "HiPPOState"]
