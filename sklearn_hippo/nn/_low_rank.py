"""State spaces whose modes act on each other, normal plus low rank as S4 has them, where all steps are equal.

Two numbers of a state are one complex number, z, and

    z' = lambda z - V^T (V z) + B u,   y = 2 Re(sum_n C_n z_n) + D u,

where V, of shape (rank, 2 n_modes), takes the real parts and then the imaginary parts of z. No step of any length is
known in V alone, so matrices here are dense: (width, order, order), order = 2 n_modes, one for each channel.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ._space import Memory, delayed, inside, last_of, reversed_in_time


class LowRank(NamedTuple):
    """What the modes are, how they act on each other, and how they are entered and read."""

    rate: Tensor  # (n_modes, width) lambda, complex
    V: Tensor  # (rank, order, width)
    enter: Tensor  # (n_modes, width) B, complex
    read: Tensor  # (n_modes, width) C, complex
    through: Tensor  # (width,) D
    discretization: str


def halves(z: Tensor) -> Tensor:
    """Complex (..., n_modes, width) as real (..., order, width)."""
    return torch.cat([z.real, z.imag], dim=-2)


def whole(z: Tensor) -> Tensor:
    """Undo `halves`."""
    return torch.complex(*z.chunk(2, dim=-2))


def dynamics(system: LowRank) -> tuple[Tensor, Tensor]:
    """A, (width, order, order), and B, (width, order)."""
    re, im = (torch.diag_embed(part.T) for part in (system.rate.real, system.rate.imag))
    normal = torch.cat([torch.cat([re, -im], dim=2), torch.cat([im, re], dim=2)], dim=1)
    return normal - torch.einsum("rih,rjh->hij", system.V, system.V), halves(system.enter).T


def step_of(system: LowRank, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """E (width, order, order), P and Q (width, order) of x+ = E x + P u_k + Q u_{k+1}, for a step of length h."""
    A, B = dynamics(system)
    width, order = B.shape
    if system.discretization == "bilinear":
        eye = torch.eye(order, dtype=A.dtype, device=A.device)
        solved = torch.linalg.solve(eye - h / 2 * A, torch.cat([eye + h / 2 * A, h / 2 * B[..., None]], dim=2))
        return solved[..., :-1], solved[..., -1], solved[..., -1]
    # exp of [[A h, B h, 0], [0, 0, 1], [0, 0, 0]] has phi_1(A h) B h and phi_2(A h) B h beside e^{A h}.
    block = A.new_zeros(width, order + 2, order + 2, dtype=torch.float64)
    block[:, :order, :order], block[:, :order, order], block[:, order, order + 1] = A * h, B * h, 1
    block = torch.matrix_exp(block).to(A.dtype)
    E, first, second = block[:, :order, :order], block[:, :order, order], block[:, :order, order + 1]
    if system.discretization == "zoh":
        return E, torch.zeros_like(first), first
    return E, first - second, second


def krylov(E: Tensor, x: Tensor, length: int) -> Tensor:
    """x, E x, E^2 x, ..., (width, order, length), by doubling."""
    found = x[..., None]
    while found.shape[2] < length:
        found = torch.cat([found, E @ found], dim=2)
        E = E @ E
    return found[..., :length]


def run_low_rank(
    system: LowRank, u: Tensor, step: Tensor, lengths: Tensor, memory: Memory, *, fresh: bool
) -> tuple[Tensor, Memory]:
    """Outputs of sequences, and where they stand in the end; as `_space.run`, for equal steps, () or (batch,)."""
    if step.ndim:  # sequences of one step together
        parts, which = torch.unique(step, return_inverse=True) if not step.requires_grad else (step, range(len(step)))
        which = torch.as_tensor(which)
        y, modes, last = torch.zeros_like(u), torch.zeros_like(memory.modes), torch.zeros_like(memory.last)
        for k, h in enumerate(parts):
            rows = torch.nonzero(which == k)[:, 0]
            own = Memory(memory.modes[rows], memory.last[rows])
            part, ended = run_low_rank(system, u[rows], h, lengths[rows.to(lengths.device)], own, fresh=fresh)
            y, modes, last = (
                x.index_copy(0, rows, new) for x, new in ((y, part), (modes, ended.modes), (last, ended.last))
            )
        return y, Memory(modes, last)
    length = u.shape[1]
    if not length:
        return torch.zeros_like(u), memory
    E, P, Q = step_of(system, step)
    u = torch.where(inside(u, lengths), u, 0.0)
    x = halves(memory.modes)  # (batch, order, width)
    # s = x - Q u goes on with one product with the input less: s+ = E s + R u_k.
    s = x - Q.T * u[:, :1] if fresh else torch.einsum("hij,bjh->bih", E, x) + P.T * memory.last[:, None]
    R = torch.einsum("hij,hj->hi", E, Q) + P
    C = 2 * torch.cat([system.read.real, -system.read.imag], dim=0).T  # (width, order)
    rows = krylov(E.mT, C, length)  # C E^k
    y = (system.through + (C * Q).sum(dim=1)) * u + torch.einsum("hnl,bnh->blh", rows, s)
    if length > 1:
        y = y + delayed(u, torch.einsum("hnl,hn->lh", rows[..., :-1], R))
    columns = krylov(E, R, length)  # E^k R
    before = (lengths - 1).clamp(min=0)  # of the last one, whose input is not in s
    aged = torch.where(inside(u, before), reversed_in_time(u, before), 0.0)
    end, power, left = s, E, before.to(u.device)  # E^(n - 1) s, by squaring
    for _ in range((length - 1).bit_length()):
        odd = (left % 2 == 1)[:, None, None]
        end = torch.where(odd, torch.einsum("hij,bjh->bih", power, end), end)
        power, left = power @ power, left // 2
    end = end + torch.einsum("hnl,blh->bnh", columns, aged)
    last = last_of(u, lengths, memory.last)
    some = (lengths.to(u.device) > 0)[:, None, None]
    return torch.where(inside(u, lengths), y, 0.0), Memory(
        torch.where(some, whole(end + Q.T * last[:, None]), memory.modes), last
    )
