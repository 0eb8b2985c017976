"""Training speed and memory of the HiPPO-RNN, against PyTorch's LSTM and a straightforward HiPPO-RNN.

    python examples/benchmarks/rnn.py

Forward and backward pass over 64 sequences of 200 observations in 8 channels, float32, two threads; medians of turns.
The straightforward one is what one would write first: a dense matrix for every step, and PyTorch's operations. For
regular sequences, which share them, the matrices are computed beforehand; for irregular ones it solves a system for
every row and step. The peak of the resident memory is that of
a process of its own, above what it takes to import and to make model and data. Last, long sequences, when the C library
keeps the memory of a batch for the next one; by itself, glibc gives it back to the system.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from common import medians, report
from torch import nn

from sklearn_hippo._measures import dynamics_of
from sklearn_hippo.nn import HiPPORNN

THREADS, BATCH, LENGTH, CHANNELS = 2, 64, 200, 8
SIZES = (64, 256)


class Dense(nn.Module):
    """The same network with a matrix for every step."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        dynamics = dynamics_of("legs", hidden_size)
        eye = np.eye(hidden_size)
        steps = np.log(np.arange(2, LENGTH + 1) / np.arange(1, LENGTH))
        # the memory starts at u e_0
        A = [0 * eye] + [np.linalg.solve(eye - h / 2 * dynamics.A, eye + h / 2 * dynamics.A) for h in steps]
        B = [eye[0]] + [np.linalg.solve(eye - h / 2 * dynamics.A, h * dynamics.B) for h in steps]
        self.register_buffer("A", torch.tensor(np.array(A), dtype=torch.float32))
        self.register_buffer("B", torch.tensor(np.array(B), dtype=torch.float32))
        self.register_buffer("generator", torch.tensor(dynamics.A, dtype=torch.float32))
        self.register_buffer("input", torch.tensor(dynamics.B[:, None], dtype=torch.float32))
        self.register_buffer("eye", torch.eye(hidden_size))
        self.u = nn.Linear(input_size + hidden_size, 1)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)
        self.gate = nn.Linear(input_size + hidden_size, hidden_size)
        self.hidden_size = hidden_size

    def forward(self, x, times=None):
        if times is not None:
            starts = 2 * times[:, :1] - times[:, 1:2]
            steps = torch.log((times - starts)[:, 1:] / (times - starts)[:, :-1]).float()
        h = c = x.new_zeros(len(x), self.hidden_size)
        outputs = []
        for t in range(x.shape[1]):
            u = self.u(torch.cat([x[:, t], h], dim=1))
            if times is None or t == 0:
                c = c @ self.A[t].T + u * self.B[t]
            else:
                hA = steps[:, t - 1, None, None] * self.generator
                right = (self.eye + hA / 2) @ c[..., None] + steps[:, t - 1, None, None] * self.input * u[:, None]
                c = torch.linalg.solve(self.eye - hA / 2, right)[..., 0]
            seen = torch.cat([x[:, t], c], dim=1)
            g = torch.sigmoid(self.gate(seen))
            h = (1 - g) * h + g * torch.tanh(self.candidate(seen))
            outputs.append(h)
        return torch.stack(outputs, dim=1), c


def as_dense(dense, rnn):
    """Give the network the weights of the straightforward one."""
    cell, n = rnn.cell, CHANNELS
    with torch.no_grad():
        cell.weight_ux.copy_(dense.u.weight[:, :n])
        cell.weight_uh.copy_(dense.u.weight[:, n:])
        cell.bias_u.copy_(dense.u.bias)
        cell.weight_x.copy_(torch.cat([dense.candidate.weight[:, :n], dense.gate.weight[:, :n]]))
        cell.weight_c.copy_(torch.cat([dense.candidate.weight[:, n:], dense.gate.weight[:, n:]]))
        cell.bias.copy_(torch.cat([dense.candidate.bias, dense.gate.bias]))


def training(model, *inputs):
    """A function that makes one forward and backward pass."""

    def step():
        model.zero_grad()
        model(*inputs)[0].square().mean().backward()

    step()
    return step


