import functools
import itertools
import os
import pickle
import subprocess
import sys
import threading
from datetime import timedelta

import joblib
import numpy as np
import oracles
import pytest
import sklearn
from extras import optional
from makers import MEASURES, irregular, objects
from makers import shifted as classes
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_hippo import HiPPOTransformer, Panel
from sklearn_hippo.datasets import drop_observations, scale_time

pd, pl = optional("pandas"), optional("polars")


def every_transformer():
    for measure, interpolation in itertools.product(MEASURES, ["linear", "hold"]):
        yield HiPPOTransformer(measure, 4, interpolation=interpolation)
        if MEASURES[measure].dynamics is not None:
            for discretization in ("zoh", "linear", "bilinear", "backward"):
                yield HiPPOTransformer(
                    measure, 3, interpolation=interpolation, method="recurrence", discretization=discretization
                )
    yield HiPPOTransformer()
    yield HiPPOTransformer("legt", 5, timescale=2.0, interpolation="hold", add_duration=True, n_jobs=2)


@parametrize_with_checks(list(every_transformer()))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# Those that parametrize_with_checks leaves out.
EXTRA_CHECKS = [
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_dataframe_column_names_consistency",
]


# They transform an array after fitting a DataFrame, and the reverse.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("name", EXTRA_CHECKS)
def test_scikit_learn_extra_checks(name):
    getattr(estimator_checks, name)("HiPPOTransformer", HiPPOTransformer())


# --- what it computes ----------------------------------------------------------------------------------


PASTS = ["zero", "constant"]


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
def test_features_are_the_coefficients_channel_by_channel(measure, interpolation, past):
    panel = irregular()
    transformer = HiPPOTransformer(measure, 6, timescale=None, interpolation=interpolation, past=past).fit(panel)
    features = transformer.transform(panel)
    assert features.shape == (12, 12)
    for i in (0, 5):
        times, values = panel[i]
        for c in range(2):
            expected = oracles.project(measure, 6, times, values[:, c], transformer.timescale_, interpolation, past)
            assert_allclose(features[i, 6 * c : 6 * c + 6], expected, atol=1e-12)


@pytest.mark.parametrize("hour", [timedelta(hours=1), np.timedelta64(1, "h"), np.timedelta64(3600 * 10**9, "ns")])
def test_a_timescale_with_a_unit(hour):
    X = [(np.array(["2024-05-01T10:00", "2024-05-01T10:30"], "M8[m]"), [1.0, 2.0])]
    transformer = clone(HiPPOTransformer("lagt", 3, timescale=hour)).fit(X)
    assert (transformer.timescale, type(transformer.timescale)) == (hour, type(hour))
    assert transformer.timescale_ == 3600
    expected = HiPPOTransformer("lagt", 3, timescale=3600.0).fit_transform(X)
    assert_array_equal(transformer.transform(X), expected)
    with pytest.raises(ValueError, match="must be positive"):
        HiPPOTransformer("lagt", timescale=-hour).fit(X)
    with pytest.raises(ValueError, match="no fixed length"):
        HiPPOTransformer("lagt", timescale=np.timedelta64(1, "M")).fit(X)


@pytest.mark.parametrize("measure", [m for m in MEASURES if MEASURES[m].has_timescale])
def test_the_timescale_is_the_median_duration(measure):
    panel = irregular()
    assert HiPPOTransformer(measure).fit(panel).timescale_ == np.median(panel.durations)
    assert HiPPOTransformer(measure, timescale=3).fit(panel).timescale_ == 3
    assert HiPPOTransformer("legs", timescale=3).fit(panel).timescale_ is None
    with pytest.raises(ValueError, match="Set timescale"):
        HiPPOTransformer(measure).fit([[1.0], [2.0], [3.0, 4.0]])


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
def test_add_duration(interpolation):
    panel = irregular()
    transformer = HiPPOTransformer(order=2, add_duration=True, interpolation=interpolation).fit(panel)
    features = transformer.transform(panel)
    first = [t[1] - t[0] if interpolation == "hold" else 0 for t, _ in panel]
    assert_allclose(features[:, -1], panel.durations + first)
    assert transformer.get_feature_names_out()[-1] == "duration"
    assert_allclose(transformer.transform(scale_time(panel, 3.0))[:, -1], 3 * features[:, -1])
    assert transformer.transform(Panel(panel.values.astype(np.float32), panel.times, panel.offsets)).dtype == np.float32


def test_2d_rows_lists_and_panels_agree():
    X = np.random.default_rng(0).normal(size=(7, 30))
    transformer = HiPPOTransformer(order=5).fit(X)
    features = transformer.transform(X)
    assert transformer.n_features_in_ == 30
    for form in (list(X), X[:, :, None], Panel(X.reshape(-1, 1), None, 30 * np.arange(8)), pd.Series(list(X))):
        assert_array_equal(transformer.transform(form), features)
        assert_array_equal(clone(transformer).fit(form).transform(X), features)
    assert_array_equal(transformer.transform([X[0], X[1, :4]])[0], features[0])
    with pytest.raises(ValueError, match="X has 29 features, but HiPPOTransformer is expecting 30 features"):
        transformer.transform(X[:, :29])


