"""Lists of series, padded arrays and columns of cells as values, times and offsets: parts of a panel."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from ._columns import (
    as_python,
    as_times,
    as_values,
    capital,
    is_none,
    lists_of,
    refuse_masked,
)
from ._ids import called_series, named_index

Array = NDArray[Any]
Name = Callable[[int], str]  # how a series is called, "series 3" or with its id


class Series(NamedTuple):
    """One series: times may be None, kind is None, "numbers", "datetime", perhaps with a time zone, or "timedelta"."""

    values: Array  # (length, n_channels)
    times: Array | None
    kind: str | None
    names: tuple[str, ...] | None


class Parts(NamedTuple):
    """Series end to end, as a panel has them."""

    values: Array
    times: Array | None
    offsets: Array
    channel_names: tuple[str, ...] | None


# --- lists -----------------------------------------------------------------------------------------------


def read_list(series: Sequence[Any], name: Name = called_series) -> Parts:
    """Series as arrays, tuples (times, values), or objects of pandas or polars; errors call them by name."""
    alike = _read_alike(series)
    return join([read_series(item, name(i)) for i, item in enumerate(series)], name) if alike is None else alike


def read_series(item: Any, where: str) -> Series:
    """One of them."""
    index = names = None
    if is_none(item):
        return Series(np.empty((0, 1)), None, None, None)
    if isinstance(item, tuple):
        if len(item) != 2:
            raise ValueError(f"{capital(where)} is a tuple of {len(item)}; (times, values) is needed.")
        index, item = item
        if not hasattr(index, "__len__") and not hasattr(item, "__len__"):
            raise ValueError(
                f"{capital(where)} is the tuple ({index!r}, {item!r}), and a tuple is (times, values), each with an "
                "entry for every observation. Values alone come as a list."
            )
    elif hasattr(item, "iloc"):  # pandas
        index = named_index(item)
    if hasattr(item, "columns"):
        names = tuple(str(name) for name in item.columns)
    values = as_values(item, where)
    if values.ndim == 0:
        raise ValueError(
            f"{capital(where)} is a single number. X is a collection of series; put a single series into a list: "
            "[series]."
        )
    if values.ndim > 2:
        raise ValueError(f"{capital(where)} has shape {values.shape}; (length,) or (length, n_channels) is needed.")
    times, kind = (None, None) if index is None else as_times(index, f"times of {where}")
    if times is not None and times.shape != (len(values),):
        raise ValueError(f"{capital(where)} has {len(values)} observations and times of shape {times.shape}.")
    return Series(values[:, None] if values.ndim == 1 else values, times, kind, names)


def _read_alike(series: Sequence[Any]) -> Parts | None:
    """Series that are arrays of the same kinds, converted all at once; None if they are not, or not valid."""
    names, blocks = None, series
    stamps: Sequence[Any] | None = None
    if isinstance(series[0], tuple):
        if not _all_same(map(type, series)) or not _all_same(map(len, series)) or len(series[0]) != 2:
            return None
        stamps, blocks = zip(*series, strict=True)
    elif hasattr(series[0], "iloc") and _all_same(map(type, series)):  # pandas
        indices = [item.index for item in series]
        kinds = {(type(index).__name__, getattr(index, "tz", None) is None) for index in indices}
        if len(kinds) > 1 or next(iter(kinds))[0] not in ("Index", "DatetimeIndex"):
            return None
        stamps, blocks = [index.values for index in indices], [item.to_numpy() for item in series]
        if hasattr(series[0], "columns"):
            if not all(item.columns is series[0].columns or item.columns.equals(series[0].columns) for item in series):
                return None
            names = tuple(str(name) for name in series[0].columns)
    if not _are_arrays(blocks, "f") or blocks[0].dtype.itemsize not in (4, 8) or blocks[0].ndim not in (1, 2):
        return None
    lengths = np.fromiter(map(len, blocks), np.intp, len(blocks))
    if not lengths.all() or 0 in blocks[0].shape[1:]:
        return None
    times = None
    if stamps is not None:
        if not _are_arrays(stamps, "fiumM") or stamps[0].ndim != 1 or list(map(len, stamps)) != lengths.tolist():
            return None
        try:
            times = as_times(np.concatenate(stamps), "times")[0]
        except (TypeError, ValueError):
            return None
    width = blocks[0].shape[1] if blocks[0].ndim == 2 else 1
    if stamps is None and width > lengths.max() > 1:
        warn_transposed(width, lengths.max())
    # A single series is not copied: it may be long.
    values = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    return Parts(values.reshape(-1, width), times, np.concatenate([[0], np.cumsum(lengths)]), names)


def _all_same(things: Iterable[Any]) -> bool:
    return len(set(things)) == 1


def _are_arrays(arrays: Sequence[Any], kinds: str) -> bool:
    """Whether all are arrays of one dtype, of one of these kinds, that differ in length only."""
    if {type(array) for array in arrays} != {np.ndarray}:
        return False
    dtype = arrays[0].dtype
    return dtype.kind in kinds and dtype.isnative and _all_same((array.dtype, array.shape[1:]) for array in arrays)


def join(parts: list[Series], name: Name = called_series, *, oriented: bool = False) -> Parts:
    """Put series end to end; ``oriented`` if time is known to run along their first axis."""
    lengths = [len(part.values) for part in parts]
    # What is empty says nothing of channels, times and names.
    told = [i for i, part in enumerate(parts) if len(part.values) or part.names is not None] or [0]
    head = parts[told[0]]
    n_channels = head.values.shape[1]
    for i in told:
        part = parts[i]
        if part.values.shape[1] != n_channels:
            raise ValueError(
                f"{capital(name(i))} has {part.values.shape[1]} channels, {name(told[0])} has {n_channels}. An array "
                "of one series has shape (length, n_channels); transpose arrays of shape (n_channels, length)."
            )
        if part.names is not None and part.names != head.names:
            raise ValueError(
                f"{capital(name(i))} has the columns {list(part.names)}, {name(told[0])} has "
                f"{None if head.names is None else list(head.names)}. Give all series the same columns in the same "
                "order."
            )
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    parts = [part for part in parts if len(part.values)]
    if not parts:
        return Parts(np.empty((0, n_channels), head.values.dtype), None, offsets, head.names)
    bare = all(part.times is None and part.names is None for part in parts)
    if bare and not oriented and n_channels > max(lengths) > 1:
        warn_transposed(n_channels, max(lengths))
    kinds = {part.kind: int(i) for i, part in reversed(list(zip(np.flatnonzero(lengths), parts, strict=True)))}
    if len(kinds.keys() - {None}) > 1 or (None in kinds and kinds.keys() - {None, "numbers"}):
        mixed = ", ".join(f"{name(i)}: {kind or 'no times'}" for kind, i in sorted(kinds.items(), key=lambda k: k[1]))
        raise TypeError(f"The times of the series are of different kinds ({mixed}). Give all of them the same kind.")
    times = None
    if kinds.keys() != {None}:
        stamps = [np.arange(len(part.values), dtype=np.float64) if part.times is None else part.times for part in parts]
        times = stamps[0] if len(stamps) == 1 else np.concatenate(stamps)
    values = parts[0].values if len(parts) == 1 else np.concatenate([part.values for part in parts])
    return Parts(values, times, offsets, head.names)


def warn_transposed(n_channels: int, length: int) -> None:
    """Warn of arrays that seem to have their time along the wrong axis."""
    warnings.warn(
        f"X has more channels ({n_channels}) than time points ({length}). Time runs along the first axis of a series; "
        "for arrays of shape (n_series, n_channels, length) use Panel.from_numpy3D.",
        UserWarning,
        stacklevel=5,
    )


# --- padded arrays ---------------------------------------------------------------------------------------


def read_padded(X: Any, lengths: Any = None, time_channel: Any = None) -> Parts:
    """Series of an array of shape (n_series, max_length, n_channels), or (n_series, max_length)."""
    X = as_values(X, "X")
    if X.ndim == 2 and time_channel is None:
        X = X[:, :, None]
    if X.ndim != 3:
        raise ValueError(f"X must have shape (n_series, max_length, n_channels), got {X.shape}.")
    if 0 in X.shape:
        raise ValueError(f"X is empty: its shape is {X.shape}.")
    n_series, max_length, _ = X.shape
    if lengths is None:
        observed = np.asarray(~np.isnan(X).all(axis=2))
        lengths = np.where(observed.any(axis=1), max_length - np.argmax(observed[:, ::-1], axis=1), 0)
    else:
        refuse_masked(lengths, "lengths")
        lengths = np.asarray(lengths)
        if lengths.shape != (n_series,) or lengths.dtype.kind not in "iu":
            raise ValueError(f"lengths must be {n_series} integers, one for each series.")
        wrong = np.flatnonzero((lengths < 0) | (lengths > max_length))
        if len(wrong):
            i = wrong[0]
            raise ValueError(f"Series {i}: length {lengths[i]} is not between 0 and {max_length}.")
    kept = np.arange(max_length) < lengths[:, None]
    values = X.reshape(-1, X.shape[2]) if kept.all() else X[kept]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    times = None
    if time_channel is not None:
        if isinstance(time_channel, (bool, np.bool_)):
            raise TypeError("time_channel must be the number of a channel, got a bool.")
        time_channel = check_scalar(time_channel, "time_channel", Integral)
        if not -X.shape[2] <= time_channel < X.shape[2]:
            raise ValueError(f"time_channel={time_channel}, but X has {X.shape[2]} channels.")
        if X.shape[2] == 1:
            raise ValueError("X has no channel but that of the times.")
        times = values[:, time_channel]
        values = np.delete(values, time_channel, axis=1)
    return Parts(values, times, offsets, None)


# --- cells -----------------------------------------------------------------------------------------------


def read_cells(columns: list[Any], names: list[str] | None, name: Name = called_series) -> Parts:
    """Columns of cells: each cell a channel of a series, or several of them, named after the column and numbered."""
    if len(columns) == 1 and (found := lists_of(columns[0])):
        elements, offsets = found  # lists of Arrow are laid out as a panel is
        return Parts(as_values(elements, "values")[:, None], None, offsets, None if names is None else tuple(names))
    labels = names or [str(c) for c in range(len(columns))]
    rows = list(zip(*([as_python(cell) for cell in column] for column in columns), strict=True))
    read: list[list[Series | None]] = []
    for i, row in enumerate(rows):
        absent = [is_none(cell) or (isinstance(cell, float) and cell != cell) for cell in row]
        wrong = [c for c, cell in enumerate(row) if not absent[c] and not hasattr(cell, "__len__")]
        if wrong:
            raise ValueError(
                f"{capital(name(i))}, channel {labels[wrong[0]]!r}: the cell holds no series, but {row[wrong[0]]}."
            )
        read.append([None if absent[c] else read_series(cell, name(i)) for c, cell in enumerate(row)])
    widths = []
    for c, cells in enumerate(zip(*read, strict=True)):
        sizes = [(part.values.shape[1], i) for i, part in enumerate(cells) if part is not None] or [(1, 0)]
        width, first = sizes[0]
        for other, i in sizes:
            if other != width:
                raise ValueError(
                    f"Channel {labels[c]!r}: the cell of {name(first)} has {width} channels, that of {name(i)} has "
                    f"{other}."
                )
        widths.append(width)
    channels = None
    if names is not None:
        wide = zip(names, widths, strict=True)
        channels = tuple(own if width == 1 else f"{own}_{k}" for own, width in wide for k in range(width))
    series = [_join_channels(cells, name(i), labels, widths, channels) for i, cells in enumerate(read)]
    return join(series, name, oriented=max(widths) > 1)


def _join_channels(
    cells: list[Series | None], where: str, labels: list[str], widths: list[int], channels: tuple[str, ...] | None
) -> Series:
    """One series of the cells of a row, which share their times; an absent cell was not observed."""
    first = next((c for c, part in enumerate(cells) if part is not None), None)
    if first is None:
        return Series(np.empty((0, sum(widths))), None, None, channels)
    head = cells[first]
    assert head is not None
    blocks = []
    for c, part in enumerate(cells):
        if part is None:
            blocks.append(np.full((len(head.values), widths[c]), np.nan))
            continue
        if len(part.values) != len(head.values):
            raise ValueError(
                f"{capital(where)}: channel {labels[c]!r} has {len(part.values)} observations, channel "
                f"{labels[first]!r} has {len(head.values)}. Channels share their times; write NaN where one was not "
                "observed."
            )
        same = part.kind == head.kind and (
            part.times is None or head.times is None or np.array_equal(part.times, head.times)
        )
        if not same:
            times, others = (np.arange(len(own.values)) if own.times is None else own.times for own in (part, head))
            position = int(np.argmax(times != others))
            raise ValueError(
                f"{capital(where)}: the times of channel {labels[c]!r} differ from those of channel {labels[first]!r}, "
                f"at position {position}. Channels of a series share their times, with NaN where one was not observed; "
                "Panel.from_long(channel=...) reads channels with times of their own."
            )
        blocks.append(part.values)
    return Series(np.concatenate(blocks, axis=1), head.times, head.kind, channels)
