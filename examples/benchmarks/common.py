"""What the benchmarks share: medians, the reference, the table."""

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

from sklearn_hippo._ext_projection import simd_name

REPEATS = 9


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


def load_recurrence():
    """Compile the reference."""
    library = Path(tempfile.mkdtemp()) / "recurrence.so"
    source = Path(__file__).with_name("recurrence.c")
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(source), "-o", str(library), "-lm"], check=True)
    run = ctypes.CDLL(str(library)).legs_recurrence
    array = np.ctypeslib.ndpointer(np.float64, flags="C")
    run.argtypes = [array, array, ctypes.c_ssize_t, array, ctypes.c_ssize_t, array]

    def recurrence(values, times, order):
        memory = np.empty(order)
        run(values, times, len(values), np.sqrt(2 * np.arange(order) + 1.0), order, memory)
        return memory

    return recurrence


def report(*parts, path=None):
    """Run the parts, each of which adds rows to a table, print it, and write it to a file if one is named."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.machine())
    table = Table(title=f"{cpu}, {simd_name()}, Python {platform.python_version()}, NumPy {np.__version__}")
    columns = ("what", "ours", "reference", "ratio")
    for column in columns:
        table.add_column(column)
    for part in track(parts, description="measuring", transient=True):
        part(table)
    Console(width=150).print(table)
    if path is not None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([columns, *zip(*(column.cells for column in table.columns), strict=True)])
