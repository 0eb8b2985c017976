"""Columns of numbers, times and ids, as NumPy, pandas, polars, pyarrow and plain Python have them, as arrays.

Nothing here imports these libraries: what comes from them is known by what it can do.
"""

import re
from collections.abc import Callable, Sequence
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
        shown = ", ".join(map(repr, found[:10])) + ", ..." * (len(found) > 10)
        hint = " It is in the index: use frame.reset_index()." if indexed else f" It has {shown or 'none'}."
        raise ValueError(f"The table has no column {name!r}.{hint}")
    if found.count(name) > 1:
        raise ValueError(f"The table has {found.count(name)} columns {name!r}. Give them different names.")
    column = unwrapped(frame[name])
    if str(getattr(column, "type", "")) == "string_view":  # pyarrow, whose own functions do not all take it
        column = column.cast("large_string")
    if isinstance(column, (str, bytes)) or not hasattr(column, "__len__"):
        raise TypeError(f"Column {name!r} is a {type(column).__name__}, not a sequence with an entry for every row.")
    return column


def names_in(names: Any) -> list[Any]:
    """Names of columns, of which one need not be in a list."""
    refuse_masked(names, "names")
    if names is None:
        return []
    return [names] if isinstance(names, str) or not hasattr(names, "__iter__") else list(names)


def unwrapped(column: Any) -> Any:
    """What is inside of a column of pandas that pyarrow holds."""
    if type(getattr(column, "dtype", None)).__name__ == "ArrowDtype":
        return column.array.__arrow_array__()
    return column


def as_python(cell: Any) -> Any:
    """A cell without its library."""
    return cell.as_py() if hasattr(cell, "as_py") else cell  # pyarrow


def is_none(cell: Any) -> bool:
    """Whether a cell is empty: None, NA of pandas, or masked."""
    return cell is None or cell is np.ma.masked or type(cell).__name__ in ("NAType", "NaTType")


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


def to_numpy(values: Any) -> Array:
    """An array of whatever knows how to become one."""
    if not hasattr(values, "to_numpy"):
        return np.asarray(values)
    return values.to_numpy(zero_copy_only=False) if type(values).__module__ == "pyarrow.lib" else values.to_numpy()


def one_chunk(column: Any) -> Any:
    """The pyarrow Array of a ChunkedArray; one chunk is not copied."""
    if hasattr(column, "chunks"):
        single = column.num_chunks == 1
        column = column.chunk(0) if single else column.unify_dictionaries().combine_chunks()
    return column.chunk(0) if hasattr(column, "chunks") else column  # old releases chunk again


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


# --- values ----------------------------------------------------------------------------------------------

_CELLS = " Write NaN where there is no value; pandas.to_numeric makes numbers of strings."


def nobody(position: int) -> str:
    """Whose a cell is, where that is no matter."""
    return ""


def as_values(values: Any, where: str, of: Callable[[int], str] = nobody) -> Array:
    """Real numbers as float32 or float64, anything else an error, which tells whose cell it is ``of``."""
    if issparse(values):
        raise TypeError(
            f"{capital(where)}: sparse data is not supported, its zeros would be observations. Use a dense array."
        )
    values = masks_kept(values)
    if isinstance(values, np.ma.MaskedArray) and values.dtype.names is None:
        values = np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan)
    try:
        array = to_numpy(values)
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
        return _from_objects(array, where, of)
    if array.dtype.kind in "US":
        try:
            cells = np.array(values, dtype=object) if isinstance(values, (list, tuple)) else array.astype(object)
            return _from_objects(cells, where, of)  # which tells the first string
        except TypeError as error:
            raise ValueError(str(error)) from None
    raise ValueError(f"{capital(where)} must hold real numbers, got dtype {array.dtype}.")


def _from_objects(array: Array, where: str, of: Callable[[int], str] = nobody, hint: str = _CELLS) -> Array:
    """Numbers among Python objects; None and pandas' NA are missing, strings are not numbers."""
    numbers = np.empty(array.shape)
    for position, cell in np.ndenumerate(array):
        if is_none(cell):
            numbers[position] = np.nan
            continue
        try:
            if isinstance(cell, (str, bytes)):
                raise TypeError
            numbers[position] = cell
        except (TypeError, ValueError, OverflowError) as error:
            place = f" at position {position[0] if len(position) == 1 else position}" if position else ""
            place += of(position[0]) if position else ""
            kind = TypeError if isinstance(error, TypeError) else ValueError
            shown = repr(cell)
            shown = shown if len(shown) <= 40 else shown[:37] + "..."
            text = f"{capital(where)} must hold real numbers, got {shown}{place}"
            if kind is TypeError and not isinstance(cell, (str, bytes)):  # scikit-learn's checks look for these words
                text += f": an argument must be neither a string nor a {type(cell).__name__} but a number"
            raise kind(f"{text}.{hint if isinstance(cell, str) else ''}") from None
    return numbers


