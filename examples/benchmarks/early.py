"""Early decisions beside aeon's and tslearn's: the table of the page on them.

    .venv-bench/bin/python examples/benchmarks/early.py FOLDER [set ...] [--methods ...]

FOLDER has the sets as npz files, as for classification.py, with the official split into training and test series, of
which at most 1,000 each are drawn. Earliness is the share of its observations, or, where these are irregular, of its
duration, after which a series is decided; the harmonic mean is that of accuracy and 1 - earliness. TEASER and
ProbabilityThreshold have aeon's defaults, but for the classifier of the second, which is QUANT, since its default takes
minutes at each checkpoint. NonMyopicEarlyClassifier has tslearn's defaults, but for the cost of time: all of a series
costs as much as an error, and, as a cluster of one series is an error to it, the random state is the first that has
none. These take regular series of one length. The full accuracy is that of the same classifier at
the end. One thread each; what Numba compiles is compiled before. On PowerCons, DodgerLoopGame,
Trace and DodgerLoopWeekend, TEASER has not been run to its end.

Every line is written as it is done, and a run that is started again goes on: examples/results/early.csv. The means over
the sets on which all methods have been run are in early_table.csv.
"""

import argparse
import csv
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from classification import load, on_a_grid
from rich.progress import track

from sklearn_hippo import EarlyClassifier, HiPPOClassifier

RESULTS = Path(__file__).parents[1] / "results" / "early.csv"
REGULAR = (
    *("Chinatown", "ItalyPowerDemand", "GunPoint", "ECG200", "CBF", "SonyAIBORobotSurface1", "ArrowHead", "PowerCons"),
    *("Trace", "SyntheticControl", "DodgerLoopGame", "DodgerLoopWeekend"),
)
IRREGULAR = ("EROS_variable_stars", "Traj_Vehicles")
COLUMNS = ["set", "method", "accuracy", "earliness", "harmonic_mean", "full_accuracy", "fit_seconds", "predict_seconds"]


def ours(panel, y, test, y_test, regular):
    """EarlyClassifier with features enough for short series."""
    model = EarlyClassifier(HiPPOClassifier(200, conjunctions=0, random_state=0))
    begin = time.perf_counter()
    model.fit(panel, y)
    fitted = time.perf_counter()
    accuracy = model.score(test, y_test)
    end = time.perf_counter()
    times = model.decision_times(test)
    if regular:
        earliness = np.mean((times + 1) / test.lengths)
    else:
        earliness = np.mean(times / np.where(test.durations > 0, test.durations, 1))
    return accuracy, earliness, model.estimators_[-1].score(test, y_test), fitted - begin, end - fitted


COMPILED = set()


def theirs(make):
    """An early classifier of aeon."""

    def run(panel, y, test, y_test, regular):
        length = int(panel.lengths.max())
        X, X_test = on_a_grid(panel, length), on_a_grid(test, length)
        if make not in COMPILED:
            COMPILED.add(make)
            rows = [i for c in np.unique(y) for i in np.flatnonzero(y == c)[:8]]
            with suppress(ValueError):  # of so few series, there may be nothing to be learned
                theirs(make)(panel[rows], y[rows], test[:2], y_test[:2], regular)
        model = make()
        begin = time.perf_counter()
        model.fit(X, y)
        fitted = time.perf_counter()
        _, accuracy, earliness = model.score(X_test, y_test)
        end = time.perf_counter()
        full = np.mean(model.estimators_[-1].predict(X_test) == y_test)
        return accuracy, earliness, full, fitted - begin, end - fitted

    return run


def teaser():
    from aeon.classification.early_classification import TEASER

    return TEASER(random_state=0)


def probability_threshold():
    from aeon.classification.early_classification import ProbabilityThresholdEarlyClassifier
    from aeon.classification.interval_based import QUANTClassifier

    return ProbabilityThresholdEarlyClassifier(estimator=QUANTClassifier(), random_state=0)


def not_myopic(panel, y, test, y_test, regular):
    """tslearn's early classifier."""
    from tslearn.early_classification import NonMyopicEarlyClassifier

    length = int(panel.lengths.max())
    X, X_test = (on_a_grid(some, length).transpose(0, 2, 1) for some in (panel, test))
    for seed in range(20):
        model = NonMyopicEarlyClassifier(cost_time_parameter=1 / length, random_state=seed)
        begin = time.perf_counter()
        with suppress(ValueError):
            model.fit(X, y)
            break
    fitted = time.perf_counter()
    classes, times = model.predict_class_and_earliness(X_test)
    end = time.perf_counter()
    full = np.mean(model.classifiers_[length].predict(X_test) == y_test)
    return np.mean(classes == y_test), np.mean(times) / length, full, fitted - begin, end - fitted


METHODS = {
    "EarlyClassifier": ours,
    "TEASER": theirs(teaser),
    "ProbabilityThreshold": theirs(probability_threshold),
    "NonMyopicEarlyClassifier": not_myopic,
}


def main(folder, sets, methods, results):
    warnings.simplefilter("ignore")  # of other libraries
    done = set()
    if results.exists():
        done = {(line["set"], line["method"]) for line in csv.DictReader(results.open())}
    else:
        results.write_text(",".join(COLUMNS) + "\n")
    jobs = [(name, method) for method in methods for name in sets if method == "EarlyClassifier" or name in REGULAR]
    for name, method in track([job for job in jobs if job not in done], description="measuring"):
        panel, y, test, y_test = load(folder, name)
        found = METHODS[method](panel, y, test, y_test, name in REGULAR)
        accuracy, earliness, full, fit, predict = found
        mean = 2 * accuracy * (1 - earliness) / (accuracy + 1 - earliness)
        row = [name, method, *(f"{x:.4f}" for x in (accuracy, earliness, mean, full)), f"{fit:.2f}", f"{predict:.2f}"]
        with results.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        print(*row, flush=True)
    lines = pd.read_csv(results)
    regular = lines[lines["set"].isin(REGULAR)]
    n_methods = regular["method"].nunique()
    common = regular.groupby("set").filter(lambda rows: len(rows) == n_methods)
    table = common.groupby("method")[COLUMNS[2:]].mean().round(3)
    table.insert(0, "sets", common.groupby("method").size())
    table.sort_values("harmonic_mean", ascending=False).to_csv(results.with_name(f"{results.stem}_table.csv"))
    print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=[*REGULAR, *IRREGULAR])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.sets, arguments.methods, arguments.results)
