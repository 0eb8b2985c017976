"""Instructions that the projection executes, counted by valgrind: they do not depend on the noise of a machine.

    python examples/benchmarks/instructions.py

Valgrind has no AVX-512, so the counts are those of the AVX2 kernels. It counts between two signals that the measured
process sends to it, less what the sending itself takes. Writes examples/results/instructions.csv.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import RESULTS, report

CODE = """
import contextlib, os, subprocess
import numpy as np
from sklearn_hippo import Panel, _projection
from sklearn_hippo._ext_projection import use_simd
from sklearn_hippo._measures import MEASURES

def control(flag):
    subprocess.run(["callgrind_control", flag, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)

use_simd("avx2")
for flag in ("-z", "-d", "-z", "-d"):  # the first takes longer
    control(flag)
rng = np.random.default_rng(0)
for n, length, channels, order, interpolation, direct in {cases}:
    values = np.cumsum(rng.normal(size=(n * length, channels)), axis=0)
    panel = Panel(values, None, length * np.arange(n + 1))
    project = lambda: _projection.project(panel, MEASURES["legs"], order, interpolation=interpolation)
    for call in (lambda: None, project):
        with _projection.every_point() if direct else contextlib.nullcontext():
            call()
            control("-z")
            call()
            control("-d")
"""

# n, length, channels, order, interpolation, whether every node is visited
CASES = {
    "one series of 1,000,000, order 64, hold, every sample through the kernel": (1, 1_000_000, 1, 64, "hold", True),
    "one series of 1,000,000, order 64, hold": (1, 1_000_000, 1, 64, "hold", False),
    "one series of 1,000,000, order 256, hold": (1, 1_000_000, 1, 256, "hold", False),
    "one series of 1,000,000, order 256, linear": (1, 1_000_000, 1, 256, "linear", False),
    "10,000 series of 100 x 3 channels, order 32, linear": (10_000, 100, 3, 32, "linear", False),
    "10,000 series of 100 x 1 channel, order 32, linear": (10_000, 100, 1, 32, "linear", False),
}


def counts():
    """Instructions of every case: those of its call, less those of an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", sys.executable, "-c"]
        subprocess.run([*command, CODE.format(cases=list(CASES.values()))], check=True, stderr=subprocess.DEVNULL)
        dumps = [(Path(folder) / f"out.{i}").read_text() for i in range(3, 2 * len(CASES) + 3)]
    totals = [int(re.search(r"^totals: (\d+)", dump, re.MULTILINE)[1]) for dump in dumps]
    return [full - empty for empty, full in zip(totals[::2], totals[1::2], strict=True)]


def rows(table):
    for (name, case), instructions in zip(CASES.items(), counts(), strict=True):
        n, length, channels, order, _, _ = case
        share = instructions / (n * length * channels)
        table.add_row(name, f"{instructions / 1e6:.1f} million", f"{share:.1f}", f"{share / order:.2f}")


if __name__ == "__main__":
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed.")
    report(rows, columns=("what", "instructions", "a value", "a value and order"), path=RESULTS / "instructions.csv")
