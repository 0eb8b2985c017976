"""The measures: which part of the past counts, and the basis that is orthonormal under it.

A measure is data: a window and a basis. Everything else in the library asks it for what it needs and never for its
name. A basis lives on a coordinate r in which the interpolant of a series is linear: from ``low`` to ``high`` across
the window, or, where the window has no beginning, r = (s - T) / timescale <= 0.

The compiled kernel hands a basis the moments of a series, ``sum_j w_j phi_n(r_j)``, of its jumps and of its kinks (the
changes of slope). Integration by parts makes them coefficients: with Phi the antiderivative of phi that vanishes where
the window opens and Psi that of Phi,

    c = f(T) e_0 - sum_j jump_j Phi(r_j) + sum_j kink_j Psi(r_j),

since the integral of phi over the whole window is e_0: a constant has one coefficient. So a basis has to say how its
functions follow from each other (``recurrence``), how to integrate a vector of moments (``integration``) and what its
values are (``evaluate``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from math import inf, pi
from typing import Any, Literal

import numpy as np
from numpy.polynomial import chebyshev, laguerre, legendre
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import schur

Array = NDArray[Any]
Recurrence = tuple[
    Array | None, Array | None, Array
]  # slope, shift, back: p_{n+1} = (slope x + shift) p_n - back p_{n-1}


class Integration:
    """A linear map from moments to coefficients: columns, and runs that add multiples of some to others, in turn.

    The first columns are the moments of one channel, ``n_sequences * n_moments`` and two extras of its jumps and then
    of its kinks; the last ``order`` columns are the coefficients.
    """

    def __init__(self, n_moments: int, n_sequences: int = 1):
        half = n_sequences * n_moments + 2
        self.jumps, self.kinks = range(half), range(half, 2 * half)
        self.n_columns = 2 * half
        self._runs: list[tuple[int, int, int, int, int]] = []
        self._weights: list[Array] = []

    def columns(self, n: int) -> range:
        """Make ``n`` columns, of zeros."""
        self.n_columns += n
        return range(self.n_columns - n, self.n_columns)

    def add(self, target: range, source: range, weights: ArrayLike) -> None:
        """Add weighted columns to others, one after the other: of two columns, a column may feed the next."""
        if len(target):
            self._runs.append((target.start, target.step, source.start, source.step, len(target)))
            self._weights.append(np.broadcast_to(np.asarray(weights, float), len(target)))

    def __call__(self) -> tuple[int, Array, Array]:
        """Return the number of columns, the runs and their weights, as the kernel wants them."""
        return self.n_columns, np.array(self._runs, np.intp), np.concatenate(self._weights)


class Basis:
    """Functions phi_0 .. phi_{order - 1} of r, orthonormal under the density of their measure."""

    chart: str
    low, high = 0.0, 1.0
    n_sequences = 1
    reach = inf  # how far back r goes until the functions are below 1e-20 of their values at the end

    def n_moments(self, order: int) -> int:
        """Length of each sequence of moments that `integration` needs."""
        return order

    def recurrence(self, n_moments: int) -> Recurrence:
        """Return the coefficients by which the kernel steps from one function to the next."""
        raise NotImplementedError

    def integration(self, order: int) -> Integration:
        """Return how the coefficients of an interpolant whose last value is zero follow from its moments.

        The extras are the moments of the antiderivatives that leave the span of the basis.
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

    chart = "legendre"
    low = -1.0

    def n_moments(self, order: int) -> int:
        return order + 2

    def recurrence(self, n_moments: int) -> Recurrence:
        return _legendre_recurrence(n_moments)[0]

    def integration(self, order: int) -> Integration:
        # The antiderivative of P_n that vanishes at -1 is (P_{n+1} - P_{n-1}) / (2n + 1), with P_{-1} = -P_0.
        rule = Integration(order + 2)
        factors = _legendre_recurrence(order + 2)[1]
        n = np.arange(order + 1)
        over, last = 1 / (2 * n + 1), np.sqrt(2 * n[:order] + 1) / 2

        def integrate(target: range, m: range, source: Array, result: Array) -> None:
            n = len(target)
            rule.add(target, m[1:], over[:n] * result * source[1:])
            rule.add(target[1:], m[:-2], -over[1:n] * result[1:] * source[:-2])
            rule.add(target[:1], m[:1], result[:1] * source[:1])

        once, twice = rule.columns(order + 1), rule.columns(order)
        integrate(once, rule.kinks[:-2], factors, np.ones(order + 1))
        rule.add(once, rule.jumps[:-3], -factors[:-1])
        integrate(twice, once, np.ones(order + 1), last)
        return rule

    def evaluate(self, r: Array, order: int) -> Array:
        return legendre.legvander(r, order - 1) * np.sqrt(2 * np.arange(order) + 1)

    @staticmethod
    def scale(n_moments: int) -> Array:
        """Return what makes moments of the recurrence's terms those of sqrt(2n + 1) P_n."""
        return _legendre_recurrence(n_moments)[1] * np.sqrt(2 * np.arange(n_moments) + 1)


