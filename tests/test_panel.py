import pickle
import re
import subprocess
import sys
import time
from collections import UserList, deque
from datetime import UTC, datetime

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import objects
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import _safe_indexing

from sklearn_hippo import HiPPOMemory, HiPPOTransformer, Panel
from sklearn_hippo._columns import as_values, column_of, read_times
from sklearn_hippo._panel import merge_stamps
from sklearn_hippo._validation import check_panel

# All forms that series come in, also those of other libraries.
pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
convert = pytest.importorskip("sktime.datatypes").convert


def assert_same(a, b):
    assert_array_equal(a.values, b.values)
    assert_array_equal(a.offsets, b.offsets)
    for (s, _), (t, _) in zip(a, b, strict=True):
        assert_array_equal(s, t)
    assert a.values.dtype == b.values.dtype


@st.composite
def panels(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    n_channels = draw(st.integers(1, 3))
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(sum(lengths), n_channels))
    values = values.astype(draw(st.sampled_from([np.float32, np.float64])))
    times = rng.uniform(size=len(values)) if draw(st.booleans()) else None
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if times is not None:
        times += 2 * np.arange(len(values))
    return Panel(values, times, offsets)


# --- indexing ------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(panels(), st.data())
def test_a_panel_is_indexed_like_an_array_of_series(panel, data):
    n = len(panel)
    series = np.empty(n, dtype=object)
    series[:] = panel.to_list()
    key = data.draw(
        st.one_of(
            st.slices(n),
            st.lists(st.integers(-n, n - 1), max_size=8).map(lambda i: np.array(i, dtype=int)),
            st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
        )
    )
    for chosen in (panel[key], panel[key, ...]):
        assert isinstance(chosen, Panel)
        assert len(chosen) == len(series[key])
        for (t, x), (s, y) in zip(chosen, series[key], strict=True):
            assert_array_equal(t, s)
            assert_array_equal(x, y)
        assert chosen.values.dtype == panel.values.dtype
    i = data.draw(st.integers(-n, n - 1))
    for j in (i, np.int64(i), (i, Ellipsis)):
        assert_array_equal(panel[j][1], series[i][1])


@pytest.mark.parametrize("key", [3, -4, [3], [0, -4], [True, False], [0.5], [[0]], "a", (0, 1), (0, 1, ...), None])
def test_wrong_keys_are_index_errors(key):
    with pytest.raises(IndexError):
        Panel.from_list([[1.0], [2.0], [3.0]])[key]


def test_slices_share_memory_and_nothing_can_be_changed():
    values, times = np.arange(6.0), np.arange(6.0)
    panel = Panel(values, times, [0, 2, 6])
    assert np.shares_memory(panel.values, values)
    assert np.shares_memory(panel.times, times)
    assert np.shares_memory(panel[1:].values, values)
    assert np.shares_memory(panel[1][1], values)
    for array in (panel.values, panel.times, panel.offsets, panel[0][1], panel[[0]].values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError, match="immutable"):
        panel.values = values
    with pytest.raises(AttributeError, match="immutable"):
        del panel.values
    assert values.flags.writeable


def test_an_empty_selection_is_a_panel():
    panel = Panel.from_list([[1.0], [2.0, 3.0]])
    for none in (panel[0:0], panel[[]], panel[2:1], panel[np.zeros(2, bool)]):
        assert len(none) == 0
        assert none.shape == (0,)
        assert none.to_padded().shape == (0, 0, 1)


def test_scikit_learn_indexes_a_panel():
    panel = Panel.from_list([[1.0], [2.0, 3.0], [4.0]])
    assert isinstance(_safe_indexing(panel, np.array([2, 0])), Panel)
    assert isinstance(_safe_indexing(panel, [True, False, True]), Panel)
    assert isinstance(_safe_indexing(panel, slice(0, 2)), Panel)
    with pytest.raises(TypeError, match="not an array"):
        np.asarray(panel)


@settings(deadline=None)
@given(panels())
def test_pickles(panel):
    assert_same(pickle.loads(pickle.dumps(panel)), panel)
    assert_same(panel[1:], pickle.loads(pickle.dumps(panel[1:])))


def test_pickles_are_small_and_quick():
    panel = Panel(np.zeros(50_000 * 20), None, 20 * np.arange(50_001))
    begin = time.perf_counter()
    copy = pickle.loads(pickle.dumps(panel, protocol=5))
    assert time.perf_counter() - begin < 2  # a list of 50,000 arrays needs seconds; a loose bound on a noisy machine
    assert_same(copy, panel)
    assert len(pickle.dumps(panel[:10])) < 3000  # a slice does not carry its base along


def test_memmapped_by_joblib(tmp_path):
    panel = Panel(np.arange(10.0), np.arange(10.0), [0, 4, 10])
    joblib.dump(panel, tmp_path / "panel.pkl")
    mapped = joblib.load(tmp_path / "panel.pkl", mmap_mode="r")
    assert isinstance(mapped.values.base, np.memmap) or isinstance(mapped.values, np.memmap)
    assert_same(mapped[[1, 0]], panel[[1, 0]])


def test_properties():
    panel = Panel([[1.0, np.nan], [2.0, 3.0], [4.0, 5.0]], [1.0, 1.5, 7.0], [0, 2, 3], channel_names=["a", "b"])
    assert len(panel) == 2
    assert panel.shape == (2,)
    assert panel.n_channels == 2
    assert panel.has_missing
    assert not panel[1:].has_missing
    assert panel.channel_names == ("a", "b") == panel[[1]].channel_names
    assert_array_equal(panel.lengths, [2, 1])
    assert_array_equal(panel.durations, [0.5, 0])
    assert_array_equal(Panel(np.zeros(5), None, [0, 2, 5]).durations, [1, 2])
    assert repr(panel) == "Panel(n_series=2, n_channels=2, n_observations=3, dtype=float64)"


# --- every form of X -----------------------------------------------------------------------------------

SERIES = [np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]), np.array([[7.0, 9.0], [8.0, 10.0]])]
TIMES = [np.array([0.0, 0.5, 3.0]), np.array([1.0, 4.0])]


def nested(cell):
    return pd.DataFrame({"a": [cell(x[:, 0]) for x in SERIES], "b": [cell(x[:, 1]) for x in SERIES]})


REGULAR_FORMS = {
    "list": SERIES,
    "tuple": tuple(SERIES),
    "lists": [x.tolist() for x in SERIES],
    "object array": objects(SERIES),
    "pandas Series": pd.Series(SERIES, index=["p", "q"]),
    "padded": np.stack([SERIES[0], np.vstack([SERIES[1], [np.nan, np.nan]])]),
    "DataFrames": [pd.DataFrame(x, columns=["a", "b"]) for x in SERIES],
    "polars DataFrames": [pl.DataFrame(x, schema=["a", "b"]) for x in SERIES],
    "nested arrays": nested(np.array),
    "nested Series": nested(pd.Series),
    "nested lists": nested(list),
    "polars lists": pl.DataFrame({"a": [x[:, 0] for x in SERIES], "b": [x[:, 1] for x in SERIES]}),
    "arrow lists": pa.table({"a": [x[:, 0] for x in SERIES], "b": [x[:, 1] for x in SERIES]}),
    "sktime nested_univ": convert(
        [pd.DataFrame(x, columns=["a", "b"]) for x in SERIES], "df-list", "nested_univ", "Panel"
    ),
}
TIMED_FORMS = {
    "tuples": list(zip(TIMES, SERIES, strict=True)),
    "object array of tuples": objects(list(zip(TIMES, SERIES, strict=True))),
    "indexed DataFrames": [pd.DataFrame(x, t, ["a", "b"]) for t, x in zip(TIMES, SERIES, strict=True)],
    "timedeltas": [
        pd.DataFrame(x, pd.to_timedelta(t, unit="s"), ["a", "b"]) for t, x in zip(TIMES, SERIES, strict=True)
    ],
    "datetimes": [
        (np.datetime64("1970-01-01") + (1000 * t).astype("timedelta64[ms]"), x)
        for t, x in zip(TIMES, SERIES, strict=True)
    ],
    "time zones": [
        pd.DataFrame(x, pd.to_datetime(t, unit="s", utc=True).tz_convert("Asia/Tokyo"))
        for t, x in zip(TIMES, SERIES, strict=True)
    ],
    "nested Series": pd.DataFrame(
        {c: [pd.Series(x[:, k], t) for t, x in zip(TIMES, SERIES, strict=True)] for k, c in enumerate("ab")}
    ),
}


@pytest.mark.parametrize("form", REGULAR_FORMS)
def test_regular_forms_are_one_panel(form):
    panel = check_panel(REGULAR_FORMS[form])
    assert_same(panel, Panel.from_list(SERIES))
    assert panel.times is None or form == "sktime nested_univ"  # whose cells have an index of their own, 0, 1, 2, ...


