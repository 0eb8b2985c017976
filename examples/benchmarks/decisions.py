"""What was tried for HiPPOClassifier, and what it did to the accuracy: the table of the page on random features.

    .venv-bench/bin/python examples/benchmarks/decisions.py FOLDER [--seeds 0]

Three-fold cross-validation on the training series of the sets of classification.py: no test series is seen. Every idea
is a change of the blocks of features, or of the head, of the same draw, that of ``HiPPOClassifier(normalized=True)``,
or another draw; accuracies are compared set by set. Resumable: every line is written to examples/results/decisions.csv
as it is done; the summary is decisions_table.csv. One thread.
"""

import argparse
import csv
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

from pathlib import Path

import numpy as np
import pandas as pd
from classification import DEVELOPMENT, OTHERS, SHIPPED, load
from rich.progress import track
from sklearn.model_selection import StratifiedKFold

from sklearn_hippo import RandomHiPPOTransformer, _head, _views
from sklearn_hippo._head import Features, fit_calibrated, fit_head, predict
from sklearn_hippo._ridge import blocks_of

RESULTS = Path(__file__).parents[1] / "results" / "decisions.csv"


class Problem:
    """Features of a fold under a draw, in blocks, and what is asked of them."""

    def __init__(self, train, y, test, y_test, seed):
        self.train, self.y, self.test, self.y_test, self.seed = train, y, test, y_test, seed
        self.blocks, self.A, self.B = self.features({"normalized": True})

    def features(self, parameters, seed=0):
        """Blocks (name of the view, pooling, columns), and the features of training and test series."""
        transformer = RandomHiPPOTransformer(**parameters, random_state=self.seed + seed).fit(self.train)
        return blocks_of(transformer), transformer.transform(self.train), transformer.transform(self.test)

    def with_more(self, parameters, variances):
        """These, and some blocks of another draw."""
        blocks, A, B = self.features(parameters, seed=100)
        used = [(view, what, columns, variances[what]) for view, what, columns, _ in blocks if what in variances]
        more, parts = [], [[self.A], [self.B]]
        start = self.A.shape[1]
        for view, what, columns, variance in used:
            stop = start + columns.stop - columns.start
            more.append((view, what, slice(start, stop), variance))
            parts[0].append(A[:, columns])
            parts[1].append(B[:, columns])
            start = stop
        return self.blocks + more, np.hstack(parts[0]), np.hstack(parts[1])

    def accuracy(self, blocks, A, B, how=None):
        """Of a head: the default, or one that is told how."""
        classes, codes = np.unique(self.y, return_inverse=True)
        targets = np.where(codes[:, None] == np.arange(len(classes)), 1.0, -1.0)
        features, weights = Features(lambda rows: rows, A, A.shape[1], kept=A), np.ones(len(A))
        columns = [(columns, variance) for _, _, columns, variance in blocks]
        if how is None:
            head = fit_calibrated(features, targets, weights, columns, self.seed)
        else:
            head = fit_head(features, targets, weights, columns, len(classes), **how)
        outputs = head.temperature * predict(B, head.scaling, *head.solution[:2]) + head.offset
        return float(np.mean(classes[outputs.argmax(axis=1)] == self.y_test)), head.loss


def without(problem, wrong, how=None):
    """Blocks that are not wanted have no weight."""
    blocks = [(v, w, c, 1e-12 if wrong(v, w) else variance) for v, w, c, variance in problem.blocks]
    return problem.accuracy(blocks, problem.A, problem.B, how)


def with_grid(problem, learn):
    """The defaults under another grid."""
    original = _views.Grid.learn
    _views.Grid.learn = learn
    try:
        return problem.with_more(
            {"n_features": 500, "windows": "relative", "conjunctions": 0, "normalized": False},
            {"ppv": 0.3, "longest": 0.15},
        )
    finally:
        _views.Grid.learn = original


def shortest(relative, durations, n_stamps):
    """Windows of 1 to 12 cells only, which are as short as the observations are apart, up to 2,048 of them."""
    typical = max(float(np.median(n_stamps)), 2.0)
    n = int(np.clip(2 ** np.ceil(np.log2(typical)), 64, 2048))
    return _views.Grid(True, n, 0.0, 12.0, 1.0)


def of_windows(problem):
    """Relative, absolute or both, by the cross-validated loss of the probabilities."""
    tried = [
        problem.accuracy(problem.blocks, problem.A, problem.B),
        without(problem, lambda view, what: view.startswith("absolute")),
        without(problem, lambda view, what: view.startswith("relative")),
    ]
    return min(tried, key=lambda one: one[1])


def with_all_pairs(problem):
    """As many thresholds for pairs as there are single ones, instead of half as many."""
    original = _views.View.fit

    def fit(self, panel, rng, target, n_paired, n_pairs, n_threads):
        return original(self, panel, rng, target, 2 * n_paired, n_pairs, n_threads)

    _views.View.fit = fit
    try:
        return problem.accuracy(*problem.features({"normalized": True}))
    finally:
        _views.View.fit = original


