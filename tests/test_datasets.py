import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.datasets._base import RemoteFileMetadata

from sklearn_hippo import Panel, datasets
from sklearn_hippo.datasets import (
    drop_observations,
    fetch_character_trajectories,
    jitter_times,
    load_japanese_vowels,
    load_plaid,
    load_sktime,
    scale_time,
    subsample,
)


@pytest.mark.parametrize("name", sorted(datasets.SKTIME_DATASETS))
def test_sktime_sets_load(name):
    pytest.importorskip("sktime")
    train, y_train = load_sktime(name, "train")
    test, y_test = load_sktime(name, "test")
    both, y = load_sktime(name)
    assert len(train) == len(y_train)
    assert len(test) == len(y_test)
    assert len(both) == len(y) == len(train) + len(test)
    assert y.dtype.kind == ("f" if name in ("Covid3Month", "Tecator") else y.dtype.kind)
    assert both.times is None or (both[0][0] == np.arange(both.lengths[0])).all()


def test_the_sets_are_the_documented_ones():
    pytest.importorskip("sktime")
    panel, y = load_japanese_vowels("train")
    assert (len(panel), panel.n_channels, panel.lengths.min(), panel.lengths.max()) == (270, 12, 7, 26)
    assert len(np.unique(y)) == 9
    panel, y = load_plaid()
    assert (len(panel), panel.n_channels, panel.lengths.min(), panel.lengths.max()) == (1074, 1, 100, 1344)
    assert len(np.unique(y)) == 11


def test_without_sktime_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sktime.datasets", None)
    with pytest.raises(ImportError, match=r"pip install .sklearn-hippo\[sktime\]"):
        load_plaid()


