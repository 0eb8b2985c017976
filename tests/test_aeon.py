"""Collections of aeon, in and out. aeon asks for older releases of NumPy: its own part runs where it is installed."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_hippo import HiPPOTransformer, Panel


def collection(lengths=(5, 3, 9), n_channels=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n_channels, n)) for n in lengths]


def test_round_trip():
    ragged = collection()
    panel = Panel.from_aeon(ragged)
    assert_array_equal(panel.lengths, [5, 3, 9])
    assert_array_equal(panel[1][1], ragged[1].T)
    for one, back in zip(ragged, panel.to_aeon(), strict=True):
        assert_array_equal(back, one)
    even = np.stack(collection((4, 4)))
    assert_array_equal(Panel.from_aeon(even).to_aeon(), even)
    assert_array_equal(Panel.from_aeon(list(even)).values, Panel.from_aeon(even).values)
    assert_array_equal(Panel.from_aeon(collection((7,)))[0][1], collection((7,))[0].T)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([np.zeros((2, 5)), np.zeros(5)], ValueError, r"Series 1 has shape \(5,\); \(n_channels, length\) is needed"),
        ([np.zeros((2, 5)), np.zeros((3, 5))], ValueError, "Series 1 has 3 channels, series 0 has 2"),
        (np.zeros((3, 5)), ValueError, r"X must have shape \(n_series, n_channels, length\)"),
        ("abc", TypeError, "A collection of aeon is an array or a list of arrays, got str"),
        ([], ValueError, "empty"),
    ],
)
def test_what_is_no_collection(X, error, message):
    with pytest.raises(error, match=message):
        Panel.from_aeon(X)


def test_pipelines_of_scikit_learn_run_on_collections():
    rng = np.random.default_rng(1)
    y = np.arange(40) % 2
    X = [np.cumsum(rng.normal(size=(3, rng.integers(10, 30))), axis=1) * (1 + 3 * label) for label in y]
    model = make_pipeline(
        FunctionTransformer(Panel.from_aeon), HiPPOTransformer(), StandardScaler(), LogisticRegression()
    )
    search = GridSearchCV(model, {"hippotransformer__order": [2, 4]}, cv=3).fit(X, y)
    assert search.predict(X).shape == (40,)


def test_collections_that_aeon_loads():
    datasets = pytest.importorskip("aeon.datasets", reason="aeon is not installed")
    X, _ = datasets.load_japanese_vowels(split="train")
    panel = Panel.from_aeon(X)
    assert panel.n_channels == 12
    assert len(panel) == 270
    for one, back in zip(X, panel.to_aeon(), strict=True):
        assert_array_equal(back, one)


def test_an_array_and_a_list_are_the_same_collection():
    X = np.random.default_rng(0).normal(size=(3, 2, 5))
    X[0, :, -2:] = np.nan  # missing: aeon does not pad
    panel = Panel.from_aeon(X)
    assert_array_equal(panel.lengths, [5, 5, 5])
    assert_array_equal(panel.values, Panel.from_aeon(list(X)).values)
    assert_array_equal(panel.to_aeon(), X)
    wide = [np.zeros((12, 3))] * 2  # more channels than times draw no warning: the layout is known
    assert Panel.from_aeon(wide).n_channels == 12
