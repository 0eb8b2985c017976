"""
What one step of the recurrence costs
=====================================

The online dynamics have to be discretized, and for LegS it matters how. In ordinary time its matrix is A / t, which
changes with every step; in the logarithm of time it is A, and a step from t_k to t_{k+1} has the length
log(t_{k+1} / t_k). The paper and its code use 1 / k instead, the first term of that logarithm. Here is what each choice
costs.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_hippo import HiPPOTransformer, Panel

ORDER = 32


def signal(u):
    """Something smooth on [0, 1]."""
    return np.sin(7 * u + 1) + 0.5 * np.cos(15 * u) * u


def held(n_samples, f):
    """A series whose values hold over cells of equal length."""
    return Panel(f, np.arange(1.0, n_samples + 1))


def exact_projection(f):
    """The integrals of the held signal, cell by cell: the antiderivative of P_n is (P_{n+1} - P_{n-1}) / (2n + 1)."""
    n = np.arange(ORDER)
    P = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(f) + 1), ORDER)
    before = np.concatenate([-P[:, :1], P[:, : ORDER - 1]], axis=1)
    integrals = (P[:, 1:] - before) / (2 * n + 1)
    return np.sqrt(2 * n + 1) / 2 * (f @ np.diff(integrals, axis=0))


def published_bilinear(f):
    """The trapezoidal step of the paper's code: 1 / k on both sides."""
    n = np.arange(ORDER)
    root = np.sqrt(2 * n + 1)
    A = -(np.diag(n + 1.0) + np.tril(np.outer(root, root), -1))
    c = np.zeros(ORDER)
    c[0] = f[0]
    for k in range(1, len(f)):
        c = np.linalg.solve(np.eye(ORDER) - A / (2 * k), c + A @ c / (2 * k) + root * f[k] / k)
    return c


def errors(f):
    """Relative error of the final coefficients under each scheme, against the exact projection of the held signal."""
    panel, exact = held(len(f), f), exact_projection(f)
    found = {"bilinear, step 1/k (published)": published_bilinear(f)}
    for name in ("backward", "bilinear", "zoh"):
        transformer = HiPPOTransformer(order=ORDER, method="recurrence", discretization=name)
        found[f"{name}, step log((k+1)/k)"] = transformer.fit_transform(panel)[0]
    return {name: np.linalg.norm(c - exact) / np.linalg.norm(exact) for name, c in found.items()}


# %%
# A smooth signal, sampled ever more finely. Backward Euler is of first order, and so is the published step, although
# its formula is that of a second-order method: its error is not in the formula but in the time. The same formula with
# the step of log-time is of second order. Zero-order hold is exact, to rounding.

sizes = np.unique(np.geomspace(50, 5000, 9).astype(int))
curves = [errors(signal((np.arange(n) + 0.5) / n)) for n in sizes]
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name in curves[0]:
    ax.loglog(sizes, [max(one[name], 1e-16) for one in curves], "o-", label=name, markersize=4)
ax.set(xlabel="samples", ylabel="relative error of the coefficients", title=f"LegS, order {ORDER}")
ax.legend(frameon=False)
for name in curves[0]:
    order = np.polyfit(np.log(sizes[4:]), np.log([max(one[name], 1e-16) for one in curves[4:]]), 1)[0]
    print(f"{name:32s} order of convergence {-order:.1f}, error at {sizes[-1]} samples {curves[-1][name]:.1e}")

# %%
# Short series are where a classifier lives. With random values and fewer observations than coefficients, the published
# step has errors as large as the memory itself; the bilinear step in log-time is no better there, since its steps are
# large; the exact one stays exact. This is why ``HiPPOTransformer`` projects instead of stepping, and why its default
# discretization is ``"zoh"``.

rng = np.random.default_rng(0)
short = (2, 3, 5, 10, 20, 40)
print("samples " + " ".join(f"{n:>8d}" for n in short))
table = [errors(rng.normal(size=n)) for n in short]
for name in table[0]:
    print(f"{name:32s} " + " ".join(f"{one[name]:8.0e}" for one in table))

# %%
# Forward Euler is offered, and refuses steps at which it is unstable.

try:
    HiPPOTransformer(order=ORDER, method="recurrence", discretization="forward").fit_transform(
        held(9, rng.normal(size=9))
    )
except ValueError as error:
    print(error)
plt.show()