@pytest.mark.parametrize("form", TIMED_FORMS)
def test_timed_forms_are_one_panel(form):
    assert_same(
        check_panel(TIMED_FORMS[form]), Panel(np.concatenate(SERIES), np.concatenate(TIMES), np.array([0, 3, 5]))
    )


TABLE = np.array([[1.0, np.nan, 3.0, np.nan], [np.nan] * 4, [5.0, 6.0, 7.0, 8.0]])


@pytest.mark.parametrize(
    "X",
    [TABLE, pd.DataFrame(TABLE), pd.DataFrame(TABLE, columns=list("abcd")), pl.DataFrame(TABLE), TABLE.tolist(),
     pa.table(dict(zip("abcd", TABLE.T, strict=True)))],
)  # fmt: skip
def test_rows_of_a_table_are_series_that_end_before_the_nan_at_their_end(X):
    assert_same(check_panel(X), Panel([1.0, np.nan, 3.0, 5.0, 6.0, 7.0, 8.0], None, [0, 3, 3, 7]))


def test_tables_in_two_and_in_three_dimensions_are_the_same():
    for X in (TABLE, TABLE.astype(np.float32), np.ma.masked_invalid(TABLE), TABLE[::-1, ::1]):
        assert_same(check_panel(X), check_panel(X[:, :, None]))
        assert_same(Panel.from_padded(X), Panel.from_padded(X[:, :, None]))
    assert_array_equal(Panel.from_padded(TABLE, [4, 0, 4]).lengths, [4, 0, 4])
    # in a list of arrays, NaN is a missing value wherever it is
    assert_array_equal(check_panel(list(TABLE)).lengths, [4, 4, 4])


@pytest.mark.parametrize("shape", [(2, 4), (1, 4, 2), (4, 2, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_masked_arrays_are_missing_values(shape, dtype):
    data = np.arange(8).reshape(shape).astype(dtype)
    mask = data % 3 == 1
    expected = check_panel(np.where(mask, np.nan, data.astype(np.result_type(dtype, np.float32))))
    assert_same(check_panel(np.ma.masked_array(np.where(mask, -999, data), mask)), expected)
    assert_same(check_panel(np.ma.masked_array(np.where(mask, -999, data), mask)[::-1])[::-1], expected)


@pytest.mark.parametrize("column", [pl.Series([[1.0, 2.0], [3.0]]), pa.array([[1.0, 2.0], [3.0]])])
def test_one_column_of_lists(column):
    for X in (column, column[0:2]):
        assert_same(check_panel(X), Panel([1.0, 2.0, 3.0], None, [0, 2, 3]))
    assert_same(check_panel(column[1:]), Panel([3.0]))


def test_arrow_lists_are_not_copied():
    flat = np.arange(5.0)
    column = pa.LargeListArray.from_arrays(pa.array([0, 2, 5], pa.int64()), pa.array(flat))
    assert np.shares_memory(check_panel(column).values, flat)
    assert np.shares_memory(check_panel(pl.DataFrame({"x": pl.Series(column)})).values, flat)


def test_arrays_are_not_copied():
    X = np.zeros((4, 5, 2))
    assert np.shares_memory(check_panel(X).values, X)
    assert np.shares_memory(check_panel(X[:, :, 0].copy()).values, X) is False
    table = np.zeros((4, 5), np.float32)
    assert np.shares_memory(check_panel(table).values, table)
    assert check_panel(table).values.dtype == np.float32
    assert np.shares_memory(Panel(table[:, 0].copy()).values, table) is False


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, bool, np.float16, np.longdouble, ">f8", ">f4", object])
def test_dtypes(dtype):
    values = check_panel([np.array([0, 1, 1]).astype(dtype)]).values
    assert values.dtype == (np.float32 if dtype == ">f4" else np.float64)
    assert_array_equal(values[:, 0], [0, 1, 1])


def test_input_is_never_changed():
    X = np.array([[[1.0], [np.nan]], [[2.0], [3.0]]])
    X.flags.writeable = False
    copy = X.copy()
    check_panel(X)
    check_panel(np.asfortranarray(X))
    assert_array_equal(X, copy)


def test_a_frame_of_numbers_with_a_filtered_index_keeps_its_times():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]}).drop(index=1)
    assert_array_equal(check_panel([frame]).times, [0, 2])
    assert check_panel([frame.reset_index(drop=True)]).times is None


# --- constructors and exports --------------------------------------------------------------------------


def long_table(kind):
    columns = {"who": ["b", "b", "a", "b", "a"], "t": [0.0, 2.0, 1.0, 1.0, 1.0], "x": [1.0, 3.0, 4.0, 2.0, 5.0]}
    return {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table, "dict": dict}[kind](columns)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "dict"])
def test_from_long(kind):
    panel = Panel.from_long(long_table(kind), id="who", time="t", values=["x"])
    assert_same(panel, Panel([1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 2.0, 1.0, 1.0], [0, 3, 5]))
    assert panel.channel_names == ("x",)


def test_from_long_of_a_sorted_table_does_not_copy_and_reads_datetimes():
    x = np.arange(4.0)
    frame = {"id": np.array([3, 3, 1, 1]), "t": np.arange(4.0), "x": x}
    assert np.shares_memory(Panel.from_long(frame, id="id", time="t", values="x").values, x)
    frame = pd.DataFrame(frame)
    frame["t"] = pd.to_datetime([0, 60, 0, 1], unit="s", utc=True).tz_convert("Europe/Rome")
    frame["id"] = frame["id"].astype("category")
    assert_array_equal(Panel.from_long(frame, id="id", time="t", values="x").times, [0, 60, 0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"who": ["a", None, "b"]}, "Column 'who' has no id at position 1"),
        ({"t": [0.0, np.nan, 1.0]}, "Column 't': no finite time at position 1, of who 'a'"),
        ({"x": ["a", "b", "c"]}, "Column 'x' must hold real numbers"),
        ({"x": [1.0, 1.0, np.inf]}, "Column 'x': infinite value at position 2, of who 'b'"),
    ],
)
def test_from_long_names_what_is_wrong(change, message):
    columns = {"who": ["a", "a", "b"], "t": [0.0, 1.0, 2.0], "x": [1.0, 2.0, 3.0]} | change
    with pytest.raises((ValueError, TypeError), match=message):
        Panel.from_long(pd.DataFrame(columns), id="who", time="t", values="x")
    with pytest.raises(ValueError, match="no column 'y'"):
        Panel.from_long(pl.DataFrame(columns, strict=False), id="y", time="t", values="x")


def ids_of(kind, ids):
    """A long table of all that the libraries know as ids."""
    frame = pd.DataFrame({"id": ids, "t": np.arange(float(len(ids))), "x": np.arange(float(len(ids)))})
    if kind.startswith("pandas"):
        types = {"pandas": "object", "pandas categories": "category", "pandas arrow": "string"}
        return frame.astype({"id": types[kind]})
    table = pl.from_pandas(frame)
    if kind.startswith("polars"):
        types = {"polars": pl.String, "polars categories": pl.Categorical, "polars enum": pl.Enum(["c", "b", "a"])}
        return table.with_columns(pl.col("id").cast(types[kind]))
    halves = table[:3].to_arrow(), table[3:].to_arrow()
    if kind == "pyarrow dictionary":  # whose chunks number their ids differently
        halves = [half.set_column(0, "id", half["id"].dictionary_encode()) for half in halves]
    return pa.concat_tables(halves)


KINDS = ["pandas", "pandas categories", "pandas arrow", "polars", "polars categories", "polars enum", "pyarrow",
         "pyarrow dictionary"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_all_kinds_come_in_the_order_of_their_first_rows(kind):
    panel = Panel.from_long(ids_of(kind, ["b", "b", "c", "a", "b", "a"]), id="id", time="t", values="x")
    assert_same(panel, Panel([0.0, 1, 4, 2, 3, 5], [0.0, 1, 4, 2, 3, 5], [0, 3, 4, 6]))
    with pytest.raises(ValueError, match="Column 'id' has no id at position 4"):
        Panel.from_long(ids_of(kind, ["b", "b", "c", "a", None, "a"]), id="id", time="t", values="x")


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.data())
def test_rows_in_any_order_are_the_same_series(ids, data):
    n = len(ids)
    rows = np.array(data.draw(st.permutations(range(n))))
    times = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    columns = {"id": np.array(ids)[rows], "t": times[rows], "x": np.arange(n)[rows].astype(float)}
    panel = Panel.from_long(columns, id="id", time="t", values="x")
    for one, series in zip(list(dict.fromkeys(columns["id"].tolist())), panel, strict=True):
        mine = columns["id"] == one
        order = np.argsort(columns["t"][mine], kind="stable")  # ties keep the order of the rows
        assert_array_equal(series[0], columns["t"][mine][order])
        assert_array_equal(series[1][:, 0], columns["x"][mine][order])