def test_nan_and_float32():
    panel = irregular()
    whole = np.column_stack([panel.values, np.full(len(panel.values), np.nan)])
    whole[0, 2] = 1  # only a fit in which a channel is never observed is an error
    features = HiPPOTransformer(order=3).fit_transform(Panel(whole, panel.times, panel.offsets))
    assert np.isnan(features[1:, 6:]).all()
    assert not np.isnan(features[:, :6]).any()
    whole[0, 2] = np.nan
    with pytest.raises(ValueError, match="Channel 2 has no observation in any training series"):
        HiPPOTransformer(order=3).fit(Panel(whole, panel.times, panel.offsets))
    single = HiPPOTransformer(order=3).fit_transform(Panel(panel.values.astype(np.float32), panel.times, panel.offsets))
    assert single.dtype == np.float32
    assert_allclose(single, features[:, :6], atol=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
def test_inverse_transform_gives_back_what_the_order_can_hold(measure, interpolation):
    t = np.linspace(0, 4, 2001)
    panel = Panel.from_list([(t, np.column_stack([np.cos(t), t])), (2 * t + 1, np.column_stack([np.sin(t), 1 - t]))])
    transformer = HiPPOTransformer(measure, 40, timescale=2.0, interpolation=interpolation).fit(panel)
    back = transformer.inverse_transform(transformer.transform(panel), panel)
    assert_array_equal(back.times, panel.times)
    for (s, x), (_, y) in zip(back, panel, strict=True):
        recent = s > s[-1] - 1.0
        # Jumps slow the convergence: where the ends of a window meet (Fourier), and where f = 0 gives way to f(t_0).
        tolerance = {"fous": 0.2, "fout": 0.2, "lagt": 0.06, "legs_lti": 0.06}.get(measure, 0.02)
        if measure in ("fous", "fout"):
            recent &= s < s[-1] - 0.5
        assert np.abs(x - y)[recent].max() < tolerance


def test_small_numbers_come_back_beside_the_largest():
    t = np.linspace(0, 1, 50)
    transformer = HiPPOTransformer(order=12).fit([np.sin(3 * t)])
    expected = transformer.inverse_transform(transformer.transform([(t, np.sin(3 * t))]), t).values
    sizes = 2.0 ** np.array([-900, 0, 1000, -300])
    back = transformer.inverse_transform(transformer.transform([(t, size * np.sin(3 * t)) for size in sizes]), t)
    assert_allclose(back.values.reshape(4, 50) / sizes[:, None], np.tile(expected.T, (4, 1)), rtol=0, atol=1e-12)


def test_inverse_transform_times():
    panel = irregular()
    transformer = HiPPOTransformer(order=8, add_duration=True).fit(panel)
    C = transformer.transform(panel)
    default = transformer.inverse_transform(C)
    assert_array_equal(default.lengths, transformer.length_)
    assert_allclose(default.durations, panel.durations)
    grid = np.linspace(0, 1, 5)
    for same in (grid, grid.tolist(), [grid] * 12):
        assert_array_equal(transformer.inverse_transform(C, same).lengths, 5)
    own = transformer.inverse_transform(C, [t for t, _ in panel])
    assert_array_equal(own.values, transformer.inverse_transform(C, panel).values)
    assert_array_equal(transformer.inverse_transform(C, [7.0]).values, transformer.inverse_transform(C, [1.0]).values)
    with pytest.raises(ValueError, match="makes 17"):
        transformer.inverse_transform(C[:, 1:])
    with pytest.raises(ValueError, match="times are given for 2 series, X has 12"):
        transformer.inverse_transform(C, [grid, grid])
    with pytest.raises(ValueError, match="Series 0: times decrease"):
        transformer.inverse_transform(C, grid[::-1])
    pytest.importorskip("pandas")
    frame = transformer.set_output(transform="pandas").transform(panel)
    assert_array_equal(transformer.inverse_transform(frame).values, default.values)


def test_inverse_transform_takes_datetimes():
    hours = pd.date_range("2024-01-01", periods=20, freq="h")
    X = [(hours, np.sin(np.arange(20) / 3))]
    transformer = HiPPOTransformer("lagt", 6).fit(X)
    C = transformer.transform(X)
    expected = transformer.inverse_transform(C, Panel.from_list(X))
    for times in (hours, [hours], hours.to_numpy(), list(hours)):
        assert_array_equal(transformer.inverse_transform(C, times).values, expected.values)
    with pytest.raises(ValueError, match="times must be 1-D"):
        transformer.inverse_transform(C, 5.0)
    legs = HiPPOTransformer(order=4).fit(X)
    end = legs.inverse_transform(legs.transform(X), X[0][0][-1:])  # a single time is the end of the series
    assert_allclose(end.values, legs.inverse_transform(legs.transform(X), hours).values[-1:], rtol=1e-13)


@pytest.mark.filterwarnings("error")
def test_a_past_too_far_is_nan():
    transformer = HiPPOTransformer("lagt", 256, timescale=1.0).fit([np.ones(5)])
    back = transformer.inverse_transform(np.ones((1, 256)), np.linspace(-1e5, 0, 5))
    assert np.isnan(back.values[0, 0])
    assert np.isfinite(back.values[-1, 0])


def test_default_times_of_the_other_measures():
    panel = irregular()
    for measure in MEASURES:
        for interpolation in ("linear", "hold"):
            transformer = HiPPOTransformer(measure, 4, interpolation=interpolation).fit(panel)
            back = transformer.inverse_transform(transformer.transform(panel))
            assert_allclose(back.times[transformer.length_ - 1], transformer.duration_)
            assert np.isfinite(back.values).all()


def test_order_is_bounded_by_memory():
    with pytest.raises(ValueError, match=r"order=10{12} would need .* GiB for 2 series .* Choose a smaller order"):
        HiPPOTransformer(order=10**12).fit([[1.0, 2.0], [3.0, 4.0]])
    for order in (np.uint8(200), np.int16(300)):
        assert HiPPOTransformer(order=order).fit_transform([[1.0, 2.0]]).shape == (1, order)
    with pytest.raises(ValueError, match="Choose a smaller order"):
        HiPPOTransformer(order=np.int64(2**60)).fit([[1.0, 2.0]])


def test_changed_parameters_are_noticed():
    transformer = HiPPOTransformer(order=3).fit([[1.0, 2.0]])
    transformer.set_params(measure="legt")
    for method in (transformer.transform, transformer.inverse_transform, transformer.get_feature_names_out):
        with pytest.raises(ValueError, match="'measure' has changed since fit"):
            method([[1.0, 2.0]])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"order": 0}, "'order' parameter of HiPPOTransformer must be an int in the range .1, inf."),
        ({"order": 2.5}, "'order' parameter"),
        ({"measure": "legendre"}, "'measure' parameter .* must be a str among"),
        ({"measure": "legt", "timescale": 0}, "'timescale' parameter"),
        ({"measure": "legt", "timescale": -1.0}, "'timescale' parameter"),
        ({"interpolation": "cubic"}, "'interpolation' parameter"),
        ({"n_jobs": "two"}, "'n_jobs' parameter"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"method": "scan"}, "'method' parameter"),
        ({"discretization": "euler"}, "'discretization' parameter"),
        ({"method": "recurrence", "measure": "chebt", "timescale": 1.0}, "no usable recurrence"),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(ValueError, match=message):
        HiPPOTransformer(**parameters).fit([[1.0, 2.0]])


