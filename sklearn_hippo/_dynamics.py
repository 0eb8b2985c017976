"""Dynamics: the online form of a measure, c' = A c + B f, and the coordinates in which a step of it costs O(order)."""

from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import schur

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Dynamics:
    """The online form of a measure, (E7): c' = A c + B f, n row and k column.

    The first ``order`` of c are the coefficients. Time is dimensionless: a step h is as long as the clock of the
    measure says.
    """

    A: Array
    B: Array
    # d, p, q of the triangular measures, A = -(diag(d) + tril(p q^T, -1)).
    factors: tuple[Array, Array, Array] | None = None
    # A = diag(scale) (skew - damping I - V^T V) diag(1 / scale), for all measures that come from an orthonormal basis.
    damping: float = 0.0
    V: Array | None = None
    scale: Array | None = None


def _triangular(d: Array, p: Array, q: Array, B: Array) -> Dynamics:
    # (E11); A + A^T = -(B B^T + I) for both of them
    return Dynamics(-(np.diag(d) + np.tril(np.outer(p, q), -1)), B, (d, p, q), 0.5, B[None] / np.sqrt(2))


@lru_cache(maxsize=64)
def legs(order: int) -> Dynamics:
    """LegS, in log-time, and its time-invariant twin."""
    n = np.arange(order)
    root = np.sqrt(2 * n + 1.0)
    return _triangular(n + 1.0, root, root, root)


@lru_cache(maxsize=64)
def lagt(order: int) -> Dynamics:
    """LagT."""
    ones = np.ones(order)
    return _triangular(ones, ones, ones, ones)


@lru_cache(maxsize=64)
def legt(order: int) -> Dynamics:
    """LegT: the edge that leaves the window is taken from the memory itself."""
    n, k = np.indices((order, order))
    root = np.sqrt(2 * np.arange(order) + 1.0)
    parity = (np.arange(order) % 2 == np.arange(2)[:, None]) * root  # A + A^T sees only terms of the same parity
    return Dynamics(-np.outer(root, root) * np.where(k <= n, 1.0, (-1.0) ** (n - k)), root, V=parity)


@lru_cache(maxsize=64)
def lmu(order: int) -> Dynamics:
    """LegT in the scaling of the Legendre memory unit."""
    n, k = np.indices((order, order))
    A = (2.0 * n + 1) * np.where(n < k, -1.0, (-1.0) ** (n - k + 1))
    sign, length = (-1.0) ** np.arange(order), 2 * np.arange(order) + 1.0
    return Dynamics(A, length * sign, V=legt(order).V, scale=np.sqrt(length) * sign)


@lru_cache(maxsize=64)
def fout(order: int) -> Dynamics:
    """FouT."""
    # The end point counts twice, since the memory itself stands for the window's trailing edge. Sines are those of the
    # position in the window, which runs against the lag. A cosine without its sine would never be forgotten: an even
    # order is the beginning of the next odd one.
    harmonics = np.arange(1, order // 2 + 1)
    A = np.zeros((2 * len(harmonics) + 1,) * 2)
    A[2 * harmonics - 1, 2 * harmonics] = 2 * pi * harmonics
    A[2 * harmonics, 2 * harmonics - 1] = -2 * pi * harmonics
    b = np.zeros(len(A))
    b[0], b[1::2] = 1, np.sqrt(2)
    A -= 2 * np.outer(b, b)
    return Dynamics(A, 2 * b, V=np.sqrt(2) * b[None])


@lru_cache(maxsize=64)
def rand(order: int) -> Dynamics:
    """Random A and B, always the same ones: the control against which the structure of the others is measured."""
    rng = np.random.RandomState(0)
    A, B = rng.randn(order, order) / np.sqrt(order), rng.randn(order)
    # Its eigenvalues fill the unit disk, some of them beyond: as far to the left as it takes for all memory to fade. A
    # constant is remembered by a vector as long as it is large, as it is in an orthonormal basis.
    A -= max(1.0, np.linalg.eigvals(A).real.max() + 0.5) * np.eye(order)
    return Dynamics(A, B / np.linalg.norm(np.linalg.solve(A, B)))


@dataclass(frozen=True, eq=False)
class Modes:
    """Dynamics in coordinates z in which A is normal plus low rank, (E12): c = out z, z = into c.

    Two numbers, z_j and z_{K + j}, are one complex mode z_j + i z_{K + j}, and

        z' = (i frequency - damping) z - V^T V z + V^T b f,

    so an implicit step of any length costs O(order). The change of coordinates is orthogonal up to the scale of the
    measure, and the steps are contractions: nothing is lost to rounding. Slow modes come first. An odd order has a mode
    without a second number, which stays 0.
    """

    frequency: Array  # (K,), its absolute values increase
    damping: float
    V: Array  # (rank, 2 K)
    b: Array  # (rank,)
    into: Array  # (2 K, order)
    out: Array  # (order, 2 K)
    origin: Array  # (2 K,) the memory of a constant 1, -A^{-1} B


@lru_cache(maxsize=64)
def modes(dynamics: Dynamics) -> Modes:
    """Normal-plus-low-rank coordinates of dynamics that have a V."""
    assert dynamics.V is not None
    order = len(dynamics.B)
    scale = np.ones(order) if dynamics.scale is None else dynamics.scale
    A = dynamics.A * scale / scale[:, None]
    skew = (A - A.T) / 2
    # The real Schur form of a skew matrix: blocks [[0, -w], [w, 0]], and a zero if the order is odd.
    T, Q = schur(skew, output="real")
    below = np.append(np.diag(T, -1), 0.0)
    found = []
    j = 0
    while j < order:
        paired = abs(below[j]) > 1e-9 * np.abs(below).max()
        found.append((below[j], j, j + 1) if paired else (0.0, j, -1))
        j += 1 + paired
    found.sort(key=lambda mode: abs(mode[0]))
    frequency, real, imaginary = (np.array(column) for column in zip(*found, strict=True))
    alone = imaginary < 0
    Z = np.concatenate([Q[:, real], np.where(alone, 0.0, Q[:, imaginary])], axis=1)
    V = dynamics.V @ Z
    # A mode without a partner is one of parity, and orthogonal to the functions of the other one: to the last bit, or a
    # long step would tell.
    single = V[:, : len(real)][:, alone]
    V[:, : len(real)][:, alone] = np.where(np.abs(single) < 1e-12 * np.abs(V).max(), 0, single)
    # B lies in the span of V: it is where the end points of the window act.
    b = np.linalg.lstsq(V.T, Z.T @ (dynamics.B / scale), rcond=None)[0]
    into, out = Z.T / scale, scale[:, None] * Z
    return Modes(frequency, dynamics.damping, V, b, into, out, -into @ np.linalg.solve(dynamics.A, dynamics.B))
