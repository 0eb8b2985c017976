"""What the paper proves, checked numerically; all of it in a minute.

    python examples/paper/theory.py [--quick] [--seeds 1]

"3, stretched" and "3, fewer"
    Proposition 3: LegS does not see the scale of time. How far the coefficients of a random signal are from those of
    the same signal whose times are multiplied, or of which one observation in so many is left, relative to their size.
"4, seconds" and "4, bytes"
    Proposition 4: a step costs O(order), whatever came before. Seconds of a step, and the size of a pickle.
"5, gradient"
    Proposition 5: the gradient of the memory with respect to one observation falls as 1 / t. Its norm, against the
    number of observations since then; of an LSTM, of its hidden state, by forward differentiation.
"6, error"
    Proposition 6: a signal whose k-th derivative is bounded is known up to O(order^(1/2 - k)). Root mean square error
    of the projection of a power, (t - a)^k from a on, and of a sine, against the order.

Writes docs/_static/theory.png, too.
"""

import pickle
import time
from functools import lru_cache
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from runner import arguments, run
from torch import nn

from sklearn_hippo import HiPPOMemory, HiPPOTransformer, Panel
from sklearn_hippo.datasets import scale_time, subsample

PICTURE = Path(__file__).parents[2] / "docs" / "_static" / "theory.png"
ORDER, SAMPLES = 32, 3601
FACTORS = (2, 3, 5, 10, 20, 50)
SINCE = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
ORDERS = (4, 8, 16, 32, 64, 128, 256)
SEEN = (100, 1000, 10_000, 100_000, 1_000_000)
FADING = 100.0  # timescale of what does not scale, in observations
FEW = 8  # coefficients, whose gradient falls as 1 / t from about FEW**2 observations on
MEMORIES = {
    "LegS, projection": {},
    "LegS, bilinear steps": {"method": "recurrence", "discretization": "bilinear"},
    "LegT, fixed window": {"measure": "legt", "timescale": SAMPLES / 4},
    "LagT, fixed timescale": {"measure": "lagt", "timescale": SAMPLES / 4},
}
CLAIMS = {  # models, and at what
    "3, stretched": (MEMORIES, FACTORS),
    "3, fewer": (MEMORIES, FACTORS),
    "4, seconds": (("bilinear steps, by order", "HiPPOMemory, by what it has seen"), None),
    "4, bytes": (("HiPPOMemory, by order", "HiPPOMemory, by what it has seen"), None),
    "5, gradient": (("LegS", "LagT", "LSTM", "LSTM, forget bias 3"), SINCE),
    "6, error": (("k = 1", "k = 2", "k = 3", "sine"), ORDERS),
}


def trials(options):
    """All of them; those of the costs by what the model's name says."""
    for claim, (models, at) in CLAIMS.items():
        for model in models:
            for x in at or (ORDERS if model.endswith("order") else SEEN):
                yield from ({"claim": claim, "model": model, "at": x, "seed": seed} for seed in range(options.seeds))


def measure(trial, checkpoint):
    """One number."""
    functions = {"3": equivariance, "4": cost, "5": gradient, "6": error}
    return {"value": float(f"{functions[trial['claim'][0]](**trial):.3g}")}


def equivariance(claim, model, at, seed):
    """Relative distance of coefficients."""
    rng = np.random.default_rng(seed)
    t = np.arange(SAMPLES)
    a, phase = rng.normal(size=6), rng.uniform(0, 2 * np.pi, 6)
    X = Panel(np.cos(np.outer(t, np.arange(6)) * 2 * np.pi / SAMPLES + phase) @ a)
    # Fewer observations are as in the paper's experiment: nothing tells that they are further apart.
    Z = scale_time(X, float(at)) if claim == "3, stretched" else Panel(subsample(X, at).values)
    transformer = HiPPOTransformer(order=ORDER, **MEMORIES[model]).fit(X)
    c, other = transformer.transform(X), transformer.transform(Z)
    return np.linalg.norm(other - c) / np.linalg.norm(c)


def cost(claim, model, at, seed):
    """Seconds of a step, the best of five tries, or bytes."""
    rng = np.random.default_rng(seed)
    order, seen = (at, 1000) if model.endswith("order") else (ORDER, at)
    if model.startswith("bilinear"):
        X = Panel(rng.normal(size=20_000))
        recurrence = HiPPOTransformer(order=order, method="recurrence", discretization="bilinear", n_jobs=1).fit(X)
        return best(lambda: recurrence.transform(X)) / len(X.values)
    memory = HiPPOMemory(order=order).update(rng.normal(size=seen))
    if claim == "4, bytes":
        return len(pickle.dumps(memory))
    return best(lambda: memory.update(rng.normal(size=1000))) / 1000


