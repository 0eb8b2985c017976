"""Our pipelines and pyrregular's own models on its data sets, with its official splits.

    .venv-bench/bin/python examples/benchmarks/pyrregular_run.py [set ...]

pyrregular downloads its data sets. Where it cannot, JapaneseVowels, PLAID and PickupGestureWiimoteZ are made of the
copies that sktime and aeon ship, in the same form; the other sets are left out, and the script says so. Its models are
those of its paper that need no deep-learning library, with the parameters that it gives them. Two of ours are not
tuned, one is searched over by cross-validation. Means of three seeds. Results are kept after every set in
examples/results/pyrregular.csv: sets that stand there are not run again.
"""

import argparse
import time
import warnings

import aeon.datasets
import numpy as np
import pandas as pd
import pooch
import pyrregular.accessor  # registers .irr
import requests
import sktime.datasets
import sparse
import xarray
from common import CLASSIFIERS, FOLDS, MEASURES, ORDERS, RESULTS
from pyrregular.models import get_paper_model
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from sklearn_hippo import HiPPOTransformer, Panel
from sklearn_hippo._panel import own_times
from sklearn_hippo._validation import check_panel

OFFLINE = {
    "JapaneseVowels": lambda split: aeon.datasets.load_japanese_vowels(split=split),
    "PLAID": lambda split: sktime.datasets.load_plaid(split=split, return_type="nested_univ"),
    "PickupGestureWiimoteZ": lambda split: aeon.datasets.load_pickup_gesture_wiimoteZ(split=split),
}
THEIRS = ["LGBM", "RIFC", "ROCKET", "BORF"]
COLUMNS = ["set", "source", "model", "accuracy", "accuracy_range", "f1_macro", "seconds"]
N_SEEDS = 3


def read_dense(X):
    """Series of a dense array of pyrregular with times, of shape (n_series, n_channels + 1, max_length)."""
    return Panel.from_padded(X.transpose(0, 2, 1), time_channel=-1)


def ours():
    """Pipelines on panels. In front of one, ``FunctionTransformer(read_dense)`` makes it a model of pyrregular."""
    yield "HiPPO (legs, 16) + SVC", make_pipeline(HiPPOTransformer(order=16), SVC(C=10.0))
    trees = ExtraTreesClassifier(500, random_state=0)
    yield "HiPPO (fous, 64) + extra trees", make_pipeline(HiPPOTransformer("fous", 64), trees)
    pipeline = Pipeline([("hippo", HiPPOTransformer(add_duration=True)), ("classify", SVC())])
    grid = {"hippo__measure": MEASURES, "hippo__order": ORDERS, "classify": CLASSIFIERS}
    yield "HiPPO, searched", GridSearchCV(pipeline, grid, cv=FOLDS)


def to_pyrregular(panel, y, split):
    """A data set in pyrregular's form: sparse, with dims (ts_id, signal_id, time_id)."""
    clock = own_times(panel).astype(np.int64)
    rows, signals = np.nonzero(~np.isnan(panel.values))
    series = np.repeat(np.arange(len(panel)), panel.lengths)[rows]
    shape = len(panel), panel.n_channels, clock.max() + 1
    data = sparse.COO([series, signals, clock[rows]], panel.values[rows, signals], shape=shape, fill_value=np.nan)
    coords = {"target": ("ts_id", y), "split": ("ts_id", split), "signal_id": [str(c) for c in range(shape[1])],
              "time_id": np.arange(shape[2], dtype=float)}  # fmt: skip
    attrs = {"configs": {"default": {"target": "target", "split": "split"}}}
    return xarray.DataArray(data, dims=("ts_id", "signal_id", "time_id"), coords=coords, attrs=attrs)


def load(name):
    """A data set and where it comes from; None if it cannot be had."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pyrregular.load_dataset(name), "pyrregular"
    except (OSError, requests.RequestException):  # no network
        if name not in OFFLINE:
            return None, None
    (X, y), (X_test, y_test) = OFFLINE[name]("train"), OFFLINE[name]("test")
    panel = check_panel(pd.concat([X, X_test])) if hasattr(X, "columns") else Panel.from_aeon([*X, *X_test])
    split = np.repeat(["train", "test"], [len(y), len(y_test)])
    return to_pyrregular(panel, np.concatenate([y, y_test]), split), "bundled"


def seeded(model, seed):
    """A copy of a model in which all that is random has this seed."""
    model = clone(model)
    return model.set_params(**{name: seed for name in model.get_params() if name.endswith("random_state")})


def scores(name, data, source):
    """A row for each model."""
    y, split = data.irr.get_task_target_and_split()
    codes = np.unique(y, return_inverse=True)[1]
    train, test = split != "test", split == "test"
    panel, (dense, _) = Panel.from_pyrregular(data), data.irr.to_dense()
    timed, _ = data.irr.to_dense(concatenate_time=True)
    features = HiPPOTransformer(order=8).fit(panel)
    adapted = make_pipeline(FunctionTransformer(read_dense), features)
    np.testing.assert_allclose(adapted.transform(timed), features.transform(panel), rtol=1e-6, atol=1e-8)
    models = [(label, model, panel) for label, model in ours()]
    models += [(label, get_paper_model(label), dense) for label in THEIRS]
    for label, model, X in track(models, description=name):
        begin = time.perf_counter()
        accuracy, f1 = [], []
        for seed in range(N_SEEDS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                predicted = seeded(model, seed).fit(X[train], codes[train]).predict(X[test])
            accuracy.append(accuracy_score(codes[test], predicted))
            f1.append(f1_score(codes[test], predicted, average="macro"))
        seconds = (time.perf_counter() - begin) / N_SEEDS
        row = name, source, label, np.mean(accuracy), np.ptp(accuracy), np.mean(f1), seconds
        yield dict(zip(COLUMNS, row, strict=True))


def main(names):
    path = RESULTS / "pyrregular.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)
    for name in names:
        if (table["set"] == name).any():
            continue
        data, source = load(name)
        if data is None:
            print(f"{name}: no download, and no bundled copy")
            continue
        rows = pd.DataFrame(scores(name, data, source))
        table = rows if table.empty else pd.concat([table, rows], ignore_index=True)
        table.round({"accuracy": 4, "accuracy_range": 4, "f1_macro": 4, "seconds": 2}).to_csv(
            path, index=False, lineterminator="\n"
        )
    accuracy = table.pivot(index="set", columns="model", values="accuracy")[list(table["model"].unique())]
    accuracy.round(3).to_csv(RESULTS / "pyrregular_table.csv", lineterminator="\n")
    printed = Table("accuracy", *accuracy.columns)
    for name, row in accuracy.iterrows():
        printed.add_row(name, *(f"{one:.3f}" for one in row))
    Console(width=150).print(printed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=list(OFFLINE), help="names of data sets, or 'paper' for all of them")
    names = parser.parse_args().sets
    pooch.get_logger().setLevel("ERROR")
    main(pyrregular.list_paper_datasets() if names == ["paper"] else names)
