"""
What each measure remembers
===========================

A measure says how much each moment of the past counts. The scaled ones look back to the beginning of the series, the
sliding ones a fixed time, the decaying ones ever less. Chebyshev's looks closely at both ends of its window.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_hippo import HiPPOTransformer
from sklearn_hippo.inspection import MeasureDisplay

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for measure in ("legs", "chebs", "lagt"):
    MeasureDisplay.from_estimator(HiPPOTransformer(measure), ax)

# %%
# The same signal, of duration 12, through 16 coefficients under each of the eight measures; the timescale is 4. Where a
# sliding window does not reach, there is nothing to reconstruct; a decaying memory blurs with age.

times = np.linspace(0, 12, 600)
signal = np.sin(1.5 * times) + 0.4 * np.cos(4 * times)
X = [(times, signal)]

figure, axes = plt.subplots(4, 2, figsize=(8, 8), sharex=True, sharey=True, layout="constrained")
for ax, measure in zip(axes.flat, ("legs", "legt", "fous", "fout", "chebs", "chebt", "lagt", "legs_lti"), strict=True):
    transformer = HiPPOTransformer(measure, 16, timescale=4.0).fit(X)
    _, back = transformer.inverse_transform(transformer.transform(X), times)[0]
    ax.plot(times, signal, color="0.7")
    ax.plot(times, back[:, 0], color="C0")
    ax.set(title=measure, ylim=(-2.2, 2.2))
for ax in axes[-1]:
    ax.set_xlabel("time")
plt.show()