IDS = {"id": ["a", "a", "b"], "t": [0.0, 1.0, 0.0], "x": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (IDS | {"x": [1.0, 2.0, 3.0, 4.0]}, "Column 'x' has 4 rows, column 'id' has 3"),
        (IDS | {"t": [1.0]}, "Column 't' has 1 rows"),
        (IDS | {"id": ["a", np.nan, "a"]}, "Column 'id' has no id at position 1"),
        (IDS | {"id": ["1", 1, "1"]}, "mixes ids of different types"),
        (IDS | {"x": np.ones((3, 2))}, "Column 'x' holds a series in every cell"),
        (IDS | {"t": np.ma.masked_array([0.0, 1.0, 2.0], [0, 1, 0])}, "Column 't': no time at position 1"),
        (IDS | {"id": np.ma.masked_array([0, 1, 2], [0, 1, 0])}, "Column 'id' has no id at position 1"),
        (IDS | {"t": [datetime(2026, 1, 1), None, datetime(2026, 1, 1)]}, "Column 't': no time at position 1"),
        (IDS | {"t": [datetime(2026, 1, 1), 5, datetime(2026, 1, 1)]}, "times of different kinds, .* 5 at 1"),
        (IDS | {"t": [datetime(2026, 1, 1), "2026-01-02", "x"]}, "times of different kinds"),
        (IDS | {"t": ["2026-01-01", "2026-01-02", "x"]}, r"Strings become datetimes by pandas\.to_datetime"),
        (IDS | {"t": np.array([2**60 + 1, 2**60, 0], object)}, "beyond 2"),
    ],
)
def test_long_tables_that_are_none(table, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Panel.from_long(table, id="id", time="t", values="x")


def test_columns_that_are_not_there_or_twice():
    frame = pd.DataFrame(IDS)
    options = {"id": "id", "time": "t", "values": "x"}
    for twice in (pd.concat([frame, frame["x"]], axis=1), pa.table([pa.array([1.0])] * 4, ["id", "t", "x", "x"])):
        with pytest.raises(ValueError, match="has 2 columns 'x'"):
            Panel.from_long(twice, **options)
    with pytest.raises(ValueError, match=r"no column 'id'\. It is in the index: use frame\.reset_index"):
        Panel.from_long(frame.set_index(["id", "t"]), **options)
    with pytest.raises(TypeError, match=r"use frame\.collect|Use frame\.collect"):
        Panel.from_long(pl.LazyFrame(IDS), **options)


def test_a_dictionary_of_arrow_may_repeat_its_values_and_hold_a_null():
    for values, codes, expected in ((["a", "b", "b"], [1, 0, 2], [2, 1]), (["a", None], [1, 0, 1], None)):
        ids = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(values))
        table = pa.table({"id": ids, "t": [0.0, 1.0, 2.0], "x": [1.0, 2.0, 3.0]})
        if expected is None:
            with pytest.raises(ValueError, match="no id at position 0"):
                Panel.from_long(table, id="id", time="t", values="x")
        else:
            assert_array_equal(Panel.from_long(table, id="id", time="t", values="x").lengths, expected)


def test_masked_values_are_missing():
    masked = np.ma.masked_array([1, 2, -9999], [0, 0, 1])
    assert_array_equal(Panel(masked).values[:, 0], [1, 2, np.nan])
    panel = Panel.from_long(IDS | {"id": [1, 1, 1], "x": masked}, id="id", time="t", values="x")
    assert_array_equal(panel.values[:, 0], [1, np.nan, 2])


def test_instants_that_float64_cannot_tell_apart_keep_their_order():
    ticks = np.array([300, 200, 100, 0]) + 1_700_000_000_000_000_000
    table = {"id": [0] * 4, "t": ticks.astype("M8[ns]"), "x": [4.0, 3.0, 2.0, 1.0]}
    assert_array_equal(Panel.from_long(table, id="id", time="t", values="x").values[:, 0], [1, 2, 3, 4])


@pytest.mark.parametrize("kind", ["date", "duration", "local", "zone"])
def test_times_of_pandas_that_pyarrow_holds(kind):
    day, of = {
        "date": (1, pa.date32()),
        "duration": (86_400_000, pa.duration("ms")),
        "local": (86_400, pa.timestamp("s")),
        "zone": (86_400 * 10**9, pa.timestamp("ns", "Europe/Berlin")),
    }[kind]
    times = pa.array([0, day, 0], pa.int32() if kind == "date" else pa.int64()).cast(of)
    frame = pd.DataFrame(IDS | {"t": pd.Series(times, dtype=pd.ArrowDtype(of))})
    assert_array_equal(Panel.from_long(frame, id="id", time="t", values="x").times, [0, 86400, 0])


@pytest.mark.parametrize("library", ["pandas", "pandas arrow", "polars", "pyarrow"])
def test_times_with_a_zone_are_instants_also_when_clocks_go_back(library):
    instants = pd.to_datetime(["2026-10-25 00:30", "2026-10-25 01:30"], utc=True)  # 2:30 twice in Berlin
    frame = pd.DataFrame({"id": 0, "t": instants.tz_convert("Europe/Berlin"), "x": [1.0, 2.0]})
    if library == "pandas arrow":
        frame = frame.convert_dtypes(dtype_backend="pyarrow")
    elif library != "pandas":
        frame = pl.from_pandas(frame) if library == "polars" else pa.Table.from_pandas(frame)
    panel = Panel.from_long(frame, id="id", time="t", values="x")
    assert_array_equal(panel.times, [1792888200, 1792891800])


@pytest.mark.parametrize("form", ["polars", "pyarrow", "chunks", "slice"])
def test_lists_of_a_grouped_table_are_not_copied(form):
    frame = pl.DataFrame({"who": list("bbbac"), "t": [0.0, 1, 2, 5, 7], "x": [1.0, 2, 3, 4, 5], "z": [1, 2, 3, 4, 5]})
    table = frame.group_by("who", maintain_order=True).agg("t", "x", "z")
    rows = slice(1, 3) if form == "slice" else slice(None)
    expected = Panel.from_long(frame[3:] if form == "slice" else frame, id="who", time="t", values=["x", "z"])
    grouped = table[rows]
    if form != "polars":
        grouped = grouped.to_arrow()
    if form == "chunks":
        grouped = pa.concat_tables([grouped[:1], grouped[1:]])
    assert_same(Panel.from_long(grouped, id="who", time="t", values=["x", "z"]), expected)
    one = Panel.from_long(grouped, id="who", time="t", values="x")
    assert_array_equal(one.values, expected.values[:, :1])
    if form != "chunks":
        for name, mine in (("x", one.values), ("t", one.times)):
            column = grouped[name].to_arrow() if form == "polars" else grouped[name].chunk(0)
            assert np.shares_memory(mine, column.values.to_numpy())


def test_all_lists_of_arrow_are_read():
    t, x = [[0.0, 1.0], [0.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]
    expected = Panel([1.0, 2, 3, 4], [0.0, 1, 0, 2], [0, 2, 4])
    types = [pa.list_(pa.float64(), 2), pa.large_list(pa.float64())]
    if hasattr(pa, "list_view"):
        types += [pa.list_view(pa.float64()), pa.large_list_view(pa.float64())]
    for kind in types:
        table = pa.table({"id": [2, 1], "t": pa.array(t, kind), "x": pa.array(x, kind)})
        assert_same(Panel.from_long(table, id="id", time="t", values="x"), expected)
    fixed = pl.DataFrame({"id": [2, 1], "t": t, "x": x}).with_columns(pl.col("t", "x").cast(pl.Array(pl.Float64, 2)))
    assert_same(Panel.from_long(fixed, id="id", time="t", values="x"), expected)
    of = pd.ArrowDtype(pa.list_(pa.float64()))
    inside = pd.DataFrame({"id": [2, 1], "t": pd.Series(pa.array(t), dtype=of), "x": pd.Series(pa.array(x), dtype=of)})
    assert_same(Panel.from_long(inside, id="id", time="t", values="x"), expected)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"t": [[0.0, 1.0], [0.0]], "x": [[1.0, 2.0], [1.0, 2.0]]},
         "Row 1: the list in column 'x' has 2 elements, the one in column 't' has 1"),
        ({"t": [[0.0, 1.0], [0.0]], "x": [1.0, 2.0]}, "Column 't' holds lists, column 'x' does not"),
        ({"t": [0.0, 1.0], "x": [[1.0, 2.0], [0.0]]}, "Column 'x' holds lists, column 't' does not"),
    ],
)  # fmt: skip
def test_lists_that_do_not_fit(columns, message):
    for make in (pl.DataFrame, pa.table):
        with pytest.raises((ValueError, TypeError), match=message):
            Panel.from_long(make({"id": [1, 2]} | columns), id="id", time="t", values="x")
    with pytest.raises(TypeError, match=r"holds a series in every cell.*explode"):
        Panel.from_long(pd.DataFrame({"id": [1, 2]} | columns), id="id", time="t", values="x")


