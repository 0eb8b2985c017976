"""HiPPORNNClassifier and HiPPORNNRegressor: the gated HiPPO-RNN as scikit-learn estimators.

Signature, documentation and module; the rest is in _network.py and _targets.py.
"""

import os
from datetime import timedelta
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ._compat import Interval, Registered, StrOptions, set_parameters
from ._machine import check_memory
from ._measures import MEASURES, with_dynamics
from ._network import ATTRIBUTES, TRAINING, Head, NetworkEstimator
from ._panel import Panel
from ._targets import CLASS_WEIGHT, NetworkClassifier, NetworkRegressor
from .nn import HiPPORNN
from .nn._gated import GATES
from .nn._steps import DISCRETIZATIONS

Array = NDArray[Any]

# What both estimators document in the same words.
_PARAMETERS = """
    measure : {"legs", "legs_lti", "legt", "lmu", "lagt", "fout", "rand"}, default="legs"
        What the memory keeps of the past; see `HiPPOTransformer` and `sklearn_hippo.nn.HiPPOCell`.
    hidden_size : int, default=64
        Number of hidden units.
    order : int or None, default=32
        Coefficients of each memory; None means ``hidden_size``, as in the paper.
    memory_size : int, default=4
        Number of memories; the paper's network has one.
    gate : {"timed", "mgu", "gru", None}, default="timed"
        How the hidden state is updated, as in `sklearn_hippo.nn.HiPPOCell`. ``"mgu"`` is the paper's; ``"timed"`` knows
        how long a step of the clock lasts, so that predictions hardly change with the sampling rate. ``"gru"`` is not
        compiled and many times slower.
    discretization : {"bilinear", "backward", "zoh"}, default="bilinear"
        Of a step of the memory; ``"zoh"`` is exact and slower.
    timescale : float or timedelta, optional
        Length of the window or time constant, in units of the timestamps: seconds, where these are datetimes; a
        duration of Python, NumPy or pandas is one in seconds. By default the median duration of the training series.
        ``"legs"`` has none.
    learn_timescale : bool, default=False
        Whether the timescale is trained with the weights, from that value on.
"""
_NOTES = """
    The defaults were chosen by cross-validation on the training parts of six sets; ``examples/rnn_defaults.py`` repeats
    it. Predictions are computed in double precision on the CPU, so that they do not depend on the batch. Ctrl-C ends a
    training and keeps the finished epochs. Observations of one stamp are one observation: of each channel the last one
    that is not missing. The trainings in the threads of one process take turns, since PyTorch has
    one random generator; use processes (``n_jobs``). ``warm_start`` and `partial_fit` keep the network and the scales
    of the channels; of the parameters, those of the training may change in between.

    References
    ----------
    .. [1] Gu, Dao, Ermon, Rudra, Ré, "HiPPO: Recurrent Memory with Optimal Polynomial Projections", NeurIPS 2020,
       arXiv:2008.07669.
"""


class Network(Head):
    """A HiPPO-RNN and a linear map of its last hidden state."""

    def __init__(self, n_outputs: int, *, dropout: float = 0.0, **rnn: Any):
        super().__init__()
        self.rnn = HiPPORNN(**rnn)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.rnn.hidden_size, n_outputs)

    def hidden(self, x: Tensor, lengths: Tensor, times: Tensor | None = None, *, every: bool = False) -> Tensor:
        """Last hidden states (batch, hidden_size), or those after every observation (n_observations, hidden_size)."""
        outputs, state = self.rnn(x, times, lengths)
        if not every:
            return state.hidden
        return outputs[torch.arange(x.shape[1], device=x.device) < lengths.to(x.device)[:, None]]


class _RNN(NetworkEstimator):
    """The module and its parameters."""

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "measure": [Registered(with_dynamics)],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "order": [Interval(Integral, 1, None, closed="left"), None],
        "memory_size": [Interval(Integral, 1, None, closed="left")],
        "gate": [StrOptions({gate for gate in GATES if gate}), None],
        "discretization": [StrOptions(set(DISCRETIZATIONS))],
        "learn_timescale": ["boolean"],
    }
    _module = Network

    hidden_size: int
    order: int | None
    memory_size: int
    gate: str | None
    discretization: str
    learn_timescale: bool

    def _module_params(self) -> dict[str, Any]:
        return {
            "module__n_outputs": self._n_outputs(),
            "module__dropout": self.dropout,
            "module__input_size": self.n_channels_,
            "module__hidden_size": int(self.hidden_size),
            "module__measure": self.measure,
            "module__order": None if self.order is None else int(self.order),
            "module__memory_size": int(self.memory_size),
            "module__gate": self.gate,
            "module__discretization": self.discretization,
            "module__timescale": self.timescale_,
            "module__learn_timescale": self.learn_timescale and self.timescale_ is not None,
            "module__mask_input": self._indicator,
        }

    def _learn_timescale(self, panel: Panel, weights: Array) -> float | None:
        """That of the parameters or the median duration, where the measure has one."""
        return super()._learn_timescale(panel, weights) if MEASURES[self.measure].has_timescale else None

    def _param_groups(self) -> list[tuple[str, dict[str, float]]]:
        """The logarithm of a time has no natural zero to decay to."""
        return [("*log_timescale", {"weight_decay": 0.0})] if self.weight_decay > 0 else []

    def _check_size(self, panel: Panel) -> None:
        """Refuse what cannot fit into memory, before the machine starts to swap."""
        hidden, memories = int(self.hidden_size), int(self.memory_size)
        order = hidden if self.order is None else int(self.order)
        inputs = 2 * panel.n_channels  # with the indicator of missing values
        n_weights = 3 * hidden * (memories * order + inputs + hidden * (self.gate == "gru")) + memories * hidden
        rows = min(int(self.batch_size), len(panel)) * int(panel.lengths.max(initial=0))
        # Weights, their gradients and the optimizer's moments; the dynamics, and what makes them; a batch of states.
        n_bytes = 16 * n_weights + 64 * order**2 + 4 * rows * (memories * order + 4 * hidden)
        what = (
            f"hidden_size={hidden}, order={order}, memory_size={memories} and batches of {self.batch_size} series of "
            f"up to {panel.lengths.max(initial=0)} observations"
        )
        check_memory(n_bytes, what, "Choose smaller ones.")


