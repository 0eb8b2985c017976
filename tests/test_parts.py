from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from makers import irregular, shifted
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge

from sklearn_hippo import HiPPOClassifier, HiPPORegressor, Panel, _parts
from sklearn_hippo._head import Features, learn_scaling
from sklearn_hippo._parts import Sums, Units, fit_sums, sums_of

FEW = {"n_features": 20, "windows": "relative", "conjunctions": 10, "normalized": False, "random_state": 0}
X, Y = shifted(400)
NUMBERS = 1e3 + np.array([np.nanmean(values) for _, values in X])


def read(part):
    """Two pairs of fifty series each."""
    for begin in (100 * part, 100 * part + 50):
        yield X[begin : begin + 50], Y[begin : begin + 50]


def read_numbers(part):
    for begin in (100 * part, 100 * part + 50):
        yield X[begin : begin + 50], NUMBERS[begin : begin + 50]


@pytest.fixture(autouse=True)
def _few_held_out(monkeypatch):
    monkeypatch.setattr(_parts, "HELD_OUT", 60)


@pytest.mark.parametrize("executor", [None, "threads", "processes"])
def test_parts_are_as_good_as_all_at_once(executor):
    if executor == "threads":
        executor = ThreadPoolExecutor(2)
    elif executor == "processes":
        executor = ProcessPoolExecutor(2, get_context("spawn"))
    found = HiPPOClassifier(**FEW).fit_parts(range(3), read, executor=executor)
    if executor is not None:
        executor.shutdown()
    again = HiPPOClassifier(**FEW).fit_parts(range(3), read)
    assert_array_equal(found.coef_, again.coef_)  # whoever does it
    assert found.score(X[300:], Y[300:]) >= HiPPOClassifier(**FEW).fit(X[:300], Y[:300]).score(X[300:], Y[300:]) - 0.03
    assert_allclose(found.predict_proba(X[300:]).sum(axis=1), 1)
    assert found.n_channels_ == 2


def test_numbers_in_parts():
    found = HiPPORegressor(**FEW).fit_parts(range(3), read_numbers)
    assert found.score(X[300:], NUMBERS[300:]) > 0.8
    both = HiPPORegressor(**FEW).fit_parts([0, 1, 2], lambda part: ((p, np.c_[y, -y]) for p, y in read_numbers(part)))
    outputs = both.predict(X[300:])
    assert outputs.shape == (100, 2)
    assert_allclose(outputs[:, 0], -outputs[:, 1], rtol=1e-6)


@pytest.mark.parametrize("n_classes", [0, 3])
def test_sums_are_enough(n_classes):
    """The solution is the ridge regression on all series, also those that were held out."""
    rng = np.random.default_rng(0)
    features = (5 + rng.normal(size=(300, 40)) * rng.uniform(0.1, 10, 40)).astype(np.float32)
    codes = np.arange(300) % 3
    features[:, :5] += codes[:, None]
    features[:, 7] = 2.0
    y = codes if n_classes else (1e4 + features[:, :1] + rng.normal(size=(300, 1)))
    classes = np.arange(3) if n_classes else None
    units = Units.learn(features[:50], y[:50], classes)

    def part(begin):
        rows = slice(begin, begin + 150)
        return [(Panel.from_list(list(features[rows])), y[rows])]

    def rows_of(panel):
        return panel.values.reshape(len(panel), -1)

    got = [
        sums_of((i, 150 * i), part, rows_of, lambda panel, own, number: (panel, own), units, 20, 0) for i in range(2)
    ]
    total = got[0][0]
    total += got[1][0]
    held = [np.concatenate(both) for both in zip(got[0][1], got[1][1], strict=True)]
    assert (total.n, len(held[0])) == (260, 40)
    blocks = [(slice(0, 20), 1.0), (slice(20, 40), 0.5)]
    head = fit_sums(total, _parts.Held(*held), units, blocks, n_classes)
    targets = np.where(codes[:, None] == np.arange(3), 1.0, -1.0) if n_classes else (y - units.center) / units.scale
    scaling = learn_scaling(
        Features(None, features, 40, kept=features), targets, np.ones(300), blocks, n_classes=n_classes
    )
    for one, other in zip(head.scaling[:3], scaling[:3], strict=True):
        assert_allclose(one, other, rtol=1e-4, atol=1e-4)  # products are of single precision
    Z = (features - scaling.center) * scaling.inverse * scaling.weight
    expected = Ridge(head.solution.penalty * np.mean((Z**2).sum(axis=1))).fit(Z, targets)
    coefficients = expected.coef_.reshape(-1, 40).T
    assert_allclose(head.solution.coefficients, coefficients, atol=1e-4 * np.abs(coefficients).max() + 1e-5)
    assert_allclose(head.solution.intercept, expected.intercept_, atol=1e-5)