class WarpedLegendre(Basis):
    """sqrt(2n + 1) P_n(2w - 1) on w = exp(r): the exponential density, in the basis of the memory inside S4."""

    chart = "warped"
    reach = 46.0

    def recurrence(self, n_moments: int) -> Recurrence:
        return _legendre_recurrence(n_moments)[0]

    def integration(self, order: int) -> Integration:
        # phi(r) = exp(-A r) B, so its antiderivative from -inf is -inv(A) phi, and y = -inv(A) m solves
        # (n + 1) y_n + sqrt(2n + 1) sum_{k<n} sqrt(2k + 1) y_k = m_n. The partial sums S_n obey
        # (n + 1) S_{n+1} + n S_n = sqrt(2n + 1) m_n, so that (-1)^n n S_n is minus a plain cumulative sum T_n.
        rule = Integration(order)
        n, scale = np.arange(1, order), Legendre.scale(order)
        sign, root, over = (-1.0) ** n, np.sqrt(2 * n + 1), 1 / np.arange(1, order + 1)

        def integrate(m: range, source: Array) -> range:
            total, target = rule.columns(order - 1), rule.columns(order)
            rule.add(total, m[:-1], source[:-1] * np.sqrt(2 * n - 1) * sign)
            rule.add(total[1:], total[:-1], 1.0)
            rule.add(target, m, source * over)
            rule.add(target[1:], total, -root * sign / n * over[1:])
            return target

        once = integrate(rule.kinks[:-2], scale)
        rule.add(once, rule.jumps[:-2], -scale)
        integrate(once, np.ones(order))
        return rule

    def evaluate(self, r: Array, order: int) -> Array:
        return legendre.legvander(2 * np.exp(r) - 1, order - 1) * np.sqrt(2 * np.arange(order) + 1)


class Laguerre(Basis):
    """L_n(-r): the exponential density."""

    chart = "laguerre"
    reach = 92.0  # |L_n(z)| exp(-z) <= exp(-z / 2)

    def recurrence(self, n_moments: int) -> Recurrence:
        n = np.arange(n_moments)
        return -1 / (n + 1), (2 * n + 1) / (n + 1), n / (n + 1)

    def integration(self, order: int) -> Integration:
        # The antiderivative of L_n(z) exp(-z) is (L_{n-1} - L_n) exp(-z), in z = -r.
        rule = Integration(order)
        once, twice, kinks = rule.columns(order), rule.columns(order), rule.kinks[:-2]
        rule.add(once, kinks, 1.0)
        rule.add(once[1:], kinks[:-1], -1.0)
        rule.add(once, rule.jumps[:-2], -1.0)
        rule.add(twice, once, 1.0)
        rule.add(twice[1:], once[:-1], -1.0)
        return rule

    def evaluate(self, r: Array, order: int) -> Array:
        return laguerre.lagvander(-r, order - 1)


