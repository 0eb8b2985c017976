"""Where data go missing in real life: series whose times are irregular, or of which most values were never taken.

    python examples/paper/irregular.py --quick --data FOLDER
    python examples/paper/irregular.py --data FOLDER [--seeds 3] [--threads 1] [--only "set Traj"]

In the folder, npz files with values (n_observations, n_channels), NaN where nothing was observed, times, offsets, y,
and split, 0 for training, if there is an official one; otherwise 70 % of the series are for training, by class.

"PhysioNet2012_ab"
    8,000 stays in intensive care (sets a and b of the PhysioNet/CinC challenge of 2012), 37 channels, 84 % of the
    values missing; the area under the ROC curve of who dies. As the official second set has been used for training by
    others, 70 % of both are.
"EROS_variable_stars"
    Two bands of light, never taken at the same time (the RAMP kit variable_stars).
"Traj_Vehicles", "Traj_GoTrack", "Traj_Animals"
    Where buses and trucks of Athens (chorochronos.org), cars and buses (UCI, 354), and deer, elk and cattle (Starkey
    project) were, with gaps.
"OmniglotStrokes"
    Strokes of a pen, 242 characters (github.com/brendenlake/omniglot, strokes_background_small1 and 2).

Networks have the defaults of the estimators, 64 hidden units all of them; GRU-D is that of baselines.py. Trees and
boosting have scikit-learn's defaults, but for 500 trees; statistics are how many observations a channel has, their
mean, standard deviation, least, greatest, first and last, and how long the series is. Nothing is chosen by a test set;
but gaps became a channel after GRU-D, which is told them, was the best on one of these.
"""

from functools import partial

import numpy as np
from baselines import BaselineClassifier
from runner import arguments, run, train
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_hippo import HiPPOClassifier, HiPPORNNClassifier, HiPPOSSMClassifier, HiPPOTransformer, Panel

SETS = ("Traj_Animals", "Traj_GoTrack", "Traj_Vehicles", "PhysioNet2012_ab", "EROS_variable_stars", "OmniglotStrokes")
MODELS = {
    "statistics, boosting": lambda seed: make_pipeline(
        FunctionTransformer(statistics), HistGradientBoostingClassifier(random_state=seed)
    ),
    "statistics, trees": lambda seed: make_pipeline(
        FunctionTransformer(statistics), SimpleImputer(), ExtraTreesClassifier(500, random_state=seed)
    ),
    "coefficients, trees": lambda seed: make_pipeline(
        HiPPOTransformer(order=8), ExtraTreesClassifier(500, random_state=seed)
    ),
    "HiPPOClassifier": lambda seed: HiPPOClassifier(random_state=seed),
    "gaps as a channel, HiPPOClassifier": lambda seed: make_pipeline(
        FunctionTransformer(with_gaps), HiPPOClassifier(random_state=seed)
    ),
}
NETWORKS = {
    "HiPPO-RNN": HiPPORNNClassifier,
    "HiPPO-SSM": HiPPOSSMClassifier,
    "GRU-D": partial(BaselineClassifier, "gru-d"),
}


def statistics(panel):
    """(n_series, 7 n_channels + 1); NaN of what there is not."""
    features = np.full((len(panel), 7 * panel.n_channels + 1), np.nan)
    for i, (times, values) in enumerate(panel):
        features[i, -1] = times[-1] - times[0] if len(times) else 0
        for c in range(panel.n_channels):
            seen = values[~np.isnan(values[:, c]), c]
            features[i, 7 * c] = len(seen)
            if len(seen):
                features[i, 7 * c + 1 : 7 * c + 7] = seen.mean(), seen.std(), seen.min(), seen.max(), seen[0], seen[-1]
    return features


def with_gaps(panel):
    """One channel more: the logarithm of the time since the observation before, NaN of the first and within ties."""
    gaps = np.diff(panel.times, prepend=np.nan)
    gaps[panel.offsets[:-1][panel.lengths > 0]] = np.nan
    gaps = np.log(np.where(gaps > 0, gaps, np.nan))
    return Panel(np.column_stack([panel.values, gaps]), panel.times, panel.offsets)


def load(folder, name):
    """Training and test series, and their classes."""
    with np.load(folder / f"{name}.npz") as stored:
        panel, y = Panel(stored["values"], stored.get("times"), stored["offsets"]), stored["y"]
        split = None if name == "PhysioNet2012_ab" else stored.get("split")
    if split is None:
        parts = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=0)
    else:
        parts = np.flatnonzero(split == 0), np.flatnonzero(split)
    return [(panel[rows], y[rows]) for rows in parts]


def measure(trial, checkpoint, folder, quick):
    """Accuracy, or the area under the ROC curve, in %, on the test part."""
    (X, y), (X_test, y_test) = load(folder, trial["set"])
    X, y = X[: 200 if quick else None], y[: 200 if quick else None]
    results = {}
    if trial["model"] in MODELS:
        model = MODELS[trial["model"]](trial["seed"]).fit(X, y)
    else:
        model = NETWORKS[trial["model"]](random_state=trial["seed"], **({"max_epochs": 2} if quick else {}))
        results["minutes"] = train(model, X, y, checkpoint, early_stopping="auto")
    if trial["set"] == "PhysioNet2012_ab":
        return results | {"score": round(100 * roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]), 2)}
    return results | {"score": round(100 * model.score(X_test, y_test), 2)}


if __name__ == "__main__":
    options = arguments(__doc__, data="where the sets are", file="")
    trials = [
        {"set": name, "model": model, "seed": seed}
        for seed in range(1 if options.quick else options.seeds)
        for name in (SETS[:4] if options.quick else SETS)
        for model in (*MODELS, *NETWORKS)
    ]
    run("irregular", trials, partial(measure, folder=options.data, quick=options.quick), options)
