"""Instructions that the projection executes, counted by valgrind: they do not depend on the noise of a machine.

    python examples/benchmarks/instructions.py

Valgrind has no AVX-512, so the counts are those of the AVX2 kernels. The count of a run that projects twice, less that
of one that projects once. Writes examples/results/instructions.csv.
"""

import re
import shutil
import subprocess
import sys

from common import RESULTS, report

CODE = """
import numpy as np
from sklearn_hippo import Panel, _projection
from sklearn_hippo._ext_projection import use_simd
from sklearn_hippo._measures import MEASURES

use_simd("avx2")
if {direct}:
    for dtype, (gauss, local, ones) in list(_projection._RULES.items()):
        _projection._RULES[dtype] = gauss, local[:0], ones
rng = np.random.default_rng(0)
values = np.cumsum(rng.normal(size=({n} * {length}, {channels})), axis=0)
panel = Panel(values, None, {length} * np.arange({n} + 1))
for _ in range({times}):
    _projection.project(panel, MEASURES["legs"], {order}, interpolation={interpolation!r})
"""

# n, length, channels, order, interpolation, whether every node is visited
CASES = {
    "one series of 10,000, order 64, hold, every sample through the kernel": (1, 10_000, 1, 64, "hold", True),
    "one series of 10,000, order 64, hold": (1, 10_000, 1, 64, "hold", False),
    "one series of 1,000,000, order 256, hold": (1, 1_000_000, 1, 256, "hold", False),
    "one series of 1,000,000, order 256, linear": (1, 1_000_000, 1, 256, "linear", False),
    "1,000 series of 100 x 3 channels, order 32, linear": (1_000, 100, 3, 32, "linear", False),
    "1,000 series of 100 x 1 channel, order 32, linear": (1_000, 100, 1, 32, "linear", False),
}


def count(times, case):
    n, length, channels, order, interpolation, direct = case
    code = CODE.format(n=n, length=length, channels=channels, order=order, interpolation=interpolation, direct=direct,
                       times=times)  # fmt: skip
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-c", code]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return int(re.search(r"Collected : (\d+)", log)[1])


def add(name):
    def row(table):
        case = n, length, channels, order, _, _ = CASES[name]
        instructions = count(2, case) - count(1, case)
        values = n * length * channels
        table.add_row(name, f"{instructions / 1e6:.1f} M instructions",
                      f"{instructions / values:.1f} a value", f"{instructions / values / order:.2f} a value and order")  # fmt: skip

    return row


if __name__ == "__main__":
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed.")
    report(*map(add, CASES), path=RESULTS / "instructions.csv")
