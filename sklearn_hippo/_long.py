"""Long tables, which have a row for every observation: as a panel's values, times and offsets, or row by row."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._columns import all_finite, as_values, column_of, flatten, names_in, read_times
from ._ext_tables import sort
from ._ids import called, codes_of, grouped, ids_of, items_of

Array = NDArray[Any]


class Rows(NamedTuple):
    """The rows of a long table, in its order, or, of a tall one, those of the wide one that it makes."""

    values: Array  # (n_rows, n_channels)
    ticks: Array  # times, to sort by
    stamps: Array  # times as float64
    codes: NDArray[np.intp]  # which series they are of
    names: list[str]  # of the channels
    keys: list[str]  # of the ids
    kind: str  # of the times
    positions: NDArray[np.intp] | None  # in the table, where they are not 0, 1, 2, ...


# Numbers for the rows of columns of ids, and what tells the id that a number stands for.
Coder = Callable[[dict[str, Any]], tuple[NDArray[np.intp], Callable[[int], Any]]]


def read_long(
    frame: Any, id: Any, time: Any, values: Any, channel: str | None, channels: Sequence[Any] | None
) -> tuple[Array, Array, Array, list[str], Array, list[str]]:
    """Values, times, offsets, channel names, ids and their names of a long table; see `Panel.from_long`."""
    found: list[Array] = []

    def code(columns: dict[str, Any]) -> tuple[NDArray[np.intp], Callable[[int], Any]]:
        codes, ids = ids_of(columns)
        found.append(ids)
        return codes, ids.__getitem__

    rows = read_rows(frame, id, time, values, channel, channels, code)
    if not found:
        raise ValueError("The table has no rows: at least one series is needed.")
    block, stamps, codes, ids = rows.values, rows.stamps, rows.codes, found[0]
    order = sorted_rows(codes, rows.ticks)
    if order is not None:
        codes, stamps, block = codes[order], stamps[order], block[order]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))])
    return block, stamps, offsets, rows.names, ids, rows.keys


def sorted_rows(codes: NDArray[np.intp], ticks: Array) -> NDArray[np.intp] | None:
    """The order of rows by series and time, those of one time as they come; None if they are in order."""
    same = codes[1:] == codes[:-1]
    if (codes[1:] >= codes[:-1]).all() and (~same | (ticks[1:] >= ticks[:-1])).all():
        return None
    order, other = np.empty(len(codes), np.intp), np.empty(len(codes), np.intp)
    codes, ticks = np.ascontiguousarray(codes), np.ascontiguousarray(ticks)
    return order if sort(codes, ticks, order, other, 16 * len(codes)) else np.lexsort((ticks, codes))


def read_rows(
    frame: Any, id: Any, time: Any, values: Any, channel: str | None, channels: Sequence[Any] | None, code: Coder,
    *, strict: bool = False,
) -> Rows:  # fmt: skip
    """Check and read a long table; ids are numbered by ``code``, which a table without rows does not meet.

    If ``strict``, a tall table must have no other channels than ``channels``.
    """
    names = names_in(values)
    if not names:
        raise ValueError("values names no columns: at least one channel is needed.")
    if len(set(map(str, names))) < len(names):
        raise ValueError(f"values names a column twice: {names!r}.")
    if channel is not None and len(names) > 1:
        raise ValueError(f"A tall table has one column of values, beside {channel!r}; values={names!r} names several.")
    if channels is not None and channel is None:
        raise ValueError("channels chooses among those that the column channel=... of a tall table names.")
    frame, groups = grouped(frame, id)
    keys = list(groups) if id is None else names_in(id)
    if not keys:
        raise ValueError(
            "from_long needs id=..., the column that tells which series a row belongs to. A table of one series is "
            "Panel.from_list([(table[time], table[values])])."
        )
    lists = [time, *names_in(channel), *names]
    if len(lists) != len(names) + 1 + (channel is not None) or isinstance(time, (list, tuple)):
        raise ValueError(f"time and channel name one column each, got time={time!r} and channel={channel!r}.")
    roles = [*names_in(id), *lists]
    twice = [name for name in roles if roles.count(name) > 1]
    if twice:
        raise ValueError(f"Column {twice[0]!r} is named twice: id, time, values and channel are different columns.")
    columns = groups | {name: column_of(frame, name) for name in [*keys, *lists] if name not in groups}
    n_rows = len(columns[keys[0]])
    for name, column in columns.items():
        if len(column) != n_rows:
            raise ValueError(f"Column {name!r} has {len(column)} rows, column {keys[0]!r} has {n_rows}.")
    told = [str(key) for key in keys]
    if n_rows == 0:
        nothing, no_codes = np.empty(0), np.empty(0, np.intp)
        empty = np.empty((0, len(names)))
        return Rows(empty, nothing, nothing, no_codes, [str(name) for name in names], told, "", None)
    codes, id_of = code({name: columns[name] for name in keys})
    codes, where = flatten(columns, lists, codes)

    def of(row: int) -> str:
        return f", of {called(id_of(codes[row]), tuple(keys))}"

    ticks, stamps, kind = read_times(columns[time], f"column {time!r}{where}", of)
    if not all_finite(stamps):
        row = np.flatnonzero(~np.isfinite(stamps))[0]
        raise ValueError(f"Column {time!r}{where}: no finite time at position {row}{of(row)}.")
    read = [as_values(columns[name], f"column {name!r}{where}", of) for name in names]
    block = read[0][:, None] if len(read) == 1 else np.stack(read, axis=1)
    if not all_finite(block) and np.isinf(block).any():
        row, wrong = np.argwhere(np.isinf(block))[0]
        raise ValueError(
            f"Column {names[wrong]!r}{where}: infinite value at position {row}{of(row)}. Write NaN where a channel was "
            "not observed."
        )
    positions = None
    if channel is not None:
        kinds, place = _places(columns[channel], channel, channels, of if strict else None)
        names = [str(kind) for kind in kinds]
        rows, positions, cells, n_rows = _widen(place, ticks, codes)
        wide = np.full((n_rows, len(names)), np.nan, block.dtype)
        wide[cells, place[rows]] = block[rows, 0]
        codes, ticks, stamps, block = codes[positions], ticks[positions], stamps[positions], wide
    return Rows(block, ticks, stamps, codes, [str(name) for name in names], told, kind, positions)


def _places(
    column: Any, name: str, channels: Sequence[Any] | None, of: Callable[[int], str] | None
) -> tuple[list[Any], NDArray[np.intp]]:
    """Channels of a tall table, and of every row the number of its channel.

    It is -1 for none of them; given how to speak ``of`` a row, that is an error.
    """
    codes, first = codes_of(column, name, "channel")
    found = items_of(column, first).tolist()
    wanted = sorted(found, key=str) if channels is None else names_in(channels)
    spelled = {str(item): item for item in found}
    if len(spelled) == len(found):  # as a panel names its channels
        wanted = [spelled.get(item, item) if isinstance(item, str) and item not in found else item for item in wanted]
    if not wanted or len(set(map(repr, wanted))) < len(wanted):
        raise ValueError(f"channels must be different channels of the column {name!r}, got {wanted!r}.")
    place = np.array([wanted.index(item) if item in wanted else -1 for item in found])
    if of is not None and (place < 0).any():
        row = int(np.flatnonzero(place[codes] < 0)[0])
        raise ValueError(
            f"Column {name!r}: {found[codes[row]]!r} at position {row}{of(row)} is none of the channels {wanted!r}."
        )
    if not any(item in found for item in wanted):
        raise ValueError(f"None of the channels {wanted!r} is in the column {name!r}, which has {found[:10]!r}.")
    return wanted, place[codes]


def _widen(
    place: NDArray[np.intp], ticks: Array, codes: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], int]:
    """How the rows of a tall table become those of a wide one, which has one for every series and time.

    Where a channel has several values at a time, there are as many rows as that. Returns the rows that are read, in
    order, and the wide row of each; for each wide row, the tall row whose series and time it has; and their number.
    """
    rows = np.lexsort((place, ticks, codes))  # stable: several values of one channel and time stay in their order
    rows = rows[place[rows] >= 0]
    position = np.arange(len(rows))

    def changes(x: Array) -> NDArray[np.bool_]:
        return np.concatenate([[True], x[rows[1:]] != x[rows[:-1]]])

    stamp = changes(codes) | changes(ticks)
    again = position - np.maximum.accumulate(np.where(stamp | changes(place), position, 0))
    block = np.cumsum(stamp) - 1
    depth = np.zeros(block[-1] + 1, np.intp)
    np.maximum.at(depth, block, again + 1)
    cells = (np.cumsum(depth) - depth)[block] + again
    return rows, rows[np.repeat(np.flatnonzero(stamp), depth)], cells, int(depth.sum())
