"""Which series is which: columns of ids, of whatever kind and library, as arrays and as numbers."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._columns import is_none, names_in, one_chunk, to_numpy, unwrapped

Array = NDArray[Any]


def as_ids(ids: Any, n_series: int, names: Any = None) -> tuple[Array, tuple[str, ...] | None]:
    """Ids as an array of shape (n_series,), and their names, or those that a pandas index has."""
    own = [name for name in getattr(ids, "names", None) or () if name is not None]  # of a pandas index
    array = unwrapped(ids)
    if isinstance(array, np.ma.MaskedArray):
        masked, array = np.ma.getmaskarray(array), array.data.astype(object)
        array[masked] = None
    if isinstance(array, (list, tuple)):  # in an array of numpy's choice, 1 and "1" could be the same
        array = _objects(array)
    if isinstance(array, (str, bytes, dict, set)) or not hasattr(array, "__len__"):
        raise TypeError(f"ids must be a sequence, one for each series, got {type(array).__name__}.")
    array = _numbers_of(np.array(to_numpy(array)))
    if array.shape != (n_series,):
        raise ValueError(f"ids must have shape ({n_series},), one for each series, got {array.shape}.")
    widths = {len(cell) if isinstance(cell, tuple) else 0 for cell in array} if array.dtype == object else {0}
    if len(widths) > 1:
        raise ValueError("ids must all be tuples of one length, or none of them.")
    n_parts = max(*widths, 1)
    if array.dtype == object:
        cells = [part for cell in array for part in (cell if isinstance(cell, tuple) else (cell,))]
        missing = [k // n_parts for k, cell in enumerate(cells) if is_none(cell) or cell != cell]
    else:
        missing = np.flatnonzero(array != array).tolist()
    if missing:
        raise ValueError(f"ids: there is no id of series {missing[0]}.")
    if names is None:
        names = own if len(own) == n_parts else []
    names = tuple(str(name) for name in names_in(names))
    if names and (len(names) != n_parts or len(set(names)) < n_parts):
        raise ValueError(f"id_names must be {n_parts} different names, got {names!r}.")
    return array, names or None


def named_index(table: Any) -> Any:
    """The index of something of pandas, None if it says no more than 0, 1, 2, ..."""
    index = table.index
    return None if type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1 else index


def grouped(frame: Any, id: Any) -> tuple[Any, dict[str, Any]]:
    """The frame inside of a grouped one of pandas or polars, and the columns that it is grouped by."""
    if not type(frame).__name__.endswith("GroupBy"):
        return frame, {}
    if id is not None:
        raise ValueError(f"The table is grouped already, and its groups are the series: leave out id={id!r}.")
    if hasattr(frame, "ngroup"):  # pandas
        index = frame.size().index
        code = frame.ngroup().to_numpy()
        absent = ~(code >= 0)
        if absent.any():
            raise ValueError(f"The table has no id at position {np.flatnonzero(absent)[0]}.")
        names = [f"id_{k}" if name is None else name for k, name in enumerate(index.names)]
        return frame.obj, {name: index.get_level_values(k).take(code) for k, name in enumerate(names)}
    rows = frame.all()  # polars: a row for every group, ids and lists of all else
    keys = [name for name in rows.columns if not str(rows[name].dtype).startswith("List")]
    return rows, {name: rows[name] for name in keys}


def _objects(cells: Any) -> Array:
    """A one-dimensional array of objects, whatever they are."""
    return np.fromiter(cells, dtype=object, count=len(cells))


def _numbers_of(array: Array) -> Array:
    """Integers among objects as an array of integers, if there is nothing else."""
    if array.dtype == object and array.ndim == 1 and all(type(cell) is int for cell in array):
        return np.array(array.tolist() or array, dtype=np.int64) if max(map(abs, array), default=0) < 2**63 else array
    return array


def called(item: Any, names: tuple[str, ...] | None) -> str:
    """How to speak of an id."""
    cells = [
        cell.item() if isinstance(cell, np.generic) else cell for cell in (item if isinstance(item, tuple) else (item,))
    ]
    names = names or (("id",) if len(cells) == 1 else ())
    if not names:
        return f"id {tuple(cells)!r}"
    return ", ".join(f"{name} {cell!r}" for name, cell in zip(names, cells, strict=True))


def called_series(series: int, ids: Array | None = None, names: tuple[str, ...] | None = None) -> str:
    """How to speak of a series: by its position and its id."""
    return f"series {series}" if ids is None else f"series {series} ({called(ids[series], names)})"


def ids_of(columns: dict[str, Any]) -> tuple[NDArray[np.intp], Array]:
    """Number what columns of ids tell apart by its first appearance, and tell the ids."""
    codes, first = codes_of(*next((column, name) for name, column in columns.items()))
    for name, column in list(columns.items())[1:]:
        others = codes_of(column, name)[0]
        codes, first = _renumbered(codes * (int(others.max()) + 1) + others)
    cells = [items_of(column, first) for column in columns.values()]
    if len(cells) == 1:
        if cells[0].dtype == object and any(isinstance(cell, tuple) for cell in cells[0]):
            raise TypeError(f"Column {next(iter(columns))!r} holds tuples: give their parts as several columns of ids.")
        return codes, cells[0]
    return codes, _objects(list(zip(*(column.tolist() for column in cells), strict=True)))


def items_of(column: Any, rows: NDArray[np.intp]) -> Array:
    """Some cells of a column, as an array of their own kind."""
    if isinstance(column, (list, tuple)):
        return _numbers_of(_objects([column[row] for row in rows]))
    if hasattr(column, "iloc"):
        cells = np.asarray(column.iloc[rows])
    elif hasattr(column, "to_pylist"):  # pyarrow
        cells = _objects(column.take(rows).to_pylist())
    else:
        cells = to_numpy(column[rows])
    return _numbers_of(cells)


def codes_of(column: Any, name: str, what: str = "id") -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the ids of a column by their first appearance, and tell in which rows that is.

    The libraries hash what numpy would have to sort.
    """
    try:
        ids, missing = _comparable(column)
    except Exception as error:  # each library has its own
        raise TypeError(f"Column {name!r} holds no {what}s: {error}") from None
    if missing.any():
        raise ValueError(f"Column {name!r} has no {what} at position {np.flatnonzero(missing)[0]}.")
    try:
        return _renumbered(ids)
    except TypeError:
        raise TypeError(f"Column {name!r} mixes ids of different types, or holds what is no id.") from None


