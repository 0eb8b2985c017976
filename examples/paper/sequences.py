"""Copying, adding and Mackey-Glass, from the paper's appendix: what a network can hold, and for how long.

    python examples/paper/sequences.py --quick
    python examples/paper/sequences.py [--seeds 3] [--threads 1] [--only "task adding"]

Every task is one of the estimators': a sequence in, numbers or labels out of its end. So it is not the paper's protocol
where that has an output at every step.

"copying"
    Ten symbols out of eight, then a hundred blanks; all ten are to be told at the end, at once. In % of the symbols;
    chance has 12.5.
"adding"
    Two hundred random numbers between 0 and 1, two of them marked, one in each half: their sum. Mean squared error;
    what always says 1 has 0.167.
"Mackey-Glass"
    200 observations of the chaotic delay equation with a delay of 17; the value 15 after the last one. Root mean
    squared error over the standard deviation.

The networks are the estimators by their defaults, with 64 hidden units, and those of baselines.py beside them.
"""

import numpy as np
from baselines import BaselineClassifier, BaselineRegressor
from runner import arguments, run, train

from sklearn_hippo import HiPPORNNClassifier, HiPPORNNRegressor, HiPPOSSMClassifier, HiPPOSSMRegressor, Panel

SYMBOLS, COPIED, BLANKS = 8, 10, 100
LENGTH, DELAY, AHEAD = 200, 17, 15
TESTS = 1000
SETTINGS = {"hidden_size": 64, "epochs": 20, "batch_size": 32, "series": 4000}
MODELS = {  # for labels, and for numbers
    "HiPPO-RNN": (HiPPORNNClassifier, HiPPORNNRegressor, {}),
    "HiPPO-SSM": (HiPPOSSMClassifier, HiPPOSSMRegressor, {}),
    "LSTM": (BaselineClassifier, BaselineRegressor, {"cell": "lstm"}),
    "GRU": (BaselineClassifier, BaselineRegressor, {"cell": "gru"}),
}
TASKS = ("Mackey-Glass", "adding", "copying")


def copying(n, rng):
    """Series, one channel for each symbol and the blank; which symbol was at which place, (n, COPIED * SYMBOLS)."""
    tokens = np.full((n, COPIED + BLANKS), SYMBOLS)
    tokens[:, :COPIED] = rng.integers(SYMBOLS, size=(n, COPIED))
    return panel_of(np.eye(SYMBOLS + 1)[tokens]), np.eye(SYMBOLS, dtype=int)[tokens[:, :COPIED]].reshape(n, -1)


def adding(n, rng):
    """Series of numbers and marks, and the sums."""
    values, marks = rng.uniform(size=(n, LENGTH)), np.zeros((n, LENGTH))
    for half in range(2):
        marks[np.arange(n), rng.integers(LENGTH // 2, size=n) + half * LENGTH // 2] = 1
    return panel_of(np.stack([values, marks], axis=2)), np.sum(values * marks, axis=1)


def mackey_glass(n, rng, steps=10):
    """Series of the attractor, and the values ahead; x' = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x."""
    past = np.tile(1.2 + 0.2 * rng.uniform(-1, 1, size=n), (DELAY * steps + 1, 1))
    kept = []
    for k in range((500 + LENGTH + AHEAD) * steps):  # Euler's method; the first 500 bring it to the attractor
        before, now = past[(k + 1) % len(past)], past[k % len(past)]
        past[(k + 1) % len(past)] = now + (0.2 * before / (1 + before**10) - 0.1 * now) / steps
        if (k + 1) % steps == 0 and k >= 500 * steps:
            kept.append(past[(k + 1) % len(past)].copy())
    series = np.array(kept).T
    return panel_of(series[:, :LENGTH, None]), series[:, -1]


def panel_of(values):
    """Series of one length, from (n_series, length, n_channels)."""
    n, length, n_channels = values.shape
    return Panel(values.reshape(-1, n_channels), None, length * np.arange(n + 1))


def measure(trial, checkpoint):
    """Train, and score the test series."""
    make = {"copying": copying, "adding": adding, "Mackey-Glass": mackey_glass}[trial["task"]]
    rng = np.random.default_rng(trial["seed"])
    (X, y), (X_test, y_test) = make(trial["series"], rng), make(TESTS, rng)
    classifier, regressor, own = MODELS[trial["model"]]
    parameters = own | {name: trial[name] for name in ("hidden_size", "batch_size")}
    model = (classifier if trial["task"] == "copying" else regressor)(
        **parameters, max_epochs=trial["epochs"], random_state=trial["seed"]
    )
    minutes = train(model, X, y, checkpoint)
    if trial["task"] == "copying":
        told, wanted = (z.reshape(-1, SYMBOLS).argmax(axis=1) for z in (model.predict_proba(X_test), y_test))
        score = {"symbols": round(100 * np.mean(told == wanted), 2)}
    else:
        error = np.mean((model.predict(X_test) - y_test) ** 2)
        relative = trial["task"] == "Mackey-Glass"
        score = {"error": float(f"{np.sqrt(error) / y_test.std() if relative else error:.4g}")}
    weights = sum(weight.numel() for weight in model.net_.module_.parameters())
    return {"minutes": minutes, "weights": weights, **score}


if __name__ == "__main__":
    options = arguments(__doc__)
    settings = SETTINGS | ({"hidden_size": 16, "epochs": 2, "series": 400} if options.quick else {})
    trials = [
        {"task": task, "model": model, **settings, "seed": seed}
        for seed in range(1 if options.quick else options.seeds)
        for task in TASKS
        for model in MODELS
    ]
    run("sequences", trials, measure, options)
