import sys

import numpy as np
import pytest
from makers import MEASURES, shifted
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_hippo import HiPPOClassifier, HiPPORegressor, HiPPOTransformer, Panel
from sklearn_hippo._contributions import contributions, longest_run, shares
from sklearn_hippo.inspection import (
    LossCurveDisplay,
    MeasureDisplay,
    MemoryDisplay,
    ReconstructionDisplay,
    WindowDisplay,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def series():
    t = np.sort(np.random.default_rng(0).uniform(0, 10, 80))
    values = np.column_stack([np.sin(t), np.cos(t)])
    values[10:15, 1] = np.nan
    return Panel.from_list([(t, values), (t + 3, -values)], channel_names=["sine", "cosine"])


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("show_error", [False, True])
def test_reconstruction(series, interpolation, show_error):
    transformer = HiPPOTransformer(order=12, interpolation=interpolation).fit(series)
    display = ReconstructionDisplay.from_estimator(transformer, series, 1, channel=1, show_error=show_error)
    top = display.ax_[0] if show_error else display.ax_
    assert top.get_ylabel() == "cosine"
    assert_allclose(display.line_.get_ydata(), -np.cos(display.grid - 3), atol=0.5)  # held over a gap, at worst
    if interpolation == "hold":
        assert np.isin(display.signal, series.values).all()
    else:
        assert_allclose(display.signal, -np.cos(display.grid - 3), atol=0.5)
    figure, axes = plt.subplots(2)
    assert display.plot(axes if show_error else axes[0], show_error=show_error).figure_ is figure


def test_held_values_are_drawn_from_their_beginning():
    X = [([0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0])]
    transformer = HiPPOTransformer(order=60, interpolation="hold").fit(X)
    display = ReconstructionDisplay.from_estimator(transformer, X)
    assert display.grid[0] == -1
    assert np.sqrt(np.mean((display.signal - display.reconstruction) ** 2)) < 0.1


def test_channels_that_are_not_there(series):
    transformer = HiPPOTransformer(order=3, add_duration=True).fit(series)
    for display in (ReconstructionDisplay, MemoryDisplay):
        with pytest.raises(IndexError):
            display.from_estimator(transformer, series, channel=2)
    values = np.column_stack([np.arange(5.0), np.full(5, np.nan)])
    empty = Panel(values)
    fitted = HiPPOTransformer(order=3).fit(Panel(np.column_stack([np.arange(5.0)] * 2)))
    assert np.isnan(ReconstructionDisplay.from_estimator(fitted, empty, channel=1).signal).all()


@pytest.mark.parametrize("discretization", ["zoh", "linear"])
def test_the_curves_of_a_recurrence_are_what_it_reads(discretization):
    X = [([0.0, 1.0, 2.0], [1.0, 4.0, 2.0])]
    transformer = HiPPOTransformer(order=3, method="recurrence", discretization=discretization).fit(X)
    display = ReconstructionDisplay.from_estimator(transformer, X)
    assert display.grid[0] == (-1 if discretization == "zoh" else 0)
    middle = display.signal[np.argmin(np.abs(display.grid - 0.5))]
    assert_allclose(middle, 4 if discretization == "zoh" else 2.5, atol=0.01)


def test_memory(series):
    transformer = HiPPOTransformer(order=6).fit(series)
    display = MemoryDisplay.from_estimator(transformer, series, channel=1)
    assert display.coefficients.shape == (80, 6)
    assert_allclose(display.coefficients[-1], transformer.transform(series)[0, 6:])
    assert display.image_.get_array().size == 480
    assert display.plot(plt.subplots()[1]) is display


@pytest.mark.parametrize("measure", MEASURES)
def test_measures(measure):
    display = MeasureDisplay.from_estimator(HiPPOTransformer(measure), plt.subplots()[1])
    assert display.line_.get_label() == measure
    density = MEASURES[measure].basis.density
    middles = (np.arange(1_000_000) + 0.5) / 1_000_000 * (40 if measure in ("lagt", "legs_lti") else 1)
    assert_allclose(density(middles).mean() * (40 if measure in ("lagt", "legs_lti") else 1), 1, atol=1e-3)
    assert density(np.array([-0.1]))[0] == 0


def test_without_matplotlib_the_error_says_so(series, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"ReconstructionDisplay\.plot requires matplotlib"):
        ReconstructionDisplay.from_estimator(HiPPOTransformer(order=3).fit(series), series)


# --- what people ask for, and get wrong ----------------------------------------------------------------


def test_series_by_id_and_channels_by_name(series):
    named = Panel(
        series.values, series.times, series.offsets, channel_names=series.channel_names, ids=["first", "second"]
    )
    transformer = HiPPOTransformer(order=6).fit(named)
    expected = ReconstructionDisplay.from_estimator(transformer, named, 1, channel=1)
    for index, channel in (("second", "cosine"), (-1, -1), (np.int64(1), np.int64(1))):
        found = ReconstructionDisplay.from_estimator(transformer, named, index, channel=channel)
        assert found.name == expected.name == "cosine"
        assert_allclose(found.reconstruction, expected.reconstruction)
    assert MemoryDisplay.from_estimator(transformer, named, "first", channel="sine").name == "legs, sine"


def test_pipelines_and_searches_are_looked_into(series):
    y = [0, 1] * 6
    X = Panel.concat([series] * 6)
    pipeline = make_pipeline(HiPPOTransformer(order=6), StandardScaler(), LogisticRegression()).fit(X, y)
    search = GridSearchCV(pipeline, {"hippotransformer__order": [6]}, cv=2).fit(X, y)
    alone = ReconstructionDisplay.from_estimator(HiPPOTransformer(order=6).fit(X), X)
    for estimator in (pipeline, search):
        assert_allclose(ReconstructionDisplay.from_estimator(estimator, X).reconstruction, alone.reconstruction)
        assert MemoryDisplay.from_estimator(estimator, X).coefficients.shape == (80, 6)
        assert MeasureDisplay.from_estimator(estimator).name == "legs"


def test_dates_on_the_axis():
    times = np.datetime64("2026-03-01") + np.arange(48) * np.timedelta64(30, "m")
    X = [(times, np.sin(np.arange(48) / 5))]
    transformer = HiPPOTransformer(order=6).fit(X)
    shown = matplotlib.dates.num2date
    for display in (
        ReconstructionDisplay.from_estimator(transformer, X, datetimes=True, show_error=True),
        ReconstructionDisplay.from_estimator(transformer, X, datetimes=True),
        MemoryDisplay.from_estimator(transformer, X, datetimes=True),
    ):
        display.figure_.canvas.draw()
        lowest = np.ravel(display.ax_)[-1]  # which has the labels
        low, high = (shown(one).date().isoformat() for one in lowest.get_xlim())
        assert low in ("2026-02-28", "2026-03-01")
        assert high in ("2026-03-01", "2026-03-02")
        assert any(":" in one.get_text() or "-" in one.get_text() for one in lowest.get_xticklabels())


def test_loss_curves():
    display = LossCurveDisplay([0.7, 0.4, 0.3], [0.6, 0.45, 0.5])
    assert display.plot().best_epoch == 2
    assert [one.get_text() for one in display.ax_.get_legend().get_texts()] == [
        "training",
        "validation",
        "best: epoch 2",
    ]
    assert LossCurveDisplay([0.7, 0.4, 0.3]).plot().best_epoch == 3
    assert display.ax_.get_xlabel() == "epoch"


def test_loss_curves_of_networks():
    pytest.importorskip("torch")
    pytest.importorskip("skorch")
    from sklearn_hippo import HiPPORNNRegressor

    X, y = [[k / 5, k / 5] for k in range(20)], np.arange(20.0)
    network = HiPPORNNRegressor(hidden_size=4, order=4, max_epochs=4, early_stopping=True, random_state=0)
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(network)
    for estimator in (network.fit(X, y), make_pipeline(network)):
        display = LossCurveDisplay.from_estimator(estimator)
        assert_allclose(display.line_.get_ydata(), network.loss_curve_)
        assert display.best_epoch == 1 + np.argmin(network.validation_loss_curve_)


X = [np.sin(np.arange(9) / 4), np.arange(3.0)]
FITTED = HiPPOTransformer(order=3).fit(X)
NAMED = Panel.from_list(X, channel_names=["a"], ids=["u", "v"])
WRONG = {
    "no estimator": (
        (None,),
        {},
        "A display shows a HiPPOTransformer, or a Pipeline that begins with one, got NoneType",
    ),
    "a measure": (("legs",), {}, "got str"),
    "another estimator": ((StandardScaler(),), {}, "got StandardScaler"),
    "a class": ((HiPPOTransformer,), {}, "got type"),
    "another pipeline": ((make_pipeline(StandardScaler()),), {}, "got StandardScaler in a Pipeline"),
    "not fitted": ((HiPPOTransformer(),), {}, "is not fitted yet"),
    "a pipeline that is not fitted": ((make_pipeline(HiPPOTransformer()),), {}, "is not fitted yet"),
    "no series": ((FITTED, None), {}, "X is a NoneType"),
    "one series": ((FITTED, np.ones(3)), {}, "Expected 2D array"),
    "other channels": ((FITTED, [np.ones((3, 2))]), {}, "X has 2 channels, but HiPPOTransformer was fitted on 1"),
    "series 2": ((FITTED, X, 2), {}, "There is no series 2: X has 2"),
    "series -3": ((FITTED, X, -3), {}, "There is no series -3: X has 2"),
    "series u": ((FITTED, X, "u"), {}, "index='u' must be the position of a series, or the id of one: X has no ids"),
    "series w": ((FITTED, NAMED, "w"), {}, "index='w' must be .*: X has 0 series of that id"),
    "series twice": ((FITTED, NAMED[[0, 0]], "u"), {}, "index='u' must be .*: X has 2 series of that id"),
    "series 0.5": ((FITTED, X, 0.5), {}, "index=0.5 must be the position"),
    "series None": ((FITTED, X, None), {}, "index=None must be the position"),
    "series True": ((FITTED, X, True), {}, "index=True must be the position"),
    "two series": ((FITTED, X, [0, 1]), {}, r"index=\[0, 1\] must be the position"),
    "channel 1": ((FITTED, X), {"channel": 1}, "There is no channel 1: X has 1"),
    "channel -2": ((FITTED, X), {"channel": -2}, "There is no channel -2: X has 1"),
    "channel a": ((FITTED, X), {"channel": "a"}, "There is no channel 'a': X has no names"),
    "channel b": ((FITTED, NAMED), {"channel": "b"}, r"There is no channel 'b': X has the channels \['a'\]"),
    "channel 0.5": ((FITTED, X), {"channel": 0.5}, "channel must be an instance of"),
    "channel None": ((FITTED, X), {"channel": None}, "channel must be an instance of"),
    "an empty series": ((FITTED, [[], [1.0]]), {}, "Series 0 has no observations: there is nothing to draw"),
    "ax of text": ((FITTED, X, 0, "ax"), {}, "ax must be Axes of matplotlib, got str"),
    "ax of a figure": ((FITTED, X, 0, 5), {}, "ax must be Axes of matplotlib, got int"),
}
OF_CURVES = {
    "one ax for two": ({"ax": "one", "show_error": True}, "show_error draws 2 pictures: ax must be an array of 2 Axes"),
    "three for two": ({"ax": "three", "show_error": True}, "show_error draws 2 pictures"),
    "two for one": ({"ax": "two"}, "ax must be Axes of matplotlib, got ndarray"),
    "no points": ({"n_points": 0}, "n_points == 0, must be >= 2"),
    "half a point": ({"n_points": 7.5}, "n_points must be an instance of"),
    "points of text": ({"n_points": "a"}, "n_points must be an instance of"),
}


@pytest.mark.parametrize("display", [ReconstructionDisplay, MemoryDisplay])
@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_drawn(display, name):
    positional, others, message = WRONG[name]
    positional = positional if len(positional) > 1 else (*positional, X)
    with pytest.raises((TypeError, ValueError, IndexError), match=message):
        display.from_estimator(*positional, **others)


@pytest.mark.parametrize("name", OF_CURVES)
def test_curves_that_cannot_be_drawn(name):
    others, message = OF_CURVES[name]
    counts = {"one": 1, "two": 2, "three": 3}
    if "ax" in others:
        others = others | {"ax": plt.subplots(counts[others["ax"]])[1]}
    with pytest.raises((TypeError, ValueError), match=message):
        ReconstructionDisplay.from_estimator(FITTED, X, **others)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MeasureDisplay.from_estimator("legs"), "got str"),
        (lambda: MeasureDisplay.from_estimator(HiPPOTransformer("legz")), "measure='legz' is none of"),
        (lambda: MeasureDisplay.from_estimator(FITTED, 5), "ax must be Axes of matplotlib, got int"),
        (lambda: MeasureDisplay.from_estimator(FITTED, n_points=1), "n_points == 1, must be >= 2"),
        (lambda: LossCurveDisplay.from_estimator(None), "A loss curve is that of an estimator, got NoneType"),
        (lambda: LossCurveDisplay.from_estimator(FITTED), "A HiPPOTransformer keeps no losses"),
        (lambda: LossCurveDisplay.from_estimator(make_pipeline(FITTED)), "A HiPPOTransformer keeps no losses"),
    ],
)
def test_measures_and_losses_that_cannot_be_drawn(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


# --- windows -------------------------------------------------------------------------------------------

SMALL = {"n_features": 60, "conjunctions": 40, "random_state": 0, "normalized": True}
EVERYTHING = ("ppv", "longest", "thirds", "spread")


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("poolings", [("ppv", "longest"), EVERYTHING])
@pytest.mark.parametrize("windows", ["both", "absolute"])
def test_moments_sum_up_to_the_output(unit, poolings, windows):
    X, y = shifted(40)
    X = Panel.concat([X, Panel.from_list([([3.0], [[1.0, 2.0]]), ([0.0, 1e4], np.ones((2, 2)))])])
    model = HiPPOClassifier(**SMALL, poolings=poolings, windows=windows, summaries=True).fit(X, [*y, y[0], y[1]])
    center, inverse, weight, _ = model.scaling_
    model.scaling_ = (center, inverse, weight, np.full(len(center), 0.01) if unit else None)
    outputs = model._outputs(X)
    for i in (0, 1, 40, 41):
        for direction in np.eye(2):
            moments, by_window, rest = contributions(model, X[[i]], direction, 37)
            # features are of single precision, and the sum has some 10^3 of them
            size = np.abs(model.coef_ * (weight * (inverse > 0))[:, None]).sum()
            assert_allclose(moments.sum() + rest, outputs[i] @ direction, atol=1e-6 * size)
            assert_allclose(sum(one.sum() for one in by_window) + rest, outputs[i] @ direction, atol=1e-6 * size)
    assert_allclose(sum(one.sum() for one in shares(model)), 1)


def test_a_feature_belongs_where_its_window_is():
    """A bump that decides is where the picture says so."""
    rng = np.random.default_rng(0)
    X, y = [], np.arange(60) % 2
    place = rng.uniform(0.2, 0.8, 60)
    for i in range(60):
        t = np.sort(rng.uniform(size=80))
        X.append((t, 0.1 * rng.normal(size=80) + 2 * y[i] * np.exp(-(((t - place[i]) / 0.03) ** 2))))
    model = HiPPOClassifier(300, conjunctions=300, random_state=0).fit(X[:40], y[:40])
    assert model.score(X[40:], y[40:]) > 0.9
    near = []
    for i in range(41, 60, 2):
        display = WindowDisplay.from_estimator(model, X, i)
        times = (display.edges[1:] + display.edges[:-1]) / 2
        near.append(abs(times[np.argmax(np.convolve(display.moments, np.ones(9), "same"))] - place[i]) < 0.1)
        plt.close("all")
    assert np.mean(near) >= 0.8


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["$a", "_b"], "for '$a'"),
        (np.array(["2024-01-01", "2025-01-01"], "datetime64[ns]"), "for 2024-01-01T00:00:00.000000000"),
        ([3, 4], "for 3"),
    ],
)
def test_names_are_no_formulas(labels, told):
    X, y = shifted(40)
    X = Panel(X.values, X.times, X.offsets, channel_names=["$x", "_y"])
    model = HiPPOClassifier(**SMALL).fit(X, np.take(labels, y.astype(int)))
    display = WindowDisplay.from_estimator(model, X)
    assert display.label == told
    display.figure_.canvas.draw()
    assert [text.get_text() for text in display.ax_[0].get_legend().get_texts()] == [r"\$x", " _y"]
    ReconstructionDisplay.from_estimator(HiPPOTransformer().fit(X), X, channel="$x").figure_.canvas.draw()


