"""Speed of the projection, as ratios within one run.

The reference is a scalar C recurrence (recurrence.c), compiled here for this very machine; ours is the package as it is
installed. All figures are medians, double precision, one thread unless said.
"""

import subprocess
import sys
import time
import tracemalloc

import numpy as np
from common import REPEATS, load_recurrence, medians, report

from sklearn_hippo import HiPPOTransformer, Panel, _projection
from sklearn_hippo._measures import MEASURES


def against_the_recurrence(table):
    """The final coefficients of one long series: by the direct kernel, which visits every point, and as shipped."""
    recurrence = load_recurrence()
    rng = np.random.default_rng(0)
    order, length = 256, 100_000
    regular = np.arange(1.0, length + 1)
    irregular = np.cumsum(rng.exponential(size=length))
    walk = np.cumsum(rng.normal(size=length)) / 300
    gauss, local, ones = _projection._RULES
    rules = {"every point": (gauss, local[:0], ones), "dense chunks as nodes": _projection._RULES}
    for interpolation in ("hold", "linear"):
        for clock, times in [("regular", None), ("irregular", irregular)]:
            panel = Panel(walk, times)
            for kernel, rule in rules.items():

                def run(panel=panel, interpolation=interpolation, rule=rule):
                    _projection._RULES = rule
                    _projection.project(panel, MEASURES["legs"], order, interpolation=interpolation)

                def scalar(times=times):
                    recurrence(walk, regular if times is None else times, order)

                ours, reference = medians(run, scalar, repeats=5)
                table.add_row(
                    f"{length:,} samples, order {order}, {interpolation}, {clock}, {kernel}",
                    f"{length / ours / 1e6:.1f} M samples/s",
                    f"scalar recurrence: {length / reference / 1e6:.2f} M/s",
                    f"{reference / ours:.1f} x faster",
                )


def many_series(table):
    rng = np.random.default_rng(0)
    n, length, channels, order = 20_000, 200, 3, 32
    values = rng.normal(size=(n * length, channels))
    for name, times in [("regular", None), ("irregular", rng.uniform(size=n * length) + 2 * np.arange(n * length))]:
        panel = Panel(values, times, length * np.arange(n + 1))
        transformer = HiPPOTransformer(order=order, n_jobs=1).fit(panel)
        inside = []
        kernel = _projection._project

        def timed(*arguments, kernel=kernel, inside=inside):
            begin = time.perf_counter()
            kernel(*arguments)
            inside.append(time.perf_counter() - begin)

        _projection._project = timed
        transformer.transform(panel)
        inside.clear()
        (whole,) = medians(lambda transformer=transformer, panel=panel: transformer.transform(panel))
        alone = sum(inside) / REPEATS
        _projection._project = kernel
        transformer.set_params(n_jobs=2)
        (threads,) = medians(lambda transformer=transformer, panel=panel: transformer.transform(panel))
        what = f"{n:,} series x {length} x {channels} channels, order {order}, {name}"
        times_in_full = f"transform: {whole * 1e3:.0f} ms", f"compiled kernel alone: {alone * 1e3:.0f} ms"
        table.add_row(what, *times_in_full, f"{whole / alone:.2f} x the kernel's time")
        times_in_full = f"transform: {threads * 1e3:.0f} ms", f"one thread: {whole * 1e3:.0f} ms"
        table.add_row("  the same, two threads", *times_in_full, f"{whole / threads:.2f} x faster")
    tracemalloc.start()
    features = transformer.set_params(n_jobs=1).transform(panel)
    peak = tracemalloc.get_traced_memory()[1] - features.nbytes
    tracemalloc.stop()
    table.add_row("  memory beyond input and output", f"{peak / 2**20:.1f} MiB", "limit: 64 MiB", "")


def imports(table):
    def run(code):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    ours, theirs, nothing = medians(
        run("import sklearn_hippo"), run("import numpy, sklearn, sklearn.base, sklearn.utils"), run("pass")
    )
    table.add_row("import sklearn_hippo", f"{(ours - nothing) * 1e3:.0f} ms",
                  f"import sklearn, numpy: {(theirs - nothing) * 1e3:.0f} ms",
                  f"{(ours - nothing) / (theirs - nothing):.2f} x the time")  # fmt: skip


if __name__ == "__main__":
    report(against_the_recurrence, many_series, imports)