def best(function):
    """Seconds it takes, undisturbed."""
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def gradient(claim, model, at, seed):
    """Norm of the derivative of what is remembered by the first observation."""
    return gradients(model, seed)[at]


@lru_cache
def gradients(model, seed):
    """The same after every observation."""
    length = SINCE[-1] + 1
    if not model.startswith("LSTM"):  # coefficients are linear: their derivative is the memory of an impulse
        impulse = np.zeros(length)
        impulse[0] = 1
        measure = {"measure": "lagt", "timescale": FADING} if model == "LagT" else {}
        # The first observation is no more than one: it is not all of the past.
        memory = HiPPOTransformer(order=FEW, past="zero", method="recurrence", discretization="zoh", **measure)
        return np.linalg.norm(memory.fit([impulse]).transform_online([impulse]).values, axis=1)
    torch.manual_seed(seed)
    lstm = nn.LSTM(1, ORDER, batch_first=True, dtype=torch.float64)
    if model.endswith("3"):
        with torch.no_grad():
            lstm.bias_hh_l0[ORDER : 2 * ORDER] = 3
    x = torch.randn(1, length, 1, dtype=torch.float64)
    direction = torch.zeros_like(x)
    direction[0, 0] = 1
    with torch.no_grad():
        _, derivative = torch.func.jvp(lambda x: lstm(x)[0], (x,), (direction,))
    return derivative[0].norm(dim=1).numpy()


def error(claim, model, at, seed):
    """Root mean square of what the projection misses."""
    n = 2**18  # so many straight lines are the signal, to 1e-9
    t = np.linspace(0, 1, n + 1)
    kink = np.random.default_rng(seed).integers(n // 4, 3 * n // 4) / n
    f = np.sin(20 * t) if model == "sine" else np.maximum(t - kink, 0) ** int(model[-1])
    transformer = HiPPOTransformer(order=at).fit(Panel(f, t))
    back = transformer.inverse_transform(transformer.transform(Panel(f, t)), t).values[:, 0]
    return np.sqrt(np.trapezoid((f - back) ** 2, t))


def draw(results):
    """A picture for each proposition."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    value = (
        results.assign(at=results["at"].astype(int)).pivot_table("value", ["claim", "model"], "at").sort_index(axis=1)
    )
    floor = 1e-17

    def lines(ax, claim, models, style="o-", label="{}", nothing=np.nan):
        for k, model in enumerate(models):
            y = value.loc[(claim, model)].dropna()
            ax.loglog(y.index, y.where(y > floor, nothing), style, ms=4, color=f"C{k}", label=label.format(model))

    scale, costs, gradients, errors = axes.flat
    lines(scale, "3, stretched", MEMORIES, nothing=1e-16)
    lines(scale, "3, fewer", list(MEMORIES)[:2], "o:", "{}, fewer observations")
    scale.set(title="3: another scale of time", xlabel="times multiplied by, or one observation of",
              ylabel="relative change of coefficients", ylim=(floor, 1e9))  # fmt: skip
    scale.set_xticks(FACTORS, FACTORS, minor=False)
    scale.minorticks_off()
    lines(costs, "4, seconds", CLAIMS["4, seconds"][0])
    steps = value.loc[("4, seconds", "bilinear steps, by order")].dropna()
    costs.loglog(steps.index, steps[256] * steps.index / 256, "k:", label="in proportion to the order")
    costs.set(title="4: a step", xlabel="order, or observations seen", ylabel="seconds", ylim=(1e-8, 1e-5))
    lines(gradients, "5, gradient", CLAIMS["5, gradient"][0])
    since = np.array(SINCE)
    gradients.loglog(since, FEW / since, "k:", label="order / t")
    gradients.set(title="5: gradient of an observation", xlabel="observations since", ylabel="norm", ylim=(floor, 1e2))
    lines(errors, "6, error", CLAIMS["6, error"][0])
    orders = np.array(ORDERS)
    for k in (1, 2, 3):
        first = value.loc[("6, error", f"k = {k}"), 4]
        bound = first * (orders / 4.0) ** (0.5 - k)
        errors.loglog(orders, bound, ":", color=f"C{k - 1}", label=f"order^({0.5 - k:g})")
    errors.set(title="6: error of the projection", xlabel="order", ylabel="root mean square")
    errors.set_xticks(ORDERS, ORDERS, minor=False)
    errors.minorticks_off()
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8, ncols=2 if ax is scale else 1)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})
    print(PICTURE)


if __name__ == "__main__":
    options = arguments(__doc__, seeds=1)
    results = run("theory", trials(options), measure, options)
    if not (options.quick or options.only):
        draw(results)
