"""The measures: which part of the past counts, and the basis that is orthonormal under it.

A measure is data: a window and a basis. Everything else in the library asks it for what it needs and never for its
name. A basis lives on a coordinate r in which the interpolant of a series is linear: from ``low`` to ``high`` across
the window, or, where the window has no beginning, r = (s - T) / timescale <= 0.

The compiled kernel hands a basis the moments of a series, ``sum_j w_j phi_n(r_j)``, of its jumps and of its kinks (the
changes of slope). Integration by parts makes them coefficients: with Phi the antiderivative of phi that vanishes where
the window opens and Psi that of Phi,

    c = f(T) e_0 - sum_j jump_j Phi(r_j) + sum_j kink_j Psi(r_j),

since the integral of phi over the whole window is e_0: a constant has one coefficient. So a basis has to say how its
functions follow from each other (``recurrence``), how to integrate a vector of moments (``coefficients``) and what its
values are (``evaluate``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import pi
from typing import Any, Literal

import numpy as np
from numpy.polynomial import chebyshev, laguerre, legendre
from numpy.typing import NDArray
from scipy.linalg import schur

Array = NDArray[Any]
Recurrence = tuple[
    Array | None, Array | None, Array
]  # slope, shift, back: p_{n+1} = (slope x + shift) p_n - back p_{n-1}


class Basis:
    """Functions phi_0 .. phi_{order - 1} of r, orthonormal under the density of their measure."""

    chart: str
    low, high = 0.0, 1.0
    n_sequences = 1

    def n_moments(self, order: int) -> int:
        """Length of each sequence of moments that `coefficients` needs."""
        return order

    def recurrence(self, n_moments: int) -> Recurrence:
        """Return the coefficients by which the kernel steps from one function to the next."""
        raise NotImplementedError

    def coefficients(self, jumps: Array, kinks: Array, jump_extras: Array, kink_extras: Array, order: int) -> Array:
        """Coefficients of an interpolant whose last value is zero.

        Parameters
        ----------
        jumps, kinks : ndarray of shape (n_series, n_sequences, n_channels, n_moments)
        jump_extras, kink_extras : ndarray of shape (n_series, n_channels, 2)
            Moments of the antiderivatives that leave the span of the basis.
        order : int

        Returns
        -------
        ndarray of shape (n_series, n_channels, order)
        """
        raise NotImplementedError

    def evaluate(self, r: Array, order: int) -> Array:
        """Values of the functions with which coefficients are turned back into a signal, shape (len(r), order)."""
        raise NotImplementedError


def _legendre_recurrence(n_moments: int) -> tuple[Recurrence, Array]:
    """Recurrence with slope one for the argument 2x, and the factors that turn its terms into P_n(x).

    From (n + 1) P_{n+1} = (2n + 1) x P_n - n P_{n-1} with P_n = g_n p_n, g_{n+1} / g_n = (2n + 1) / (2n + 2).
    """
    n = np.arange(n_moments)
    factors = np.cumprod(np.concatenate([[1.0], (2 * n[1:] - 1) / (2 * n[1:])]))
    return (None, None, 4.0 * n**2 / (4 * n**2 - 1)), factors


class Legendre(Basis):
    """sqrt(2n + 1) P_n on r in [-1, 1]: the uniform density."""

    chart = "LEGENDRE"
    low = -1.0

    def n_moments(self, order: int) -> int:
        return order + 2

    def recurrence(self, n_moments: int) -> Recurrence:
        return _legendre_recurrence(n_moments)[0]

    @staticmethod
    def _integrate(m: Array) -> Array:
        # The antiderivative of P_n that vanishes at -1 is (P_{n+1} - P_{n-1}) / (2n + 1), with P_{-1} = -P_0.
        total = m[..., 1:].copy()
        total[..., 0] += m[..., 0]
        total[..., 1:] -= m[..., :-2]
        total /= 2 * np.arange(total.shape[-1]) + 1
        return total

    def coefficients(self, jumps: Array, kinks: Array, jump_extras: Array, kink_extras: Array, order: int) -> Array:
        factors = _legendre_recurrence(order + 2)[1]
        once = self._integrate(kinks[:, 0] * factors)
        once -= jumps[:, 0, :, :-1] * factors[:-1]
        return self._integrate(once) * (np.sqrt(2 * np.arange(order) + 1) / 2)

    def evaluate(self, r: Array, order: int) -> Array:
        return legendre.legvander(r, order - 1) * np.sqrt(2 * np.arange(order) + 1)

    @staticmethod
    def expand(moments: Array) -> Array:
        """Coefficients of a function that is given by weighted nodes."""
        n_moments = moments.shape[-1]
        return moments * (_legendre_recurrence(n_moments)[1] * np.sqrt(2 * np.arange(n_moments) + 1))


class _Decaying(Basis):
    """phi(r) = exp(-A r) B: its antiderivative from -inf is -inv(A) phi."""

    def _integrate(self, m: Array) -> Array:
        raise NotImplementedError

    def _phi(self, moments: Array) -> Array:
        """Turn moments of the recurrence's terms into those of phi."""
        return moments[:, 0]

    def coefficients(self, jumps: Array, kinks: Array, jump_extras: Array, kink_extras: Array, order: int) -> Array:
        return self._integrate(self._integrate(self._phi(kinks)) - self._phi(jumps))


