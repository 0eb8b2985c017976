"""The picture of README and of the documentation's first page: an irregular series, its coefficients, and back.

    python examples/front_page.py

Writes docs/_static/front_page.png.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sklearn_hippo import HiPPOTransformer, Panel

rng = np.random.default_rng(3)
times = np.sort(np.r_[rng.uniform(0, 3.4, 22), rng.uniform(5.6, 10, 14)])
values = np.column_stack([np.sin(1.3 * times) + 0.15 * times, np.cos(0.9 * times) - 1.5])
values += 0.07 * rng.normal(size=values.shape)
values[rng.random(values.shape) < 0.3] = np.nan
X = Panel(values, times, channel_names=["first channel", "second"])

transformer = HiPPOTransformer(order=12).fit(X)
coefficients = transformer.transform(X)
grid = np.linspace(times[0], times[-1], 400)
back = transformer.inverse_transform(coefficients, grid - times[0]).values

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for c, name in enumerate(X.channel_names):
    left.plot(times, values[:, c], "o", ms=4, label=name)
    middle.bar(np.arange(12) + 0.4 * c - 0.2, coefficients[0, 12 * c : 12 * (c + 1)], 0.4)
    right.plot(grid, back[:, c], lw=2)
    right.plot(times, values[:, c], "o", ms=3, color=f"C{c}", alpha=0.5)
left.set(title="one series: gaps, holes, any times", xlabel="time")
left.legend(loc="upper center", bbox_to_anchor=(0.41, 1.02), frameon=False, handletextpad=0)
middle.set(title="its features: 12 coefficients a channel", xlabel="coefficient", xticks=range(12))
right.set(title="and back, at any times", xlabel="time")
for ax in (left, middle, right):
    ax.spines[["top", "right"]].set_visible(False)

path = Path(__file__).parents[1] / "docs" / "_static" / "front_page.png"
figure.savefig(path, dpi=110, metadata={"Software": None})
print(path)
