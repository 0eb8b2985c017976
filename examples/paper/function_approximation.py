"""Function approximation, as in the paper's table 3: a million samples of band-limited noise in 256 numbers.

    python examples/paper/function_approximation.py --quick
    python examples/paper/function_approximation.py [--seeds 5] [--threads 1] [--only "model LegS"]

White noise below 1 Hz, at a step of 1e-4 s for 100 s, is remembered online by `HiPPOMemory` of order 256 and
reconstructed. The best that 256 polynomials can do is known independently: the signal is a sum of sines, whose Legendre
coefficients a Gauss rule integrates to rounding. LegS needs no more; sliding windows are told how long the signal will
be, or twice that; the time constant of LagT is the best of MEMORIES for another signal. The memory of an LMU is that of
LegT in another scaling.

The LSTM has 256 hidden units as well, of which a linear map is to tell the signal at 400 times. No network of this kind
learns from a million steps on two cores: it reads a thousand samples of each signal, ten times as many as its band
has cycles, and is trained with 2,000 signals for 20 epochs, by the base of the estimators (baselines.py), and
tested with a hundred others. A row takes seconds, that of the LSTM a quarter of an hour.
"""

import time
import timeit
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import torch
from baselines import BaselineRegressor
from runner import RESULTS, arguments, run, train

from sklearn_hippo import HiPPOMemory, Panel

DURATION, BAND, ORDER = 100.0, 1.0, 256
TRAINED = {"series": 2000, "epochs": 20}
LENGTH, TOLD, TESTS = 1000, 400, 100  # of what the LSTM reads, at how many times, of how many test signals
MODELS = {  # windows and time constants in durations of the signal
    "LegS": ("legs", None),
    "LegT": ("legt", 1.0),
    "LegT, twice as long": ("legt", 2.0),
    "LagT": ("lagt", None),
    "FouT": ("fout", 1.0),
}
MEMORIES = 1 / np.array([2, 4, 8, 16, 32, 64, 128, 256])
PICTURE = RESULTS.parents[1] / "docs" / "_static" / "approximation.png"


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


@lru_cache
def gauss_rule():
    """Nodes and weights, and the orthonormal polynomials at the nodes."""
    nodes, weights = np.polynomial.legendre.leggauss(1500)
    return nodes, weights, np.polynomial.legendre.legvander(nodes, ORDER - 1) * np.sqrt(2 * np.arange(ORDER) + 1)


def optimal_error(signal):
    """Mean squared error of the best polynomial of this order, by Parseval's identity and Gauss quadrature."""
    nodes, weights, basis = gauss_rule()
    f = signal((nodes + 1) / 2 * DURATION)
    c = (weights / 2 * f) @ basis
    return weights @ f**2 / 2 - c @ c


def remember(f, model, share=None):
    """The memory of a signal, and the seconds that it takes."""
    share = share or (best_memory(len(f) - 1) if model == "LagT" else MODELS[model][1])
    own = {} if share is None else {"timescale": share * (len(f) - 1)}
    begin = time.perf_counter()
    chunks = (f[k : k + 10_000] for k in range(0, len(f), 10_000))
    memory = HiPPOMemory.from_chunks(chunks, measure=MODELS[model][0], order=ORDER, **own)
    _ = memory.coefficients_
    return memory, time.perf_counter() - begin


def error_of(memory, f):
    """Mean square over all samples."""
    return np.mean((memory.reconstruct(np.arange(len(f), dtype=float))[0, :, 0] - f) ** 2)


@lru_cache
def best_memory(samples):
    """A time constant for LagT, of a signal that is no trial's."""
    f = noise(1000)(np.linspace(0, DURATION, samples + 1))
    return min(MEMORIES, key=lambda share: error_of(remember(f, "LagT", share)[0], f))


def measure(trial, checkpoint):
    """Mean squared errors, and how fast it is."""
    if trial["model"] == "LSTM":
        return trained(trial, checkpoint)
    signal = noise(trial["seed"])
    f = signal(np.linspace(0, DURATION, trial["samples"] + 1))
    memory, seconds = remember(f, trial["model"])
    return row(error_of(memory, f), optimal_error(signal), len(f) / seconds)


def trained(trial, checkpoint):
    """Likewise, of an LSTM and signals that it has not seen."""
    signals = [noise(2000 + 10_000 * trial["seed"] + k) for k in range(trial["series"] + TESTS)]
    t, told = np.linspace(0, DURATION, LENGTH), np.linspace(0, DURATION, TOLD)
    X = Panel(np.concatenate([signal(t) for signal in signals])[:, None], None, LENGTH * np.arange(len(signals) + 1))
    y = np.array([signal(told) for signal in signals])
    model = BaselineRegressor(
        "lstm", ORDER, lr=2e-3, batch_size=32, max_epochs=trial["epochs"], random_state=trial["seed"]
    )
    minutes = train(model, X[: trial["series"]], y[: trial["series"]], checkpoint)
    error = np.mean((model.predict(X[trial["series"] :]) - y[trial["series"] :]) ** 2)
    rnn, x = model.net_.module_.sequence.rnn, torch.zeros(1, 20_000, 3)
    with torch.inference_mode():
        seconds = min(timeit.repeat(lambda: rnn(x), number=1, repeat=5))
    best = np.mean([optimal_error(signal) for signal in signals[trial["series"] :]])
    return {"minutes": minutes, **row(error, best, x.shape[1] / seconds)}


def draw():
    """How a signal began and ended, and what memories of a hundred thousand samples say of that."""
    t = np.linspace(0, DURATION, 10**5 + 1)
    f = noise(0)(t)
    figure, axes = plt.subplots(len(MODELS), 2, figsize=(10, 9), sharex="col", sharey=True, layout="constrained")
    parts = slice(0, len(t) // 10), slice(-len(t) // 10, None)
    for model, pair in zip(MODELS, axes, strict=True):
        told = remember(f, model)[0].reconstruct(np.arange(len(f), dtype=float))[0, :, 0]
        for ax, part in zip(pair, parts, strict=True):
            ax.plot(t[part], f[part], color="0.6", lw=3, label="signal")
            ax.plot(t[part], told[part], color="C0", lw=1.2, label=model)
            ax.spines[["top", "right"]].set_visible(False)
        pair[0].set(ylabel=model, ylim=(-2, 2))
    axes[0, 0].set_title("the first ten seconds of a hundred")
    axes[0, 1].set_title("the last ten")
    for ax in axes[-1]:
        ax.set_xlabel("seconds")
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})
    print(PICTURE)


def row(error, best, speed):
    """What a row tells."""
    error, best, ratio = (float(f"{x:.7g}") for x in (error, best, error / best))
    return {"error": error, "optimal projection": best, "ratio": ratio, "samples/s": round(speed)}


if __name__ == "__main__":
    options = arguments(__doc__, seeds=5)
    samples = 10**5 if options.quick else 10**6
    trials = [
        {"model": model, "order": ORDER, "samples": samples, "seed": seed}
        for seed in range(options.seeds)
        for model in MODELS
    ]
    settings = {"series": 64, "epochs": 1} if options.quick else TRAINED
    trials.append({"model": "LSTM", "order": ORDER, **settings, "seed": 0})
    run("function_approximation", trials, measure, options)
    if not (options.quick or options.only):
        draw()
