"""The transformer for river, by river's own checks and against scikit-learn's of whole histories."""

import pickle
import random
from contextlib import nullcontext
from copy import deepcopy
from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("river", reason='pip install "sklearn-hippo[river]"')

from river import checks, compose, linear_model, metrics, preprocessing

from sklearn_hippo import HiPPOTransformer, Panel
from sklearn_hippo.river import HiPPOFeatures

VARIANTS = list(HiPPOFeatures._unit_test_params())


@pytest.mark.filterwarnings("ignore")  # river's own
@pytest.mark.parametrize("params", VARIANTS, ids=[next(iter(params)) for params in VARIANTS])
def test_river_checks(params):
    random.seed(0)
    model = HiPPOFeatures(**params)
    assert len({check.__name__ for check in checks.yield_checks(model)} - model._unit_test_skips()) > 20
    checks.check_estimator(model)


def stream(seed=0, n=120, ids="abc"):
    """Events of three ids, whose channels come one after the other, with ties of times and missing values."""
    rng = np.random.default_rng(seed)
    events, clock = [], dict.fromkeys(ids, 0.0)
    for k in range(n):
        who = str(rng.choice(list(ids)))
        clock[who] += float(rng.choice([0.0, rng.exponential()]))
        x = {"t": clock[who], "who": who}
        x |= {name: float(rng.normal()) for c, name in enumerate("uvw") if k > 25 * c and rng.uniform() < 0.6}
        if rng.uniform() < 0.2:
            x["u"] = [None, np.nan][k % 2]
        events.append(x)
    return events


def history(events, who, names="uvw"):
    mine = [x for x in events if x["who"] == who]
    cells = [[np.nan if x.get(name) is None else x[name] for name in names] for x in mine]
    return Panel(np.array(cells, float), [x["t"] for x in mine], channel_names=list(names))


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize(("measure", "timescale"), [("legs", None), ("legs_lti", 4.0), ("lagt", 4.0), ("legt", 4.0)])
def test_features_are_those_of_the_history(measure, timescale, interpolation):
    events = stream()
    params = {"timescale": timescale, "interpolation": interpolation, "add_duration": True}
    features = HiPPOFeatures(measure, 7, time="t", id="who", **params)
    for k, x in enumerate(events):
        before = features.transform_one(x)
        features.learn_one(x)
        after = features.transform_one(x)
        assert before.keys() == after.keys()
        assert_allclose(list(before.values()), list(after.values()), rtol=1e-9, atol=1e-9)
        if k not in (0, 20, 60, 119):
            continue
        panel = history(events[: k + 1], x["who"])
        if measure == "legt":  # what a memory has of it are the dynamics
            method = {"method": "recurrence", "discretization": {"linear": "linear", "hold": "zoh"}[interpolation]}
            del params["interpolation"]
        else:
            method = {}
        # that no channel was seen is an error of fit, so all of it is fitted
        transformer = HiPPOTransformer(measure, 7, **params, **method).fit(history(events, x["who"]))
        params["interpolation"] = interpolation
        row = transformer.transform(panel)[0]
        expected = dict(zip(transformer.get_feature_names_out(), row, strict=True))
        expected = {name: value for name, value in expected.items() if not np.isnan(value)}
        assert after.keys() == expected.keys()
        assert_allclose([after[name] for name in expected], list(expected.values()), rtol=1e-9, atol=1e-9)


def test_what_is_only_looked_at_is_not_remembered():
    events = stream(5, 40)
    features = HiPPOFeatures(order=4, time="t", id="who")
    for x in events:
        features.learn_one(x)
    before = pickle.dumps(features)
    for who in ("a", "new"):
        later = {"t": 1000.0, "who": who, "u": 5.0, "another": 1.0}
        made = features.transform_one(later)
        assert made["another__legs_c0"] == pytest.approx(1.0, abs=1e-12)
        assert features.transform_one(later) == made
        assert pickle.dumps(features) == before


def test_without_a_clock():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(70, 2))
    features = HiPPOFeatures(order=5)
    assert features.transform_one({"a": 1.0, "b": 2.0}) == {}
    for a, b in values:
        features.learn_one({"b": b, "a": a})
    expected = HiPPOTransformer(order=5).fit_transform([values])[0]
    made = features.transform_one({})
    assert_allclose([made[f"{c}__legs_c{n}"] for c in "ab" for n in range(5)], expected, rtol=1e-9, atol=1e-9)
    assert features.transform_one({"a": 7.0}) == made


def test_times_are_of_every_kind():
    begin = datetime(2026, 1, 1)
    numbers = HiPPOFeatures("lagt", 3, time="t", timescale=60.0)
    dates = HiPPOFeatures("lagt", 3, time="t", timescale=timedelta(minutes=1))
    for k, second in enumerate([0, 5, 60, 61, 200]):
        numbers.learn_one({"t": second, "x": k})
        dates.learn_one({"t": begin + timedelta(seconds=second), "x": np.float32(k)})
    one, other = numbers.transform_one({"t": 250}), dates.transform_one({"t": np.datetime64(begin, "s") + 250})
    # float64 tells seconds since 1970 to 2.4e-7, which is 4e-9 of the timescale, times slopes of at most 1 a second
    assert_allclose(list(other.values()), list(one.values()), atol=1e-6)
    with pytest.raises(ValueError, match="The time 't' of an event is of another kind"):
        dates.learn_one({"t": 300.0, "x": 1.0})


