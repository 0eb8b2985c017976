"""Training by skorch: a net with weighted losses, what happens after every epoch, and checkpoints."""

import math
import os
import pickle
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import to_tensor
from torch import Tensor, nn

Array = NDArray[Any]


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
