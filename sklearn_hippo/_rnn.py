"""HiPPORNNClassifier and HiPPORNNRegressor: the gated HiPPO-RNN as scikit-learn estimators, trained by skorch."""

import os
import threading
import warnings
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import joblib
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from scipy.stats import entropy
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_array, check_random_state, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted
from skorch.callbacks import EarlyStopping, GradientNormClipping, ProgressBar
from torch import nn

from ._columns import in_seconds
from ._compat import CallbackSupportMixin, Interval, Registered, StrOptions, fit_task, with_ids
from ._measures import MEASURES, with_dynamics
from ._panel import Panel, merge_stamps
from ._training import (
    Batches,
    Checkpoint,
    Epochs,
    Net,
    Network,
    Patience,
    Series,
    arrays_of,
    diverged,
    epoch_seed,
    tensors_of,
)
from ._validation import check_observed, learned_timescale, validate_panel
from .nn._gated import DISCRETIZATIONS, GATES

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
    missing_indicator : bool or "auto", default="auto"
        Whether the network is told which values were observed. A missing value is its channel's last one, and the mean
        before there is any. ``"auto"`` tells it if values are missing in the training series.
    standardize : bool, default=True
        Subtract each channel's mean over all training observations, weighted as their series are, and divide by its
        standard deviation. Extreme values do not ruin it: what is more than forty times as far from the median as half
        of the values that differ from it counts as if it were there; and what is z > 20 standard deviations away is
        40 - 400 / z for the network, never more than forty.
    dropout : float in [0, 1), default=0
        Share of the last hidden state that is dropped in training.
    max_epochs : int, default=50
        Passes through the training series.
    lr : float, default=0.01
        Learning rate of AdamW.
    schedule : {"cosine", "constant"}, default="cosine"
        Whether the learning rate falls to zero over the epochs, as a cosine does, or stays.
    weight_decay : float, default=0
        Decoupled weight decay.
    batch_size : int, default=16
        Series in a mini-batch. They are of about the same length, so that little is padded.
    max_grad_norm : float or None, default=1.0
        Longer gradients are shortened to this length.
    CLASS_WEIGHT    early_stopping : bool or "auto", default="auto"
        Whether to set ``validation_fraction`` of the training series aside, to stop when their loss has not improved
        for ``n_iter_no_change`` epochs, and to keep the weights of the best epoch. ``"auto"`` does so where there are
        more than 2,000 series, which fifty epochs would learn by heart.
    validation_fraction : float, default=0.1
        Share of series that is set aside, stratified by class.
    n_iter_no_change : int, default=10
        Patience of early stopping, in epochs.
    warm_start : bool, default=False
        Whether `fit` goes on with the weights of the last one.
    checkpoint : str or path-like, optional
        File into which the training is written after every epoch, all or nothing. A `fit` that finds it goes on where
        it ended, on the same series with the same parameters, and ends with the same numbers as if it had never been
        interrupted. It is a pickle: only leave it where you trust the files.
    net_params : dict, optional
        More parameters of `skorch.NeuralNet`: ``{"callbacks": [...], "optimizer": torch.optim.SGD}``. A scheduler of
        the learning rate among the callbacks wants ``schedule="constant"``.
    verbose : int, default=0
        1 prints a line for every epoch, 2 also shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Of initial weights, mini-batches and dropout. The global generators are not touched.
    device : str or torch.device, optional
        Where to compute; the CPU by default.
"""
_CLASS_WEIGHT = """    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, on top of ``sample_weight``.
"""
_ATTRIBUTES = """
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the PyTorch module.
    loss_curve_ : list of float
        Training loss of every epoch.
    validation_loss_curve_ : list of float or None
        Loss of the series set aside by ``early_stopping``.
    n_iter_ : int
        Number of epochs.
    mean_, scale_ : ndarray of shape (n_channels,)
        What is subtracted from the channels, and what they are divided by.
    timescale_ : float or None
        The timescale at the start of the training; None for ``"legs"``.
    n_channels_ : int
        Number of channels.
    channel_names_ : tuple of str or None
        Names of the channels, where X had them.
    n_features_in_ : int
        Length of the series if X was a table of numbers, otherwise the number of channels.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string columns.
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

# PyTorch's generator is global: of the trainings in the threads of a process, one at a time may draw from it.
_GENERATOR = threading.RLock()

# More series than these are learned by heart rather than learned from.
_MANY = 2000

# Of the standardization: what is further away counts as if it were there, in median distances from the median; and how
# far the network sees values as they are, in standard deviations.
_REACH, _FAR = 40.0, 20.0

