"""Speed of the online half, as ratios within one run: the recurrences and HiPPOMemory.

The references are the scalar C recurrence of the projection benchmark (recurrence.c), order 256, and dense systems in
NumPy. Double precision, one thread unless said, medians.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from common import RESULTS, load_recurrence, medians, report

from sklearn_hippo import HiPPOMemory, Panel
from sklearn_hippo._measures import MEASURES
from sklearn_hippo._recurrence import recur

ORDER = 256


def one_series(table):
    """Every state of one series, by the same bilinear steps as the reference."""
    rng = np.random.default_rng(0)
    length = 50_000
    times = np.cumsum(rng.exponential(size=length))
    values = np.cumsum(rng.normal(size=length)) / 300
    panel, reference = Panel(values, times), load_recurrence()
    visited, stored, scalar = medians(
        lambda: recur(panel, MEASURES["legs"], ORDER, discretization="bilinear"),
        lambda: recur(panel, MEASURES["legs"], ORDER, discretization="bilinear", visit=True),
        lambda: reference(values, times, ORDER),
    )
    for name, seconds in [("every state visited", visited), ("every state visited and returned", stored)]:
        table.add_row(
            f"one series of {length:,} observations, {name}",
            f"{length / seconds / 1e6:.2f} M steps/s",
            f"scalar recurrence: {length / scalar / 1e6:.2f} M/s",
            f"{scalar / seconds:.1f} x faster",
        )


def sliding_windows(table):
    """Steps of the measures with a sliding window, whose A is normal plus low rank, over irregular series."""
    rng = np.random.default_rng(0)
    n_series, length, some = 32, 1_000, 200
    times = np.cumsum(rng.exponential(size=n_series * length))
    panel = Panel(rng.normal(size=n_series * length), times, length * np.arange(n_series + 1))
    for name in ("legt", "fout"):
        for order in (32, 128):
            dynamics = MEASURES[name].dynamics(order)

            def dense(dynamics=dynamics):
                c, one = np.zeros(len(dynamics.B)), np.eye(len(dynamics.B))
                for h, f in zip(np.diff(times[: some + 1]) / 300, panel.values[:some, 0], strict=True):
                    hA = h * dynamics.A
                    c = np.linalg.solve(one - hA / 2, c + hA @ c / 2 + h * dynamics.B * f)

            def ours(n_threads, name=name, order=order):
                recur(panel, MEASURES[name], order, timescale=300.0, discretization="bilinear", n_threads=n_threads)

            one, two, numpy = medians(lambda: ours(1), lambda: ours(2), dense)
            one, two, numpy = one / (n_series * length), two / (n_series * length), numpy / some
            table.add_row(
                f"{n_series} irregular series, {name}, order {order}, bilinear",
                f"{1e-6 / one:.2f} M steps/s, two threads {1e-6 / two:.2f}",
                f"dense systems in NumPy: {1e-3 / numpy:.1f} k/s",
                f"{numpy / one:.0f} x faster",
            )


def many_streams(table):
    """1,024 streams with times of their own, advanced together by HiPPOMemory (exact, straight lines)."""
    rng = np.random.default_rng(0)
    n_streams, length = 1024, 512
    times = np.cumsum(rng.exponential(size=(n_streams, length)), axis=1)
    values = np.cumsum(rng.normal(size=(n_streams, length, 1)), axis=1)
    reference = load_recurrence()
    flat, clock = np.cumsum(rng.normal(size=20_000)), np.cumsum(rng.exponential(size=20_000))
    for chunk in (1, 16, 256):

        def run(chunk=chunk):
            memory = HiPPOMemory(order=ORDER, n_streams=n_streams)
            for k in range(0, length, chunk):
                memory.update(values[:, k : k + chunk], times[:, k : k + chunk])
            return memory.coefficients_

        ours, scalar = medians(run, lambda: reference(flat, clock, ORDER), repeats=3)
        ours, scalar = ours / (n_streams * length), scalar / len(flat)
        table.add_row(
            f"{n_streams:,} streams of irregular observations, {chunk} at a time",
            f"{1e-6 / ours:.2f} M stream-steps/s",
            f"scalar recurrence: {1e-6 / scalar:.2f} M/s",
            f"{scalar / ours:.1f} x faster",
        )


if __name__ == "__main__":
    report(one_series, sliding_windows, many_streams, path=RESULTS / "memory_speed.csv")
