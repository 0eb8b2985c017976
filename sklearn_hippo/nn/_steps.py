"""One step of a memory in plain PyTorch, for any device and any sequence module.

Memories are kept in the coordinates of `Modes`, in which an implicit step of any length costs O(order).
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._dynamics import modes
from .._machine import usable_threads
from .._measures import dynamics_of

# How much of a step is implicit; the exact step for a held input needs the matrix exponential.
IMPLICIT = {"bilinear": 0.5, "backward": 1.0}
DISCRETIZATIONS = (*IMPLICIT, "zoh")
LONGEST = {torch.float32: 1e9, torch.float64: 1e100}  # steps, after which nothing is left; squares must not overflow
TABLE = 2**22  # numbers of all matrices of a batch that are made at once


def mind_forks() -> None:
    """Set PyTorch to one thread in a forked process, where it would wait for those that only the parent has."""
    if not torch.compiler.is_compiling():
        n_threads = torch.get_num_threads()
        if usable_threads(n_threads) < n_threads:
            torch.set_num_threads(1)


class Coordinates(NamedTuple):
    """Dynamics in the coordinates in which the memory is kept: c = out z, z = into c; see `Modes`.

    Without ``V``, z is c and nothing is known of ``A`` (size, size).
    """

    into: Tensor  # (size, n_states)
    out: Tensor  # (n_states, size)
    origin: Tensor  # (size,) the memory of a constant 1
    A: Tensor  # (size, size), in double precision: where its exponential is needed, it is needed exactly
    frequency: Tensor | None  # (n_modes,)
    V: Tensor | None  # (rank, size)
    b: tuple[float, ...]
    damping: float


@lru_cache(maxsize=64)
def coordinates(measure: str, order: int, dtype: torch.dtype, device: torch.device) -> Coordinates:
    """Make them once for every precision: cast from double, never from each other."""
    with torch.inference_mode(False), torch.no_grad():  # they outlive the mode in which they are first needed
        return make_coordinates(measure, order, dtype, device)


def make_coordinates(measure: str, order: int, dtype: torch.dtype, device: torch.device) -> Coordinates:
    dynamics = dynamics_of(measure, order)

    def tensor(x: NDArray[Any], dtype: torch.dtype = dtype) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(x), dtype=dtype, device=device)

    if dynamics.V is None:
        identity, origin = np.eye(len(dynamics.B)), -np.linalg.solve(dynamics.A, dynamics.B)
        return Coordinates(
            tensor(identity), tensor(identity), tensor(origin), tensor(dynamics.A, torch.float64), None, None, (), 0.0
        )
    m = modes(dynamics)
    n = len(m.frequency)
    A = -m.damping * np.eye(2 * n) - m.V.T @ m.V
    turn = np.arange(n)
    A[turn, n + turn] -= m.frequency
    A[n + turn, turn] += m.frequency
    return Coordinates(
        tensor(m.into), tensor(m.out), tensor(m.origin), tensor(A, torch.float64), tensor(m.frequency),
        tensor(m.V), tuple(m.b), m.damping,
    )  # fmt: skip


def matrices(step: Tensor, own: Coordinates, discretization: str) -> tuple[Tensor | None, list[Any]]:
    """Matrices of the steps (length, batch), every one of them once, and which of them each time has.

    A number, where all of the batch have the same. There are none of implicit steps of modes, nor where too many would
    be kept at once; then `advance` makes those of a single time.
    """
    if (own.V is not None and discretization in IMPLICIT) or step.requires_grad or torch.compiler.is_compiling():
        return None, []
    distinct, which = torch.unique(torch.where(torch.isinf(step), 0.0, step), return_inverse=True)
    if len(step) > 1 and len(distinct) * own.A.numel() > TABLE:
        return None, []
    shared = (which == which[:, :1]).all(dim=1).tolist()
    rows = [int(row[0]) if same else row for row, same in zip(which, shared, strict=True)]
    return _change(distinct, own, discretization), rows


def advance(
    z: Tensor, lost: Tensor, u: Tensor, step: Tensor, own: Coordinates, discretization: str,
    change: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One step of the memories z (batch, memory_size, size) with inputs u (batch, memory_size).

    ``step`` (batch,) is infinite where a memory starts: the signal was u ever since. ``lost`` is what rounding has
    taken from z so far (Kahan): increments that are too small for it would all be lost, always in the same direction.
    """
    starts = torch.isinf(step)[:, None, None]
    h = torch.where(starts[:, 0, 0], 0.0, step)
    if own.V is not None and discretization in IMPLICIT:
        increment = _implicit(z, u, h.to(z.dtype), own, IMPLICIT[discretization])
    else:
        if change is None:
            table, which = matrices(h[None], own, discretization)
            change = _change(h, own, discretization) if table is None else table[which[0]]
        # In double precision, so that single precision rounds once a step.
        distance = z.double() - u.double()[..., None] * own.origin.double()
        increment = (distance @ change.mT).to(z.dtype)
    increment = increment + lost
    made = z + increment
    lost = torch.where(starts, 0.0, increment - (made - z)).detach()
    return torch.where(starts, u[..., None] * own.origin, made), lost


def _implicit(z: Tensor, u: Tensor, h: Tensor, own: Coordinates, implicit: float) -> Tensor:
    """z+ - z of (I - w A) z+ = (I + (h - w) A) z + h B u, by (E13)."""
    assert own.V is not None
    assert own.frequency is not None
    h = h[:, None].clamp(max=LONGEST[h.dtype])
    w = implicit * h
    S = 1 / torch.complex(1 + w * own.damping, -w * own.frequency)
    V, Z = _complex(own.V), _complex(z)
    into, turned = S[:, None] * V, S[:, None] * Z  # (batch, rank, n_modes), (batch, memory_size, n_modes)
    q = torch.einsum("rj,bsj->brs", V.conj(), into).real
    right = torch.tensor(own.b, dtype=h.dtype, device=h.device) * u[..., None]
    right = right - torch.einsum("rj,bmj->bmr", V.conj(), turned).real
    system = torch.eye(len(V), dtype=z.dtype, device=z.device) + w[..., None] * q
    sigma = h[..., None] * torch.linalg.solve(system, right.transpose(1, 2)).transpose(1, 2)
    entered = torch.einsum("bmr,brj->bmj", sigma.to(into.dtype), into)
    rate = torch.complex(-w * own.damping, w * own.frequency)[:, None]
    slow = (rate.real.abs() < 1) & (rate.imag.abs() < 1)
    increment = entered + torch.where(slow, rate * turned, turned - Z) / implicit
    return torch.cat([increment.real, increment.imag], dim=-1)


def _complex(z: Tensor) -> Tensor:
    n = z.shape[-1] // 2
    return torch.complex(z[..., :n], z[..., n:])


def _change(h: Tensor, own: Coordinates, discretization: str) -> Tensor:
    """What the distance to the memory of a constant input is multiplied by in steps h, to tell how it changes."""
    hA = h[:, None, None] * own.A
    eye = torch.eye(len(own.A), dtype=own.A.dtype, device=h.device)
    if discretization == "zoh":  # PyTorch cuts the series of small matrices at 1e-10: make none of them small
        return torch.linalg.matrix_exp(hA + eye) / math.e - eye
    return torch.linalg.solve(eye - IMPLICIT[discretization] * hA, hA)
