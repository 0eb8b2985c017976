"""Speed of the projection, as ratios within one run.

    make bench

The references are a scalar C recurrence (recurrence.c), what this machine can do at best (peak.c), both compiled here
for this very machine, and NumPy; ours is the package as it is installed. All figures are medians, double precision, one
thread unless said. Writes examples/results/projection_speed.csv.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import subprocess
import sys
import tracemalloc

import alternatives
import numpy as np
from common import LANES, RESULTS, load_peak, load_recurrence, medians, report
from scipy.linalg import expm

from sklearn_hippo import HiPPOTransformer, Panel
from sklearn_hippo._ext_projection import simd_name
from sklearn_hippo._measures import MEASURES
from sklearn_hippo._projection import every_point, project

ORDER = 256


def walk(length, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=length)) / 300


def irregular(length, seed=1):
    return np.cumsum(np.random.default_rng(seed).exponential(size=length))


def one_long_series(table):
    """Final coefficients of a million samples, from arrays: validation, reading and projection."""
    recurrence, length, beginning = load_recurrence(), 1_000_000, 50_000
    values = walk(length)
    for interpolation in ("hold", "linear"):
        for name, times in [("regular", None), ("irregular", irregular(length))]:
            X = [values if times is None else (times, values)]
            transformer = HiPPOTransformer(order=ORDER, interpolation=interpolation, n_jobs=1).fit(X)
            clock = np.arange(1.0, length + 1) if times is None else times
            # The recurrence costs the same at every step: a part of it is enough.
            ours, reference = medians(
                lambda t=transformer, X=X: t.transform(X),
                lambda clock=clock: recurrence(values[:beginning], clock[:beginning], ORDER),
                repeats=7,
            )
            reference *= length / beginning
            table.add_row(
                f"1,000,000 samples, order {ORDER}, {interpolation}, {name}",
                f"{ours * 1e3:.1f} ms, {length / ours / 1e6:.0f} M samples/s",
                f"scalar recurrence: {length / reference / 1e6:.2f} M samples/s",
                f"{reference / ours:.0f} x faster",
            )
            panel, direct = Panel(values, times), None
            with every_point():
                (visiting,) = medians(
                    lambda p=panel, i=interpolation: project(p, MEASURES["legs"], ORDER, interpolation=i), repeats=3
                )
                direct = project(panel, MEASURES["legs"], ORDER, interpolation=interpolation)
            error = np.abs(transformer.transform(X) - direct[:, 0]).max() / np.abs(direct).max()
            table.add_row("  against every sample through the kernel", f"relative difference {error:.0e}",
                          f"{visiting * 1e3:.0f} ms", f"{visiting / ours:.1f} x faster")  # fmt: skip


def white_noise(table):
    """What is left of white noise, whose jumps nearly cancel, against extended precision."""
    length, order = 1_000_000, 32
    values = np.random.default_rng(0).normal(size=length)
    edges = 2 * np.arange(length + 1, dtype=np.longdouble) / length - 1
    before, now, exact = np.ones_like(edges), edges, [values.mean(dtype=np.longdouble)]
    for n in range(1, order):
        before, now, last = now, ((2 * n + 1) * edges * now - n * before) / (n + 1), before
        exact.append(np.sqrt(2 * n + 1) / 2 * (values @ np.diff((now - last) / (2 * n + 1))))
    exact = np.array(exact, float)
    panel = Panel(values)

    def error():
        c = project(panel, MEASURES["legs"], order, interpolation="hold")[0, 0]
        return np.abs(c - exact).max() / np.abs(exact).max()

    with every_point():
        direct = error()
    table.add_row(f"1,000,000 samples of white noise, order {order}, hold", f"relative error {error():.0e}",
                  f"every sample through the kernel: {direct:.0e}", "")  # fmt: skip


def growth(table):
    """Ten times the length, four times the order."""
    million, ten = [walk(1_000_000)], [walk(10_000_000)]
    small, large = (HiPPOTransformer(order=n, interpolation="hold", n_jobs=1).fit(million) for n in (256, 1024))
    one, many, high = medians(
        lambda: small.transform(million), lambda: small.transform(ten), lambda: large.transform(million)
    )
    table.add_row("10,000,000 samples, order 256, hold", f"{many * 1e3:.1f} ms", f"1,000,000: {one * 1e3:.1f} ms",
                  f"{many / one:.1f} x the time")  # fmt: skip
    table.add_row("1,000,000 samples, order 1024, hold", f"{high * 1e3:.1f} ms", f"order 256: {one * 1e3:.1f} ms",
                  f"{high / one:.1f} x the time")  # fmt: skip


def peak_rate(library):
    """Vector operations a second in registers."""
    n = 5_000_000
    return 12 * n / medians(lambda: library.multiply_adds(n), repeats=3)[0]


def share_of_peak(table):
    """Vector operations of the recurrence and of the sums alone; what feeds them counts as time only."""
    library, lanes = load_peak(), LANES[simd_name()]
    panel = Panel(walk(10_000))

    def direct():
        with every_point():
            project(panel, MEASURES["legs"], 64, interpolation="hold")

    rate = peak_rate(library)
    (ours,) = medians(direct, repeats=99)
    n_operations = 3 * 66 * 10_000 / lanes  # multiply, fused multiply-add, add
    table.add_row("one series of 10,000 points, order 64, hold, the kernel", f"{ours * 1e6:.0f} us",
                  f"peak: {rate / 1e9:.2f} G vector operations/s",
                  f"{100 * n_operations / ours / rate:.0f} % of the peak")  # fmt: skip
    n, length, channels, order = 10_000, 100, 3, 32
    values = np.random.default_rng(0).normal(size=(n * length, channels))
    for interpolation in ("hold", "linear"):
        for name, times in [("regular", None), ("irregular", irregular(n * length))]:
            panel = Panel(values, times, length * np.arange(n + 1))
            transformer = HiPPOTransformer(order=order, interpolation=interpolation, n_jobs=1).fit(panel)
            rate = peak_rate(library)
            (ours,) = medians(lambda t=transformer, p=panel: t.transform(p), repeats=15)
            n_operations = n * (order + 2) * -(-length // lanes) * (2 + channels)  # two for P_n, one a channel
            table.add_row(f"transform: {n:,} x {length} x {channels} channels, order {order}, {interpolation}, {name}",
                          f"{ours * 1e3:.1f} ms", f"peak: {rate / 1e9:.2f} G vector operations/s",
                          f"{100 * n_operations / ours / rate:.0f} % of the peak")  # fmt: skip


def share_of_bandwidth(table):
    library, values = load_peak(), walk(10_000_000)
    panel = Panel(values)
    transformer = HiPPOTransformer(order=64, interpolation="hold", n_jobs=1).fit(panel)
    ours, reading = medians(lambda: transformer.transform(panel), lambda: library.read_all(values, len(values)))
    table.add_row("transform: 10,000,000 samples, order 64, hold", f"{values.nbytes / ours / 1e9:.1f} GB/s",
                  f"just reading them: {values.nbytes / reading / 1e9:.1f} GB/s",
                  f"{100 * reading / ours:.0f} % of the bandwidth")  # fmt: skip


def single_precision(table):
    """What float32 costs, and what would be left of white noise if the arithmetic were float32 as well."""
    n, length, order = 2_000, 500, 64
    values = walk(n * length).reshape(n, length)
    single = values.astype(np.float32)
    transformer = HiPPOTransformer(order=order, n_jobs=1).fit(values)
    double, ours = medians(lambda: transformer.transform(values), lambda: transformer.transform(single))
    table.add_row(f"{n:,} series of {length} in float32, order {order}", f"{ours * 1e3:.1f} ms",
                  f"float64: {double * 1e3:.1f} ms", f"{double / ours:.2f} x faster")  # fmt: skip
    order = 32
    n = np.arange(order + 2)
    scale = np.cumprod(np.concatenate([[1.0], (2 * n[1:] - 1) / (2 * n[1:])]))
    for length in (100, 1_000, 10_000):
        x = np.random.default_rng(0).normal(size=length)
        exact = project(Panel(x), MEASURES["legs"], order, interpolation="hold")[0, 0]
        # Moments of the jumps of held values, all in float32.
        r = (4 * np.arange(1, length) / length - 2).astype(np.float32)
        p, before, moments = np.diff(x).astype(np.float32), np.float32(0), []
        for k in n:
            moments.append(p.sum())
            p, before = r * p - np.float32(4 * k**2 / (4 * k**2 - 1)) * before, p
        m = np.array(moments, float) * scale
        integral = m[1:-1] - np.concatenate([[-m[0]], m[: order - 1]])
        c = -integral / np.sqrt(2 * n[:-2] + 1) / 2
        c[0] += x[-1]
        error = np.abs(c - exact).max() / np.abs(exact).max()
        table.add_row(f"  arithmetic in float32: white noise, {length:,} observations", f"relative error {error:.0e}",
                      "", "")  # fmt: skip


def against_numpy(table):
    n, length, order = 1_000, 500, 64
    values = walk(n * length).reshape(n, length)
    held = {"timescale": 100.0, "interpolation": "hold", "past": "zero", "n_jobs": 1}
    transformer = HiPPOTransformer("legs_lti", order, **held).fit(values)
    dynamics = MEASURES["legs_lti"].dynamics(order)
    # One step of the dense dynamics, exact for held values.
    A = expm(dynamics.A / 100)
    B = np.linalg.solve(dynamics.A, (A - np.eye(order)) @ dynamics.B)

    def steps():
        c = np.zeros((n, order))
        for k in range(length):
            c = c @ A.T + values[:, k, None] * B
        return c

    assert np.allclose(steps(), transformer.transform(values))
    ours, dense = medians(lambda: transformer.transform(values), steps, repeats=5)
    table.add_row(f"{n:,} regular series of {length}, legs_lti, order {order}", f"{ours * 1e3:.1f} ms",
                  f"dense steps in NumPy: {dense * 1e3:.0f} ms", f"{dense / ours:.0f} x faster")  # fmt: skip
    transformer = HiPPOTransformer(order=order, interpolation="hold", n_jobs=1).fit(values)
    matrix = transformer.transform(np.eye(length))  # linear in the values: one matrix for all series of this length
    assert np.allclose(values @ matrix, transformer.transform(values))
    ours, dense = medians(lambda: transformer.transform(values), lambda: values @ matrix)
    table.add_row("  legs, if all are regular and equally long", f"{ours * 1e3:.1f} ms",
                  f"a matrix made before: {dense * 1e3:.1f} ms", f"{dense / ours:.2f} x faster")  # fmt: skip


def threads(table):
    panel = Panel(walk(2_000 * 2_000), None, 2_000 * np.arange(2_001))
    for order in (16, 64):
        one, two = (HiPPOTransformer(order=order, n_jobs=n).fit(panel) for n in (1, 2))
        alone, both = medians(lambda: one.transform(panel), lambda: two.transform(panel), warm=True)  # noqa: B023
        table.add_row(f"2,000 series of 2,000, order {order}, two threads", f"{both * 1e3:.1f} ms",
                      f"one: {alone * 1e3:.1f} ms", f"{alone / both:.2f} x faster")  # fmt: skip


def single_calls(table):
    series = walk(50)
    table_of_one = series[None]
    forms = {"Panel": Panel(series), "list of an array": [series], "array (1, 50)": table_of_one}
    for name, X in forms.items():
        transformer = HiPPOTransformer().fit(X)

        def calls(transformer=transformer, X=X):
            for _ in range(200):
                transformer.transform(X)

        (seconds,) = medians(calls)
        table.add_row(f"transform of one series of 50: {name}", f"{seconds / 200 * 1e6:.0f} us", "limit: 150 us", "")


def memory(table):
    n, length, channels = 20_000, 200, 3
    panel = Panel(np.random.default_rng(0).normal(size=(n * length, channels)), None, length * np.arange(n + 1))
    transformer = HiPPOTransformer(order=32).fit(panel)
    tracemalloc.start()
    features = transformer.transform(panel)
    peak = tracemalloc.get_traced_memory()[1] - features.nbytes
    tracemalloc.stop()
    table.add_row(f"{n:,} x {length} x {channels} channels: memory beyond input and output", f"{peak / 2**20:.2f} MiB",
                  "", "")  # fmt: skip


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
    report(
        one_long_series, white_noise, growth, share_of_peak, share_of_bandwidth, threads, single_calls,
        single_precision, against_numpy, *alternatives.PARTS, memory, imports, path=RESULTS / "projection_speed.csv",
    )  # fmt: skip
