"""The adapters, by sktime's own checks and against the estimators that they adapt."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pd = pytest.importorskip("pandas")
pytest.importorskip("sktime", reason='pip install "sklearn-hippo[sktime]"')

from sktime.datasets import load_basic_motions, load_japanese_vowels, load_unit_test  # noqa: E402
from sktime.datatypes import convert_to  # noqa: E402
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks  # noqa: E402

from sklearn_hippo import HiPPOClassifier, HiPPORegressor, HiPPOTransformer, Panel  # noqa: E402
from sklearn_hippo.sktime import HiPPOFeatures, HiPPOTimeSeriesClassifier, HiPPOTimeSeriesRegressor  # noqa: E402

try:
    from sklearn_hippo import HiPPORNNClassifier, HiPPOSSMClassifier
    from sklearn_hippo.sktime import (
        HiPPORNNTimeSeriesClassifier,
        HiPPORNNTimeSeriesRegressor,
        HiPPOSSMTimeSeriesClassifier,
        HiPPOSSMTimeSeriesRegressor,
    )

    WITH_TORCH = [
        HiPPORNNTimeSeriesClassifier,
        HiPPORNNTimeSeriesRegressor,
        HiPPOSSMTimeSeriesClassifier,
        HiPPOSSMTimeSeriesRegressor,
    ]
except ImportError:
    WITH_TORCH = []

needs_torch = pytest.mark.skipif(not WITH_TORCH, reason='pip install "sklearn-hippo[rnn]"')


@pytest.mark.filterwarnings("ignore")  # sktime's own
@parametrize_with_checks([HiPPOFeatures, HiPPOTimeSeriesClassifier, HiPPOTimeSeriesRegressor, *WITH_TORCH])
def test_sktime_checks(obj, test_name):
    check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)


def ragged():
    """Series of two channels with datetimes for an index, some values missing."""
    rng = np.random.default_rng(0)
    series = []
    for n in (5, 12, 8, 20, 3, 9):
        index = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.sort(rng.choice(10_000, n, replace=False)), unit="s")
        one = pd.DataFrame(rng.normal(size=(n, 2)), index=index, columns=["a", "b"])
        one.iloc[1, 0] = np.nan
        series.append(one)
    return series


def test_an_index_is_times():
    series = ragged()
    adapted = HiPPOFeatures(order=4).fit_transform(series)
    expected = HiPPOTransformer(order=4).fit_transform(Panel.from_list(series))
    assert_array_equal(adapted, expected)
    assert list(adapted.columns) == [f"{c}__legs_c{n}" for c in "ab" for n in range(4)]
    evenly = [one.reset_index(drop=True) for one in series]
    assert np.abs(HiPPOFeatures(order=4).fit_transform(evenly).to_numpy() - expected).max() > 0.1


@pytest.mark.parametrize("mtype", ["nested_univ", "df-list", "pd-multiindex", "numpy3D"])
def test_every_mtype_gives_the_same(mtype):
    X, _ = load_basic_motions(split="train")
    expected = HiPPOTransformer(order=5).fit_transform(X)
    adapted = HiPPOFeatures(order=5).fit(X).transform(convert_to(X, mtype))
    np.testing.assert_allclose(adapted.to_numpy(), expected, rtol=1e-12, atol=1e-12)
    if mtype != "numpy3D":
        X, _ = load_japanese_vowels(split="train")  # of different lengths
        adapted = HiPPOFeatures(order=5).fit_transform(convert_to(X, mtype))
        assert_array_equal(adapted.to_numpy(), HiPPOTransformer(order=5).fit_transform(X))


def test_instances_keep_their_names():
    series = dict(zip(["s9", "s2", "s7", "s1", "x", "a"], ragged(), strict=True))
    panel = pd.concat(series)
    features = HiPPOFeatures(order=4).fit_transform(panel)
    assert list(features.index) == list(series)
    expected = HiPPOTransformer(order=4).fit(list(series.values())).transform(list(series.values()))
    assert_array_equal(features, expected)
    assert list(features.columns) == [f"{c}__legs_c{n}" for c in "ab" for n in range(4)]
    nested = pd.DataFrame({"v": [one["b"] for one in series.values()]}, index=list(series))
    assert list(HiPPOFeatures(order=2).fit_transform(nested).index) == list(series)


@pytest.mark.filterwarnings("ignore")  # sktime's own
@pytest.mark.parametrize("levels", [(2, 3), (2, 2, 2)])
def test_hierarchies_keep_all_levels_of_their_names(levels):
    names = [f"level {k}" for k in range(len(levels))]
    index = pd.MultiIndex.from_product([*(range(n) for n in levels), range(5)], names=[*names, "time"])
    frame = pd.DataFrame({"instance": np.random.default_rng(0).normal(size=len(index))}, index)
    features = HiPPOFeatures(order=3).fit_transform(frame)
    assert list(features.index.names) == names
    assert_array_equal(features.index, frame.index.droplevel(-1).unique())
    expected = HiPPOTransformer(order=3).fit_transform(frame.to_numpy().reshape(-1, 5))
    assert_array_equal(features.to_numpy(), expected)


def test_pipelines_are_those_of_scikit_learn():
    X, y = load_japanese_vowels(split="train")
    X_test, y_test = load_japanese_vowels(split="test")
    ours = make_pipeline(HiPPOTransformer(order=4), StandardScaler(), LogisticRegression()).fit(X, y)
    theirs = HiPPOFeatures(order=4) * StandardScaler() * LogisticRegression()
    theirs.fit(X, y)
    assert theirs.get_tag("capability:unequal_length")
    assert_array_equal(theirs.predict(X_test), ours.predict(X_test))
    assert np.mean(theirs.predict(X_test) == y_test) > 0.95


@pytest.mark.filterwarnings("ignore")
def test_grid_search_over_measures():
    from sktime.classification.model_selection import TSCGridSearchCV

    X, y = load_unit_test(split="train")
    pipeline = HiPPOFeatures(order=3) * LogisticRegression()
    search = TSCGridSearchCV(pipeline, {"HiPPOFeatures__measure": ["legs", "fous", "legs_lti"]}, cv=3)
    search.fit(X, y)
    assert search.best_params_["HiPPOFeatures__measure"] in ("legs", "fous", "legs_lti")
    assert 0 <= search.best_score_ <= 1


def test_parameters_are_those_of_the_estimator():
    assert HiPPOFeatures().get_params() == HiPPOTransformer().get_params()
    assert HiPPOFeatures("lagt", 5).get_params()["order"] == 5
    with pytest.raises(TypeError, match="unexpected keyword argument 'orders'"):
        HiPPOFeatures(orders=3)
    assert "measure : {" in HiPPOFeatures.__doc__
    with pytest.raises(ValueError, match="The 'order' parameter of HiPPOTransformer"):
        HiPPOFeatures(order=0).fit(ragged())


def test_pickle():
    features = HiPPOFeatures("legt", 3).fit(ragged())
    assert_array_equal(pickle.loads(pickle.dumps(features)).transform(ragged()), features.transform(ragged()))


def test_random_features_are_those_of_scikit_learn():
    X, y = load_japanese_vowels(split="train")
    params = {"n_features": 50, "conjunctions": 20, "random_state": 3}
    adapted = HiPPOTimeSeriesClassifier(**params).fit(X, y)
    ours = HiPPOClassifier(**params).fit(X, y)
    assert adapted.get_tag("capability:unequal_length")
    assert_array_equal(adapted.predict_proba(X), ours.predict_proba(X))
    assert_array_equal(pickle.loads(pickle.dumps(adapted)).predict(X), ours.predict(X))
    numbers = y.astype(float)
    expected = HiPPORegressor(**params).fit(X, numbers).predict(X)
    assert_array_equal(HiPPOTimeSeriesRegressor(**params).fit(X, numbers).predict(X), expected)


@needs_torch
def test_the_networks_are_those_of_scikit_learn():
    X, y = load_unit_test(split="train")
    params = {"hidden_size": 6, "max_epochs": 60, "random_state": 3}
    for adapter, estimator in (
        (HiPPORNNTimeSeriesClassifier, HiPPORNNClassifier), (HiPPOSSMTimeSeriesClassifier, HiPPOSSMClassifier),
    ):  # fmt: skip
        adapted, ours = adapter(**params).fit(X, y), estimator(**params).fit(X, y)
        assert_array_equal(adapted.predict_proba(X), ours.predict_proba(X))
        assert_array_equal(pickle.loads(pickle.dumps(adapted)).predict(X), ours.predict(X))


def test_features_do_not_need_torch():
    code = """
import sys

class Nowhere:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Nowhere)
import sklearn_hippo.sktime as adapters
adapters.HiPPOFeatures()
try:
    adapters.HiPPORNNTimeSeriesClassifier
except ImportError as error:
    assert "sklearn-hippo[rnn]" in str(error), error
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