def test_channels_must_be_those_of_fit():
    transformer = HiPPOTransformer(order=2).fit(irregular(n_channels=2))
    with pytest.raises(ValueError, match="X has 3 channels, but HiPPOTransformer was fitted on 2"):
        transformer.transform(irregular(n_channels=3))
    named = Panel([[1.0, 2.0]], channel_names=["a", "b"])
    transformer = HiPPOTransformer(order=2).fit(named)
    with pytest.raises(ValueError, match=r"X has the channels \['b', 'a'\]"):
        transformer.transform(Panel([[1.0, 2.0]], channel_names=["b", "a"]))
    assert list(transformer.get_feature_names_out()) == ["a__legs_c0", "a__legs_c1", "b__legs_c0", "b__legs_c1"]
    frame = pd.DataFrame({"a": [[1.0, 2.0]], "b": [[3.0, 4.0]]})
    transformer.fit(frame)
    assert list(transformer.feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match="feature names"):
        transformer.transform(frame[["b", "a"]])


def test_errors_of_fit_and_transform_name_the_place():
    transformer = HiPPOTransformer(order=2).fit([[1.0, 2.0]])
    for method in (transformer.fit, transformer.transform):
        with pytest.raises(ValueError, match="Series 1: times decrease at position 1"):
            method([([0.0, 1.0], [1.0, 2.0]), ([1.0, 0.0], [1.0, 2.0])])
        with pytest.raises(ValueError, match="Series 1: the time at position 0 is nan"):
            method([[1.0], ([np.nan], [1.0])])
        with pytest.raises(ValueError, match="empty"):
            method([])
        with pytest.raises(TypeError, match=r"Panel\.from_long"):
            method(pd.DataFrame({"x": [1.0]}, pd.MultiIndex.from_tuples([(0, 0)])))
        with pytest.raises((ValueError, TypeError), match=r"Panel\.from_long"):
            method(pd.DataFrame({"id": ["a", "b"], "x": [1.0, 2.0]}))
        with pytest.raises(ValueError, match="0 sample"):
            method(irregular()[:0])


# --- how it lives in scikit-learn ----------------------------------------------------------------------


def test_clone_pickle_and_repr():
    panel = irregular()
    transformer = HiPPOTransformer("legt", 5).fit(panel)
    copy = pickle.loads(pickle.dumps(transformer))
    assert_array_equal(copy.transform(panel), transformer.transform(panel))
    assert len(pickle.dumps(transformer)) < 1000  # no training data
    assert clone(transformer).get_params() == transformer.get_params()
    assert repr(transformer) == "HiPPOTransformer(measure='legt', order=5)"
    html = transformer._repr_html_()
    assert len(html) < 60_000
    assert "sklearn-hippo.readthedocs.io/api.html#sklearn_hippo.HiPPOTransformer" in html


def test_read_only_memmap_and_fortran(tmp_path):
    X = np.random.default_rng(0).normal(size=(6, 40, 3))
    expected = HiPPOTransformer(order=4).fit_transform(X)
    joblib.dump(X, tmp_path / "X")
    mapped = joblib.load(tmp_path / "X", mmap_mode="r")
    for form in (mapped, np.asfortranarray(X), X[::1], list(mapped)):
        assert_array_equal(HiPPOTransformer(order=4).fit_transform(form), expected)