@settings(deadline=None)
@given(panels())
def test_round_trips(panel):
    assert_same(Panel.from_list(panel.to_list()), panel)
    for library in (pd.DataFrame, pl.DataFrame, pa.table):
        table = library(panel.to_long())
        names = [f"x{c}" for c in range(panel.n_channels)]
        assert_same(Panel.from_long(table, id="series", time="time", values=names), panel)
    padded = panel.to_padded()
    assert padded.shape == (len(panel), panel.lengths.max(), panel.n_channels)
    without_times = Panel(panel.values, None, panel.offsets)
    assert_same(Panel.from_padded(padded), without_times)
    assert_same(Panel.from_padded(panel.to_padded(0), panel.lengths), without_times)
    if padded.shape[2] <= padded.shape[1]:
        assert_same(check_panel(padded), without_times)
    assert_same(Panel.from_numpy3D(padded.transpose(0, 2, 1)), without_times)


def test_from_padded_with_times():
    X = np.array([[[0.0, 5.0], [2.0, 6.0]], [[1.0, 7.0], [np.nan, np.nan]]])
    panel = Panel.from_padded(X, time_channel=0)
    assert_same(panel, Panel([5.0, 6.0, 7.0], [0.0, 2.0, 1.0], [0, 2, 3]))
    assert_same(Panel.from_padded(X[..., ::-1], time_channel=-1), panel)
    with pytest.raises(ValueError, match="time_channel=2"):
        Panel.from_padded(X, time_channel=2)


# --- errors that name what and where -------------------------------------------------------------------

