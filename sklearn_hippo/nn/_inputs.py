"""Batches of sequences as a network sees them: layout, missing values, and the steps of the clock.

Nothing here knows what kind of network it is.
"""

import math
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor


def any_of(wrong: Tensor) -> bool:
    """Whether something is wrong, which is not asked while PyTorch traces: there are no values then."""
    return not torch.compiler.is_compiling() and bool(wrong.any())


def none(special: Tensor) -> bool:
    """Whether a special case does not occur; while PyTorch traces, it might."""
    return not torch.compiler.is_compiling() and not bool(special.any())


def array_of(x: Tensor) -> NDArray[Any]:
    """The numbers of a tensor, as kernels take them."""
    return x.detach().contiguous().numpy()


class Batch(NamedTuple):
    """A batch as the kernels want it: time by time, the sequences in the order of their lengths, the longest first."""

    x: Tensor  # (length, batch, n_channels)
    times: Tensor | None  # (length, batch)
    lengths: Tensor  # (batch,)
    mask: Tensor | None  # as x
    order: Tensor | None  # (batch,) which sequence comes where, if not as it came

    def sorted(self, state: Any) -> Any:
        """A state of sequences as they came, in the order of the batch."""
        return state if state is None or self.order is None else type(state)(*(tensor[self.order] for tensor in state))

    def restored(self, outputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Outputs (length, batch, ...) and a state of the batch, for sequences as they came."""
        if self.order is None:
            return outputs, state
        back = torch.argsort(self.order)
        return outputs[:, back], type(state)(*(tensor[back] for tensor in state))


def lay_out(
    x: Tensor, times: Tensor | None, lengths: Any, mask: Tensor | None, n_channels: int, *, batch_first: bool
) -> Batch:
    """Check a batch, and lay it out.

    Raises
    ------
    ValueError
        If shapes or lengths do not match.
    """
    if x.ndim != 3 or x.shape[2] != n_channels:
        wanted = "batch, length" if batch_first else "length, batch"
        raise ValueError(f"x must have shape ({wanted}, {n_channels}), got {tuple(x.shape)}.")
    times = None if times is None else torch.as_tensor(times)
    if times is not None and times.ndim == 1:
        times = times.expand(len(x), -1) if batch_first else times[:, None].expand(-1, x.shape[1])
    if times is not None and times.shape != x.shape[:2]:
        raise ValueError(f"times must have shape {tuple(x.shape[:2])}, got {tuple(times.shape)}.")
    if mask is not None and mask.shape != x.shape:
        raise ValueError(f"mask must have the shape of x, {tuple(x.shape)}, got {tuple(mask.shape)}.")
    times, mask = (None if tensor is None else tensor.to(x.device) for tensor in (times, mask))
    if batch_first:
        x = x.transpose(0, 1)
        times, mask = (None if tensor is None else tensor.transpose(0, 1) for tensor in (times, mask))
    length, batch, _ = x.shape
    lengths = torch.full((batch,), length) if lengths is None else torch.as_tensor(lengths, device="cpu")
    if lengths.is_floating_point():
        raise ValueError(f"lengths must be integers, got {lengths.dtype}.")
    lengths = lengths.long()
    if lengths.shape != (batch,) or batch == 0 or any_of(lengths < 0) or any_of(lengths > length):
        raise ValueError(
            f"lengths must be {batch} integers from 0 to {length}; got shape {tuple(lengths.shape)} and values "
            f"{lengths.tolist()[:10]}."
        )
    order = None
    if not torch.compiler.is_compiling() and (lengths.diff() > 0).any():  # plain PyTorch takes them in any order
        order = torch.argsort(lengths, descending=True, stable=True)
        lengths = lengths[order]
        x = x[:, order]
        times, mask = (None if tensor is None else tensor[:, order] for tensor in (times, mask))
    return Batch(x, times, lengths, mask, order)


def fill(
    x: Tensor, inside: Tensor, mask: Tensor | None, before: Tensor, stamp: Tensor | None, *, with_mask: bool
) -> tuple[Tensor, Tensor]:
    """Give channels that were not observed their last value; also returns the last ones of all.

    ``before`` are the values of earlier; ``stamp`` (length, batch) is where the stamp of an observation begins. With
    ``with_mask``, the channels are followed by as many that tell which of them were observed.
    """
    length, batch, n_channels = x.shape
    inside = inside[..., None]
    observed = (~torch.isnan(x) if mask is None else mask.bool() & ~torch.isnan(x)) & inside
    complete = none(observed != inside)
    if complete:
        filled = torch.where(inside, x, 0.0)
        last = (inside.sum(dim=0) - 1).expand(batch, n_channels)[None]
        seen = torch.where(last[0] < 0, before, filled.gather(0, last.clamp(min=0))[0])
    else:
        position = torch.arange(1, length + 1, device=x.device)[:, None, None]
        latest = torch.where(observed, position, 0).cummax(dim=0).values
        filled = torch.cat([before[None], torch.where(observed, x, 0.0)]).gather(0, latest)
        seen = filled[-1]  # what lies behind the end is not observed
        filled = torch.where(inside, filled, 0.0)
    if any_of(torch.isinf(filled)):
        t, _, channel = torch.nonzero(torch.isinf(filled))[0].tolist()
        raise ValueError(f"Infinite value at position {t}, channel {channel}. Write NaN for what was not observed.")
    if with_mask:
        if stamp is not None and not complete:
            observed = (latest > stamp[..., None]) & inside
        filled = torch.cat([filled, observed.to(x.dtype)], dim=-1)
    return filled, seen


def steps(
    times: Tensor | None, inside: Tensor, lengths: Tensor, start: Tensor, time: Tensor, log_timescale: Tensor | None,
    order: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:  # fmt: skip
    """Steps of the clock (length, batch), starts and last times of all sequences; where stamps begin, if some tie.

    The clock starts at ``start`` (batch,) and has come to ``time``, NaN where nothing is known yet; it is logarithmic
    if there is no timescale. The step of a stamp is that of all its observations, and infinite for the first stamp: it
    fills all of the past.
    """
    row = torch.arange(len(inside), device=inside.device)[:, None]
    fresh = torch.isnan(time)
    if times is None:
        times = torch.where(fresh, 0.0, time + 1) + row
    times = torch.where(inside, times.double(), 0.0)
    if any_of(~torch.isfinite(times)):
        t, _ = torch.nonzero(~torch.isfinite(times))[0].tolist()
        raise ValueError(f"The time at position {t} is not finite.")
    before = torch.cat([time[None], times[:-1]])
    if any_of(inside & (times < before)):
        t, _ = torch.nonzero(inside & (times < before))[0].tolist()
        raise ValueError(f"Times decrease at position {t}. Sort the observations by time.")
    tied = inside & (times == before)
    if any_of(tied[0]):
        i = int(torch.nonzero(tied[0])[0])
        raise ValueError(
            f"Sequence {i if order is None else int(order[i])} goes on at {times[0, i].item()}, the time at which "
            "its state ends: observations of one stamp belong into one call."
        )
    stamp = None
    if not none(tied):
        stamp = torch.where(tied, 0, row).cummax(dim=0).values
        before = before.gather(0, stamp)
    starts = torch.isnan(before)  # where no stamp was before
    if log_timescale is None:
        first = torch.where(fresh, times[0], time)
        later = torch.where(inside & (times > first), times, math.inf).amin(dim=0)
        start = torch.where(torch.isnan(start) & torch.isfinite(later), 2 * first - later, start)
        elapsed, already = (torch.where(starts | ~inside, 1.0, when - start) for when in (times, before))
        step = torch.log(elapsed / already)
    else:
        step = torch.where(starts, 0.0, times - before) * torch.exp(-log_timescale.double())
    step = torch.where(inside, torch.where(starts, math.inf, step), 0.0)
    last = times.gather(0, (lengths[None] - 1).clamp(min=0))[0]
    return step, start, torch.where(lengths > 0, last, time), stamp