def all_finite(numbers: Array) -> bool:
    """Whether all numbers are finite: their sum is, or else one looks at each."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(numbers.sum()) or np.isfinite(numbers).all())


# --- times -----------------------------------------------------------------------------------------------

# How many of a unit of numpy's datetimes are a second, or how many seconds it is.
_PER_SECOND = {"ms": 1e3, "us": 1e6, "ns": 1e9, "ps": 1e12, "fs": 1e15, "as": 1e18}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "D": 86400.0, "W": 604800.0}
ZONE = " with a time zone"
_STRINGS = " Strings become datetimes by pandas.to_datetime(..., utc=True)."


def as_times(times: Any, where: str) -> tuple[Array, str]:
    """Times as float64, and of which kind they were."""
    return read_times(times, where)[1:]


def as_elapsed(times: Any, where: str) -> Array:
    """Times since a beginning as float64: numbers, or durations in seconds."""
    found, kind = as_times(times, where)
    if kind.startswith("datetime"):
        raise TypeError(f"{where} must be times since the first observation, numbers or durations; got datetimes.")
    return np.asarray(found)


def read_times(times: Any, where: str, of: Callable[[int], str] = nobody) -> tuple[Array, Array, str]:
    """Times as they are, to sort by, as float64, and of which kind they were."""
    zone = ""
    times = masks_kept(unwrapped(times))
    if isinstance(times, np.ma.MaskedArray):
        if np.ma.getmaskarray(times).any():
            position = np.flatnonzero(times.mask)[0]
            raise ValueError(f"{capital(where)}: no time at position {position}{of(position)}.")
        times = times.data
    if str(getattr(times, "dtype", "")).startswith("period"):  # pandas
        times = times.dt.to_timestamp() if hasattr(times, "dt") else times.to_timestamp()
    if getattr(getattr(times, "dt", None), "tz", None) is not None:  # a pandas Series with a time zone
        times, zone = times.dt.tz_convert("UTC").dt.tz_localize(None), ZONE
    elif getattr(times, "tz", None) is not None:  # a pandas Index with one
        times, zone = times.tz_convert("UTC").tz_localize(None), ZONE
    elif getattr(getattr(times, "dtype", None), "time_zone", None) or getattr(getattr(times, "type", None), "tz", None):
        zone = ZONE  # polars, pyarrow
    array = to_numpy(times)
    if array.dtype.kind == "O":
        array, zone = _from_time_objects(array, where, of)
    if array.dtype.kind in "mM":
        missing = np.isnat(array)
        if missing.any():
            position = np.flatnonzero(missing)[0]
            raise ValueError(f"{capital(where)}: no time (NaT) at position {position}{of(position)}.")
        kind = f"datetime{zone}" if array.dtype.kind == "M" else "timedelta"
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


def _from_time_objects(array: Array, where: str, of: Callable[[int], str]) -> tuple[Array, str]:
    """Times among Python objects: numbers, datetimes and dates, or timedeltas; and whether they have a time zone."""
    flat = array.ravel()
    missing = [is_none(cell) or cell != cell for cell in flat]
    if any(missing):
        position = missing.index(True)
        raise ValueError(f"{capital(where)}: no time at position {position}{of(position)}.")
    kind: Any = next((kind for kind in (date, timedelta) if len(flat) and isinstance(flat[0], kind)), None)
    if kind is None:
        try:
            numbers = _from_objects(array, where, of, _STRINGS)
        except (TypeError, ValueError) as error:
            told = str(error).replace("must hold real numbers", "must be numbers, datetimes or timedeltas")
            raise TypeError(told) from None
        if np.abs(numbers).max(initial=0) > 2**53 and any(isinstance(cell, int) for cell in flat):
            raise ValueError(f"{capital(where)} are integers beyond 2**53: subtract an origin.")
        return numbers, ""
    zoned = getattr(flat[0], "tzinfo", None) is not None
    mixed = [not isinstance(cell, kind) or (getattr(cell, "tzinfo", None) is not None) != zoned for cell in flat]
    if any(mixed):
        position = mixed.index(True)
        raise TypeError(
            f"{capital(where)}: times of different kinds, {flat[0]!r} at position 0, {flat[position]!r} at "
            f"{position}{of(position)}. Give all of them one kind, and a time zone or none."
        )
    if kind is timedelta:
        return np.array(flat.tolist(), dtype="timedelta64[us]").reshape(array.shape), ""
    # One with a time zone is an instant; without one, it is taken for UTC.
    moments = [cell.astimezone(UTC).replace(tzinfo=None) for cell in flat] if zoned else flat.tolist()
    return np.array(moments, dtype="datetime64[us]").reshape(array.shape), ZONE * zoned


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
    column = unwrapped(column)
    if hasattr(column, "to_physical") and str(column.dtype).startswith(("List", "Array")):  # polars
        column = column.to_arrow()
    if type(column).__module__ != "pyarrow.lib" or len(column) == 0:
        return None
    column = one_chunk(column)
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


def masks_kept(x: Any) -> Any:
    """What it is; or one masked array, if it is a list of some, whose masks NumPy would forget."""
    return np.ma.stack([np.ma.asarray(masks_kept(item)) for item in x]) if _has_masks(x) else x


def _has_masks(x: Any) -> bool:
    if not isinstance(x, Sequence) or isinstance(x, (str, bytes)):
        return False
    kinds = set(map(type, x))
    return any(issubclass(kind, np.ma.MaskedArray) for kind in kinds) or (
        any(issubclass(kind, Sequence) for kind in kinds) and any(map(_has_masks, x))
    )


def refuse_masked(x: Any, name: str) -> None:
    """Refuse a masked array with masked entries, or a list with some: NumPy would forget that they are."""
    x = masks_kept(x)
    if np.ma.is_masked(x):
        first = np.argwhere(np.ma.getmaskarray(x))[0].tolist()
        raise ValueError(f"{name} is masked at {first}: leave out what is missing.")
