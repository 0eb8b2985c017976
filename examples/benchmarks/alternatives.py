"""What else makes features of a fixed number out of series: parts of the table of projection.py.

aeon, fast-borf, scikit-fda and pysiglib ask for older releases of NumPy than we do, so `make bench` gives them an
environment of their own; what is not installed is left out. Every transformer is fitted before it is timed; all run in
one thread. Values are the numbers that go in.
"""

import importlib.metadata
import warnings

import numpy as np
from common import medians

from sklearn_hippo import HiPPOTransformer

N_SERIES, LENGTH = 2_000, 500


def regular():
    return np.cumsum(np.random.default_rng(0).normal(size=(N_SERIES, LENGTH)), axis=1)


def ours(X, order=64, **kwargs):
    transformer = HiPPOTransformer(order=order, n_jobs=1, **kwargs).fit(X)
    return lambda: transformer.transform(X)


def minirocket(X):
    from aeon.transformations.collection.convolution_based import MiniRocket

    transformer = MiniRocket(n_jobs=1, random_state=0).fit(X[:, None])
    return lambda: transformer.transform(X[:, None])


def catch22(X):
    from aeon.transformations.collection.feature_based import Catch22

    transformer = Catch22(n_jobs=1).fit(X[:100, None])
    return lambda: transformer.transform(X[:100, None])  # a twentieth of them


def signature(X):
    import pysiglib

    paths = X[:, :, None].copy()
    return lambda: pysiglib.sig(paths, degree=4, time_aug=True, n_jobs=1)


def borf(X):
    from fast_borf import BORF

    transformer = BORF(n_jobs=1).fit(X[:200, None])
    return lambda: transformer.transform(X[:200, None])  # a tenth of them


def basis(X):
    from skfda import FDataGrid
    from skfda.representation.basis import BSplineBasis

    grid = FDataGrid(X, np.arange(LENGTH))
    splines = BSplineBasis(domain_range=(0, LENGTH - 1), n_basis=64)
    return lambda: grid.to_basis(splines).coefficients


CASES = {
    "MiniRocket (aeon)": (minirocket, 1, "aeon"),
    "Catch22 (aeon)": (catch22, 20, "aeon"),
    "signature of depth 4 with time (pysiglib)": (signature, 1, "pysiglib"),
    "BORF (fast-borf)": (borf, 10, "fast-borf"),
    "64 B-splines by least squares (scikit-fda)": (basis, 1, "scikit-fda"),
}


def compare(name):
    make, part, package = CASES[name]

    def add(table):
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return
        X = regular()
        mine = ours(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = make(X)
            theirs()  # what is compiled on first use
            seconds, reference = medians(mine, theirs, repeats=5)
            shape = theirs().shape
        reference *= part
        table.add_row(
            f"{name} {version}: {shape[-1]} features",
            f"{X.size / seconds / 1e6:.0f} M values/s",
            f"{X.size / reference / 1e6:.2f} M values/s",
            f"{reference / seconds:.1f} x faster",
        )

    return add


def irregular(table):
    """What the alternatives do not take at all."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(100, 900, size=N_SERIES)
    X = [(np.cumsum(rng.exponential(size=n)), np.cumsum(rng.normal(size=n))) for n in lengths]
    for _, values in X:
        values[rng.uniform(size=len(values)) < 0.2] = np.nan
    mine, other = medians(ours(X), ours(regular()))
    table.add_row("HiPPO, order 64, ragged, irregular, a fifth missing, as a list",
                  f"{lengths.sum() / mine / 1e6:.0f} M values/s", f"regular: {N_SERIES * LENGTH / other / 1e6:.0f} M/s",
                  "")  # fmt: skip


PARTS = (*map(compare, CASES), irregular)
