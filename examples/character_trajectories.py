"""Letters at another sampling rate: what a model trained at one rate does at another, or on a slower clock.

The HiPPO paper trains its RNN on CharacterTrajectories at one sampling rate and tests it at another. Here: the
projection itself, `HiPPOTransformer(order=16)`, a `StandardScaler` and an SVC; and `HiPPOClassifier`, as it is, and
with relative windows, which do not see how fast a series is, also of series standardized by themselves. Splits are
70/30, stratified, with seeds 0 to 2; half rate is every second observation. Writes
examples/results/character_trajectories_table.csv.

The data are downloaded, unless there is a local copy (see `sklearn_hippo.datasets.fetch_character_trajectories`).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_hippo import HiPPOClassifier, HiPPOTransformer
from sklearn_hippo.datasets import drop_observations, fetch_character_trajectories, scale_time, subsample

RESULTS = Path(__file__).parent / "results" / "character_trajectories_table.csv"
SEEDS = range(3)
MODELS = {
    "coefficients, SVC": lambda seed: make_pipeline(HiPPOTransformer(order=16), StandardScaler(), SVC(C=10)),
    "HiPPOClassifier": lambda seed: HiPPOClassifier(random_state=seed, n_jobs=2),
    'HiPPOClassifier(windows="relative", normalized=True)': lambda seed: HiPPOClassifier(
        windows="relative", normalized=True, random_state=seed, n_jobs=2
    ),
}


def main():
    """Train at both rates, and test on everything."""
    panel, letters = fetch_character_trajectories()
    half = subsample(panel, 2)
    rows = []
    for seed in track(SEEDS, description="splits", transient=True):
        train, test = train_test_split(np.arange(len(panel)), test_size=0.3, stratify=letters, random_state=seed)
        for name, make in MODELS.items():
            at_full = make(seed).fit(panel[train], letters[train])
            at_half = make(seed).fit(half[train], letters[train])
            for what, model, X in [
                ("full rate -> full rate", at_full, panel),
                ("full rate -> half rate", at_full, half),
                ("half rate -> full rate", at_half, panel),
                ("full rate -> clock twice as fast", at_full, scale_time(panel, 2.0)),
                ("full rate -> clock half as fast", at_full, scale_time(panel, 0.5)),
                ("full rate -> half of the observations dropped", at_full, drop_observations(panel, 0.5, seed)),
            ]:
                rows.append([what, name, seed, model.score(X[test], letters[test])])
    scores = pd.DataFrame(rows, columns=["training -> test", "model", "seed", "accuracy"])
    table = scores.pivot_table(index="training -> test", columns="model", values="accuracy", sort=False)
    table.to_csv(RESULTS, float_format="%.4f", lineterminator="\n")
    print(table.round(4).to_string())


if __name__ == "__main__":
    main()
