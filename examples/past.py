"""How the default of ``past`` was chosen: cross-validation on the training parts of five sets, whole or not.

    python examples/past.py

What a series was before its first time matters where a window reaches further back than the series does: for timescales
that are longer than the series, for records that have only begun, and for measures that fade, always. So each set comes
as it is, with half of its observations missing and the times of the others jittered, and cut to a random beginning,
from one observation to all; each with windows of 0.3, 1, 3 and 10 times the median duration, with and without the
duration as a feature. A line of examples/results/past.csv is one of these, in accuracies; means are printed. The test
parts are not touched. It takes a minute or two.
"""

import platform
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_hippo import HiPPOTransformer, Panel
from sklearn_hippo.datasets import drop_observations, jitter_times, load_sktime

RESULTS = Path(__file__).parent / "results" / "past.csv"
SETS = ("JapaneseVowels", "PLAID", "BasicMotions", "ItalyPowerDemand", "GunPoint")
MEASURES = ("legt", "fout", "lagt", "legs_lti")
TIMESCALES = (0.3, 1.0, 3.0, 10.0)  # median durations
ORDER, N_SEEDS, N_FOLDS = 8, 3, 5
CLASSIFIER = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 7)))


def cut(panel, seed):
    """Every series as it was after a random part of its observations, one of them at least."""
    share = np.random.default_rng(seed).uniform(size=len(panel))
    kept = np.maximum(1, np.ceil(share * panel.lengths)).astype(int)
    return Panel.from_list([(times[:n], values[:n]) for (times, values), n in zip(panel, kept, strict=True)])


FORMS = {
    "whole": lambda panel, seed: panel,
    "irregular": lambda panel, seed: jitter_times(drop_observations(panel, 0.5, seed), 0.3, seed),
    "cut": cut,
}


def measure(name, form, seed):
    """Lines of all configurations on one set in one form."""
    panel, y = load_sktime(name, "train")
    duration = float(np.median(panel.durations))
    panel = FORMS[form](panel, seed)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    for kind, scale, add_duration in product(MEASURES, TIMESCALES, (False, True)):
        for past in ("zero", "constant"):
            transformer = HiPPOTransformer(
                kind, ORDER, timescale=scale * duration, past=past, add_duration=add_duration
            )
            X = transformer.fit_transform(panel)  # which learns nothing from the series
            accuracy = cross_val_score(CLASSIFIER, X, y, cv=folds).mean()
            yield name, form, kind, scale, add_duration, past, seed, accuracy


def main():
    rows = [row for one in track(list(product(SETS, FORMS, range(N_SEEDS))), "measuring") for row in measure(*one)]
    columns = ["set", "form", "measure", "timescale", "add_duration", "past", "seed", "accuracy"]
    results = pd.DataFrame(rows, columns=columns)
    means = results.groupby(columns[:-2], sort=False)["accuracy"].mean().unstack("past")[["zero", "constant"]]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}"
    title = f"set ({N_SEEDS} seeds, {N_FOLDS} folds; {versions}, {platform.machine()})"
    means.round(4).rename_axis([title, *columns[1:-3]]).to_csv(RESULTS, lineterminator="\n")
    for by in (["form"], ["form", "timescale"], ["set", "form"], ["measure", "add_duration"]):
        table = (100 * means.groupby(by).mean()).round(1)
        table["difference"] = (table["constant"] - table["zero"]).round(1)
        if by == ["set", "form"]:
            table.to_csv(RESULTS.with_name("past_table.csv"), lineterminator="\n")
        shown = Table(*by, *table.columns)
        for index, row in table.iterrows():
            where = index if isinstance(index, tuple) else (index,)
            shown.add_row(*map(str, where), *(f"{one:.1f}" for one in row))
        Console(width=100).print(shown)


if __name__ == "__main__":
    main()