class WarpedLegendre(_Decaying):
    """sqrt(2n + 1) P_n(2w - 1) on w = exp(r): the exponential density, in the basis of the memory inside S4."""

    chart = "WARPED"

    def recurrence(self, n_moments: int) -> Recurrence:
        return _legendre_recurrence(n_moments)[0]

    def _phi(self, moments: Array) -> Array:
        return Legendre.expand(moments[:, 0])

    def _integrate(self, m: Array) -> Array:
        # y = -inv(A) m solves (n + 1) y_n + sqrt(2n + 1) sum_{k<n} sqrt(2k + 1) y_k = m_n. The partial sums S_n obey
        # (n + 1) S_{n+1} + n S_n = sqrt(2n + 1) m_n, so that (-1)^n n S_n is minus a plain cumulative sum.
        n = np.arange(1, m.shape[-1])
        sign, root = (-1.0) ** n, np.sqrt(2 * n + 1)
        total = np.cumsum(m[..., :-1] * (np.sqrt(2 * n - 1) * sign), axis=-1)
        integral = m.copy()
        integral[..., 1:] -= total * (root * sign / n)
        integral /= np.arange(1, m.shape[-1] + 1)
        return integral

    def evaluate(self, r: Array, order: int) -> Array:
        return legendre.legvander(2 * np.exp(r) - 1, order - 1) * np.sqrt(2 * np.arange(order) + 1)


class Laguerre(_Decaying):
    """L_n(-r): the exponential density."""

    chart = "LAGUERRE"

    def recurrence(self, n_moments: int) -> Recurrence:
        n = np.arange(n_moments)
        return -1 / (n + 1), (2 * n + 1) / (n + 1), n / (n + 1)

    def _integrate(self, m: Array) -> Array:
        # The antiderivative of L_n(z) exp(-z) is (L_{n-1} - L_n) exp(-z), in z = -r.
        return np.diff(m, prepend=0, axis=-1)

    def evaluate(self, r: Array, order: int) -> Array:
        return laguerre.lagvander(-r, order - 1)


