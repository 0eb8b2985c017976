"""The session: what a trained estimator does with its net from one fit to the next."""

import os
import warnings
from copy import deepcopy
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from skorch.callbacks import EarlyStopping, GradientNormClipping, ProgressBar
from torch import nn

from ._batches import Batches, Series
from ._panel import Panel
from ._training import Checkpoint, Epochs, Net, Patience, arrays_of, diverged, epoch_seed, tensors_of

Array = NDArray[Any]

# More series than these are learned by heart rather than learned from.
_MANY = 2000

# What net_params may not set, and what to use instead.
_RESERVED = {
    "module": "Write a skorch net of your own around sklearn_hippo.nn.HiPPORNN.",
    "train_split": "Use early_stopping and validation_fraction.",
    "max_epochs": "Use the parameter of the same name.",
    "warm_start": "Use the parameter of the same name.",
}


class Session:
    """What an estimator does with its net: make it, train it, go on with it, and store it."""

    _module: ClassVar[type[nn.Module]]  # with a `head`, and `hidden(x, lengths, times, every=)` before it
    net_class: ClassVar[type[Net]] = Net
    net_: Net
    _built: dict[str, Any]  # what the network was made with
    _lr: float  # of the last training
    _seed: int

    lr: float
    schedule: str
    weight_decay: float
    batch_size: int
    max_grad_norm: float | None
    early_stopping: bool | str
    validation_fraction: float
    n_iter_no_change: int
    warm_start: bool
    checkpoint: str | os.PathLike[str] | None
    net_params: dict[str, Any] | None
    verbose: int
    random_state: Any
    device: Any

    if TYPE_CHECKING:

        def get_params(self) -> dict[str, Any]: ...
        def _criterion(self) -> type[nn.Module]: ...
        def _module_params(self) -> dict[str, Any]: ...
        def _param_groups(self) -> list[tuple[str, dict[str, float]]]: ...
        def _check_device(self) -> torch.device: ...

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
                    if not all(torch.isfinite(weight).all() for weight in net.module_.parameters()):
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
        patience = next((callback for _, callback in self.net_.callbacks_ if isinstance(callback, EarlyStopping)), None)
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
        if groups := self._param_groups():
            defaults["optimizer__param_groups"] = groups
        return self.net_class(self._module, callbacks=callbacks, train_split=None, **(defaults | self._built | params))

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

    # --- persistence ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Arrays instead of a net: loads on any device and version, and without trusting PyTorch's pickles."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
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

    def __setstate__(self, state: Any) -> None:
        stored = state.pop("_net_state", None) if isinstance(state, dict) else None
        super().__setstate__(state)  # type: ignore[misc]
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
            [group.keys() - {"initial_lr"} for group in state["param_groups"]]
            for state in (optimizer, net.optimizer_.state_dict())
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


def _silent(*_: Any) -> None:
    pass


def _ran_out_of_patience(net: Net) -> bool:
    patient = (callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping))
    return any(callback.misses_ >= callback.patience for callback in patient)


def _is_plain(value: Any) -> bool:
    """Whether a value looks the same in the next process."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, (str, int, float, bool, type, type(None)))
