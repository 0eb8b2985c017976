"""Accuracy of HiPPOClassifier beside aeon's MiniRocket, on series as they are and with observations dropped.

    python examples/benchmarks/classification.py FOLDER [set ...] [--seeds 3] [--dropped 0 0.5 0.8]

FOLDER has the sets as npz files: values (n_observations, n_channels), offsets (n_series + 1,), y, and, if they have
some, times and the official split (0: training); OSULeaf and ACSF1 are in sktime. Without a split, and for
CharacterTrajectories, 70 % are for training, stratified, seed 0. Training and test series are at most 1,000, a
stratified draw. MiniRocket, which takes neither times nor different lengths, gets straight lines between the
observations, at as many points as the longest training series has.

Every line is written as it is done, and a run that is started again goes on: examples/results/classification.csv, and
the means over the seeds in classification_table.csv. One thread.
"""

import argparse
import csv
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_hippo import HiPPOClassifier, Panel
from sklearn_hippo.datasets import drop_observations, load_sktime

RESULTS = Path(__file__).parents[1] / "results" / "classification.csv"
DEVELOPMENT = (
    *("CharacterTrajectories", "JapaneseVowels", "PLAID", "PickupGestureWiimoteZ", "ShakeGestureWiimoteZ"),
    *("AllGestureWiimoteX", "GesturePebbleZ1", "FSDD_mfcc", "EROS_variable_stars", "MelbournePedestrian"),
    *("GunPoint", "OSULeaf", "ACSF1", "ArrowHead", "BasicMotions", "Handwriting", "Libras", "ERing", "Epilepsy"),
    *("RacketSports", "ECG200", "Trace", "SyntheticControl"),
)
SHIPPED = ("OSULeaf", "ACSF1")  # by sktime
CAP = 1000


def load(folder, name):
    """Training and test series, and their classes."""
    if name in SHIPPED:
        parts = [load_sktime(name, part) for part in ("train", "test")]
        classes = np.unique(np.concatenate([y for _, y in parts]))
        return [one for panel, y in parts for one in (panel, np.searchsorted(classes, y))]
    stored = dict(np.load(folder / f"{name}.npz"))
    panel = Panel(stored["values"].astype(np.float64), stored.get("times"), stored["offsets"])
    y = np.unique(stored["y"], return_inverse=True)[1]
    everything = np.arange(len(panel))
    if "split" in stored and name != "CharacterTrajectories":
        parts = [everything[stored["split"] == k] for k in (0, 1)]
    else:
        parts = train_test_split(everything, test_size=0.3, stratify=y, random_state=0)
    for k, some in enumerate(parts):
        if len(some) > CAP:
            parts[k] = train_test_split(some, train_size=CAP, stratify=y[some], random_state=0)[0]
    return panel[parts[0]], y[parts[0]], panel[parts[1]], y[parts[1]]


def on_a_grid(panel, length):
    """Straight lines at equal distances, (n_series, n_channels, length)."""
    out = np.zeros((len(panel), panel.n_channels, length), np.float32)
    for i, (times, values) in enumerate(panel):
        grid = np.linspace(times[0], times[-1], length) if len(times) else np.zeros(length)
        for c in range(panel.n_channels):
            seen = ~np.isnan(values[:, c])
            if seen.any():
                out[i, c] = np.interp(grid, times[seen], values[seen, c])
    return out


def ours(train, y, test, seed):
    """HiPPOClassifier with its defaults."""
    return HiPPOClassifier(random_state=seed).fit(train, y).predict(test)


def minirocket(train, y, test, seed):
    """MiniRocket, scaled, and scikit-learn's ridge classifier, as aeon does."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    length = max(int(train.lengths.max()), 9)
    model = make_pipeline(
        MiniRocket(random_state=seed), StandardScaler(with_mean=False), RidgeClassifierCV(np.logspace(-3, 3, 10))
    )
    return model.fit(on_a_grid(train, length), y).predict(on_a_grid(test, length))


METHODS = {"HiPPOClassifier": ours, "MiniRocket": minirocket}


def main():
    """Run what has not been run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=[])
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dropped", type=float, nargs="*", default=[0.0, 0.5, 0.8])
    given = parser.parse_args()
    columns = ["set", "method", "dropped", "seed", "accuracy", "seconds"]
    done = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=columns)
    known = set(done[columns[:4]].itertuples(index=False, name=None))
    sets = given.sets or [name for name in DEVELOPMENT if name in SHIPPED or (given.folder / f"{name}.npz").exists()]
    jobs = [(s, m, d, k) for k in range(given.seeds) for d in given.dropped for s in sets for m in given.methods]
    for one in track([job for job in jobs if job not in known]):
        name, method, dropped, seed = one
        train, y, test, y_test = load(given.folder, name)
        if dropped:
            # test series of their own pattern: the k-th series of both parts are of one class in some sets
            train = drop_observations(train, dropped, random_state=seed)
            test = drop_observations(test, dropped, random_state=1000 + seed)
        begin = time.perf_counter()
        accuracy = float(np.mean(METHODS[method](train, y, test, seed) == y_test))
        new = not RESULTS.exists()
        with RESULTS.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([columns] * new + [[*one, round(accuracy, 4), round(time.perf_counter() - begin, 2)]])
    done = pd.read_csv(RESULTS)
    table = done.pivot_table(index="set", columns=["dropped", "method"], values="accuracy", aggfunc="mean")
    table.loc["mean"] = table.mean()
    table.columns = [f"{method}, {dropped:.0%} lost" if dropped else method for dropped, method in table.columns]
    table.to_csv(RESULTS.with_name("classification_table.csv"), float_format="%.3f", lineterminator="\n")
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
