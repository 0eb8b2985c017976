"""How the time of `HiPPOTransformer.transform` grows with length, order, channels and threads.

    python examples/benchmarks/scaling.py

Medians, double precision, values that run like a random walk. Writes examples/results/scaling.csv, which
examples/plot_speed.py draws.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import csv

import numpy as np
from common import RESULTS, load_recurrence, medians
from joblib import cpu_count
from rich.progress import track

from sklearn_hippo import HiPPOTransformer, Panel


def panel(n, length, n_channels=1, irregular=False):
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=(n * length, n_channels)), axis=0) / 300
    times = np.cumsum(rng.exponential(size=n * length)) if irregular else None
    return Panel(values, times, length * np.arange(n + 1))


def seconds(X, repeats, **kwargs):
    transformer = HiPPOTransformer(**{"n_jobs": 1} | kwargs).fit(X)
    return medians(lambda: transformer.transform(X), repeats=repeats, warm=True)[0]


def cases():
    """Axis, curve, place on the axis, observations and seconds."""
    recurrence = load_recurrence()
    for exponent in range(2, 8):
        for half in (1, 3):
            length = half * 10**exponent
            if length > 10_000_000:
                continue
            for irregular in (False, True):
                X = panel(1, length, irregular=irregular)
                for interpolation in ("hold", "linear"):
                    name = f"{'irregular' if irregular else 'regular'}, {interpolation}"
                    yield "length", name, length, length, seconds(X, 7, order=256, interpolation=interpolation)
            if length <= 100_000:
                x, t = X.values[:, 0].copy(), np.arange(1.0, length + 1)
                (scalar,) = medians(lambda x=x, t=t: recurrence(x, t, 256), repeats=3)
                yield "length", "scalar recurrence", length, length, scalar
    for n, length in [(10_000, 100), (500, 2_000), (10, 100_000), (1, 1_000_000)]:
        X = panel(n, length)
        for order in (4, 8, 16, 32, 64, 128, 256, 512, 1024):
            yield "order", f"{n:,} x {length:,}", order, n * length, seconds(X, 5, order=order)
    for n_channels in (1, 2, 3, 4, 6, 8, 12, 16, 32, 64):
        X = panel(2_000, 200, n_channels)
        yield "channels", "2,000 x 200", n_channels, 400_000, seconds(X, 7, order=32)
    for threads in range(1, cpu_count() + 1):
        for n, length in [(10_000, 100), (2_000, 2_000)]:
            X = panel(n, length)
            yield "threads", f"{n:,} x {length:,}", threads, n * length, seconds(X, 9, order=32, n_jobs=threads)


if __name__ == "__main__":
    rows = list(track(cases(), description="measuring", total=None))
    with (RESULTS / "scaling.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["axis", "curve", "place", "observations", "seconds"])
        writer.writerows((*row, f"{one:.4g}") for *row, one in rows)
