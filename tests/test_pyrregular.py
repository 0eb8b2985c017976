"""Data sets of pyrregular: xarray over sparse arrays. Stand-ins of the same shape; the real ones where installed."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_hippo import Panel


class StandIn(dict):
    """What `Panel.from_pyrregular` looks at in an xarray.DataArray."""

    dims = ("ts_id", "signal_id", "time_id")

    def __init__(self, coords, data, shape, times, signals):
        super().__init__(time_id=SimpleNamespace(values=times), signal_id=SimpleNamespace(values=np.array(signals)))
        self.data = SimpleNamespace(coords=np.array(coords), data=np.array(data), shape=shape)


def irregular(times=(10.0, 2.0, 7.0, 7.5)):
    # series 0: a at 10 and 2, b at 2; series 1: b at 7; an explicit NaN is no observation
    coords = [[0, 0, 0, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 2, 3]]
    return StandIn(coords, [1.0, 2.0, 3.0, 4.0, np.nan], (2, 2, 4), np.asarray(times), ["a", "b"])


def test_a_sparse_array_is_a_panel():
    panel = Panel.from_pyrregular(irregular())
    assert panel.channel_names == ("a", "b")
    (times, values), (other_times, other) = panel
    assert_array_equal(times, [2, 10])
    assert_array_equal(values, [[2, 3], [1, np.nan]])
    assert_array_equal(other_times, [7])
    assert_array_equal(other, [[np.nan, 4]])


def test_datetimes_are_seconds():
    days = np.array(["2026-01-11", "2026-01-03", "2026-01-08", "2026-01-09"], "datetime64[ns]")
    assert_array_equal(Panel.from_pyrregular(irregular(days)).durations, [8 * 86400, 0])


def test_what_is_no_data_set():
    with pytest.raises(ValueError, match="has the dims ts_id, signal_id and time_id"):
        Panel.from_pyrregular(np.zeros((2, 3)))
    dense = irregular()
    dense.data = np.zeros((2, 2, 4))
    with pytest.raises(TypeError, match=r"is a sparse\.COO inside, got ndarray"):
        Panel.from_pyrregular(dense)
    empty = irregular()
    empty.data.shape = (3, 2, 4)
    assert Panel.from_pyrregular(empty).lengths[2] == 0


def test_xarray_over_sparse():
    xarray, sparse = pytest.importorskip("xarray"), pytest.importorskip("sparse")
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(5, 3, 40))
    dense[rng.uniform(size=dense.shape) < 0.7] = np.nan
    times = np.sort(rng.uniform(size=40))
    array = sparse.COO.from_numpy(dense, fill_value=np.nan)
    data = xarray.DataArray(array, dims=StandIn.dims, coords={"signal_id": list("xyz"), "time_id": times})
    panel = Panel.from_pyrregular(data)
    for one, (own, values) in zip(dense, panel, strict=True):
        seen = ~np.isnan(one).all(axis=0)
        assert_array_equal(own, times[seen])
        assert_array_equal(values, one[:, seen].T)
