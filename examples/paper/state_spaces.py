"""State spaces that begin as HiPPO operators, as others, or at random: what the modes at first are worth.

    python examples/paper/state_spaces.py --quick
    python examples/paper/state_spaces.py --only "task delay"
    python examples/paper/state_spaces.py --data FOLDER [--seeds 3] [--threads 1]

"delay"
    A random signal below a frequency is to be told as it was some time ago, at every observation: a linear map of
    states whose modes stay as they are. The clock is the one of several that is best on other signals.
"reconstruction"
    All of a signal is to be told from its states at the end, in the same way.
"CharacterTrajectories, 200 Hz" and "100 Hz"
    As in character_trajectories_rnn.py, trained at this rate; downloaded, unless it is in the folder.
"ListOps"
    Values of nested expressions (listops.py), one token at a time.
"FSDD"
    Spoken digits, the recordings 0 to 4 of each speaker and digit for testing (github.com/Jakobovski/
    free-spoken-digit-dataset, CC BY-SA 4.0), as 13 mel-frequency cepstral coefficients of windows of 25 ms, every
    10 ms. In the folder: FSDD_mfcc.npz with values (n_observations, 13), offsets, y, and split, 1 for testing.
"sequential MNIST" and "permuted MNIST"
    Digits, pixel by pixel, row by row or in one fixed random order, the official split. In the folder: MNIST.npz with
    values (n_images * 784, 1), y and split. "one layer" is a wide one that is read at its end, which is a product of
    matrices.

"JapaneseVowels", "RacketSports", "GesturePebbleZ1", "PhysioNet2012_ab"
    By the defaults of the estimators, the official splits; of the stays in intensive care, of which 84 % of the values
    are missing, 70 % for training, and the area under the ROC curve. In the folder, but for the first, which sktime
    has: npz files with values, offsets, times if there are, y and split.

Layers of state spaces are beside the recurrent network of the paper and an LSTM (baselines.py), of as many hidden units
and trained for as many epochs, by the defaults of each. There is no choice by the test set: weights are those of the
last epoch. Without --data, tasks whose files nothing downloads are left out.
"""

from functools import lru_cache, partial

import numpy as np
import torch
from baselines import BaselineClassifier
from character_trajectories_rnn import conditions, letters, without_times
from irregular import load
from listops import listops
from runner import arguments, run, train
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_hippo import HiPPORNNClassifier, HiPPOSSMClassifier, HiPPOTransformer, Panel
from sklearn_hippo.datasets import drop_observations, load_japanese_vowels, subsample
from sklearn_hippo.nn import HiPPOSSM

SPACES = ("legs_lti", "legt", "fout", "legs_lti + fout", "lin", "inv", "rand")
SHIPPED = ("delay", "reconstruction", "ListOps", "JapaneseVowels",  # or downloaded
           "CharacterTrajectories, 200 Hz", "CharacterTrajectories, 100 Hz")  # fmt: skip
OPERATORS = tuple(f"operator of {measure}" for measure in ("legs_lti", "legt", "fout"))  # not only its normal part
NETWORKS = (*SPACES, "HiPPO-RNN", "LSTM")
DEFAULTS = ("legs_lti", "rand", "HiPPO-RNN")
SMALL = {"hidden_size": 64, "order": 32}
LARGE = {"hidden_size": 128, "order": 64}
WIDE = {"hidden_size": 512, "order": 64, "layers": 1, "pooling": "last", "dropout": 0.2,
        "epochs": 24, "batch_size": 64, "series": 60_000}  # fmt: skip
