"""
Watching a series decide
========================

`EarlyClassifier` asks a classifier again and again while a series goes on, and stops when it is sure. Here are two
series, observed at random times, the memory of them, and the probability that makes the decision.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_hippo import EarlyClassifier, HiPPOClassifier, HiPPOTransformer, Panel
from sklearn_hippo.inspection import MemoryDisplay

# %%
# Two kinds of engine, say. They run alike for three seconds; then one of them begins to tremble, a little more every
# second.


def engines(n, seed):
    """Series at random times, and whether the engine is worn."""
    rng = np.random.default_rng(seed)
    worn = np.arange(n) % 2
    series = []
    for kind in worn:
        times = np.sort(rng.uniform(0, 10, 120))
        tremble = kind * 0.25 * np.clip(times - 3, 0, None) * np.sin(9 * times + rng.uniform(0, 6))
        series.append((times, np.sin(2 * times + rng.uniform(0, 6)) + tremble + 0.2 * rng.normal(size=120)))
    return Panel.from_list(series), np.array(["sound", "worn"])[worn]


X, y = engines(100, seed=0)
model = EarlyClassifier(HiPPOClassifier(200, random_state=0), cost_of_waiting=0.02).fit(X, y)
test, y_test = engines(100, seed=1)
times = model.decision_times(test)
print(f"threshold {model.threshold_:.2f}: {model.score(test, y_test):.0%} right, after {times.mean():.1f} seconds")

# %%
# A second of waiting costs a fiftieth of an error, so the threshold is high. Two of the new series: what is observed,
# the memory of it, and the probability at every checkpoint. A series is decided where that leaves the space between the
# grey lines; dotted lines are the decisions.

figure, axes = plt.subplots(3, 2, figsize=(9, 7), sharex=True, layout="constrained")
transformer = HiPPOTransformer(order=24).fit(X)
for column, i in zip(axes.T, (0, 1), strict=True):
    one = test[[i]]
    t, values = one[0]
    begin = t[0]
    column[0].plot(t, values[:, 0], ".-", color="0.4", linewidth=0.8, markersize=4)
    column[0].set_title(f"{y_test[i]}, recognized as {model.predict(one)[0]}")
    MemoryDisplay.from_estimator(transformer, one, ax=column[1])
    column[1].set(xlabel="", title="")
    worn = []
    for k, time in enumerate(model.checkpoints_):
        logs = np.log(model.estimators_[k].predict_proba(one.until(time))[0])
        share = np.exp(model.temperatures_[k] * logs)
        worn.append(share[1] / share.sum())
    column[2].step(begin + model.checkpoints_, worn, "o-", where="post", color="C3", markersize=3)
    for side in (model.threshold_, 1 - model.threshold_):
        column[2].axhline(side, color="0.7", linewidth=0.8)
    column[2].set(ylim=(-0.02, 1.02), xlabel="seconds")
    for ax in column:
        ax.axvline(begin + model.decision_times(one)[0], color="k", linestyle=":")
axes[2, 0].set_ylabel("probability of worn")

# %%
# What is asked for, early or right, is one number. Decisions under five costs of waiting; under the last one, five
# seconds of it cost as much as half an error, which is what tossing a coin costs.

for cost in (0.001, 0.01, 0.03, 0.06, 0.1):
    model.set_params(cost_of_waiting=cost, checkpoints=10, estimator__n_features=50).fit(X, y)
    seconds = model.decision_times(test).mean()
    print(f"cost {cost:5}: {model.score(test, y_test):4.0%} right, after {seconds:.1f} seconds")
