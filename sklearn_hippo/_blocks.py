"""Layers of state spaces as a network: norms and mixing between them, their clock, and a mean over time."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._network import Head
from .nn import HiPPOSSM, SelectiveSSM
from .nn._inputs import fill
from .nn._space import last_of

UNITS = 100.0  # of the clock of a layer in a duration, or in a timescale
COPIES = 4  # of a channel of which values are missing, remembered by as many clocks
POOLINGS = ("mean", "gated", "last")


class Block(nn.Module):
    """A state space for every channel and a gated mixing of the channels, beside which the inputs go on."""

    def __init__(self, width: int, dropout: float, selective: tuple[str, ...] | None, **space: Any):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        if selective is None:
            self.space: nn.Module = HiPPOSSM(width, **space)
        else:
            own = {name: space[name] for name in ("order", "measure")}
            self.space = SelectiveSSM(width, selective=selective, n_heads=1 + (width % 2 == 0), **own)
        self.dropout = nn.Dropout(dropout)
        self.mix = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, step: Tensor, lengths: Tensor, *, last: bool = False) -> Tensor:
        """Outputs of shape (batch, length, width), or the last ones alone, (batch, 1, width).

        What is behind the ends is no matter of any other.
        """
        y, _ = self.space(self.norm(x), step, lengths)
        if last:
            x, y = (last_of(part, lengths, part.new_zeros(len(x), x.shape[2]))[:, None] for part in (x, y))
        return self.mixed(x, y)

    def mixed(self, x: Tensor, y: Tensor) -> Tensor:
        """Outputs, from inputs and what the state space makes of them."""
        return x + F.glu(self.mix(self._dropped(F.gelu(y))))

    def end(self, into: nn.Linear, x: Tensor, step: Tensor) -> Tensor:
        """The last output (batch, 1, width) of ``into(x)``, which is not made: x has fewer numbers an observation.

        Where each column of A has the mean zero, the norm of A x is A (x / size), size^2 = x^T A^T A x / width. What
        weights of the observations make of it is A times what they make of x / size.
        """
        x = F.pad(x, (0, 1), value=1.0)
        A = torch.cat([into.weight, into.bias[:, None]], dim=1)
        centered = A - A.mean(dim=0)
        square = ((x @ (centered.T @ centered / len(A))) * x).sum(dim=2, keepdim=True)
        assert isinstance(self.space, HiPPOSSM)
        share = self.space._shares_of_end(step, x.shape[1])
        seen = ((x * (square + self.norm.eps).rsqrt()).transpose(1, 2) @ share).transpose(1, 2)  # (batch, width, ...)
        y = self.norm.weight * (seen * centered).sum(dim=2) + self.norm.bias * share.sum(dim=0)
        return self.mixed(x[:, -1:] @ A.T, y[:, None])

    def _dropped(self, x: Tensor) -> Tensor:
        """Without some channels, the same ones all along a series."""
        return x * self.dropout(x.new_ones(len(x), 1, x.shape[2])) if self.training and self.dropout.p else x


class ChannelMemory(nn.Module):
    """State spaces of each channel through its own observations, before channels are mixed: where some are missing."""

    def __init__(self, copies: int, **space: Any):
        super().__init__()
        self.space = HiPPOSSM(copies, **space)

    def forward(self, x: Tensor, observed: Tensor, times: Tensor) -> Tensor:
        """Outputs as of the last observation of each channel, (batch, length, n_channels * copies)."""
        batch, length, n_channels = x.shape
        count = observed.sum(dim=1)
        most = length if torch.compiler.is_compiling() else max(1, int(count.max()))
        rows = torch.argsort(~observed, dim=1, stable=True)[:, :most]  # first those that were observed

        def own(values: Tensor) -> Tensor:
            return values.gather(1, rows).transpose(1, 2).reshape(-1, most)

        when = own(times[..., None].expand_as(x))
        steps = when.diff(dim=1, prepend=when[:, :1]).clamp(min=0)
        u = own(torch.where(observed, x, 0.0))[..., None].expand(-1, -1, self.space.d_model)
        y, _ = self.space(u.contiguous(), steps, count.flatten().cpu())
        y = F.pad(y.unflatten(0, (batch, n_channels)), (0, 0, 1, 0))  # before the first one there is nothing
        latest = observed.cumsum(dim=1).transpose(1, 2)[..., None].expand(-1, -1, -1, self.space.d_model)
        return y.gather(2, latest).transpose(1, 2).flatten(2)


class Network(Head):
    """Blocks of state spaces, and a linear map of their outputs' mean or end."""

    def __init__(
        self, n_outputs: int, input_size: int, hidden_size: int, *, n_layers: int, dropout: float, pooling: str,
        timescale: float | None, mask_input: bool, resample: int | None = None, **space: Any,
    ):  # fmt: skip
        super().__init__()
        self.pooling, self.timescale, self.mask_input = pooling, timescale, mask_input
        self.resample = resample  # which was done before
        if mask_input:
            kept = ("order", "measure", "discretization")
            self.own = ChannelMemory(COPIES, **{name: space[name] for name in kept})
        self.into = nn.Linear(input_size * (1 + (2 + COPIES) * mask_input), hidden_size)
        if pooling == "gated":
            self.gate = nn.Linear(hidden_size, 1)
            nn.init.zeros_(self.gate.weight)  # the mean, at first
        self.blocks = nn.ModuleList(Block(hidden_size, dropout, **space) for _ in range(n_layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Identity()
        self.head = nn.Linear(hidden_size, n_outputs)

    def hidden(self, x: Tensor, lengths: Tensor, times: Tensor | None = None, *, every: bool = False) -> Tensor:
        """Pooled outputs (batch, hidden_size), or those of the observations so far (n_observations, hidden_size)."""
        if not x.shape[1]:  # nothing was observed in any of them
            x, times = x.new_full((len(x), 1, x.shape[2]), math.nan), None
        batch, length, n_channels = x.shape
        ends = lengths.to(x.device)
        inside = torch.arange(length, device=x.device)[:, None] < ends
        filled, _ = fill(
            x.transpose(0, 1), inside, None, x.new_zeros(batch, n_channels), None, with_mask=self.mask_input
        )
        inside = inside.T
        steps, elapsed, unit = clock(times, inside, ends, self.timescale)
        filled = filled.transpose(0, 1)
        if self.mask_input:
            observed = ~torch.isnan(x) & inside[..., None]
            part = elapsed / unit[:, None]
            own = self.own(x, observed, UNITS * part)
            filled = torch.cat([filled, ages(observed, part).to(x.dtype), own], dim=2)
        last = self.pooling == "last" and not every
        only = self.blocks[0]
        if last and isinstance(only, Block) and self._is_product(only.space, steps, lengths, length):
            return self.norm(only.end(self.into, filled, steps)[:, 0])
        x = self.into(filled)
        for k, block in enumerate(self.blocks, start=1):
            x = block(x, steps, lengths, last=last and k == len(self.blocks))
        if last:
            return self.norm(torch.where((ends > 0)[:, None], x[:, 0], 0.0))
        x = torch.where(inside[..., None], x, 0.0)
        if not every:
            return self.norm(torch.bmm(self._weights(x, shares(elapsed, ends), inside)[:, None], x)[:, 0])
        if self.pooling != "last":  # as far as a series has come
            since = elapsed.diff(dim=1, prepend=elapsed[:, :1]).to(x.dtype)[..., None]
            weight = self._weights(x, torch.ones_like(elapsed), inside)[..., None]
            total, so_far = (
                (since * (y + torch.cat([y[:, :1], y[:, :-1]], dim=1))).cumsum(dim=1) for y in (weight * x, weight)
            )
            x = torch.where(so_far > 0, total / torch.where(so_far > 0, so_far, 1.0), x)
        return self.norm(x[inside])

    def _is_product(self, space: nn.Module, steps: Tensor, lengths: Tensor, length: int) -> bool:
        """Whether the end is a product of series and weights, the same for all of them."""
        return (
            len(self.blocks) == 1 and isinstance(space, HiPPOSSM) and not (space.low_rank or space.bidirectional)
            and steps.ndim == 0 and not torch.compiler.is_compiling() and bool((lengths == length).all())
        )  # fmt: skip

    def _weights(self, x: Tensor, share: Tensor, inside: Tensor) -> Tensor:
        """Of a mean over time: what each observation is worth, or its part of it by the gate; sums of 1 or 0."""
        share = share.to(x.dtype)
        if self.pooling == "mean":
            return share
        gate = torch.where(inside, self.gate(x)[..., 0], -math.inf)
        weight = share * torch.exp(gate - gate.amax(dim=1, keepdim=True).clamp(min=-1e30))
        total = weight.sum(dim=1, keepdim=True)
        return weight / torch.where(total > 0, total, 1.0)


def ages(observed: Tensor, elapsed: Tensor) -> Tensor:
    """The time since each channel was observed, or since the start before it was, (batch, length, n_channels)."""
    row = torch.arange(1, observed.shape[1] + 1, device=observed.device)[:, None]
    latest = torch.where(observed, row, 0).cummax(dim=1).values
    padded = torch.cat([elapsed[:, :1], elapsed], dim=1)
    then = padded.gather(1, latest.flatten(1)).view_as(latest)
    return elapsed[..., None] - then


def shares(elapsed: Tensor, lengths: Tensor) -> Tensor:
    """What each observation is worth in a mean over time, by the trapezoidal rule: (batch, length), sums of 1 or 0."""
    row = torch.arange(elapsed.shape[1], device=elapsed.device)
    inside = row < lengths[:, None]
    since = torch.where(inside, elapsed.diff(dim=1, prepend=elapsed[:, :1]), 0.0)
    share = (since + torch.cat([since[:, 1:], torch.zeros_like(since[:, :1])], dim=1)) / 2
    total = share.sum(dim=1, keepdim=True)
    last = (row == lengths[:, None] - 1).to(share.dtype)
    return torch.where(total > 0, share / torch.where(total > 0, total, 1.0), last)


def clock(
    times: Tensor | None, inside: Tensor, lengths: Tensor, timescale: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Steps of the layers' clock, (batch, length), or (batch,) or () where they are equal.

    Also the time since the start, (batch, length), and that in which the clock makes UNITS of steps, (batch,): a
    timescale, or the duration of each series.
    """
    batch, length = inside.shape
    row = torch.arange(length, device=inside.device)
    if times is None:
        times = row.double().expand(batch, length)
    last, first = times.gather(1, (lengths - 1).clamp(min=0)[:, None]), times[:, :1]
    elapsed = torch.where(inside, times.double() - first, 0.0)
    duration = (last - first)[:, 0]
    unit = torch.where(duration > 0, duration, 1.0) if timescale is None else torch.full_like(duration, timescale)
    even = duration / (lengths - 1).clamp(min=1)
    off = torch.where(inside, (elapsed - row * even[:, None]).abs(), 0.0).amax(dim=1)
    rounding = 4 * torch.finfo(torch.float64).eps * times.double().abs().amax(dim=1)
    if not torch.compiler.is_compiling() and bool((off <= 1e-9 * duration + rounding).all()):
        steps = UNITS * even / unit
        return (steps[0] if bool((steps == steps[0]).all()) else steps), elapsed, unit
    steps = torch.where(inside, elapsed.diff(dim=1, prepend=elapsed[:, :1]), 0.0)
    return UNITS * steps / unit[:, None], elapsed, unit