# Models and settings, the shortest trials first. Of signals, "cycles" are those of the fastest sine in the time "ago";
# "series" are those for training. Tokens are read by a clock of their own, whose timescale is the best of 1, 2, 4, 10,
# 20 and 100 on other expressions.
TASKS = {
    "delay": ((*SPACES, *OPERATORS), {"order": 64, "length": 2000, "ago": 100, "cycles": 5}),
    "reconstruction": ((*SPACES, *OPERATORS), {"order": 64, "length": 200, "ago": 200, "cycles": 24}),
    "CharacterTrajectories, 200 Hz": (NETWORKS, SMALL | {"epochs": 50, "batch_size": 32, "series": 2000}),
    "CharacterTrajectories, 100 Hz": (NETWORKS, SMALL | {"epochs": 50, "batch_size": 32, "series": 2000}),
    "FSDD": (NETWORKS, SMALL | {"epochs": 50, "batch_size": 32, "series": 2700}),
    "ListOps": (NETWORKS, SMALL | {"timescale": 4, "epochs": 20, "batch_size": 32, "series": 20_000}),
    "JapaneseVowels": (DEFAULTS, {}),
    "RacketSports": (DEFAULTS, {}),
    "GesturePebbleZ1": (DEFAULTS, {}),
    "PhysioNet2012_ab": (DEFAULTS, {}),
    "permuted MNIST": (("legs_lti", "rand", "HiPPO-RNN", "LSTM"),
                       LARGE | {"epochs": 11, "batch_size": 32, "series": 60_000}),
    "sequential MNIST": (("legs_lti", "rand", "HiPPO-RNN", "LSTM"),
                         LARGE | {"epochs": 11, "batch_size": 32, "series": 60_000}),
    "permuted MNIST, one layer": (("legs_lti", "rand"), WIDE),
    "sequential MNIST, one layer": (("legs_lti", "rand"), WIDE),
}  # fmt: skip
QUICK = {
    "delay": {"order": 32},
    "reconstruction": {"order": 32, "cycles": 12},
    "CharacterTrajectories, 200 Hz": {"epochs": 6, "series": 500},
    "CharacterTrajectories, 100 Hz": {"epochs": 6, "series": 500},
    "FSDD": {"epochs": 4, "series": 500},
    "ListOps": {"epochs": 3, "series": 2000},
    "JapaneseVowels": {"epochs": 10},
    "RacketSports": {"epochs": 10},
    "GesturePebbleZ1": {"epochs": 5},
    "PhysioNet2012_ab": {"epochs": 2, "series": 500},
    "permuted MNIST": {"hidden_size": 32, "order": 16, "epochs": 3, "series": 1000},
    "sequential MNIST": {"hidden_size": 32, "order": 16, "epochs": 3, "series": 1000},
    "permuted MNIST, one layer": {"epochs": 3, "series": 1000},
    "sequential MNIST, one layer": {"epochs": 3, "series": 1000},
}
# An operator forgets what is a timescale ago; the clocks of layers whose modes stay are multiples of that.
CLOCKS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
SIGNALS = {"delay": (8, 4, 4), "reconstruction": (400, 100, 100)}  # for fitting, for choosing a clock, for testing


def trials(options):
    """All of them, task by task, seed by seed."""
    for task, (models, settings) in TASKS.items():
        if options.data is None and task not in SHIPPED:
            continue
        for seed in range(1 if options.quick else options.seeds):
            for model in models:
                if options.quick and model not in ("legs_lti", "rand", "operator of legt", "HiPPO-RNN", "LSTM"):
                    continue
                own = settings | (QUICK[task] if options.quick else {})
                if model in ("HiPPO-RNN", "LSTM"):
                    own = {name: value for name, value in own.items() if name not in ("order", "timescale")}
                yield {"task": task, "model": model, **own, "seed": seed}


def measure(trial, checkpoint, folder):
    """Results of a trial."""
    if trial["task"] in ("delay", "reconstruction"):
        return remembered(trial)
    sets = dict(data(trial["task"], trial["seed"], folder))
    sets["train"] = tuple(some[: len(sets["test"][1])] for some in sets["training"])
    if "series" in trial:
        sets = {name: (X[: trial["series"]], y[: trial["series"]]) for name, (X, y) in sets.items()}
    names = {"layers": "n_layers", "epochs": "max_epochs"}
    names |= {name: name for name in ("hidden_size", "order", "pooling", "dropout", "batch_size")}
    parameters = {names[name]: value for name, value in trial.items() if name in names}
    parameters["random_state"] = trial["seed"]
    if trial["model"] in SPACES:
        clock = {"relative": False, "timescale": trial["timescale"]} if "timescale" in trial else {}
        model = HiPPOSSMClassifier(trial["model"], **clock, **parameters)
    else:
        model = {"HiPPO-RNN": HiPPORNNClassifier, "LSTM": BaselineClassifier}[trial["model"]](**parameters)
    minutes = train(model, *sets["training"], checkpoint, early_stopping=False if "epochs" in trial else "auto")
    of = roc_auc if trial["task"] == "PhysioNet2012_ab" else HiPPOSSMClassifier.score
    scores = {name: round(100 * of(model, *some), 2) for name, some in sets.items() if name != "training"}
    weights = sum(weight.numel() for weight in model.net_.module_.parameters())
    return {"minutes": minutes, "weights": weights, **scores}


def roc_auc(model, X, y):
    """Area under the ROC curve."""
    return roc_auc_score(y, model.predict_proba(X)[:, 1])


# --- signals, and what is linear in states ------------------------------------------------------------