# What net_params may not set, and what to use instead.
_RESERVED = {
    "module": "Write a skorch net of your own around sklearn_hippo.nn.HiPPORNN.",
    "train_split": "Use early_stopping and validation_fraction.",
    "max_epochs": "Use the parameter of the same name.",
    "warm_start": "Use the parameter of the same name.",
}


class _HiPPORNN(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What the classifier and the regressor share: everything but the targets."""

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "measure": [Registered(with_dynamics)],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "order": [Interval(Integral, 1, None, closed="left"), None],
        "memory_size": [Interval(Integral, 1, None, closed="left")],
        "gate": [StrOptions({gate for gate in GATES if gate}), None],
        "discretization": [StrOptions(set(DISCRETIZATIONS))],
        "timescale": [timedelta, np.timedelta64, Interval(Real, 0, None, closed="neither"), None],
        "learn_timescale": ["boolean"],
        "missing_indicator": ["boolean", StrOptions({"auto"})],
        "standardize": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions({"constant", "cosine"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "net_params": [dict, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
    }

    _doc_link_module = "sklearn_hippo"
    _doc_link_template = "https://sklearn-hippo.readthedocs.io/api.html#sklearn_hippo.{estimator_name}"

    net_: Net
    _built: dict[str, Any]  # what the network was made with
    _lr: float  # of the last training
    net_class: ClassVar[type[Net]] = Net

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"estimator_name": type(self).__name__}

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
        self.measure = measure
        self.hidden_size = hidden_size
        self.order = order
        self.memory_size = memory_size
        self.gate = gate
        self.discretization = discretization
        self.timescale = timescale
        self.learn_timescale = learn_timescale
        self.missing_indicator = missing_indicator
        self.standardize = standardize
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.lr = lr
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.net_params = net_params
        self.verbose = verbose
        self.random_state = random_state
        self.device = device

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = False
        tags.transformer_tags.preserves_dtype = []  # hidden states are computed in double precision
        return tags

    # --- targets, which the subclasses know -----------------------------------------------------------

    def _learn_targets(self, y: Array, classes: Array | None, weights: Array) -> None:
        raise NotImplementedError

    def _loss_of_a_constant(self, target: Array, weights: Array) -> float:
        raise NotImplementedError

    def _encode(self, y: Array) -> Array:
        raise NotImplementedError

    def _class_weights(self, y: Array) -> Array:
        return np.ones(len(y))

    def _n_outputs(self) -> int:
        raise NotImplementedError

    def _criterion(self) -> type[nn.Module]:
        raise NotImplementedError

    # --- training -------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            The series, in any of the forms that `HiPPOTransformer.fit` takes.
        y : array-like of shape (n_series,), or (n_series, n_targets) for regression, (n_series, n_labels) for labels
            Target values: a class or a number for each series, several numbers, or of several labels which ones it has,
            as 1 or 0.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series in the loss, from zero on.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If X is not valid, as in `HiPPOTransformer.fit`; if y is missing, not finite, of another length or has only
            one class; if the device is not there; if the training diverges. The estimator stays as it was.

        Warns
        -----
        ConvergenceWarning
            If the network does not predict better than a constant, what it was trained on.
        """
        fresh = not (self.warm_start and self.__sklearn_is_fitted__())
        of_a_constant = self._fit(X, y, sample_weight, int(self.max_epochs), fresh=fresh, resumable=fresh)
        loss = self.loss_curve_[self._best_epoch]
        if loss > of_a_constant > 1e-3:  # below, there is nothing to be learned
            warnings.warn(
                f"The training ended with a loss of {loss:.3g}, where a constant prediction has "
                f"{of_a_constant:.3g}. Train for more epochs, lower lr, or try another random_state.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, n_epochs: int, *, fresh: bool, classes: Array | None = None,
        resumable: bool = False,
    ) -> float:  # fmt: skip
        """Train, and return the loss of the best constant prediction."""
        with fit_task(self, X, y, None, self._fitted_attributes) as epoch_ends:
            if y is None:
                raise ValueError(
                    f"{type(self).__name__} requires y to be passed, but the target y is None. Give one value for "
                    "each series."
                )
            panel = merge_stamps(validate_panel(self, X, reset=fresh))
            y = self._check_y(y, panel)
            check_consistent_length(panel, y)
            weights = _check_sample_weight(sample_weight, np.empty(len(panel)), dtype=np.float64)
            if (weights < 0).any():
                first = panel._called(int(np.argmax(weights < 0)))
                raise ValueError(
                    f"Negative values in data passed to `sample_weight`, of {first[0].lower()}{first[1:]}."
                )
            if not weights.any():
                raise ValueError("All sample weights are zero: no series is left to learn from.")
            weights = weights / weights.max()
            used = np.flatnonzero(weights)
            if len(used) < len(panel):
                panel, y, weights = panel[used], y[used], weights[used]
            self._check_device()
            self._check_size(panel)
            if fresh:
                self._learn_targets(y, classes, weights)
                self._learn_series(panel, weights)
                self._seed = int(check_random_state(self.random_state).randint(2**31))
            target = self._encode(y)
            weights = weights * self._class_weights(y)
            weights = weights / weights.mean()
            data = self._standardized(panel), target, weights
            with _GENERATOR:
                self._train(*data, n_epochs, fresh, resumable, epoch_ends)
            return self._loss_of_a_constant(target, weights)

    def _check_y(self, y: Any, panel: Panel) -> Array:
        raise NotImplementedError

    def _check_device(self) -> torch.device:
        try:
            device = torch.device("cpu" if self.device is None else self.device)
            torch.empty(0, device=device, dtype=torch.float64)  # which times need, and Apple's "mps" does not have
        except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"device={self.device!r} is not available here ({reason}). Use device='cpu'.") from None
        return device

    def _check_size(self, panel: Panel) -> None:
        """Refuse what cannot fit into memory, before the machine starts to swap."""
        hidden, memories = int(self.hidden_size), int(self.memory_size)
        order = hidden if self.order is None else int(self.order)
        inputs = 2 * panel.n_channels  # with the indicator of missing values
        n_weights = 3 * hidden * (memories * order + inputs + hidden * (self.gate == "gru")) + memories * hidden
        rows = min(int(self.batch_size), len(panel)) * int(panel.lengths.max(initial=0))
        # Weights, their gradients and the optimizer's moments; the dynamics, and what makes them; a batch of states.
        n_bytes = 16 * n_weights + 64 * order**2 + 4 * rows * (memories * order + 4 * hidden)
        if hasattr(os, "sysconf") and n_bytes > (memory := os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")):
            raise ValueError(
                f"hidden_size={hidden}, order={order}, memory_size={memories} and batches of {self.batch_size} series "
                f"of up to {panel.lengths.max(initial=0)} observations would need {n_bytes / 2**30:.3g} GiB; this "
                f"machine has {memory / 2**30:.3g} GiB. Choose smaller ones."
            )

    def _learn_series(self, panel: Panel, weights: Array) -> None:
        """Scale of the channels, and of time; a weight of two is the series twice."""
        check_observed(panel)
        of_rows = np.repeat(weights, panel.lengths)
        self.mean_, self.scale_ = np.zeros(panel.n_channels), np.ones(panel.n_channels)
        for c in range(panel.n_channels) if self.standardize else ():
            seen = ~np.isnan(panel.values[:, c])
            values = panel.values[seen, c].astype(np.float64)
            self.mean_[c], self.scale_[c] = _mean_and_scale(values, of_rows[seen], reach=_REACH)
        self.timescale_ = None
        if MEASURES[self.measure].has_timescale:
            observed = panel._observed
            duration = _median(panel.durations[observed], weights[observed])
            self.timescale_ = learned_timescale(self.measure, in_seconds(self.timescale), duration)
        self._indicator = panel.has_missing if self.missing_indicator == "auto" else bool(self.missing_indicator)

    def _standardized(self, panel: Panel) -> Panel:
        values = panel.values.astype(np.float64)
        if self.standardize:
            with np.errstate(over="ignore"):
                values = np.clip((values - self.mean_) / self.scale_, -1e300, 1e300)
            # Beyond FAR, 2 FAR - FAR^2 / z goes on at the same slope, and is bounded.
            far = np.maximum(np.abs(values), _FAR)
            values = np.where(np.abs(values) > _FAR, np.copysign(2 * _FAR - _FAR**2 / far, values), values)
        largest = np.finfo(np.float32).max
        values = np.clip(values, -largest, largest).astype(np.float32)
        return Panel._trusted(values, panel.times, panel.offsets, None, None, panel.ids, panel.id_names)

    def _train(
        self, panel: Panel, target: Array, weights: Array, n_epochs: int, fresh: bool, resumable: bool, epoch_ends: Any
    ) -> None:
        everything = np.arange(len(panel)), None
        self._stops_early = len(panel) > _MANY if self.early_stopping == "auto" else bool(self.early_stopping)
        rows: tuple[Array, Array | None] = self._split(target) if self._stops_early else everything
        data = tuple(None if r is None else Series(panel[r], target[r], weights[r]) for r in rows)
        self._check_net_params()
        checkpoint, net, stopped = None, None, False
        if self.checkpoint is not None and resumable:
            checkpoint = Checkpoint(self.checkpoint, self._fingerprint(panel, target, weights))
            net, stopped = checkpoint.load()
        resumed = net is not None
        cuda = [self.device] if torch.device(self.device or "cpu").type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            torch.manual_seed(epoch_seed(self._seed, 0))
            if fresh:
                self._built = self._module_params()
            if net is None:
                net = self._make_net().initialize() if fresh else self._continued()
            self._lr = self.lr
            first = 0 if resumed else len(net.history)
            remaining = first + n_epochs - len(net.history)
            epochs = dict(net.callbacks_)["hippo_epochs"]
            schedule = self.schedule if n_epochs > 1 else "constant"
            save = None if checkpoint is None else checkpoint.save
            epochs.set_params(save=save, watch=epoch_ends, schedule=schedule, first=first, n_epochs=n_epochs)
            self.net_ = net
            interrupted = False
            try:
                if not resumed:
                    net.notify("on_train_begin", X=data, y=None)
                if not stopped and remaining > 0:
                    try:
                        net.fit_loop(data, epochs=remaining)
                    except KeyboardInterrupt:
                        stopped = epochs.asked or _ran_out_of_patience(net)
                        interrupted = not stopped
                        self._drop_unfinished(data[1] is not None)
                    if not all(torch.isfinite(one).all() for one in net.module_.parameters()):
                        raise diverged("weights are not finite any more")
            finally:
                epochs.set_params(save=None, watch=None)
            # Stored as it would go on: with the last weights, and the best ones beside them. After an interruption, the
            # last whole epoch is there already.
            if checkpoint is not None and not interrupted:
                checkpoint.save(net, stopped)
            net.notify("on_train_end", X=data, y=None)
        self._read_history()

    def _drop_unfinished(self, validated: bool) -> None:
        """Ctrl-C comes in the middle of an epoch."""
        history = self.net_.history
        if not {"train_loss", "dur", *(["valid_loss"] if validated else [])} <= set(history[-1]):
            del history[-1]
        if not history:
            raise KeyboardInterrupt

    def _continued(self) -> Net:
        """The same network and optimizer, trained on with the parameters of now."""
        wanted = self._module_params()
        changed = [name for name, value in wanted.items() if value != self._built[name] and "dropout" not in name]
        if changed:
            raise ValueError(
                f"{changed[0].removeprefix('module__')!r} has changed since the network was made, which warm_start and "
                "partial_fit go on with. Use fit with warm_start=False to begin anew."
            )
        old, self._built = self.net_, wanted
        history = [dict(row) for row in old.history]
        net = self._restored(old.module_.state_dict(), deepcopy(old.optimizer_.state_dict()), history)
        if self._stops_early:  # what was not validated is no best epoch
            for row in net.history:
                row.setdefault("valid_loss", np.inf)
                row.setdefault("valid_loss_best", False)
        for group in net.optimizer_.param_groups:  # a schedule may have ended at zero
            group["initial_lr"] = group["lr"] = group.get("initial_lr", group["lr"]) * self.lr / self._lr
            if "optimizer" not in (self.net_params or {}) and group.get("weight_decay", 0) > 0:
                group["weight_decay"] = self.weight_decay
        return net

    def _read_history(self) -> None:
        history = self.net_.history
        self.n_iter_ = len(history)
        self.loss_curve_ = [float(row["train_loss"]) for row in history]
        patience = next((one for _, one in self.net_.callbacks_ if isinstance(one, EarlyStopping)), None)
        self._best_epoch = self.n_iter_ - 1 if patience is None else max(getattr(patience, "best_epoch_", 0) - 1, 0)
        validated = any("valid_loss" in row for row in history)
        self.validation_loss_curve_ = [float(row["valid_loss"]) for row in history] if validated else None

    def _split(self, target: Array) -> tuple[Array, Array]:
        """Series for training and for validation."""
        n = len(target)
        if n < 2:
            raise ValueError("early_stopping=True needs at least two series: one of them to validate on.")
        classes = target if target.dtype.kind == "i" else None  # which labels and numbers are not
        try:
            return train_test_split(
                np.arange(n), test_size=self.validation_fraction, stratify=classes, random_state=self._seed
            )
        except ValueError as error:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n} series cannot be set aside for early stopping: "
                f"{error} Change validation_fraction or use early_stopping=False."
            ) from None

    def _check_net_params(self) -> None:
        params = self.net_params or {}
        for name, instead in _RESERVED.items():
            if name in params:
                raise ValueError(f"net_params may not set {name!r}: the estimator does. {instead}")
        if isinstance(params.get("callbacks"), str):
            raise ValueError(f"callbacks={params['callbacks']!r} in net_params: give a list of callbacks.")

    def _make_net(self) -> Net:
        params = dict(self.net_params or {})
        callbacks: list[Any] = deepcopy(list(params.pop("callbacks", None) or []))  # they keep state of the training
        if self.max_grad_norm is not None:
            callbacks.append(("hippo_clip", GradientNormClipping(self.max_grad_norm)))
        if self._stops_early:
            sink = print if self.verbose else _silent
            patience = Patience(patience=self.n_iter_no_change, load_best=True, sink=sink)
            callbacks.append(("hippo_early_stopping", patience))
        if self.verbose > 1:
            callbacks.append(("hippo_progress", ProgressBar()))
        callbacks.append(("hippo_epochs", Epochs(self._seed)))  # it has the last word
        defaults = {
            "criterion": self._criterion(),
            "criterion__reduction": "none",
            "optimizer": torch.optim.AdamW,
            "iterator_train": Batches,
            "iterator_train__shuffle": True,
            "iterator_valid": Batches,
            "batch_size": int(self.batch_size),
            "lr": self.lr,
            "verbose": int(self.verbose),
            "device": self.device or "cpu",
        }
        if self.weight_decay > 0 or "optimizer" not in params:
            defaults["optimizer__weight_decay"] = self.weight_decay
        if self.weight_decay > 0:  # the logarithm of a time has no natural zero to decay to
            defaults["optimizer__param_groups"] = [("*log_timescale", {"weight_decay": 0.0})]
        return self.net_class(Network, callbacks=callbacks, train_split=None, **(defaults | self._built | params))

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

    def _fingerprint(self, panel: Panel, target: Array, weights: Array) -> str:
        params = self.get_params()
        for name in ("checkpoint", "verbose", "device", *([] if self.schedule == "cosine" else ["max_epochs"])):
            del params[name]
        given = {name: value for name, value in (self.net_params or {}).items() if name != "callbacks"}
        params["net_params"] = sorted((name, value) for name, value in given.items() if _is_plain(value))
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                f"A checkpoint needs a training that can be repeated: set random_state to an integer, not "
                f"{self.random_state!r}."
            )
        data = panel.values, panel.times, panel.offsets, target, weights
        return str(joblib.hash([type(self).__name__, repr(params), *data]))

    def _fitted_attributes(self) -> dict[str, Any]:
        self._read_history()
        return {name: value for name, value in vars(self).items() if name not in self.get_params()}

    # --- use ------------------------------------------------------------------------------------------

    def _evaluate(self, X: Any, *, head: bool = True, every: bool = False) -> tuple[Panel, Array]:
        """The series as the network sees them, and its outputs for each in double precision, or its hidden states.

        With ``every``, of every observation, series by series.
        """
        check_is_fitted(self)
        panel = self._standardized(merge_stamps(validate_panel(self, X, reset=False)))
        module = self.net_.evaluated()
        weight = next(module.parameters())
        order = np.argsort(panel.lengths, kind="stable")
        by_length = panel[order]
        found = []
        with torch.inference_mode():
            for batch, _ in Batches(Series(by_length), max(64, int(self.batch_size))):
                times = batch["times"].to(weight.device) if "times" in batch else None
                x = batch["x"].to(weight.device, weight.dtype)
                hidden = module.hidden(x, batch["lengths"], times, every=every)
                found.append((module.head(hidden) if head else hidden).cpu().double().numpy())
        result = np.concatenate(found)
        if every:
            return panel, Panel._trusted(result, None, by_length.offsets, None)[np.argsort(order)].values
        return panel, result[np.argsort(order)]

    def _outputs(self, X: Any) -> Array:
        return self._evaluate(X)[1]

    def _outputs_online(self, X: Any, names: list[str], function: Callable[[Array], Array]) -> Panel:
        """A function of the outputs after every observation."""
        panel, outputs = self._evaluate(X, every=True)
        return panel.replace(values=function(outputs), channel_names=names)

    def transform(self, X: Any) -> Array:
        """Compute the last hidden state of every series: features that were trained for the targets.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, hidden_size)
        """
        panel, hidden = self._evaluate(X, head=False)
        return with_ids(hidden, panel, self)

    @property
    def _n_features_out(self) -> int:
        return int(self._built["module__hidden_size"])

    # --- persistence ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Arrays instead of a net: loads on any device and version, and without trusting PyTorch's pickles."""
        state = dict(super().__getstate__())
        if "net_" in state:
            net = state.pop("net_")
            state["_net_state"] = {
                "module": arrays_of(net.module_.state_dict()),
                "optimizer": arrays_of(net.optimizer_.state_dict()),
                "history": [
                    {name: value for name, value in row.items() if isinstance(value, (bool, int, float))}
                    for row in net.history
                ],
            }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        stored = state.pop("_net_state", None) if isinstance(state, dict) else None
        super().__setstate__(state)
        if stored is None:
            return
        try:
            self._check_device()
            params = {}
        except ValueError:
            params = {"device": "cpu"}  # trained where there was another device
        with torch.random.fork_rng(devices=[]):
            module, optimizer = (tensors_of(stored[part]) for part in ("module", "optimizer"))
            self.net_ = self._restored(module, optimizer, stored["history"], **params)

    def _restored(self, module: Any, optimizer: Any, history: list[Any], **params: Any) -> Net:
        """A net of the parameters of now, with what another one has learned."""
        net = self._make_net()
        net.set_params(**params)
        net.initialize()
        net.module_.load_state_dict(module)
        before, now = (
            [group.keys() - {"initial_lr"} for group in one["param_groups"]]
            for one in (optimizer, net.optimizer_.state_dict())
        )
        try:
            if before != now:
                raise ValueError("options of another kind")
            net.optimizer_.load_state_dict(optimizer)
        except (KeyError, ValueError):  # net_params has another optimizer by now
            warnings.warn(
                "The state of the optimizer does not fit net_params: it begins anew.", UserWarning, stacklevel=2
            )
        net.history.extend(history)
        return net


