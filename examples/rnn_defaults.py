"""How the defaults of the HiPPO-RNN estimators were chosen: cross-validation on the training parts of six sets.

    python examples/rnn_defaults.py

Every parameter is varied around the defaults. A line of examples/results/rnn_defaults.csv is one configuration on one
set; what is there already is not computed again, so that the script may be interrupted. At the end it prints the mean
accuracy over the sets, and over the folds and seeds within them. The test parts are not touched.
"""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.model_selection import StratifiedKFold, cross_val_score

from sklearn_hippo import HiPPORNNClassifier
from sklearn_hippo.datasets import load_sktime

RESULTS = Path(__file__).parent / "results" / "rnn_defaults.csv"
SETS = ("JapaneseVowels", "BasicMotions", "ItalyPowerDemand", "GunPoint", "ArrowHead", "OSULeaf")
BASE = {"gate": "timed", "memory_size": 4, "order": 32, "lr": 0.01, "schedule": "cosine", "batch_size": 16,
        "max_epochs": 50, "dropout": 0.0, "hidden_size": 64, "weight_decay": 0.0}  # fmt: skip
VARIED = {
    "gate": ["mgu", None],
    "memory_size": [1, 2, 8],
    "order": [8, 16, 64],
    "lr": [0.001, 0.003, 0.03],
    "schedule": ["constant"],
    "batch_size": [32, 64],
    "max_epochs": [25, 100],
    "dropout": [0.2, 0.5],
    "hidden_size": [32, 128],
    "weight_decay": [0.01],
}
PAPER = {"gate": "mgu", "memory_size": 1, "order": 64, "lr": 0.001, "schedule": "constant"}
CONFIGURATIONS = {"defaults": BASE, "as in the paper": BASE | PAPER} | {
    f"{name}={value}": BASE | {name: value} for name, values in VARIED.items() for value in values
}
N_SEEDS, N_FOLDS = 3, 3


def measure(configuration, name):
    """Accuracies of all folds and seeds."""
    panel, y = load_sktime(name, "train")
    scores = []
    for seed in range(N_SEEDS):
        folds = StratifiedKFold(
            min(N_FOLDS, np.unique(y, return_counts=True)[1].min()), shuffle=True, random_state=seed
        )
        classifier = HiPPORNNClassifier(random_state=seed, **configuration)
        scores += list(cross_val_score(classifier, panel, y, cv=folds))
    return scores


def main():
    torch.set_num_threads(1)
    RESULTS.parent.mkdir(exist_ok=True)
    known = {(row.configuration, row.set) for row in pd.read_csv(RESULTS).itertuples()} if RESULTS.exists() else set()
    todo = [(c, s) for c in CONFIGURATIONS for s in SETS if (c, s) not in known]
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not known:
            writer.writerow(["configuration", "set", "accuracy", "seeds", "folds", "torch"])
        for configuration, name in track(todo, description="measuring"):
            accuracy = np.mean(measure(CONFIGURATIONS[configuration], name))
            writer.writerow([configuration, name, f"{accuracy:.4f}", N_SEEDS, N_FOLDS, torch.__version__])
            file.flush()
    report()


def report():
    results = pd.read_csv(RESULTS).pivot(index="configuration", columns="set", values="accuracy")[list(SETS)]
    results["mean"] = results.mean(axis=1)
    results = (100 * results).round(1).sort_values("mean", ascending=False)
    results.to_csv(RESULTS.with_name("rnn_defaults_table.csv"), lineterminator="\n")
    table = Table("configuration", *results.columns)
    for configuration, row in results.iterrows():
        table.add_row(str(configuration), *(f"{one:.1f}" for one in row))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
