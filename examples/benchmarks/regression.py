"""HiPPORegressor on three regressions, and HiPPOClassifier on PhysioNet 2012, with their defaults.

    python examples/benchmarks/regression.py FOLDER [--seeds 3]

FOLDER has the sets as npz files, as in classification.py. RMSE on the official split; for PhysioNet2012_ab, most of
whose values are missing, the area under the ROC curve on 30 %, stratified, seed 0. Writes
examples/results/regression.csv and regression_table.csv.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track
from sklearn.metrics import roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

from sklearn_hippo import HiPPOClassifier, HiPPORegressor, Panel

RESULTS = Path(__file__).parents[1] / "results" / "regression.csv"
REGRESSIONS = "FloodModeling1", "Tecator", "Covid3Month"


def load(folder, name):
    """A panel, its targets, and the official split."""
    stored = dict(np.load(folder / f"{name}.npz"))
    return (
        Panel(stored["values"].astype(np.float64), stored.get("times"), stored["offsets"]),
        stored["y"],
        stored["split"],
    )


def score(folder, name, seed):
    """RMSE, or AUROC."""
    panel, y, split = load(folder, name)
    if name in REGRESSIONS:
        train, test = np.flatnonzero(split == 0), np.flatnonzero(split == 1)
        model = HiPPORegressor(random_state=seed).fit(panel[train], y[train].astype(float))
        return root_mean_squared_error(y[test], model.predict(panel[test]))
    train, test = train_test_split(np.arange(len(panel)), test_size=0.3, stratify=y, random_state=0)
    model = HiPPOClassifier(random_state=seed).fit(panel[train], y[train])
    return roc_auc_score(y[test], model.decision_function(panel[test]))


def main():
    """Run all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    rows = []
    for name in track([*REGRESSIONS, "PhysioNet2012_ab"]):
        for seed in range(given.seeds):
            begin = time.perf_counter()
            found = round(float(score(given.folder, name, seed)), 5)
            rows.append([name, "RMSE" if name in REGRESSIONS else "AUROC", seed, found, time.perf_counter() - begin])
            table = pd.DataFrame(rows, columns=["set", "score", "seed", "value", "seconds"]).round({"seconds": 1})
            table.to_csv(RESULTS, index=False, lineterminator="\n")
    wide = table.pivot_table(index=["set", "score"], columns="seed", values="value", sort=False)
    wide.columns = [f"seed {seed}" for seed in wide.columns]
    wide["mean"] = wide.mean(axis=1).round(5)
    wide["seconds"] = table.groupby(["set", "score"])["seconds"].mean().round(1)
    wide.to_csv(RESULTS.with_name("regression_table.csv"), lineterminator="\n")
    print(wide.to_string())


if __name__ == "__main__":
    main()
