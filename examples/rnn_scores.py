"""HiPPO-RNNs with default parameters on the official splits of sets that sktime ships, five seeds each.

    python examples/rnn_scores.py

Writes examples/results/rnn_scores_table.csv: test accuracy, or, for a regression, the root mean squared error and that
of predicting the training mean.
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import root_mean_squared_error

from sklearn_hippo import HiPPORNNClassifier, HiPPORNNRegressor
from sklearn_hippo.datasets import load_sktime

RESULTS = Path(__file__).parent / "results" / "rnn_scores_table.csv"
SETS = ("JapaneseVowels", "BasicMotions", "ItalyPowerDemand", "GunPoint", "Tecator", "Covid3Month")
N_SEEDS = 5


def main():
    torch.set_num_threads(2)
    rows = []
    for name in track(SETS, description="measuring"):
        (X, y), (X_test, y_test) = load_sktime(name, "train"), load_sktime(name, "test")
        regression = y.dtype.kind == "f"
        scores, seconds = [], []
        for seed in range(N_SEEDS):
            model = (HiPPORNNRegressor if regression else HiPPORNNClassifier)(random_state=seed)
            begin = time.perf_counter()
            model.fit(X, y)
            seconds.append(time.perf_counter() - begin)
            score = (
                root_mean_squared_error(y_test, model.predict(X_test)) if regression else model.score(X_test, y_test)
            )
            scores.append(score)
        if regression:
            constant = root_mean_squared_error(y_test, np.full(len(y_test), y.mean()))
        else:
            constant = max(np.mean(y_test == label) for label in np.unique(y))
        row = {"set": name, "score": "RMSE" if regression else "accuracy", "mean": np.mean(scores)}
        row |= {"lowest": min(scores), "highest": max(scores), "constant prediction": constant}
        rows.append(row | {"seconds a fit": np.median(seconds)})
    results = pd.DataFrame(rows)
    results.to_csv(RESULTS, index=False, float_format="%.4f", lineterminator="\n")
    table = Table(*results.columns)
    for row in rows:
        table.add_row(*(one if isinstance(one, str) else f"{one:.4f}" for one in row.values()))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