def test_every_series_may_be_held_out():
    """A uniform sample of a part, however its series are sorted and read."""
    counts = np.zeros(30)
    units = Units(np.zeros(1), np.ones(1), None, np.zeros(1), np.ones(1))
    for seed in range(400):
        _, held = sums_of(
            (0, None), lambda _: [(Panel.from_list([[k]]), np.array([[k]])) for k in range(30)],
            lambda panel: panel.values, lambda panel, y, number: (panel, y), units, 6, seed,
        )  # fmt: skip
        counts[held.features[:, 0].astype(int)] += 1
    assert counts.sum() == 6 * 400
    assert np.abs(counts - 80).max() < 4.5 * np.sqrt(400 * 0.2 * 0.8)  # standard deviations of a binomial count


def test_sums_add_up():
    rng = np.random.default_rng(0)
    design, features = rng.normal(size=(50, 2)), rng.normal(size=(50, 7)).astype(np.float32)
    whole, part = Sums(2, 7), Sums(2, 7)
    whole.add(design[:20], features[:20])
    part.add(design[20:], features[20:])
    whole += part
    assert whole.n == 50
    assert_allclose(whole.gram, features.T.astype(float) @ features, atol=1e-5)
    assert_allclose(whole.products, design.T @ features, atol=1e-6)
    assert_allclose(whole.squares, design.T @ design)


def test_what_is_refused():
    model = HiPPOClassifier(**FEW)
    with pytest.raises(ValueError, match=r"Part 1 has the class '2', which .* give classes"):
        model.fit_parts(range(2), lambda part: [(p, np.where(y == "1", str(1 + part), y)) for p, y in read(part)])
    model.fit_parts(range(3), read, classes=["0", "1", "2"])
    assert model.predict_proba(X[:3]).shape == (3, 3)
    with pytest.raises(ValueError, match="so few can be fitted at once"):
        model.fit_parts(range(1), read)
    with pytest.raises(ValueError, match="class_weight is not for series in parts"):
        HiPPOClassifier(**FEW, class_weight="balanced").fit_parts(range(3), read)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit_parts(range(3), lambda part: [(p, y[:-1]) for p, y in read(part)])
    with pytest.raises(ValueError, match="X has 3 channels, but RandomHiPPOTransformer was fitted on 2"):
        model.fit_parts(range(3), lambda part: [*read(part), (irregular(9, 3), Y[:9])])
    with pytest.raises(TypeError, match=r"pairs \(X, y\) of part 0, got NoneType"):
        model.fit_parts(iter(range(3)), lambda part: None)
    with pytest.raises(TypeError, match=r"pairs \(X, y\) of part 0, got a Panel"):
        model.fit_parts(range(3), lambda part: [X])
    with pytest.raises(ValueError, match="There are no parts"):
        model.fit_parts([], read)
    with pytest.raises(ValueError, match="Part 0 has no series"):
        model.fit_parts(range(3), lambda part: [])
    with pytest.raises(ValueError, match="needs series of at least 2 classes"):
        model.fit_parts(range(3), lambda part: [(p, np.ones(len(p))) for p, _ in read(part)])
