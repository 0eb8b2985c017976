"""The paper's experiment on CharacterTrajectories: a HiPPO-RNN is trained at one sampling rate and tested at another.

    python examples/paper/character_trajectories_rnn.py --quick [--data FOLDER]
    python examples/paper/character_trajectories_rnn.py [--data FOLDER] [--seeds 3] [--threads 1]

Split, rates and shifts are those of the paper's code: 70 % of the letters for training, 15 % for validation (not used)
and 15 % for testing; 200 Hz is the data's own rate, 100 Hz every second observation, without timestamps; or the
timestamps are twice or half as far apart in testing. A last column is about truly missing data: half of the test
observations are dropped. Nothing but the training series at their one rate is seen in training.
"""

from functools import partial

import numpy as np
import pandas as pd
from runner import RESULTS, arguments, run, train
from sklearn.model_selection import train_test_split

from sklearn_hippo import HiPPORNNClassifier, Panel
from sklearn_hippo.datasets import drop_observations, fetch_character_trajectories, scale_time, subsample

CELLS = {
    "timed gate, 4 memories": {"gate": "timed", "memory_size": 4, "order": 32},
    "the paper's cell": {"gate": "mgu", "memory_size": 1, "order": 128},
}
TRAINING = {"hidden_size": 128, "lr": 5e-3, "schedule": "cosine", "batch_size": 64, "max_epochs": 50}
SHIFTS = ("200->100 Hz", "100->200 Hz", "times x 2", "times / 2")


def letters(folder=None):
    """Series at both rates, their classes, and which of them are for training and testing."""
    panel, y = fetch_character_trajectories(folder)
    training, rest = train_test_split(np.arange(len(y)), train_size=0.7, stratify=y, random_state=0)
    _, testing = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=1)
    return {"200": panel, "100": subsample(panel, 2)}, y, training, testing


def without_times(panel):
    """The same observations at the times 0, 1, 2, ..."""
    return Panel(panel.values, None, panel.offsets)


def conditions(panels, rate, seed):
    """The series in which a model is trained and tested that knows one rate, by name."""
    own = without_times(panels[rate])
    return {
        "same": own,
        "other": without_times(panels["100" if rate == "200" else "200"]),
        "times x 2": scale_time(own, 2),
        "times / 2": scale_time(own, 0.5),
        "dropped": drop_observations(panels[rate], 0.5, seed),
    }


def measure(trial, checkpoint, folder, quick):
    """Accuracy in % under all conditions."""
    panels, y, training, testing = letters(folder)
    series = conditions(panels, trial["rate"], trial["seed"])
    training = training[: 300 if quick else None]
    parameters = CELLS[trial["cell"]] | TRAINING | ({"max_epochs": 5} if quick else {})
    classifier = HiPPORNNClassifier(**parameters, random_state=trial["seed"])
    minutes = train(classifier, series["same"][training], y[training], checkpoint)
    scores = {name: round(100 * classifier.score(X[testing], y[testing]), 2) for name, X in series.items()}
    return {"minutes": minutes, **scores}


def summary(results):
    """The paper's table: a row for each cell."""
    rows = []
    for cell, own in results.groupby("cell", sort=False):
        mean = own.groupby(own["rate"].astype(str))[["same", "other", "times x 2", "times / 2", "dropped"]].mean()
        mean = mean.loc[["200", "100"]]
        shifts = dict(zip(SHIFTS, [*mean["other"], mean["times x 2"].mean(), mean["times / 2"].mean()], strict=True))
        row = {"cell": cell, "no shift": mean["same"].mean()} | shifts | {"half dropped": mean["dropped"].mean()}
        rows.append({name: one if isinstance(one, str) else f"{one:.1f}" for name, one in row.items()})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    options = arguments(__doc__, data="where CharacterTrajectories.npz is, or comes to")
    trials = [
        {"cell": cell, "rate": rate, "seed": seed}
        for cell in CELLS
        for seed in range(options.seeds)
        for rate in ("200", "100")
    ]
    task = partial(measure, folder=options.data, quick=options.quick)
    results = run("character_trajectories_rnn", trials, task, options)
    if not (options.quick or options.only):
        path = RESULTS / "character_trajectories_rnn_table.csv"
        summary(results).to_csv(path, index=False, lineterminator="\n")
