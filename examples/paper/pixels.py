"""Handwritten digits, pixel by pixel: the paper's recurrent networks at one small budget.

    python examples/paper/pixels.py --quick --data FOLDER
    python examples/paper/pixels.py --data FOLDER [--seeds 3] [--threads 1] [--only "task permuted MNIST, model LSTM"]

"permuted MNIST"
    In one fixed random order.
"sequential MNIST"
    Row by row.

Table 1 of the paper has networks of 512 units, trained with all 60,000 digits for 50 epochs. Here all have 64 units,
and 20,000 digits for 5 epochs, with the same batches and learning rate; tested with the official 10,000, weights those
of the last epoch. Measures with a window are told how long it is, in pixels, as the paper's are. In the folder:
MNIST.npz, as for state_spaces.py. A row takes 2 to 22 minutes; with glibc, about half of that if it keeps the memory of
large batches: ``MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000``, as for the published rows.
"""

from functools import partial

from baselines import BaselineClassifier
from runner import arguments, run, train
from state_spaces import data

from sklearn_hippo import HiPPORNNClassifier, HiPPOSSMClassifier

HIDDEN = 64
BUDGET = {"series": 20_000, "epochs": 5}
QUICK = {"series": 100, "epochs": 1}
PAPERS = partial(HiPPORNNClassifier, gate="mgu", memory_size=1, order=HIDDEN)
MODELS = {
    "HiPPO-RNN, LegS": PAPERS,
    "LSTM": partial(BaselineClassifier, "lstm"),
    "LSTM, chrono initialization": partial(BaselineClassifier, "lstm, chrono"),
    "GRU": partial(BaselineClassifier, "gru"),
    "MGU": partial(BaselineClassifier, "mgu"),
    "HiPPO-RNN, random": partial(PAPERS, "rand", timescale=200.0),
    "HiPPO-RNN, LegT, window 200": partial(PAPERS, "legt", timescale=200.0),
    "HiPPO-RNN, LegT, window 20": partial(PAPERS, "legt", timescale=20.0),
    "HiPPO-RNN, LagT": partial(PAPERS, "lagt", timescale=200.0),
    "HiPPO-RNN, LMU": partial(PAPERS, "lmu", timescale=200.0),
    "HiPPO-RNN, LegS, timed gate, 4 memories": partial(HiPPORNNClassifier, order=32),
    "HiPPO-SSM": HiPPOSSMClassifier,
    "expRNN": partial(BaselineClassifier, "exprnn"),
    "LMU": partial(BaselineClassifier, "lmu"),
}


def measure(trial, checkpoint, folder):
    """Accuracy in %."""
    sets = data(trial["task"], 0, folder)
    X, y = (some[: trial["series"]] for some in sets["training"])
    model = MODELS[trial["model"]](
        hidden_size=HIDDEN, lr=5e-3, batch_size=100, max_epochs=trial["epochs"], random_state=trial["seed"]
    )
    minutes = train(model, X, y, checkpoint)
    weights = sum(weight.numel() for weight in model.net_.module_.parameters())
    X, y = (some[: trial["series"]] for some in sets["test"])
    return {"minutes": minutes, "weights": weights, "test": round(100 * model.score(X, y), 2)}


if __name__ == "__main__":
    options = arguments(__doc__, data="where MNIST.npz is", file="MNIST.npz")
    budget = QUICK if options.quick else BUDGET
    trials = [
        {"task": task, "model": model, **budget, "seed": seed}
        for task in ("permuted MNIST", "sequential MNIST")
        for seed in range(1 if options.quick else options.seeds)
        for model in MODELS
    ]
    run("pixels", trials, partial(measure, folder=options.data), options)
