"""What several test modules make: measures by what they are for, irregular series, and networks for checks."""

import numpy as np
from sklearn.base import clone

from sklearn_hippo import Panel
from sklearn_hippo._measures import with_dynamics, with_projection

MEASURES = with_projection()
DYNAMICS = {name: measure.dynamics for name, measure in with_dynamics().items()}
# Checks of scikit-learn that ask for a score.
SCORED = ("check_classifiers_train", "check_classifiers_classes", "check_class_weight_classifiers",
          "check_regressors_train")  # fmt: skip


def walk(seed=0, length=150, n_channels=2):
    """Times, some of them close to each other or tied, and a random walk."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(size=length) * rng.choice([1, 1, 0.01, 0], size=length)
    return 2 + np.cumsum(gaps), rng.normal(size=(length, n_channels)).cumsum(axis=0)


def irregular(n_series=12, n_channels=2, seed=0, missing=0.1):
    """Waves of different lengths, at random times, with holes."""
    rng = np.random.default_rng(seed)
    series = []
    for _ in range(n_series):
        times = np.sort(rng.uniform(0, 10, rng.integers(5, 25)))
        values = np.sin(times[:, None] * rng.uniform(0.5, 2) + np.arange(n_channels))
        values[1:-1][rng.uniform(size=(len(times) - 2, n_channels)) < missing] = np.nan
        series.append((times, values))
    return Panel.from_list(series)


def shifted(n=60):
    """Two kinds of series, and every form of X for them."""
    panel = irregular(n, 2, missing=0)
    y = (np.arange(n) % 2).astype(str)
    values = panel.values + 3 * np.repeat(np.arange(n) % 2, panel.lengths)[:, None]
    return Panel(values, panel.times, panel.offsets), y


def waves(n=60, seed=0, n_classes=2):
    """Irregular series whose frequency tells the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    series = []
    for label in y:
        t = np.sort(rng.uniform(0, 6, rng.integers(12, 25)))
        phase = rng.uniform(0, 1)
        series.append((t, np.stack([np.sin((1 + 2 * label) * t + phase), 5 + 1000 * np.cos(t)], axis=1)))
    return Panel.from_list(series), np.array(["slow", "fast", "faster"])[y]


def trained(network, check):
    """A copy for a check, trained for three epochs where no score is asked for."""
    network = clone(network)
    return network if check.func.__name__ in SCORED else network.set_params(max_epochs=3)


def objects(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
