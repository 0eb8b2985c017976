"""
Train in batch, predict from a stream
=====================================

A model is trained on records that are complete; in use, observations arrive one by one, and the prediction is wanted
now. A `HiPPOMemory` made from the fitted transformer has its features after every observation, in constant memory, and
the rest of the pipeline cannot tell the difference.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_hippo import HiPPOMemory, HiPPOTransformer

# %%
# Records of a machine in two conditions: a worn one swings faster. Readings come at random times, and the records are
# of all lengths, as those will be that are still running when we ask.


def record(worn, duration, rng):
    times = np.sort(rng.uniform(0, duration, int(6 * duration) + 2))
    frequency = 1.8 if worn else 1.0
    return times, np.sin(frequency * times + rng.uniform(0, 6)) + 0.3 * rng.normal(size=len(times))


rng = np.random.default_rng(0)
y = np.arange(300) % 2
X = [record(worn, rng.uniform(2, 40), rng) for worn in y]

# %%
# The past fades with a time constant of 5: what counts is how the machine runs now. ``lagt`` has an online form that
# is the projection itself, and so have ``legs`` and ``legs_lti``. A swing is one in any phase; products of coefficients
# tell the classifier how much of it there is.

model = make_pipeline(
    HiPPOTransformer("lagt", 8, timescale=5.0),
    StandardScaler(),
    PolynomialFeatures(2),
    LogisticRegression(max_iter=1000),
)
model.fit(X, y)

# %%
# Now two machines are watched, one of which begins to wear at time 30. The memory takes their readings as they come;
# ``model[1:]`` is the rest of the pipeline.

memory = HiPPOMemory.from_transformer(model[0], n_streams=2)
times = np.sort(rng.uniform(0, 60, (2, 360)), axis=1)
phase = np.stack([times[0], times[1] + 0.8 * np.maximum(0, times[1] - 30)])
readings = np.sin(phase) + 0.3 * rng.normal(size=times.shape)

worn = np.empty(times.shape)
for k in range(times.shape[1]):
    memory.update(readings[:, k], times[:, k])
    worn[:, k] = model[1:].predict_proba(memory.features())[:, 1]

# %%
# The curve rises within a swing: as fast as the time constant lets the old ones fade. In the first moments, the records
# are shorter than all from which the model has learned, and its probabilities mean nothing.

figure, axes = plt.subplots(3, 1, figsize=(7, 6), sharex=True, layout="constrained")
for s, name in enumerate(["first machine", "second machine, worn from time 30"]):
    axes[s].plot(times[s], readings[s], ".-", color=f"C{s}", linewidth=0.5, markersize=3)
    axes[s].set_title(name, loc="left")
    axes[2].plot(times[s], worn[s], color=f"C{s}", label=name)
axes[2].axvline(30, color="0.7", linewidth=1)
axes[2].set(title="probability of wear, after every reading", xlabel="time", ylim=(0, 1))
axes[2].legend(loc="center left")

# %%
# The batch, given all readings at once, says the same.

batch = model.predict_proba(list(zip(times, readings, strict=True)))[:, 1]
print(f"largest difference between batch and stream: {np.abs(batch - worn[:, -1]).max():.1e}")
plt.show()
