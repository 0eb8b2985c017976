"""Panels as networks see them: one observation for each stamp, in padded batches of series of about the same length."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from ._panel import Panel

Array = NDArray[Any]
Batch = tuple[dict[str, Tensor], Tensor]


class Series(Dataset[Batch]):
    """The series of a panel, handed out as padded batches with their weights, and their targets."""

    def __init__(self, panel: Panel, y: Array | None = None, weights: Array | None = None):
        self.values = torch.tensor(panel.values)
        self.times = None if panel.times is None else torch.tensor(panel.times)
        self.first = torch.as_tensor(panel.offsets[:-1].copy())
        self.lengths = torch.as_tensor(panel.lengths.copy())
        self.y = torch.zeros(len(panel)) if y is None else torch.as_tensor(y)
        self.weights = torch.ones(len(panel)) if weights is None else torch.as_tensor(weights, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        lengths = self.lengths[chosen]
        last = (self.first[chosen] + lengths - 1)[:, None]  # what lies behind the end is not read
        rows = torch.minimum(self.first[chosen, None] + torch.arange(int(lengths.max())), last).clamp(min=0)
        batch = {"x": self.values[rows], "lengths": lengths, "weight": self.weights[chosen]}
        if self.times is not None:
            batch["times"] = self.times[rows]
        return batch, self.y[chosen]


class _Buckets(BatchSampler):
    """Batches of series of about the same length, in random order, from PyTorch's generator."""

    def __init__(self, lengths: Tensor, batch_size: int):
        self.lengths, self.batch_size = lengths, batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        n = len(self.lengths)
        rough = self.lengths * (1 + 0.2 * torch.rand(n))  # so that neighbours change from epoch to epoch
        order = torch.argsort(rough)
        order = order.roll(int(torch.randint(n, ())))  # and it is not always the longest that make a small batch
        batches = order.split(self.batch_size)
        return (batches[k].tolist() for k in torch.randperm(len(batches)))


class _InOrder(BatchSampler):
    def __init__(self, n: int, batch_size: int):
        self.n, self.batch_size = n, batch_size

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        return (list(range(k, min(k + self.batch_size, self.n))) for k in range(0, self.n, self.batch_size))


def _itself(batch: Any) -> Any:
    return batch


class Batches(DataLoader[Batch]):
    """Batches of a `Series`: of similar lengths in random order, or as they come."""

    def __init__(self, dataset: Series, batch_size: int, *, shuffle: bool = False, **params: Any):
        sampler = _Buckets(dataset.lengths, batch_size) if shuffle else _InOrder(len(dataset), batch_size)
        params.setdefault("generator", torch.Generator())  # the loader seeds its workers: not from the global one
        super().__init__(dataset, batch_sampler=sampler, collate_fn=_itself, **params)