def _renumbered(ids: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    heads = np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1])  # where runs of one id begin
    _, first, codes = np.unique(ids[heads], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.repeat(rank[codes], np.diff(heads, append=len(ids))), heads[np.sort(first)]


def _comparable(column: Any) -> tuple[Array, NDArray[np.bool_]]:
    """Ids, or numbers that stand for them, and where they are missing."""
    if isinstance(column, np.ma.MaskedArray):
        return column.data, np.ma.getmaskarray(column)
    if hasattr(column, "factorize"):  # pandas
        ids = np.asarray(column.factorize()[0])
        return ids, ids < 0
    if isinstance(column, (list, tuple)):  # in an array of numpy's choice, 1 and "1" could be the same
        column = np.fromiter(column, dtype=object, count=len(column))
    kind = str(getattr(column, "type", ""))
    if kind.startswith("dictionary"):  # whose values may be repeated, or null
        column = column.cast(column.type.value_type)
        kind = str(column.type)
    if re.match(".*string", kind):  # pyarrow
        column = one_chunk(column.dictionary_encode()).indices
    elif hasattr(column, "to_physical") and column.dtype != column.to_physical().dtype:  # categories of polars
        column = column.to_physical()
    elif str(getattr(column, "dtype", "")) == "String":  # polars
        column = column.rank("dense")
    ids = to_numpy(column)
    if ids.ndim != 1:
        raise TypeError(f"its shape is {ids.shape}")
    if ids.dtype.kind == "O":
        return ids, np.array([is_none(item) or item != item for item in ids], dtype=bool)
    return ids, np.asarray(ids != ids)
