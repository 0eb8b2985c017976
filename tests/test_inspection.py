import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_hippo import HiPPOTransformer, Panel
from sklearn_hippo._measures import MEASURES
from sklearn_hippo.inspection import MeasureDisplay, MemoryDisplay, ReconstructionDisplay

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
    density = MEASURES[measure].density
    middles = (np.arange(1_000_000) + 0.5) / 1_000_000 * (40 if measure in ("lagt", "legs_lti") else 1)
    assert_allclose(density(middles).mean() * (40 if measure in ("lagt", "legs_lti") else 1), 1, atol=1e-3)
    assert density(np.array([-0.1]))[0] == 0


def test_without_matplotlib_the_error_says_so(series, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"ReconstructionDisplay\.plot requires matplotlib"):
        ReconstructionDisplay.from_estimator(HiPPOTransformer(order=3).fit(series), series)
