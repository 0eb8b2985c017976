"""Columns of numbers, times and ids, as NumPy, pandas, polars, pyarrow and plain Python have them, as arrays.

Nothing here imports these libraries: what comes from them is known by what it can do.
"""

import re
from datetime import UTC, date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

Array = NDArray[Any]


# --- columns and cells -----------------------------------------------------------------------------------


def column_of(frame: Any, name: Any) -> Any:
    """One column, as pandas, polars, pyarrow, a structured array or a dictionary has it."""
    if hasattr(frame, "collect_schema") and not hasattr(frame, "to_arrow"):  # polars
        raise TypeError("The table is lazy: a panel needs its values. Use frame.collect().")
    names = getattr(frame, "column_names", getattr(frame, "columns", None))
    if names is None:
        names = getattr(getattr(frame, "dtype", None), "names", frame if hasattr(frame, "keys") else None)
    if names is None:
        raise TypeError(
            "A long table is a DataFrame of pandas or polars, a Table of pyarrow or a mapping of names to columns, got "
            f"{type(frame).__name__}."
        )
    found = list(names)
    if name not in found:
        indexed = name in getattr(getattr(frame, "index", None), "names", ())  # of pandas
        hint = " It is in the index: use frame.reset_index()." if indexed else ""
        raise ValueError(f"The table has no column {name!r}.{hint}")
    if found.count(name) > 1:
        raise ValueError(f"The table has {found.count(name)} columns {name!r}. Give them different names.")
    column = _unwrapped(frame[name])
    if isinstance(column, (str, bytes)) or not hasattr(column, "__len__"):
        raise TypeError(f"Column {name!r} is a {type(column).__name__}, not a sequence with an entry for every row.")
    return column


def names_in(names: Any) -> list[Any]:
    """Names of columns, of which one need not be in a list."""
    if names is None:
        return []
    return [names] if isinstance(names, str) or not hasattr(names, "__iter__") else list(names)


def _unwrapped(column: Any) -> Any:
    """What is inside of a column of pandas that pyarrow holds."""
    if type(getattr(column, "dtype", None)).__name__ == "ArrowDtype":
        return column.array.__arrow_array__()
    return column


def as_python(cell: Any) -> Any:
    """A cell without its library."""
    return cell.as_py() if hasattr(cell, "as_py") else cell  # pyarrow


def is_none(cell: Any) -> bool:
    """Whether a cell is empty: None, or NA of pandas."""
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")


def holds_series(column: Any) -> bool:
    """Whether the cells of a column are series, judged by the first that is not empty."""
    if getattr(getattr(column, "dtype", None), "kind", "O") != "O" and column.ndim == 1:
        return False  # numbers of numpy or pandas: they may begin with millions of NaN
    for cell in column:
        found = as_python(cell)
        if not is_none(found) and not (isinstance(found, float) and np.isnan(found)):
            return hasattr(found, "__len__") and not isinstance(found, (str, bytes))
    return False


def is_empty(column: Any) -> bool:
    """Whether no cell of a column holds anything."""
    if getattr(getattr(column, "dtype", None), "kind", "O") == "f":
        return bool(np.isnan(np.asarray(column)).all())
    cells = (as_python(cell) for cell in column)
    return all(is_none(cell) or (isinstance(cell, float) and cell != cell) for cell in cells)


def _to_numpy(values: Any) -> Array:
    """An array of whatever knows how to become one."""
    if not hasattr(values, "to_numpy"):
        return np.asarray(values)
    return values.to_numpy(zero_copy_only=False) if type(values).__module__ == "pyarrow.lib" else values.to_numpy()


def _one_chunk(column: Any) -> Any:
    """The pyarrow Array of a ChunkedArray; one chunk is not copied."""
    if hasattr(column, "chunks"):
        single = column.num_chunks == 1
        column = column.chunk(0) if single else column.unify_dictionaries().combine_chunks()
    return column.chunk(0) if hasattr(column, "chunks") else column  # old releases chunk again


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


# --- values ----------------------------------------------------------------------------------------------


