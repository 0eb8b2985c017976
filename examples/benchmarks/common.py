"""What the benchmarks share: medians, the references in C, the table."""

import csv
import ctypes
import platform
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import sklearn_hippo
from sklearn_hippo._ext_projection import simd_name

REPEATS = 9
RESULTS = Path(__file__).parents[1] / "results"

# What the benchmarks on accuracy search over, by cross-validation of the training series: the measures that scale with
# the series, orders, and three classifiers. Coefficients are orthonormal, so distances between them are distances
# between functions; scaling them to one size gives weight to detail.
MEASURES = ["legs", "fous", "chebs"]
ORDERS = [2, 4, 16, 64]
CLASSIFIERS = [
    SVC(C=10.0),
    make_pipeline(StandardScaler(), SVC(C=10.0)),
    ExtraTreesClassifier(100, random_state=0),
]
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


def medians(*functions, repeats=REPEATS, warm=False):
    """Median seconds of each function, measured in turns so that all meet the same noise.

    With ``warm``, each is called once before it is timed, so that it does not meet the caches of another.
    """
    seconds = [[] for _ in functions]
    for _ in range(repeats):
        for one, function in zip(seconds, functions, strict=True):
            if warm:
                function()
            begin = time.perf_counter()
            function()
            one.append(time.perf_counter() - begin)
    return [float(np.median(one)) for one in seconds]


def _compile(source, *flags):
    library = Path(tempfile.mkdtemp()) / "reference.so"
    path = str(Path(__file__).with_name(source))
    subprocess.run(["cc", "-O3", *flags, "-shared", "-fPIC", path, "-o", str(library), "-lm"], check=True)
    return ctypes.CDLL(str(library))


def load_recurrence():
    """The scalar recurrence, compiled for this very machine."""
    run = _compile("recurrence.c", "-march=native", "-ffast-math").legs_recurrence
    array = np.ctypeslib.ndpointer(np.float64, flags="C")
    run.argtypes = [array, array, ctypes.c_ssize_t, array, ctypes.c_ssize_t, array]

    def recurrence(values, times, order):
        memory = np.empty(order)
        run(values, times, len(values), np.sqrt(2 * np.arange(order) + 1.0), order, memory)
        return memory

    return recurrence


LANES = {"avx512": 8, "avx2": 4, "baseline": 2}


def load_peak():
    """Run vector operations in registers (12 n of them), and read an array."""
    flags = {"avx512": ["-mavx512f"], "avx2": ["-mavx2", "-mfma"], "baseline": []}[simd_name()]
    library = _compile("peak.c", f"-DLANES={LANES[simd_name()]}", "-ffp-contract=fast", *flags)
    library.multiply_adds.argtypes = [ctypes.c_ssize_t]
    library.read_all.argtypes = [np.ctypeslib.ndpointer(np.float64, flags="C"), ctypes.c_ssize_t]
    library.multiply_adds.restype = library.read_all.restype = ctypes.c_double
    return library


def report(*parts, columns=("what", "ours", "reference", "ratio"), path=None):
    """Run the parts, each of which adds rows to a table, print it, and write it to a file if one is named."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.machine())
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, sklearn-hippo {sklearn_hippo.__version__}"
    table = Table(title=f"{cpu}, {simd_name()}, {versions}, {time.strftime('%Y-%m-%d')}")
    for column in columns:
        table.add_column(column)
    for part in track(parts, description="measuring", transient=True):
        part(table)
    Console(width=150).print(table)
    if path is not None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*(column.cells for column in table.columns), strict=True))
            writer.writerow((table.title, *[""] * (len(columns) - 1)))
