"""HiPPOSSMClassifier and HiPPOSSMRegressor: layers of state spaces with HiPPO bases as scikit-learn estimators.

Signature, documentation and module; the rest is in _network.py and _targets.py.
"""

import math
import os
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ._compat import Interval, StrOptions, set_parameters
from ._machine import check_memory
from ._network import ATTRIBUTES, TRAINING, Head, NetworkEstimator
from ._panel import Panel
from ._targets import CLASS_WEIGHT, NetworkClassifier, NetworkRegressor
from .nn import HiPPOSSM
from .nn._inputs import fill
from .nn._space import DISCRETIZATIONS, last_of
from .nn._ssm import BASES

Array = NDArray[Any]

UNITS = 100.0  # of the clock of a layer in a duration, or in a timescale
UPDATES = 400  # of the weights, which few series need more epochs for
POOLINGS = ("mean", "last")

# What both estimators document in the same words.
_PARAMETERS = """
    measure : str, default="legs_lti"
        What the modes of the state spaces are at first, as in `sklearn_hippo.nn.HiPPOSSM`.
    hidden_size : int, default=64
        Channels of every layer.
    order : int, default=32
        Real numbers of the state of a channel; even.
    n_layers : int, default=2
        Layers of state spaces, each with a mixing of the channels.
    discretization : {"foh", "zoh", "bilinear"}, default="foh"
        What a series is between its observations, as in `sklearn_hippo.nn.HiPPOSSM`.
    pooling : {"mean", "last"}, default="mean"
        Whether the last layer's outputs are averaged over time, or those at the end are taken.
    relative : bool, default=True
        Whether the clock of the layers runs by each series' own duration, so that predictions depend neither on how
        fast a series is nor, hardly, on how often it is sampled; otherwise by ``timescale``.
    timescale : float or timedelta, optional
        Without ``relative``: the time for which a layer's clocks are made, in units of the timestamps: seconds, where
        these are datetimes; a duration of Python, NumPy or pandas is one in seconds. By default the median duration of
        the training series.
    state_lr : float, default=0.001
        Learning rate of the modes and of their clocks.
"""
_NOTES = """
    Observations of one stamp are one observation, of each channel the last one that is not missing. Where all series of
    a batch are sampled regularly, each at a rate of its own, a layer makes the same step again and again; otherwise
    every observation has a step of its own, which takes three times as long. Predictions are computed in double
    precision on the CPU. Ctrl-C ends a training and keeps the finished epochs. The defaults are by cross-validation on
    the training parts of eight sets (``examples/ssm_defaults.py``). ``warm_start`` and `partial_fit` keep the network
    and the scales of the channels; of the parameters, those of the training may change in between.

    References
    ----------
    .. [1] Gu, Johnson, Timalsina, Rudra, Ré, "How to Train Your HiPPO: State Space Models with Generalized Orthogonal
       Basis Projections", ICLR 2023, arXiv:2206.12037.
"""
# What the training documents, with the defaults of these estimators.
_TRAINING = TRAINING
for _old, _new in (
    ("    dropout : float in [0, 1), default=0\n        Share of the last hidden state that is dropped in training.",
     "    dropout : float in [0, 1), default=0.1\n        Share of a layer's channels that is "
     "dropped in training, each for a whole\n        series."),
    ("    max_epochs : int, default=50\n        Passes through the training series.",
     '    max_epochs : int or "auto", default="auto"\n        Passes through the training series; "auto" means 30 or, '
     "of few series, as many as make 400\n        mini-batches."),
    ("    lr : float, default=0.01", "    lr : float, default=0.004"),
    ("    weight_decay : float, default=0\n        Decoupled weight decay.",
     "    weight_decay : float, default=0.01\n        Decoupled weight decay, of all but modes and clocks."),
):  # fmt: skip
    assert _old in _TRAINING, _old
    _TRAINING = _TRAINING.replace(_old, _new)