def as_values(values: Any, where: str) -> Array:
    """Real numbers as float32 or float64, anything else an error."""
    if issparse(values):
        raise TypeError(
            f"{capital(where)}: sparse data is not supported, its zeros would be observations. Use a dense array."
        )
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan)
    try:
        array = _to_numpy(values)
    except ValueError:
        raise ValueError(
            f"{capital(where)} is not a rectangular array of numbers. Series of different lengths come as a list of "
            "arrays of shape (length, n_channels)."
        ) from None
    if array.dtype.kind == "f" and array.dtype.itemsize in (4, 8):
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {where}. Give the real and imaginary parts as two channels.")
    if array.dtype.kind in "fiub":
        return array.astype(np.float64)
    if array.dtype.kind == "O":
        return _from_objects(array, where)
    raise ValueError(f"{capital(where)} must hold real numbers, got dtype {array.dtype}.")


def _from_objects(array: Array, where: str) -> Array:
    """Numbers among Python objects; None and pandas' NA are missing, strings are not numbers."""
    numbers = np.empty(array.shape)
    for position, cell in np.ndenumerate(array):
        if is_none(cell):
            numbers[position] = np.nan
            continue
        try:
            if isinstance(cell, (str, bytes)):
                raise TypeError(f"{cell!r} is a string")
            numbers[position] = cell
        except (TypeError, ValueError, OverflowError) as error:
            place = position[0] if len(position) == 1 else position
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{capital(where)} must hold real numbers; at position {place}: {error}.") from None
    return numbers


