"""CharacterTrajectories of which 30, 50 or 70 % of the observations are missing, in training as in testing.

    python examples/paper/missing.py --quick [--data FOLDER]
    python examples/paper/missing.py [--data FOLDER] [--seeds 3] [--threads 1] [--only "dropped 70"]

That is how neural controlled differential equations were tested first (arXiv:2005.08926), and others after them: every
series loses observations of its own, and the times of the others are kept. Split and networks are those of
timescales.py.
"""

from functools import partial

from character_trajectories_rnn import letters
from runner import arguments, run
from timescales import DROPPED, MODELS, NETWORKS, fitted

from sklearn_hippo.datasets import drop_observations

OURS = (*MODELS, *(network for network in NETWORKS if network.startswith("HiPPO")))


def measure(trial, checkpoint, folder, quick):
    """Accuracy in %."""
    panels, y, training, testing = letters(folder)
    lost = drop_observations(panels["200"], trial["dropped"] / 100, trial["seed"])
    training = training[: 300 if quick else None]
    model, results = fitted(trial, lost[training], y[training], checkpoint, quick)
    return results | {"accuracy": round(100 * model.score(lost[testing], y[testing]), 2)}


if __name__ == "__main__":
    options = arguments(__doc__, data="where CharacterTrajectories.npz is, or comes to")
    trials = [
        {"model": model, "dropped": percent, "seed": seed}
        for seed in range(1 if options.quick else options.seeds)
        for model in OURS
        for percent in DROPPED[:3]
    ]
    run("missing", trials, partial(measure, folder=options.data, quick=options.quick), options)