def test_threads_agree():
    panel = irregular(200, 3)
    one = HiPPOTransformer("chebs", 9).fit(panel)
    expected = one.transform(panel)
    for n_jobs in (1, 2, -1):
        assert_array_equal(clone(one).set_params(n_jobs=n_jobs).fit(panel).transform(panel), expected)
    results = [None] * 4

    def work(i):
        results[i] = one.transform(panel)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in results:
        assert_array_equal(result, expected)


def test_set_output():
    pytest.importorskip("pandas")
    panel = irregular()
    transformer = HiPPOTransformer(order=2).fit(panel)
    frame = transformer.set_output(transform="pandas").transform(panel)
    assert list(frame.columns) == list(transformer.get_feature_names_out())
    assert isinstance(transformer.set_output(transform="polars").transform(panel), pl.DataFrame)
    cells = pd.DataFrame({"ecg": [np.ones(3), np.zeros(5)]}, index=["p", "q"])
    frame = clone(transformer).set_output(transform="pandas").fit_transform(cells)
    assert list(frame.index) == ["p", "q"]
    assert list(frame.columns) == ["ecg__legs_c0", "ecg__legs_c1"]


def test_callbacks():
    sklearn_callback = pytest.importorskip("sklearn.callback", reason="scikit-learn >= 1.9")
    pytest.importorskip("rich")  # for its progress bar
    panel, y = classes()
    pipeline = make_pipeline(HiPPOTransformer(order=2), StandardScaler(), LogisticRegression())
    pipeline.set_callbacks(sklearn_callback.ProgressBar()).fit(panel, y)
    transformer = HiPPOTransformer(order=2).set_callbacks(sklearn_callback.ProgressBar()).fit(panel)
    assert transformer.transform(panel).shape == (60, 4)


def columns(panel):
    """Cells of series, channel by channel."""
    return {name: [x[:, c].tolist() for _, x in panel] for c, name in enumerate("ab")}


FORMS = {
    "panel": lambda panel: panel,
    "timeless": lambda panel: panel,
    "list": lambda panel: panel.to_list(),
    "arrays": lambda panel: [x for _, x in panel],
    "object array": lambda panel: objects(panel.to_list()),
    "frames": lambda panel: [pd.DataFrame(x, t) for t, x in panel],
    "pandas Series": lambda panel: pd.Series(panel.to_list()),
    "nested pandas": lambda panel: pd.DataFrame(columns(panel)),
    "polars": lambda panel: pl.DataFrame(columns(panel)),
    "padded": lambda panel: panel.to_padded(),
}
TOOLS = {
    "cross_val_score": lambda p, X, y: cross_val_score(p, X, y, cv=3, n_jobs=2),
    "cross_val_predict": lambda p, X, y: cross_val_predict(p, X, y, cv=3),
    "grid": lambda p, X, y: GridSearchCV(p, {"hippotransformer__order": [1, 2]}, cv=2).fit(X, y).predict(X),
    "calibrated": lambda p, X, y: CalibratedClassifierCV(p, cv=2).fit(X, y).predict_proba(X),
    "stacking": lambda p, X, y: StackingClassifier([("a", p), ("b", clone(p))], cv=2).fit(X, y).predict(X),
    "voting": lambda p, X, y: VotingClassifier([("a", p), ("b", clone(p))], voting="soft").fit(X, y).predict(X),
    "one vs rest": lambda p, X, y: OneVsRestClassifier(p).fit(X, y).predict(X),
    "learning curve": lambda p, X, y: learning_curve(p, X, y, cv=2, train_sizes=[0.5, 1.0]),
    "split": lambda p, X, y: p.fit(*train_test_split(X, y, stratify=y, random_state=0)[::2]).predict(X),
}


TIMELESS = ("timeless", "arrays", "nested pandas", "polars", "padded")


@functools.cache
def answer_of(tool, form, order=2):
    """What a tool makes of a form of X; its numbers one after the other."""
    panel, y = classes()
    X = FORMS[form](Panel(panel.values, None, panel.offsets) if form in TIMELESS else panel)
    answer = TOOLS[tool](make_pipeline(HiPPOTransformer(order=order), StandardScaler(), LogisticRegression()), X, y)
    return np.concatenate([np.ravel(part) for part in (answer if isinstance(answer, tuple) else (answer,))])


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("form", FORMS)
def test_every_container_in_every_tool(form, tool):
    answer, expected = answer_of(tool, form), answer_of(tool, "timeless" if form in TIMELESS else "panel")
    assert answer.size
    if answer.dtype.kind == "f":
        assert_allclose(answer, expected, rtol=0, atol=1e-12)
    else:
        assert_array_equal(answer, expected)
        assert np.mean(answer == classes()[1][-len(answer) :]) > 0.9 or tool == "split"