def _median(x: Array, weights: Array) -> float:
    """The median of numbers that count as often as their weights say."""
    order = np.argsort(x)
    total = np.cumsum(weights[order])
    low, high = (np.searchsorted(total, total[-1] / 2, side=side) for side in ("left", "right"))
    return float((x[order[low]] + x[order[min(high, len(x) - 1)]]) / 2)


def _mean_and_scale(x: Array, weights: Array, reach: float = np.inf) -> tuple[float, float]:
    """Weighted mean and standard deviation, computed in a unit in which no square over- or underflows.

    What is further from the median than ``reach`` times the median distance of what differs from it counts as if it
    were there. The scale of a constant, or of what varies by rounding only, is 1.
    """
    exponent = int(np.frexp(np.abs(x).max())[1])
    x = np.ldexp(x, -exponent)
    if np.isfinite(reach):
        center = _median(x, weights)
        away = np.abs(x - center)
        apart = away > 0
        if apart.any():
            room = reach * _median(away[apart], weights[apart])
            x = np.clip(x, center - room, center + room)
    mean = float(np.average(x, weights=weights))
    scale = float(np.sqrt(np.average((x - mean) ** 2, weights=weights)))
    varies = scale > 1e-12 * abs(mean)
    scale = max(float(np.ldexp(scale, exponent)), 5e-324) if varies else 1.0  # no number is smaller
    return float(np.ldexp(mean, exponent)), scale