def test_overwritten_observations_have_no_part():
    X, y = shifted(40)
    model = HiPPOClassifier(**SMALL).fit(X, y)
    (times, values), twice = X[0], []
    twice.append((np.r_[times[0], times], np.r_[[[99.0, 99.0]], values]))
    expected, found = (WindowDisplay.from_estimator(model, one) for one in ([(times, values)], twice))
    assert_allclose(found.moments, expected.moments)


def test_the_longest_run():
    rows = np.array([[1, 1, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 1]], bool)
    expected = [[0, 0, 0, 1, 1, 1, 0], [0] * 7, [1, 0, 0, 0, 0, 0, 0], [1] * 7]
    assert_allclose(longest_run(rows), expected)


@pytest.mark.parametrize("losses", [([],), ([[1.0]],), ([1.0, 2.0], [1.0]), ([1.0], [[1.0]])])
def test_losses_that_are_none(losses):
    with pytest.raises(ValueError, match=r"loss and validation_loss must have shape \(n_epochs,\)"):
        LossCurveDisplay(*losses)


def test_what_a_window_display_shows():
    X, y = shifted(40)
    model = HiPPOClassifier(**SMALL).fit(X, y)
    display = WindowDisplay.from_estimator(model, X, 1, target="0", n_bins=11)
    assert display.label == "for '0'"
    assert display.mesh_.get_array().shape == (1, 11)
    assert display.ax_[0].figure is display.figure_
    other = WindowDisplay.from_estimator(model, X, 1, target="1")
    assert_allclose(other.moments.sum() + other.rest, -(display.moments.sum() + display.rest))
    numbers = HiPPORegressor(**SMALL).fit(X, np.column_stack([np.arange(40), np.ones(40)]))
    assert "target 1" in WindowDisplay.from_estimator(numbers, X, target=1, datetimes=True).label
    one = Panel.from_list([[1.0, 2.0, 1.0]] * 4, ids=["a", "b", "c", "d"], channel_names=["pulse"])
    single = WindowDisplay.from_estimator(HiPPORegressor(**SMALL).fit(one, [1, 2, 3, 4]), one, "b")
    assert len(single.ax_) == 2
    assert single.plot(plt.subplots(2)[1]).ax_.shape == (2,)
    instant = [[1.0], [2.0], [3.0]] * 3
    WindowDisplay.from_estimator(HiPPORegressor(**SMALL).fit(instant, range(9)), instant)
    search = GridSearchCV(HiPPOClassifier(**SMALL), {"order": [2, 3]}, cv=2).fit(X, y)
    WindowDisplay.from_estimator(search, X)
    pipeline = make_pipeline(FunctionTransformer(), HiPPOClassifier(**SMALL)).fit(X, y)
    assert_allclose(WindowDisplay.from_estimator(pipeline, X, 1, target="0", n_bins=11).moments, display.moments)
    with pytest.raises(IndexError, match=r"index=array\(\[0\]\) must be the position of a series"):
        WindowDisplay.from_estimator(model, X, np.array([0]))
    with pytest.raises(ValueError, match=r"target=array\(\['0'\]"):
        WindowDisplay.from_estimator(model, X, target=np.array(["0"]))
    with pytest.raises(ValueError, match="dates of the years 1 to 9999"):
        WindowDisplay.from_estimator(model, [([0, 1e18], np.ones((2, 2)))], datetimes=True)
    with pytest.raises(ValueError, match="target='2' is none of the classes"):
        WindowDisplay.from_estimator(model, X, target="2")
    with pytest.raises(ValueError, match="target == 2, must be <= 1"):
        WindowDisplay.from_estimator(numbers, X, target=2)
    with pytest.raises(TypeError, match="shows a HiPPOClassifier or HiPPORegressor, got HiPPOTransformer"):
        WindowDisplay.from_estimator(HiPPOTransformer(), X)
    with pytest.raises(NotFittedError):
        WindowDisplay.from_estimator(HiPPOClassifier(), X)
    with pytest.raises(ValueError, match="ax must be an array of 3 Axes"):
        display.plot(plt.subplots()[1])
    with pytest.raises(ValueError, match="has no observations"):
        WindowDisplay.from_estimator(model, [np.empty((0, 2))])