def remembered(trial):
    """Relative error (root mean square) of what is told of the past by a linear map, and the clock."""
    ago, rng = trial["ago"], np.random.default_rng(trial["seed"])
    fitting, choosing, testing = (noise(n, trial["length"], trial["cycles"] / ago, rng) for n in SIGNALS[trial["task"]])

    def examples(clock, u):
        c = states(trial["model"], trial["order"], clock / ago, u)
        if trial["task"] == "delay":
            return c[:, ago:].reshape(-1, c.shape[2]), u[:, :-ago].reshape(-1, 1)
        return c[:, -1], u

    def error(model, clock, u):
        c, past = examples(clock, u)
        return float(np.sqrt(np.mean((model.predict(c).reshape(past.shape) - past) ** 2)))

    models = {k: make_pipeline(StandardScaler(), Ridge(1e-6, solver="svd")).fit(*examples(k, fitting)) for k in CLOCKS}
    clock = min(CLOCKS, key=lambda k: error(models[k], k, choosing))
    return {"error": float(f"{error(models[clock], clock, testing):.4g}"), "clock": clock}


def noise(n, length, band, rng):
    """Random signals (n, length) of mean square 1 without frequencies above the band, in cycles per observation."""
    spectrum = np.zeros((n, 2 * length + 1), complex)  # of periods four times as long, of which a part is taken
    k = int(4 * length * band)
    spectrum[:, 1 : k + 1] = rng.normal(size=(n, k, 2)) @ (1, 1j)
    u = np.fft.irfft(spectrum, 4 * length)[:, :length]
    return u / np.sqrt(np.mean(u**2))


def states(model, order, clock, u):
    """States at every observation, (n, length, order), of signals (n, length)."""
    if model in OPERATORS:
        X = Panel(u.reshape(-1, 1), None, u.shape[1] * np.arange(len(u) + 1))
        transformer = HiPPOTransformer(model.split()[-1], order, timescale=1 / clock, method="recurrence")
        return transformer.fit(X).transform_online(X).values.reshape(*u.shape, -1)
    layer = HiPPOSSM(order, order, measure=model, dtype=torch.float64)  # each channel reads a number of the same state
    number = torch.arange(order)
    with torch.no_grad():
        layer.log_step.fill_(np.log(clock))
        layer.through.zero_()
        layer.read.zero_()[number // 2, number, number % 2] = 1
        return layer(torch.as_tensor(u)[..., None].expand(-1, -1, order))[0].numpy()


# --- series and their classes -------------------------------------------------------------------------


@lru_cache(2)
def data(task, seed, folder):
    """Series and classes for training, in random order, and for tests, by name."""
    if task == "ListOps":
        return {"training": listops(20_000, seed), "test": listops(2000, seed + 1_000_000)}
    if task.startswith("CharacterTrajectories"):
        panels, y, training, testing = letters(folder)
        series = conditions(panels, task.split()[-2], seed)
        sets = {name: (X[testing], y[testing]) for name, X in series.items()}
        return {"training": (series["same"][training], y[training]), "test": sets.pop("same"), **sets}
    if task == "JapaneseVowels":
        return {"training": load_japanese_vowels("train"), "test": load_japanese_vowels("test")}
    if task in ("RacketSports", "GesturePebbleZ1", "PhysioNet2012_ab"):
        return dict(zip(("training", "test"), load(folder, task), strict=True))
    with np.load(folder / ("FSDD_mfcc.npz" if task == "FSDD" else "MNIST.npz")) as stored:
        values, offsets, y, split = (stored[name] for name in ("values", "offsets", "y", "split"))
    if task != "FSDD":
        values = (values / 255).astype(np.float32)
    if task.startswith("permuted MNIST"):
        order = np.random.default_rng(0).permutation(784)
        values = values.reshape(-1, 784)[:, order].reshape(-1, 1)
    panel = Panel(values, None, offsets)
    training, testing = np.random.default_rng(0).permutation(np.flatnonzero(split == 0)), np.flatnonzero(split)
    X, y_test = panel[testing], y[testing]
    tests = {"test": X}
    if task == "FSDD":
        tests |= {"other": without_times(subsample(X, 2)), "dropped": drop_observations(X, 0.5, seed)}
    return {"training": (panel[training], y[training])} | {name: (Z, y_test) for name, Z in tests.items()}


if __name__ == "__main__":
    options = arguments(__doc__, data="where FSDD_mfcc.npz and MNIST.npz are, and CharacterTrajectories.npz comes to")
    run("state_spaces", trials(options), partial(measure, folder=options.data), options)