class Block(nn.Module):
    """A state space for every channel and a gated mixing of the channels, beside which the inputs go on."""

    def __init__(self, width: int, dropout: float, **space: Any):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.space = HiPPOSSM(width, **space)
        self.dropout = nn.Dropout(dropout)
        self.mix = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, step: Tensor, lengths: Tensor) -> Tensor:
        """Outputs of shape (batch, length, width); what is behind the ends is no matter of any other."""
        y, _ = self.space(self.norm(x), step, lengths)
        return x + F.glu(self.mix(self._dropped(F.gelu(y))))

    def _dropped(self, x: Tensor) -> Tensor:
        """Without some channels, the same ones all along a series."""
        return x * self.dropout(x.new_ones(len(x), 1, x.shape[2])) if self.training and self.dropout.p else x


class Network(Head):
    """Blocks of state spaces, and a linear map of their outputs' mean or end."""

    def __init__(
        self, n_outputs: int, input_size: int, hidden_size: int, *, n_layers: int, dropout: float, pooling: str,
        timescale: float | None, mask_input: bool, **space: Any,
    ):  # fmt: skip
        super().__init__()
        self.pooling, self.timescale, self.mask_input = pooling, timescale, mask_input
        self.into = nn.Linear(input_size * (1 + mask_input), hidden_size)
        self.blocks = nn.ModuleList(Block(hidden_size, dropout, **space) for _ in range(n_layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Identity()
        self.head = nn.Linear(hidden_size, n_outputs)

    def hidden(self, x: Tensor, lengths: Tensor, times: Tensor | None = None, *, every: bool = False) -> Tensor:
        """Pooled outputs (batch, hidden_size), or those of the observations so far (n_observations, hidden_size)."""
        batch, length, n_channels = x.shape
        ends = lengths.to(x.device)
        inside = torch.arange(length, device=x.device)[:, None] < ends
        filled, _ = fill(
            x.transpose(0, 1), inside, None, x.new_zeros(batch, n_channels), None, with_mask=self.mask_input
        )
        inside = inside.T
        steps, elapsed = clock(times, inside, ends, self.timescale)
        x = self.into(filled.transpose(0, 1))
        for block in self.blocks:
            x = block(x, steps, lengths)
        x = torch.where(inside[..., None], x, 0.0)
        if not every:
            if self.pooling == "mean" and length:
                x = torch.bmm(shares(elapsed, ends).to(x.dtype)[:, None], x)[:, 0]
            else:
                x = last_of(x, lengths, x.new_zeros(batch, x.shape[2]))
            return self.norm(x)
        if self.pooling == "mean":  # as far as a series has come
            since = elapsed.diff(dim=1, prepend=elapsed[:, :1]).to(x.dtype)[..., None]
            before = torch.cat([x[:, :1], x[:, :-1]], dim=1)
            total, so_far = (since * (x + before) / 2).cumsum(dim=1), since.cumsum(dim=1)
            x = torch.where(so_far > 0, total / torch.where(so_far > 0, so_far, 1.0), x)
        return self.norm(x[inside])


def shares(elapsed: Tensor, lengths: Tensor) -> Tensor:
    """What each observation is worth in a mean over time, by the trapezoidal rule: (batch, length), sums of 1 or 0."""
    row = torch.arange(elapsed.shape[1], device=elapsed.device)
    inside = row < lengths[:, None]
    since = torch.where(inside, elapsed.diff(dim=1, prepend=elapsed[:, :1]), 0.0)
    share = (since + torch.cat([since[:, 1:], torch.zeros_like(since[:, :1])], dim=1)) / 2
    total = share.sum(dim=1, keepdim=True)
    last = (row == lengths[:, None] - 1).to(share.dtype)
    return torch.where(total > 0, share / torch.where(total > 0, total, 1.0), last)


def clock(times: Tensor | None, inside: Tensor, lengths: Tensor, timescale: float | None) -> tuple[Tensor, Tensor]:
    """Steps of the layers' clock, (batch, length), or (batch,) or () where they are equal; the time since the start.

    The clock makes UNITS of them in a timescale, or in the duration of each series.
    """
    batch, length = inside.shape
    row = torch.arange(length, device=inside.device)
    if times is None:
        times = row.double().expand(batch, length)
    last = times.gather(1, (lengths - 1).clamp(min=0)[:, None]) if length else times[:, :0].sum(1, keepdim=True)
    first = times[:, :1] if length else last
    elapsed = torch.where(inside, times.double() - first, 0.0)
    duration = (last - first)[:, 0]
    unit = torch.where(duration > 0, duration, 1.0) if timescale is None else torch.full_like(duration, timescale)
    even = duration / (lengths - 1).clamp(min=1)
    off = torch.where(inside, (elapsed - row * even[:, None]).abs(), 0.0).amax(dim=1) if length else 0 * duration
    if not torch.compiler.is_compiling() and bool((off <= 1e-9 * duration).all()):
        steps = UNITS * even / unit
        return (steps[0] if bool((steps == steps[0]).all()) else steps), elapsed
    return UNITS * torch.where(inside, elapsed.diff(dim=1, prepend=elapsed[:, :1]), 0.0) / unit[:, None], elapsed


class _SSM(NetworkEstimator):
    """The module and its parameters."""

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "measure": [StrOptions(set(BASES))],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "order": [Interval(Integral, 2, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "discretization": [StrOptions(set(DISCRETIZATIONS))],
        "pooling": [StrOptions(set(POOLINGS))],
        "relative": ["boolean"],
        "state_lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }
    _module = Network

    hidden_size: int
    order: int
    n_layers: int
    discretization: str
    pooling: str
    relative: bool
    state_lr: float
    max_epochs: Any

    def _n_epochs(self, n_series: int) -> int:
        if isinstance(self.max_epochs, str):  # "auto"
            return max(30, math.ceil(UPDATES / math.ceil(n_series / int(self.batch_size))))
        return int(self.max_epochs)

    def _learn_timescale(self, panel: Panel, weights: Array) -> float | None:
        if self.relative and self.timescale is not None:
            raise ValueError("relative=True runs by each series' own duration: timescale is for relative=False.")
        return None if self.relative else super()._learn_timescale(panel, weights)

    def _param_groups(self) -> list[tuple[str, dict[str, float]]]:
        own = {"lr": self.state_lr, "weight_decay": 0.0}
        return [(f"*.space.{name}", own) for name in ("log_step", "log_decay", "frequency")]

    def _module_params(self) -> dict[str, Any]:
        return {
            "module__n_outputs": self._n_outputs(),
            "module__input_size": self.n_channels_,
            "module__hidden_size": int(self.hidden_size),
            "module__n_layers": int(self.n_layers),
            "module__dropout": self.dropout,
            "module__pooling": self.pooling,
            "module__timescale": self.timescale_,
            "module__mask_input": self._indicator,
            "module__order": int(self.order),
            "module__measure": self.measure,
            "module__discretization": self.discretization,
        }

    def _evaluate(self, X: Any, *, head: bool = True, every: bool = False) -> tuple[Panel, Array]:
        if every and self.relative:
            raise ValueError(
                "What a series will be is not known while it runs, and relative=True runs by its whole duration: "
                "predictions after every observation need relative=False."
            )
        return super()._evaluate(X, head=head, every=every)

    def _check_size(self, panel: Panel) -> None:
        """Refuse what cannot fit into memory, before the machine starts to swap."""
        hidden, order, layers = int(self.hidden_size), int(self.order), int(self.n_layers)
        longest = int(panel.lengths.max(initial=0))
        rows = min(int(self.batch_size), len(panel)) * longest
        # Weights, their gradients and the optimizer's moments; what a batch leaves behind for the backward pass.
        n_bytes = 16 * layers * hidden * (2 * hidden + 2 * order) + 4 * rows * hidden * layers * (12 + order / 16)
        what = (
            f"hidden_size={hidden}, order={order}, n_layers={layers} and batches of {self.batch_size} series of up to "
            f"{longest} observations"
        )
        check_memory(n_bytes, what, "Choose smaller ones.")


class HiPPOSSMClassifier(_SSM, NetworkClassifier):
    __doc__ = rf"""Classify series with layers of linear state spaces, whose modes are those of HiPPO operators.

    A layer remembers each of its channels as the modes of a HiPPO operator do (`sklearn_hippo.nn.HiPPOSSM`), and mixes
    the channels afterwards, as in [1]_; a linear map of the outputs' mean over time gives the classes. Series may be of
    different lengths, irregularly sampled and incomplete.

    Parameters
    ----------
    {_PARAMETERS.strip()}
    {_TRAINING.strip().replace("    CLASS_WEIGHT", CLASS_WEIGHT)}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    {ATTRIBUTES.strip().replace('None for ``"legs"``', "None if it is relative")}

    See Also
    --------
    HiPPORNNClassifier : A gated recurrence, one step after the other.
    HiPPOClassifier : Random features and a ridge regression, without training.
    HiPPOSSMRegressor : The same for numbers.

    Notes
    -----
    {_NOTES.strip()}

    Examples
    --------
    >>> from sklearn_hippo import HiPPOSSMClassifier
    >>> X = [[0.0, 1.0, 2.0], [0.0, 1.0], [2.0, 1.0, 0.0, -1.0], ([0.0, 2.5], [1.0, 0.0])] * 10
    >>> y = ["up", "up", "down", "down"] * 10
    >>> classifier = HiPPOSSMClassifier(hidden_size=8, order=4, max_epochs=20, random_state=0).fit(X, y)
    >>> classifier.predict([[1.0, 2.0, 3.0, 4.0]])
    array(['up'], dtype='<U4')
    """

    _parameter_constraints: dict[str, list[Any]] = (
        NetworkClassifier._parameter_constraints | _SSM._parameter_constraints
    )

    def __init__(
        self,
        measure: str = "legs_lti",
        hidden_size: int = 64,
        *,
        order: int = 32,
        n_layers: int = 2,
        discretization: str = "foh",
        pooling: str = "mean",
        relative: bool = True,
        timescale: float | timedelta | np.timedelta64 | None = None,
        state_lr: float = 0.001,
        missing_indicator: bool | str = "auto",
        standardize: bool = True,
        dropout: float = 0.1,
        max_epochs: int | str = "auto",
        lr: float = 0.004,
        schedule: str = "cosine",
        weight_decay: float = 0.01,
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


class HiPPOSSMRegressor(_SSM, NetworkRegressor):
    __doc__ = rf"""Predict numbers from series with layers of linear state spaces, of modes of HiPPO operators.

    As `HiPPOSSMClassifier` [1]_, with the mean squared error of one or several targets, which are standardized inside.

    Parameters
    ----------
    {_PARAMETERS.strip()}
    {_TRAINING.strip().replace("    CLASS_WEIGHT", "")}

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the targets.
    {ATTRIBUTES.strip().replace('None for ``"legs"``', "None if it is relative")}

    See Also
    --------
    HiPPOSSMClassifier : The same for classes.

    Notes
    -----
    {_NOTES.strip()}

    Examples
    --------
    >>> from sklearn_hippo import HiPPOSSMRegressor
    >>> X = [[k / 10, k / 10, k / 10] for k in range(20)]
    >>> regressor = HiPPOSSMRegressor(hidden_size=8, order=4, random_state=0).fit(X, range(20))
    >>> 8 < regressor.predict([[1.0, 1.0]])[0] < 12
    np.True_
    """

    _parameter_constraints: dict[str, list[Any]] = NetworkRegressor._parameter_constraints | _SSM._parameter_constraints

    def __init__(
        self,
        measure: str = "legs_lti",
        hidden_size: int = 64,
        *,
        order: int = 32,
        n_layers: int = 2,
        discretization: str = "foh",
        pooling: str = "mean",
        relative: bool = True,
        timescale: float | timedelta | np.timedelta64 | None = None,
        state_lr: float = 0.001,
        missing_indicator: bool | str = "auto",
        standardize: bool = True,
        dropout: float = 0.1,
        max_epochs: int | str = "auto",
        lr: float = 0.004,
        schedule: str = "cosine",
        weight_decay: float = 0.01,
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
