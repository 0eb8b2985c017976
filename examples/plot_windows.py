"""
What decided?
=============

A classifier that is right should be able to say why. `HiPPOClassifier` has some eight thousand features, and no one
reads eight thousand coefficients. But each feature is a sum over time: how often something is above a threshold is made
of the moments at which it is. So every output is a sum over moments, too, without any approximation, and can be drawn
behind the series that it was computed from.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_hippo import HiPPOClassifier
from sklearn_hippo.datasets import drop_observations, load_sktime
from sklearn_hippo.inspection import WindowDisplay

X, y = load_sktime("GunPoint", "train")
X_test, y_test = load_sktime("GunPoint", "test")

# %%
# The height of a hand, in two scenes: an actor draws a gun from a holster, aims, and puts it back (class 1), or only
# points with a finger (class 2). Every series has lost a random half of its observations.

X, X_test = drop_observations(X, 0.5, random_state=0), drop_observations(X_test, 0.5, random_state=1)
classifier = HiPPOClassifier(random_state=0).fit(X, y)
print(X_test)
print(f"accuracy: {classifier.score(X_test, y_test):.3f}")

# %%
# A series of each class. Red is what speaks for the class that was predicted, blue what speaks against it. Below are
# durations of the windows that the classifier relies on, in the unit of the times: relative windows are shares of a
# series' duration, absolute ones last a time.

for label in ("1", "2"):
    WindowDisplay.from_estimator(classifier, X_test, int(np.flatnonzero(y_test == label)[0]))

# %%
# The numbers are there as well, in logarithms of probabilities: with what is no matter of time, their sum is by how
# much the class is ahead, to the precision of the features.

display = WindowDisplay.from_estimator(classifier, X_test, 0)
logs = np.log(classifier.predict_proba(X_test[[0]])[0])
print(f"moments and the rest: {display.moments.sum() + display.rest:.5f}; ahead by {abs(logs[0] - logs[1]):.5f}")
plt.close()

# %%
# Does it hold in general? The mean over forty test series of each class, over the share of the duration that has
# passed. What tells the gun is the way of the hand to the holster and back; what tells the finger is what comes after.

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for label, color in zip(("1", "2"), ("C0", "C1"), strict=True):
    moments = []
    for i in np.flatnonzero(y_test == label)[:40]:
        display = WindowDisplay.from_estimator(classifier, X_test, int(i), target=label, n_bins=60)
        moments.append(display.moments)
        plt.close(display.figure_)
    share = (np.arange(60) + 0.5) / 60
    ax.plot(share, np.mean(moments, axis=0), color=color, label=f"for class {label}")
ax.axhline(0, color="0.8", linewidth=1)
ax.set(xlabel="share of the duration that has passed", ylabel="mean contribution")
ax.legend(frameon=False)
