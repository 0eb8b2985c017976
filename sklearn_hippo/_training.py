"""Training by skorch: a net with weighted losses, what happens after every epoch, checkpoints, and the session."""

import math
import os
import pickle
import warnings
from collections.abc import Callable
from copy import deepcopy
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, ProgressBar
from skorch.utils import to_tensor
from torch import Tensor, nn

from ._batches import Batches, Series
from ._panel import Panel

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


class Net(NeuralNet):
    """A skorch net whose data are a pair of `Series`, for training and validation, and whose losses are weighted."""

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """X is the pair already."""
        return X

    def get_loss(self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Mean over a batch of the weighted losses."""
        weight = to_tensor(X["weight"], device=self.device)
        loss = self.criterion_(y_pred, to_tensor(y_true, device=self.device))
        return ((loss.flatten(1).mean(dim=1) if loss.ndim > 1 else loss) * weight).mean()

    def predict(self, X: Any) -> Array:
        """Codes of the classes, labels, or standardized targets: what skorch's scoring callbacks ask for."""
        outputs = super().predict(X)
        if isinstance(self.criterion_, nn.BCEWithLogitsLoss):  # skorch makes probabilities of 0 and of 1
            return outputs.argmax(axis=1)
        return outputs.argmax(axis=1) if isinstance(self.criterion_, nn.CrossEntropyLoss) else outputs

    def evaluated(self) -> Any:
        """A copy of the module for evaluation, on the CPU in double precision: outputs are the same in every batch.

        It is made anew after a tensor of the module has changed.
        """
        tensors = [*self.module_.parameters(), *self.module_.buffers()]
        versions = [-1 if tensor.is_inference() else tensor._version for tensor in tensors]
        kept, of_kept, module = getattr(self, "_evaluated", ([], [], None))
        if module is None or versions != of_kept or any(a is not b for a, b in zip(tensors, kept, strict=True)):
            module = deepcopy(self.module_).eval()
            if all(tensor.device.type == "cpu" for tensor in tensors):
                module = module.double()
            self._evaluated = tensors, versions, module
        return module

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_evaluated", None)
        return state


class Patience(EarlyStopping):
    """Early stopping whose best weights go wherever the training goes: into its checkpoints, and on with it.

    A training that continues another one begins with the weights and the validation loss that it finds.
    """

    def on_train_begin(self, net: NeuralNet, X: Any = None, **kwargs: Any) -> None:
        """Find out what is to be improved."""
        super().on_train_begin(net, **kwargs)
        if len(net.history) and X is not None and X[1] is not None:
            losses = [(net.validation_step(batch)["loss"].item(), len(batch[1])) for batch in net.get_iterator(X[1])]
            loss = sum(loss * n for loss, n in losses) / sum(n for _, n in losses)
            self.dynamic_threshold_ = self._calc_new_threshold(loss)
            self.best_epoch_ = net.history[-1, "epoch"]
            self.best_model_weights_ = deepcopy(net.module_.state_dict())

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()


class Epochs(Callback):
    """What the estimators do about every epoch.

    Randomness and learning rate depend on nothing but the number of the epoch, so that a training that was interrupted
    goes on as if it had not been.

    Parameters
    ----------
    seed : int
    save : callable, optional
        Called with the net after every epoch.
    watch : callable, optional
        Called after every epoch; returns whether to stop.
    schedule : {"constant", "cosine"}
        Of the learning rate.
    first, n_epochs : int
        Epochs before this training, and in it.
    """

    def __init__(
        self, seed: int, save: Callable[[Any], None] | None = None, watch: Callable[[], bool] | None = None,
        schedule: str = "constant", first: int = 0, n_epochs: int = 1,
    ):  # fmt: skip
        self.seed, self.save, self.watch = seed, save, watch
        self.schedule, self.first, self.n_epochs = schedule, first, n_epochs

    def on_train_begin(self, net: NeuralNet, **_: Any) -> None:
        """Nobody has asked for an end yet."""
        self.asked = False

    def on_epoch_begin(self, net: NeuralNet, **_: Any) -> None:
        """Set the seed and the learning rate."""
        torch.manual_seed(epoch_seed(self.seed, len(net.history)))
        if self.schedule == "cosine":
            progress = (len(net.history) - 1 - self.first) / self.n_epochs
            for group in net.optimizer_.param_groups:
                initial = group.setdefault("initial_lr", group["lr"])
                group["lr"] = initial * (1 + math.cos(math.pi * progress)) / 2

    def on_batch_end(self, net: NeuralNet, loss: Tensor | None = None, training: bool = False, **_: Any) -> None:
        """Stop at a loss that is no number."""
        if training and loss is not None and not torch.isfinite(loss):
            raise diverged(f"the loss became {loss.item()} in epoch {len(net.history)}")

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Save, and tell whoever watches, who may stop the training."""
        if self.save is not None:
            self.save(net)
        if self.watch is not None and self.watch():
            self.asked = True
            raise KeyboardInterrupt  # skorch's way to end a training early

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"save": None, "watch": None}


def diverged(what: str) -> ValueError:
    """The error for a training that leads nowhere."""
    return ValueError(
        f"Training diverged: {what}. Lower lr or max_grad_norm, and keep standardize=True unless the values are of "
        "order one."
    )


def epoch_seed(seed: int, epoch: int) -> int:
    """One seed for every epoch; 0 is the initialization."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Checkpoint:
    """The file from which an interrupted training goes on; the fingerprint tells whose it is."""

    def __init__(self, path: str | os.PathLike[str], fingerprint: str):
        self.path, self.fingerprint = Path(path), fingerprint
        if self.path.is_dir():
            raise ValueError(f"checkpoint={str(path)!r} is a folder: name a file in it.")
        if not self.path.parent.is_dir():
            raise ValueError(f"checkpoint={str(path)!r}: there is no folder {str(self.path.parent)!r}. Make it first.")

    def load(self) -> tuple[Net | None, bool]:
        """Return the net, and whether its training had come to an end; None if there is no file."""
        if not self.path.exists():
            return None, False
        try:
            stored = pickle.loads(self.path.read_bytes())
            fingerprint, net, stopped = stored["fingerprint"], stored["net"], stored["stopped"]
        except Exception as error:
            raise ValueError(f"{self.path} is not a checkpoint of this version ({error}). Delete it.") from error
        if fingerprint != self.fingerprint:
            raise ValueError(
                f"{self.path} is the checkpoint of another training: of other series, targets or parameters (with "
                "schedule='cosine', max_epochs is one of them). Delete it, or give this estimator a file of its own. "
                "Cross-validation and searches make many trainings: leave checkpoint out there."
            )
        return net, stopped

    def save(self, net: Net, stopped: bool = False) -> None:
        """Write all or nothing: a process that dies here leaves the old file."""
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skorch: "callbacks are pickled as well"
            data = pickle.dumps({"fingerprint": self.fingerprint, "net": net, "stopped": stopped})
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.path)


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
        if self.weight_decay > 0:  # the logarithm of a time has no natural zero to decay to
            defaults["optimizer__param_groups"] = [("*log_timescale", {"weight_decay": 0.0})]
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


def arrays_of(state: Any) -> Any:
    """A state_dict with arrays for tensors, which needs no PyTorch to be read."""
    if isinstance(state, Tensor):
        return state.detach().cpu().numpy()
    if isinstance(state, dict):
        return {key: arrays_of(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [arrays_of(value) for value in state]
    return state


def tensors_of(state: Any) -> Any:
    """Undo `arrays_of`."""
    if isinstance(state, np.ndarray):
        return torch.from_numpy(state.copy())
    if isinstance(state, dict):
        return {key: tensors_of(value) for key, value in state.items()}
    if isinstance(state, list):
        return [tensors_of(value) for value in state]
    return state