def test_only_named_channels():
    features = HiPPOFeatures(order=2, time="t", channels=("a",))
    features.learn_one({"t": 0.0, "a": True, "colour": "red"})
    assert features.transform_one({"t": 1.0, "a": 3, "colour": "blue"}).keys() == {"a__legs_c0", "a__legs_c1"}
    numbered = HiPPOFeatures(order=1)
    numbered.learn_one({0: 1.0, 1: 2.0})
    assert numbered.transform_one({}) == {"0__legs_c0": 1.0, "1__legs_c0": 2.0}


def test_an_id_without_values_has_begun():
    features = HiPPOFeatures(order=2, time="t", id="who", add_duration=True)
    features.learn_one({"t": 0.0, "who": 1})
    assert features.transform_one({"t": 1.0, "who": 1}) == {"duration": 0.0}
    made = features.transform_one({"t": 2.0, "who": 1, "x": 3.0})
    assert made == pytest.approx({"x__legs_c0": 3.0, "x__legs_c1": 0.0, "duration": 2.0}, abs=1e-12)
    assert features.transform_one({"t": 2.0, "who": 2, "x": 3.0})["duration"] == 0.0


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ({"who": "a", "x": 1.0}, ValueError, "The time 't' of an event of who 'a' is missing"),
        ({"t": None, "who": "a", "x": 1.0}, ValueError, "is missing"),
        ({"t": np.nan, "who": "a"}, ValueError, "must be one finite time, not nan"),
        ({"t": [1.0], "who": "a"}, ValueError, r"must be one finite time, not \[1.0\]"),
        ({"t": "noon", "who": "a"}, TypeError, "the time 't' of an event of who 'a' must be numbers"),
        ({"t": 4.0, "who": "a", "x": 1.0}, ValueError, "of who 'a', 4.0, is before that of the last one, 5.0"),
        ({"t": 6.0, "x": 1.0}, ValueError, "An event has no id 'who'"),
        ({"t": 6.0, "who": np.nan}, ValueError, "An event has no id 'who'"),
        ({"t": 6.0, "who": ["a"]}, TypeError, r"is no id: \['a'\]"),
        ({"t": 6.0, "who": "a", "x": "1"}, TypeError, "Channel 'x' of an event of who 'a' is no number, but '1'"),
        ({"t": 6.0, "who": "a", "x": -np.inf}, ValueError, "Channel 'x' of an event of who 'a' is infinite"),
    ],
)
@pytest.mark.parametrize("method", ["learn_one", "transform_one"])
def test_errors(method, x, error, message):
    features = HiPPOFeatures(order=2, time="t", id="who")
    features.learn_one({"t": 5.0, "who": "a", "x": 2.0})
    before = pickle.dumps(features)
    with pytest.raises(error, match=f"(?i){message}"):
        getattr(features, method)(x)
    assert pickle.dumps(features) == before


def test_bad_parameters():
    for params, message in (({"order": 0}, "'order'"), ({"measure": "lagt"}, "timescale"), ({"past": 1}, "'past'")):
        features = HiPPOFeatures(**params)
        for _ in range(2):
            with pytest.raises(ValueError, match=message):
                features.learn_one({"x": 1.0})


def test_copies_go_on_by_themselves():
    events = stream(2)
    features = HiPPOFeatures(order=4, time="t", id="who")
    for x in events[:70]:
        features.learn_one(x)
    stored, copied, cloned = pickle.loads(pickle.dumps(features)), deepcopy(features), features.clone()
    last = events[70]
    at_hand = features.transform_one(last)
    for x in events[70:]:
        features.learn_one(x)
    assert stored.transform_one(last) == copied.transform_one(last) == at_hand
    assert len(cloned.transform_one(last)) == 4 * sum(name in last for name in "uvw" if last.get(name) is not None)
    for x in events[70:]:
        stored.learn_one(x)
    assert stored.transform_one(events[-1]) == features.transform_one(events[-1])


def test_a_pipeline_predicts_from_what_it_learns_from():
    class Seen(linear_model.LogisticRegression):
        def learn_one(self, x, y):
            seen["learned"] = x
            super().learn_one(x, y)

        def predict_one(self, x):
            seen["predicted"] = x
            return super().predict_one(x)

    seen = {}
    model = HiPPOFeatures(order=3, time="t", id="who") | Seen()
    for x in stream(3, 100):
        model.predict_one(x)
        model.learn_one(x, True)
        assert seen["learned"].keys() == seen["predicted"].keys()
        assert_allclose(list(seen["learned"].values()), list(seen["predicted"].values()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("during", [False, True])
def test_pipelines_with_learners(during):
    """Whether a series rises is not to be seen in any one value of it."""
    rng = np.random.default_rng(4)
    features = HiPPOFeatures("lagt", 3, timescale=5.0, time="t", id="who")
    model = (features + compose.Select("level")) | preprocessing.StandardScaler() | linear_model.LogisticRegression()
    early, score = metrics.Accuracy(), metrics.Accuracy()
    level = rng.normal(0, 100, 20)
    with compose.learn_during_predict() if during else nullcontext():
        for k in range(600):
            who = int(rng.integers(20))
            level[who] += who % 2 * 2 - 1
            x, y = {"t": float(k), "who": who, "level": float(level[who])}, bool(who % 2)
            (score if k > 400 else early).update(y, model.predict_one(x))
            model.learn_one(x, y)
    assert score.get() > 0.9


def test_names_of_channels():
    features = HiPPOFeatures(order=2, channels="xy")
    features.learn_one({"xy": 1.0, "z": 5.0})
    assert set(features.transform_one({"xy": 1.0})) == {"xy__legs_c0", "xy__legs_c1"}
    features = HiPPOFeatures(order=2)
    features.learn_one({3: 1.0})
    with pytest.raises(ValueError, match="Channels 3 and '3' of an event would have features of one name"):
        features.learn_one({"3": 1.0})
