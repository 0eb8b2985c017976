"""The base of every trained estimator: scikit-learn outside, skorch inside; it knows no network in particular."""

import os
import threading
import warnings
from collections.abc import Callable
from datetime import timedelta
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted
from torch import Tensor, nn

from ._batches import Batches, Series
from ._columns import in_seconds, refuse_masked
from ._compat import CallbackSupportMixin, Interval, Linked, StrOptions, fit_task, with_ids
from ._panel import Panel, merge_stamps
from ._scales import REACH, bounded, mean_and_scale, median
from ._session import Session
from ._validation import check_observed, learned_timescale, validate_panel

Array = NDArray[Any]

# What all of them document in the same words.
TRAINING = """    missing_indicator : bool or "auto", default="auto"
        Whether the network is told which values were observed. A missing value is its channel's last one, and the mean
        before there is any. ``"auto"`` tells it if values are missing in the training series.
    standardize : bool, default=True
        Subtract each channel's mean over all training observations, weighted as their series are, and divide by its
        standard deviation. Extreme values do not ruin it: at most a twentieth of them is left out, where it is more
        than forty times as far from the median as half of what differs from it, or, if more are, as all others; and
        what is z > 20 standard deviations away is 40 - 400 / z for the network, never more than forty.
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
ATTRIBUTES = """
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

# PyTorch's generator is global: of the trainings in the threads of a process, one at a time may draw from it.
_GENERATOR = threading.RLock()


class Head(nn.Module):
    """A linear map of what a sequence module remembers in the end."""

    dropout: nn.Module
    head: nn.Module

    def forward(self, x: Tensor, lengths: Tensor, times: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """Outputs of shape (batch, n_outputs); the weights of the series are the loss's."""
        return self.head(self.dropout(self.hidden(x, lengths, times)))

    def hidden(self, x: Tensor, lengths: Tensor, times: Tensor | None = None, *, every: bool = False) -> Tensor:
        """Last hidden states (batch, hidden_size), or those after every observation (n_observations, hidden_size)."""
        raise NotImplementedError


class NetworkEstimator(
    Linked, Session, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """What all trained estimators share: everything but the targets and the module.

    A subclass has the parameters of its own, `_module`, `_module_params` and `_check_size`; `_targets.py` has what is
    different between classes and numbers.
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "timescale": [timedelta, np.timedelta64, Interval(Real, 0, None, closed="neither"), None],
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

    measure: str
    timescale: Any
    missing_indicator: bool | str
    standardize: bool
    dropout: float
    max_epochs: int

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
        of_a_constant = self._fit(X, y, sample_weight, None, fresh=fresh, resumable=fresh)
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
        self, X: Any, y: Any, sample_weight: Any, n_epochs: int | None, *, fresh: bool, classes: Array | None = None,
        resumable: bool = False,
    ) -> float:  # fmt: skip
        """Train, and return the loss of the best constant prediction."""
        with fit_task(self, X, y, None, self._fitted_attributes) as epoch_ends:
            if y is None:
                raise ValueError(
                    f"{type(self).__name__} requires y to be passed, but the target y is None. Give one value for "
                    "each series."
                )
            panel = self._prepared(merge_stamps(validate_panel(self, X, reset=fresh), unobserved=False), fresh=fresh)
            refuse_masked(y, "y")
            y = self._check_y(y, panel)
            check_consistent_length(panel, y)
            refuse_masked(sample_weight, "sample_weight")
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
                self._train(*data, n_epochs or self._n_epochs(len(panel)), fresh, resumable, epoch_ends)
            return self._loss_of_a_constant(target, weights)

    def _n_epochs(self, n_series: int) -> int:
        """Epochs of a fit."""
        return int(self.max_epochs)

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

    def _prepared(self, panel: Panel, *, fresh: bool) -> Panel:
        """The series as the module takes them, a ``fresh`` one or that which was fitted."""
        return panel

    def _check_size(self, panel: Panel) -> None:
        """Refuse what cannot fit into memory, before the machine starts to swap."""

    def _learn_series(self, panel: Panel, weights: Array) -> None:
        """Scale of the channels, and of time; a weight of two is the series twice."""
        check_observed(panel)
        of_rows = np.repeat(weights, panel.lengths)
        self.mean_, self.scale_ = np.zeros(panel.n_channels), np.ones(panel.n_channels)
        for c in range(panel.n_channels) if self.standardize else ():
            seen = ~np.isnan(panel.values[:, c])
            values = panel.values[seen, c].astype(np.float64)
            self.mean_[c], self.scale_[c] = mean_and_scale(values, of_rows[seen], reach=REACH)
        self.timescale_ = self._learn_timescale(panel, weights)
        self._indicator = panel.has_missing if self.missing_indicator == "auto" else bool(self.missing_indicator)

    def _learn_timescale(self, panel: Panel, weights: Array) -> float | None:
        """The timescale, that of the parameters or the median duration; None if there is none."""
        observed = panel._observed
        duration = median(panel.durations[observed], weights[observed])
        return learned_timescale(self.measure, in_seconds(self.timescale), duration)

    def _standardized(self, panel: Panel) -> Panel:
        values = panel.values.astype(np.float64)
        if self.standardize:
            values = bounded(values, self.mean_, self.scale_)
        largest = np.finfo(np.float32).max
        values = np.clip(values, -largest, largest).astype(np.float32)
        return Panel._trusted(values, panel.times, panel.offsets, None, None, panel.ids, panel.id_names)

    def _module_params(self) -> dict[str, Any]:
        """What the module is made of, for `_module`; ``self._parameters_of_module`` knows it afterwards."""
        raise NotImplementedError

    def _param_groups(self) -> list[tuple[str, dict[str, float]]]:
        """Patterns of names of parameters, and what is different in their training."""
        return []

    # --- use ------------------------------------------------------------------------------------------

    def _evaluate(self, X: Any, *, head: bool = True, every: bool = False) -> tuple[Panel, Array]:
        """The series as the network sees them, and its outputs for each in double precision, or its hidden states.

        With ``every``, of every observation, series by series.
        """
        check_is_fitted(self)
        panel = merge_stamps(validate_panel(self, X, reset=False), unobserved=False)
        panel = self._standardized(self._prepared(panel, fresh=False))
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