class Fourier(Basis):
    """1, sqrt2 cos(2 pi r), sqrt2 sin(2 pi r), sqrt2 cos(4 pi r), ... on r in [0, 1]: the uniform density."""

    chart = "FOURIER"
    n_sequences = 2

    def n_moments(self, order: int) -> int:
        return order // 2 + 1

    def recurrence(self, n_moments: int) -> Recurrence:
        return None, None, np.ones(n_moments)

    def coefficients(self, jumps: Array, kinks: Array, jump_extras: Array, kink_extras: Array, order: int) -> Array:
        # From 0: 1 -> r -> r^2 / 2, cos -> sin / w -> (1 - cos) / w^2, sin -> (1 - cos) / w -> (r - sin / w) / w.
        w = 2 * pi * np.arange(1, jumps.shape[-1])
        jump_1, jump_cos, jump_sin = jumps[:, 0, :, :1], jumps[:, 0, :, 1:], jumps[:, 1, :, 1:]
        kink_1, kink_cos, kink_sin = kinks[:, 0, :, :1], kinks[:, 0, :, 1:], kinks[:, 1, :, 1:]
        total = np.empty((*jumps.shape[::2], 2 * len(w) + 1))
        total[..., 0] = kink_extras[..., 1] - jump_extras[..., 0]
        total[..., 1::2] = np.sqrt(2) / w * ((kink_1 - kink_cos) / w - jump_sin)
        total[..., 2::2] = np.sqrt(2) / w * (kink_extras[..., :1] - kink_sin / w - (jump_1 - jump_cos))
        return total[..., :order]

    def evaluate(self, r: Array, order: int) -> Array:
        angle = 2 * pi * np.outer(r, np.arange(1, order // 2 + 1))
        total = np.ones((len(r), 2 * (order // 2) + 1))
        total[:, 1::2] = np.sqrt(2) * np.cos(angle)
        total[:, 2::2] = np.sqrt(2) * np.sin(angle)
        return total[:, :order]


class Chebyshev(Basis):
    """1, sqrt2 T_1, sqrt2 T_2, ... on r = cos(theta) in [-1, 1]: the density 1 / (pi sin(theta))."""

    chart = "CHEBYSHEV"
    low = -1.0

    def n_moments(self, order: int) -> int:
        return order + 1

    def recurrence(self, n_moments: int) -> Recurrence:
        return None, None, np.ones(n_moments)

    def coefficients(self, jumps: Array, kinks: Array, jump_extras: Array, kink_extras: Array, order: int) -> Array:
        # With phi = pi - theta: Phi_0 = phi / pi, Phi_n = -sqrt2 sin(n theta) / (pi n); as dr = -sin(theta) dtheta,
        # Psi_0 = (phi cos(theta) + sin(theta)) / pi, Psi_1 = -(phi + sin(2 theta) / 2) / (sqrt2 pi),
        # Psi_n = (sin((n-1) theta) / (n-1) - sin((n+1) theta) / (n+1)) / (sqrt2 pi n).
        n = np.arange(order + 1)
        total = np.empty((*jumps.shape[::2], order))
        total[..., 0] = (kink_extras[..., 1] + kinks[:, 0, :, 1] - jump_extras[..., 0]) / pi
        waves = kinks[:, 0, :, 1:] / n[1:]
        before = np.concatenate([-kink_extras[..., :1], waves[..., :-2]], axis=-1)[..., : order - 1]
        total[..., 1:] = (before - waves[..., 1:]) / (np.sqrt(2) * pi * n[1:-1])
        total[..., 1:] += jumps[:, 0, :, 1:order] * (np.sqrt(2) / (pi * n[1:order]))
        return total

    def evaluate(self, r: Array, order: int) -> Array:
        return chebyshev.chebvander(r, order - 1) * np.where(np.arange(order) == 0, 1, np.sqrt(2))


@dataclass(frozen=True, eq=False)
class Dynamics:
    """The online form of a measure: c' = A c + B f, n row and k column; the first ``order`` of c are the coefficients.

    Its clock tells the step h of an observation: "linear" is (t_k - t_{k-1}) / timescale, "log" is
    log((t_k - t_0) / (t_{k-1} - t_0)), in which the scaled LegS is time-invariant as well.
    """

    A: Array
    B: Array
    clock: Literal["linear", "log"] = "linear"
    # d, p, q of the triangular measures, A = -(diag(d) + tril(p q^T, -1)).
    factors: tuple[Array, Array, Array] | None = None
    # A = diag(scale) (skew - damping I - V^T V) diag(1 / scale), for all measures that come from an orthonormal basis.
    damping: float = 0.0
    V: Array | None = None
    scale: Array | None = None


def _triangular(d: Array, p: Array, q: Array, B: Array, clock: Literal["linear", "log"] = "linear") -> Dynamics:
    # A + A^T = -(B B^T + I) for both of them
    return Dynamics(-(np.diag(d) + np.tril(np.outer(p, q), -1)), B, clock, (d, p, q), 0.5, B[None] / np.sqrt(2))


@lru_cache(maxsize=64)
def _legs_dynamics(order: int, clock: Literal["linear", "log"] = "log") -> Dynamics:
    n = np.arange(order)
    root = np.sqrt(2 * n + 1.0)
    return _triangular(n + 1.0, root, root, root, clock)


@lru_cache(maxsize=64)
def _lagt_dynamics(order: int) -> Dynamics:
    one = np.ones(order)
    return _triangular(one, one, one, one)


@lru_cache(maxsize=64)
def _legt_dynamics(order: int) -> Dynamics:
    n, k = np.indices((order, order))
    root = np.sqrt(2 * np.arange(order) + 1.0)
    parity = (np.arange(order) % 2 == np.arange(2)[:, None]) * root  # A + A^T sees only terms of the same parity
    return Dynamics(-np.outer(root, root) * np.where(k <= n, 1.0, (-1.0) ** (n - k)), root, V=parity)


@lru_cache(maxsize=64)
def _lmu_dynamics(order: int) -> Dynamics:
    n, k = np.indices((order, order))
    A = (2.0 * n + 1) * np.where(n < k, -1.0, (-1.0) ** (n - k + 1))
    sign, length = (-1.0) ** np.arange(order), 2 * np.arange(order) + 1.0
    return Dynamics(A, length * sign, V=_legt_dynamics(order).V, scale=np.sqrt(length) * sign)


@lru_cache(maxsize=64)
def _fout_dynamics(order: int) -> Dynamics:
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
def _rand_dynamics(order: int) -> Dynamics:
    """Random A and B, always the same ones: the control against which the structure of the others is measured."""
    rng = np.random.RandomState(0)
    return Dynamics(rng.randn(order, order) / np.sqrt(order) - np.eye(order), rng.randn(order))


@dataclass(frozen=True, eq=False)
class Modes:
    """Dynamics in coordinates z in which A is normal plus low rank: c = out z, z = into c.

    Two numbers, z_j and z_{K + j}, are one complex mode z_j + i z_{K + j}, and

        z' = (i frequency - damping) z - V^T V z + V^T b f,

    so an implicit step of any length costs O(order). The change of coordinates is orthogonal up to the scale of the
    measure, and the steps are contractions: nothing is lost to rounding. An odd order has a last number that stays 0.
    """

    frequency: Array  # (K,)
    damping: float
    V: Array  # (rank, 2 K)
    b: Array  # (rank,)
    into: Array  # (2 K, order)
    out: Array  # (order, 2 K)


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
    real, imaginary = [], []
    j = 0
    while j < order:
        paired = abs(below[j]) > 1e-9 * np.abs(below).max()
        real.append(j)
        imaginary.append(j + 1 if paired else -1)
        j += 1 + paired
    alone = np.array(imaginary) < 0
    Z = np.concatenate([Q[:, real], np.where(alone, 0.0, Q[:, imaginary])], axis=1)
    frequency = np.where(alone, 0.0, below[real])
    V = dynamics.V @ Z
    # B lies in the span of V: it is where the end points of the window act.
    b = np.linalg.lstsq(V.T, Z.T @ (dynamics.B / scale), rcond=None)[0]
    return Modes(frequency, dynamics.damping, V, b, Z.T / scale, scale[:, None] * Z)


@dataclass(frozen=True)
class Measure:
    """A window on the past and the basis that is orthonormal in it.

    ``window`` is "all" for the whole history, whose coordinate scales with the series, "sliding" for the last
    ``timescale`` of it, and "decaying" for an exponential weight with that time constant. ``dynamics`` makes the online
    form for an order, if there is one; it is ``exact`` if its state is the projection, and otherwise approaches it as
    the order grows.
    """

    window: Literal["all", "sliding", "decaying"]
    basis: Basis
    dynamics: Callable[[int], Dynamics] | None = None
    exact: bool = False

    @property
    def has_timescale(self) -> bool:
        """Whether the measure needs a timescale, in units of the timestamps."""
        return self.window != "all"

    def density(self, age: Array) -> Array:
        """Weight of the past at an age, in timescales or, where the window is all of the history, in durations."""
        if self.window == "decaying":
            return np.where(age >= 0, np.exp(-age), 0.0)
        inside = (age >= 0) & (age <= 1)
        if not isinstance(self.basis, Chebyshev):
            return inside.astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(inside, 1 / (pi * np.sqrt(age * (1 - age))), 0.0)

    def coordinate(self, times: Array, start: float | Array, stop: float | Array, timescale: float | None) -> Array:
        """Place times of a series that lasts from ``start`` to ``stop`` on the coordinate of the basis."""
        length = stop - start if timescale is None or not self.has_timescale else timescale
        if self.window == "decaying":
            return (times - stop) / length
        opens = stop - length if self.has_timescale else start
        # All that there is of a series of zero duration is its end.
        position = np.where(length > 0, (times - opens) / np.where(length > 0, length, 1), 1.0)
        return self.basis.low + (self.basis.high - self.basis.low) * position


MEASURES = {
    "legs": Measure("all", Legendre(), _legs_dynamics, exact=True),
    "legt": Measure("sliding", Legendre(), _legt_dynamics),
    "lagt": Measure("decaying", Laguerre(), _lagt_dynamics, exact=True),
    "legs_lti": Measure("decaying", WarpedLegendre(), partial(_legs_dynamics, clock="linear"), exact=True),
    "fous": Measure("all", Fourier()),
    "fout": Measure("sliding", Fourier(), _fout_dynamics),
    "chebs": Measure("all", Chebyshev()),
    "chebt": Measure("sliding", Chebyshev()),
}

# The online forms by name: those of the measures, and two that only make sense as the memory of an RNN.
DYNAMICS = {name: measure.dynamics for name, measure in MEASURES.items() if measure.dynamics is not None} | {
    "lmu": _lmu_dynamics,
    "rand": _rand_dynamics,
}
