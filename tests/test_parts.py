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

    got = [sums_of((i, 150 * i), part, rows_of, lambda panel, own: (panel, own), units, 20, 0) for i in range(2)]
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
            lambda panel: panel.values, lambda panel, y: (panel, y), units, 6, seed,
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


def labels_of(part):
    return [(p, np.where(y == "1", str(1 + part), y)) for p, y in read(part)]


REFUSED = [
    (ValueError, "The class '2' is neither of the first series .*\nThis is in part 1: 1.", range(2), labels_of, {}),
    (ValueError, "The class '1' is neither .* nor among those given", range(3), read, {"classes": ["0", "2"]}),
    (ValueError, "so few can be fitted at once, by fit", range(1), read, {}),
    (
        ValueError,
        "inconsistent numbers of samples(.|\n)*in part 0",
        range(3),
        lambda k: [(p, y[:-1]) for p, y in read(k)],
        {},
    ),
    (
        ValueError,
        "X has 3 channels, but RandomHiPPOTransformer was fitted on 2(.|\n)*in part 0",
        range(3),
        lambda part: [*read(part), (irregular(9, 3), Y[:9])],
        {},
    ),
    (
        ValueError,
        "The list of series is empty(.|\n)*in part 1",
        range(3),
        lambda part: [*read(part), *([([], [])] if part == 1 else [])],
        {},
    ),
    (ZeroDivisionError, "division by zero\nThis is in part 0: 0", range(3), lambda part: [(X, 1 / part)], {}),
    (TypeError, r"pairs \(X, y\), got NoneType", iter(range(3)), lambda part: None, {}),
    (TypeError, r"pairs \(X, y\), got a Panel", range(3), lambda part: [X], {}),
    (TypeError, r"pairs \(X, y\), got \(None, ...\)", range(3), lambda part: [(None, None)], {}),
    (ValueError, "requires y to be passed", range(3), lambda part: [(X, None)], {}),
    (ValueError, "There are no parts", [], read, {}),
    (ValueError, "There are no series in it", range(3), lambda part: [], {}),
    (
        ValueError,
        "needs series of at least 2 classes",
        range(3),
        lambda k: [(p, np.ones(len(p))) for p, _ in read(k)],
        {},
    ),
    (TypeError, "parts must be an iterable .*, got int", 3, read, {}),
    (TypeError, "read must be a function, of a part, got NoneType", range(3), None, {}),
    (TypeError, "executor must be one of concurrent.futures, with a map, got int", range(3), read, {"executor": 2}),
    (ValueError, "classes must be different labels", range(3), read, {"classes": ["0", "0", "1"]}),
    (ValueError, "classes must be different labels", range(3), read, {"classes": [["0"], ["1"]]}),
    (ValueError, "classes must be different labels", range(3), read, {"classes": [0, np.nan]}),
]


@pytest.mark.parametrize(("kind", "match", "parts", "of", "how"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(kind, match, parts, of, how):
    with pytest.raises(kind, match=match):
        HiPPOClassifier(**FEW).fit_parts(parts, of, **how)


def test_classes_that_come_later():
    model = HiPPOClassifier(**FEW).fit_parts(range(3), read, classes=["1", "0", "2"])
    assert model.predict_proba(X[:3]).shape == (3, 3)
    assert_array_equal(model.classes_, ["0", "1", "2"])


def test_parameters_are_checked_in_parts_too():
    with pytest.raises(ValueError, match="class_weight is not for series in parts"):
        HiPPOClassifier(**FEW, class_weight="balanced").fit_parts(range(3), read)
    with pytest.raises(ValueError, match="The 'verbose' parameter of HiPPORegressor"):
        HiPPORegressor(**FEW, verbose="much").fit_parts(range(3), read_numbers)
    with pytest.raises(ValueError, match="The 'n_features' parameter of HiPPOClassifier"):
        HiPPOClassifier(**FEW | {"n_features": 0}).fit_parts(range(3), read)


def test_targets_keep_their_shape():
    column = HiPPORegressor(**FEW).fit_parts(range(3), lambda part: [(p, y[:, None]) for p, y in read_numbers(part)])
    assert column.predict(X[:5]).shape == HiPPORegressor(**FEW).fit(X, NUMBERS[:, None]).predict(X[:5]).shape == (5, 1)
    with pytest.raises(ValueError, match=r"y must have shape \(n_series, 2\), as that of the first(.|\n)*in part 1"):
        HiPPORegressor(**FEW).fit_parts(
            range(3), lambda part: [(p, np.c_[y, y][:, : 2 - part]) for p, y in read_numbers(part)]
        )
    with pytest.raises(ValueError, match=r"y has the target 1e\+200, more than 1e\+06 standard deviations"):
        HiPPORegressor(**FEW).fit_parts(range(3), lambda part: [(p, y + 1e200 * part) for p, y in read_numbers(part)])


@pytest.mark.parametrize("scale", [0.0, 1e-320, 1e-170, 1.0, 1e160, 1e300])
def test_targets_of_any_size(scale):
    """Also constants, and targets that are a feature, for which the best penalty is below the rounding of products."""
    model = HiPPORegressor(**FEW | {"poolings": ("spread",)})
    model.fit_parts(range(3), lambda part: [(p, scale * y) for p, y in read_numbers(part)])
    found = model.predict(X[300:])
    if scale == 0:
        assert_array_equal(found, 0)
    elif scale > 1e-300:
        assert np.corrcoef(found / scale, NUMBERS[300:])[0, 1] > 0.8
    else:
        assert np.isfinite(found).all()
    unit = max(scale, 1e-300)
    exact = np.asarray(model.transformer_.transform(X), float)[:, -1]

    def of_a_feature(part):
        for begin in (100 * part, 100 * part + 50):
            yield X[begin : begin + 50], unit * exact[begin : begin + 50]

    found = model.fit_parts(range(3), of_a_feature).predict(X[:300])
    assert_allclose(found / unit, exact[:300], atol=0.1 * exact.std())


def test_series_that_are_all_alike():
    series = Panel.from_list([[1.0, 2.0, 3.0]] * 50)
    for y in (np.arange(50) % 2, np.arange(50.0)):
        kind = HiPPOClassifier if y.dtype == int else HiPPORegressor
        model = kind(**FEW).fit_parts(range(4), lambda part, y=y: [(series, y)])
        assert_allclose(model.predict(series[:2]), [model.predict(series[:1])[0]] * 2)
    assert_allclose(model.predict(series[:1]), 24.5, atol=0.5)


def test_a_part_far_away_ruins_nothing():
    def with_a_wild_one(part):
        for panel, y in read_numbers(part):
            yield (Panel(1e50 * panel.values, panel.times, panel.offsets) if part == 2 else panel), y

    model = HiPPORegressor(**FEW | {"poolings": ("ppv", "spread")}).fit_parts(range(3), with_a_wild_one)
    assert model.score(X[:200], NUMBERS[:200]) > 0.6
