"""How fast random features are: against aeon's MiniRocket, on two threads, and against what the machine can do.

    .venv-bench/bin/python examples/benchmarks/pooling.py

Both transformers are fitted, and MiniRocket is compiled, before the clock runs; it has its default of 10,000 features,
and gets straight lines between the observations where series are of different lengths, outside of the timing. Medians
of turns. The light setting is that of classification.py. Operations are those of the merges (two multiply-adds for each
pair of coefficients), the read-outs (one addition for each coefficient and channel) and the thresholds (a comparison
each), in single precision; what makes cells of observations, and all that is done with bits, counts as time only.
Writes examples/results/pooling_speed.csv.
"""

import os

os.environ["NUMBA_NUM_THREADS"] = "1"

import time
import tracemalloc

import numpy as np
from classification import LIGHT, on_a_grid
from common import LANES, RESULTS, load_peak, medians, report

from sklearn_hippo import Panel, RandomHiPPOTransformer
from sklearn_hippo._ext_projection import simd_name
from sklearn_hippo.datasets import load_japanese_vowels, load_sktime


def sets():
    """Names and panels."""
    walks = np.random.default_rng(0).normal(size=(2000, 500)).cumsum(axis=1)
    yield "OSULeaf, 200 x 427", load_sktime("OSULeaf", "train")[0]
    yield "JapaneseVowels, 270 x 7 to 26 x 12 channels", load_japanese_vowels("train")[0]
    yield "walks, 2,000 x 500", Panel.from_numpy3D(walks[:, None])


def beside_minirocket(table):
    """One thread each."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    for name, panel in sets():
        grid = on_a_grid(panel, int(panel.lengths.max()))
        theirs = MiniRocket(random_state=0, n_jobs=1).fit(grid)
        ours = RandomHiPPOTransformer(random_state=0, n_jobs=1).fit(panel)
        light = RandomHiPPOTransformer(**LIGHT, random_state=0, n_jobs=1).fit(panel)
        more = RandomHiPPOTransformer(normalized=True, random_state=0, n_jobs=1).fit(panel)
        other, *own = medians(
            lambda t=theirs, g=grid: t.transform(g),
            *(lambda o=one, p=panel: o.transform(p) for one in (ours, light, more)), repeats=7, warm=True,
        )  # fmt: skip
        for what, seconds, one in zip(("default", "light", "normalized=True"), own, (ours, light, more), strict=True):
            table.add_row(
                f"{name}: {what}, {one._n_features_out:,} features", f"{1e3 * seconds / len(panel):.3f} ms/series",
                f"MiniRocket: {1e3 * other / len(panel):.3f} ms/series", f"{other / seconds:.2f} x as fast",
            )  # fmt: skip


def on_two_threads(table):
    """Against one."""
    for name, panel in sets():
        one, two = (RandomHiPPOTransformer(random_state=0, n_jobs=n).fit(panel) for n in (1, 2))
        alone, both = medians(
            lambda o=one, p=panel: o.transform(p), lambda t=two, p=panel: t.transform(p), repeats=7, warm=True
        )
        table.add_row(f"{name}: two threads", f"{1e3 * both / len(panel):.3f} ms/series",
                      f"one: {1e3 * alone / len(panel):.3f} ms/series", f"{alone / both:.2f} x")  # fmt: skip


def memory(table):
    """Beyond input and output, on two threads; the kernels allocate nothing of their own."""
    for name, panel in sets():
        transformer = RandomHiPPOTransformer(random_state=0, n_jobs=2).fit(panel)
        tracemalloc.start()
        features = transformer.transform(panel)
        peak = tracemalloc.get_traced_memory()[1] - features.nbytes
        tracemalloc.stop()
        table.add_row(f"{name}: memory beyond input and output", f"{peak / 2**20:.1f} MiB", "", "")


def operations(transformer, panel):
    """Single-precision operations of a transform, where a multiply-add is one."""
    total = 0.0
    for view in transformer.views_:
        n_cells = view.look(panel)[3].astype(float)
        d, padded = view.order, n_cells + 2 * (int(view.lengths[-1]) // 2 + 1)
        total += (len(view.lengths) - 1) * view.n_kinds * view.n_channels * d * (d + 1) * padded.sum()
        for draw in view.draws:
            added = (np.diff(draw.channels) * (1 + (draw.what[4] != 0))).sum()
            total += (added + len(draw.threshold)) * n_cells.sum()
    return total


def share_of_peak(table):
    """Of the fastest multiply-adds, in vectors of single precision."""
    library, lanes = load_peak(), 2 * LANES[simd_name()]
    for name, panel in sets():
        transformer = RandomHiPPOTransformer(random_state=0, n_jobs=1).fit(panel)
        n = 5_000_000
        seconds, of_peak = medians(
            lambda t=transformer, p=panel: t.transform(p), lambda m=n: library.multiply_adds(m), repeats=5, warm=True
        )
        rate = 12 * n / of_peak
        share = operations(transformer, panel) / lanes / seconds / rate
        table.add_row(f"{name}: share of the peak", f"{1e3 * seconds / len(panel):.3f} ms/series",
                      f"peak: {rate / 1e9:.2f} G vector operations/s", f"{100 * share:.0f} %")  # fmt: skip


def main():
    """Measure everything."""
    begin = time.perf_counter()
    report(beside_minirocket, on_two_threads, memory, share_of_peak, path=RESULTS / "pooling_speed.csv")
    print(f"{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
