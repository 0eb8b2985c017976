"""
How many coefficients a signal needs
====================================

A signal of 400 irregular observations is projected on Legendre polynomials of growing order and reconstructed from the
coefficients alone. Smooth stretches are there after a few coefficients, sharp ones need many.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_hippo import HiPPOTransformer
from sklearn_hippo.inspection import ReconstructionDisplay

rng = np.random.default_rng(0)
times = np.sort(rng.uniform(0, 10, 400))
values = np.sin(times) + 0.5 * np.sin(5 * times) * (times > 6)
X = [(times, values)]

figure, axes = plt.subplots(3, 1, figsize=(7, 7), sharex=True, layout="constrained")
for ax, order in zip(axes, (6, 16, 48), strict=True):
    transformer = HiPPOTransformer(order=order).fit(X)
    ReconstructionDisplay.from_estimator(transformer, X, ax=ax)
    ax.set(ylabel=f"order {order}", xlabel="")
axes[-1].set_xlabel("time")

# %%
# Below is the difference of the two curves, at order 48.

display = ReconstructionDisplay.from_estimator(transformer, X, show_error=True)
