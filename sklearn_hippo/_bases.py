"""Bases: everything that there is to know of the functions on which series are projected.

A basis lives on a coordinate r in which the interpolant of a series is linear: from ``low`` to ``high`` across the
window, or, where the window has no beginning, r = (s - T) / timescale <= 0.

The compiled kernel hands a basis the moments of a series, ``sum_j w_j p_n(r_j)``, of its jumps and of its kinks (the
changes of slope). Integration by parts makes them coefficients: with Phi the antiderivative of phi that vanishes where
the window opens and Psi that of Phi,

    c = f(T) e_0 - sum_j jump_j Phi(r_j) + sum_j kink_j Psi(r_j),

since the integral of phi over the whole window is e_0: a constant has one coefficient. So a basis has to say how the
p_n follow from each other (``recurrence``), how moments of them become coefficients (``integration``), what the
functions are (``evaluate``), how much each age counts (``density``) and, if it can do so better than the dynamics of
its measure do, how coefficients fade.
"""

from collections.abc import Callable
from functools import lru_cache
from math import inf, pi
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev, laguerre, legendre
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Recurrence = tuple[
    Array | None, Array | None, Array
]  # slope, shift, back: p_{n+1} = (slope x + shift) p_n - back p_{n-1}
# Legendre coefficients of functions on [0, 1] as those of functions that fill a part of it, from low to high, and are
# zero elsewhere; `_projection.embed`.
Embed = Callable[[Array, Array, Array], Array]


class Integration:
    """A linear map from moments to coefficients, (E3): columns, and runs that add multiples of some to others, in turn.

    The first columns are the moments of one channel, ``n_families * n_moments`` and two extras of its jumps and then
    of its kinks; the last ``order`` columns are the coefficients.
    """

    def __init__(self, n_moments: int, n_families: int = 1):
        half = n_families * n_moments + 2
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

    def add_matrix(self, target: range, source: range, matrix: Array) -> None:
        """Add ``matrix @ source`` to the target, a diagonal after the other."""
        rows, columns = matrix.shape
        for k in range(1 - rows, columns):
            diagonal = np.diag(matrix, k)
            if np.any(diagonal):
                self.add(target[max(0, -k) :][: len(diagonal)], source[max(0, k) :][: len(diagonal)], diagonal)

    def __call__(self) -> tuple[int, Array, Array]:
        """Return the number of columns, the runs and their weights, as the kernel wants them."""
        return self.n_columns, np.array(self._runs, np.intp), np.concatenate(self._weights)


class Basis:
    """Functions phi_0 .. phi_{order - 1} of r, orthonormal under the density of their measure."""

    chart = ""  # how the kernel lays it out along r, by name: see _ext/charts.pxi
    low, high = 0.0, 1.0
    n_families = 1
    reach = inf  # how far back r goes until the functions are below 1e-20 of their values at the end
    fades = False  # whether it knows how coefficients fade
    embeds = False  # whether polynomials of its degree on a part of a window have coefficients on the whole of it

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

    def density(self, age: Array) -> Array:
        """Weight of the past at an age, in timescales or, where the window is all of the history, in durations."""
        return ((age >= 0) & (age <= 1)).astype(float)

    def fade(self, coefficients: Array, h: Array, embed: Embed) -> Array:
        """exp(A h) c of (n, channels, order), after dimensionless times h of shape (n,) in which nothing came in."""
        raise NotImplementedError


def _legendre_recurrence(n_moments: int) -> tuple[Recurrence, Array]:
    """Recurrence (E5), with slope one for the argument 2x, and the factors that turn its terms into P_n(x).

    From (n + 1) P_{n+1} = (2n + 1) x P_n - n P_{n-1} with P_n = g_n p_n, g_{n+1} / g_n = (2n + 1) / (2n + 2).
    """
    n = np.arange(n_moments)
    factors = np.cumprod(np.concatenate([[1.0], (2 * n[1:] - 1) / (2 * n[1:])]))
    return (None, None, 4.0 * n**2 / (4 * n**2 - 1)), factors


