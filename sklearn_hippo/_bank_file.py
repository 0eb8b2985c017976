"""The file of a bank: one of Arrow, with a row for every id; all of it or nothing, and no pickle."""

import json
import os
import shutil
import zlib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._columns import one_chunk
from ._state import State, inconsistency

Array = NDArray[Any]

FORMAT = 1
_CHUNK = 1 << 16  # rows of a batch
_META = b"sklearn_hippo.MemoryBank"


def _arrow() -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise ImportError('The file of a bank needs pyarrow: pip install "sklearn-hippo[frames]"') from error
    return pyarrow


def write(
    path: Any, described: dict[str, Any], ids: list[Any], state: State, latest: Array, late: Array,
    log: tuple[Array, Array, Array],
) -> None:  # fmt: skip
    """Write a bank; ``log`` has the rows, times and values of what waits, of rows in increasing order."""
    pa = _arrow()
    parts = list(zip(*ids, strict=True)) if described["width"] > 1 else [ids]
    columns: dict[str, Any] = {}
    for k, part in enumerate(parts or [[]] * described["width"]):
        try:
            columns[f"id_{k}"] = pa.array(part, type=_id_type(pa, part))
        except (
            pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeEncodeError
        ) as error:  # fmt: skip
            raise TypeError(f"These ids cannot be stored in a file of Arrow: {error}") from None
    columns |= {"latest": pa.array(latest), "late": pa.array(late)}
    for field in fields(State):
        columns[field.name] = _column(pa, getattr(state, field.name))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(log[0], minlength=len(ids)))])
    for name, array in (("waiting_times", log[1]), ("waiting_values", log[2])):
        columns[name] = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), _column(pa, array))
    table = pa.table(columns)
    described = {"format": FORMAT, **described}
    width = described["width"]
    flat = [part for name in table.column_names[width:] for part in _flat(one_chunk(table[name]))]
    numbers = [np.asarray(part) for part in flat]
    listed = [table[f"id_{k}"].to_pylist() for k in range(width)]  # as they will be read
    described["checksum"] = _checksum(described, listed, numbers)
    table = table.replace_schema_metadata({_META: json.dumps(described)})
    path = Path(os.path.realpath(path))  # behind links
    partial = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with partial.open("xb") as file:
            with pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table, max_chunksize=_CHUNK)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _id_type(pa: Any, part: Any) -> Any:
    kind = type(part[0]) if len(part) else None
    if kind is int and max(part) >= 2**63:
        return pa.uint64()
    return pa.large_string() if kind is str else pa.large_binary() if kind is bytes else None


def _column(pa: Any, array: Array) -> Any:
    """One number a row, or lists of one length."""
    if array.ndim == 1:
        return pa.array(array)
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(array.shape[1:])))


def _flat(column: Any) -> tuple[Any, Array]:
    """What is in a column, as far as there are no nulls, and how many each row has, where its type leaves that open."""
    lengths = np.empty(0, np.int64)
    while column.null_count == 0 and hasattr(column, "flatten"):
        if hasattr(column, "offsets"):
            lengths = np.diff(column.offsets.to_numpy())
        column = column.flatten()
    return column, lengths


def _checksum(described: dict[str, Any], parts: list[list[Any]], numbers: Iterable[Array]) -> int:
    """CRC-32 of what is said of a bank, of all ids, and of the bytes of all numbers."""
    said = {name: what for name, what in described.items() if name != "checksum"}
    total = zlib.crc32((json.dumps(said, sort_keys=True) + repr(parts)).encode())
    for array in numbers:
        total = zlib.crc32(array.data, total)
    return total