ERRORS = {
    "decreasing times": (lambda: [([0.0, 1.0], [1.0, 2.0]), ([0.0, 2.0, 1.0], [1.0, 2.0, 3.0])],
                         "Series 1: times decrease at position 2, from 2.0 to 1.0"),
    "NaN time": (lambda: [([0.0, np.nan], [1.0, 2.0])], "Series 0: the time at position 1 is nan"),
    "infinite time": (lambda: [([0.0, np.inf], [1.0, 2.0])], "Series 0: the time at position 1 is inf"),
    "NaT": (lambda: [([np.datetime64("2020"), np.datetime64("NaT")], [1.0, 2.0])], "no time .NaT. at position 1"),
    "infinite value": (lambda: [[[1.0, 0.0]], [[2.0, 3.0], [4.0, -np.inf]]],
                       "Series 1, channel 1: infinite value at position 1"),
    "empty list": (lambda: [], "list of series is empty"),
    "empty table": (lambda: np.zeros((0, 3)), "0 sample"),
    "ragged channels": (lambda: [np.zeros((4, 2)), np.zeros((5, 3))], "Series 1 has 3 channels, series 0 has 2"),
    "strings": (lambda: [["a", "b"]], "Series 0 must hold real numbers"),
    "a string": (lambda: "abc", "X is a str"),
    "mixed objects": (lambda: [[1.0], np.array([1.0, "x"], dtype=object)], "Series 1 must hold real numbers"),
    "complex": (lambda: [[1.0], [1j]], "Complex data not supported: series 1"),
    "numbers": (lambda: [1.0, 2.0], "Series 0 is a single number"),
    "a series of numbers": (lambda: pd.Series([1.0, 2.0]), "Series 0 is a single number"),
    "one dimension": (lambda: np.zeros(4), "Expected 2D array, got 1D array"),
    "four dimensions": (lambda: np.zeros((1, 1, 1, 1)), "4 dimensions"),
    "three dimensions in a list": (lambda: [np.zeros((2, 2, 2))], "Series 0 has shape"),
    "ragged series": (lambda: [[[1.0], [1.0, 2.0]]], "not a rectangular array"),
    "triples": (lambda: [([0.0], [1.0], [2.0])], "tuple of 3"),
    "time count": (lambda: [([0.0, 1.0], [1.0, 2.0, 3.0])], "Series 0 has 3 observations and times of shape"),
    "longer than float64": (lambda: [([0.0, 1.0], [1.0, 2.0]), ([-1e308, 1e308], [1.0, 2.0])], "Series 1 lasts so"),
    "kinds of times": (lambda: [(pd.to_datetime(["2020"]), [1.0]), ([0.0], [1.0])], "different kinds"),
    "times for some": (lambda: [(pd.to_datetime(["2020"]), [1.0]), [1.0]], "different kinds"),
    "columns": (lambda: [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1.0]})], "Series 1 has the columns"),
    "long table": (lambda: pd.DataFrame({"id": ["a", "a"], "t": [0, 1], "x": [1.0, 2.0]}), "Panel.from_long"),
    "multi-index": (lambda: pd.DataFrame({"x": [1.0]}, pd.MultiIndex.from_tuples([(0, 0)])), "Panel.from_long"),
    "datetime column": (lambda: pl.DataFrame({"t": [datetime(2020, 1, 1)], "x": [1.0]}), "Panel.from_long"),
    "static and series": (lambda: pd.DataFrame({"a": [[1.0]], "age": [3]}), "ColumnTransformer"),
    "channels of different lengths": (lambda: pd.DataFrame({"a": [[1.0]], "b": [[1.0, 2.0]]}),
                                      "Series 0: channel 'b' has 2 observations"),
    "channels at different times": (
        lambda: pd.DataFrame({"a": [pd.Series([1.0], [2.0])], "b": [pd.Series([1.0], [3.0])]}), "times of channel 'b'"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors_name_what_and_where(case):
    X, message = ERRORS[case]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        check_panel(X())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": np.zeros((2, 2, 2))}, re.escape("(n_observations, n_channels), got (2, 2, 2)")),
        ({"values": np.zeros((2, 0))}, "no channel"),
        ({"values": [1.0, 2.0], "offsets": [0, 1]}, "end with the number of observations, 2"),
        ({"values": [1.0, 2.0], "offsets": [0, 2, 1, 2]}, "offsets must not decrease: series 1 goes from 2 to 1"),
        ({"values": [1.0, 2.0], "offsets": [0.0, 2.0]}, "integers"),
        ({"values": [1.0, 2.0], "times": [0.0]}, re.escape("times must have shape (2,)")),
        ({"values": [1.0, 2.0], "channel_names": ["a", "b"]}, "channel_names must be 1 different strings"),
        ({"values": [1.0, 2.0], "times": ["a", "b"]}, "Times must be numbers"),
    ],
)
def test_the_constructor_checks(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Panel(**arguments)


def test_arrays_that_look_transposed_draw_a_warning():
    with pytest.warns(UserWarning, match="more channels .5. than time points .3."):
        check_panel(np.zeros((2, 3, 5)))
    with pytest.warns(UserWarning, match="Panel.from_numpy3D"):
        check_panel([np.zeros((3, 5)), np.zeros((2, 5))])
    check_panel([np.zeros((3, 5)), np.zeros((6, 5))])  # one that is long enough: no warning


def test_masks_of_what_is_in_lists():
    """NumPy forgets the masks of masked arrays in lists; an estimator must not."""
    gone = np.ma.masked
    rows = [np.ma.array([1.0, -999.0], mask=[False, True]), np.ma.array([1.0, 2.0])]
    right = np.array([[1.0, np.nan], [1.0, 2.0]])
    assert_array_equal(Panel(rows).values, right)
    assert_array_equal(Panel.from_list([rows, deque(rows)]).values[2:], right)
    assert_array_equal(Panel.from_padded([np.ma.stack(rows)] * 2).values[:2], right)
    assert_array_equal(HiPPOMemory(order=1, n_channels=2).update(rows).features(), [[1, 2]])
    table, nan = [[gone, 2.0, 5.0, gone], [1.0, 2.0, 3.0, 4.0]], float("nan")
    as_nan = [[nan, 2.0, 5.0, nan], table[1]]
    masked = HiPPOTransformer(order=2).fit(table)
    for kind in (deque, UserList):
        assert_allclose(HiPPOTransformer(order=2).fit_transform(kind([rows, rows])), [[1, 0, 2, 0]] * 2, atol=1e-15)
    assert masked.n_features_in_ == 4
    assert_array_equal(masked.transform(table), HiPPOTransformer(order=2).fit_transform(as_nan))
    times = np.ma.array([0.0, 1.0, 2.0], mask=[False, True, False])
    memory = HiPPOMemory(order=1, n_streams=2).update(np.ones((2, 3, 1)))
    panel = Panel.from_list([[1.0], [2.0], [3.0]])
    long = {"id": [0, 0, 1, 1], "t": [0, 1, 0, 1], "v": [1.0] * 4, "c": list("abab")}
    names, of_long = np.ma.array(["a", "b"], mask=[False, True]), {"id": "id", "time": "t", "values": "v"}
    for message, refused in (
        ("no time at position 1", lambda: memory.reconstruct([times, times])),
        ("no time at position 1", lambda: memory.reconstruct(list(times))),
        (r"streams is masked at \[1\]", lambda: memory.update(np.ones((2, 3, 1)), streams=names)),
        (r"the index is masked at \[1\]", lambda: panel[times]),
        ("'id' has no id at position 2", lambda: Panel.from_long(long | {"id": [0, 0, gone, 1]}, **of_long)),
        (r"names is masked at \[1\]", lambda: Panel.from_long(long, **of_long, channel="c", channels=names)),
        (r"names is masked at \[1\]", lambda: Panel([[1.0]], ids=[(1, 2)], id_names=names)),
        (r"input_features is masked at \[1\]", lambda: masked.get_feature_names_out(names)),
        (r"input_features is masked at \[1\]", lambda: memory.get_feature_names_out(names)),
        ("got dtype", lambda: Panel(np.ma.array([(1, 2.0)], dtype=[("a", int), ("b", float)]))),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            refused()


def test_from_padded_checks():
    with pytest.raises(ValueError, match=r"offsets is masked at \[1\]"):
        Panel(np.ones((6, 1)), None, np.ma.array([0, 3, 6], mask=[False, True, False]))
    with pytest.raises(ValueError, match=r"lengths is masked at \[1\]"):
        Panel.from_padded(np.ones((2, 3, 1)), lengths=np.ma.array([3, 3], mask=[False, True]))
    with pytest.raises(ValueError, match="Series 1: length 4 is not between"):
        Panel.from_padded(np.zeros((2, 3, 1)), [3, 4])
    with pytest.raises(ValueError, match="must have shape"):
        Panel.from_padded(np.ones((2, 3)), time_channel=0)
    assert_allclose(Panel.from_padded(np.ones((2, 3, 1)), [1, 2]).lengths, [1, 2])


# --- times of every kind -------------------------------------------------------------------------------

DAYS = pd.date_range("2024-03-30", periods=3, tz="Europe/Rome")  # over a change of the clocks


@pytest.mark.parametrize(
    "times",
    [
        DAYS,
        pd.Series(DAYS),
        DAYS.tz_convert("UTC").tz_localize(None).to_numpy(),
        [day.to_pydatetime() for day in DAYS],
        list(DAYS),
        pl.Series(DAYS.tz_convert("UTC").to_pydatetime()),
    ],
    ids=lambda t: type(t).__name__,
)
def test_instants_are_seconds_since_1970(times):
    expected = np.array([day.timestamp() for day in DAYS])
    assert_array_equal(Panel([1.0, 2.0, 3.0], times).times, expected)
    assert_array_equal(check_panel([(times, [1.0, 2.0, 3.0])]).times, expected)


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s", "m", "h", "D", "W"])
def test_every_unit_of_time(unit):
    steps = np.array([0, 3, 7])
    seconds = steps * np.timedelta64(1, unit) / np.timedelta64(1, "s")
    assert_allclose(Panel([1.0, 2.0, 3.0], steps.astype(f"timedelta64[{unit}]")).times, seconds, rtol=1e-15)
    assert_allclose(Panel([1.0, 2.0, 3.0], steps.astype(f"datetime64[{unit}]")).times, seconds, rtol=1e-15)


def test_far_dates_and_dates_and_periods():
    far = np.array(["1600-01-01", "2300-01-01"], "datetime64[D]")
    assert_array_equal(Panel([1.0, 2.0], far).times, far.astype(np.int64) * 86400.0)
    assert_array_equal(Panel([1.0, 2.0], [d.date() for d in DAYS[:2]]).times, [1711756800, 1711843200])
    assert_array_equal(Panel([1.0, 2.0], np.array(["1970-01", "1970-02"], "datetime64[M]")).times, [0, 31 * 86400])
    assert_array_equal(Panel([1.0, 2.0], pd.period_range("1970-01", periods=2, freq="M")).times, [0, 31 * 86400])
    hour = [DAYS[0] - DAYS[0], DAYS[1] - DAYS[0]]
    assert_array_equal(Panel([1.0, 2.0], hour).times, [0, 86400])
    with pytest.raises(TypeError, match="Times must be numbers, datetimes or timedeltas"):
        Panel([1.0, 2.0], pd.Index(["1", "2"]))


# --- what a first review broke -------------------------------------------------------------------------


def test_offsets_are_a_copy_and_times_are_contiguous():
    offsets = np.array([0, 2, 4])
    grid = np.arange(8.0).reshape(4, 2)
    panel = Panel(grid[:, 1:], grid[:, 0], offsets)
    offsets[1] = 500_000_000
    assert_array_equal(panel.lengths, [2, 2])
    assert panel.times.flags.c_contiguous
    assert panel.values.flags.c_contiguous


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"a": [np.ones(2), 3.0]}), "Series 1, channel 'a': the cell holds no series, but 3.0"),
        (np.array([["a", "b"]]), "must hold real numbers"),
        (pd.DataFrame({"a": ["1", "2"]}), "must hold real numbers, got '1' at position 0"),
        (pd.DataFrame({"a": [1.0, np.inf]}), "Series 1, channel 0: infinite value at position 0"),
        (None, "X is a NoneType, no collection of series"),
        (3.0, "X is a float, no collection of series"),
        ({1, 2}, "X is a set, no collection of series"),
        (np.ones((2, 2)) * 1j, "Complex data not supported"),
    ],
)
def test_more_errors_are_one_line_and_name_the_place(X, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        check_panel(X)
    assert "\n" not in str(caught.value)


UNOBSERVED = {
    "list": [np.ones(2), [], [3.0], None],
    "timed": [([0.0, 1.0], [1.0, 1.0]), ([], []), ([0.0], [3.0]), None],
    "table": np.array([[1.0, 1.0], [np.nan, np.nan], [3.0, np.nan], [np.nan, np.nan]]),
    "padded": np.array([[1.0, 1.0], [np.nan, np.nan], [3.0, np.nan], [np.nan, np.nan]])[:, :, None],
    "pandas cells": pd.DataFrame({"x": [np.ones(2), np.nan, [3.0], None]}),
    "pandas Series": pd.Series([np.ones(2), [], [3.0], None]),
    "polars Series": pl.Series([[1.0, 1.0], [], [3.0], None]),
    "polars frame": pl.DataFrame({"x": [[1.0, 1.0], [], [3.0], None]}),
    "pyarrow": pa.array([[1.0, 1.0], [], [3.0], None]),
    "fixed size": pa.array([[1.0], None, [3.0], None], pa.list_(pa.float64(), 1)),
}


@pytest.mark.parametrize("form", UNOBSERVED)
def test_a_series_may_be_empty(form):
    panel = check_panel(UNOBSERVED[form])
    assert_array_equal(panel.lengths, [1 if form == "fixed size" else 2, 0, 1, 0])
    assert_array_equal(panel.durations, [0 if form == "fixed size" else 1, 0, 0, 0])
    assert_array_equal(panel.values[:, 0], [1, 3] if form == "fixed size" else [1, 1, 3])
    for copied in (Panel.from_list(panel.to_list()), pickle.loads(pickle.dumps(panel)), panel[[0, 1, 2, 3]], panel[:]):
        assert_same(copied, panel)
    times, values = panel[1]
    assert times.shape == (0,)
    assert values.shape == (0, 1)
    assert_array_equal(panel[::-1].lengths, panel.lengths[::-1])
    assert np.isnan(panel.to_padded()[1]).all()


def test_an_empty_series_of_several_channels_and_of_any_place():
    panel = Panel.from_list([[], np.ones((4, 3)), np.empty((0, 3)), None])
    assert panel.n_channels == 3
    assert_array_equal(panel.lengths, [0, 4, 0, 0])
    assert_array_equal(Panel.from_list([[], None]).lengths, [0, 0])
    frame = pl.DataFrame({"a": [[1.0, 2.0], None, None], "b": [[3.0, 4.0], [5.0], None]})
    panel = check_panel(frame)
    assert_array_equal(panel.values, [[1, 3], [2, 4], [np.nan, 5]])
    assert_array_equal(panel.lengths, [2, 1, 0])
    # a row whose values are missing is none, but its time is known
    unseen = Panel([1.0, 2.0, np.nan, np.nan], [0.0, 1.0, 0.0, 5.0], [0, 2, 4])
    assert_array_equal(unseen.durations, [1, 0])
    with pytest.raises(ValueError, match="Series 2: times decrease at position 1"):
        Panel([1.0] * 4, [0.0, 1.0, 3.0, 2.0], [0, 2, 2, 4])
    with pytest.raises(ValueError, match="Series 1, channel 0: infinite value at position 0"):
        Panel([np.inf, 1.0], None, [0, 0, 2])


def test_a_series_of_a_long_table_may_be_unobserved():
    options = {"id": "id", "time": "t", "values": "x"}
    many = pd.DataFrame({"id": np.arange(4), "t": 0.0, "x": [1.0] + [np.nan] * 3})
    assert_array_equal(Panel.from_long(many, **options).durations, np.zeros(4))
    for make in (pl.DataFrame, pa.table):
        lists = make({"id": [1, 2, 3], "t": [[0.0, 1.0], [], None], "x": [[1.0, 2.0], [], None]})
        assert_array_equal(Panel.from_long(lists, **options).lengths, [2, 0, 0])


def test_none_and_na_are_missing_values():
    nullable = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": pd.array([1.0, 2.0, None], "Float64")})
    expected = [[1, 1], [np.nan, 2], [3, np.nan]]
    assert_array_equal(check_panel([nullable]).values, expected)
    assert_array_equal(check_panel([[None, 1.0]]).values[:, 0], [np.nan, 1])
    assert_array_equal(check_panel([pa.array([1.0, None])]).values[:, 0], [1, np.nan])
    ids = pd.DataFrame({"id": pd.array(["a", None], "string"), "t": [0.0, 1.0], "x": [1.0, 2.0]})
    with pytest.raises(ValueError, match="no id at position 1"):
        Panel.from_long(ids, id="id", time="t", values="x")
    with pytest.raises(TypeError, match="mixes ids"):
        Panel.from_long({"id": ["a", 1], "t": [0.0, 1.0], "x": [1.0, 2.0]} | {"id": np.array(["a", 1], object)},
                        id="id", time="t", values="x")  # fmt: skip
    with pytest.raises(ValueError, match="no columns"):
        Panel.from_long(ids, id="id", time="t", values=[])


def test_cells_may_be_timed_and_lists_may_be_views():
    frame = pd.DataFrame({"a": [([0.0, 2.0], [1.0, 2.0])], "b": [([0.0, 2.0], [3.0, 4.0])]})
    assert_same(check_panel(frame), Panel([[1.0, 3.0], [2.0, 4.0]], [0.0, 2.0]))
    if hasattr(pa, "list_view"):  # from 16 on
        views = pa.array([[1.0, 2.0], [3.0], [7.0, 8.0, 9.0]], pa.list_view(pa.float64()))
        assert_array_equal(check_panel(views).lengths, [2, 1, 3])


def test_to_long_of_nothing_and_of_unlucky_names():
    assert len(Panel([1.0])[:0].to_long()["time"]) == 0
    with pytest.raises(ValueError, match="choose other"):
        Panel([1.0], channel_names=["time"]).to_long()
    assert set(Panel([1.0], channel_names=["time"]).to_long(time="t")) == {"series", "t", "time"}


def test_a_column_of_a_table_is_converted_once(monkeypatch):
    calls = []

    def counting(values, where):
        calls.append(where)
        return as_values(values, where)

    monkeypatch.setattr("sklearn_hippo._validation.as_values", counting)
    HiPPOTransformer(order=2).fit(pd.DataFrame(np.zeros((5, 20))))
    assert sorted(one for one in calls if one.startswith("column")) == sorted(f"column '{c}'" for c in range(20))
    assert len(calls) <= 23  # and all of them together


# --- ids -----------------------------------------------------------------------------------------------


KINDS_OF_IDS = {
    "strings": (["p1", "p2", "p3"], "object", None),
    "integers": ([30, 10, 20], "int64", None),
    "huge integers": ([2**70, 1, 2], "object", None),
    "mixed": ([1, "1", 2.5], "object", None),
    "tuples": ([("a", 1), ("a", 2), ("b", 1)], "object", None),
    "array": (np.array(["x", "y", "z"]), "<U1", None),
    "dates": (np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[D]"), "datetime64[D]", None),
    "pandas index": (lambda: pd.Index(["a", "b", "c"], name="ward"), "object", ("ward",)),
    "pandas levels": (
        lambda: pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["ward", "bed"]),
        "object",
        ("ward", "bed"),
    ),
    "pandas column": (lambda: pd.Series(["a", "b", "a"], dtype="category"), "object", None),
    "polars": (lambda: pl.Series(["a", "b", "c"]), "object", None),
    "pyarrow": (lambda: pa.array([1, 2, 3]), "int64", None),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS_OF_IDS)
def test_ids_go_with_the_series(kind, tmp_path):
    ids, dtype, names = KINDS_OF_IDS[kind]
    ids = ids() if callable(ids) else ids
    panel = Panel([1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 0.0], [0, 2, 3, 4], ids=ids)
    assert panel.ids.dtype == dtype
    assert panel.ids.tolist() == list(np.asarray(ids, dtype=dtype).tolist() if dtype != "object" else ids)
    assert panel.id_names == names
    told = panel.ids.tolist()
    assert panel[1:].ids.tolist() == told[1:]
    assert panel[[2, 0, 0]].ids.tolist() == [told[2], told[0], told[0]]
    assert panel[np.array([False, True, False])].ids.tolist() == [told[1]]
    assert panel[::-1].ids.tolist() == told[::-1]
    assert _safe_indexing(panel, [1]).ids.tolist() == [told[1]]
    again = pickle.loads(pickle.dumps(panel))
    assert again.ids.tolist() == told
    assert again.id_names == names
    assert Panel.concat([panel, panel[[0]]]).ids.tolist() == [*told, told[0]]
    with pytest.raises(ValueError, match="read-only"):
        panel.ids[0] = panel.ids[1]


def test_the_ids_of_the_caller_are_not_touched():
    ids = np.array([3, 1])
    panel = Panel([1.0, 2.0], None, [0, 1, 2], ids=ids)
    ids[0] = 7
    assert panel.ids.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": ["a"]}, r"ids must have shape \(2,\), one for each series, got \(1,\)"),
        ({"ids": "ab"}, "ids must be a sequence, one for each series, got str"),
        ({"ids": 5}, "ids must be a sequence, one for each series, got int"),
        ({"ids": {"a": 1, "b": 2}}, "ids must be a sequence, one for each series, got dict"),
        ({"ids": ["a", None]}, "ids: there is no id of series 1"),
        ({"ids": [1.0, np.nan]}, "ids: there is no id of series 1"),
        ({"ids": np.array([1.0, np.nan])}, "ids: there is no id of series 1"),
        ({"ids": np.ma.masked_values([1, -1], -1)}, "ids: there is no id of series 1"),
        ({"ids": [("a", 1), ("b", None)]}, "ids: there is no id of series 1"),
        ({"ids": [("a", 1), ("b",)]}, "ids must all be tuples of one length, or none of them"),
        ({"ids": ["a", ("b",)]}, "ids must all be tuples of one length, or none of them"),
        ({"ids": np.zeros((2, 2))}, r"ids must have shape \(2,\)"),
        ({"ids": ["a", "b"], "id_names": ["x", "y"]}, r"id_names must be 1 different names, got \('x', 'y'\)"),
        ({"ids": [("a", 1), ("b", 2)], "id_names": ["x", "x"]}, "id_names must be 2 different names"),
        ({"id_names": "patient"}, "id_names='patient' are names of ids, but there are no ids"),
    ],
)
def test_ids_that_are_none(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Panel([1.0, 2.0], None, [0, 1, 2], **arguments)


def test_errors_tell_the_id():
    for ids, names, told in (
        (["u", "v"], None, "Series 1 \\(id 'v'\\)"),
        (np.array([7, 8]), "patient", "Series 1 \\(patient 8\\)"),
        ([("a", 1), ("b", 2)], ["site", "bed"], "Series 1 \\(site 'b', bed 2\\)"),
        ([("a", 1), ("b", 2)], None, "Series 1 \\(id \\('b', 2\\)\\)"),
    ):
        identity = {"ids": ids, "id_names": names}
        with pytest.raises(ValueError, match=f"{told}, channel 0: infinite value at position 1"):
            Panel([1.0, 2.0, np.inf], None, [0, 1, 3], **identity)
        with pytest.raises(ValueError, match=f"{told}: times decrease at position 1, from 5.0 to 4.0"):
            Panel([1.0, 2.0, 3.0], [9.0, 5.0, 4.0], [0, 1, 3], **identity)
        with pytest.raises(ValueError, match=f"{told}: the time at position 0 is nan"):
            Panel([1.0, 2.0, 3.0], [9.0, np.nan, 4.0], [0, 1, 3], **identity)
        with pytest.raises(ValueError, match=f"{told} lasts so long that float64 has no room"):
            Panel([1.0, 2.0, 3.0], [0.0, -1.7e308, 1.7e308], [0, 1, 3], **identity)


def test_panels_are_put_together():
    timed = Panel([1.0, 2.0], [3.0, 5.0], channel_names=["x"])
    bare = Panel([[4.0], [5.0], [6.0]], None, [0, 2, 3], channel_names=["x"])
    both = Panel.concat([timed, bare])
    assert_array_equal(both.times, [3, 5, 0, 1, 0])
    assert_array_equal(both.offsets, [0, 2, 4, 5])
    assert both.channel_names == ("x",)
    assert Panel.concat([bare, bare]).times is None
    numbers, words = Panel([1.0], ids=[1]), Panel([1.0], ids=["1"])
    assert Panel.concat([numbers, words]).ids.tolist() == [1, "1"]
    for panels, message in (
        ([], "Panel.concat takes a sequence of panels, got an empty one"),
        ([timed, [1.0]], "Panel.concat takes a sequence of panels, got list"),
        ([timed, Panel([[1.0, 2.0]])], "Panel 1 has n_channels=2, panel 0 has 1"),
        ([timed, Panel([1.0])], "Panel 1 has channel_names=None, panel 0 has \\('x',\\)"),
        ([numbers, Panel([1.0])], "Panel 1 has no ids, panel 0 has"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            Panel.concat(panels)


def test_long_tables_go_there_and_back_with_their_ids():
    table = {"site": ["a", "a", "b"], "bed": [2, 1, 2], "t": [0.0, 1.0, 2.0], "x": [1.0, 2.0, 3.0]}
    panel = Panel.from_long(table, id=["site", "bed"], time="t", values="x")
    back = panel.to_long(time="t")
    assert {name: column.tolist() for name, column in back.items()} == table
    assert list(panel.to_long(id="who")) == ["who_0", "who_1", "time", "x"]
    assert panel[[]].to_long()["x"].tolist() == []
    single = Panel.from_long(table, id="bed", time="t", values="x")
    assert single.to_long()["bed"].tolist() == [2, 2, 1]
    assert list(single.to_long(id="patient")) == ["patient", "time", "x"]
    assert Panel([1.0, 2.0]).to_long()["series"].tolist() == [0, 0]
    with pytest.raises(ValueError, match="have the same name"):
        Panel.from_long(table, id="site", time="t", values="x").to_long(time="site")


def test_an_index_of_pandas_tells_the_ids():
    cells = pd.Series([[1.0, 2.0], [3.0]], index=["u", "v"])
    assert check_panel(cells).ids.tolist() == ["u", "v"]
    assert check_panel(cells.to_frame("x")).ids.tolist() == ["u", "v"]
    numbers = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], index=pd.Index([5, 3], name="row"))
    assert check_panel(numbers).ids.tolist() == [5, 3]
    assert check_panel(numbers).id_names == ("row",)
    assert check_panel(numbers.reset_index(drop=True)).ids is None
    assert Panel.from_list([[1.0]], ids=["a"], id_names="who").id_names == ("who",)
    assert Panel.from_padded([[1.0, 2.0]], ids=["a"]).ids.tolist() == ["a"]


def test_predictions_join_back_to_the_table():
    table = pd.DataFrame({"who": ["b", "a", "b", "a"], "t": [0, 0, 1, 1], "x": [1.0, 2.0, 3.0, 4.0]})
    panel = Panel.from_long(table, id="who", time="t", values="x")
    predictions = pd.Series([10, 20], panel.ids)
    assert table["who"].map(predictions).tolist() == [10, 20, 10, 20]
    assert pd.Series({"a": "sick", "b": "well"})[panel.ids].tolist() == ["well", "sick"]


def test_cells_go_there_and_back():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(9, 2))
    values[[0, 4], [1, 0]] = np.nan
    panel = Panel(values, np.sort(rng.uniform(size=9)), [0, 2, 2, 3, 9], channel_names=["a", "b"], ids=list("wxyz"))
    frame = pd.DataFrame(panel.to_cells(), index=panel.ids)
    back = check_panel(frame)
    assert_same(back, panel)
    assert back.channel_names == panel.channel_names
    assert back.ids.tolist() == list("wxyz")
    patients = pd.DataFrame({"age": [1.0, 2.0, 3.0]}, index=["y", "new", "w"]).join(frame)
    some = check_panel(patients[["a", "b"]])
    assert some.ids.tolist() == ["y", "new", "w"]
    assert some.lengths.tolist() == [1, 0, 2]
    assert list(Panel([1.0]).to_cells()) == ["x0"]