def all_finite(numbers: Array) -> bool:
    """Whether all numbers are finite: their sum is, or else one looks at each."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(numbers.sum()) or np.isfinite(numbers).all())


# --- times -----------------------------------------------------------------------------------------------

# How many of a unit of numpy's datetimes are a second, or how many seconds it is.
_PER_SECOND = {"ms": 1e3, "us": 1e6, "ns": 1e9, "ps": 1e12, "fs": 1e15, "as": 1e18}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "D": 86400.0, "W": 604800.0}
_STRINGS = " Strings become datetimes by pandas.to_datetime(..., utc=True)."


def as_times(times: Any, where: str) -> tuple[Array, str]:
    """Times as float64, and of which kind they were."""
    return read_times(times, where)[1:]


def read_times(times: Any, where: str) -> tuple[Array, Array, str]:
    """Times as they are, to sort by, as float64, and of which kind they were."""
    times = _unwrapped(times)
    if isinstance(times, np.ma.MaskedArray):
        if np.ma.getmaskarray(times).any():
            raise ValueError(f"{capital(where)}: no time at position {np.flatnonzero(times.mask)[0]}.")
        times = times.data
    if str(getattr(times, "dtype", "")).startswith("period"):  # pandas
        times = times.dt.to_timestamp() if hasattr(times, "dt") else times.to_timestamp()
    if getattr(getattr(times, "dt", None), "tz", None) is not None:  # a pandas Series with a time zone
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    elif getattr(times, "tz", None) is not None:  # a pandas Index with one
        times = times.tz_convert("UTC").tz_localize(None)
    array = _to_numpy(times)
    if array.dtype.kind == "O":
        array = _from_time_objects(array, where)
    if array.dtype.kind in "mM":
        missing = np.isnat(array)
        if missing.any():
            raise ValueError(f"{capital(where)}: no time (NaT) at position {np.flatnonzero(missing)[0]}.")
        kind = "datetime" if array.dtype.kind == "M" else "timedelta"
        if np.datetime_data(array.dtype)[0] in "YM":
            array = array.astype(f"{array.dtype.kind}8[D]")
        unit, count = np.datetime_data(array.dtype)
        ticks = array.astype(np.int64) * count
        return ticks, ticks / _PER_SECOND[unit] if unit in _PER_SECOND else ticks * _SECONDS[unit], kind
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {where}.")
    if array.dtype.kind not in "fiub":
        hint = _STRINGS if array.dtype.kind in "US" else ""
        raise TypeError(f"{capital(where)} must be numbers, datetimes or timedeltas, got dtype {array.dtype}.{hint}")
    if array.dtype.kind in "iu" and array.size and max(abs(int(array.min())), abs(int(array.max()))) > 2**53:
        raise ValueError(
            f"{capital(where)} are integers beyond 2**53, which float64 cannot tell apart: subtract an origin."
        )
    numbers = array.astype(np.float64, copy=False)
    return numbers, numbers, "numbers"


def _from_time_objects(array: Array, where: str) -> Array:
    """Times among Python objects: numbers, datetimes and dates, or timedeltas."""
    flat = array.ravel()
    missing = [is_none(cell) or cell != cell for cell in flat]
    if any(missing):
        raise ValueError(f"{capital(where)}: no time at position {missing.index(True)}.")
    kind: Any = next((kind for kind in (date, timedelta) if len(flat) and isinstance(flat[0], kind)), None)
    if kind is None:
        try:
            numbers = _from_objects(array, where)
        except (TypeError, ValueError) as error:
            hint = _STRINGS if any(isinstance(cell, str) for cell in flat) else ""
            raise TypeError(f"{capital(where)} must be numbers, datetimes or timedeltas: {error}{hint}") from None
        if np.abs(numbers).max(initial=0) > 2**53 and any(isinstance(cell, int) for cell in flat):
            raise ValueError(f"{capital(where)} are integers beyond 2**53: subtract an origin.")
        return numbers
    mixed = [not isinstance(cell, kind) for cell in flat]
    if any(mixed):
        position = mixed.index(True)
        raise TypeError(
            f"{capital(where)} are of different kinds: {flat[0]!r} at position 0, {flat[position]!r} at {position}."
        )
    if kind is timedelta:
        return np.array(flat.tolist(), dtype="timedelta64[us]").reshape(array.shape)
    # One with a time zone is an instant; without one, it is taken for UTC.
    moments = [cell.astimezone(UTC).replace(tzinfo=None) if getattr(cell, "tzinfo", None) else cell for cell in flat]
    return np.array(moments, dtype="datetime64[us]").reshape(array.shape)


# --- ids -------------------------------------------------------------------------------------------------


def as_ids(ids: Any, n_series: int, names: Any = None) -> tuple[Array, tuple[str, ...] | None]:
    """Ids as an array of shape (n_series,), and their names, or those that a pandas index has."""
    own = [name for name in getattr(ids, "names", None) or () if name is not None]  # of a pandas index
    array = _unwrapped(ids)
    if isinstance(array, np.ma.MaskedArray):
        masked, array = np.ma.getmaskarray(array), array.data.astype(object)
        array[masked] = None
    if isinstance(array, (list, tuple)):  # in an array of numpy's choice, 1 and "1" could be the same
        array = _objects(array)
    if isinstance(array, (str, bytes, dict, set)) or not hasattr(array, "__len__"):
        raise TypeError(f"ids must be a sequence, one for each series, got {type(array).__name__}.")
    array = _numbers_of(np.array(_to_numpy(array)))
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
    names = (names,) if isinstance(names, str) else tuple(str(name) for name in names)
    if names and (len(names) != n_parts or len(set(names)) < n_parts):
        raise ValueError(f"id_names must be {n_parts} different names, got {names!r}.")
    return array, names or None


def named_index(table: Any) -> Any:
    """The index of something of pandas, None if it says no more than 0, 1, 2, ..."""
    index = table.index
    return None if type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1 else index


def grouped(frame: Any, id: Any) -> tuple[Any, dict[str, Any]]:
    """The frame inside of a grouped one of pandas or polars, and the columns that it is grouped by."""
    if id is not None or hasattr(frame, "columns") or hasattr(frame, "column_names"):
        return frame, {}
    if hasattr(frame, "ngroup"):  # pandas
        index = frame.size().index
        code = frame.ngroup().to_numpy()
        absent = ~(code >= 0)
        if absent.any():
            raise ValueError(f"The table has no id at position {np.flatnonzero(absent)[0]}.")
        names = [f"id_{k}" if name is None else name for k, name in enumerate(index.names)]
        return frame.obj, {name: index.get_level_values(k).take(code) for k, name in enumerate(names)}
    if type(frame).__module__.startswith("polars") and hasattr(frame, "all"):
        rows = frame.all()  # a row for every group: ids, and lists of all else
        keys = [name for name in rows.columns if not str(rows[name].dtype).startswith("List")]
        return rows, {name: rows[name] for name in keys}
    return frame, {}


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


def ids_of(columns: dict[str, Any]) -> tuple[NDArray[np.intp], Array]:
    """Number what columns of ids tell apart by its first appearance, and tell the ids."""
    codes, first = codes_of(*next((column, name) for name, column in columns.items()))
    for name, column in list(columns.items())[1:]:
        others = codes_of(column, name)[0]
        codes, first = _renumbered(codes * (int(others.max()) + 1) + others)
    cells = [items_of(column, first) for column in columns.values()]
    if len(cells) == 1:
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
        cells = _to_numpy(column[rows])
    return _numbers_of(cells)


def codes_of(column: Any, name: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the ids of a column by their first appearance, and tell in which rows that is.

    The libraries hash what numpy would have to sort.
    """
    try:
        ids, missing = _comparable(column)
    except Exception as error:  # each library has its own
        raise TypeError(f"Column {name!r} holds no ids: {error}") from None
    if missing.any():
        raise ValueError(f"Column {name!r} has no id at position {np.flatnonzero(missing)[0]}.")
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
        column = _one_chunk(column.dictionary_encode()).indices
    elif hasattr(column, "to_physical") and column.dtype != column.to_physical().dtype:  # categories of polars
        column = column.to_physical()
    elif str(getattr(column, "dtype", "")) == "String":  # polars
        column = column.rank("dense")
    ids = _to_numpy(column)
    if ids.ndim != 1:
        raise TypeError(f"its shape is {ids.shape}")
    if ids.dtype.kind == "O":
        return ids, np.array([is_none(item) or item != item for item in ids], dtype=bool)
    return ids, np.asarray(ids != ids)


