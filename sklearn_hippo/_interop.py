"""What other libraries of time series make of them: aeon, pyrregular."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._columns import as_times, as_values
from ._reading import Parts, Series, join, read_padded

Array = NDArray[Any]


def read_aeon(X: Any) -> Parts:
    """Series of a collection of aeon, of shape (n_channels, length) each."""
    if isinstance(X, (str, bytes, dict)) or not isinstance(X, (Sequence, np.ndarray)):
        raise TypeError(f"A collection of aeon is an array or a list of arrays, got {type(X).__name__}.")
    if len(X) == 0:
        raise ValueError("The collection is empty: at least one series is needed.")
    if isinstance(X, np.ndarray) and X.dtype != object:
        X = as_values(X, "X")
        if X.ndim != 3:
            raise ValueError(f"X must have shape (n_series, n_channels, length), got {X.shape}.")
        return read_padded(X.transpose(0, 2, 1), np.full(len(X), X.shape[2]))
    series = [as_values(array, f"series {i}") for i, array in enumerate(X)]
    flat = [i for i, array in enumerate(series) if array.ndim != 2]
    if flat:
        raise ValueError(f"Series {flat[0]} has shape {series[flat[0]].shape}; (n_channels, length) is needed.")
    return join([Series(array.T, None, None, None) for array in series], oriented=True)


def to_aeon(panel: Iterable[tuple[Array, Array]]) -> Array | list[Array]:
    """A collection of aeon: an array if all series are equally long."""
    series = [np.ascontiguousarray(values.T) for _, values in panel]
    return np.stack(series) if len({array.shape for array in series}) == 1 else series


def read_pyrregular(data: Any) -> tuple[Parts, Array | None]:
    """Series of a data set of pyrregular, and their ids."""
    dims = tuple(getattr(data, "dims", ()))
    if dims != ("ts_id", "signal_id", "time_id"):
        raise ValueError(f"A data set of pyrregular has the dims ts_id, signal_id and time_id, got {dims}.")
    array = data.data
    if not hasattr(array, "coords"):
        raise TypeError(f"A data set of pyrregular is a sparse.COO inside, got {type(array).__name__}.")
    n_series, n_channels, n_times = array.shape
    stamps = as_times(data["time_id"].values, "time_id")[0]
    entries = as_values(array.data, "data")
    seen = ~np.isnan(entries)
    series, channel, position = (np.asarray(axis, np.intp)[seen] for axis in array.coords)
    rank = np.empty(n_times, np.intp)
    rank[np.argsort(stamps, kind="stable")] = np.arange(n_times)
    cells, rows = np.unique(series * n_times + rank[position], return_inverse=True)
    values = np.full((len(cells), n_channels), np.nan, entries.dtype)
    values[rows, channel] = entries[seen]
    lengths = np.bincount(cells // n_times, minlength=n_series)
    names = [str(name) for name in data["signal_id"].values]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    times = np.sort(stamps)[cells % n_times]
    ids = data["ts_id"].values if "ts_id" in getattr(data, "coords", ()) else None
    return Parts(values, times, offsets, tuple(names)), ids
