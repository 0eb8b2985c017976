"""
Choose measure and order by cross-validation
============================================

Which measure is best depends on the data, and a search tells. Here are four of the sets that sktime ships: utterances
of speakers, motions of a body, demand of electricity over a day, and a hand that draws a gun or points. Every
combination of measure and order is cross-validated on the training series, with the same plain classifier behind it.

So is the scale of the coefficients. As they come, the basis being orthonormal, the distance between two vectors of
coefficients is the distance between two functions. Standardized, detail counts as much as the outline, and noise too.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_hippo import HiPPOTransformer
from sklearn_hippo.datasets import load_sktime

MEASURES = ["legs", "fous", "chebs", "legt", "lagt", "legs_lti"]
ORDERS = [2, 4, 8, 16, 32, 64]
SETS = ["JapaneseVowels", "BasicMotions", "ItalyPowerDemand", "GunPoint"]

model = make_pipeline(HiPPOTransformer(), StandardScaler(), SVC(C=10))
grid = {
    "hippotransformer__measure": MEASURES,
    "hippotransformer__order": ORDERS,
    "standardscaler": [StandardScaler(), "passthrough"],
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)

figure, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
for ax, name in zip(axes.flat, SETS, strict=True):
    X, y = load_sktime(name, "train")
    X_test, y_test = load_sktime(name, "test")
    search = GridSearchCV(model, grid, cv=folds).fit(X, y)
    scores = search.cv_results_["mean_test_score"].reshape(len(MEASURES), len(ORDERS), 2).max(axis=2)
    ax.imshow(scores, cmap="viridis", aspect="auto")
    for (row, column), score in np.ndenumerate(scores):
        dark = score < (scores.min() + scores.max()) / 2
        ax.text(column, row, f"{100 * score:.0f}", ha="center", va="center", color="white" if dark else "black")
    ax.set_xticks(range(len(ORDERS)), ORDERS)
    ax.set_yticks(range(len(MEASURES)), MEASURES)
    ax.set(title=f"{name}: test {100 * search.score(X_test, y_test):.1f} %", xlabel="order")
    scaled = "as they come" if search.best_params_["standardscaler"] == "passthrough" else "standardized"
    print(f"{name}: {search.best_params_['hippotransformer__measure']}, coefficients {scaled}")
figure.suptitle("Cross-validated accuracy in %; in the titles, what the best of them scores on the test series")
plt.show()

# %%
# Where the outline tells (utterances, motions), few coefficients suffice, and more of them do little harm as long as
# they keep their size. Where the fine shape decides, as of the hand with the gun, more of them are needed, and
# standardized they are better. Where all series are equally long, ``legt`` with its default timescale looks at the same
# window as ``legs``.