@pytest.fixture
def letters(tmp_path, monkeypatch):
    """A file of the layout of CharacterTrajectories.npz, where it would be downloaded from, and an empty home."""
    source = tmp_path / "source" / "CharacterTrajectories.npz"
    source.parent.mkdir()
    np.savez(source, values=np.arange(12.0).reshape(4, 3), offsets=[0, 1, 4], y=[1, 0], classes=np.array(["a", "b"]),
             channel_names=np.array(["x", "y", "force"]))  # fmt: skip
    checksum = sha256(source.read_bytes()).hexdigest()
    remote = RemoteFileMetadata("CharacterTrajectories.npz", source.as_uri(), checksum)
    monkeypatch.setattr(datasets, "_CHARACTER_TRAJECTORIES", remote)
    monkeypatch.delenv("SKLEARN_HIPPO_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "scikit"))
    return source


def test_fetch_downloads_once_and_then_takes_the_copy(letters, tmp_path):
    with pytest.raises(OSError, match="download_if_missing is False"):
        fetch_character_trajectories(download_if_missing=False)
    panel, y = fetch_character_trajectories()
    assert panel.channel_names == ("x", "y", "force")
    assert_array_equal(panel.lengths, [1, 3])
    assert_array_equal(y, ["b", "a"])
    assert (tmp_path / "scikit" / "sklearn_hippo" / "CharacterTrajectories.npz").exists()
    letters.unlink()
    fetch_character_trajectories(download_if_missing=False)
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch_character_trajectories(tmp_path / "elsewhere")


def test_fetch_takes_a_local_copy_first(letters, monkeypatch, tmp_path):
    monkeypatch.setenv("SKLEARN_HIPPO_DATA", str(letters.parent))
    assert len(fetch_character_trajectories(download_if_missing=False)[0]) == 2
    assert not (tmp_path / "scikit" / "sklearn_hippo").exists()
    letters.write_bytes(b"damaged")
    with pytest.raises(OSError, match="checksum differs"):
        fetch_character_trajectories()


def test_fetch_offline_says_what_to_do(letters, monkeypatch):
    gone = RemoteFileMetadata("CharacterTrajectories.npz", "http://127.0.0.1:9/none.npz", "0")
    monkeypatch.setattr(datasets, "_CHARACTER_TRAJECTORIES", gone)
    with pytest.raises(OSError, match="SKLEARN_HIPPO_DATA"):
        fetch_character_trajectories()


def test_the_real_letters():
    try:
        panel, y = fetch_character_trajectories(download_if_missing=False)
    except OSError:
        pytest.skip("no local copy of CharacterTrajectories")
    assert (len(panel), panel.n_channels, panel.lengths.min(), panel.lengths.max()) == (2858, 3, 60, 182)
    assert len(np.unique(y)) == 20


@st.composite
def timed_panels(draw):
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    times = 2 * np.arange(sum(lengths)) + rng.uniform(size=sum(lengths)) if draw(st.booleans()) else None
    values = np.arange(2.0 * sum(lengths)).reshape(-1, 2)
    values[rng.uniform(size=len(values)) < 0.2, 0] = np.nan
    return Panel(values, times, np.concatenate([[0], np.cumsum(lengths)]), channel_names=["a", "b"])


@given(timed_panels(), st.floats(0, 0.99), st.integers(0, 5))
def test_drop_observations(panel, fraction, seed):
    before = panel.values.copy()
    sparse = drop_observations(panel, fraction, seed)
    expected = np.maximum(1, panel.lengths - np.round(fraction * panel.lengths)).astype(int)
    assert_array_equal(sparse.lengths, expected)
    assert sparse.channel_names == panel.channel_names
    for (t, x), (s, y) in zip(sparse, panel, strict=True):
        where = np.searchsorted(s, t)
        assert_array_equal(s[where], t)
        assert_array_equal(y[where], x)
    assert_array_equal(drop_observations(panel, fraction, seed).times, sparse.times)
    assert_array_equal(panel.values, before)


@given(timed_panels(), st.floats(0, 0.99), st.integers(0, 5))
def test_drop_single_values(panel, fraction, seed):
    holes = drop_observations(panel, fraction, seed, by_channel=True)
    kept = ~np.isnan(holes.values)
    assert_array_equal(holes.values[kept], panel.values[kept])
    for (_, x), (_, y) in zip(holes, panel, strict=True):
        assert_array_equal(np.isnan(x).all(axis=0), np.isnan(y).all(axis=0))


def test_the_fraction_is_dropped():
    panel = Panel(np.zeros((20_000, 1)))
    assert abs(np.isnan(drop_observations(panel, 0.3, 0, by_channel=True).values).mean() - 0.3) < 0.02


@given(timed_panels(), st.integers(1, 7))
def test_subsample(panel, step):
    for (t, x), (s, y) in zip(subsample(panel, step), panel, strict=True):
        assert_array_equal(t, s[::step])
        assert_array_equal(x, y[::step])


@given(timed_panels(), st.floats(0.1, 10))
def test_scale_time(panel, factor):
    for (t, _), (s, _) in zip(scale_time(panel, factor), panel, strict=True):
        assert_array_equal(t, factor * s)


@given(timed_panels(), st.floats(0, 1), st.integers(0, 5))
def test_jitter_times(panel, scale, seed):
    jittered = jitter_times(panel, scale, seed)
    assert_array_equal(jittered.values, panel.values)
    for (t, _), (s, _) in zip(jittered, panel, strict=True):
        assert t[0] == s[0]
        assert t[-1] == s[-1]
        assert (np.diff(t) >= 0).all()
        assert (np.abs(t - s)[1:-1] <= scale / 2 * np.maximum(np.diff(s)[:-1], np.diff(s)[1:]) + 1e-9).all()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(drop_observations, (1.0,)), (drop_observations, (-0.1,)), (subsample, (0,)), (scale_time, (0.0,)),
     (jitter_times, (2.0,)), (load_sktime, ())],
)  # fmt: skip
def test_parameters_are_checked(function, arguments):
    first = "NoSuchSet" if function is load_sktime else Panel([1.0, 2.0])
    with pytest.raises(ValueError, match="must be"):
        function(first, *arguments)
    if function is not load_sktime:
        with pytest.raises(ValueError, match="'panel' parameter"):
            function([1.0, 2.0], 0.5)


def test_nothing_of_the_data_is_in_the_package():
    assert not list(Path(datasets.__file__).parent.rglob("*.npz"))
