import pickle

import numpy as np
import pytest
from makers import irregular, shifted
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_hippo import EarlyClassifier, HiPPOClassifier, HiPPOTransformer, Panel
from sklearn_hippo._stopping import best_threshold, first_sure, logarithms, spread

SMALL = HiPPOClassifier(20, conjunctions=10, random_state=0)
PIPELINE = make_pipeline(HiPPOTransformer(order=3), LogisticRegression())


@parametrize_with_checks([EarlyClassifier(SMALL, checkpoints=3, threshold=0.95)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def steps(n=40, seed=0, at=2.5, length=10.0):
    """Noise at random times in which a step tells the class from a time on; each begins at a time of its own."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    series = []
    for label in y:
        t = np.concatenate([[0], np.sort(rng.uniform(0, length, 48)), [length]])
        values = 0.1 * rng.normal(size=(50, 1)) + np.where(t >= at, 2.0 * label - 1, 0.0)[:, None]
        values[1:-1][rng.uniform(size=(48, 1)) < 0.1] = np.nan
        series.append((100 * rng.uniform() + t, values))
    return Panel.from_list(series), np.array(["down", "up"])[y]


TIMES = [1.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize("estimator", [SMALL, PIPELINE, make_pipeline(HiPPOTransformer(order=3), RidgeClassifier())])
@pytest.mark.parametrize("how", [{}, {"cost_of_waiting": 0.02}, {"threshold": 0.8}])
def test_decides_right_after_the_class_shows(estimator, how):
    model = EarlyClassifier(estimator, checkpoints=TIMES, **how).fit(*steps())
    test, y = steps(seed=1)
    # the harmonic mean gains by a guess now and then: half of them are right
    least = 0.9 if how else 0.6
    for times in (model.decision_times_, model.decision_times(test)):
        assert np.mean(times == 4.0) >= least
        assert np.mean(times <= 4.0) >= 0.9
    assert model.score(test, y) >= least + 0.1
    assert_array_equal(model.checkpoints_, TIMES)
    assert model.end_ == pytest.approx(10)


def test_a_threshold_of_one_waits_for_the_end():
    panel, y = steps()
    test, _ = steps(seed=1)
    model = EarlyClassifier(SMALL, checkpoints=TIMES, threshold=1).fit(panel, y)
    full = clone(SMALL).fit(panel, y)
    assert_array_equal(model.predict(test), full.predict(test))
    assert_allclose(model.decision_times(test), test.durations)
    order = np.argsort(model.predict_proba(test)[:, 1])
    assert (np.diff(full.predict_proba(test)[order, 1]) >= 0).all()  # a temperature keeps their order
    at_once = EarlyClassifier(SMALL, checkpoints=TIMES, threshold=0).fit(panel, y)
    assert_array_equal(at_once.decision_times(test), 1.0)


@pytest.mark.parametrize("parameter", ["threshold", "cost_of_waiting", "cost_of_error"])
def test_later_decisions(parameter):
    panel, y = irregular(40, seed=0), np.arange(40) % 2  # nothing to be learned: all depends on what is asked
    values = panel.values + 0.3 * (np.repeat(y, panel.lengths) * panel._elapsed)[:, None]
    panel, found, means = panel.replace(values=values), [], []
    for value in [0.0, 0.5, 0.7, 0.9, 1.0] if parameter == "threshold" else [0.001, 0.01, 0.05, 0.2, 1.0]:
        how = {"cost_of_waiting": 0.05} if parameter == "cost_of_error" else {}
        model = EarlyClassifier(SMALL, checkpoints=5, **how | {parameter: value}).fit(panel, y)
        found.append(model.decision_times_)
        means.append(model.decision_times(panel).mean())
    later = np.diff(found, axis=0) * (-1 if parameter == "cost_of_waiting" else 1)
    assert (later >= 0).all()
    assert later.sum() > 0
    assert (np.diff(means) * (-1 if parameter == "cost_of_waiting" else 1) >= 0).all()


def test_the_best_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    confidence = np.sort(rng.uniform(0.5, 1, size=(4, 30)), axis=0)
    durations = rng.uniform(2, 5, 30)
    running = np.array([[1.0], [2.0], [3.0]]) <= durations
    times = np.vstack([np.full((3, 30), [[1.0], [2.0], [3.0]]), durations])
    weights = rng.uniform(0.5, 2, 30)

    def value(threshold, costs):
        total = accuracy = time = 0.0
        for i in range(30):
            k = next((k for k in range(3) if confidence[k, i] > threshold and running[k, i]), 3)
            own = times[k, i] / (1.0 if costs else durations[i])
            total += weights[i]
            accuracy += weights[i] * confidence[k, i]
            time += weights[i] * own
        accuracy, time = accuracy / total, time / total
        if costs:
            return -costs[0] * time - costs[1] * (1 - accuracy)
        return 2 * accuracy * (1 - time) / (accuracy + 1 - time)

    for costs in (None, (0.05, 1.0), (0.0, 1.0), (1.0, 2.0)):
        found = best_threshold(confidence, times if costs else times / durations, running, weights, costs)
        tried = np.quantile(np.unique(confidence), np.linspace(0, 1, 201), method="lower")
        assert_allclose(value(found, costs), max(value(t, costs) for t in [0.0, *tried]), rtol=1e-12)


def test_checkpoints_are_where_observations_are():
    panel = Panel.from_list([np.zeros(20), ([5.0, 6.0], [0.0, 0.0])])
    found = spread(panel, np.ones(2), 4)
    elapsed = np.r_[np.arange(20.0), 0, 1]
    assert_array_equal(found, np.quantile(elapsed, [0.25, 0.5, 0.75], method="inverted_cdf"))
    assert_array_equal(found, spread(panel[[0, 0, 1, 1]], np.array([0.5, 1.5, 1.0, 1.0]), 4))
    assert len(spread(panel, np.ones(2), 100)) == 20  # each time once
    model = EarlyClassifier(SMALL, checkpoints=1).fit(*shifted(20))
    assert len(model.checkpoints_) == 0
    assert len(model.estimators_) == 1


@pytest.fixture(scope="module")
def fitted():
    return EarlyClassifier(SMALL, checkpoints=TIMES, threshold=0.9).fit(*steps())


def test_decisions_stay(fitted):
    """Asked again and again while they go on, series are decided as they are in the end."""
    test, _ = steps(12, seed=2)
    labels, times = fitted.predict(test), fitted.decision_times(test)
    decided = np.zeros(12, bool)
    for now in np.linspace(0, 10, 21):
        found = fitted.decide(test.until(now), np.full(12, now))
        assert_array_equal(found.sure, times <= now)
        assert_array_equal(found.labels[found.sure], labels[found.sure])
        assert_array_equal(found.times[found.sure], times[found.sure])
        assert np.isnan(found.times[~found.sure]).all()
        assert (found.sure | ~decided).all()
        decided = found.sure
    assert decided.all()


def test_time_that_passes_without_observations(fitted):
    panel, _ = steps(2, seed=3)
    begun = panel.until(3.9)
    assert not fitted.decide(begun).sure.any()
    assert not fitted.decide(begun, 3.95).sure.any()
    assert fitted.decide(begun, 4.0).times.tolist() == [4.0, 4.0]
    assert fitted.decide(begun, [3.95, 4.0]).sure.tolist() == [False, True]
    assert fitted.decide([[0.0]]).sure.tolist() == [False]
    assert fitted.decide([[0.0]], 100).sure.all()
    named = begun.replace(ids=["Ada", "Ben"])
    with pytest.raises(ValueError, match=r"'Ben'.*2\.0 is said to have elapsed"):
        fitted.decide(named, [6.0, 2.0])
    with pytest.raises(ValueError, match="one time, or 2"):
        fitted.decide(named, [6.0, 6.0, 6.0])


def test_ragged_series_are_decided_by_their_end():
    panel, y = irregular(40, seed=0), np.arange(40) % 2
    model = EarlyClassifier(SMALL, checkpoints=6).fit(panel, y)
    times = model.decision_times(panel)
    assert (times <= panel.durations + 1e-12).all()
    ended = np.isin(times, model.checkpoints_, invert=True)
    assert_allclose(times[ended], panel.durations[ended])
    nothing = Panel.concat([panel, Panel.from_list([np.full((3, 2), np.nan)])])
    assert model.decision_times(nothing)[-1] <= 2
    assert len(model.predict(nothing)) == 41
    long = Panel.from_list([(np.linspace(0, 99, 300), np.random.default_rng(0).normal(size=(300, 2)))])
    model.threshold_ = 1.0
    assert model.decision_times(long)[0] == model.end_
    assert_array_equal(model.predict_proba(long), model.predict_proba(long.until(model.end_)))


def test_classes_that_a_fold_does_not_know():
    panel, y = shifted(20)
    part = make_pipeline(HiPPOTransformer(order=2), LogisticRegression()).fit(panel, y)
    found = logarithms(part, panel, np.array(["0", "00", "1"]))
    assert_allclose(np.exp(found[:, [0, 2]]), part.predict_proba(panel), rtol=1e-9)
    assert (found[:, 1] == -14).all()
    ridge = make_pipeline(HiPPOTransformer(order=2), RidgeClassifier()).fit(panel, y)
    found = logarithms(ridge, panel, np.array(["0", "1"]))
    assert_allclose(found[:, 1] - found[:, 0], ridge.decision_function(panel))
    assert_allclose(np.exp(found).sum(axis=1), 1)


def test_probabilities_are_of_folds_left_out():
    panel, y = shifted(30)
    rng = np.random.default_rng(0)
    y = rng.permutation(y)  # to be learned by heart, if anything
    overconfident = make_pipeline(HiPPOTransformer(order=20), LogisticRegression(C=1e6, max_iter=10000))
    model = EarlyClassifier(overconfident, checkpoints=2, cv=StratifiedKFold(3)).fit(panel, y)
    assert (model.temperatures_ < 0.2).all()
    assert model.predict_proba(panel).max(axis=1).mean() < 0.9
    own = EarlyClassifier(SMALL, checkpoints=2).fit(panel, y)
    folds = EarlyClassifier(SMALL, checkpoints=2, cv=3).fit(panel, y)
    assert_array_equal(own.estimators_[-1].coef_, folds.estimators_[-1].coef_)


def test_weights_and_more_parameters():
    panel, y = shifted(20)
    weights = np.r_[np.zeros(2), np.ones(16), 2, 2]
    model = EarlyClassifier(SMALL, checkpoints=2).fit(panel, y, weights)
    assert np.isnan(model.decision_times_[:2]).all()
    assert np.isfinite(model.decision_times_[2:]).all()
    twice = EarlyClassifier(SMALL, checkpoints=2).fit(panel[[*range(2, 20), 18, 19]], np.r_[y[2:], y[18:]])
    assert_array_equal(model.decision_times(panel), twice.decision_times(panel))
    assert_allclose(model.threshold_, twice.threshold_, rtol=1e-5)
    assert_allclose(model.predict_proba(panel), twice.predict_proba(panel), rtol=1e-4)
    with pytest.raises(ValueError, match="Pipeline takes no sample_weight"):
        EarlyClassifier(PIPELINE, checkpoints=2).fit(panel, y, weights)
    model = EarlyClassifier(PIPELINE, checkpoints=2).fit(panel, y, logisticregression__sample_weight=weights)
    expected = clone(PIPELINE).fit(panel, y, logisticregression__sample_weight=weights)
    assert_allclose(model.estimators_[-1][-1].coef_, expected[-1].coef_)


def test_like_any_estimator():
    panel, y = shifted(24)
    model = EarlyClassifier(SMALL, checkpoints=3, n_jobs=2).fit(panel, y)
    again = pickle.loads(pickle.dumps(model))
    one = clone(model).set_params(n_jobs=None, estimator__n_features=20).fit(panel, y)
    before = vars(model).copy()
    for other in (again, one):
        assert_array_equal(other.predict_proba(panel), model.predict_proba(panel))
    assert vars(model) == before
    assert not hasattr(model.estimator, "classes_")
    assert cross_val_score(EarlyClassifier(SMALL, checkpoints=2), panel, y, cv=2).mean() > 0.8
    table = np.where(np.arange(20)[:, None] % 2, 1.0, -1.0) * np.arange(6)
    early = EarlyClassifier(SMALL, checkpoints=3).fit(table, np.arange(20) % 2)
    assert early.n_features_in_ == 6
    assert early.decide([table[1, :4]]).labels.tolist() == [1]
    dated = Panel(panel.values, np.datetime64("2026-01-01") + (1e6 * panel.times).astype("m8[us]"), panel.offsets)
    by_dates = EarlyClassifier(SMALL, checkpoints=np.array([2, 5], "m8[s]")).fit(dated, y)
    assert_array_equal(by_dates.checkpoints_, [2.0, 5.0])


def test_errors():
    panel, y = shifted(20)
    wrong = {
        "either given or found": {"threshold": 0.5, "cost_of_waiting": 1.0},
        "each of them later": {"checkpoints": [2.0, 1.0]},
        "times after the first": {"checkpoints": [-1.0]},
        "threshold": {"threshold": 1.5},
    }
    for message, how in wrong.items():
        with pytest.raises(ValueError, match=message):
            EarlyClassifier(SMALL, **how).fit(panel, y)
    with pytest.raises(ValueError, match="only one class"):
        EarlyClassifier(SMALL).fit(panel, ["a"] * 20)
    with pytest.raises(ValueError, match=r"[Ss]ample weights"):
        EarlyClassifier(SMALL).fit(panel, y, np.zeros(20))
    with pytest.raises(ValueError, match="leaves out no series"):
        EarlyClassifier(SMALL, cv=[(np.arange(20), np.arange(0))]).fit(panel, y)
    labels = y.astype(object)
    labels[3] = None
    with pytest.raises(ValueError, match="Series 3 has the label None"):
        EarlyClassifier(SMALL).fit(panel, labels)
    late = np.tile([np.nan, 1.0], (len(panel.values), 1)) * panel.values
    late[panel.offsets[1:] - 1] = 0  # the first channel is only observed in the end
    with pytest.raises(ValueError, match="Channel 0") as caught:
        EarlyClassifier(SMALL, checkpoints=[0.5]).fit(panel.replace(values=late), y)
    assert caught.value.__notes__ == ["This was said of the series as they are 0.5 after their first observation."]


def test_first_sure():
    confidence = np.array([[0.6, 0.9, 0.9], [0.8, 0.5, 0.9], [0.5, 0.5, 0.5]])
    running = np.array([[True, True, False], [True, True, False]])
    assert_array_equal(first_sure(confidence, running, 0.7), [1, 0, 2])
    assert_array_equal(first_sure(confidence, running, 0.9), [2, 2, 2])
