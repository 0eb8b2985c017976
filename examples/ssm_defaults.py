"""How the defaults of the state-space estimators were chosen: cross-validation on the training parts of eight sets.

    python examples/ssm_defaults.py [FOLDER]

Every parameter is varied around the defaults. Six sets are sktime's, the last two are read from a folder with
RacketSports.npz and GesturePebbleZ1.npz (values, offsets, split and y). A line of examples/results/ssm_defaults.csv is
one configuration on one set; what is there already is not computed again, so that the script may be interrupted. The
test parts are not touched. Two processes of one thread.
"""

import argparse
import csv
import os

os.environ["OMP_NUM_THREADS"] = "1"

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.model_selection import StratifiedKFold, cross_val_score

from sklearn_hippo import HiPPOSSMClassifier, Panel
from sklearn_hippo.datasets import load_sktime

RESULTS = Path(__file__).parent / "results" / "ssm_defaults.csv"
SHIPPED = ("JapaneseVowels", "BasicMotions", "ItalyPowerDemand", "GunPoint", "ArrowHead", "OSULeaf")
SETS = (*SHIPPED, "RacketSports", "GesturePebbleZ1")
BASE = {"measure": "legs_lti", "order": 32, "n_layers": 2, "lr": 0.004, "dropout": 0.1, "pooling": "mean",
        "discretization": "foh", "batch_size": 16}  # fmt: skip
VARIED = {
    "order": [16, 64],
    "n_layers": [1],
    "lr": [0.008],
    "dropout": [0.0],
    "pooling": ["gated", "last"],
    "bidirectional": [True],
    "selective": [("timescale", "B", "C")],
    "resample": [64],
    "discretization": ["zoh"],
    "measure": ["lin", "legt", "fout", "legs_lti + fout", "rand"],
}
CONFIGURATIONS = {"defaults": BASE} | {
    f"{name}={value}": BASE | {name: value} for name, values in VARIED.items() for value in values
}


def load(folder, name):
    """Training series and classes."""
    if name in SHIPPED:
        return load_sktime(name, "train")
    stored = dict(np.load(folder / f"{name}.npz"))
    panel = Panel(stored["values"].astype(np.float64), stored.get("times"), stored["offsets"])
    return panel[stored["split"] == 0], stored["y"][stored["split"] == 0]


def main():
    """Run what has not been run, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    known = {(row.configuration, row.set) for row in pd.read_csv(RESULTS).itertuples()} if RESULTS.exists() else set()
    todo = [(c, s) for c in CONFIGURATIONS for s in (SETS if folder else SHIPPED) if (c, s) not in known]
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not known:
            writer.writerow(["configuration", "set", "accuracy", "torch"])
        for configuration, name in track(todo, description="measuring"):
            panel, y = load(folder, name)
            folds = StratifiedKFold(3, shuffle=True, random_state=0)
            classifier = HiPPOSSMClassifier(random_state=0, **CONFIGURATIONS[configuration])
            accuracy = np.mean(cross_val_score(classifier, panel, y, cv=folds, n_jobs=2))
            writer.writerow([configuration, name, f"{accuracy:.4f}", torch.__version__])
            file.flush()
    results = pd.read_csv(RESULTS).pivot(index="configuration", columns="set", values="accuracy")
    results = results[[name for name in SETS if name in results]].dropna()
    results["mean"] = results.mean(axis=1)
    results = (100 * results).round(1).sort_values("mean", ascending=False)
    results.to_csv(RESULTS.with_name("ssm_defaults_table.csv"), lineterminator="\n")
    table = Table("configuration", *results.columns)
    for configuration, row in results.iterrows():
        table.add_row(str(configuration), *(f"{one:.1f}" for one in row))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
