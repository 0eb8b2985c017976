"""
Irregular series, as they are
=============================

Real series are not rows of a matrix. They have different lengths, they are sampled when it suited somebody, channels
fail, and the clock of one recording runs faster than that of another. What does one do with them?

**Resample** them to a common grid, and the grid decides what is lost. **Pad** them, and the model learns the padding.
**Impute** them, and the model learns the imputation. Or take the series for what it is: a function, known at some
points. A projection of that function is a vector of fixed size whatever the points were. This page shows, on real
speech, what follows from that.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_hippo import HiPPOTransformer
from sklearn_hippo.datasets import drop_observations, jitter_times, load_japanese_vowels, scale_time, subsample

X, y = load_japanese_vowels("train")
X_test, y_test = load_japanese_vowels("test")
print(X)
print("lengths:", X.lengths.min(), "to", X.lengths.max())

# %%
# Nothing has to be done about the lengths: each utterance becomes 12 channels of 3 coefficients.

model = make_pipeline(HiPPOTransformer("chebs", 3), StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
model.fit(X, y)
print(f"accuracy: {model.score(X_test, y_test):.3f}")

# %%
# The same, on what may become of the test series on their way to us. The model was trained once, on whole series.

worlds = {
    "as they are": X_test,
    "recorded three times as slowly": scale_time(X_test, 3.0),
    "on a shaky clock": jitter_times(X_test, 0.8, random_state=0),
    "every second observation": subsample(X_test, 2),
    "half of the observations lost": drop_observations(X_test, 0.5, random_state=0),
    "30 % of the single values lost": drop_observations(X_test, 0.3, random_state=0, by_channel=True),
}
scores = {name: model.score(panel, y_test) for name, panel in worlds.items()}
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
bars = ax.barh(list(scores), list(scores.values()), color="C0")
ax.bar_label(bars, fmt="%.3f", padding=3)
ax.invert_yaxis()
ax.set(xlim=(0.5, 1.05), xlabel="accuracy")

# %%
# Why does it hold? Because the coefficients are those of the function, not of the points. Here is one channel of one
# utterance, with all of its observations and with half of them, and the curves of three, six and nine coefficients.

i = int(np.argmax(X_test.lengths))
whole, sparse = X_test[[i]], drop_observations(X_test[[i]], 0.5, random_state=3)
figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for ax, order in zip(axes, (3, 6, 9), strict=True):
    transformer = HiPPOTransformer(order=order).fit(X)
    for panel, color in ((whole, "C0"), (sparse, "C1")):
        times, values = panel[0]
        grid = np.linspace(times[0], times[-1], 200)
        _, curve = transformer.inverse_transform(transformer.transform(panel), grid)[0]
        ax.plot(times, values[:, 0], "o", color=color, markersize=5 if color == "C0" else 3)
        ax.plot(grid, curve[:, 0], color=color)
    ax.set(title=f"{order} coefficients", xlabel="time")

# %%
# What it cannot do: invent what was never observed. With three quarters of the observations gone, what is left of 15 is
# not enough for any method, and the score says so.

lost = drop_observations(X_test, 0.75, random_state=0)
print(f"median of {int(np.median(lost.lengths))} observations left: {model.score(lost, y_test):.3f}")
plt.show()
