"""Time and memory of HiPPOClassifier on very many series, with the default features.

    python examples/benchmarks/many_series.py [--series 100000] [--threads 2]

Series of 60 to 140 observations at irregular times, a fifth of the values missing: noise, and in it a bump of one of
five shapes. As many test series as a tenth of them. One line is added to examples/results/many_series.csv.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parents[1] / "results" / "many_series.csv"


def make(n, seed):
    """A panel of n series, and their classes."""
    from sklearn_hippo import Panel

    rng = np.random.default_rng(seed)
    lengths = rng.integers(60, 141, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    which = np.repeat(np.arange(n), lengths)
    times = np.cumsum(rng.exponential(size=len(which)))
    times -= times[offsets[:-1]][which]
    y = rng.integers(0, 5, n)
    width = 8.0
    u = (times - (width + rng.uniform(size=n) * (50 - 2 * width))[which]) / width
    u = np.clip(u, -1, 1)
    shapes = np.stack([np.sin(np.pi * u), np.sin(2 * np.pi * u), 1 - np.abs(u), 1 - u**2, np.sign(u) * (1 - np.abs(u))])
    values = 2 * shapes[y[which], np.arange(len(which))] + 0.3 * rng.normal(size=len(which))
    values[rng.uniform(size=len(values)) < 0.2] = np.nan
    return Panel(values[:, None], times, offsets), y


def main():
    """Fit, predict, and add what it took to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    from threadpoolctl import threadpool_limits

    from sklearn_hippo import HiPPOClassifier

    panel, y = make(given.series, 0)
    test, y_test = make(given.series // 10, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with threadpool_limits(given.threads):
        begin = time.perf_counter()
        classifier = HiPPOClassifier(random_state=0, n_jobs=given.threads).fit(panel, y)
        fit = time.perf_counter() - begin
        probability = classifier.predict_proba(test)
        predict = time.perf_counter() - begin - fit
    own = probability[np.arange(len(test)), y_test]
    row = {
        "series": given.series, "features": len(classifier.coef_), "threads": given.threads,
        "fit, s": round(fit, 1), "predict, ms/series": round(1000 * predict / len(test), 3),
        "peak, GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "of it data": round(before / 2**20, 2),
        "accuracy": round(float(np.mean(probability.argmax(axis=1) == y_test)), 4),
        "log-loss": round(float(-np.log(own).mean()), 4),
    }  # fmt: skip
    pd.DataFrame([row]).to_csv(RESULTS, mode="a", header=not RESULTS.exists(), index=False, lineterminator="\n")
    print(pd.Series(row).to_string())


if __name__ == "__main__":
    main()
