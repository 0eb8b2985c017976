"""Handwritten digits, pixel by pixel: what a memory holds in the end, and a support vector machine.

    python examples/paper/digits.py --quick --data FOLDER
    python examples/paper/digits.py --data FOLDER

The paper's HiPPO-RNN reads the 784 pixels of a digit (MNIST) in one fixed random order and tells 98.3 % of them
apart. Here nothing is trained but what reads the memory: coefficients of the whole sequence by the measure LegS, as a
memory has them after the last pixel, and a support vector machine with a Gaussian kernel, of all 60,000 digits for
training and on the official 10,000 for testing. As many coefficients as there are pixels forget nothing: beside them
are fewer, and the pixels themselves. The width of the kernel is the best of some for 5,000 digits of those for
training, when 10,000 others are fitted. In the folder: MNIST.npz, as for state_spaces.py. A row takes 5 to 20 minutes.
"""

from functools import partial

from runner import arguments, run
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from state_spaces import data

from sklearn_hippo import HiPPOTransformer

WIDTHS = (1, 2, 4, 8)  # times 1 / (n_features * variance)


def pixels(panel):
    """A row for each digit."""
    return panel.values.reshape(len(panel), -1)


def measure(trial, checkpoint, folder):
    """Accuracy in %."""
    sets = data(trial["task"], 0, folder)
    X, y = (some[: trial["series"]] for some in sets["training"])
    reader = HiPPOTransformer(order=trial["order"]) if "order" in trial else FunctionTransformer(pixels)
    Z = reader.fit_transform(X)
    scale = 1 / (Z.shape[1] * Z.var())
    part = ShuffleSplit(1, train_size=min(len(y) // 2, 10_000), test_size=min(len(y) // 4, 5000), random_state=0)
    search = GridSearchCV(SVC(C=10, cache_size=1000), {"gamma": [k * scale for k in WIDTHS]}, cv=part, refit=False)
    gamma = search.fit(Z, y).best_params_["gamma"]
    model = SVC(C=10, gamma=gamma, cache_size=2000).fit(Z, y)
    X, y = (some[: trial["series"]] for some in sets["test"])
    accuracy = round(100 * model.score(reader.transform(X), y), 2)
    return {"gamma": float(f"{gamma:.4g}"), "vectors": int(model.n_support_.sum()), "test": accuracy}


if __name__ == "__main__":
    options = arguments(__doc__, seeds=1, data="where MNIST.npz is", file="MNIST.npz")
    orders, series = ((64, 256), 2000) if options.quick else ((1024, 256), 60_000)
    models = [{"model": "coefficients, SVC", "measure": "legs", "order": order} for order in orders]
    trials = [
        {"task": task, **model, "series": series}
        for task in ("permuted MNIST", "sequential MNIST")
        for model in (*models, {"model": "pixels, SVC"})
    ]
    run("digits", trials, partial(measure, folder=options.data), options)
