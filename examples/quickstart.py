"""Nine speakers, utterances of different lengths: from ragged series to a scored model.

JapaneseVowels has 640 series of 7 to 29 observations in 12 channels. A pipeline of `HiPPOTransformer` and a classifier
is searched over measures and orders and scored on the official test split; then the same fitted pipeline is scored on
test series that it would meet in real life: with half of the observations lost, and recorded three times as slowly.

Run it with ``make demo``. It writes a picture to examples/output/quickstart.png.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.callback import ProgressBar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_hippo import HiPPOTransformer
from sklearn_hippo.datasets import drop_observations, load_japanese_vowels, scale_time

OUTPUT = Path(__file__).parent / "output" / "quickstart.png"


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
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return GridSearchCV(pipeline, grid, cv=folds).set_callbacks(ProgressBar(max_propagation_depth=0)).fit(X, y)


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
    for column in ("grid over", "chosen", "CV", "test", "half dropped", "time x 3"):
        table.add_column(column, justify="left" if column in ("grid over", "chosen") else "right")
    for measures in (["legs", "fous", "chebs"], ["legt", "lagt", "legs_lti"]):
        best = search(measures, X, y)
        dropped = [best.score(drop_observations(X_test, 0.5, seed), y_test) for seed in range(5)]
        slow = best.score(scale_time(X_test, 3), y_test)
        scores = best.best_score_, best.score(X_test, y_test), np.mean(dropped), slow
        chosen = "{hippo__measure}, order {hippo__order}".format(**best.best_params_)
        table.add_row(", ".join(measures), chosen, *(f"{score:.3f}" for score in scores))
    console.print(table)
    console.print("The measures of the first row scale with the series: stretching its time axis changes nothing.")
    picture(X_test, OUTPUT)
    console.print(f"A series and its reconstruction: examples/output/{OUTPUT.name}")


if __name__ == "__main__":
    main()
