"""Letters at another sampling rate: what a model trained at one rate does at another, and with observations missing.

The HiPPO paper trains its RNN on CharacterTrajectories at one sampling rate and tests it at another. Here, the features
are the projection itself: `HiPPOTransformer(order=16)`, a `StandardScaler` and an SVC. Splits are 70/30, stratified,
with seeds 0 to 4; half rate is every second observation.

The data are downloaded, unless there is a local copy (see `sklearn_hippo.datasets.fetch_character_trajectories`).
"""

import platform

import numpy as np
import sklearn
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_hippo import HiPPOTransformer
from sklearn_hippo.datasets import drop_observations, fetch_character_trajectories, subsample

SEEDS = range(5)


def main():
    panel, letters = fetch_character_trajectories()
    half = subsample(panel, 2)
    scores = {}
    for seed in track(SEEDS, description="splits", transient=True):
        train, test = train_test_split(np.arange(len(panel)), test_size=0.3, stratify=letters, random_state=seed)

        def fit(X, train=train):
            model = make_pipeline(HiPPOTransformer(order=16), StandardScaler(), SVC(C=10))
            return model.fit(X[train], letters[train])

        at_full, at_half = fit(panel), fit(half)
        for name, model, X in [
            ("full rate -> full rate", at_full, panel),
            ("full rate -> half rate", at_full, half),
            ("half rate -> full rate", at_half, panel),
            ("full rate -> half of the observations dropped", at_full, drop_observations(panel, 0.5, seed)),
        ]:
            scores.setdefault(name, []).append(100 * model.score(X[test], letters[test]))
    table = Table(title=f"Accuracy in %, 70/30 splits; scikit-learn {sklearn.__version__}, NumPy {np.__version__}, "
                        f"Python {platform.python_version()}")  # fmt: skip
    for column in ("training -> test", "mean", *(f"seed {seed}" for seed in SEEDS)):
        table.add_column(column, justify="left" if "test" in column else "right")
    for name, one in scores.items():
        table.add_row(name, f"{np.mean(one):.2f}", *(f"{score:.2f}" for score in one))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
