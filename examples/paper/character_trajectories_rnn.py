"""The paper's experiment on CharacterTrajectories: a HiPPO-RNN is trained at one sampling rate and tested at another.

    python examples/paper/character_trajectories_rnn.py [number of seeds]

Split, rates and shifts are those of the paper's code: 70 % of the letters for training, 15 % for validation (not used)
and 15 % for testing; 200 Hz is the data's own rate, 100 Hz every second observation, without timestamps; or the
timestamps are twice or half as far apart in testing. A last column is about truly missing data: half of the test
observations are dropped. Nothing but the training series at their one rate is seen in training.

Every training leaves a checkpoint in the working directory from which it goes on if it is interrupted, and a line in
examples/results/character_trajectories_rnn.csv.
"""

import csv
import platform
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import train_test_split

from sklearn_hippo import HiPPORNNClassifier, Panel
from sklearn_hippo.datasets import drop_observations, fetch_character_trajectories, scale_time, subsample

RESULTS = Path(__file__).parents[1] / "results" / "character_trajectories_rnn.csv"
CELLS = {
    "timed gate, 4 memories": {"gate": "timed", "memory_size": 4, "order": 32},
    "the paper's cell": {"gate": "mgu", "memory_size": 1, "order": 128},
}
TRAINING = {"hidden_size": 128, "lr": 5e-3, "schedule": "cosine", "batch_size": 64, "max_epochs": 50}
SHIFTS = ("200->100 Hz", "100->200 Hz", "times x 2", "times / 2")


def without_times(panel):
    return Panel(panel.values, None, panel.offsets)


def main(n_seeds=3):
    torch.set_num_threads(2)
    panel, y = fetch_character_trajectories()
    train, rest = train_test_split(np.arange(len(y)), train_size=0.7, stratify=y, random_state=0)
    _, test = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=1)
    half = subsample(panel, 2)
    rates = {"200": without_times(panel), "100": without_times(half)}
    known = (
        pd.read_csv(RESULTS, dtype={"rate": str})
        if RESULTS.exists()
        else pd.DataFrame(columns=["cell", "rate", "seed"])
    )
    for cell, parameters in CELLS.items():
        for seed in range(n_seeds):
            for rate, other in (("200", "100"), ("100", "200")):
                if ((known.cell == cell) & (known.rate == rate) & (known.seed == seed)).any():
                    continue
                X = rates[rate]
                checkpoint = Path(f"letters-{parameters['gate']}-{rate}-{seed}.checkpoint")
                classifier = HiPPORNNClassifier(
                    **parameters, **TRAINING, random_state=seed, checkpoint=checkpoint, verbose=1
                )
                begin = time.perf_counter()
                classifier.fit(X[train], y[train])
                seconds = time.perf_counter() - begin
                tests = {
                    "same": X,
                    "other": rates[other],
                    "times x 2": scale_time(X, 2),
                    "times / 2": scale_time(X, 0.5),
                    "dropped": drop_observations(panel if rate == "200" else half, 0.5, seed),
                }
                row = {"cell": cell, "rate": rate, "seed": seed}
                row |= {name: round(100 * classifier.score(Z[test], y[test]), 2) for name, Z in tests.items()}
                row |= {"seconds": round(seconds), "torch": torch.__version__, "machine": platform.machine()}
                new = not RESULTS.exists()
                with RESULTS.open("a", newline="") as file:
                    writer = csv.DictWriter(file, row, lineterminator="\n")
                    if new:
                        writer.writeheader()
                    writer.writerow(row)
                checkpoint.unlink()
    report()


def report():
    results = pd.read_csv(RESULTS, dtype={"rate": str})
    rows = []
    for cell, own in results.groupby("cell", sort=False):
        mean = own.groupby("rate")[["same", "other", "times x 2", "times / 2", "dropped"]].mean().loc[["200", "100"]]
        shifts = dict(zip(SHIFTS, [*mean["other"], mean["times x 2"].mean(), mean["times / 2"].mean()], strict=True))
        row = {"cell": cell, "no shift": mean["same"].mean()} | shifts | {"half dropped": mean["dropped"].mean()}
        rows.append({name: one if isinstance(one, str) else f"{one:.1f}" for name, one in row.items()})
    pd.DataFrame(rows).to_csv(
        RESULTS.with_name("character_trajectories_rnn_table.csv"), index=False, lineterminator="\n"
    )
    table = Table(*rows[0], title=f"CharacterTrajectories, test accuracy, mean of {results.seed.nunique()} seeds")
    for row in rows:
        table.add_row(*row.values())
    Console(width=150).print(table)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
