"""The paper's test of robustness to timescales, with its baselines: another sampling rate, or data that are missing.

    python examples/paper/timescales.py --quick [--data FOLDER]
    python examples/paper/timescales.py [--data FOLDER] [--seeds 3] [--threads 1] [--only "model LSTM"]

Series, split and shifts are those of character_trajectories_rnn.py: trained at one rate, tested at another. Besides, 30
to 90 % of the test observations are dropped, and the others keep their times. Nothing of that is seen in training. All
networks have as many hidden units, and are trained for as many epochs with the same batches and learning rate
(baselines.py; ODE-RNN and Neural CDE need torchdiffeq and torchcde: ``pip install --group paper``); the weights are
those of the last epoch. Beside them, what needs no training by gradients: the coefficients of LegS and an SVC, and
`HiPPOClassifier`.
"""

from functools import partial

from baselines import BaselineClassifier
from character_trajectories_rnn import conditions, letters
from runner import arguments, run, train
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_hippo import HiPPOClassifier, HiPPORNNClassifier, HiPPOSSMClassifier, HiPPOTransformer
from sklearn_hippo.datasets import drop_observations

HIDDEN = 64
TRAINING = {"hidden_size": HIDDEN, "lr": 5e-3, "batch_size": 64, "max_epochs": 50}
MODELS = {
    "coefficients, SVC": lambda seed: make_pipeline(HiPPOTransformer(order=16), StandardScaler(), SVC(C=10)),
    "HiPPOClassifier, relative windows": lambda seed: HiPPOClassifier(windows="relative", random_state=seed),
}
NETWORKS = {
    "HiPPO-RNN, timed gate, 4 memories": partial(HiPPORNNClassifier, gate="timed", memory_size=4, order=32),
    "HiPPO-RNN, the paper's cell": partial(HiPPORNNClassifier, gate="mgu", memory_size=1, order=HIDDEN),
    "HiPPO-RNN, the paper's cell, LegT": partial(HiPPORNNClassifier, "legt", gate="mgu", memory_size=1, order=HIDDEN),
    "HiPPO-RNN, the paper's cell, LagT": partial(HiPPORNNClassifier, "lagt", gate="mgu", memory_size=1, order=HIDDEN),
    "HiPPO-SSM": HiPPOSSMClassifier,
    "LSTM": partial(BaselineClassifier, "lstm"),
    "GRU": partial(BaselineClassifier, "gru"),
    "MGU": partial(BaselineClassifier, "mgu"),
    "expRNN": partial(BaselineClassifier, "exprnn"),
    "LMU": partial(BaselineClassifier, "lmu"),
    "GRU-D": partial(BaselineClassifier, "gru-d"),
    "ODE-RNN": partial(BaselineClassifier, "ode-rnn"),
    "Neural CDE": partial(BaselineClassifier, "neural cde"),
    "LSTM, told values only": partial(BaselineClassifier, "plain lstm"),
    "LSTM, told values only, that keeps at first": partial(BaselineClassifier, "lstm, of values"),
    "LSTM, told all, that forgets at first": partial(BaselineClassifier, "lstm, forgetful"),
}
DROPPED = (30, 50, 70, 90)


def measure(trial, checkpoint, folder, quick):
    """Accuracy in % under all conditions."""
    panels, y, training, testing = letters(folder)
    series = conditions(panels, trial["rate"], trial["seed"])
    del series["dropped"]  # here times have the unit of the training, also at half the rate
    for percent in DROPPED:
        series[f"{percent} % dropped"] = drop_observations(series["same"], percent / 100, trial["seed"])
    training = training[: 300 if quick else None]
    model, results = fitted(trial, series["same"][training], y[training], checkpoint, quick)
    return results | {name: round(100 * model.score(X[testing], y[testing]), 2) for name, X in series.items()}


def fitted(trial, X, y, checkpoint, quick):
    """A model, and what there is to say of its training."""
    if trial["model"] in MODELS:
        return MODELS[trial["model"]](trial["seed"]).fit(X, y), {}
    parameters = TRAINING | ({"max_epochs": 3} if quick else {})
    model = NETWORKS[trial["model"]](**parameters, random_state=trial["seed"])
    minutes = train(model, X, y, checkpoint)
    weights = sum(weight.numel() for weight in model.net_.module_.parameters())
    return model, {"minutes": minutes, "weights": weights}


if __name__ == "__main__":
    options = arguments(__doc__, data="where CharacterTrajectories.npz is, or comes to")
    trials = [
        {"model": model, "rate": rate, "seed": seed}
        for seed in range(1 if options.quick else options.seeds)
        for model in (*MODELS, *NETWORKS)
        for rate in ("200", "100")
    ]
    task = partial(measure, folder=options.data, quick=options.quick)
    run("timescales", trials, task, options)
