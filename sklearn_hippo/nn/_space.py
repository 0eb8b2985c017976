"""Diagonal state spaces over sequences: step by step, by convolution, by products, and compiled for the CPU.

Every channel has a state of complex modes x and an input u, of which there are values at the observations,

    x' = lambda x + u,   y = 2 Re(sum_n C_n x_n) + D u.

A step is x+ = E x + P u_k + Q u_{k+1}. Complex arrays are (n_modes, width) and, where they depend on the sequence,
(batch, n_modes, width).
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .._ext_ssm import STRETCH, scratch_size, space
from ._inputs import any_of, array_of

DISCRETIZATIONS = ("foh", "zoh", "bilinear")
CHUNK = 64  # observations whose products with each other are one matrix
GRAIN = 500_000  # steps of modes that are worth a thread
LONGEST = 1e15  # step, after which nothing is left, while its products are numbers


class Step(NamedTuple):
    """x+ = E x + P u_k + Q u_{k+1}."""

    E: Tensor
    P: Tensor
    Q: Tensor


class Space(NamedTuple):
    """What the modes are, and how they are read."""

    rate: Tensor  # (n_modes, width) lambda
    read: Tensor  # (n_modes, width) C
    through: Tensor  # (width,) D
    discretization: str


class Memory(NamedTuple):
    """Where sequences stand."""

    modes: Tensor  # (batch, n_modes, width), complex
    last: Tensor  # (batch, width) the last input


def integrals(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """e^z, phi_1 = (e^z - 1) / z and phi_2 = (phi_1 - 1) / z, to the last digits for any z."""
    n_terms = 10 if z.dtype == torch.complex64 else 20
    small = z.abs() < 1
    near, far = torch.where(small, z, 0.0), torch.where(small, 1.0, z)
    series = torch.full_like(near, 1 / math.factorial(n_terms + 1))
    for k in range(n_terms - 2, -1, -1):
        series = series * near + 1 / math.factorial(k + 2)
    E = torch.exp(z)
    first = torch.where(small, 1 + near * series, (E - 1) / far)
    return E, first, torch.where(small, series, (first - 1) / far)


def step_of(space: Space, h: Tensor) -> Step:
    """The step of a length, which broadcasts with (n_modes, width): (E16) for a broken line."""
    z = space.rate * h
    if space.discretization == "bilinear":
        half = h / 2 / (1 - z / 2)
        return Step((1 + z / 2) / (1 - z / 2), half, half)
    E, first, second = integrals(z)
    if space.discretization == "zoh":  # each value fills the time since the one before
        return Step(E, torch.zeros_like(E), h * first)
    return Step(E, h * (first - second), h * second)


def inside(u: Tensor, lengths: Tensor) -> Tensor:
    """Which observations there are, (batch, length, 1)."""
    return (torch.arange(u.shape[1], device=u.device) < lengths.to(u.device)[:, None])[..., None]


def last_of(u: Tensor, lengths: Tensor, before: Tensor) -> Tensor:
    """The last inputs (batch, width), or those of before where there is none."""
    lengths = lengths.to(u.device)
    if not u.shape[1]:
        return before
    at = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, u.shape[2])
    return torch.where((lengths > 0)[:, None], u.gather(1, at)[:, 0], before)


def checked(u: Tensor, step: Any, lengths: Any, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """A layer's inputs, with all lengths and the steps as tensors.

    Raises
    ------
    ValueError
        If shapes or lengths do not match, or a step is negative or not finite.
    """
    if u.ndim != 3 or u.shape[2] != width or len(u) == 0:
        raise ValueError(f"u must have shape (batch, length, {width}), got {tuple(u.shape)}.")
    if u.dtype not in (torch.float32, torch.float64) or u.dtype != dtype:
        raise ValueError(f"Inputs and weights must both be float32 or float64, got {u.dtype} and {dtype}.")
    batch, length, _ = u.shape
    lengths = torch.full((batch,), length) if lengths is None else torch.as_tensor(lengths, device="cpu")
    if lengths.shape != (batch,) or lengths.is_floating_point() or any_of((lengths < 0) | (lengths > length)):
        raise ValueError(f"lengths must be {batch} integers from 0 to {length}, got {lengths.tolist()[:10]}.")
    steps = torch.ones((), device=u.device) if step is None else step
    if not isinstance(steps, torch.Tensor):
        steps = torch.as_tensor(np.asarray(steps, np.float64))
    steps = steps.to(u.device)
    if steps.shape not in ((), (batch,), (batch, length)):
        raise ValueError(f"step must have shape ({batch}, {length}), ({batch},) or (), got {tuple(steps.shape)}.")
    if steps.ndim == 2:  # what is behind the ends is no matter
        steps = torch.where(inside(u, lengths)[..., 0], steps, 0.0)
    if any_of(~(torch.isfinite(steps) & (steps >= 0))):
        raise ValueError("step must hold numbers from zero on.")
    return u, steps, lengths


def check_state(state: Any, shapes: list[tuple[int, ...]], u: Tensor) -> None:
    """Refuse a state that is not one of such sequences.

    Raises
    ------
    ValueError
        If shapes or types are others.
    """
    found = [tuple(part.shape) for part in state]
    kinds = [part.to_real() if part.is_complex else part for part in (x.dtype for x in state)]
    if found != shapes or not state[0].is_complex() or any(kind != u.dtype for kind in kinds):
        raise ValueError(
            f"state must be that of {len(u)} sequences of this layer, with tensors of shape "
            f"{' and '.join(map(str, shapes))} in {u.dtype}, got {' and '.join(map(str, found))} in "
            f"{' and '.join(str(x.dtype) for x in state)}."
        )


def reversed_in_time(x: Tensor, lengths: Tensor) -> Tensor:
    """Sequences (batch, length, ...) from their ends to their beginnings; what is behind the ends stays where it is."""
    row, n = torch.arange(x.shape[1], device=x.device), lengths.to(x.device)[:, None]
    at = torch.where(row < n, n - 1 - row, row)
    return x.gather(1, at.reshape(*at.shape, *(1,) * (x.ndim - 2)).expand_as(x))


def loop(space: Space, u: Tensor, step: Tensor, lengths: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
    """One step after the other, in plain PyTorch; ``step`` (batch, length) is the time since the observation before."""
    modes, before = memory
    some = inside(u, lengths)
    u, step = torch.where(some, u, 0.0), torch.where(some[..., 0], step, 0.0)
    outputs = []
    for k in range(u.shape[1]):
        E, P, Q = step_of(space, step[:, k, None, None].to(u.dtype))
        made = E * modes + P * before[:, None] + Q * u[:, k, None]
        goes_on = (lengths.to(u.device) > k)[:, None]
        modes = torch.where(goes_on[..., None], made, modes)
        outputs.append(torch.where(goes_on, 2 * (space.read * made).real.sum(dim=1) + space.through * u[:, k], 0.0))
        before = torch.where(goes_on, u[:, k], before)
    return torch.stack(outputs, dim=1) if outputs else torch.zeros_like(u), Memory(modes, before)


def direct(space: Space, step: Step) -> Tensor:
    """What an input adds to the output of its own observation, (width,) or (batch, width), where steps are equal."""
    return space.through + 2 * (space.read * step.Q).real.sum(dim=-2)


def shifted(step: Step, memory: Memory, fresh: bool) -> tuple[Tensor, Tensor | None, Tensor]:
    """Where steps are equal: s = x - Q u at the first observation, and R of s+ = E s + R u_k.

    A ``fresh`` memory has its first observation at its beginning: of s, there is x, and by what u_0 enters. Others have
    one step to it, with which s does not depend on u_0.
    """
    E, P, Q = step
    if fresh:
        return memory.modes, -Q, E * Q + P
    return E * memory.modes + P * memory.last[:, None], None, E * Q + P


def convolve(space: Space, step: Step, u: Tensor, begin: Tensor, R: Tensor) -> Tensor:
    """Outputs where steps are equal: a convolution with 2 Re(C E^j R), by FFT, in plain PyTorch."""
    length = u.shape[1]
    batched = step.E.ndim == 3
    powers = vandermonde(step.E, length)  # (..., n_modes, width, length) E^0, E^1, ...
    C = space.read
    kernel = 2 * torch.einsum("...nh,...nhl->...lh", C * R, powers[..., :-1]).real if length > 1 else u[:0, :0]
    of_begin = 2 * torch.einsum("bnh,bnhl->blh" if batched else "bnh,nhl->blh", C * begin, powers).real
    total = direct(space, step)[..., None, :] * u + of_begin
    return total + delayed(u, kernel) if length > 1 else total


def delayed(u: Tensor, kernel: Tensor) -> Tensor:
    """The convolution with a kernel of lags 1, 2, ..., (length - 1, width) or (batch, length - 1, width), by FFT."""
    length = u.shape[1]
    size = 2 * length
    product = torch.fft.rfft(u, size, dim=1) * torch.fft.rfft(kernel, size, dim=-2)
    return F.pad(torch.fft.irfft(product, size, dim=1)[:, : length - 1], (0, 0, 1, 0))


def vandermonde(E: Tensor, length: int) -> Tensor:
    """Powers E^0 to E^(length - 1) on a last axis, as products of two of about sqrt(length) powers each."""
    outer, inner = factors(E, length)
    return (outer[..., None] * inner[..., None, :]).flatten(-2)[..., :length]


def factors(E: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Every m-th power of E, and the first m, each on a last axis: what powers up to E^(length - 1) are products of."""
    inner = max(1, math.isqrt(length))
    ones = torch.ones_like(E)[..., None]

    def powers(x: Tensor, n: int) -> Tensor:
        return torch.cat([ones, x[..., None].expand(*x.shape, n - 1)], dim=-1).cumprod(dim=-1) if n > 1 else ones

    few = powers(E, inner)
    return powers(few[..., -1] * E, -(-length // inner)), few


def shares_of_end(space: Space, step: Step, length: int) -> Tensor:
    """What each of as many inputs adds to the last output, (length, width), of fresh sequences of equal steps."""
    E, P, Q = step
    if length == 1:
        return space.through[None]
    outer, inner = factors(E, length - 1)
    outer = ((space.read * (E * Q + P))[..., None] * outer).permute(1, 2, 0)  # (width, ..., n_modes)
    inner = inner.permute(1, 0, 2)
    lags = outer.real.contiguous() @ inner.real.contiguous() - outer.imag.contiguous() @ inner.imag.contiguous()
    lags = 2 * lags.flatten(1)[:, : length - 1].T  # lag 1, 2, ...
    # The first input has nothing to rise from: it does not enter by its own Q.
    first = lags[-1] - 2 * (space.read * Q * E ** (length - 1)).real.sum(dim=0)
    return torch.cat([first[None], lags[:-1].flip(0), direct(space, step)[None]])


def multiply(space: Space, step: Step, u: Tensor, begin: Tensor, R: Tensor) -> Tensor:
    """Outputs where steps are equal: products within chunks of observations, and states from one to the next."""
    length = u.shape[1]
    n = min(CHUNK, length)
    powers = vandermonde(step.E, n + 1)
    C = space.read
    lags = 2 * torch.einsum("...nh,...nhl->...hl", C * R, powers[..., : n - 1]).real  # lag 1, 2, ...
    lags = torch.cat([direct(space, step)[..., None], lags], dim=-1)
    i, j = torch.meshgrid(torch.arange(n, device=u.device), torch.arange(n, device=u.device), indexing="ij")
    matrix = torch.where(i >= j, lags[..., (i - j).clamp(min=0)], 0.0)  # (..., width, n, n)
    outputs = []
    for k in range(0, length, n):
        part = u[:, k : k + n]
        m = part.shape[1]
        own = torch.einsum("...hij,bjh->bih" if matrix.ndim == 3 else "bhij,bjh->bih", matrix[..., :m, :m], part)
        out = (
            2
            * torch.einsum("bnh,...nhl->blh" if powers.ndim == 3 else "bnh,bnhl->blh", C * begin, powers[..., :m]).real
        )
        outputs.append(own + out)
        into = R[..., None] * powers[..., :m].flip(-1)
        begin = powers[..., m] * begin + torch.einsum(
            "nhl,blh->bnh" if into.ndim == 3 else "bnhl,blh->bnh", into, part.to(into.dtype)
        )
    return torch.cat(outputs, dim=1)


# --- compiled -----------------------------------------------------------------------------------------


def _packed(x: Tensor) -> Tensor:
    """Complex (..., n_modes, width) as real (sets, 2, n_modes, width)."""
    x = x if x.ndim == 3 else x[None]
    return torch.stack([x.real, x.imag], dim=1)


def _unpacked(x: Tensor) -> Tensor:
    """Undo `_packed` of several sets."""
    return torch.complex(x[:, 0], x[:, 1])


class _Compiled(torch.autograd.Function):
    """The compiled recurrence and its gradient, for equal steps (``step`` is None) and others.

    With ``enter``, the first input enters the state ``begin`` by it.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, step: Tensor | None, lengths: Tensor, before: Tensor, rate: Tensor, into: Tensor | None,
        read: Tensor, through: Tensor, begin: Tensor, enter: Tensor | None, held: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        batch, length, width = u.shape
        n_modes = rate.shape[2]
        sets = max(len(rate), len(through))

        def whole(x: Tensor) -> Any:
            return array_of(x.expand(sets, *x.shape[1:]))

        batch_of = space(
            array_of(u), array_of(lengths).astype(np.intp), None if step is None else array_of(step.double()),
            array_of(before), whole(rate), None if into is None else whole(into), whole(read), whole(through), held,
        )  # fmt: skip
        state = begin.detach().clone().contiguous()
        if enter is not None:
            state += enter.detach() * u[:, 0, None, None]
        ragged = int(lengths.min()) < length
        y = (torch.zeros if ragged else torch.empty)(u.shape, dtype=u.dtype)
        wanted = any(ctx.needs_input_grad)
        kept = u.new_empty((batch, -(-length // STRETCH), 2, n_modes, width)) if wanted else None
        dtype = y.numpy().dtype
        n_threads = max(1, min(torch.get_num_threads(), batch, u.numel() * n_modes // GRAIN))
        scratch = np.empty((n_threads, scratch_size(n_modes)), dtype)
        batch_of.forward(state.numpy(), None if kept is None else kept.numpy(), y.numpy(), scratch)
        ctx.way = batch_of, scratch, [len(x) for x in (rate, read, through)], into is None, ragged
        ctx.kept = kept
        ctx.save_for_backward(u, enter)
        return y, state

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> tuple[Tensor | None, ...]:
        u, enter = ctx.saved_tensors
        batch_of, scratch, sizes, varying, ragged = ctx.way
        batch, _, width = u.shape
        shape = ctx.kept.shape[:1] + ctx.kept.shape[2:]
        grad_begin = grad_state.detach().clone().contiguous()
        grad_u = (torch.zeros if ragged else torch.empty)(u.shape, dtype=u.dtype)
        grad_before = u.new_zeros(batch, width)
        of_rate, of_into, of_read = (u.new_empty(shape) for _ in range(3))
        of_through = u.new_empty(batch, width)
        batch_of.backward(
            ctx.kept.numpy(), array_of(grad_y), grad_begin.numpy(), grad_u.numpy(), grad_before.numpy(),
            of_rate.numpy(), of_into.numpy(), of_read.numpy(), of_through.numpy(), scratch,
        )  # fmt: skip

        of_enter = None
        if enter is not None:
            grad_u[:, 0] += (enter * grad_begin).sum(dim=(1, 2))
            of_enter = grad_begin * u[:, 0, None, None]
            of_enter = of_enter if len(enter) > 1 or len(u) == 1 else of_enter.sum(dim=0, keepdim=True)

        def summed(x: Tensor, n: int) -> Tensor:
            return x if n > 1 or len(x) == 1 else x.sum(dim=0, keepdim=True)

        return (
            grad_u, None, None, grad_before, summed(of_rate, sizes[0]), None if varying else summed(of_into, sizes[0]),
            summed(of_read, sizes[1]), summed(of_through, sizes[2]), grad_begin, of_enter, None,
        )  # fmt: skip


def compiles(u: Tensor) -> bool:
    """Whether there is a compiled recurrence for such inputs."""
    return u.device.type == "cpu" and u.dtype in (torch.float32, torch.float64) and not torch.compiler.is_compiling()


def run(
    space: Space, u: Tensor, step: Tensor, lengths: Tensor, memory: Memory, *, fresh: bool, compiled: bool = True
) -> tuple[Tensor, Memory]:
    """Outputs of sequences, and where they stand in the end.

    Parameters
    ----------
    space : Space
    u : Tensor of shape (batch, length, width)
    step : Tensor of shape (batch, length), or (), or (batch,) of equal steps
        The time since the observation before. Of a ``fresh`` memory, the first one does not count.
    lengths : Tensor of int of shape (batch,)
    memory : Memory
    fresh : bool
        Whether the memory begins with the first observation.
    compiled : bool
        Whether to take the compiled recurrence where there is one.

    Returns
    -------
    y : Tensor of shape (batch, length, width)
        Zero behind a sequence's end.
    memory : Memory
    """
    if not u.shape[1]:
        return torch.zeros_like(u), memory
    step = step.clamp(max=LONGEST)
    if step.ndim == 2:
        if fresh:
            step = torch.cat([torch.zeros_like(step[:, :1]), step[:, 1:]], dim=1)
        if not (compiled and compiles(u)) or space.discretization == "bilinear" or step.requires_grad:
            return loop(space, u, step, lengths, memory)
        y, modes = _Compiled.apply(
            u, step, lengths, memory.last, _packed(space.rate), None, _packed(space.read), space.through[None],
            _packed(memory.modes), None, space.discretization == "zoh",
        )  # fmt: skip
        return y, Memory(_unpacked(modes), last_of(u, lengths, memory.last))
    own = step_of(space, step.to(u.dtype)[..., None, None] if step.ndim else step.to(u.dtype))
    compiled = compiled and compiles(u)
    if not compiled:
        u = torch.where(inside(u, lengths), u, 0.0)
    last = last_of(u, lengths, memory.last)
    begin, enter, R = shifted(own, memory, fresh)
    if compiled:  # which does not look behind the ends; u_0 enters in there: outside, its gradient is as large as u's
        through = direct(space, own)
        y, modes = _Compiled.apply(
            u, None, lengths, memory.last, _packed(own.E), _packed(R), _packed(space.read),
            through if through.ndim == 2 else through[None], _packed(begin),
            None if enter is None else _packed(enter), False,
        )  # fmt: skip
        shift = _unpacked(modes)
    else:
        begin = begin if enter is None else begin + enter * u[:, :1]
        y = (multiply if u.shape[1] <= 2 * CHUNK else convolve)(space, own, u, begin, R)
        y = torch.where(inside(u, lengths), y, 0.0)
        shift = final(own, u, lengths, begin, R)
    some = (lengths.to(u.device) > 0)[:, None, None]
    return y, Memory(torch.where(some, shift + own.Q * last[:, None], memory.modes), last)


def final(step: Step, u: Tensor, lengths: Tensor, begin: Tensor, R: Tensor) -> Tensor:
    """The shifted state s at the last observation, where steps are equal."""
    length = u.shape[1]
    if length < 2:
        return begin
    after = (lengths.to(u.device)[:, None] - 2 - torch.arange(length - 1, device=u.device)).clamp(min=-1)
    powers = vandermonde(step.E, length)
    powers = powers if powers.ndim == 4 else powers[None].expand(len(u), -1, -1, -1)
    own = powers.gather(3, after.clamp(min=0)[:, None, None].expand(-1, *powers.shape[1:3], -1))
    own = torch.where((after >= 0)[:, None, None], own, 0.0)
    to_begin = (lengths.to(u.device) - 1).clamp(min=0)[:, None, None, None].expand(-1, *powers.shape[1:3], 1)
    return powers.gather(3, to_begin)[..., 0] * begin + R * torch.einsum("bnhl,blh->bnh", own, u[:, :-1].to(own.dtype))