class Legendre(Basis):
    """sqrt(2n + 1) P_n on r in [-1, 1]: the uniform density. Its antiderivatives are (E4)."""

    chart = "legendre"
    low = -1.0
    fades = embeds = True

    def n_moments(self, order: int) -> int:
        return order + 2

    def recurrence(self, n_moments: int) -> Recurrence:
        return _legendre_recurrence(n_moments)[0]

    def integration(self, order: int) -> Integration:
        # The antiderivative of P_n that vanishes at -1 is (P_{n+1} - P_{n-1}) / (2n + 1), with P_{-1} = -P_0.
        integration = Integration(order + 2)
        factors = _legendre_recurrence(order + 2)[1]
        n = np.arange(order + 1)
        over, last = 1 / (2 * n + 1), np.sqrt(2 * n[:order] + 1) / 2

        def integrate(target: range, m: range, source: Array, result: Array) -> None:
            n = len(target)
            integration.add(target, m[1:], over[:n] * result * source[1:])
            integration.add(target[1:], m[:-2], -over[1:n] * result[1:] * source[:-2])
            integration.add(target[:1], m[:1], result[:1] * source[:1])

        once, twice = integration.columns(order + 1), integration.columns(order)
        integrate(once, integration.kinks[:-2], factors, np.ones(order + 1))
        integration.add(once, integration.jumps[:-3], -factors[:-1])
        integrate(twice, once, np.ones(order + 1), last)
        return integration

    def evaluate(self, r: Array, order: int) -> Array:
        return legendre.legvander(r, order - 1) * np.sqrt(2 * np.arange(order) + 1)

    def fade(self, coefficients: Array, h: Array, embed: Embed) -> Array:
        return embed(coefficients, np.zeros(len(h)), np.exp(-h))  # the old window is the beginning of the new one

    @staticmethod
    @lru_cache(maxsize=64)
    def scale(n_moments: int) -> Array:
        """Return what makes moments of the recurrence's terms those of sqrt(2n + 1) P_n; it is read-only."""
        scale = _legendre_recurrence(n_moments)[1] * np.sqrt(2 * np.arange(n_moments) + 1)
        scale.flags.writeable = False
        return scale


class WarpedLegendre(Basis):
    """sqrt(2n + 1) P_n(2w - 1) on w = exp(r): the exponential density, in the basis of the memory inside S4."""

    chart = "warped"
    reach = 46.0
    fades = True

    def recurrence(self, n_moments: int) -> Recurrence:
        return _legendre_recurrence(n_moments)[0]

    def integration(self, order: int) -> Integration:
        # phi(r) = exp(-A r) B, so its antiderivative from -inf is -inv(A) phi, and y = -inv(A) m solves
        # (n + 1) y_n + sqrt(2n + 1) sum_{k<n} sqrt(2k + 1) y_k = m_n. The partial sums S_n obey
        # (n + 1) S_{n+1} + n S_n = sqrt(2n + 1) m_n, so that (-1)^n n S_n is minus a plain cumulative sum T_n.
        integration = Integration(order)
        n, scale = np.arange(1, order), Legendre.scale(order)
        sign, root, over = (-1.0) ** n, np.sqrt(2 * n + 1), 1 / np.arange(1, order + 1)

        def integrate(m: range, source: Array) -> range:
            total, target = integration.columns(order - 1), integration.columns(order)
            integration.add(total, m[:-1], source[:-1] * np.sqrt(2 * n - 1) * sign)
            integration.add(total[1:], total[:-1], 1.0)
            integration.add(target, m, source * over)
            integration.add(target[1:], total, -root * sign / n * over[1:])
            return target

        once = integrate(integration.kinks[:-2], scale)
        integration.add(once, integration.jumps[:-2], -scale)
        integrate(once, np.ones(order))
        return integration

    def evaluate(self, r: Array, order: int) -> Array:
        return legendre.legvander(2 * np.exp(r) - 1, order - 1) * np.sqrt(2 * np.arange(order) + 1)

    def density(self, age: Array) -> Array:
        return np.where(age >= 0, np.exp(-age), 0.0)

    def fade(self, coefficients: Array, h: Array, embed: Embed) -> Array:
        return embed(coefficients, np.zeros(len(h)), np.exp(-h))