# --- lists -----------------------------------------------------------------------------------------------


def flatten(columns: dict[str, Any], names: list[str], codes: NDArray[np.intp]) -> tuple[NDArray[np.intp], str]:
    """Replace columns of Arrow lists by their elements; return the codes of these, and how to speak of positions."""
    lists = {name: found for name in names if (found := lists_of(columns[name])) is not None}
    for name in names:
        if name not in lists and holds_series(columns[name]):
            raise TypeError(
                f"Column {name!r} holds a series in every cell. Give a row for every observation, as frame.explode "
                "makes them, or lists of Arrow, as polars and pyarrow have them."
            )
    if not lists:
        return codes, ""
    flat = [name for name in names if name not in lists]
    if flat:
        raise TypeError(f"Column {next(iter(lists))!r} holds lists, column {flat[0]!r} does not.")
    _, offsets = lists[names[0]]
    for name, (elements, others) in lists.items():
        wrong = np.flatnonzero(np.diff(others) != np.diff(offsets))
        if len(wrong):
            i = wrong[0]
            raise ValueError(
                f"Row {i}: the list in column {name!r} has {others[i + 1] - others[i]} elements, the one in column "
                f"{names[0]!r} has {offsets[i + 1] - offsets[i]}."
            )
        columns[name] = elements
    return np.repeat(codes, np.diff(offsets)), ", its lists end to end"


def lists_of(column: Any) -> tuple[Any, NDArray[np.intp]] | None:
    """Elements (a pyarrow Array) and offsets of a column of Arrow lists; None for another column.

    Lists of variable or fixed size are not copied, views of lists are.
    """
    column = _unwrapped(column)
    if hasattr(column, "to_physical") and str(column.dtype).startswith(("List", "Array")):  # polars
        column = column.to_arrow()
    if type(column).__module__ != "pyarrow.lib" or len(column) == 0:
        return None
    column = _one_chunk(column)
    kind = type(column).__name__
    if not re.fullmatch("(Large)?List(View)?Array|FixedSizeListArray", kind):
        return None
    if column.null_count:  # a null is a series without observations
        sizes = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        return column.flatten(), np.concatenate([[0], np.cumsum(sizes)])
    if kind in ("ListArray", "LargeListArray"):
        offsets = column.offsets.to_numpy()
        return column.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]
    fixed = kind == "FixedSizeListArray"
    sizes = np.full(len(column), column.type.list_size) if fixed else column.sizes.to_numpy()
    return column.flatten(), np.concatenate([[0], np.cumsum(sizes)])


def in_seconds(timescale: Any) -> float | None:
    """A timescale as a number: of seconds, if it is a duration of Python, NumPy or pandas, as times are.

    Raises
    ------
    ValueError
        If it is a duration that is not positive, or of months or years, which have no fixed length.
    """
    if timescale is None or not isinstance(timescale, (timedelta, np.timedelta64)):
        return timescale
    if isinstance(timescale, timedelta):
        seconds = timescale.total_seconds()
    elif np.datetime_data(timescale)[0] in ("Y", "M", "generic"):
        raise ValueError(f"timescale={timescale!r} has no fixed length: give it in weeks or shorter units.")
    else:
        seconds = float(timescale / np.timedelta64(1, "s"))
    if not seconds > 0:
        raise ValueError(f"timescale={timescale!r} must be positive.")
    return seconds
