"""Accuracy of HiPPOClassifier beside other methods, on series as they are and with observations dropped.

    .venv-bench/bin/python examples/benchmarks/classification.py FOLDER [set ...] [--methods ...] [--dropped 0 0.5 0.8]

FOLDER has the sets as npz files: values (n_observations, n_channels), offsets (n_series + 1,), y, and, if they have
some, times and the official split (0: training); OSULeaf and ACSF1 are in sktime. Without a split, and for
CharacterTrajectories, 70 % are for training, stratified, seed 0. Training and test series are at most 1,000, a
stratified draw. The 23 sets of DEVELOPMENT are those that the features' weights were chosen on.

Others have the defaults of their libraries. MiniRocket, MultiRocket-Hydra, QUANT and Catch22 (aeon), which take no
times, get straight lines between the observations, at as many points as the longest training series has. BORF
(fast-borf, the time-aware pipeline of its authors) and light-curve's features, with a random forest, get the
observations. One thread each.

Every line is written as it is done, and a run that is started again goes on: examples/results/classification.csv. The
means over the seeds are in classification_0_lost.csv and the like, ranks and seconds in classification_ranks.csv, and
docs/_static/critical_difference.svg is drawn of them. The light setting is apart:

    ... --methods light --dropped 0 --results examples/results/classification_light.csv
"""

import argparse
import csv
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_hippo import HiPPOClassifier, Panel
from sklearn_hippo.datasets import drop_observations, load_sktime

RESULTS = Path(__file__).parents[1] / "results" / "classification.csv"
PICTURE = Path(__file__).parents[2] / "docs" / "_static" / "critical_difference.svg"
DEVELOPMENT = (
    *("CharacterTrajectories", "JapaneseVowels", "PLAID", "PickupGestureWiimoteZ", "ShakeGestureWiimoteZ"),
    *("AllGestureWiimoteX", "GesturePebbleZ1", "FSDD_mfcc", "EROS_variable_stars", "MelbournePedestrian"),
    *("GunPoint", "OSULeaf", "ACSF1", "ArrowHead", "BasicMotions", "Handwriting", "Libras", "ERing", "Epilepsy"),
    *("RacketSports", "ECG200", "Trace", "SyntheticControl"),
)
OTHERS = (
    *("AllGestureWiimoteY", "AllGestureWiimoteZ", "CBF", "Chinatown", "DodgerLoopDay", "DodgerLoopGame"),
    *("DodgerLoopWeekend", "GesturePebbleZ2", "ItalyPowerDemand", "OmniglotStrokes", "PenDigits", "PowerCons"),
    *("SonyAIBORobotSurface1", "Traj_Animals", "Traj_GoTrack", "Traj_Hurricanes", "Traj_Vehicles"),
)
SHIPPED = ("OSULeaf", "ACSF1")  # by sktime
CAP = 1000
KEYS = ["set", "method", "dropped", "seed"]
COLUMNS = [*KEYS, "accuracy", "balanced_accuracy", "auroc", "fit_seconds", "predict_seconds"]


def load(folder, name):
    """Training and test series, and their classes."""
    if name in SHIPPED:
        parts = [load_sktime(name, part) for part in ("train", "test")]
        classes = np.unique(np.concatenate([y for _, y in parts]))
        return [one for panel, y in parts for one in (panel, np.searchsorted(classes, y))]
    stored = dict(np.load(folder / f"{name}.npz"))
    panel = Panel(stored["values"].astype(np.float64), stored.get("times"), stored["offsets"])
    y = np.unique(stored["y"], return_inverse=True)[1]
    everything = np.arange(len(panel))
    if "split" in stored and name != "CharacterTrajectories":
        parts = [everything[stored["split"] == k] for k in (0, 1)]
    else:
        parts = train_test_split(everything, test_size=0.3, stratify=y, random_state=0)
    for k, some in enumerate(parts):
        if len(some) > CAP:
            parts[k] = train_test_split(some, train_size=CAP, stratify=y[some], random_state=0)[0]
    return panel[parts[0]], y[parts[0]], panel[parts[1]], y[parts[1]]


def on_a_grid(panel, length):
    """Straight lines at equal distances, (n_series, n_channels, length)."""
    out = np.zeros((len(panel), panel.n_channels, length), np.float32)
    for i, (times, values) in enumerate(panel):
        grid = np.linspace(times[0], times[-1], length) if len(times) else np.zeros(length)
        for c in range(panel.n_channels):
            seen = ~np.isnan(values[:, c])
            if seen.any():
                out[i, c] = np.interp(grid, times[seen], values[seen, c])
    return out


def as_observed(panel):
    """Each series' own observations with times from 0 to 1 as the last channel, NaN behind the last of them."""
    out = np.full((len(panel), panel.n_channels + 1, max(int(panel.lengths.max()), 2)), np.nan)
    for i, (times, values) in enumerate(panel):
        new = np.append(times[1:] != times[:-1], True)  # the last of each stamp
        t = times[new].astype(np.float64)
        out[i, -1, : len(t)] = (t - t[0]) / ((t[-1] - t[0]) or 1.0)
        out[i, :-1, : len(t)] = values[new].T
    return out