class Laguerre(Basis):
    """L_n(-r): the exponential density."""

    chart = "laguerre"
    reach = 92.0  # |L_n(z)| exp(-z) <= exp(-z / 2)
    fades = True

    def recurrence(self, n_moments: int) -> Recurrence:
        n = np.arange(n_moments)
        return -1 / (n + 1), (2 * n + 1) / (n + 1), n / (n + 1)

    def integration(self, order: int) -> Integration:
        # The antiderivative of L_n(z) exp(-z) is (L_{n-1} - L_n) exp(-z), in z = -r.
        integration = Integration(order)
        once, twice, kinks = integration.columns(order), integration.columns(order), integration.kinks[:-2]
        integration.add(once, kinks, 1.0)
        integration.add(once[1:], kinks[:-1], -1.0)
        integration.add(once, integration.jumps[:-2], -1.0)
        integration.add(twice, once, 1.0)
        integration.add(twice[1:], once[:-1], -1.0)
        return integration

    def evaluate(self, r: Array, order: int) -> Array:
        return laguerre.lagvander(-r, order - 1)

    def density(self, age: Array) -> Array:
        return np.where(age >= 0, np.exp(-age), 0.0)

    def fade(self, coefficients: Array, h: Array, embed: Embed) -> Array:
        # exp(A h) is a Toeplitz matrix, with the Laguerre functions' differences below the diagonal.
        order = coefficients.shape[2]
        h = np.minimum(h, 700.0)  # where all is lost, but nothing overflows
        column = np.diff(self.evaluate(-h, order), axis=1, prepend=0) * np.exp(-h)[:, None]
        later = np.zeros_like(coefficients)
        for n in range(order):
            later[..., n:] += coefficients[..., n : n + 1] * column[:, None, : order - n]
        return later


class Fourier(Basis):
    """1, sqrt2 cos(2 pi r), sqrt2 sin(2 pi r), sqrt2 cos(4 pi r), ... on r in [0, 1]: the uniform density."""

    chart = "fourier"
    n_families = 2

    def n_moments(self, order: int) -> int:
        return order // 2 + 1

    def recurrence(self, n_moments: int) -> Recurrence:
        return None, None, np.ones(n_moments)

    def integration(self, order: int) -> Integration:
        # From 0: 1 -> r -> r^2 / 2, cos -> sin / w -> (1 - cos) / w^2, sin -> (1 - cos) / w -> (r - sin / w) / w.
        n = self.n_moments(order)
        integration = Integration(n, n_families=2)
        c, jumps, kinks = integration.columns(order), integration.jumps, integration.kinks
        cosines, sines = c[1::2], c[2::2]
        w = 2 * pi * np.arange(1, n)

        def add(target: range, source: range, weights: Array) -> None:
            integration.add(target, source[: len(target)], np.sqrt(2) * weights[: len(target)])

        def add_to_all(target: range, source: int, weights: Array) -> None:
            for i in range(len(target)):
                add(target[i : i + 1], range(source, source + 1), weights[i : i + 1])

        integration.add(c[:1], kinks[2 * n + 1 :], 1.0)
        integration.add(c[:1], jumps[2 * n : -1], -1.0)
        add_to_all(cosines, kinks[0], 1 / w**2)
        add(cosines, kinks[1:n], -1 / w**2)
        add(cosines, jumps[n + 1 : 2 * n], -1 / w)
        add_to_all(sines, kinks[2 * n], 1 / w)
        add(sines, kinks[n + 1 : 2 * n], -1 / w**2)
        add_to_all(sines, jumps[0], -1 / w)
        add(sines, jumps[1:n], 1 / w)
        return integration

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
        integration = Integration(order + 1)
        c, jumps, kinks = integration.columns(order), integration.jumps, integration.kinks
        phi, phi_cos = slice(order + 1, order + 2), slice(order + 2, order + 3)
        n = np.arange(1, order)
        scale = 1 / (np.sqrt(2) * pi * n)
        integration.add(c[:1], kinks[phi_cos], 1 / pi)
        integration.add(c[:1], kinks[1:2], 1 / pi)
        integration.add(c[:1], jumps[phi], -1 / pi)
        integration.add(c[1:2], kinks[phi], -scale[:1])
        integration.add(c[2:], kinks[1 : order - 1], scale[1:] / n[:-1])
        integration.add(c[1:], kinks[2 : order + 1], -scale / (n + 1))
        integration.add(c[1:], jumps[1:order], 2 * scale)
        return integration

    def evaluate(self, r: Array, order: int) -> Array:
        return chebyshev.chebvander(r, order - 1) * np.where(np.arange(order) == 0, 1, np.sqrt(2))

    def density(self, age: Array) -> Array:
        inside = (age >= 0) & (age <= 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(inside, 1 / (pi * np.sqrt(age * (1 - age))), 0.0)
