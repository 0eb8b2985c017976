"""Time and memory of HiPPOClassifier on very many series.

    python examples/benchmarks/many_series.py [--series 100000] [--threads 2]
    python examples/benchmarks/many_series.py --series 1000000 --parts 8 --features 500 --conjunctions 1000

Series of 60 to 140 observations at irregular times, a fifth of the values missing: noise, and in it a bump of one of
five shapes. As many test series as a tenth of them, at most 20,000. With parts, each of as many workers of a dask
cluster as there are threads makes its series some at a time, and sends back sums. One line is added to
examples/results/many_series.csv; peaks of memory are those of the largest process.
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


class Stretches:
    """Reads a part: its series, 2,000 at a time."""

    def __init__(self, n):
        self.n = n

    def __call__(self, part):
        for begin in range(0, self.n, 2000):
            yield make(min(2000, self.n - begin), [1, part, begin])


def fit(classifier, given):
    """Fit, and return what the data took, in KiB."""
    if not given.parts:
        panel, y = make(given.series, 0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        classifier.fit(panel, y)
        return before
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=given.threads, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        read = Stretches(given.series // given.parts)
        classifier.fit_parts(range(given.parts), read, executor=client.get_executor())
        return 0


def main():
    """Fit, predict, and add what it took to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", type=int, default=0)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--conjunctions", type=int, default=2000)
    given = parser.parse_args()
    from threadpoolctl import threadpool_limits

    from sklearn_hippo import HiPPOClassifier

    test, y_test = make(min(given.series // 10, 20_000), [0, 1])
    classifier = HiPPOClassifier(
        given.features, conjunctions=given.conjunctions, random_state=0, n_jobs=1 if given.parts else given.threads,
        verbose=1,
    )  # fmt: skip
    with threadpool_limits(given.threads):
        begin = time.perf_counter()
        before = fit(classifier, given)
        seconds = time.perf_counter() - begin
        begin = time.perf_counter()
        probability = classifier.predict_proba(test)
        predict = time.perf_counter() - begin
    own = probability[np.arange(len(test)), y_test]
    row = {
        "series": given.series, "parts": given.parts or 1, "features": len(classifier.coef_), "threads": given.threads,
        "fit, s": round(seconds, 1), "predict, ms/series": round(1000 * predict / len(test), 3),
        "peak, GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "of it data": round(before / 2**20, 2),
        "accuracy": round(float(np.mean(probability.argmax(axis=1) == y_test)), 4),
        "log-loss": round(float(-np.log(own).mean()), 4),
    }  # fmt: skip
    pd.DataFrame([row]).to_csv(RESULTS, mode="a", header=not RESULTS.exists(), index=False, lineterminator="\n")
    print(pd.Series(row).to_string())


if __name__ == "__main__":
    main()