def light_curve_features(panel):
    """What astronomers take of irregular series, for each channel."""
    import light_curve as lc

    features = lc.Extractor(
        lc.Amplitude(), lc.AndersonDarlingNormal(), lc.BeyondNStd(1), lc.BeyondNStd(2), lc.Cusum(), lc.Duration(),
        lc.Eta(), lc.EtaE(), lc.InterPercentileRange(0.02), lc.InterPercentileRange(0.1), lc.InterPercentileRange(0.25),
        lc.Kurtosis(), lc.LinearTrend(), lc.MaximumSlope(), lc.Mean(), lc.Median(), lc.MedianAbsoluteDeviation(),
        lc.MedianBufferRangePercentage(0.1), lc.ObservationCount(), lc.OtsuSplit(), lc.PercentAmplitude(),
        lc.Periodogram(peaks=3), lc.Skew(), lc.StandardDeviation(), lc.TimeMean(), lc.TimeStandardDeviation(),
    )  # fmt: skip
    found = []
    for c in range(panel.n_channels):
        curves, enough = [], []
        for i, (times, values) in enumerate(panel):
            seen = np.flatnonzero(~np.isnan(values[:, c]))
            seen = seen[np.append(times[seen][1:] != times[seen][:-1], True)[: len(seen)]]  # the last of each stamp
            if len(seen) > 1:
                own = np.ascontiguousarray(values[seen, c], np.float64)
                enough.append(i)
                curves.append((times[seen].astype(np.float64), own, np.ones_like(own)))
        some = features.many(curves, sorted=True, check=False, fill_value=np.nan, n_jobs=1)
        found.append(np.full((len(panel), some.shape[1]), np.nan))
        found[-1][enough] = some
    return np.clip(np.concatenate(found, axis=1), -1e30, 1e30).astype(np.float32)


def aeon(make, least=9):
    """A classifier of aeon behind straight lines."""

    def model(train, seed):
        import torch

        torch.set_num_threads(1)
        length = max(int(train.lengths.max()), least)
        return make_pipeline(FunctionTransformer(on_a_grid, kw_args={"length": length}), make(seed))

    return model


