"""
What a transform costs
======================

The time of `HiPPOTransformer.transform` against the length of a series, the order, the number of channels and the
number of threads, as `examples/benchmarks/scaling.py` measured them on a 2-core cloud machine (AMD EPYC, AVX-512):
medians, double precision, one thread unless said.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

# The gallery runs in the folder of the examples.
folder = Path(__file__).parent if "__file__" in globals() else Path.cwd()
measured = pd.read_csv(folder / "results" / "scaling.csv")


def curves(axis):
    """Names and places of the curves along an axis, and nanoseconds an observation."""
    for name, rows in measured[measured["axis"] == axis].groupby("curve", sort=False):
        yield name, rows["place"], 1e9 * rows["seconds"] / rows["observations"]


# %%
# Length
# ------
#
# One series, order 256, from a `Panel`. Where a series is dense, a few Chebyshev nodes stand for hundreds of its
# samples, and a few for many of these: the longer the series, the less a sample costs, down to what it takes to
# read it. The recurrence of the paper, in C, visits every coefficient at every sample.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, place, cost in curves("length"):
    style = {"color": "k", "linestyle": "--"} if name == "scalar recurrence" else {}
    ax.loglog(place, 1e3 / cost, label=name, marker=".", **style)
ax.set(xlabel="samples", ylabel="million samples a second", title="One series, order 256")
ax.grid(alpha=0.3)
ax.legend(fontsize="small")
plt.show()

# %%
# Order
# -----
#
# The same million of observations, cut into series of different lengths, straight lines between them. A short
# series meets every basis function at every observation; a long one does not.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, place, cost in curves("order"):
    ax.loglog(place, cost, label=name, marker=".")
ax.set_xscale("log", base=2)
ax.set(xlabel="order", ylabel="nanoseconds an observation", title="Number of series x length")
ax.grid(alpha=0.3)
ax.legend(fontsize="small")
plt.show()

# %%
# Channels and threads
# --------------------
#
# Channels share their timestamps, and so the values of the basis. Series are shared out among threads, the
# longest first.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for name, place, cost in curves("channels"):
    left.plot(place, cost / place, label=name, marker=".")
left.set(xlabel="channels", ylabel="nanoseconds a value", title="Order 32", ylim=(0, None), xscale="log")
for name, place, cost in curves("threads"):
    right.plot(place, cost.iloc[0] / cost, label=name, marker=".")
right.plot(place, place, color="k", linestyle=":", label="ideal")
right.set(xlabel="threads", ylabel="times faster than one", title="Order 32", xticks=list(place))
for ax in (left, right):
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
plt.show()
