"""Nine speakers, utterances of different lengths: from ragged series to a scored model.

JapaneseVowels has 640 series of 7 to 29 observations in 12 channels. `HiPPOClassifier` is fitted as it is; a pipeline
of `HiPPOTransformer` and a linear classifier, of few and readable features, is searched over measures and orders. They
are scored on the official test split, and then on test series that they would meet in real life: with half of the
observations lost, and recorded three times as slowly. Then `HiPPOClassifier` tells appliances apart (PLAID), by
currents of different lengths.

Run it with ``make demo``. It writes a picture to examples/output/quickstart.png.
"""

import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.callback import ProgressBar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_hippo import HiPPOClassifier, HiPPOTransformer
from sklearn_hippo.datasets import drop_observations, load_japanese_vowels, load_plaid, scale_time

OUTPUT = Path(__file__).parent / "output" / "quickstart.png"
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


def search(measures, X, y):
    """Grid over measures and orders, cross-validated, with a progress bar."""
    pipeline = Pipeline(
        [
            ("hippo", HiPPOTransformer()),
            ("scale", StandardScaler()),
            ("classify", LogisticRegression(C=0.1, max_iter=1000)),
        ]
    )
    grid = {"hippo__measure": measures, "hippo__order": [2, 3, 4, 6, 8]}
    return GridSearchCV(pipeline, grid, cv=FOLDS).set_callbacks(ProgressBar(max_propagation_depth=0)).fit(X, y)


def picture(X, path):
    """One utterance and what eight coefficients a channel keep of it, with and without half of the observations."""
    transformer = HiPPOTransformer(order=8).fit(X)
    longest = int(np.argmax(X.lengths))
    whole = X[[longest]]
    sparse = drop_observations(whole, 0.5, random_state=1)
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    for ax, panel, title in zip(axes, (whole, sparse), ("all observations", "half of them"), strict=True):
        times, values = panel[0]
        grid = np.linspace(times[0], times[-1], 200)
        _, curves = transformer.inverse_transform(transformer.transform(panel), grid)[0]
        for channel in range(3):
            ax.plot(times, values[:, channel], "o", color=f"C{channel}", markersize=4)
            ax.plot(grid, curves[:, channel], color=f"C{channel}", label=f"channel {channel}")
        ax.set(title=f"{title}: {len(times)} points, 8 coefficients a channel", xlabel="time (frames)")
    axes[0].set_ylabel("cepstral coefficient")
    axes[1].legend(frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main():
    console = Console(width=100)
    X, y = load_japanese_vowels("train")
    X_test, y_test = load_japanese_vowels("test")
    console.print(f"JapaneseVowels: {len(X)} training and {len(X_test)} test series, lengths "
                  f"{X.lengths.min()}-{X.lengths.max()}, {X.n_channels} channels")  # fmt: skip
    table = Table(title="Accuracy on the official test split")
    for column in ("model", "chosen", "CV", "test", "half dropped", "time x 3"):
        table.add_column(column, justify="left" if column in ("model", "chosen") else "right")

    def add(name, chosen, validated, model):
        dropped = [model.score(drop_observations(X_test, 0.5, seed), y_test) for seed in range(5)]
        scores = validated, model.score(X_test, y_test), np.mean(dropped), model.score(scale_time(X_test, 3), y_test)
        table.add_row(name, chosen, *(f"{score:.3f}" for score in scores))

    for windows in ("both", "relative"):
        classifier = HiPPOClassifier(windows=windows, random_state=0, n_jobs=-1)
        validated = cross_val_score(classifier, X, y, cv=FOLDS).mean()
        add("HiPPOClassifier", f"windows={windows!r}", validated, classifier.fit(X, y))
    for measures in (["legs", "fous", "chebs"], ["legt", "lagt", "legs_lti"]):
        best = search(measures, X, y)
        chosen = "{hippo__measure}, order {hippo__order}".format(**best.best_params_)
        add(", ".join(measures), chosen, best.best_score_, best)
    console.print(table)
    console.print(
        "Relative windows, and the measures of the third row, scale with the series: stretching its time axis changes "
        "nothing."
    )
    picture(X_test, OUTPUT)
    (currents, appliance), (new, expected) = (load_plaid(split) for split in ("train", "test"))
    begin = time.perf_counter()
    classifier = HiPPOClassifier(random_state=0, n_jobs=-1).fit(currents, appliance)
    seconds = time.perf_counter() - begin
    console.print(f"PLAID: {len(currents)} currents of {len(classifier.classes_)} appliances, lengths "
                  f"{currents.lengths.min()}-{currents.lengths.max()}: HiPPOClassifier, fitted in {seconds:.1f} s, "
                  f"{classifier.score(new, expected):.3f} on the test split")  # fmt: skip
    console.print(f"A series and its reconstruction: examples/output/{OUTPUT.name}")


if __name__ == "__main__":
    main()
