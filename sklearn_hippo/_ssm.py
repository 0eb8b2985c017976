"""HiPPOSSMClassifier and HiPPOSSMRegressor: layers of state spaces with HiPPO bases as scikit-learn estimators.

Signature, documentation and module; the rest is in _network.py and _targets.py.
"""

import math
import os
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._blocks import POOLINGS, Network
from ._compat import Interval, StrOptions, set_parameters
from ._machine import check_memory
from ._network import ATTRIBUTES, TRAINING, NetworkEstimator
from ._panel import Panel
from ._resampling import resampled
from ._targets import CLASS_WEIGHT, NetworkClassifier, NetworkRegressor
from .nn._space import DISCRETIZATIONS
from .nn._ssm import BASES

Array = NDArray[Any]

UPDATES = 400  # of the weights, which few series need more epochs for

# What both estimators document in the same words.
_PARAMETERS = """
    measure : str, default="legs_lti"
        What the modes of the state spaces are at first, as in `sklearn_hippo.nn.HiPPOSSM`.
    hidden_size : int, default=64
        Channels of every layer.
    order : int, default=32
        Real numbers of the state of a channel; even, and for a mix of two a multiple of four.
    n_layers : int, default=2
        Layers of state spaces, each with a mixing of the channels.
    discretization : {"foh", "zoh", "bilinear"}, default="foh"
        What a series is between its observations, as in `sklearn_hippo.nn.HiPPOSSM`.
    low_rank : bool, default=False
        Whether the modes of a channel act on each other, as in S4; for series with equal steps, or ``resample``, and
        for the measures ``"legs_lti"``, ``"legt"``, ``"fout"`` and ``"lagt"``.
    bidirectional : bool, default=False
        Whether the layers run from the end to the beginning as well.
    selective : list of {"timescale", "B", "C"}, optional
        What of the state spaces depends on the input, as in `sklearn_hippo.nn.SelectiveSSM`; neither with low_rank nor
        bidirectional, and without a discretization. By default nothing does.
    pooling : {"mean", "gated", "last"}, default="mean"
        Whether the last layer's outputs are averaged over time, are averaged with weights that depend on them, or those
        at the end are taken.
    resample : int, optional
        Number of equal parts of a series' duration, of which the means are taken, of each channel from its own
        observations: a regular grid, on which layers are fastest. By default series are taken as they are.
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
    every observation has a step of its own, which takes about three times as long. Predictions are computed in double
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


class _SSM(NetworkEstimator):
    """The module and its parameters."""

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "measure": [StrOptions(set(BASES))],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "order": [Interval(Integral, 2, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "discretization": [StrOptions(set(DISCRETIZATIONS))],
        "pooling": [StrOptions(set(POOLINGS))],
        "low_rank": ["boolean"],
        "bidirectional": ["boolean"],
        "selective": [list, tuple, None],
        "resample": [Interval(Integral, 2, None, closed="left"), None],
        "relative": ["boolean"],
        "state_lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }
    _module = Network

    hidden_size: int
    order: int
    n_layers: int
    discretization: str
    low_rank: bool
    bidirectional: bool
    selective: Any
    pooling: str
    resample: int | None
    relative: bool
    state_lr: float
    max_epochs: Any

    def _n_epochs(self, n_series: int) -> int:
        if isinstance(self.max_epochs, str):  # "auto"
            return max(30, math.ceil(UPDATES / math.ceil(n_series / int(self.batch_size))))
        return int(self.max_epochs)

    def _prepared(self, panel: Panel, *, fresh: bool) -> Panel:
        n, rule = self.resample, self.discretization
        if not fresh:
            n, rule = self._built["module__resample"], self._built["module__discretization"]
        return panel if n is None else resampled(panel, int(n), held=rule == "zoh")

    def _learn_timescale(self, panel: Panel, weights: Array) -> float | None:
        if self.relative and self.timescale is not None:
            raise ValueError("relative=True runs by each series' own duration: timescale is for relative=False.")
        return None if self.relative else super()._learn_timescale(panel, weights)

    def _param_groups(self) -> list[tuple[str, dict[str, float]]]:
        own = {"lr": self.state_lr, "weight_decay": 0.0}
        return [(f"*.space.{name}", own) for name in ("log_step", "log_decay", "frequency", "V", "enter")]

    def _module_params(self) -> dict[str, Any]:
        return {
            "module__n_outputs": self._n_outputs(),
            "module__input_size": self.n_channels_,
            "module__hidden_size": int(self.hidden_size),
            "module__n_layers": int(self.n_layers),
            "module__dropout": self.dropout,
            "module__pooling": self.pooling,
            "module__resample": None if self.resample is None else int(self.resample),
            "module__selective": None if self.selective is None else tuple(self.selective),
            "module__low_rank": bool(self.low_rank),
            "module__bidirectional": bool(self.bidirectional),
            "module__timescale": self.timescale_,
            "module__mask_input": self._indicator,
            "module__order": int(self.order),
            "module__measure": self.measure,
            "module__discretization": self.discretization,
        }

    def _evaluate(self, X: Any, *, head: bool = True, every: bool = False) -> tuple[Panel, Array]:
        check_is_fitted(self)
        built = self._built  # the parameters may have changed since
        if every and (built["module__bidirectional"] or built["module__resample"] is not None):
            raise ValueError(
                "Predictions after every observation need bidirectional=False and resample=None: these read what comes "
                "later."
            )
        if every and self.timescale_ is None:
            raise ValueError(
                "What a series will be is not known while it runs, and relative=True runs by its whole duration: "
                "predictions after every observation need relative=False."
            )
        return super()._evaluate(X, head=head, every=every)

    def _check_size(self, panel: Panel) -> None:
        """Refuse what cannot fit into memory, before the machine starts to swap."""
        if self.selective is not None and (self.low_rank or self.bidirectional):
            raise ValueError("Selective state spaces are neither low_rank nor bidirectional.")
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
        low_rank: bool = False,
        bidirectional: bool = False,
        selective: list[str] | tuple[str, ...] | None = None,
        pooling: str = "mean",
        resample: int | None = None,
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
        low_rank: bool = False,
        bidirectional: bool = False,
        selective: list[str] | tuple[str, ...] | None = None,
        pooling: str = "mean",
        resample: int | None = None,
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