def _called(panel: Panel, series: int) -> str:
    """How to speak of a series to which something was given beside the panel, which may be of another length."""
    return panel._called(int(series)) if series < len(panel) else f"Series {series}"


def _silent(*_: Any) -> None:
    pass


def _is_missing_label(label: Any) -> bool:
    try:
        return bool(label is None or label != label or label in (np.inf, -np.inf))
    except TypeError:  # pandas' NA is neither equal nor different
        return True


def _is_table_of_labels(y: Any) -> bool:
    """Whether y has several labels for each series, each 0 or 1."""
    y = np.asarray(y)
    return y.ndim == 2 and y.shape[1] > 1 and type_of_target(y) == "multilabel-indicator"


def _ran_out_of_patience(net: Net) -> bool:
    return any(isinstance(one, EarlyStopping) and one.misses_ >= one.patience for _, one in net.callbacks_)


def _is_plain(value: Any) -> bool:
    """Whether a value looks the same in the next process."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, (str, int, float, bool, type, type(None)))


class HiPPORNNClassifier(ClassifierMixin, _HiPPORNN):
    __doc__ = rf"""Classify series with the gated HiPPO-RNN [1]_.

    A hidden state h and a memory c of all that it ever paid attention to, in optimal polynomial projection, are updated
    with every observation (section 2.4 of the paper, and `sklearn_hippo.nn.HiPPOCell`); a linear map of the last hidden
    state gives the classes. Series may be of different lengths, irregularly sampled and incomplete.

    Parameters
    ----------
    {_PARAMETERS.strip().replace("    CLASS_WEIGHT", _CLASS_WEIGHT)}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    {_ATTRIBUTES.strip()}

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

    _labels: int | None  # number of labels, if every series may have several
    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        **_HiPPORNN._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

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
        super().__init__(
            measure, hidden_size, order=order, memory_size=memory_size, gate=gate, discretization=discretization,
            timescale=timescale, learn_timescale=learn_timescale, missing_indicator=missing_indicator,
            standardize=standardize, dropout=dropout, max_epochs=max_epochs, lr=lr, schedule=schedule,
            weight_decay=weight_decay, batch_size=batch_size, max_grad_norm=max_grad_norm,
            early_stopping=early_stopping, validation_fraction=validation_fraction, n_iter_no_change=n_iter_no_change,
            warm_start=warm_start, checkpoint=checkpoint, net_params=net_params, verbose=verbose,
            random_state=random_state, device=device,
        )  # fmt: skip
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _criterion(self) -> type[nn.Module]:
        return nn.CrossEntropyLoss if self._labels is None else nn.BCEWithLogitsLoss

    def _check_y(self, y: Any, panel: Panel) -> Array:
        if hasattr(y, "toarray"):  # sparse, as label binarizers make it
            y = y.toarray()
        if _is_table_of_labels(y):
            return np.asarray(y)
        y = column_or_1d(y, warn=True)
        missing = [i for i, one in enumerate(y.tolist()) if _is_missing_label(one)]
        if missing:
            raise ValueError(
                f"{_called(panel, missing[0])} has the label {y[missing[0]]}: leave out series without a label."
            )
        check_classification_targets(y)
        return y

    def _learn_targets(self, y: Array, classes: Array | None, weights: Array) -> None:
        self._labels = y.shape[1] if y.ndim == 2 else None
        if self._labels is not None:
            self.classes_ = np.arange(self._labels)
            return
        self.classes_ = np.unique(y) if classes is None else classes
        if len(self.classes_) < 2:
            raise ValueError(
                f"The classifier needs series of at least 2 classes, but y has only one class: "
                f"{self.classes_.tolist()[0]!r}."
            )

    def _encode(self, y: Array) -> Array:
        if (y.shape[1] if y.ndim == 2 else None) != self._labels:
            of = "one class" if self._labels is None else f"{self._labels} labels, 0 or 1"
            raise ValueError(f"y has the shape {y.shape}, but the classifier was trained on {of} for each series.")
        if self._labels is not None:
            return y.astype(np.float32)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has the class {unknown.tolist()[0]!r}, which the classifier did not see at first: "
                f"{self.classes_.tolist()}."
            )
        return np.searchsorted(self.classes_, y).astype(np.int64)

    def _class_weights(self, y: Array) -> Array:
        if self.class_weight is None:
            return np.ones(len(y))
        if y.ndim == 2:
            raise ValueError(
                f"class_weight={self.class_weight!r} weighs the classes of one label, but y has {y.shape[1]} labels. "
                "Use sample_weight, or a classifier for each label."
            )
        present = np.unique(y)
        weights = compute_class_weight(self.class_weight, classes=present, y=y)
        if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
            raise ValueError(f"class_weight must be finite and not negative, nor all zero; got {self.class_weight}.")
        return weights[np.searchsorted(present, y)]

    def _loss_of_a_constant(self, target: Array, weights: Array) -> float:
        if target.ndim == 2:
            share = np.average(target, axis=0, weights=weights)
            return float(entropy([share, 1 - share]).mean())
        return float(entropy(np.bincount(target, weights)))

    def _n_outputs(self) -> int:
        return len(self.classes_)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one more epoch, at a constant learning rate.

        The first call learns the scales of the channels from what it is given.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`.
        y : array-like of shape (n_series,) or (n_series, n_labels)
            Target values, as in `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes that will ever come; needed by the first call, unless a series may have several labels.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series in the loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit` does, and if the classes are missing or not those of the first call.
        """
        fresh = not self.__sklearn_is_fitted__()
        if fresh and classes is None and not _is_table_of_labels(y):
            raise ValueError("classes must be passed on the first call to partial_fit: later calls may bring others.")
        if classes is not None:
            classes = np.unique(np.asarray(classes))
            if not fresh and not np.array_equal(classes, self.classes_):
                raise ValueError(f"classes={classes} are not those of the first call to partial_fit: {self.classes_}.")
        self._fit(X, y, sample_weight, 1, fresh=fresh, classes=classes)
        return self

    def decision_function(self, X: Any) -> Array:
        """Compute the logits of the classes or labels; of two classes, how far the second is above the first.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_classes), or (n_series,) for two classes
        """
        scores = self._outputs(X)
        two = scores.shape[1] == 2 and self._labels is None
        return scores[:, 1] - scores[:, 0] if two else scores

    def predict_proba(self, X: Any) -> Array:
        """Compute the probabilities of the classes, in the order of ``classes_``, or of the labels.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_classes)
            The probabilities of classes add up to one, those of labels are each by itself.
        """
        return self._probabilities(self._outputs(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Compute the logarithms of `predict_proba`, which are finite where a probability is too small for a number.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_classes)
        """
        outputs = self._outputs(X)
        return log_softmax(outputs, axis=1) if self._labels is None else log_expit(outputs)

    def predict_proba_online(self, X: Any) -> Panel:
        """Compute the probabilities after every observation, while the series runs.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        Panel
            The probabilities are its channels, named after the classes, at the times of the observations; those of one
            stamp are one observation. Each row is `predict_proba` of the series that ends there, and no row depends on
            later ones: one pass computes them all. A series in which nothing was observed has no rows.

        Raises
        ------
        ValueError, TypeError
            As `predict_proba` does.
        """
        check_is_fitted(self)
        return self._outputs_online(X, [str(one) for one in self.classes_], self._probabilities)

    def predict_online(self, X: Any) -> list[Array]:
        """Predict the class after every observation, while the series runs.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        list of ndarray of shape (n_stamps,) or (n_stamps, n_labels)
            For each series, the classes that belong to the rows of `predict_proba_online`.

        Raises
        ------
        ValueError, TypeError
            As `predict` does.
        """
        panel, outputs = self._evaluate(X, every=True)
        return np.split(self._decided(outputs), panel.offsets[1:-1])

    def predict(self, X: Any) -> Array:
        """Predict the most probable class of every series, or the labels that are more probable than not.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series,) or (n_series, n_labels)
        """
        return self._decided(self._outputs(X))

    def _probabilities(self, outputs: Array) -> Array:
        return softmax(outputs, axis=1) if self._labels is None else expit(outputs)

    def _decided(self, outputs: Array) -> Array:
        return self.classes_[outputs.argmax(axis=1)] if self._labels is None else (outputs > 0).astype(int)


class HiPPORNNRegressor(RegressorMixin, _HiPPORNN):
    __doc__ = rf"""Predict numbers from series with the gated HiPPO-RNN [1]_.

    As `HiPPORNNClassifier`, with the mean squared error of one or several targets, which are standardized inside.

    Parameters
    ----------
    {_PARAMETERS.strip().replace("    CLASS_WEIGHT", "")}

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the targets.
    {_ATTRIBUTES.strip()}

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

    def _criterion(self) -> type[nn.Module]:
        return nn.MSELoss

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_y(self, y: Any, panel: Panel) -> Array:
        y = np.asarray(y)
        y = check_array(y, ensure_2d=False, dtype=np.float64, ensure_all_finite=False, input_name="y")
        wrong = np.argwhere(~np.isfinite(y))
        if len(wrong):
            raise ValueError(
                f"{_called(panel, wrong[0, 0])} has the target {y[tuple(wrong[0])]}: leave out series without a target."
            )
        if y.ndim > 2:
            raise ValueError(f"y must have shape (n_series,) or (n_series, n_targets), got {y.shape}.")
        return y

    def _learn_targets(self, y: Array, classes: Array | None, weights: Array) -> None:
        self._y_shape = y.shape[1:]
        columns = [_mean_and_scale(column, weights) for column in y.reshape(len(y), -1).T]
        self.target_mean_, self.target_scale_ = np.array(columns).T

    def _loss_of_a_constant(self, target: Array, weights: Array) -> float:
        return float(np.mean(np.average((target - np.average(target, 0, weights)) ** 2, 0, weights)))

    def _encode(self, y: Array) -> Array:
        if y.shape[1:] != self._y_shape:
            raise ValueError(
                f"y has the shape {y.shape}, but the regressor was trained on (n_series, *{self._y_shape})."
            )
        return ((y.reshape(len(y), -1) - self.target_mean_) / self.target_scale_).astype(np.float32)

    def _n_outputs(self) -> int:
        return len(self.target_mean_)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one more epoch, at a constant learning rate.

        The first call learns the scales of the channels and of the targets from what it is given.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`.
        y : array-like of shape (n_series,) or (n_series, n_targets)
            Target values.
        sample_weight : array-like of shape (n_series,), optional
            Weights of the series in the loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit` does.
        """
        self._fit(X, y, sample_weight, 1, fresh=not self.__sklearn_is_fitted__())
        return self

    def predict(self, X: Any) -> Array:
        """Predict the targets of every series.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series,) or (n_series, n_targets), as y in `fit`
        """
        outputs = self._rescaled(self._outputs(X))
        return outputs.reshape(len(outputs), *self._y_shape)

    def predict_online(self, X: Any) -> Panel:
        """Predict the targets after every observation, while the series runs.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        Panel
            The targets are its channels, at the times of the observations; those of one stamp are one observation. Each
            row is `predict` of the series that ends there, and no row depends on later ones: one pass computes them
            all. A series in which nothing was observed has no rows.

        Raises
        ------
        ValueError, TypeError
            As `predict` does.
        """
        check_is_fitted(self)
        return self._outputs_online(X, [f"y{k}" for k in range(len(self.target_mean_))], self._rescaled)

    def _rescaled(self, outputs: Array) -> Array:
        return outputs * self.target_scale_ + self.target_mean_
