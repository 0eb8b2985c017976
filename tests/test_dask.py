"""scikit-learn's searches on a dask cluster, by joblib's backend. The examples on clusters run in test_examples.py."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_hippo import HiPPOTransformer, Panel

distributed = pytest.importorskip("dask.distributed", reason='pip install "sklearn-hippo[cluster]"')


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.filterwarnings("ignore:`apply_async` is deprecated:DeprecationWarning")  # an old dask with a new joblib
def test_grid_search_over_measures(client):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    lengths = rng.integers(5, 30, 60)
    X = Panel.from_list(
        [
            (np.sort(rng.uniform(0, 9, n)), np.linspace(0, label, n) + rng.normal(0, 0.2, n))
            for n, label in zip(lengths, y, strict=True)
        ]
    )
    grid = {"hippotransformer__measure": ["legs", "lagt"], "hippotransformer__order": [2, 4]}
    search = GridSearchCV(make_pipeline(HiPPOTransformer(), LogisticRegression()), grid, cv=3)
    here = search.fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="dask"):
        there = search.fit(X, y).cv_results_["mean_test_score"]
    assert_array_equal(there, here)
    assert here.max() > 0.8