class HiPPORNNClassifier(_RNN, NetworkClassifier):
    __doc__ = rf"""Classify series with the gated HiPPO-RNN.

    A hidden state h and a memory c of all that it ever paid attention to, in optimal polynomial projection, are updated
    with every observation (section 2.4 of the paper [1]_, and `sklearn_hippo.nn.HiPPOCell`); a linear map of the last
    hidden state gives the classes. Series may be of different lengths, irregularly sampled and incomplete.

    Parameters
    ----------
    {_PARAMETERS.strip()}
    {TRAINING.strip().replace("    CLASS_WEIGHT", CLASS_WEIGHT)}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    {ATTRIBUTES.strip()}

    See Also
    --------
    HiPPOTransformer : Coefficients as features for any classifier, without training.
    HiPPORNNRegressor : The same for numbers.

    Notes
    -----
    {_NOTES.strip()}

    Examples
    --------
    >>> from sklearn_hippo import HiPPORNNClassifier
    >>> X = [[0.0, 1.0, 2.0], [0.0, 1.0], [2.0, 1.0, 0.0, -1.0], ([0.0, 2.5], [1.0, 0.0])] * 10
    >>> y = ["up", "up", "down", "down"] * 10
    >>> classifier = HiPPORNNClassifier(hidden_size=8, order=4, max_epochs=20, random_state=0).fit(X, y)
    >>> classifier.predict([[1.0, 2.0, 3.0, 4.0]])
    array(['up'], dtype='<U4')
    """

    _parameter_constraints: dict[str, list[Any]] = (
        NetworkClassifier._parameter_constraints | _RNN._parameter_constraints
    )

    def __init__(
        self,
        measure: str = "legs",
        hidden_size: int = 64,
        *,
        order: int | None = 32,
        memory_size: int = 4,
        gate: str | None = "timed",
        discretization: str = "bilinear",
        timescale: float | timedelta | np.timedelta64 | None = None,
        learn_timescale: bool = False,
        missing_indicator: bool | str = "auto",
        standardize: bool = True,
        dropout: float = 0.0,
        max_epochs: int = 50,
        lr: float = 0.01,
        schedule: str = "cosine",
        weight_decay: float = 0.0,
        batch_size: int = 16,
        max_grad_norm: float | None = 1.0,
        class_weight: Any = None,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        net_params: dict[str, Any] | None = None,
        verbose: int = 0,
        random_state: Any = None,
        device: Any = None,
    ):
        set_parameters(self, locals())


class HiPPORNNRegressor(_RNN, NetworkRegressor):
    __doc__ = rf"""Predict numbers from series with the gated HiPPO-RNN.

    As `HiPPORNNClassifier` [1]_, with the mean squared error of one or several targets, which are standardized inside.

    Parameters
    ----------
    {_PARAMETERS.strip()}
    {TRAINING.strip().replace("    CLASS_WEIGHT", "")}

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the targets.
    {ATTRIBUTES.strip()}

    See Also
    --------
    HiPPORNNClassifier : The same for classes.

    Notes
    -----
    {_NOTES.strip()}

    Examples
    --------
    >>> from sklearn_hippo import HiPPORNNRegressor
    >>> X = [[k / 10, k / 10, k / 10] for k in range(20)]
    >>> regressor = HiPPORNNRegressor(hidden_size=8, order=4, random_state=0).fit(X, range(20))
    >>> regressor.predict([[1.0, 1.0]]).round()
    array([10.])
    """

    _parameter_constraints: dict[str, list[Any]] = NetworkRegressor._parameter_constraints | _RNN._parameter_constraints

    def __init__(
        self,
        measure: str = "legs",
        hidden_size: int = 64,
        *,
        order: int | None = 32,
        memory_size: int = 4,
        gate: str | None = "timed",
        discretization: str = "bilinear",
        timescale: float | timedelta | np.timedelta64 | None = None,
        learn_timescale: bool = False,
        missing_indicator: bool | str = "auto",
        standardize: bool = True,
        dropout: float = 0.0,
        max_epochs: int = 50,
        lr: float = 0.01,
        schedule: str = "cosine",
        weight_decay: float = 0.0,
        batch_size: int = 16,
        max_grad_norm: float | None = 1.0,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        net_params: dict[str, Any] | None = None,
        verbose: int = 0,
        random_state: Any = None,
        device: Any = None,
    ):
        set_parameters(self, locals())
