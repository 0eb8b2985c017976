"""Digits, pixel by pixel: layers of state spaces on sequential and permuted MNIST.

    python examples/paper/sequential_mnist.py MNIST.npz permuted [epochs [seed [threads]]]
    python examples/paper/sequential_mnist.py MNIST.npz ordered [epochs [seed [threads]]]

The file has the ``values`` (n x 784, 1) of 70,000 images, row by row, their labels ``y``, and ``split``, which is 1 for
the 10,000 of the official test set. Every image is a series of 784 values; permuted, all of them in one fixed random
order. There is no augmentation, no choice by the test set, and the last epoch's weights are those that are tested.

A checkpoint after every epoch lets a killed training go on; a line with the result is added to
examples/results/sequential_mnist.csv.
"""

import csv
import platform
import sys
from pathlib import Path

import numpy as np
import torch

from sklearn_hippo import HiPPOSSMClassifier, Panel

RESULTS = Path(__file__).parents[1] / "results" / "sequential_mnist.csv"
MODEL = {"hidden_size": 128, "order": 64, "n_layers": 2, "lr": 0.004, "batch_size": 32}


def images(file, order):
    """Panels and labels for training and testing."""
    with np.load(file) as stored:
        values, y, split = stored["values"].reshape(-1, 784), stored["y"], stored["split"]
    values = (values[:, order] / 255).astype(np.float32)

    def part(which):
        rows = values[split == which]
        return Panel(rows.reshape(-1, 1), None, 784 * np.arange(len(rows) + 1)), y[split == which]

    return part(0), part(1)


def main(file, form, epochs="25", seed="0", threads="2"):
    torch.set_num_threads(int(threads))
    order = np.arange(784) if form == "ordered" else np.random.default_rng(0).permutation(784)
    (X, y), (X_test, y_test) = images(file, order)
    checkpoint = Path(f"mnist-{form}-{epochs}-{seed}.checkpoint")
    model = HiPPOSSMClassifier(
        **MODEL, max_epochs=int(epochs), early_stopping=False, random_state=int(seed), checkpoint=checkpoint, verbose=1
    )
    model.fit(X, y)
    row = {"form": form, "epochs": int(epochs), "seed": int(seed)} | MODEL
    row |= {"weights": sum(p.numel() for p in model.net_.module_.parameters())}
    row |= {"train": round(100 * model.score(X[:10_000], y[:10_000]), 2)}
    row |= {"test": round(100 * model.score(X_test, y_test), 2)}
    row |= {"minutes": round(sum(model.net_.history[:, "dur"]) / 60), "threads": int(threads)}
    row |= {"torch": torch.__version__, "machine": platform.machine()}
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as stored:
        writer = csv.DictWriter(stored, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(row)


if __name__ == "__main__":
    main(*sys.argv[1:])
