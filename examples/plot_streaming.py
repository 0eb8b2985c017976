"""
Remember a stream in constant memory
====================================

`HiPPOMemory` takes observations as they come. Its state is the projection of the whole history, in constant memory; two
memories of successive stretches merge into the one that has seen both.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_hippo import HiPPOMemory, HiPPOTransformer
from sklearn_hippo.inspection import MemoryDisplay

rng = np.random.default_rng(0)
times = np.cumsum(rng.exponential(0.05, size=1200))
values = np.sin(times) * np.exp(-times / 40) + 0.05 * rng.normal(size=len(times))

# %%
# Feed a third of the observations, look, feed another third, look again. LegS keeps all of the history, at an ever
# coarser resolution: the price of a constant size.

memory = HiPPOMemory(order=24)
figure, axes = plt.subplots(3, 1, figsize=(7, 6), sharex=True, layout="constrained")
for ax, part in zip(axes, np.array_split(np.arange(len(times)), 3), strict=True):
    memory.update(values[part], times[part])
    now = times[part[-1]]
    grid = np.linspace(times[0], now, 500)
    ax.plot(times[: part[-1] + 1], values[: part[-1] + 1], ".", color="0.8", markersize=3)
    ax.plot(grid, memory.reconstruct(grid)[0, :, 0], color="C0")
    ax.set_title(f"{memory.n_observations_} observations, {memory.order} numbers", loc="left")
axes[-1].set_xlabel("time")

# %%
# Two memories, each of one half, merge exactly: the gap between them is interpolated like any other.

first = HiPPOMemory(order=24).update(values[:600], times[:600])
second = HiPPOMemory(order=24).update(values[600:], times[600:])
difference = np.abs((first + second).coefficients_ - memory.coefficients_).max()
print(f"largest difference from the single pass: {difference:.1e}")

# %%
# The coefficients along the series, as an image. Under LegS they settle; under a sliding window they move on with the
# signal.

X = [(times, values)]
figure, axes = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
for ax, measure in zip(axes, ("legs", "legt"), strict=True):
    MemoryDisplay.from_estimator(HiPPOTransformer(measure, 16, timescale=8.0).fit(X), X, ax=ax)
axes[0].set_xlabel("")
plt.show()