class Fourier(Basis):
    """1, sqrt2 cos(2 pi r), sqrt2 sin(2 pi r), sqrt2 cos(4 pi r), ... on r in [0, 1]: the uniform density."""

    chart = "fourier"
    n_sequences = 2

    def n_moments(self, order: int) -> int:
        return order // 2 + 1

    def recurrence(self, n_moments: int) -> Recurrence:
        return None, None, np.ones(n_moments)

    def integration(self, order: int) -> Integration:
        # From 0: 1 -> r -> r^2 / 2, cos -> sin / w -> (1 - cos) / w^2, sin -> (1 - cos) / w -> (r - sin / w) / w.
        n = self.n_moments(order)
        rule = Integration(n, n_sequences=2)
        c, jumps, kinks = rule.columns(order), rule.jumps, rule.kinks
        cosines, sines = c[1::2], c[2::2]
        w = 2 * pi * np.arange(1, n)

        def add(target: range, source: range, weights: Array) -> None:
            rule.add(target, source[: len(target)], np.sqrt(2) * weights[: len(target)])

        def add_to_all(target: range, source: int, weights: Array) -> None:
            for i in range(len(target)):
                add(target[i : i + 1], range(source, source + 1), weights[i : i + 1])

        rule.add(c[:1], kinks[2 * n + 1 :], 1.0)
        rule.add(c[:1], jumps[2 * n : -1], -1.0)
        add_to_all(cosines, kinks[0], 1 / w**2)
        add(cosines, kinks[1:n], -1 / w**2)
        add(cosines, jumps[n + 1 : 2 * n], -1 / w)
        add_to_all(sines, kinks[2 * n], 1 / w)
        add(sines, kinks[n + 1 : 2 * n], -1 / w**2)
        add_to_all(sines, jumps[0], -1 / w)
        add(sines, jumps[1:n], 1 / w)
        return rule

    def evaluate(self, r: Array, order: int) -> Array:
        angle = 2 * pi * np.outer(r, np.arange(1, order // 2 + 1))
        total = np.ones((len(r), 2 * (order // 2) + 1))
        total[:, 1::2] = np.sqrt(2) * np.cos(angle)
        total[:, 2::2] = np.sqrt(2) * np.sin(angle)
        return total[:, :order]


class Chebyshev(Basis):
    """1, sqrt2 T_1, sqrt2 T_2, ... on r = cos(theta) in [-1, 1]: the density 1 / (pi sin(theta))."""

    chart = "chebyshev"
    low = -1.0

    def n_moments(self, order: int) -> int:
        return order + 1

    def recurrence(self, n_moments: int) -> Recurrence:
        return None, None, np.ones(n_moments)

    def integration(self, order: int) -> Integration:
        # With phi = pi - theta: Phi_0 = phi / pi, Phi_n = -sqrt2 sin(n theta) / (pi n); as dr = -sin(theta) dtheta,
        # Psi_0 = (phi cos(theta) + sin(theta)) / pi, Psi_1 = -(phi + sin(2 theta) / 2) / (sqrt2 pi),
        # Psi_n = (sin((n-1) theta) / (n-1) - sin((n+1) theta) / (n+1)) / (sqrt2 pi n).
        rule = Integration(order + 1)
        c, jumps, kinks = rule.columns(order), rule.jumps, rule.kinks
        phi, phi_cos = slice(order + 1, order + 2), slice(order + 2, order + 3)
        n = np.arange(1, order)
        scale = 1 / (np.sqrt(2) * pi * n)
        rule.add(c[:1], kinks[phi_cos], 1 / pi)
        rule.add(c[:1], kinks[1:2], 1 / pi)
        rule.add(c[:1], jumps[phi], -1 / pi)
        rule.add(c[1:2], kinks[phi], -scale[:1])
        rule.add(c[2:], kinks[1 : order - 1], scale[1:] / n[:-1])
        rule.add(c[1:], kinks[2 : order + 1], -scale / (n + 1))
        rule.add(c[1:], jumps[1:order], 2 * scale)
        return rule

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
    A, B = rng.randn(order, order) / np.sqrt(order), rng.randn(order)
    # Its eigenvalues fill the unit disk, some of them beyond: as far to the left as it takes for all memory to fade. A
    # constant is remembered by a vector as long as it is large, as it is in an orthonormal basis.
    A -= max(1.0, np.linalg.eigvals(A).real.max() + 0.5) * np.eye(order)
    return Dynamics(A, B / np.linalg.norm(np.linalg.solve(A, B)))


@dataclass(frozen=True, eq=False)
class Modes:
    """Dynamics in coordinates z in which A is normal plus low rank: c = out z, z = into c.

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
        # Times are taken since an end of the series, so that large ones lose no digits. All that there is of a series
        # of zero duration is its end.
        own = np.where(length > 0, length, 1)
        position = 1 + (times - stop) / own if self.has_timescale else (times - start) / own
        position = np.where(length > 0, position, 1.0)
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


def feature_names(channels: Iterable[str], measure: str, order: int, add_duration: bool) -> NDArray[np.object_]:
    """Names of coefficients, channel by channel, and of the duration behind them."""
    names = [f"{channel}__{measure}_c{n}" for channel in channels for n in range(order)]
    return np.array(names + ["duration"] * add_duration, dtype=object)


def in_seconds(timescale: Any) -> float | None:
    """A timescale as a number: of seconds, if it is a duration of Python, NumPy or pandas, as times are.

    Raises
    ------
    ValueError
        If it is a duration that is not positive, or of months or years, which have no fixed length.
    """
    if timescale is None or not isinstance(timescale, (timedelta, np.timedelta64)):
        return timescale
    if isinstance(timescale, timedelta):
        seconds = timescale.total_seconds()
    elif np.datetime_data(timescale)[0] in ("Y", "M", "generic"):
        raise ValueError(f"timescale={timescale!r} has no fixed length: give it in weeks or shorter units.")
    else:
        seconds = float(timescale / np.timedelta64(1, "s"))
    if not seconds > 0:
        raise ValueError(f"timescale={timescale!r} must be positive.")
    return seconds
