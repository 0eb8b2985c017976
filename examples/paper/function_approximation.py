"""Function approximation, as in the paper's table 3: a million samples of band-limited noise in 256 numbers.

    python examples/paper/function_approximation.py

White noise below 1 Hz, at a step of 1e-4 s for 100 s, is remembered online by `HiPPOMemory` (LegS, order 256) and
reconstructed. The best that 256 polynomials can do is known independently: the signal is a sum of sines, whose Legendre
coefficients a Gauss rule integrates to rounding.
"""

import time

import numpy as np
from runner import arguments, run

from sklearn_hippo import HiPPOMemory

DURATION, BAND, ORDER = 100.0, 1.0, 256


def noise(seed):
    """A random signal that is periodic over the duration, as a function of time."""
    rng = np.random.default_rng(seed)
    k = np.arange(1, int(BAND * DURATION) + 1)
    sines, cosines = rng.normal(size=(2, len(k))) * 0.5 / np.sqrt(len(k))

    def signal(t):
        phase = np.exp(2j * np.pi / DURATION * np.asarray(t))
        # Horner's rule in exp(i w t): (cosines - i sines) . (phase^k)
        total = np.zeros_like(phase)
        for a, b in zip(cosines[::-1], sines[::-1], strict=True):
            total = (total + (a - 1j * b)) * phase
        return total.real

    return signal


def optimal_error(signal):
    """Mean squared error of the best polynomial of this order, by Parseval's identity and Gauss quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(1500)
    f = signal((nodes + 1) / 2 * DURATION)
    basis = np.polynomial.legendre.legvander(nodes, ORDER - 1) * np.sqrt(2 * np.arange(ORDER) + 1)
    c = (weights / 2 * f) @ basis
    return weights @ f**2 / 2 - c @ c


def measure(trial, checkpoint):
    """Mean squared errors, and how fast it is."""
    signal = noise(trial["seed"])
    t = np.linspace(0, DURATION, trial["samples"] + 1)
    f = signal(t)
    begin = time.perf_counter()
    memory = HiPPOMemory.from_chunks((f[k : k + 10_000] for k in range(0, len(f), 10_000)), order=ORDER)
    _ = memory.coefficients_
    seconds = time.perf_counter() - begin
    error = np.mean((memory.reconstruct(np.arange(len(t), dtype=float))[0, :, 0] - f) ** 2)
    best = optimal_error(signal)
    error, best, ratio = (float(f"{x:.7g}") for x in (error, best, error / best))
    return {"error": error, "optimal projection": best, "ratio": ratio, "samples/s": round(len(f) / seconds)}


if __name__ == "__main__":
    options = arguments(__doc__, seeds=5)
    samples = 10**5 if options.quick else 10**6
    trials = [{"order": ORDER, "samples": samples, "seed": seed} for seed in range(options.seeds)]
    run("function_approximation", trials, measure, options)