def minirocket(seed):
    """Scaled, and scikit-learn's ridge classifier, as aeon does."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    return make_pipeline(
        MiniRocket(random_state=seed), StandardScaler(with_mean=False), RidgeClassifierCV(np.logspace(-3, 3, 10))
    )


def multirocket_hydra(seed):
    from aeon.classification.convolution_based import MultiRocketHydraClassifier

    return MultiRocketHydraClassifier(random_state=seed)


def quant(seed):
    from aeon.classification.interval_based import QUANTClassifier

    return QUANTClassifier(random_state=seed)


def catch22(seed):
    from aeon.classification.feature_based import Catch22Classifier

    return make_pipeline(FunctionTransformer(np.float64), Catch22Classifier(random_state=seed))


def borf(train, seed):
    """The time-aware form, arcsinh of its counts, and a ridge classifier."""
    from fast_borf import BORF

    return make_pipeline(
        FunctionTransformer(as_observed), BORF(time_channel=True, min_window_to_signal_std_ratio=0.15),
        FunctionTransformer(lambda counts: np.arcsinh(np.asarray(counts.todense(), np.float64))),
        RidgeClassifierCV(np.logspace(-3, 3, 10)),
    )  # fmt: skip


def light_curve(train, seed):
    return make_pipeline(FunctionTransformer(light_curve_features), RandomForestClassifier(500, random_state=seed))


LIGHT = {"n_features": 480, "windows": "relative", "order": 4, "conjunctions": 1000}
METHODS = {
    "HiPPOClassifier": lambda train, seed: HiPPOClassifier(random_state=seed),
    "MiniRocket": aeon(minirocket),
    "MultiRocketHydra": aeon(multirocket_hydra, least=24),
    "QUANT": aeon(quant),
    "Catch22": aeon(catch22),
    "BORF": borf,
    "light-curve": light_curve,
}
OWN = {"light": lambda train, seed: HiPPOClassifier(**LIGHT, random_state=seed)}  # for a file of their own


def run(folder, name, method, dropped, seed):
    """One line of the results."""
    train, y, test, y_test = load(folder, name)
    if dropped:
        # test series of their own pattern: the k-th series of both parts are of one class in some sets
        train = drop_observations(train, dropped, random_state=seed)
        test = drop_observations(test, dropped, random_state=1000 + seed)
    begin = time.perf_counter()
    model = (METHODS | OWN)[method](train, seed).fit(train, y)
    fitted = time.perf_counter()
    guess = model.predict(test)
    done = time.perf_counter()
    auroc = ""
    if len(np.unique(y)) == 2:
        score = model.predict_proba(test)[:, 1] if hasattr(model, "predict_proba") else model.decision_function(test)
        auroc = round(roc_auc_score(y_test, score), 4)
    accuracy, balanced = np.mean(guess == y_test), balanced_accuracy_score(y_test, guess)
    return [round(float(accuracy), 4), round(balanced, 4), auroc, round(fitted - begin, 2), round(done - fitted, 2)]


def warm_up(method):
    """Compile what numba compiles, on walks of two classes."""
    rng = np.random.default_rng(0)
    panel = Panel.from_list([np.cumsum(rng.normal(size=60)) for _ in range(20)])
    (METHODS | OWN)[method](panel, 0).fit(panel, np.arange(20) % 2).predict(panel)


def tables(done):
    """Means over the seeds; ranks over all sets, wins against ours, and seconds."""
    means = done.pivot_table(index="set", columns=["dropped", "method"], values="accuracy", aggfunc="mean")
    order = [(d, m) for d in sorted(done["dropped"].unique()) for m in METHODS if (d, m) in means]
    means = means[order].reindex([name for name in DEVELOPMENT + OTHERS if name in means.index])
    rows = []
    for dropped, own in means.T.groupby(level="dropped"):
        own = own.T.droplevel("dropped", axis=1)
        own = own[own["HiPPOClassifier"].notna()]
        # a method that cannot take the series of a set is the last one there
        ranks = own.round(4).rank(axis=1, ascending=False, na_option="bottom")
        some = done[(done["dropped"] == dropped) & done["set"].isin(own.index)].groupby("method")
        for method in own:
            ahead = (own["HiPPOClassifier"] - own[method]).round(4)
            wins = "/".join(str(int(n.sum())) for n in (ahead > 0, ahead == 0, ahead < 0))
            rows.append([
                f"{dropped:.0%}", method, own[method].mean(), own[method].reindex(DEVELOPMENT).mean(),
                ranks[method].mean(), "" if method == "HiPPOClassifier" else wins,
                *(some[what].mean()[method] for what in ("balanced_accuracy", "fit_seconds", "predict_seconds")),
            ])  # fmt: skip
    columns = [
        "lost", "method", "accuracy", "of 23 sets", "mean rank", "HiPPO better/equal/worse", "balanced", "fit, s",
        "predict, s",
    ]  # fmt: skip
    by_set = {}
    for dropped in sorted(done["dropped"].unique()):
        wide = means[dropped].copy()
        wide.loc["mean of the 23"] = wide.reindex(DEVELOPMENT).mean()
        wide.loc["mean"] = wide.iloc[:-1].mean()
        by_set[dropped] = wide
    return by_set, pd.DataFrame(rows, columns=columns)


def critical_differences(done):
    """Mean ranks on whole series; lines join what Wilcoxon's test with Holm's correction does not tell apart at 5 %."""
    import matplotlib.pyplot as plt
    import scikit_posthocs

    plt.rcParams["svg.hashsalt"] = "0"  # the same file from the same numbers
    means = done[done["dropped"] == 0].pivot_table(index="set", columns="method", values="accuracy").round(4)
    ranks = means.rank(axis=1, ascending=False).mean()
    pairs = scikit_posthocs.posthoc_wilcoxon(
        means.melt(), val_col="value", group_col="method", zero_method="zsplit", p_adjust="holm"
    )
    figure, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
    scikit_posthocs.critical_difference_diagram(ranks, pairs, ax=ax)
    figure.savefig(PICTURE, metadata={"Date": None})


def main():
    """Run what has not been run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=[])
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=[*METHODS, *OWN])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--dropped", type=float, nargs="*", default=[0.0, 0.5, 0.8])
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    done = pd.read_csv(given.results) if given.results.exists() else pd.DataFrame(columns=COLUMNS)
    known = set(done[KEYS].itertuples(index=False, name=None))
    everything = [s for s in DEVELOPMENT + OTHERS if s in SHIPPED or (given.folder / f"{s}.npz").exists()]
    jobs = [
        (s, m, d, k)
        for k in given.seeds
        for d in given.dropped
        for m in given.methods
        for s in given.sets or everything
    ]
    warnings.simplefilter("ignore")
    jobs = [job for job in jobs if job not in known]
    for method in {method for _, method, _, _ in jobs}:
        warm_up(method)
    for one in track(jobs):
        try:
            line = run(given.folder, *one)
        except ValueError as error:  # series that are too short for a method
            print(*one, error)
            line = [""] * (len(COLUMNS) - len(KEYS))
        new = not given.results.exists()
        with given.results.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS] * new + [[*one, *line]])
    if given.results != RESULTS:
        return
    done = pd.read_csv(given.results)
    by_set, ranks = tables(done)
    for dropped, wide in by_set.items():
        file = given.results.with_name(f"classification_{dropped:.0%}_lost.csv".replace("%", ""))
        wide.to_csv(file, float_format="%.3f", lineterminator="\n")
    ranks.to_csv(
        given.results.with_name("classification_ranks.csv"), float_format="%.3f", lineterminator="\n", index=False
    )
    critical_differences(done)
    print(ranks.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
