import itertools
import pickle

import numpy as np
import oracles
import pytest
from makers import irregular, shifted, walk
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_hippo import Panel, RandomHiPPOTransformer, _random
from sklearn_hippo._ext_pooling import trace
from sklearn_hippo._views import Draw, Grid, View, draw_readouts, standardized_by_series

pytestmark = pytest.mark.usefixtures("simd")

SMALL = {"n_features": 60, "conjunctions": 40, "random_state": 0, "normalized": True}


@parametrize_with_checks([RandomHiPPOTransformer(20, conjunctions=10, random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def read_everything(view, panel):
    """Every coefficient of every window at every position, (n_windows, n_kinds, n_channels, order, n_positions)."""
    u, values, offsets, n_cells = view.look(panel)
    shape = len(view.lengths), view.n_kinds, view.n_channels, view.order
    w, kind, c, n = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).reshape(4, -1)
    k = len(w)
    counts = np.arange(k + 1, dtype=np.int32)
    draw = Draw(
        np.stack([w, kind, n, n, 0 * n, 0 * n]).astype(np.int32), counts, np.stack([c, 1 + 0 * c]).astype(np.int32),
        0 * counts, np.zeros(0, np.float32),
    )  # fmt: skip
    windows = view.windows()
    z, found = np.zeros((k, -(-n_cells.max() // 64) * 64), np.float32), np.zeros(k, np.intp)
    which, begins, order = np.zeros(1, np.intp), np.array([0, k]), np.arange(k)
    scratch = np.empty((1, windows.size(n_cells.max())), np.float32)
    trace(windows, draw.readouts(), u, values, offsets, n_cells, which, begins, order, z, found, scratch)
    return z[:, : n_cells[0]].reshape(*shape, -1), u, n_cells[0]


@pytest.mark.parametrize("order", [1, 2, 6, 15])
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("bursts", [False, True])
def test_windows_match_quadrature(order, relative, bursts):
    times, values = walk(3, 50, 2)
    if bursts:  # observations that are almost at once, as close as may be
        times -= times[0]
        for k, gap in enumerate((1e-15, 0.5, 1e-3, 1e-4, 1e-6, 1e-8, 1e-11, 1e-13)):
            times[6 * k + 1] = times[6 * k] + gap * (times[6 * k + 1] - times[6 * k])
    values[20:30, 0] = np.nan
    values[:4, 1] = values[-2:, 1] = np.nan
    panel = Panel(values / 5, times)
    duration = times[-1] - times[0]
    grid = Grid(True, 64, 0.0, 48, 4) if relative else Grid(False, 0, duration / 37.3, 24.0, 4.0)
    view = View("x", grid, by_series=False, order=order, derivative=True, n_channels=2)
    found, u, n_cells = read_everything(view, panel)
    assert n_cells == (64 if relative else 38)
    for w, length in enumerate(view.lengths.tolist()):
        for position in range(n_cells) if length == 1 else (0, 1, n_cells // 2, n_cells - 1):
            end = position + length // 2 + 1 if length > 1 else position + 1
            for c in range(2):
                expected = oracles.window_coefficients(order, u, values[:, c] / 5, end - length, end)
                assert_allclose(found[w, 0, c, :, position], expected[0], atol=1e-6)
                # the size of slopes is that of the steepest one
                steepest = np.abs(found[0, 1, c]).max()
                assert_allclose(found[w, 1, c, :, position], expected[1], atol=1e-6 * max(1, steepest))


def pooled(view, panel, poolings):
    """Features of a view, from the traces of its read-outs, in NumPy."""
    names = ("ppv", "longest", "thirds", "spread", "pairs")
    blocks = {name: [] for name in names}
    for i in range(len(panel)):
        u, values, offsets, n_cells = view.look(panel[[i]])
        rows = {name: [] for name in names}
        for draw in view.draws:
            k = draw.what.shape[1]
            windows = view.windows()
            z, n = np.zeros((k, -(-n_cells.max() // 64) * 64), np.float32), np.zeros(k, np.intp)
            scratch = np.empty((1, windows.size(n_cells.max())), np.float32)
            begins, one = np.array([0, k]), np.zeros(1, np.intp)
            trace(windows, draw.readouts(), u, values, offsets, n_cells, one, begins, np.arange(k), z, n, scratch)
            of = np.repeat(np.arange(k), np.diff(draw.thresholds))
            bits = [z[j, : n[j]] > level for j, level in zip(of, draw.threshold, strict=True)]
            if draw.pairs is None:
                rows["ppv"] += [bit.mean() for bit in bits]
                rows["longest"] += [oracles.longest_run(bit) / len(bit) for bit in bits]
                if not view.by_series:
                    parts = [np.array_split(bit, cuts_of(len(bit))) if len(bit) > 2 else [bit] * 3 for bit in bits]
                    rows["thirds"] = np.transpose([[part.mean() for part in one] for one in parts]).ravel()
                    seen = [z[j, : n[j]].astype(float) for j in range(k)]
                    rows["spread"] = np.transpose([(one.std(), one.min(), one.max()) for one in seen]).ravel()
                continue
            for a, b, lag in draw.pairs.T.tolist():
                first, second = (bits[x >> 1] ^ bool(x & 1) for x in (a, b))
                lag = min(lag, len(first) - 1)
                rows["pairs"].append((first[: len(first) - lag] & second[lag:]).mean())
        for name, row in rows.items():
            blocks[name].append(row)
    used = [name for name in names if name in (*poolings, "pairs") and len(blocks[name][0])]
    return np.concatenate([np.array(blocks[name]) for name in used], axis=1)


def cuts_of(n):
    """Where the second and the last third of n positions begin."""
    return [n // 3, 2 * n // 3]


@pytest.mark.parametrize("windows", ["relative", "absolute"])
@pytest.mark.parametrize("poolings", [("ppv",), ("longest",), ("longest", "ppv"), ("spread", "thirds", "ppv")])
def test_features_match_numpy(windows, poolings):
    panel = irregular(8, 3)
    transformer = RandomHiPPOTransformer(**SMALL, windows=windows, poolings=poolings).fit(panel)
    features = transformer.transform(panel)
    forms = transformer._standardized(panel)
    for view, columns in zip(transformer.views_, transformer.blocks_.values(), strict=True):
        assert_allclose(features[:, columns], pooled(view, forms[view.by_series], poolings), rtol=1e-6, atol=1e-6)


def test_thresholds_are_quantiles():
    times, values = walk(0, 200, 1)
    panel = Panel(values, times)  # from which all are drawn
    transformer = RandomHiPPOTransformer(400, conjunctions=0, windows="relative", random_state=0).fit(panel)
    n = len(transformer.views_[0].draws[0].threshold)
    shares = np.sort(transformer.transform(panel)[0, :n])
    # Levels are spread evenly; a share is one of at least 193 positions, or less where windows stay inside.
    assert np.abs(shares - (np.arange(n) + 0.5) / n).max() < 0.03


def test_series_by_themselves_have_no_mean_and_unit_scale():
    panel = irregular(6, 2)
    panel = panel.replace(values=panel.values * [1.0, 1e-4])
    found = standardized_by_series(panel).values
    for (times, values), own in zip(panel, np.split(found, panel.offsets[1:-1]), strict=True):
        for c in range(2):
            seen = ~np.isnan(values[:, c])
            t = np.linspace(times[0], times[-1], 200_001)
            f = np.interp(t, times[seen], own[seen, c])
            assert abs(f.mean()) < 1e-4  # of the trapezoids of this reference
            assert abs(f.std() - 1) < 1e-3
    assert_array_equal(np.isnan(found), np.isnan(panel.values))
    constant = Panel.from_list([[3.0, 3.0], [4.0], ([1.0, 1.0], [2.0, 5.0])])
    assert_array_equal(standardized_by_series(constant).values.ravel(), [0, 0, 0, -3, 0])


@pytest.mark.parametrize("normalized", [False, True])
def test_relative_windows_do_not_see_the_time_axis(normalized):
    rng = np.random.default_rng(0)
    many = [(np.cumsum(rng.integers(1, 9, n)), rng.normal(size=(n, 2))) for n in rng.integers(2, 40, 20)]
    transformer = RandomHiPPOTransformer(**SMALL | {"windows": "relative", "normalized": normalized}).fit(many)
    features = transformer.transform(many)
    assert_array_equal(transformer.transform([(2 * t + 1, x) for t, x in many]), features)
    assert_allclose(transformer.transform([(7.3 * t - 1e4, x) for t, x in many]), features, atol=0.05)
    changed = np.abs(transformer.transform([(7.3 * t - 1e4, x) for t, x in many]) - features)
    assert (changed > 1e-5).mean() < 1e-3  # a position at a threshold, to rounding


def test_observations_on_a_line_change_nothing():
    rng = np.random.default_rng(0)
    many = [(np.cumsum(rng.integers(2, 9, n)).astype(float), rng.normal(size=n)) for n in rng.integers(2, 40, 20)]
    transformer = RandomHiPPOTransformer(**SMALL, windows="relative").fit(many)
    more = []
    for t, x in many:
        between = np.sort(rng.uniform(t[0], t[-1], 10))
        order = np.argsort(np.r_[t, between], kind="stable")
        more.append((np.r_[t, between][order], np.r_[x, np.interp(between, t, x)][order]))
    changed = np.abs(transformer.transform(more) - transformer.transform(many))
    assert (changed > 1e-5).mean() < 1e-3


def test_batches_threads_and_copies():
    panel = irregular(12, 2)
    transformer = RandomHiPPOTransformer(**SMALL).fit(panel)
    features = transformer.transform(panel)
    assert features.dtype == np.float32
    assert_array_equal(clone(transformer).fit(panel).transform(panel), features)
    assert_array_equal(clone(transformer).set_params(n_jobs=2).fit(panel).transform(panel), features)
    assert_array_equal(transformer.transform(panel[[5]]), features[[5]])
    assert_array_equal(transformer.transform(panel[::-1]), features[::-1])
    assert_array_equal(pickle.loads(pickle.dumps(transformer)).transform(panel), features)
    assert not np.array_equal(clone(transformer).set_params(random_state=1).fit(panel).transform(panel), features)


def test_summaries_are_numbers_of_every_channel():
    panel = irregular(12, 3)
    values = panel.values.copy()
    values[panel.offsets[4] : panel.offsets[5], 1] = np.nan  # a channel that is not observed in a series
    times = panel.times.copy()
    a = panel.offsets[2]
    times[a + 1] = times[a]  # a tie: the later one counts
    panel = panel.replace(values=values, times=times)
    transformer = RandomHiPPOTransformer(**SMALL, summaries=True).fit(panel)
    found = transformer.transform(panel)[:, transformer.blocks_["channels"]].reshape(12, 3, 8)
    own = transformer._standardized(panel)[False]
    for i in range(12):
        t, x = own[i]
        for c in range(3):
            seen = np.flatnonzero(~np.isnan(x[:, c]))
            seen = [k for k in seen if not any(t[j] == t[k] for j in seen if j > k)]
            if not seen:
                assert_array_equal(found[i, c], [0, 0, 0, 0, 0, 0, 0, 1])
                continue
            v = x[seen, c]
            numbers = [v.mean(), v.min(), v.max(), v.std(), v[0], v[-1], np.log(1 + len(v))]
            since = (t[-1] - t[seen[-1]]) / (t[-1] - t[0])
            assert_allclose(found[i, c], [*numbers, since], rtol=1e-6, atol=1e-6)
    names = transformer.get_feature_names_out()[transformer.blocks_["channels"]]
    assert names[:2].tolist() == ["channels__x0__mean", "channels__x0__min"]


def test_summaries_are_for_what_is_hardly_ever_observed():
    panel = irregular(12, 2)
    assert not RandomHiPPOTransformer(**SMALL).fit(panel).summaries_
    values = panel.values.copy()
    values[np.random.default_rng(0).uniform(size=values.shape) < 0.6] = np.nan
    assert RandomHiPPOTransformer(**SMALL).fit(panel.replace(values=values)).summaries_
    single = Panel([3.0, 4.0], offsets=[0, 1, 1, 2])
    transformer = RandomHiPPOTransformer(**SMALL, summaries=True).fit(single)
    assert np.isfinite(transformer.transform(single)).all()


def test_names_say_what_they_are():
    panel = irregular(12, 2).replace(channel_names=["a", "b"])
    transformer = RandomHiPPOTransformer(**SMALL, poolings=["thirds", "longest", "spread"], summaries=True).fit(panel)
    names = transformer.get_feature_names_out()
    assert len(set(names)) == len(names) == transformer.transform(panel).shape[1]
    assert all(name.startswith(("relative", "absolute", "channels")) for name in names)
    for pooling in ("__longest", "__middle", "__max"):
        assert any(name.endswith(pooling) for name in names)
    assert any("_pair" in name and "lag" in name for name in names)
    assert transformer.set_output(transform="pandas").transform(panel).columns.tolist() == names.tolist()


def test_unusual_series():
    panel = irregular(12, 2)
    transformer = RandomHiPPOTransformer(**SMALL).fit(panel)
    nothing, one = np.empty((0, 2)), np.array([[1.0, np.nan]])
    odd = [nothing, one, ([3.0, 3.0], [[1.0, 2.0], [3.0, 4.0]]), np.full((5, 2), 7.0), np.full((4, 2), np.nan)]
    features = transformer.transform(odd)
    assert np.isfinite(features).all()
    assert_array_equal(features[0], features[4])  # of a mean
    assert_array_equal(features[2], transformer.transform([([3.0], [[3.0, 4.0]])])[0])
    panel = Panel.from_list([*panel.to_list(), (np.zeros(0), nothing)])
    assert np.isfinite(RandomHiPPOTransformer(**SMALL).fit_transform(panel)).all()
    for shape in ((1, 1), (2, 1), (3, 2)):
        assert np.isfinite(
            RandomHiPPOTransformer(**SMALL).fit_transform(np.arange(np.prod(shape)).reshape(shape))
        ).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_features": 0}, "'n_features' parameter"),
        ({"windows": "all"}, "'windows' parameter"),
        ({"order": 16}, "'order' parameter"),
        ({"poolings": ("mean",)}, r"poolings=\('mean',\) must be some of 'ppv', 'longest'"),
        ({"poolings": ()}, r"poolings=\(\) must be some"),
        ({"n_jobs": 0}, "n_jobs == 0"),
    ],
)
def test_parameters_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        RandomHiPPOTransformer(**params).fit([[1.0, 2.0], [3.0]])


def test_a_channel_that_was_never_observed_is_refused():
    with pytest.raises(ValueError, match="Channel 1 has no observation in any training series"):
        RandomHiPPOTransformer(**SMALL).fit([[[1.0, np.nan], [2.0, np.nan]]])
    transformer = RandomHiPPOTransformer(**SMALL).fit(irregular(12, 2))
    with pytest.raises(ValueError, match="X has 1 channels, but RandomHiPPOTransformer was fitted on 2"):
        transformer.transform([[1.0, 2.0]])


def test_read_outs_of_many_channels():
    rng = np.random.RandomState(0)
    draw = draw_readouts(rng, np.array([3, 4]), 2, 6, 40, 1000, everywhere=False)
    counts = np.diff(draw.channels)
    assert counts.min() == 1
    assert counts.max() <= 10
    for a, b in itertools.pairwise(draw.channels.tolist()):
        assert len(set(draw.channel[0, a:b].tolist())) == b - a  # without replacement
    assert set(draw.channel[1].tolist()) == {-1, 1}


def test_it_learns_shapes():
    panel, y = shifted(120)
    values = panel.values - 3 * np.repeat(np.arange(120) % 2, panel.lengths)[:, None]  # no offset tells the class
    values[np.repeat(np.arange(120) % 2, panel.lengths) == 1] *= -1
    panel = panel.replace(values=values)
    model = make_pipeline(RandomHiPPOTransformer(200, random_state=0), StandardScaler(), RidgeClassifier(100.0))
    grid = GridSearchCV(model, {"randomhippotransformer__windows": ["both", "relative"]}, cv=3).fit(panel, y)
    assert grid.best_score_ > 0.7


def test_series_are_transformed_some_at_a_time(monkeypatch):
    panel = Panel.concat([irregular(9, 2), Panel.from_list([np.ones((40, 2)), np.empty((0, 2))])])
    transformer = RandomHiPPOTransformer(**SMALL, summaries=True).fit(panel)
    expected = transformer.transform(panel)
    monkeypatch.setattr(_random, "NUMBERS_AT_ONCE", 50)
    assert len(_random.parts_of(panel)) > 4
    assert_array_equal(transformer.transform(panel), expected)
    monkeypatch.setattr(_random, "SERIES_AT_ONCE", 1)
    assert _random.parts_of(panel) == [slice(i, i + 1) for i in range(11)]
    assert_array_equal(transformer.transform(panel), expected)


def test_what_has_changed_since_fit():
    X, _ = shifted(20)
    for name, value in (("normalized", False), ("poolings", ("ppv",)), ("order", 3), ("windows", "absolute")):
        fitted = RandomHiPPOTransformer(**SMALL).fit(X).set_params(**{name: value})
        for call in (lambda fitted=fitted: fitted.transform(X), fitted.get_feature_names_out):
            with pytest.raises(ValueError, match=f"The parameter '{name}' has changed since fit: fit again"):
                call()
    fitted = RandomHiPPOTransformer(**SMALL).fit(X)
    expected = fitted.transform(X)
    assert_array_equal(fitted.set_params(n_jobs=2, random_state=5).transform(X), expected)
    with pytest.raises(ValueError, match="input_features should have length equal to number of features"):
        fitted.get_feature_names_out(["a", "b", "c"])
    assert "_b_" in "".join(fitted.get_feature_names_out(["a", "b"]))


def test_so_many_features_are_refused():
    with pytest.raises(ValueError, match=r"Drawing 10000000000 features would need .* GiB.* Take fewer"):
        RandomHiPPOTransformer(10**10, conjunctions=0).fit(shifted(20)[0])


def test_times_that_last_far_longer_than_in_training():
    X, _ = shifted(20)
    fitted = RandomHiPPOTransformer(**SMALL).fit(X)
    for unit in (1e-320, 1e300):
        assert np.isfinite(fitted.transform(Panel(X.values, unit * X.times, X.offsets))).all()
