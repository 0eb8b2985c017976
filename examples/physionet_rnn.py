"""The defaults of HiPPORNNClassifier on 8,000 stays in intensive care, most of whose values are missing.

    python examples/physionet_rnn.py PhysioNet2012_ab.npz [seed ...]

The file holds sets a and b of the PhysioNet challenge of 2012: ``values`` (n_observations, 37) with NaN where nothing
was measured, ``times`` in minutes, ``offsets`` of the stays and ``y``, who died in hospital (14 %). 70 % of the stays
are for training, stratified, seed 0. Writes examples/results/physionet_rnn.csv.
"""

import csv
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

import sklearn_hippo
from sklearn_hippo import HiPPORNNClassifier, Panel

RESULTS = Path(__file__).parent / "results" / "physionet_rnn.csv"

if len(sys.argv) < 2 or not Path(sys.argv[1]).exists():
    sys.exit("Name the file with sets a and b of PhysioNet 2012: see the beginning of this script.")
with np.load(sys.argv[1]) as file:
    X, y = Panel(file["values"], file["times"], file["offsets"]), file["y"]
seeds = [int(seed) for seed in sys.argv[2:]] or [0]
torch.set_num_threads(1)
train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=0)
constant = log_loss(y[test], np.full(len(test), y[train].mean()))
rows = []
for class_weight in (None, "balanced"):
    for seed in seeds:
        begin = time.perf_counter()
        model = HiPPORNNClassifier(class_weight=class_weight, random_state=seed).fit(X[train], y[train])
        seconds = time.perf_counter() - begin
        probability = model.predict_proba(X[test])[:, 1]
        rows.append(
            {
                "class_weight": class_weight,
                "seed": seed,
                "AUROC": round(roc_auc_score(y[test], probability), 4),
                "log loss": round(log_loss(y[test], probability), 4),
                "of a constant": round(constant, 4),
                "epochs": model.n_iter_,
                "seconds": round(seconds, 1),
                "with": f"sklearn-hippo {sklearn_hippo.__version__}, torch {torch.__version__}, {platform.machine()}",
            }
        )
        print(rows[-1])
with RESULTS.open("w", newline="") as target:
    writer = csv.DictWriter(target, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