def test_skops_keeps_panels():
    io = pytest.importorskip("skops.io")
    panel = Panel([1.0, np.nan, 3.0], [0.0, 1.0, 5.0], [0, 2, 3], channel_names=["x"], ids=[7, 8], id_names="who")
    stored = io.dumps(panel)
    assert io.get_untrusted_types(data=stored) == ["sklearn_hippo._panel.Panel"]
    loaded = io.loads(stored, trusted=["sklearn_hippo._panel.Panel"])
    assert_same(loaded, panel)
    assert (loaded.channel_names, loaded.id_names, loaded.ids.tolist()) == (("x",), ("who",), [7, 8])
    with pytest.raises(ValueError, match="read-only"):
        loaded.values[0] = 2


def test_some_parts_are_replaced():
    panel = Panel([1.0, 2.0, np.nan], [0.0, 1.0, 5.0], [0, 2, 3], channel_names=["x"], ids=["a", "b"], id_names="who")
    later = panel.replace(times=panel.times + 1, values=-panel.values)
    assert_array_equal(later.times, [1, 2, 6])
    assert_array_equal(later.values[:, 0], [-1, -2, np.nan])
    assert (later.channel_names, later.ids.tolist(), later.id_names) == (("x",), ["a", "b"], ("who",))
    assert_array_equal(panel.times, [0, 1, 5])
    assert panel.replace() == panel
    assert panel.replace(ids=[1, 2]).id_names is None
    assert panel.replace(times=None).times is None
    assert panel.replace(values=np.ones((3, 2)), channel_names=None).n_channels == 2
    with pytest.raises(TypeError, match="A Panel has no 'value' to replace, but values, times"):
        panel.replace(value=1)
    with pytest.raises(ValueError, match=r"Series 0 \(who 'a'\): times decrease at position 1"):
        panel.replace(times=[1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="channel_names must be 2 different strings"):
        panel.replace(values=np.ones((3, 2)))


def test_panels_are_equal_if_their_series_are():
    panel = Panel([1.0, np.nan, 3.0], [0.0, 1.0, 0.0], [0, 2, 3], channel_names=["x"], ids=[("a", 1), ("b", 2)])
    assert panel == pickle.loads(pickle.dumps(panel))
    assert panel[[0, 1]] == panel[:] == panel
    assert panel.replace(times=None) == panel  # the same times, implicit
    for other in (
        panel[::-1],
        panel[:1],
        panel.replace(values=panel.values + 1),
        panel.replace(times=panel.times + 1),
        panel.replace(offsets=[0, 1, 3], times=None),
        panel.replace(channel_names=None),
        panel.replace(ids=None),
        panel.replace(ids=[("a", 1), ("b", 3)]),
        panel.replace(ids=panel.ids, id_names=["one", "two"]),
        "something else",
    ):
        assert panel != other
    assert Panel(np.ones(3, np.float32)) == Panel(np.ones(3))
    with pytest.raises(TypeError, match="unhashable"):
        hash(panel)


def test_padded_tables_of_pandas_have_ids():
    pd = pytest.importorskip("pandas")
    assert Panel.from_padded(pd.DataFrame(np.ones((2, 3)), index=["a", "b"])).ids.tolist() == ["a", "b"]
    assert Panel.from_padded(pd.DataFrame(np.ones((2, 3)))).ids is None


def test_all_that_needs_no_extra_is_imported_with_a_star():
    code = "import sys; from sklearn_hippo import *; Panel, HiPPOClassifier; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_stamps_are_merged_channel_by_channel():
    n = np.nan
    times = [0.0, 0, 0, 1, 2, 2, 2, 2, 3, 3, 4]
    values = [[1, n], [2, n], [n, 3], [n, n], [4, 5], [n, n], [6, n], [n, n], [n, 1], [n, 2], [n, n]]
    panel = Panel(np.array(values, np.float32), times, [0, 0, 5, 6, 10, 11])
    merged = merge_stamps(panel, unobserved=False)
    assert_array_equal(merged.times, [0, 1, 2, 2, 3])
    assert_array_equal(merged.values, [[2, 3], [n, n], [4, 5], [6, n], [n, 2]])
    assert_array_equal(merged.offsets, [0, 0, 3, 3, 5, 5])  # what was not observed has no stamps
    assert merged.values.dtype == np.float32
    assert merge_stamps(merged) is merged
    merged = merge_stamps(panel)
    assert_array_equal(merged.times, [0, 1, 2, 2, 2, 3, 4])
    assert_array_equal(merged.values, [[2, 3], [n, n], [4, 5], [n, n], [6, n], [n, 2], [n, n]])
    assert_array_equal(merged.offsets, [0, 0, 3, 4, 6, 7])


# --- whose it is ---------------------------------------------------------------------------------------

NAMED = {"ids": ["Ada", "Ben"]}
CLOCK = datetime(2026, 1, 1)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([np.ones((2, 2)), np.ones((2, 3))], r"Series 1 \(id 'Ben'\) has 3 channels, series 0 \(id 'Ada'\) has 2"),
        ([[1.0], ([1.0, 2.0], [1.0])], r"Series 1 \(id 'Ben'\) has 1 observations and times of shape"),
        ([[1.0], ["x"]], r"Series 1 \(id 'Ben'\) must hold real numbers, got 'x' at position 0"),
        ([[1.0], ([0, None], [1.0, 2.0])], r"Times of series 1 \(id 'Ben'\): no time at position 1"),
        ([([CLOCK], [1.0]), ([0], [1.0])], r"\(series 0 \(id 'Ada'\): datetime, series 1 \(id 'Ben'\): numbers\)"),
        ([np.ones((1, 1, 1)), [1.0]], r"Series 0 \(id 'Ada'\) has shape \(1, 1, 1\)"),
        ([[1.0], [1j]], r"Complex data not supported: series 1 \(id 'Ben'\)"),
        ([(1.0, 2.0), [3.0]], r"Series 0 \(id 'Ada'\) is the tuple \(1.0, 2.0\), and a tuple is \(times, values\)"),
    ],
)
def test_errors_of_lists_tell_the_id(series, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Panel.from_list(series, **NAMED)


def test_errors_of_cells_tell_the_id():
    cell, other = ([0, 1.0], [1.0, 2.0]), ([0, 2.0], [1.0, 2.0])
    frame = pd.DataFrame({"hr": [cell, cell], "bp": [cell, other]}, index=["u", "v"])
    with pytest.raises(ValueError, match=r"Series 1 \(id 'v'\): the times of channel 'bp' .* at position 1"):
        check_panel(frame)


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        ({"x": [1.0, "n/a", 2.0]}, {}, "Column 'x' must hold real numbers, got 'n/a' at position 1, of who 'a'. Write"),
        ({"x": np.array(["1", "2", "3"])}, {}, "got '1' at position 0, of who 'a'. Write .* pandas.to_numeric"),
        ({"t": ["x", "y", "z"]}, {}, "Column 't' must be numbers, datetimes or timedeltas"),
        ({"t": [0.0, None, 1.0]}, {}, "Column 't': no time at position 1, of who 'a'"),
        (
            {"t": np.array(["2026-01-01", "NaT", "2026-01-01"], "M8[s]")},
            {},
            r"no time \(NaT\) at position 1, of who 'a'",
        ),
        ({"who": [(1, 2), (1, 2), (3, 4)]}, {}, "Column 'who' holds tuples: give their parts"),
        ({}, {"values": "y"}, "The table has no column 'y'. It has 'who', 't', 'x'"),
        ({}, {"channel": "x"}, "Column 'x' is named twice"),
        ({}, {"values": "t"}, "Column 't' is named twice"),
    ],
)
def test_errors_of_tables_tell_the_id(change, how, message):
    table = {"who": ["a", "a", "b"], "t": [0.0, 1.0, 1.0], "x": [1.0, 2.0, 3.0]} | change
    with pytest.raises((TypeError, ValueError), match=message):
        Panel.from_long(table, **{"id": "who", "time": "t", "values": "x"} | how)


