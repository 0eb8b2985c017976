"""sktime's ClassificationBenchmark over the classification sets that it ships: our classifiers and its own.

    .venv-bench/bin/python examples/benchmarks/sktime_benchmark.py [set ...]

Three resamples of each set: the official split, and two random ones of the same sizes, stratified. Results are kept
after every set, so that an interrupted run goes on. Writes examples/results/sktime_benchmark.csv (mean accuracy over
the resamples) and a file for each set beside it.

sktime 1.2 hands a splitter the instances without their labels, which no stratified splitter can use, and takes the X of
a split in the order of the instances but its y in that of the splitter: unsorted indices silently misalign the two. The
splitter here brings the labels and sorts; a set whose labels stand in its values is the guard that notices otherwise.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from common import CLASSIFIERS, FOLDS, MEASURES, ORDERS, RESULTS
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sktime import datasets
from sktime.benchmarking.classification import ClassificationBenchmark
from sktime.classification.distance_based import KNeighborsTimeSeriesClassifier
from sktime.classification.feature_based import Catch22Classifier
from sktime.classification.kernel_based import RocketClassifier
from sktime.classification.model_selection import TSCGridSearchCV

from sklearn_hippo import HiPPOTransformer
from sklearn_hippo.sktime import HiPPOFeatures, HiPPORNNTimeSeriesClassifier

SETS = {
    "UnitTest": datasets.load_unit_test,
    "JapaneseVowels": datasets.load_japanese_vowels,
    "PLAID": datasets.load_plaid,
    "BasicMotions": datasets.load_basic_motions,
    "GunPoint": datasets.load_gunpoint,
    "ItalyPowerDemand": datasets.load_italy_power_demand,
    "ArrowHead": datasets.load_arrow_head,
    "OSULeaf": datasets.load_osuleaf,
    "ACSF1": datasets.load_acsf1,
}
N_RESAMPLES = 3


def estimators(X):
    """Those that take a set: sktime's want series of one length, and DTW is slow for many long ones."""
    lengths = np.array([len(cell) for cell in X.iloc[:, 0]])
    yield "HiPPO (legs, 16) + SVC", HiPPOFeatures(order=16) * SVC(C=10.0)
    yield "HiPPO (fous, 64) + extra trees", HiPPOFeatures("fous", 64) * ExtraTreesClassifier(500, random_state=0)
    grid = {"HiPPOFeatures__measure": MEASURES, "HiPPOFeatures__order": ORDERS, "classifier": CLASSIFIERS}
    yield "HiPPO, searched", TSCGridSearchCV(HiPPOFeatures(add_duration=True) * SVC(), grid, cv=FOLDS)
    yield "HiPPO-RNN", HiPPORNNTimeSeriesClassifier(random_state=0)
    if len(set(lengths)) == 1:
        yield "ROCKET", RocketClassifier(num_kernels=2000, random_state=0)
        yield "Catch22", Catch22Classifier(random_state=0)
        if len(X) * lengths[0] < 100_000:
            yield "1-NN, DTW", KNeighborsTimeSeriesClassifier()


class Resamples:
    """The official split first, then random ones of its sizes; indices are sorted (see above)."""

    def __init__(self, y, n_train, n_splits=N_RESAMPLES):
        self.y, self.n_train, self.n_splits = y, n_train, n_splits

    def get_n_splits(self, X=None, y=None, groups=None):
        return self.n_splits

    def split(self, X, y=None, groups=None):
        assert len(X) == len(self.y)
        yield np.arange(self.n_train), np.arange(self.n_train, len(self.y))
        random = StratifiedShuffleSplit(self.n_splits - 1, train_size=self.n_train, random_state=0)
        for train, test in random.split(self.y, self.y):
            yield np.sort(train), np.sort(test)


def load(name):
    (X, y), (X_test, y_test) = (SETS[name](split=split, return_type="nested_univ") for split in ("train", "test"))
    return pd.concat([X, X_test], ignore_index=True), np.concatenate([y, y_test]), len(y)


def run(benchmark, path=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = benchmark.run(None if path is None else str(path))
    assert not benchmark.failed_experiments, benchmark.failed_experiments
    return results


def guard(y, n_train):
    """Fail if the benchmark misaligns X and y: every series is its own label, over and over."""
    codes = np.unique(y, return_inverse=True)[1]
    X = pd.DataFrame({"x": [pd.Series(np.full(3, float(code))) for code in codes]})
    benchmark = ClassificationBenchmark()
    benchmark.add_estimator(HiPPOFeatures(order=1) * DecisionTreeClassifier(), estimator_id="guard")
    benchmark.add_task((X, y), Resamples(y, n_train), [accuracy_score], task_id="guard")
    results = run(benchmark)
    assert results["accuracy_score_mean"].iloc[0] == 1.0, "sktime's benchmark misaligns X and y"


def figures(name):
    """What the benchmark says of all estimators on a set."""
    X, y, n_train = load(name)
    guard(y, n_train)
    benchmark = ClassificationBenchmark()
    for label, estimator in estimators(X):
        benchmark.add_estimator(estimator, estimator_id=label)
    benchmark.add_task((X, y), Resamples(y, n_train), [accuracy_score], task_id=name)
    path = RESULTS / "sktime" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    results = run(benchmark, path).set_index("model_id")
    if name == "JapaneseVowels":  # the same as in scikit-learn, on the same splits
        pipeline = make_pipeline(HiPPOTransformer(order=16), SVC(C=10.0))
        scores = [
            pipeline.fit(X.iloc[train], y[train]).score(X.iloc[test], y[test])
            for train, test in Resamples(y, n_train).split(X)
        ]
        assert np.isclose(np.mean(scores), results.loc["HiPPO (legs, 16) + SVC", "accuracy_score_mean"], rtol=1e-12)
    return results


def main(names):
    rows = {}
    for name in track(names, description="measuring"):
        rows[name] = figures(name)["accuracy_score_mean"]
    ours = [label for label in next(iter(rows.values())).index if "HiPPO" in label]
    table = pd.DataFrame(rows).T.rename_axis("set")
    table = table[ours + [label for label in table if label not in ours]]
    table.to_csv(RESULTS / "sktime_benchmark.csv", float_format="%.4f", lineterminator="\n")
    printed = Table("set", *table.columns)
    for name, row in table.iterrows():
        printed.add_row(name, *("" if np.isnan(one) else f"{one:.3f}" for one in row))
    Console(width=150).print(printed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", help=", ".join(SETS))
    names = parser.parse_args().sets or list(SETS)
    if unknown := set(names) - set(SETS):
        parser.error(f"unknown sets: {', '.join(sorted(unknown))}")
    main(names)
