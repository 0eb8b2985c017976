"""SelectiveSSM: state spaces of which the input says how fast they are, what enters them and what is read."""

import math
from collections.abc import Collection
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._ext_ssm import MOST_LANES, SPELL, selective, selective_scratch_size
from ._described import Described
from ._inputs import array_of, none
from ._space import GRAIN, check_state, checked, compiles, inside
from ._ssm import BASES, check_order, spectrum
from ._steps import mind_forks

PARTS = ("timescale", "B", "C")
CHUNK = 32  # observations whose products with each other are one matrix


class SelectiveSSMState(NamedTuple):
    """Where a batch of sequences stands: hand it on to continue them."""

    modes: Tensor
    """(batch, order / 2, d_model), complex; NaN where nothing has come yet"""


class SelectiveSSM(Described):
    r"""A layer of state spaces whose clock, inputs and outputs depend on what comes in.

    All channels enter and read the modes in the same way, which is another one at every observation; after Mamba
    [1]_, [2]_, but with the modes of a HiPPO basis, which all fade alike and swing each at its own frequency:

    .. math:: x_{k+1} = e^{z} x_k + \frac{e^{z} - 1}{\lambda}\, B_{k+1} u_{k+1}, \quad z = \lambda \Delta_{k+1} h_{k+1},
        \qquad y_k = 2 \operatorname{Re} (C_k \cdot x_k) + D u_k,

    with the step :math:`h` since the observation before. The clock :math:`\Delta` is one for each head, a group of
    channels; :math:`\lambda_n = -d + i w_n`, d one for each head.

    Parameters
    ----------
    d_model : int
        Channels.
    order : int, default=64
        Real numbers of each state, two for each complex mode; even.
    selective : collection of {"timescale", "B", "C"}, default=all of them
        What depends on the input; the rest are parameters.
    n_heads : int, default=2
        Groups of channels with clocks of their own; a divisor of d_model.
    measure : str, default="legs_lti"
        Whose frequencies the modes have at first, as in `HiPPOSSM`.
    shortest, longest : float, default=0.001, 0.1
        Range of the :math:`\Delta` at first, log-uniform.
    device, dtype : optional
        Of the parameters.

    Attributes
    ----------
    log_step, log_decay : Tensor of shape (n_heads,)
        Logarithms of the :math:`\Delta` where the input is zero, and of d.
    frequency : Tensor of shape (order / 2,)
        w.
    enter, read : Tensor of shape (2, order / 2)
        Real and imaginary parts of B and C where the input is zero.
    through : Tensor of shape (d_model,)
        D.
    choose : ModuleDict
        Linear maps of the input, without bias, which are added to B and C, and to what the softplus function makes a
        :math:`\Delta` of.

    Notes
    -----
    On the CPU it is compiled, one observation after the other. Elsewhere it is computed in chunks of 32 of them, as
    products of matrices, in which what decays is multiplied as it is, and never divided by [2]_. Without a state, x is
    zero at the first observation.

    References
    ----------
    .. [1] Gu, Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", COLM 2024, arXiv:2312.00752.
    .. [2] Dao, Gu, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space
       Duality", ICML 2024, arXiv:2405.21060.

    Examples
    --------
    >>> import torch
    >>> from sklearn_hippo.nn import SelectiveSSM
    >>> layer = SelectiveSSM(8, order=16)
    >>> y, state = layer(torch.randn(2, 50, 8), torch.rand(2, 50), lengths=[50, 30])
    >>> y.shape, state.modes.shape
    (torch.Size([2, 50, 8]), torch.Size([2, 8, 8]))
    """

    _told = ("order", "measure", "selective", "n_heads")
    _compiled = True

    def __init__(
        self,
        d_model: int,
        order: int = 64,
        *,
        selective: Collection[str] = PARTS,
        n_heads: int = 2,
        measure: str = "legs_lti",
        shortest: float = 0.001,
        longest: float = 0.1,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        unknown = set(selective) - set(PARTS) if not isinstance(selective, str) else {selective}
        if unknown:
            raise ValueError(f"selective must be some of {', '.join(map(repr, PARTS))}, got {selective!r}.")
        if measure not in BASES:
            raise ValueError(f"measure must be one of {', '.join(map(repr, BASES))}, got {measure!r}.")
        if int(n_heads) != n_heads or n_heads < 1 or d_model % n_heads:
            raise ValueError(f"n_heads must divide d_model={d_model}, got {n_heads!r}.")
        if not 0 < shortest <= longest < math.inf:
            raise ValueError(f"0 < shortest <= longest is needed, got {shortest!r} and {longest!r}.")
        check_order(order, measure)
        rate, _ = spectrum(measure, order)
        self.d_model, self.order, self.n_heads, self.measure = int(d_model), int(order), int(n_heads), measure
        self.selective = [part for part in PARTS if part in selective]
        self.shortest, self.longest = float(shortest), float(longest)
        kind = {"device": device, "dtype": dtype}
        self.log_decay, self.log_step = (nn.Parameter(torch.empty(self.n_heads, **kind)) for _ in range(2))
        self.frequency = nn.Parameter(torch.empty(len(rate), **kind))
        self.enter, self.read = (nn.Parameter(torch.empty(2, len(rate), **kind)) for _ in range(2))
        self.through = nn.Parameter(torch.empty(self.d_model, **kind))
        sizes = {"timescale": self.n_heads, "B": 2 * len(rate), "C": 2 * len(rate)}
        self.choose = nn.ModuleDict(
            {part: nn.Linear(self.d_model, sizes[part], bias=False, **kind) for part in self.selective}
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the modes to those of the measure, and draw all else anew."""
        rate, into = (torch.as_tensor(np.ascontiguousarray(x)) for x in spectrum(self.measure, self.order))
        with torch.no_grad():
            self.log_decay.fill_(math.log(max(-float(rate.real.mean()), 1e-4)))
            self.frequency.copy_(rate.imag)
            self.log_step.uniform_(math.log(self.shortest), math.log(self.longest))
            self.log_step.copy_(self.log_step.sort().values)
            self.enter.copy_(torch.stack([into, torch.zeros_like(into)]))
            nn.init.normal_(self.read, std=math.sqrt(0.5))
            nn.init.ones_(self.through)
            for part in self.choose.values():
                part.reset_parameters()  # type: ignore[operator]

    def extra_repr(self) -> str:
        """Parameters, for the module's representation.

        Returns
        -------
        str
        """
        return (
            f"{self.d_model}, order={self.order}, selective={self.selective!r}, n_heads={self.n_heads}, "
            f"measure={self.measure!r}, shortest={self.shortest}, longest={self.longest}"
        )

    def _weight(self, part: str) -> Tensor:
        return cast(Tensor, self.choose[part].weight)

    def _terms(self, u: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Steps of the heads' clocks (batch, length, n_heads), their decays, B and C (batch, length, 2, n_modes)."""
        clock = self.log_step.exp().expand(*u.shape[:2], -1)
        if "timescale" in self.selective:
            # softplus is the parameter itself where the input says nothing
            clock = F.softplus(self.choose["timescale"](u) + torch.log(torch.expm1(self.log_step.exp())))
        B, C = (x.expand(*u.shape[:2], *x.shape) for x in (self.enter, self.read))
        if "B" in self.selective:
            B = F.linear(u, self._weight("B"), self.enter.flatten()).unflatten(-1, (2, -1))
        if "C" in self.selective:
            C = F.linear(u, self._weight("C"), self.read.flatten()).unflatten(-1, (2, -1))
        decay = self.log_decay.exp().clamp(min=1e-4)
        # After so long nothing is left, in any precision, while products of it are numbers.
        return torch.minimum(clock * step[..., None], 800 / decay), decay, B, C

    def forward(
        self, u: Tensor, step: Tensor | float | None = None, lengths: Any = None, state: SelectiveSSMState | None = None
    ) -> tuple[Tensor, SelectiveSSMState]:
        """Run over a batch.

        Parameters
        ----------
        u : Tensor of shape (batch, length, d_model)
            Inputs.
        step : Tensor of shape (batch, length), (batch,) or (), optional
            The time since the observation before; by default 1. The first step of a sequence without a state does not
            count.
        lengths : array-like of int of shape (batch,), optional
            By default all of ``length``.
        state : SelectiveSSMState, optional
            Where an earlier part of the same sequences ended.

        Returns
        -------
        y : Tensor of shape (batch, length, d_model)
            Zero behind a sequence's end.
        state : SelectiveSSMState
            At a sequence's end.

        Raises
        ------
        ValueError
            If shapes or lengths do not match, or a step is negative or not finite; if a state is another one's.
        """
        mind_forks()
        u, steps, lengths = checked(u, step, lengths, self.d_model, self.through.dtype)
        batch, length, _ = u.shape
        steps = steps.to(u.dtype)
        if steps.ndim < 2:
            steps = steps.reshape(-1, 1).expand(batch, length)
        shape, kind = (batch, self.order // 2, self.d_model), u.dtype.to_complex()
        if state is not None:
            check_state(state, [shape], u)
        x = torch.full(shape, math.nan, dtype=kind, device=u.device) if state is None else state.modes
        new = torch.isnan(x.real[:, 0, :1])  # nothing has come yet
        steps = torch.cat([torch.where(new, 0.0, steps[:, :1]), steps[:, 1:]], dim=1)
        begin, x = x, torch.where(new[..., None], 0.0, x)
        if not none(lengths < length):  # and a step of zero: what is behind the ends changes nothing
            some = inside(u, lengths)
            u, steps = torch.where(some, u, 0.0), torch.where(some[..., 0], steps, 0.0)
        clock, decay, B, C = self._terms(u, steps)
        if not length:
            return torch.zeros_like(u), SelectiveSSMState(begin)
        run = compiled if self._compiled and compiles(u) else chunked
        y, x = run(clock, decay, self.frequency, B, C, self.through, u, lengths, x)
        return y, SelectiveSSMState(torch.where((lengths > 0).to(u.device)[:, None, None], x, begin))


def chunked(
    clock: Tensor, decay: Tensor, frequency: Tensor, B: Tensor, C: Tensor, through: Tensor, u: Tensor,
    lengths: Tensor, x: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Outputs and last states: products within chunks of observations, and states from one to the next.

    From observation j to i a mode swings by w (t_i - t_j), the two ends apart, and fades by d (t_i - t_j) for all modes
    alike: y_i = sum_j exp(-d (t_i - t_j)) 2 Re(C_i e^{i w t_i} . e^{-i w t_j} B'_j) u_j.
    """
    n_heads, length = clock.shape[2], u.shape[1]
    n = -(-length // CHUNK)
    pad = n * CHUNK - length  # without an input, and in no time
    given, clock, u = u, F.pad(clock, (0, 0, 0, pad)), F.pad(u, (0, 0, 0, pad))
    B, C = (torch.complex(*F.pad(part, (0, 0, 0, 0, 0, pad)).unbind(2)) for part in (B, C))
    # (batch, chunk, head, observation, ...)
    clock = clock.unflatten(1, (n, CHUNK)).transpose(2, 3)
    u = u.unflatten(1, (n, CHUNK)).unflatten(3, (n_heads, -1)).transpose(2, 3)
    B, C = (part.unflatten(1, (n, CHUNK))[:, :, None] for part in (B, C))
    time = clock.double().cumsum(dim=3)  # since the beginning of the chunk; many small steps, and angles of many turns
    fall = -decay[:, None].double() * time
    kind = u.dtype
    angle = torch.remainder(time[..., None] * frequency.double(), 2 * math.pi).to(kind)
    swing = torch.complex(torch.cos(angle), torch.sin(angle))
    z = torch.complex(-decay[:, None, None] * clock[..., None], frequency * clock[..., None])
    rate = torch.complex(-decay[:, None, None], frequency.expand(n_heads, 1, -1))
    entered = swing.conj() * (expm1(z) / rate) * B
    read = 2 * swing * C
    weights = torch.matmul(
        torch.cat([read.real, -read.imag], dim=-1), torch.cat([entered.real, entered.imag], dim=-1).mT
    )
    earlier = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=u.device).tril()
    weights = weights * torch.where(earlier, fall[..., :, None] - fall[..., None, :], -math.inf).to(kind).exp()
    y = weights @ u
    # What a chunk adds to the state at its end, from j on.
    last = swing[..., -1, :] * torch.exp(fall[..., -1:]).to(kind)  # (batch, chunk, head, mode)
    left = torch.exp(fall[..., -1:] - fall).to(kind)[..., None] * entered * swing[..., -1:, :]
    added = torch.complex(left.real.mT @ u, left.imag.mT @ u)  # (batch, chunk, head, mode, channel of the head)
    state = x.unflatten(2, (n_heads, -1)).transpose(1, 2)
    before = []
    for k in range(n):
        before.append(state)
        state = last[:, k, ..., None] * state + added[:, k]
    came = torch.stack(before, dim=1)
    seen = read * torch.exp(fall).to(kind)[..., None]
    y = y + seen.real @ came.real - seen.imag @ came.imag
    y = y.transpose(2, 3).flatten(3).flatten(1, 2)[:, :length] + through * given
    return torch.where(inside(given, lengths), y, 0.0), state.transpose(1, 2).flatten(2)


def expm1(z: Tensor) -> Tensor:
    """e^z - 1, of z near zero as well."""
    x, y = z.real, z.imag
    e = torch.exp(x)
    return torch.complex(torch.expm1(x) * torch.cos(y) - 2 * torch.sin(y / 2) ** 2, e * torch.sin(y))


# --- compiled -----------------------------------------------------------------------------------------


class _Compiled(torch.autograd.Function):
    """The compiled recurrence and its gradient; states are (batch, width, 2, n_modes)."""

    @staticmethod
    def forward(
        ctx: Any, clock: Tensor, decay: Tensor, frequency: Tensor, B: Tensor, C: Tensor, through: Tensor, u: Tensor,
        lengths: Tensor, begin: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        batch, length, width = u.shape
        n_heads, n_modes = len(decay), len(frequency)
        own = selective(
            array_of(u), array_of(lengths).astype(np.intp),
            *(array_of(x) for x in (clock, decay, frequency, B, C, through)),
        )  # fmt: skip
        state = begin.detach().clone(memory_format=torch.contiguous_format)
        ctx.ragged = int(lengths.min()) < length
        y = (torch.zeros if ctx.ragged else torch.empty)(u.shape, dtype=u.dtype)
        size = batch, n_heads, -(-length // SPELL), width // n_heads, 2, n_modes
        ctx.kept = u.new_empty(size) if any(ctx.needs_input_grad) else None
        n_threads = max(1, min(torch.get_num_threads(), batch, u.numel() * n_modes // GRAIN))
        scratch = np.empty((n_threads, selective_scratch_size(n_modes, width // n_heads)), y.numpy().dtype)
        own.forward(state.numpy(), None if ctx.kept is None else ctx.kept.numpy(), y.numpy(), scratch)
        ctx.way = own, scratch
        ctx.save_for_backward(clock, frequency, B, u)
        return y, state

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> tuple[Tensor | None, ...]:
        clock, frequency, B, u = ctx.saved_tensors
        own, scratch = ctx.way
        new = torch.zeros if ctx.ragged else torch.empty
        of_u, of_clock, of_B, of_C = (new(x.shape, dtype=u.dtype) for x in (u, clock, B, B))
        of_rate = u.new_zeros(len(u), clock.shape[2], 2, len(frequency))
        of_through = u.new_zeros(len(u), u.shape[2])
        of_begin = grad_state.detach().clone().contiguous()
        found = of_u, of_clock, of_B, of_C, of_rate, of_through
        own.backward(ctx.kept.numpy(), array_of(grad_y), of_begin.numpy(), *(x.numpy() for x in found), scratch)
        of_rate = of_rate.sum(dim=0)
        of_decay, of_frequency = -of_rate[:, 0].sum(dim=1), of_rate[:, 1].sum(dim=0)
        return of_clock, of_decay, of_frequency, of_B, of_C, of_through.sum(dim=0), of_u, None, of_begin


def compiled(
    clock: Tensor, decay: Tensor, frequency: Tensor, B: Tensor, C: Tensor, through: Tensor, u: Tensor,
    lengths: Tensor, x: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Likewise, one observation after the other; the vectors of the modes are filled up."""
    n_modes = len(frequency)
    begin, pad = torch.view_as_real(x).permute(0, 2, 3, 1), (0, -n_modes % MOST_LANES)
    if pad[1]:
        frequency, B, C, begin = (F.pad(part, pad) for part in (frequency, B, C, begin))
    y, end = _Compiled.apply(clock, decay, frequency, B, C, through, u, lengths, begin)
    return y, torch.complex(*end[..., :n_modes].unbind(2)).mT