def test_grouped_frames_need_no_id():
    frame = pd.DataFrame({"who": ["a", "a", "b"], "t": [0.0, 1.0, 1.0], "x": [1.0, 2.0, 3.0]})
    for grouped in (frame.groupby("who"), pl.from_pandas(frame).group_by("who")):
        with pytest.raises(ValueError, match="grouped already, and its groups are the series: leave out id='who'"):
            Panel.from_long(grouped, id="who", time="t", values="x")


def test_time_zones_do_not_mix():
    with_zone, without = (pd.Series([1.0], pd.DatetimeIndex(["2026"], tz=tz)) for tz in ("UTC", None))
    lists = ([CLOCK.replace(tzinfo=UTC)], [1.0]), ([CLOCK], [1.0])
    for series in ([with_zone, without], lists):
        with pytest.raises(TypeError, match="series 0: datetime with a time zone, series 1: datetime"):
            Panel.from_list(list(series))
    with pytest.raises(TypeError, match=r"times of different kinds, .* Give all of them one kind, and a time zone"):
        Panel.from_list([([CLOCK, CLOCK.replace(tzinfo=UTC)], [1.0, 2.0])])
    frame = pl.DataFrame({"who": ["a"], "t": [CLOCK], "x": [1.0]})
    zoned = frame.with_columns(pl.col("t").dt.replace_time_zone("UTC"))
    for table in (zoned, zoned.to_arrow()):
        assert read_times(column_of(table, "t"), "t")[2] == "datetime with a time zone"
        assert Panel.from_long(table, id="who", time="t", values="x").times[0] == CLOCK.replace(tzinfo=UTC).timestamp()


