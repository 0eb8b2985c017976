"""What one small call costs, in microseconds: a stream's next number has to be remembered while it is news.

Order 64, one thread, medians of thousands of calls, amortized: the work that is put off is in them. The reference for a
memory is what a recurrence costs at the least in NumPy: a product of a matrix, which is known in advance because the
steps are all alike, with the state. And what it costs to read series from a list, and to predict one.
"""

import warnings

import numpy as np
import pandas as pd
import torch
from common import RESULTS, medians, report
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_hippo import HiPPOMemory, HiPPORNNClassifier, HiPPOTransformer, Panel

ORDER = 64


def updates(table):
    """One observation more, with its time."""
    rng = np.random.default_rng(0)
    n = 64 * 40
    values, times = rng.normal(size=n), np.cumsum(rng.exponential(size=n))
    numbers, clock = values.tolist(), times.tolist()
    A, B, state = rng.normal(size=(ORDER, ORDER)) / ORDER, rng.normal(size=ORDER), np.zeros(ORDER)

    def dense():
        c = state
        for x in numbers:
            c = A @ c + B * x
        return c

    def add(what, one_at_a_time):
        ours, reference = medians(one_at_a_time, dense)
        table.add_row(
            f"HiPPOMemory.update, {what}",
            f"{1e6 * ours / n:.1f} us",
            f"dense step in NumPy: {1e6 * reference / n:.1f} us",
            f"{ours / reference:.1f} x",
        )

    for measure in ("legs", "legs_lti", "lagt", "legt"):

        def run(measure=measure):
            memory = HiPPOMemory(measure, ORDER, timescale=100.0)
            for x, t in zip(numbers, clock, strict=True):
                memory.update(x, t)

        add(f"{measure}, a number and its time", run)

    def arrays():
        memory = HiPPOMemory("legs", ORDER, n_channels=3)
        for x, t in zip(several, clock, strict=True):
            memory.update(x, t)

    several = rng.normal(size=(n, 3))
    add("legs, an array of 3 channels and its time", arrays)


def streams(table):
    """One observation more of each of a thousand streams."""
    rng = np.random.default_rng(0)
    n, n_streams = 64 * 5, 1000
    values = rng.normal(size=(n, n_streams))
    times = np.cumsum(rng.exponential(size=(n, n_streams)), axis=0)

    def together():
        memory = HiPPOMemory("legs", ORDER, n_streams=n_streams)
        for x, t in zip(values, times, strict=True):
            memory.update(x, t)

    def apart():
        memories = [HiPPOMemory("legs", ORDER) for _ in range(n_streams)]
        for x, t in zip(values, times, strict=True):
            for memory, a, b in zip(memories, x.tolist(), t.tolist(), strict=True):
                memory.update(a, b)

    def some():
        memory = HiPPOMemory("legs", ORDER, n_streams=n_streams)
        for x, t in zip(values, times, strict=True):
            memory.update(x[:10], t[:10], which)

    which = rng.permutation(n_streams)[:10]
    ours, few, reference = medians(together, some, apart, repeats=3)
    for what, seconds, share in (("at once", ours, 1), ("of which 10 are updated", few, 100)):
        table.add_row(
            f"HiPPOMemory.update, legs, {n_streams:,} streams {what}",
            f"{1e6 * seconds / n:.0f} us",
            f"as many memories: {1e6 * reference / n / share:.0f} us",
            f"{seconds / reference * share:.2f} x",
        )


def lists(table):
    """Series of 50 into a panel, without and with their own times."""
    rng = np.random.default_rng(0)
    n = 20_000
    pairs = [(np.sort(rng.uniform(size=50)), rng.normal(size=50)) for _ in range(n)]
    series = [pd.Series(values, times) for times, values in pairs[: n // 10]]
    panel = Panel.from_list(pairs)
    transformer = HiPPOTransformer(order=16).fit(panel)
    (reference,) = medians(lambda: transformer.transform(panel))
    for what, many in (("tuples of arrays", pairs), ("pandas Series", series)):
        (ours,) = medians(lambda many=many: Panel.from_list(many))
        table.add_row(
            f"Panel.from_list, a series of 50, {what}",
            f"{1e6 * ours / len(many):.1f} us",
            f"its transform, order 16: {1e6 * reference / n:.1f} us",
            f"{ours / len(many) / (reference / n):.1f} x",
        )


def predictions(table):
    """One series at a time, as a service predicts them."""
    rng = np.random.default_rng(0)
    X, y = [rng.normal(size=(50, 3)) for _ in range(40)], np.arange(40) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noise teaches nothing
        network = HiPPORNNClassifier(max_epochs=1).fit(X, y)
    features = make_pipeline(HiPPOTransformer(), LogisticRegression()).fit(X, y)
    ours, reference = (
        one / len(X) for one in medians(*(lambda m=m: [m.predict([x]) for x in X] for m in (network, features)))
    )
    table.add_row(
        "HiPPORNNClassifier.predict, one series of 50 x 3",
        f"{1e6 * ours:.0f} us",
        f"HiPPOTransformer and LogisticRegression: {1e6 * reference:.0f} us",
        f"{ours / reference:.1f} x",
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    report(
        updates,
        streams,
        lists,
        predictions,
        columns=("what", "a call", "reference", "ratio"),
        path=RESULTS / "small_speed.csv",
    )
