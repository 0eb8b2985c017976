"""Ids of a bank: as Python has them, without their libraries, and all of one kind."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from ._columns import is_none, unwrapped

# Units of NumPy's datetimes that those of Python do not have.
_FINE = ("ns", "ps", "fs", "as")


def cells_of(column: Any) -> list[Any]:
    """The cells of a column of ids, as Python has them."""
    column = unwrapped(column)
    if isinstance(column, (list, tuple)):
        return list(column)
    if isinstance(column, np.ndarray) and column.dtype.kind == "M" and np.datetime_data(column.dtype)[0] in _FINE:
        whole = column.astype("datetime64[us]")
        if (whole != column).any():
            raise ValueError(f"The id {column[whole != column][0]} is finer than a microsecond: give integers as ids.")
        column = whole
    for method in ("to_pylist", "tolist", "to_list"):
        if hasattr(column, method):
            return list(getattr(column, method)())
    return list(column)


def plain(item: Any) -> Any:
    """An id without its library; of the two hours of one name in autumn, each is another one."""
    if isinstance(item, tuple):
        return tuple(plain(part) for part in item)
    if isinstance(item, np.generic):
        return cells_of(np.array([item]))[0]
    if hasattr(item, "to_pydatetime") and not is_none(item):
        if getattr(item, "nanosecond", 0):
            raise ValueError(f"The id {item} is finer than a microsecond: give integers as ids.")
        item = item.to_pydatetime()
    return item.astimezone(UTC) if isinstance(item, datetime) and item.tzinfo is not None else item


def kind_of(item: Any) -> Any:
    return tuple(map(type, item)) if isinstance(item, tuple) else type(item)


def told_kind(kind: Any) -> str:
    """A kind of times, or of ids."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return ", ".join(str(getattr(part, "__name__", part)) for part in kinds)


def all_of(kind: type, column: list[Any], name: str) -> list[Any]:
    """One of several columns of ids, all of whose cells must be of a kind."""
    if set(map(type, column)) != {kind}:
        column = [plain(cell) for cell in column]
    for position, cell in enumerate(column if set(map(type, column)) != {kind} else ()):
        if type(cell) is not kind and not is_missing_id(cell):
            raise TypeError(
                f"Column {name!r}: {cell!r} at position {position} is of another kind ({type(cell).__name__}) than the "
                f"others ({kind.__name__})."
            )
    return column


def is_missing_id(item: Any) -> bool:
    if isinstance(item, tuple):
        return any(map(is_missing_id, item))
    return bool(is_none(item) or item != item)


def check_zones(before: Any, items: list[list[Any]], names: tuple[str, ...]) -> None:
    """Refuse columns of ids that are datetimes of which some have a time zone and others do not, as ``before`` may."""
    for k, (column, name) in enumerate(zip(items, names, strict=True)):
        known = [] if before is None else [before[k] if isinstance(before, tuple) else before]
        zones = [cell.tzinfo is None for cell in (*known, *column) if isinstance(cell, datetime)]
        if len(set(zones)) > 1:
            position = zones.index(not zones[0]) - len(known)
            raise TypeError(
                f"Column {name!r}: the id {column[position]!r} at position {position} has a time zone, or has none, "
                "other than those before."
            )
