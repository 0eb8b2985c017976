"""What the constants of the kernel's cost model are worth on this machine.

    python examples/benchmarks/calibrate.py

The model (_ext/condense.pxi) decides where few nodes take the place of many. No choice changes the coefficients beyond
rounding, but each has its price: every constant is varied by itself, and the time of series of many lengths, orders and
measures compared with that under the constants as they are, in turns, one thread. A constant is good where its
neighbours are not faster by more than the noise, which the rows of factor 1 show.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from common import RESULTS, medians, report

from sklearn_hippo import Panel
from sklearn_hippo._ext_projection import cost_model
from sklearn_hippo._measures import MEASURES
from sklearn_hippo._projection import project

SHIPPED = cost_model()
FACTORS = (0.25, 0.5, 1, 2, 4)


def workloads():
    """Yield projections of about the same total length, short and long, regular and not."""
    rng = np.random.default_rng(0)
    for length in (100, 1_000, 10_000, 100_000):
        n_series = 100_000 // length
        offsets = length * np.arange(n_series + 1)
        times = np.cumsum(rng.exponential(size=n_series * length))
        panel = Panel(np.cumsum(rng.normal(size=n_series * length)), times, offsets)
        for name in ("legs", "lagt", "fous", "chebs"):
            for order in (16, 64, 256):
                for interpolation in ("hold", "linear"):
                    measure = MEASURES[name]
                    yield lambda p=panel, m=measure, o=order, i=interpolation: project(
                        p, m, o, timescale=1e4, interpolation=i
                    )


def varied(name):
    """One constant, and the others as they are."""

    def part(table):
        totals = dict.fromkeys(FACTORS, 0.0)
        for work in workloads():

            def run(factor, work=work):
                cost_model(**{name: SHIPPED[name] * factor})
                work()

            seconds = medians(*(lambda f=f: run(f) for f in FACTORS), repeats=5)
            cost_model(**SHIPPED)
            for factor, one in zip(FACTORS, seconds, strict=True):
                totals[factor] += one
        for factor, total in totals.items():
            table.add_row(name, f"{SHIPPED[name] * factor:g}", f"{total / totals[1]:.3f}")

    return part


if __name__ == "__main__":
    columns = ("constant", "value", "time, to that of the constants as they are")
    report(*map(varied, SHIPPED), columns=columns, path=RESULTS / "cost_model.csv")