def test_channels_of_a_tall_table_by_the_names_of_a_panel():
    tall = {"who": ["a", "a", "b"], "t": [0.0, 1.0, 0.0], "kind": [10, 9, 10], "x": [1.0, 2.0, 3.0]}
    panel = Panel.from_long(tall, id="who", time="t", values="x", channel="kind")
    assert panel.channel_names == ("10", "9")
    assert Panel.from_long(tall, id="who", time="t", values="x", channel="kind", channels=panel.channel_names) == panel


def test_an_id_is_no_index():
    with pytest.raises(IndexError, match=r"The mask of an id is panel\.ids == id"):
        Panel.from_list([[1.0], [2.0]], **NAMED)["Ada"]


def test_predictions_join_back_by_several_ids_and_by_datetimes():
    stamps = pd.to_datetime(["2026-01-01 00:00:01.234567", "2026-01-01 08:00:00.0", "2026-01-01 00:00:00.0"])
    frame = pd.DataFrame({"ward": ["A", "A", "B"], "bed": [1, 1, 1], "time": stamps, "x": [1.0, 2.0, 3.0]})
    panel = Panel.from_long(frame, id=["ward", "bed"], time="time", values="x")
    found = frame.merge(pd.DataFrame(panel.to_ids() | {"risk": [0.8, 0.1]}))
    assert found["risk"].tolist() == [0.8, 0.8, 0.1]
    joined = pl.from_pandas(frame).join(pl.DataFrame(panel.to_ids() | {"risk": [0.8, 0.1]}), on=["ward", "bed"])
    assert sorted(joined["risk"].to_list()) == [0.1, 0.8, 0.8]
    back = pd.DataFrame(panel.to_long(datetimes=True))
    assert len(frame.merge(back, on=["ward", "bed", "time", "x"])) == 3
    assert_array_equal(Panel.from_list([[1.0], [2.0]]).to_ids()["series"], [0, 1])
    with pytest.raises(ValueError, match="as seconds since 1970, they are beyond the year 9999"):
        Panel.from_list([([1e12], [1.0])]).to_long(datetimes=True)


def test_a_frame_of_cells_is_known_by_the_names_of_a_panel():
    """No warning of scikit-learn's, that there were no names in fit."""
    panel = Panel.from_list([[[1.0, 2.0]], [[3.0, 4.0]]], channel_names=["u", "v"])
    frame = pd.DataFrame(panel.to_cells())
    fitted = HiPPOTransformer(order=2).fit(panel)
    assert_array_equal(fitted.transform(frame), fitted.transform(panel))
    with pytest.raises(ValueError, match="X has the channels"):
        fitted.transform(frame[["v", "u"]])


def test_what_series_are_after_some_time():
    panel = Panel.from_list([([5.0, 5.5, 5.5, 7.0], [1.0, 2.0, np.nan, 3.0]), [], [4.0, 5.0, 6.0]], ids=["a", "b", "c"])
    begun = panel.until(0.5)
    assert begun == Panel.from_list([([5.0, 5.5, 5.5], [1.0, 2.0, np.nan]), [], [4.0]], ids=["a", "b", "c"])
    assert begun.has_missing
    assert panel.until([2.0, 0.0, 1.0]).lengths.tolist() == [4, 0, 2]
    assert panel.until(99) is panel
    assert Panel.from_list([[1.0, 2.0, 3.0]]).until(1).times is None
    for wrong in (-1.0, np.nan, [1.0, 2.0]):
        with pytest.raises(ValueError, match="elapsed must be one time from zero on, or 3"):
            panel.until(wrong)