def with_floor(problem, floor):
    """Another share of variance below which all features are alike."""
    original, _head.FLOOR = _head.FLOOR, floor
    try:
        return problem.accuracy(problem.blocks, problem.A, problem.B)
    finally:
        _head.FLOOR = original


SPREAD = {"poolings": ("thirds", "spread"), "conjunctions": 0, "normalized": False}
SUMMARIES = {
    "n_features": 1, "windows": "relative", "conjunctions": 0, "normalized": False, "summaries": True,
}  # fmt: skip
LIGHT = [
    {"n_features": n, "windows": windows, "order": order, "conjunctions": pairs}
    for n, windows, order, pairs in (
        (480, "relative", 4, 1000), (480, "relative", 6, 1000), (480, "relative", 3, 1000), (240, "both", 4, 500),
        (1000, "relative", 4, 0), (480, "absolute", 4, 1000),
    )
]  # fmt: skip
IDEAS = {
    "normalized=True": lambda p: p.accuracy(p.blocks, p.A, p.B),
    "never at unit length, never balanced": lambda p: p.accuracy(p.blocks, p.A, p.B, {}),
    "always at unit length": lambda p: p.accuracy(p.blocks, p.A, p.B, {"unit": True}),
    "always balanced by a half": lambda p: p.accuracy(p.blocks, p.A, p.B, {"power": 0.5}),
    "relative windows only": lambda p: without(p, lambda view, what: view.startswith("absolute")),
    "absolute windows only": lambda p: without(p, lambda view, what: view.startswith("relative")),
    "which windows, by cross-validation": of_windows,
    "no series standardized by themselves": lambda p: without(p, lambda view, what: view.endswith("normalized")),
    "no pairs": lambda p: without(p, lambda view, what: what == "pairs"),
    "no longest stretches": lambda p: without(p, lambda view, what: what == "longest"),
    "thirds as well": lambda p: p.accuracy(*p.with_more(SPREAD, {"thirds": 0.1})),
    "spread as well": lambda p: p.accuracy(*p.with_more(SPREAD, {"spread": 0.1})),
    "windows of 1 to 12 observations as well": lambda p: p.accuracy(*with_grid(p, shortest)),
    "eight numbers a channel as well": lambda p: p.accuracy(*p.with_more(SUMMARIES, {"channels": 3.0})),
    "share that is alike: 0.05 for 0.02": lambda p: with_floor(p, 0.05),
    "twice as many thresholds for pairs": with_all_pairs,
    **{
        f"light: {', '.join(map(str, light.values()))}": lambda p, light=light: p.accuracy(*p.features(light))
        for light in LIGHT
    },
}


def folds(folder, name, seed):
    """Problems of a cross-validation on the training series of a set, of three folds, or two where a class is rare."""
    train, y, *_ = load(folder, name)
    n_folds = max(2, min(3, np.unique(y, return_counts=True)[1].min()))
    for one, other in StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y):
        yield Problem(train[one], y[one], train[other], y[other], seed)


def main():
    """Run what has not been run, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    given = parser.parse_args()
    columns = ["set", "seed", "idea", "accuracy"]
    done = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=columns)
    known = set(done[columns[:3]].itertuples(index=False, name=None))
    sets = [s for s in DEVELOPMENT + OTHERS if s in SHIPPED or (given.folder / f"{s}.npz").exists()]
    for name, seed in track([(name, seed) for seed in given.seeds for name in sets]):
        left = [idea for idea in IDEAS if (name, seed, idea) not in known]
        if not left:
            continue
        problems = list(folds(given.folder, name, seed))
        shares = [len(problem.y_test) for problem in problems]
        for idea in left:
            accuracy = np.average([IDEAS[idea](problem)[0] for problem in problems], weights=shares)
            new = not RESULTS.exists()
            with RESULTS.open("a", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerows([columns] * new + [[name, seed, idea, round(accuracy, 5)]])
    table = pd.read_csv(RESULTS).pivot_table(index="set", columns="idea", values="accuracy")
    difference = 100 * table.sub(table["normalized=True"], axis=0)
    summary = pd.DataFrame({
        "points": difference.mean(), "standard error": difference.std() / np.sqrt(len(table)),
        "sets better": (difference > 1e-9).sum(), "sets worse": (difference < -1e-9).sum(),
    }).reindex(list(IDEAS)[1:])  # fmt: skip
    summary.to_csv(RESULTS.with_name("decisions_table.csv"), float_format="%.2f", lineterminator="\n")
    print(f"{100 * table['normalized=True'].mean():.2f}\n{summary.round(2).to_string()}")


if __name__ == "__main__":
    main()
