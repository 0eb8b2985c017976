import pickle

import numpy as np
import pytest
from makers import irregular, shifted
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_hippo import HiPPOClassifier, HiPPORegressor, Panel, RandomHiPPOTransformer, _head
from sklearn_hippo._head import (
    OF_CLASSES,
    Choice,
    Features,
    Scaling,
    fit_calibrated,
    fit_head,
    learn_scaling,
    predict,
    ridge,
)
from sklearn_hippo._ridge import distinct
from sklearn_hippo._scales import mean_and_scale

SMALL = {"n_features": 60, "conjunctions": 40, "random_state": 0}


@parametrize_with_checks(
    [
        HiPPOClassifier(20, conjunctions=10, random_state=0),
        HiPPORegressor(20, conjunctions=10, random_state=0),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# --- the head ------------------------------------------------------------------------------------------


def problem(n=30, p=50, k=3, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % k
    features = rng.normal(size=(n, p)).astype(np.float32)
    features[:, :5] += codes[:, None]
    features[:, 7] = 2.0
    return features, codes, np.where(codes[:, None] == np.arange(k), 1.0, -1.0), rng


def given(features):
    """Features that are there already."""
    return Features(lambda rows: rows, features, features.shape[1])


@pytest.fixture(params=["kept", "streamed"])
def memory(request, monkeypatch):
    """Whether features are kept, or computed in every pass, some series at a time."""
    if request.param == "streamed":
        monkeypatch.setattr(_head, "KEPT", 0)
        monkeypatch.setattr(_head, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(_head, "COLUMNS_AT_ONCE", 16)
    return request.param


def test_scales_are_what_the_classes_explain(memory):
    features, codes, targets, _ = problem()
    blocks = [(slice(0, 20), 1.0), (slice(20, 50), 0.25)]
    found = learn_scaling(given(features), targets, np.ones(30), blocks, n_classes=3)
    assert found.inverse[7] == 0
    rows = features.astype(float)
    assert_allclose(found.center, rows.mean(axis=0), atol=1e-12)
    varies = np.arange(50) != 7
    assert_allclose(found.inverse[varies], 1 / rows.std(axis=0)[varies], rtol=1e-12)
    explained = np.zeros(50)
    for j in np.flatnonzero(varies):
        means = np.array([rows[codes == c, j].mean() for c in range(3)])
        eta = np.mean((means[codes] - rows[:, j].mean()) ** 2) / rows[:, j].var()
        explained[j] = (eta - 2 / 29) / (1 - 2 / 29)
    expected = np.sqrt(np.maximum(explained, 0.02))
    for columns, variance in blocks:
        some = varies[columns]
        expected[columns] *= np.sqrt(variance) / np.sqrt(np.mean(expected[columns][some] ** 2))
    assert_allclose(found.weight[varies], expected[varies], rtol=1e-12)


def test_scales_are_what_numbers_explain(memory):
    features, _, _, rng = problem()
    y = features[:, 3].astype(float) + rng.normal(size=30)
    found = learn_scaling(given(features), y[:, None], np.ones(30), [(slice(0, 50), 1.0)])
    correlation = [0 if j == 7 else np.corrcoef(features[:, j], y)[0, 1] for j in range(50)]
    expected = np.sqrt(np.maximum(np.square(correlation) - 1 / 30, 0.02))
    some = np.arange(50) != 7
    assert_allclose(found.weight[some], (expected / np.sqrt(np.mean(expected[some] ** 2)))[some], rtol=1e-6)


@pytest.mark.parametrize("p", [50, 20])  # the dual, the primal
@pytest.mark.parametrize("weighted", [False, True])
def test_a_ridge_regression_leaves_one_out(weighted, p, memory):
    features, _, targets, rng = problem(p=p)
    features *= 1 + np.arange(p, dtype=np.float32) / 10
    weights = rng.uniform(0.2, 2, 30) if weighted else np.ones(30)
    weights *= 30 / weights.sum()
    scaling = learn_scaling(given(features), targets, weights, [(slice(0, p), 1.0)], n_classes=3)
    Z = (features - scaling.center) * scaling.inverse * scaling.weight
    unit = np.mean(weights * (Z**2).sum(axis=1))

    def dense(rows, penalty):
        """Weighted ridge regression on some series, by its normal equations."""
        A = np.column_stack([Z[rows], np.ones(len(rows))])
        penalty = np.diag(np.r_[np.full(p, penalty * unit), 0.0])
        W = weights[rows][:, None]
        return np.linalg.solve(A.T @ (W * A) + penalty, A.T @ (W * targets[rows]))

    def error(penalty):
        """Mean square of what is left of a series that all others predict."""
        total = 0.0
        for i in range(30):
            coefficients = dense(np.delete(np.arange(30), i), penalty)
            total += weights[i] * np.sum((targets[i] - Z[i] @ coefficients[:p] - coefficients[p]) ** 2)
        return total / targets.size

    errors = [error(penalty) for penalty in OF_CLASSES.penalties]
    solution = ridge(given(features), scaling, targets, weights, OF_CLASSES)
    assert solution.penalty == OF_CLASSES.penalties[np.argmin(errors)]
    everything = dense(np.arange(30), solution.penalty)
    # products are made in single precision
    assert_allclose(solution.coefficients, everything[:p], atol=1e-5 * np.abs(everything).max())
    assert_allclose(solution.intercept, everything[p], atol=1e-5)
    outputs = predict(features, scaling, solution.coefficients, solution.intercept)
    assert_allclose(outputs, Z @ everything[:p] + everything[p], atol=1e-4)
    again = ridge(given(features), scaling, targets, weights, OF_CLASSES, solution.penalty)
    assert_allclose(again.coefficients, everything[:p], atol=1e-5 * np.abs(everything).max())
    for k, precision in ((8, np.float32), (9, np.float64), (10, np.float32), (14, np.float64), (16, np.float32)):
        found = ridge(given(features), scaling, targets, weights, Choice(np.array([10.0 ** (k / 2 - 6)]), precision))
        assert_allclose(found.error, errors[k], rtol=1e-4)


@pytest.mark.parametrize("p", [400, 8])  # the dual, the primal
def test_where_one_direction_is_all_there_is(p, memory):
    """Products of features in single precision that differ by their rounding alone are not positive of themselves."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        line = rng.normal(size=13)
        features = np.outer(line, rng.uniform(0.5, 2, size=p)).astype(np.float32)
        targets = np.where(line > 0, 1.0, -1.0)[:, None]
        weights = np.ones(13)
        scaling = learn_scaling(given(features), targets, weights, [(slice(0, p), 1.0)], n_classes=0)
        solution = ridge(given(features), scaling, targets, weights, OF_CLASSES, OF_CLASSES.penalties[0])
        outputs = predict(features, scaling, solution.coefficients, solution.intercept)[:, 0]
        slope, intercept = np.polyfit(line, targets[:, 0], 1)
        # Products are rounded by an eighth at most of what is added to them, and so are outputs.
        assert_allclose(outputs, slope * line + intercept, rtol=0, atol=1 / 8)


def rare(n, seed, share=0.15):
    """Two classes, the second one rare, that overlap."""
    rng = np.random.default_rng(seed)
    codes = (rng.uniform(size=n) < share).astype(int)
    features = rng.normal(size=(n, 400)).astype(np.float32)
    features[:, :40] += 0.3 * codes[:, None]
    return features, codes, np.where(codes[:, None] == np.arange(2), 1.0, -1.0)


@pytest.mark.parametrize("p", [50, 20])  # the dual, the primal
def test_series_at_unit_length(p, memory):
    features, _, targets, rng = problem(p=p)
    weights = rng.uniform(0.2, 2, 30)
    weights *= 30 / weights.sum()
    blocks = [(slice(0, p), 1.0)]
    # classes of one size under these weights: there is nothing to balance
    head = fit_head(given(features), targets, weights, blocks, 3, unit=True, penalty=0.1)
    plain = learn_scaling(given(features), targets, weights, blocks, n_classes=3)
    Z = normalize((features - plain.center) * plain.inverse * plain.weight)
    Z -= np.average(Z, axis=0, weights=weights)
    unit = np.mean(weights * (Z**2).sum(axis=1))
    expected = Ridge(0.1 * unit).fit(Z, targets, weights).predict(Z)
    assert_allclose(predict(features, head.scaling, *head.solution[:2]), expected, atol=1e-4)
    nothing = head.scaling._replace(inverse=np.zeros(p))
    assert np.isfinite(predict(features, nothing, *head.solution[:2])).all()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_weights_make_up_for_rare_classes(power, memory):
    features, codes, targets = rare(200, 0)
    share = np.bincount(codes) / 200
    head = fit_head(given(features), targets, np.ones(200), [(slice(0, 400), 1.0)], 2, power=power, penalty=0.1)
    assert_allclose(np.diff(head.offset), power * np.log(share[1] / share[0]))
    plain = learn_scaling(given(features), targets, np.ones(200), [(slice(0, 400), 1.0)], n_classes=2)
    assert_array_equal(head.scaling.weight, plain.weight)
    weights = (1 / share[codes]) ** power
    assert_allclose(head.scaling.center, np.average(features.astype(float), axis=0, weights=weights), atol=1e-6)
    Z = (features - head.scaling.center) * plain.inverse * plain.weight
    weights *= 200 / weights.sum()
    unit = np.mean(weights * (Z**2).sum(axis=1))
    expected = Ridge(0.1 * unit).fit(Z, targets, weights).predict(Z)
    assert_allclose(predict(features, head.scaling, *head.solution[:2]), expected, atol=1e-4)


def test_probabilities_of_rare_classes_are_as_rare():
    features, _, targets = rare(300, 0)
    head = fit_calibrated(given(features), targets, np.ones(300), [(slice(0, 400), 1.0)], 0)
    assert head.offset[0] > head.offset[1] + 0.5  # weights were balanced by a half
    new, new_codes, _ = rare(20000, 1)
    outputs = head.temperature * predict(new, head.scaling, *head.solution[:2]) + head.offset
    probability = softmax(outputs, axis=1)[:, 1]
    assert_allclose(probability.mean(), new_codes.mean(), atol=0.04)
    assert log_loss(new_codes, probability) < log_loss(new_codes, np.full(20000, new_codes.mean()))


def test_new_series_far_away_are_bounded():
    scaling = Scaling(np.zeros(2), np.ones(2), np.ones(2))
    far = np.array([[1e9, 0.0]], np.float32)
    assert_array_equal(predict(far, scaling, np.ones((2, 1)), np.zeros(1)), [[30.0]])
    assert_array_equal(scaling.whole(far, np.ones(1)), np.float32([[1e9, 0]]))


# --- the estimators ------------------------------------------------------------------------------------


def test_classes():
    panel, y = shifted(120)
    classifier = HiPPOClassifier(**SMALL).fit(panel[:80], y[:80])
    assert classifier.score(panel[80:], y[80:]) > 0.95
    probability = classifier.predict_proba(panel[80:])
    assert_allclose(probability.sum(axis=1), 1)
    assert log_loss(y[80:], probability) < 0.3
    decided = (classifier.decision_function(panel[80:]) > 0).astype(int)
    assert_array_equal(classifier.classes_[decided], classifier.predict(panel[80:]))
    assert_array_equal(clone(classifier).set_params(n_jobs=2).fit(panel[:80], y[:80]).coef_, classifier.coef_)
    copied = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(copied.predict_proba(panel), classifier.predict_proba(panel))


def test_numbers():
    panel, _ = shifted(120)
    y = np.array([np.nanmean(values) for _, values in panel])
    regressor = HiPPORegressor(**SMALL).fit(panel[:80], y[:80])
    assert regressor.score(panel[80:], y[80:]) > 0.8
    both = HiPPORegressor(**SMALL).fit(panel[:80], np.column_stack([y, -y])[:80])
    assert both.predict(panel[80:]).shape == (40, 2)


def test_extreme_targets_and_series_that_are_all_alike():
    panel, _ = shifted(90)
    y = np.array([np.nanmean(values) for _, values in panel])
    for scale, shift in ((1e200, 0.0), (1e-200, 0.0), (1.0, 1e6), (1e300, 1e301)):
        found = HiPPORegressor(**SMALL).fit(panel[:60], scale * y[:60] + shift).predict(panel[60:])
        assert_allclose((found - shift) / scale, y[60:], atol=1.5 * y.std())
        assert np.corrcoef(found / scale, y[60:])[0, 1] > 0.9
    panel = panel[:30]
    assert_array_equal(HiPPORegressor(**SMALL).fit(panel, np.full(30, 7.0)).predict(panel), np.full(30, 7.0))
    assert_array_equal(HiPPORegressor(**SMALL).fit(panel[:1], [3.0]).predict(panel), np.full(30, 3.0))
    alike = HiPPOClassifier(**SMALL).fit([np.ones(5)] * 9, [0, 1, 1] * 3)
    assert_allclose(alike.decision_function([np.ones(5)]), 2 / 3, atol=1e-12)


def test_many_series_are_looked_at_some_at_a_time(monkeypatch):
    panel, y = shifted(300)
    few = {"n_features": 20, "windows": "relative", "conjunctions": 0, "normalized": False, "random_state": 0}
    kept = HiPPOClassifier(**few).fit(panel, y)
    assert len(kept.coef_) < len(panel)
    monkeypatch.setattr(_head, "KEPT", 0)
    monkeypatch.setattr(_head, "ROWS_AT_ONCE", 64)
    streamed = HiPPOClassifier(**few).fit(panel, y)
    assert streamed.penalty_ == kept.penalty_
    outputs, expected = streamed.decision_function(panel), kept.decision_function(panel)
    assert 0.5 < outputs.std() / expected.std() < 2  # temperatures of one fold, and of five
    assert_allclose(outputs / outputs.std(), expected / expected.std(), atol=3e-3)


def test_names_of_classes_draw_nothing():
    panel, y = shifted(60)
    expected = HiPPOClassifier(**SMALL).fit(panel, y)
    found = HiPPOClassifier(**SMALL).fit(panel, np.where(y == "0", "b", "a"))
    for one, other in zip(expected.transformer_.views_, found.transformer_.views_, strict=True):
        assert_array_equal(one.draws[0].threshold, other.draws[0].threshold)
    assert_allclose(found.coef_[:, ::-1] / expected.coef_.std(), expected.coef_ / expected.coef_.std(), atol=1e-4)


def test_weights():
    panel, y = shifted(60)
    y = np.where(y == "0", "a", "b")
    wrong = np.where(y == "a", "b", "a")
    twice = Panel.concat([panel, panel])
    expected = HiPPOClassifier(**SMALL).fit(panel, y).decision_function(panel)
    weights = np.r_[np.ones(60), np.zeros(60)]
    found = HiPPOClassifier(**SMALL).fit(twice, np.r_[y, wrong], weights).decision_function(panel)
    assert_array_equal(found, expected)  # a weight of zero is no series
    assert_allclose(HiPPOClassifier(**SMALL).fit(panel, y, np.full(60, 7.0)).decision_function(panel), expected, 1e-6)
    unclear = np.random.default_rng(0).permutation(y)
    heavy = HiPPOClassifier(**SMALL, class_weight={"a": 20, "b": 1}).fit(panel[:40], unclear[:40])
    plain = HiPPOClassifier(**SMALL).fit(panel[:40], unclear[:40])
    shares = [one.predict_proba(panel[40:])[:, 0].mean() for one in (heavy, plain)]
    assert shares[0] > shares[1] + 0.2


def test_series_that_are_equal_are_one():
    """Zeros of either sign, NaN of any bits, numbers of any type."""
    strange = np.array([0x7FF8000000000001], np.uint64).view(float)[0]
    series = [[0.0, np.nan, 1.0], [-0.0, np.nan, 1.0], [0.0, strange, 1.0], [0.0, np.nan, 1.5]]
    four = np.array([[0.0], [-0.0], [0.0], [0.0]])
    panel, targets, weights, places = distinct(Panel.from_list(series), four, np.array([1.0, 0.0, 1.0, 1.0]))
    assert (len(panel), len(targets), places[1]) == (2, 2, -1)
    panel, targets, weights, places = distinct(Panel.from_list(series), four, np.ones(4))
    assert (len(panel), len(targets)) == (2, 2)
    assert sorted(weights.tolist()) == [0.5, 1.5]
    assert places[0] == places[1] == places[2] == 1 - places[3]
    assert_array_equal(weights[places], [1.5, 1.5, 1.5, 0.5])
    panel, y = shifted(60)
    single = Panel(panel.values.astype(np.float32), panel.times, panel.offsets)
    double = Panel(single.values.astype(np.float64), panel.times, panel.offsets)
    one, other = (HiPPOClassifier(**SMALL).fit(own, y).decision_function(double) for own in (single, double))
    assert_array_equal(one, other)


def test_extreme_weights():
    panel, y = shifted(60)
    expected = HiPPOClassifier(**SMALL).fit(panel, y).decision_function(panel)
    for weight in (1e308, 5e-324):
        assert_array_equal(
            HiPPOClassifier(**SMALL).fit(panel, y, np.full(60, weight)).decision_function(panel), expected
        )
    mixed = np.where(np.arange(60) < 50, 1e308, 1e-300)
    assert np.isfinite(HiPPOClassifier(**SMALL).fit(panel, y, mixed).predict_proba(panel)).all()


def test_class_weights():
    panel, _ = shifted(60)
    y = np.arange(60) % 3
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="class_weight must be finite and not negative"):
            HiPPOClassifier(**SMALL, class_weight={0: 1, 1: wrong, 2: 1}).fit(panel, y)
    without = HiPPOClassifier(**SMALL, class_weight={0: 1, 1: 0, 2: 1}).fit(panel, y)
    some = y != 1
    assert_array_equal(without.classes_, [0, 2])  # as with weights of the series
    assert_array_equal(
        without.predict_proba(panel), HiPPOClassifier(**SMALL).fit(panel[some], y[some]).predict_proba(panel)
    )
    plain = HiPPOClassifier(**SMALL).fit(panel, y, np.r_[1, np.full(59, 0.3)]).predict_proba(panel)
    for weight in (1e308, 5e-324):
        equal = HiPPOClassifier(**SMALL, class_weight=dict.fromkeys(range(3), weight))
        assert_array_equal(equal.fit(panel, y, np.r_[1, np.full(59, 0.3)]).predict_proba(panel), plain)
    with pytest.raises(ValueError, match="only one class: 2"):
        HiPPOClassifier(**SMALL, class_weight={0: 0, 1: 0, 2: 1}).fit(panel, y)


@pytest.mark.parametrize("normalized", [False, True])
def test_values_of_any_size(normalized):
    panel, _ = shifted(60)
    y = np.array([np.nanmean(values) for _, values in panel])
    how = SMALL | {"poolings": ("ppv", "longest", "thirds", "spread"), "normalized": normalized, "summaries": True}
    signs = np.sign(panel.values)
    regressor = HiPPORegressor(**how).fit(panel, y)
    found = {}
    for size in (1e38, 1e100, 1e200, np.finfo(float).max):
        far = Panel(size * signs, panel.times, panel.offsets)
        assert np.isfinite(regressor.transformer_.transform(far)).all()
        found[size] = regressor.predict(far)
        assert_allclose(found[size], found[1e38], rtol=1e-2, atol=1e-2 * np.abs(found[1e38]).max())
    signs += 0.1 * np.clip(panel.values - panel.values.mean(axis=0), -1, 1)
    outputs = []
    for size in (1.0, 2.0**-1000, 2.0**1023):  # powers of two change no digit
        own = Panel(size * signs, panel.times, panel.offsets)
        outputs.append(RandomHiPPOTransformer(**how).fit_transform(own))
    assert_array_equal(outputs[1:], [outputs[0]] * 2)


def test_one_extreme_value_ruins_nothing():
    panel, y = shifted(60)
    for size in (1e6, 1e9, 1e30, -1e300):
        values = panel.values.copy()
        values[4, 0] = size
        wild = Panel(values, panel.times, panel.offsets)
        assert HiPPOClassifier(**SMALL).fit(wild, y).score(panel, y) == 1
        numbers = np.array([np.nanmean(values) for _, values in panel])
        assert HiPPORegressor(**SMALL).fit(wild, numbers).score(panel[1:], numbers[1:]) > 0.9


def test_observations_of_one_stamp_are_one():
    """Whatever was overwritten, and whether channels have rows of their own."""
    panel, y = shifted(60)
    apart, overwritten = [], []
    for times, values in panel:
        rows = np.full((2 * len(times), 2), np.nan)
        rows[::2, 0], rows[1::2, 1] = values.T
        apart.append((np.repeat(times, 2), rows))
        overwritten.append((np.r_[times[0], times], np.r_[[[99.0, np.nan]], values]))
    for estimator in (HiPPOClassifier(**SMALL), HiPPOClassifier(**SMALL, normalized=True), HiPPORegressor(**SMALL)):
        targets = y if isinstance(estimator, HiPPOClassifier) else np.arange(60)
        output = "decision_function" if isinstance(estimator, HiPPOClassifier) else "predict"
        fitted = clone(estimator).fit(panel, targets)
        expected = getattr(fitted, output)(panel)
        for X in (apart, overwritten):
            assert_array_equal(getattr(fitted, output)(X), expected)
            assert_array_equal(getattr(clone(estimator).fit(X, targets), output)(panel), expected)


@pytest.mark.parametrize("unit", [1e-310, 1e-300, 1e300])
def test_times_of_any_size(unit):
    panel, y = shifted(60)
    own = HiPPOClassifier(**SMALL).fit(Panel(panel.values, unit * panel.times, panel.offsets), y)
    assert own.score(Panel(panel.values, unit * panel.times, panel.offsets), y) == 1
    long = Panel.from_list([([0.0, 1e307], [[1.0, 2.0], [3.0, 4.0]]), ([0.0, 1e-307], [[1.0, 2.0], [3.0, 4.0]])])
    assert np.isfinite(own.predict_proba(long)).all()


@pytest.mark.parametrize("instant", [1e-320, 1e-306, 5e-324])
def test_a_series_of_next_to_no_duration_ruins_nothing(instant):
    panel, y = shifted(60)
    series = list(panel)
    series[0] = (series[0][0] * instant, series[0][1])
    times = series[1][0] - series[1][0][0] + 1
    series[1] = (np.r_[0.0, instant, times[2:]], series[1][1])
    how = SMALL | {"windows": "absolute", "poolings": ("ppv", "spread")}
    assert HiPPOClassifier(**how).fit(series, y).score(panel, y) > 0.9
    assert np.isfinite(HiPPOClassifier(**how).fit(panel, y).predict_proba(series[:2])).all()


def test_steps_are_told(capsys, monkeypatch):
    panel, y = shifted(60)
    HiPPOClassifier(**SMALL).fit(panel, y)
    assert capsys.readouterr().out == ""
    HiPPOClassifier(**SMALL, verbose=1).fit(panel, y)
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("[HiPPOClassifier] ") for line in lines)
    assert "of 60 series" in lines[0]
    assert lines[-1].endswith("fold 5 of 5")
    monkeypatch.setattr(_head, "KEPT", 0)
    HiPPORegressor(**SMALL, verbose=2).fit(panel, range(60))
    assert "of 60 of 60 series" in capsys.readouterr().out


def test_scikit_learn_callbacks():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn >= 1.9")
    pytest.importorskip("rich", reason="for the progress bar")
    panel, y = shifted(60)
    seen = []

    class Watch:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            seen.append(context.task_name)

        def teardown(self, estimator, context):
            pass

    HiPPOClassifier(**SMALL).set_callbacks(Watch(), callback.ProgressBar()).fit(panel, y)
    assert seen[-1] == "fit"
    assert seen[:-1] == ["step"] * 13  # features, and twice a regression and its folds
    monitor = callback.ScoringMonitor(scoring="r2")
    HiPPORegressor(**SMALL).set_callbacks(monitor).fit(panel, np.arange(60))


def test_a_fit_that_fails_changes_nothing(monkeypatch):
    panel, y = shifted(60)
    classifier = HiPPOClassifier(**SMALL).fit(panel, y)
    expected = classifier.predict(panel)
    monkeypatch.setattr(_head, "ridge", None)
    with pytest.raises(TypeError):
        classifier.fit(irregular(30, 3), y[:30])
    assert_array_equal(classifier.predict(panel), expected)


def test_what_is_refused():
    panel = irregular(6, 1)
    for estimator in (HiPPOClassifier(**SMALL), HiPPORegressor(**SMALL)):
        with pytest.raises(ValueError, match="requires y to be passed"):
            estimator.fit(panel, None)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            estimator.fit(panel, [0, 1])
        with pytest.raises(ValueError, match="at least one non-zero number"):
            estimator.fit(panel, [0, 1] * 3, np.zeros(6))
        with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
            estimator.fit(panel, [0, 1] * 3, -np.ones(6))
        masked = np.ma.array([0, 1] * 3, mask=[0, 0, 0, 1, 0, 0])
        with pytest.raises(ValueError, match=r"y is masked at \[3\]"):
            estimator.fit(panel, masked)
        with pytest.raises(ValueError, match=r"sample_weight is masked at \[3\]"):
            estimator.fit(panel, [0, 1] * 3, masked)
        with pytest.raises(ValueError, match=r"y is masked at \[3, 0\]"):
            estimator.fit(panel, list(masked[:, None]))
        fitted = clone(estimator).fit(panel, [0, 1] * 3)
        with pytest.raises(ValueError, match=r"y is masked at \[3\]"):
            fitted.score(panel, masked)
        with pytest.raises(ValueError, match=r"sample_weight is masked at \[3\]"):
            fitted.score(panel, [0, 1] * 3, masked)
    with pytest.raises(ValueError, match=r"classes is masked at \[1\]"):
        HiPPOClassifier(**SMALL).fit_parts(
            [0], lambda _: [(panel, [0, 1] * 3)], classes=np.ma.array([0, 1], mask=[False, True])
        )
    with pytest.raises(ValueError, match="y has only one class: 1"):
        HiPPOClassifier(**SMALL).fit(panel, np.ones(6, int))
    fitted = HiPPOClassifier(**SMALL).fit(panel, [0, 1] * 3)
    with pytest.raises(ValueError, match="X has 2 channels, but HiPPOClassifier was fitted on 1"):
        fitted.predict(irregular(3, 2))


@pytest.mark.parametrize("unit", [1.0, 1e-160, 1e-300, 1e300])
@pytest.mark.parametrize("wild", [1e6, 1e150, 1e200, -1.7e308])
def test_scales_are_those_of_most_values(unit, wild):
    """One value of any size is none."""
    x = 100 * np.random.default_rng(0).normal(size=1000) + 30
    if abs(wild) > 1e5 * unit:
        found = mean_and_scale(np.r_[unit * x, wild], np.ones(1001), 40.0)
        assert_allclose(np.divide(found, unit), [x.mean(), x.std()], rtol=1e-9)


def test_scales_of_few_values_and_of_many_that_are_far_away():
    x = np.random.default_rng(0).normal(size=20)
    assert_allclose(mean_and_scale(np.r_[x, 1e300], np.ones(21), 40.0), [x.mean(), x.std()])
    many = np.r_[x, np.full(4, 1e3)]  # so many are no mistakes
    assert_allclose(mean_and_scale(many, np.ones(24), 40.0), [many.mean(), many.std()])
    small = np.tile([0.0, 5e-324], 500)
    assert mean_and_scale(small, np.ones(1000), 40.0)[1] == 5e-324
    for weight in (1e308, 5e-324):
        assert_allclose(mean_and_scale(np.r_[x, 1e300], np.full(21, weight), 40.0), [x.mean(), x.std()])


@pytest.mark.parametrize("noise", [0.0, 1e-10, 1e-3])
@pytest.mark.parametrize("mistakes", [[], [1e6] * 20, [1e300] * 10])
@pytest.mark.parametrize("weight", [1.0, 0.1])
def test_scale_of_a_channel_that_is_idle_most_of_the_time(noise, mistakes, weight):
    rng = np.random.default_rng(1)
    x = rng.permutation(np.r_[noise * rng.normal(size=600), 11 + 0.3 * rng.normal(size=380)])
    both = np.r_[x, mistakes]
    assert_allclose(mean_and_scale(both, np.full(len(both), weight), 40.0), [x.mean(), x.std()])


@pytest.mark.parametrize(("signal", "mistakes"), [(5, 10), (25, 475), (200, 500), (3000, 500)])
def test_scale_of_a_channel_with_more_mistakes_than_signal(signal, mistakes):
    x = np.r_[np.zeros(10_000 - signal - mistakes), np.random.default_rng(0).uniform(1, 2, signal)]
    for wild in (1e3, -1e6, 1e300):
        both = np.r_[x, np.full(mistakes, wild)]
        assert_allclose(mean_and_scale(both, np.ones(10_000), 40.0), [x.mean(), x.std()])
    if signal > 20:  # fewer than one of twenty that differ by next to nothing are no signal
        events = np.r_[x, 1e-13]
        assert_allclose(mean_and_scale(events, np.ones(len(events)), 40.0), [x.mean(), x.std()], rtol=1e-3)