def data():
    torch.manual_seed(0)
    return torch.randn(BATCH, LENGTH, CHANNELS), torch.rand(BATCH, LENGTH, dtype=torch.float64).cumsum(dim=1)


def lstm(size):
    return nn.LSTM(CHANNELS, size, batch_first=True)


def hippo(size, gate="mgu"):
    return HiPPORNN(CHANNELS, size, gate=gate)


def speed(size):
    def add(table):
        x, times = data()
        rnn, timed, dense = hippo(size), hippo(size, "timed"), Dense(CHANNELS, size)
        as_dense(dense, rnn)
        difference = (rnn(x)[0] - dense(x)[0]).abs().max().item()
        assert difference < 1e-3, difference
        steps = [
            training(m, *i)
            for m, i in ((rnn, (x,)), (rnn, (x, times)), (timed, (x,)), (lstm(size), (x,)), (dense, (x,)))
        ]
        ours, irregular, of_timed, theirs, eager = medians(*steps, repeats=15, warm=True)
        for name, mine, other in (
            ("regular / nn.LSTM", ours, theirs),
            ("irregular times / nn.LSTM", irregular, theirs),
            ("timed gate / nn.LSTM", of_timed, theirs),
            ("irregular times / regular", irregular, ours),
            ("regular / dense eager", ours, eager),
        ):
            label = f"hidden = order = {size}, {name}"
            table.add_row(label, f"{1e3 * mine:.1f} ms", f"{1e3 * other:.1f} ms", f"{mine / other:.2f}")
        if size > 64:  # 12,800 systems of 256 unknowns are too much for it
            return
        difference = (rnn(x, times)[0] - dense(x, times)[0]).abs().max().item()
        assert difference < 1e-3, difference
        mine, other = medians(*(training(model, x, times) for model in (rnn, dense)), repeats=3)
        label = f"hidden = order = {size}, irregular times / dense eager"
        table.add_row(label, f"{1e3 * mine:.1f} ms", f"{1e3 * other:.0f} ms", f"{mine / other:.4f}")

    return add


PEAK = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import torch
import rnn
torch.set_num_threads(rnn.THREADS)
model, (x, times) = rnn.{which}({size}), rnn.data()
def high():  # kB, of this process alone (Linux)
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

before = high()
step = rnn.training(model, x)
for _ in range(3):
    step()
print(high() - before)
"""


def peak(size):
    def add(table):
        ours, theirs = (float(np.median([alone(PEAK, which, size) for _ in range(3)])) for which in ("hippo", "lstm"))
        label = f"hidden = order = {size}, peak memory / nn.LSTM"
        table.add_row(label, f"{ours / 1024:.0f} MiB", f"{theirs / 1024:.0f} MiB", f"{ours / theirs:.2f}")

    return add


KEPT = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "100000000"}
LONG = """
import sys
sys.path.insert(0, {folder!r})
import torch
import rnn
torch.set_num_threads(1)
step = rnn.training(rnn.{which}({size}), torch.randn(100, 784, rnn.CHANNELS))
print(rnn.medians(step, repeats=9)[0])
"""


def kept(table):
    for which, name in (("hippo", "regular"), ("lstm", "nn.LSTM")):
        turns = [[alone(LONG, which, 64, **env) for env in (KEPT, {})] for _ in range(3)]
        ours, as_it_comes = np.median(turns, axis=0)
        label = f"hidden = 64, 100 sequences of 784, one thread, {name}: memory kept / as it comes"
        table.add_row(label, f"{1e3 * ours:.0f} ms", f"{1e3 * as_it_comes:.0f} ms", f"{ours / as_it_comes:.2f}")


def alone(code, which, size, **environment):
    """The number that a process of its own prints."""
    code = code.format(folder=sys.path[0], size=size, which=which)
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return float(run.stdout)


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    path = Path(__file__).parents[1] / "results" / "rnn_speed_table.csv"
    report(*(part(size) for size in SIZES for part in (speed, peak)), kept, path=path)
