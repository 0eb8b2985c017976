"""Speed of a layer of state spaces: forward and backward, against PyTorch's LSTM and the layer in plain PyTorch.

    python examples/benchmarks/ssm.py

32 sequences of 1,024 observations, 64 channels, states of 64 numbers, float32, two threads; medians of turns. Plain
PyTorch takes a convolution where steps are equal; one step after the other it would take minutes, and is not timed.
Writes examples/results/ssm_speed.csv.
"""

import torch
from common import RESULTS, medians, report
from torch import nn

from sklearn_hippo.nn import HiPPOSSM
from sklearn_hippo.nn._space import Memory, run

THREADS, BATCH, LENGTH, WIDTH, ORDER = 2, 32, 1024, 64, 64


def beside_lstm(table):
    """All ways of the layer."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    u = torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True)
    steps = 0.2 * torch.rand(BATCH, LENGTH)
    layer, lstm = HiPPOSSM(WIDTH, ORDER), nn.LSTM(WIDTH, WIDTH, batch_first=True)
    lengths = torch.full((BATCH,), LENGTH)
    memory = Memory(torch.zeros(BATCH, ORDER // 2, WIDTH, dtype=torch.complex64), torch.zeros(BATCH, WIDTH))

    def convolution():
        return run(layer._space(), u, torch.tensor(0.1), lengths, memory, fresh=True, compiled=False)

    ways = {
        "LSTM": lambda: lstm(u),
        "equal steps": lambda: layer(u, 0.1),
        "equal steps, of each sequence": lambda: layer(u, torch.linspace(0.05, 0.2, BATCH)),
        "steps that differ": lambda: layer(u, steps),
        "equal steps, by FFT in plain PyTorch": convolution,
    }

    def trained(way):
        way()[0].sum().backward()

    seconds = medians(*(lambda way=way: trained(way) for way in ways.values()), repeats=15, warm=True)
    for name, own in zip(ways, seconds, strict=True):
        table.add_row(name, f"{1e3 * own:.0f} ms", f"{seconds[0] / own:.2f} x as fast as the LSTM")


if __name__ == "__main__":
    report(beside_lstm, columns=("what", "forward and backward", "ratio"), path=RESULTS / "ssm_speed.csv")
