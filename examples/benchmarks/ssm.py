"""Speed and memory of layers of state spaces: forward and backward, against PyTorch's LSTM and plain PyTorch.

    python examples/benchmarks/ssm.py

32 sequences of 1,024 observations, 64 channels, states of 64 numbers, float32, two threads; medians of turns. Memory is
what a process of its own needs at most beyond what it had before the first pass (Linux). Plain PyTorch convolves
where steps are equal; one step after the other would take minutes, and is not measured. Writes
examples/results/ssm_speed.csv.
"""

import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from common import RESULTS, medians, report
from torch import nn

from sklearn_hippo.nn import HiPPOSSM, SelectiveSSM

THREADS, BATCH, LENGTH, WIDTH, ORDER = 2, 32, 1024, 64, 64


def ways():
    """All ways of the layers, as functions of one forward and one backward pass."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    u = torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True)
    steps = 0.2 * torch.rand(BATCH, LENGTH)
    layer, lstm = HiPPOSSM(WIDTH, ORDER), nn.LSTM(WIDTH, WIDTH, batch_first=True)
    plain, whole, selective = HiPPOSSM(WIDTH, ORDER), HiPPOSSM(WIDTH, ORDER, low_rank=True), SelectiveSSM(WIDTH, ORDER)
    plain._compiled = False

    def way(module, *step):
        return lambda: module(u, *step)[0].sum().backward()

    return {
        "LSTM": way(lstm),
        "equal steps": way(layer, 0.1),
        "equal steps, of each sequence": way(layer, torch.linspace(0.05, 0.2, BATCH)),
        "steps that differ": way(layer, steps),
        "equal steps, by FFT in plain PyTorch": way(plain, 0.1),
        "equal steps, low rank": way(whole, 0.1),
        "selective, steps that differ": way(selective, steps),
    }


def peak(name):
    """Bytes that a way needs, in a process that did nothing else."""
    way = ways()[name]
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    way()
    return resident("VmHWM") - before


def resident(kind):
    """Bytes of memory now, or at most."""
    return 1024 * int(re.search(rf"{kind}:\s*(\d+)", Path("/proc/self/status").read_text())[1])


def beside_lstm(table):
    """Seconds and bytes."""
    own = ways()
    seconds = medians(*own.values(), repeats=15, warm=True)
    bytes_of = []
    for name in own:
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            bytes_of.append(alone.submit(peak, name).result())
    for name, time, size in zip(own, seconds, bytes_of, strict=True):
        table.add_row(name, f"{1e3 * time:.0f} ms", f"{seconds[0] / time:.2f} x as fast as the LSTM",
                      f"{size / 2**20:.0f} MiB", f"{size / bytes_of[0]:.2f} x the LSTM's")  # fmt: skip


if __name__ == "__main__":
    columns = ("what", "forward and backward", "speed", "memory", "ratio")
    report(beside_lstm, columns=columns, path=RESULTS / "ssm_speed.csv")