def describe(path: Any) -> tuple[dict[str, Any], Any]:
    """What a file says of its bank, and the table in it.

    Raises
    ------
    ValueError
        If it is not the file of a bank, not all of one, or one in a later format.
    """
    pa = _arrow()
    try:
        with pa.memory_map(os.fspath(path)) as source:
            table = pa.ipc.open_file(source).read_all()
            table.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{os.fspath(path)!r} is not the file of a bank, or not all of one: {error}") from None
    try:
        described = json.loads((table.schema.metadata or {})[_META])
        if described["format"] != FORMAT:
            raise ValueError(f"it is in format {described['format']}, this release reads format {FORMAT}")
        if not isinstance(described["width"], int) or "checksum" not in described:
            raise ValueError("its width or its checksum is missing")
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{os.fspath(path)!r} is not the file of a bank: {error}.") from None
    return described, table


def read(
    path: Any, described: dict[str, Any], table: Any, shape: tuple[int, int]
) -> tuple[list[Any], State, Array, Array, tuple[Array, Array, Array]]:
    """Read what `write` wrote and `describe` described; ``shape`` is that of a core."""

    def wrong(what: str) -> ValueError:
        return ValueError(f"{os.fspath(path)!r} is not the file of a bank: {what}.")

    pa = _arrow()
    n, (c, order) = len(table), shape
    width, float64, int64 = described["width"], pa.float64(), pa.int64()
    keys = [f"id_{k}" for k in range(width)]
    kinds = {"latest": float64, "late": int64}
    sizes = {"count": None, "time": None, "heads": 2, "core": c * order}  # and of the channels' ends
    for field in fields(State):
        size = sizes.get(field.name, c)
        kinds[field.name] = int64 if field.name == "count" else float64 if size is None else pa.list_(float64, size)
    kinds |= {"waiting_times": pa.large_list(float64), "waiting_values": pa.large_list(pa.list_(float64, c))}
    if table.column_names != [*keys, *kinds]:
        raise wrong(f"its columns are {table.column_names}, not {[*keys, *kinds]}")
    for name in keys:
        if table[name].null_count:
            raise wrong(f"a row has no {name}")
    arrays, lengths = {}, {}
    for name, kind in kinds.items():
        column = one_chunk(table[name])
        if column.type != kind:
            raise wrong(f"the column {name!r} is of the type {column.type}, not {kind}")
        column, lengths[name] = _flat(column)
        if column.null_count:
            raise wrong(f"the column {name!r} has nulls")
        arrays[name] = np.array(column.to_numpy())
    parts = [table[name].to_pylist() for name in keys]
    numbers = (array for name in kinds for array in (arrays[name], lengths[name]))
    if _checksum(described, parts, numbers) != described["checksum"]:
        raise wrong("something in it is not what was written; take an older one")
    ids = parts[0] if width == 1 else list(zip(*parts, strict=True))
    shapes = {"heads": (n, 2), "core": (n, c, order), "count": (n,), "time": (n,)}
    state = State(**{
        field.name: arrays[field.name].reshape(shapes.get(field.name, (n, c))) for field in fields(State)
    })  # fmt: skip
    found = ("count", "is negative") if (state.count < 0).any() else inconsistency(state)
    if found is not None:
        raise wrong(f"{found[0]} {found[1]}")
    latest, late = arrays["latest"], arrays["late"]
    times, values = arrays["waiting_times"], arrays["waiting_values"].reshape(-1, c)
    if not np.array_equal(lengths["waiting_times"], lengths["waiting_values"]):
        raise wrong("waiting_times and waiting_values are not equally many")
    if not np.isfinite(times).all() or np.isinf(values).any():
        raise wrong("waiting_times or waiting_values are not finite")
    log = np.repeat(np.arange(n), lengths["waiting_times"]), times, values
    greatest = state.time.copy()
    np.fmax.at(greatest, log[0], times)
    if not np.array_equal(greatest, latest, equal_nan=True) or (late < 0).any():
        raise wrong("latest is not the greatest time of every row, or late is negative")
    if (times < state.time[log[0]]).any():
        raise wrong("waiting_times are before time")
    return ids, state, latest, late, log