@pytest.mark.filterwarnings("ignore:The total space of parameters:UserWarning")
def test_searches_over_measures():
    panel, y = classes()
    pipeline = Pipeline([("hippo", HiPPOTransformer()), ("scale", StandardScaler()), ("clf", RidgeClassifier())])
    grid = {"hippo__measure": ["legs", "lagt", "fout"], "hippo__order": [1, 3]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(panel, y)
    assert search.best_score_ == 1
    assert search.score(drop_observations(panel, 0.5, 0), y) == 1
    assert search.n_features_in_ == 2
    HalvingGridSearchCV(pipeline, grid, cv=2, min_resources=20, random_state=0).fit(panel, y).predict(panel)


def test_pipeline_memory(tmp_path):
    panel, y = classes()
    pipeline = Pipeline([("hippo", HiPPOTransformer(order=3)), ("clf", RidgeClassifier())], memory=str(tmp_path))
    first = pipeline.fit(panel, y).predict(panel)
    assert_array_equal(clone(pipeline).fit(panel, y).predict(panel), first)


def test_unions_and_columns():
    panel, y = classes()
    union = FeatureUnion(
        [
            ("legs", HiPPOTransformer("legs", 3)),
            ("recent", HiPPOTransformer("lagt", 2, timescale=1.0)),
            ("length", FunctionTransformer(lambda X: X.lengths[:, None])),
        ]
    )
    assert union.fit_transform(panel).shape == (60, 2 * 3 + 2 * 2 + 1)
    frame = pd.DataFrame({"ecg": [x[:, 0] for _, x in panel], "age": np.arange(60.0), "sex": [0.0, 1.0] * 30})
    for column in ("ecg", ["ecg"]):
        both = ColumnTransformer(
            [("series", HiPPOTransformer(order=3), column), ("static", StandardScaler(), ["age", "sex"])]
        )
        model = make_pipeline(both, LogisticRegression())
        assert cross_val_score(model, frame, y, cv=3).mean() > 0.9
        names = model.fit(frame, y)[0].get_feature_names_out()
        assert list(names[:4]) == [
            "series__ecg__legs_c0",
            "series__ecg__legs_c1",
            "series__ecg__legs_c2",
            "static__age",
        ]
    both = ColumnTransformer([("series", HiPPOTransformer(order=3), ["ecg"]), ("static", "passthrough", ["age"])])
    assert both.fit_transform(
        pl.DataFrame({"ecg": [x[:, 0].tolist() for _, x in panel], "age": np.arange(60)})
    ).shape == (60, 4)


def test_with_metadata_routing_and_n_jobs_context():
    panel, y = classes()
    with sklearn.config_context(enable_metadata_routing=True):
        cross_val_score(make_pipeline(HiPPOTransformer(order=2), RidgeClassifier()), panel, y, cv=2, params={})
    with joblib.parallel_config(backend="threading", n_jobs=2):
        HiPPOTransformer(order=2).fit_transform(panel)


def test_tools_that_need_an_array_say_so_and_work_behind_the_transformer():
    panel = classes()[0]
    with pytest.raises(TypeError, match=r"belong after HiPPOTransformer\(\)"):
        make_pipeline(PCA(2)).fit(panel)
    assert make_pipeline(HiPPOTransformer(order=3), PCA(2)).fit_transform(panel).shape == (60, 2)


FORK = """
import os, signal, sys, warnings
import numpy as np
from sklearn_hippo import HiPPOMemory, HiPPOTransformer
warnings.filterwarnings("ignore")  # newer Pythons warn of forks beside threads
X = [np.sin(np.arange(200.0 + k)) for k in range(64)]
transformers = [HiPPOTransformer(order=5, n_jobs=2).fit(X),
                HiPPOTransformer(order=5, n_jobs=2, method="recurrence", discretization="bilinear").fit(X)]

def work():
    memory = HiPPOMemory(order=5, n_streams=64).update(np.stack([x[:200] for x in X])).coefficients_
    return [one.transform(X) for one in transformers] + [memory]

before = work()
child = os.fork()
if child == 0:
    signal.alarm(40)  # the end of what waits for ever
    threads = {one._n_threads for one in transformers}
    same = all((a == b).all() for a, b in zip(work(), before))
    os._exit(0 if same and threads == {1} else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_process_goes_on_with_one_thread():
    # With more, it waits for threads that only its parent has.
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", FORK], timeout=60, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- online --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("add_duration", [False, True])
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("measure", ["legs", "fous", "legt", "lagt"])
def test_transform_online_is_the_transform_of_every_beginning(measure, interpolation, add_duration, past):
    panel = irregular(4)
    kwargs = {"interpolation": interpolation, "past": past, "add_duration": add_duration}
    transformer = HiPPOTransformer(measure, 5, **kwargs).fit(panel)
    online = transformer.transform_online(panel)
    assert_array_equal(online.lengths, panel.lengths)
    assert_array_equal(online.times, panel.times)
    assert online.channel_names == tuple(transformer.get_feature_names_out())
    for (_, states), (times, values) in zip(online, panel, strict=True):
        for k in (1, 4, len(times)):
            seen = [(times[:k], values[:k])]
            if not np.isnan(values[:k]).all():
                assert_allclose(states[k - 1], transformer.transform(seen)[0], rtol=1e-12, atol=1e-12)
    thinned = transformer.transform_online(panel, every=3)
    assert_array_equal(thinned[0][1], online[0][1][::-1][::3][::-1])
    regular = Panel(panel.values, None, panel.offsets)
    assert_array_equal(transformer.transform_online(regular)[1][0], np.arange(panel.lengths[1]))


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("measure", ["legs", "legs_lti", "lagt"])
@pytest.mark.parametrize(("discretization", "interpolation"), [("zoh", "hold"), ("linear", "linear")])
def test_exact_recurrences_end_in_the_projection(measure, discretization, interpolation, past):
    panel = irregular()
    arguments = {"measure": measure, "order": 6, "interpolation": interpolation, "past": past}
    expected = HiPPOTransformer(**arguments).fit_transform(panel)
    transformer = HiPPOTransformer(**arguments, method="recurrence", discretization=discretization).fit(panel)
    assert_allclose(transformer.transform(panel), expected, rtol=1e-12, atol=1e-12)
    assert_allclose(transformer.transform_online(panel)[2][1][-1], expected[2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("method", ["projection", "zoh", "linear", "bilinear", "backward"])
@pytest.mark.parametrize("measure", ["legt", "lagt", "legs_lti", "fout"])
def test_a_short_record_is_the_limit_of_a_shorter_one(measure, method, past):
    kwargs = {} if method == "projection" else {"method": "recurrence", "discretization": method}
    transformer = HiPPOTransformer(measure, 3, timescale=3600.0, past=past, **kwargs)
    X = [([7.0], [5.0]), ([7.0, 7.0 + 1e-6], [5.0, 6.0]), ([7.0, 8.0], [5.0, 6.0]), ([7.0, 7.0], [5.0, 6.0])]
    features = transformer.fit_transform(X)
    assert_array_equal(features[0], [5 if past == "constant" else 0, 0, 0])
    assert_array_equal(features[3], features[0])
    # B h max|f| of the new values at most, with two cells for held ones; B <= 4 up to order 3
    assert np.abs(features[1] - features[0]).max() < 4 * 2 * 6 * 1e-6 / 3600
    assert np.abs(features[2] - features[0]).max() < 4 * 2 * 6 / 3600
    online = transformer.transform_online(X)
    assert_array_equal(online.values[[0, 1, 3, 5, 6]], features[[0] * 5])
    assert_allclose(online.values[[2, 4]], features[[1, 2]], rtol=0, atol=1e-13)
    transformer.past = PASTS[past == "zero"]
    with pytest.raises(ValueError, match="'past' has changed since fit"):
        transformer.transform(X)


def test_recurrences_converge_to_the_projection():
    t = np.cumsum(np.random.default_rng(0).exponential(size=4000))
    X = [(t, np.sin(t / 300))]
    exact = HiPPOTransformer(order=8, interpolation="hold").fit_transform(X)
    for discretization, tolerance in [("bilinear", 2e-2), ("backward", 2e-1)]:
        transformer = HiPPOTransformer(order=8, method="recurrence", discretization=discretization)
        assert_allclose(transformer.fit_transform(X), exact, atol=tolerance)
    with pytest.raises(ValueError, match=r"Series 0: the step to position \d+ is .* unstable at order 8"):
        HiPPOTransformer(order=8, method="recurrence", discretization="forward").fit_transform(X)


def test_features_need_no_second_copy():
    import tracemalloc

    panel = Panel(np.zeros((40_000, 1)), None, 2 * np.arange(20_001))
    transformer = HiPPOTransformer(order=300, add_duration=True).fit(panel)
    tracemalloc.start()
    features = transformer.transform(panel)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - features.nbytes < 20 * 2**20


@pytest.mark.parametrize("discretization", ["zoh", "bilinear", "backward", "linear"])
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", ["legs", "legt"])
def test_a_recurrence_reads_series_as_its_discretization_says(measure, interpolation, discretization):
    X = [([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]), ([5.0, 5.0, 6.0, 9.0], [0.0, 2.0, 1.0, 3.0])]
    kwargs = {"interpolation": interpolation, "method": "recurrence", "discretization": discretization}
    transformer = HiPPOTransformer(measure, 4, add_duration=True, **kwargs).fit(X)
    held = discretization != "linear"
    assert transformer.duration_ == (4.5 if held else 3.5)  # of 4 and 5, or 3 and 4
    assert transformer.timescale_ == (None if measure == "legs" else transformer.duration_)
    features = transformer.transform(X)
    assert_array_equal(features[:, -1], [4, 5] if held else [3, 4])
    online = transformer.transform_online(X)
    assert_array_equal(online[1][1][:, -1], [0, 0, 2, 5] if held else [0, 0, 1, 4])
    back = transformer.inverse_transform(features)
    assert_array_equal(back.times[:4], [1, 2, 3, 4] if held else [0, 1, 2, 3])
    transformer.set_params(discretization="linear" if held else "zoh")
    with pytest.raises(ValueError, match="'discretization' has changed since fit"):
        transformer.transform(X)


def test_a_held_recurrence_is_reconstructed_in_its_own_window():
    X = [(np.arange(4.0), np.arange(4.0))]
    for interpolation in ("linear", "hold"):
        transformer = HiPPOTransformer(order=200, method="recurrence", interpolation=interpolation).fit(X)
        C = transformer.transform(X)
        # Inside of the cells of height 0, 1, 2, 3, and at the end: up to what 200 polynomials leave of a jump.
        inside = transformer.inverse_transform(C, [-0.5, 0.5, 1.5, 2.5, 3.0])
        assert_allclose(inside.values[:, 0], [0, 1, 2, 3, 3], atol=0.03)
        # At the stamps, halfway between two cells.
        assert_allclose(transformer.inverse_transform(C).values[:, 0], [0.5, 1.5, 2.5, 3], atol=0.05)


@pytest.mark.parametrize("discretization", ["zoh", "linear", "bilinear"])
@pytest.mark.parametrize("measure", ["legs", "legt", "fout", "lagt"])
def test_no_state_knows_what_comes_later(measure, discretization):
    panel = irregular(3, missing=0.4)
    transformer = HiPPOTransformer(measure, 4, method="recurrence", discretization=discretization).fit(panel)
    online = transformer.transform_online(panel)
    for (_, states), (times, values) in zip(online, panel, strict=True):
        for k in range(1, len(times) + 1):
            if not np.isnan(values[:k]).all():
                seen = Panel(values[:k], times[:k])
                assert_allclose(states[k - 1], transformer.transform(seen)[0], rtol=1e-10, atol=1e-12)


def test_a_channel_that_was_never_seen_is_nan_also_in_no_time():
    for method in ("projection", "recurrence"):
        transformer = HiPPOTransformer(order=2, method=method).fit(Panel([[1.0, 0.0]], [0.0]))
        assert_array_equal(transformer.transform(Panel([[1.0, np.nan]], [0.0])), [[1, 0, np.nan, np.nan]])
        with pytest.raises(ValueError, match="every"):
            transformer.transform_online(Panel([[1.0, 2.0]]), every=0)


# --- records without observations, and fits that fail ---------------------------------------------------


@pytest.mark.parametrize("method", ["projection", "recurrence"])
@pytest.mark.parametrize("measure", ["legs", "legt", "lagt", "fout", "legs_lti", "chebs"])
def test_a_record_without_observations_stops_nothing(measure, method):
    if method == "recurrence" and MEASURES[measure].dynamics is None:
        return
    panel = irregular(5, 2)
    records = [[], *panel.to_list(), (np.array([1.0, 2.0]), np.full((2, 2), np.nan)), None]
    seen = np.r_[False, np.ones(5, bool), False, False]
    transformer = HiPPOTransformer(measure, 3, method=method, add_duration=True).fit(records)
    alone = clone(transformer).fit(panel)
    assert transformer.timescale_ == alone.timescale_
    assert (transformer.duration_, transformer.length_) == (alone.duration_, alone.length_)
    features = transformer.transform(records)
    assert_array_equal(features[seen], alone.transform(panel))
    assert np.isnan(features[~seen, :-1]).all()
    assert_array_equal(features[~seen, -1], 0)
    assert_array_equal(transformer.transform([[], None]), features[[0, -1]])
    online = transformer.transform_online(records)
    assert_array_equal(online.lengths, [0, *panel.lengths, 2, 0])
    assert_allclose(online[3][1], alone.transform_online(panel)[2][1], rtol=1e-12, atol=1e-12)
    back = transformer.inverse_transform(features)
    assert np.isnan(back[0][1]).all()
    assert back.lengths[0] == transformer.length_
    with pytest.raises(ValueError, match="Channel 0 has no observation in any training series"):
        transformer.fit([[], None])
    imputed = make_pipeline(clone(transformer), SimpleImputer(), RidgeClassifier()).fit(records, np.arange(8) % 2)
    assert imputed.predict([[], *panel.to_list()]).shape == (6,)


def refusals(fitted_on):
    """Calls of fit that are refused late or early, by parameters to set before."""
    panel = fitted_on
    never = Panel(np.column_stack([panel.values[:, 0], np.full(len(panel.values), np.nan)]), panel.times, panel.offsets)
    yield {}, [np.ones((1, 2))], "cannot be learned"
    yield {}, never, "no observation in any training series"
    yield {}, [([1.0, 0.0], [1.0, 2.0])], "times decrease"
    yield {}, [[np.inf]], "infinite"
    yield {}, np.ones((0, 3)), "0 sample"
    yield {}, pd.DataFrame({"a": ["x"]}), "Panel.from_long"
    yield {"order": 10**12}, panel, "smaller order"
    yield {"order": 0}, panel, "'order' parameter"
    yield {"n_jobs": 0}, panel, "n_jobs"
    yield {"timescale": -1.0}, panel, "'timescale' parameter"
    yield {"measure": "chebt", "method": "recurrence"}, panel, "no usable recurrence"
    yield {"interpolation": "cubic"}, panel, "'interpolation' parameter"


def test_a_fit_that_is_refused_changes_nothing():
    panel = irregular()
    transformer = HiPPOTransformer("legt", 3).fit(panel)
    expected, before = transformer.transform(panel), dict(vars(transformer))
    for parameters, X, message in refusals(panel):
        old = {name: getattr(transformer, name) for name in parameters}
        transformer.set_params(**parameters)
        with pytest.raises((ValueError, TypeError), match=message):
            transformer.fit(X)
        transformer.set_params(**old)
        assert vars(transformer).keys() == before.keys()
        assert all(value is before[name] for name, value in vars(transformer).items())
        assert_array_equal(transformer.transform(panel), expected)
    fresh = HiPPOTransformer("legt")
    with pytest.raises(ValueError, match="cannot be learned"):
        fresh.fit([np.ones(1)])
    assert vars(fresh) == vars(HiPPOTransformer("legt"))


# --- ids -----------------------------------------------------------------------------------------------


def test_features_keep_the_ids_of_their_series():
    table = pd.DataFrame({"site": list("aab"), "bed": [2, 1, 2], "t": [0.0, 1.0, 2.0], "x": [1.0, 2.0, 3.0]})
    for id in ("bed", ["bed"], ["site", "bed"]):
        panel = Panel.from_long(table, id=id, time="t", values="x")
        transformer = HiPPOTransformer(order=2).set_output(transform="pandas")
        features = transformer.fit_transform(panel)
        assert features.index.tolist() == panel.ids.tolist()
        assert tuple(features.index.names) == panel.id_names
        assert features.columns.tolist() == ["x__legs_c0", "x__legs_c1"]
        assert_array_equal(features, HiPPOTransformer(order=2).fit_transform(panel))
        assert transformer.transform(panel[::-1]).index.tolist() == panel.ids.tolist()[::-1]
        assert transformer.transform_online(panel).ids.tolist() == panel.ids.tolist()
        for back in (transformer.inverse_transform(features), transformer.inverse_transform(features, panel)):
            assert back.ids.tolist() == panel.ids.tolist()
            assert back.id_names == panel.id_names
        assert transformer.inverse_transform(features.to_numpy()).ids is None
        bare = Panel(panel.values, panel.times, panel.offsets)
        assert transformer.fit_transform(bare).index.tolist() == list(range(len(panel)))
    polars = HiPPOTransformer(order=2).set_output(transform="polars").fit_transform(panel)
    assert polars.columns == ["x0__legs_c0", "x0__legs_c1"] or polars.columns == ["x__legs_c0", "x__legs_c1"]
    with sklearn.config_context(transform_output="pandas"):
        assert HiPPOTransformer(order=2).fit_transform(panel).index.tolist() == panel.ids.tolist()


@pytest.mark.parametrize("selection", ["vitals", ["vitals"], ["vitals", "heat"]])
def test_columns_of_cells_of_several_channels(selection):
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(n, 2)) for n in (4, 3, 5)]
    frame = pd.DataFrame(
        {"vitals": blocks, "heat": [one[:, 0] for one in blocks], "age": [40, 50, 60]}, index=[7, 8, 9]
    )
    columns = ColumnTransformer([("hippo", HiPPOTransformer(order=2), selection), ("rest", "passthrough", ["age"])])
    features = columns.set_output(transform="pandas").fit_transform(frame)
    names = [f"hippo__vitals_{c}__legs_c{n}" for c in range(2) for n in range(2)]
    names += ["hippo__heat__legs_c0", "hippo__heat__legs_c1"] if "heat" in selection else []
    assert features.columns.tolist() == [*names, "rest__age"]
    assert features.index.tolist() == [7, 8, 9]
    expected = HiPPOTransformer(order=2).fit_transform(blocks)
    assert_array_equal(features.to_numpy()[:, :4], expected)
    assert_array_equal(columns.transform(frame.iloc[[1]]).to_numpy()[:, :4], expected[[1]])


def test_columns_of_cells_in_which_there_is_nothing():
    rng = np.random.default_rng(0)
    cells = [rng.normal(size=n) for n in (4, 3, 5)]
    frame = pd.DataFrame({"a": cells, "b": cells})
    transformer = HiPPOTransformer(order=2).fit(frame)
    expected = transformer.transform(frame)
    for nothing in (None, np.nan):
        partly = transformer.transform(frame.assign(b=nothing))
        assert_array_equal(partly[:, :2], expected[:, :2])
        assert np.isnan(partly[:, 2:]).all()
        assert np.isnan(transformer.transform(frame.iloc[[1]].assign(a=nothing, b=nothing))).all()
    numbers = HiPPOTransformer(order=2).fit(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    assert np.isnan(numbers.transform(pd.DataFrame({"a": [np.nan], "b": [np.nan]}))).all()
    levels = frame.set_index(pd.MultiIndex.from_tuples([("n", 1), ("n", 2), ("s", 1)]))
    assert_array_equal(transformer.transform(levels), expected)
    with pytest.raises(TypeError, match="Column 'a' holds series, column 'b' does not"):
        transformer.transform(frame.assign(b=[1.0, np.nan, np.nan]))
    with pytest.raises(TypeError, match="X is a long table with a multi-index"):
        transformer.transform(levels.assign(a=1.0, b=2.0))


def test_coefficients_that_were_put_into_another_order():
    pd = pytest.importorskip("pandas")
    panel = Panel.from_list([[[1.0, 9.0]], [[2.0, 8.0]]], ids=["a", "b"], channel_names=["u", "v"])
    transformer = HiPPOTransformer(order=2).set_output(transform="pandas")
    features = transformer.fit_transform(panel)
    assert transformer.inverse_transform(features, panel).ids.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="The index of X and the ids of times differ"):
        transformer.inverse_transform(features.loc[["b", "a"]], panel)
    with pytest.raises(ValueError, match="X has other columns than the transformer makes, or in another order"):
        transformer.inverse_transform(features[features.columns[::-1]])
    assert len(transformer.inverse_transform(pd.DataFrame(features.to_numpy()))) == 2
    with pytest.raises(ValueError, match=r"or a panel, as Panel.from_list makes it of \(times, values\)"):
        transformer.inverse_transform(features, [([0.0], [[1.0, 2.0]]), ([0.0], [[1.0, 2.0]])])
