import numpy as np
import pytest
from extras import Missing, optional
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_hippo import Panel, _reading
from sklearn_hippo._long import sorted_rows

pd, pl, pa = (optional(name) for name in ("pandas", "polars", "pyarrow"))

TABLE = {
    "site": ["n", "n", "s", "n", "s", "n"],
    "bed": [1, 2, 1, 1, 1, 2],
    "t": [2.0, 0.0, 1.0, 1.0, 0.0, 5.0],
    "x": [1.0, 2.0, 3.0, 4.0, 5.0, np.nan],
}
TALL = {
    "who": ["u", "u", "u", "v", "u", "u", "w"],
    "t": [0, 0, 1, 5, 1, 1, 0],
    "kind": ["pulse", "pressure", "pulse", "pressure", "pulse", "heat", "heat"],
    "value": [60.0, 120.0, 61.0, 110.0, 62.0, 37.0, None],
}
LIBRARIES = {
    "dict": dict,
    "pandas": lambda table: pd.DataFrame(table),
    "polars": lambda table: pl.DataFrame(table),
    "pyarrow": lambda table: pa.table(table),
    "pandas of pyarrow": lambda table: pa.table(table).to_pandas(types_mapper=pd.ArrowDtype),
    "categories": lambda table: pd.DataFrame(table).astype(
        {k: "category" for k in table if k in ("site", "who", "kind")}
    ),
    "dictionaries": lambda table: pa.table(
        {k: pa.array(v).dictionary_encode() if isinstance(v[0], str) else v for k, v in table.items()}
    ),
}


# --- several columns of ids ----------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_ids_of_several_columns(library):
    panel = Panel.from_long(LIBRARIES[library](TABLE), id=["site", "bed"], time="t", values="x")
    assert panel.ids.tolist() == [("n", 1), ("n", 2), ("s", 1)]
    assert panel.id_names == ("site", "bed")
    assert [times.tolist() for times, _ in panel] == [[1, 2], [0, 5], [0, 1]]
    one = Panel.from_long(LIBRARIES[library](TABLE), id="bed", time="t", values="x")
    assert_array_equal(one.ids, [1, 2])
    assert one.ids.dtype == np.int64
    assert one.id_names == ("bed",)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.booleans()), min_size=1, max_size=30))
def test_several_columns_tell_apart_what_tuples_do(rows):
    first, second, third = (list(column) for column in zip(*rows, strict=True))
    table = {"a": first, "b": second, "c": np.array(third), "t": np.arange(len(rows)), "x": np.arange(float(len(rows)))}
    panel = Panel.from_long(table, id=["a", "b", "c"], time="t", values="x")
    seen = list(dict.fromkeys(rows))
    assert panel.ids.tolist() == seen
    for one, (times, _) in zip(seen, panel, strict=True):
        assert times.tolist() == [i for i, row in enumerate(rows) if row == one]


# --- grouped frames ------------------------------------------------------------------------------------


def test_grouped_frames_are_read_by_their_groups():
    frame = pd.DataFrame(TABLE)
    for keys in ("site", ["site", "bed"]):
        for sort in (True, False):
            grouped = Panel.from_long(frame.groupby(keys, sort=sort), time="t", values="x")
            plain = Panel.from_long(frame, id=keys, time="t", values="x")
            assert grouped.ids.tolist() == plain.ids.tolist()
            assert_array_equal(grouped.values, plain.values)
            assert grouped.id_names == plain.id_names
    by_number = Panel.from_long(frame.groupby(frame["bed"].to_numpy() % 2), time="t", values="x")
    assert by_number.ids.tolist() == [1, 0]
    lazy = pl.DataFrame(TABLE)
    for keys in ("site", ["site", "bed"]):
        grouped = Panel.from_long(lazy.group_by(keys, maintain_order=True), time="t", values="x")
        plain = Panel.from_long(lazy, id=keys, time="t", values="x")
        assert grouped.ids.tolist() == plain.ids.tolist()
        assert_array_equal(grouped.values, plain.values)
    with pytest.raises(ValueError, match="The table has no id at position 1"):
        Panel.from_long(pd.DataFrame({"p": ["a", None], "t": [0, 1], "x": [1, 2]}).groupby("p"), time="t", values="x")
    with pytest.raises(ValueError, match="the column that tells which series a row belongs to"):
        Panel.from_long(frame, time="t", values="x")


# --- tall tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_tall_table_is_a_wide_one(library):
    panel = Panel.from_long(LIBRARIES[library](TALL), id="who", time="t", values="value", channel="kind")
    assert panel.channel_names == ("heat", "pressure", "pulse")
    assert panel.ids.tolist() == ["u", "v", "w"]
    times, values = panel[0]
    assert_array_equal(times, [0, 1, 1])  # the pulse jumps at 1
    assert_array_equal(values, [[np.nan, 120, 60], [37, np.nan, 61], [np.nan, np.nan, 62]])
    assert_array_equal(panel[1][1], [[np.nan, 110, np.nan]])
    assert_array_equal(panel[2][1], [[np.nan] * 3])  # a time without a value is a time
    some = Panel.from_long(
        LIBRARIES[library](TALL), id="who", time="t", values="value", channel="kind", channels=["pulse", "oxygen"]
    )
    assert some.channel_names == ("pulse", "oxygen")
    assert_array_equal(some[0][1], [[60, np.nan], [61, np.nan], [62, np.nan]])
    assert some.lengths.tolist() == [3, 0, 0]


@settings(deadline=None)
@given(st.data())
def test_a_tall_table_is_what_pandas_pivots(data):
    rows = data.draw(
        st.lists(
            st.tuples(st.sampled_from("uvw"), st.integers(0, 4), st.sampled_from([3, 1, 2])), min_size=1, max_size=40,
        )
    )  # fmt: skip
    table = pd.DataFrame(rows, columns=["who", "t", "kind"])
    table["value"] = np.arange(float(len(table)))
    panel = Panel.from_long(table, id="who", time="t", values="value", channel="kind")
    table["again"] = table.groupby(["who", "t", "kind"]).cumcount()
    table["who"] = pd.Categorical(table["who"], categories=table["who"].unique())
    wide = table.pivot(index=["who", "t", "again"], columns="kind", values="value").sort_index()
    assert panel.channel_names == tuple(str(one) for one in wide.columns)
    assert_array_equal(panel.values, wide.to_numpy())
    assert_array_equal(panel.times, wide.index.get_level_values("t"))
    lengths = wide.groupby(level="who", observed=True).size()
    assert_array_equal(panel.lengths, lengths[panel.ids])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": ["value", "t"]}, "A tall table has one column of values, beside 'kind'"),
        ({"channels": []}, "channels must be different channels of the column 'kind', got \\[\\]"),
        ({"channels": ["heat", "heat"]}, "channels must be different channels"),
        ({"channels": ["oxygen"]}, r"None of the channels \['oxygen'\] is in the column 'kind', which has \['pulse'"),
        ({"channel": "sort"}, "The table has no column 'sort'"),
        ({"channel": None, "channels": ["heat"]}, "channels chooses among those that the column channel="),
        ({"frame": TALL | {"kind": [None, *TALL["kind"][1:]]}}, "Column 'kind' has no channel at position 0"),
        ({"frame": TALL | {"value": [np.inf, *TALL["value"][1:]]}}, "infinite value at position 0, of who 'u'"),
        ({"id": ["who", "kinds"]}, "The table has no column 'kinds'"),
        ({"id": []}, "from_long needs id="),
    ],
)
def test_tall_tables_that_are_none(change, message):
    arguments = {"frame": TALL, "id": "who", "time": "t", "values": "value", "channel": "kind"} | change
    with pytest.raises(ValueError, match=message):
        Panel.from_long(arguments.pop("frame"), **arguments)


# --- lists ---------------------------------------------------------------------------------------------


def lists_of_series():
    rng = np.random.default_rng(0)
    times = [np.sort(rng.uniform(size=n)) for n in (3, 1, 5)]
    blocks = [rng.normal(size=(len(t), 2)) for t in times]
    yield "tuples", list(zip(times, blocks, strict=True))
    yield "one channel", [(t, b[:, 0]) for t, b in zip(times, blocks, strict=True)]
    yield "float32", [(t, b.astype(np.float32)) for t, b in zip(times, blocks, strict=True)]
    yield "arrays", [b[:, :1] for b in blocks]
    yield "integers", [(np.arange(len(b)), b) for b in blocks]
    yield "instants", [((1e9 * t).astype("M8[ns]"), b) for t, b in zip(times, blocks, strict=True)]
    yield "spans", [((1e9 * t).astype("m8[us]"), b) for t, b in zip(times, blocks, strict=True)]
    yield "views", [(t[::-1][::-1], b[:, ::-1]) for t, b in zip(times, blocks, strict=True)]
    if not isinstance(pd, Missing):
        yield "pandas", [pd.Series(b[:, 0], t) for t, b in zip(times, blocks, strict=True)]
        frames = [pd.DataFrame(b, t, columns=["a", "b"]) for t, b in zip(times, blocks, strict=True)]
        yield "frames", frames
        zone = [pd.DataFrame(b, pd.to_datetime(1e9 * t, utc=True)) for t, b in zip(times, blocks, strict=True)]
        yield "zones", [one.tz_convert("Europe/Paris") for one in zone]


@pytest.mark.parametrize("name", [name for name, _ in lists_of_series()])
def test_series_alike_are_read_as_each_by_itself(monkeypatch, name):
    series = dict(lists_of_series())[name]
    before = pickle_of(series)
    assert _reading._read_alike(series) is not None
    panel = Panel.from_list(series)
    monkeypatch.setattr(_reading, "_read_alike", lambda series: None)
    alone = Panel.from_list(series)
    assert_array_equal(panel.values, alone.values)
    assert panel.values.dtype == alone.values.dtype
    assert_array_equal(panel.offsets, alone.offsets)
    assert (panel.times is None) == (alone.times is None)
    assert panel.times is None or (panel.times == alone.times).all()
    assert panel.channel_names == alone.channel_names
    assert pickle_of(series) == before


def pickle_of(series):
    return repr([tuple(np.asarray(part).tolist() for part in one) if isinstance(one, tuple) else one for one in series])


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (
            [(np.array([0.0]), np.array([1.0])), (np.array([0.0, 1.0]), np.array([1.0]))],
            "Series 1 has 1 observations and",
        ),
        ([(np.array([0.0]), np.ones((1, 2))), (np.array([0.0]), np.ones((1, 3)))], "Series 1 has 3 channels, series 0"),
        ([(np.array([0.0]), np.ones(1)), (np.array(["1970"], "M8[s]"), np.ones(1))], "of different kinds"),
        ([(np.array([0.0, np.nan]), np.ones(2))], "Series 0: the time at position 1 is nan"),
        ([(np.array(["NaT"], "M8[s]"), np.ones(1))], "Times of series 0: no time"),
        ([(np.ones(1), np.ones(1), np.ones(1))], "Series 0 is a tuple of 3"),
        ([np.ones((2, 2, 2))], "Series 0 has shape"),
    ],
)
def test_series_alike_that_are_wrong_are_named(series, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Panel.from_list(series)


# --- cells ---------------------------------------------------------------------------------------------


def test_cells_may_hold_several_channels():
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(n, 3)) for n in (4, 2)]
    frame = pd.DataFrame({"vitals": blocks, "heat": [one[:, 0] for one in blocks]})
    panel = Panel(*_reading.read_cells([frame["vitals"], frame["heat"]], ["vitals", "heat"])[:3])
    assert_array_equal(panel.values, np.concatenate([np.c_[one, one[:, 0]] for one in blocks]))
    read = _reading.read_cells([frame["vitals"], frame["heat"]], ["vitals", "heat"])
    assert read.channel_names == ("vitals_0", "vitals_1", "vitals_2", "heat")
    frame.loc[1, "heat"] = None
    assert np.isnan(_reading.read_cells([frame["vitals"], frame["heat"]], None).values[4:, 3]).all()
    with pytest.raises(
        ValueError, match="Channel 'vitals': the cell of series 0 has 3 channels, that of series 1 has 2"
    ):
        _reading.read_cells([[blocks[0], blocks[1][:, :2]]], ["vitals"])


@given(st.integers(0, 99), st.integers(0, 80), st.sampled_from([1, 3, 3000, 2**40]), st.sampled_from([0, 1, 5, 1000]))
@settings(deadline=None)
def test_sorted_rows(seed, n, largest, shuffled):
    rng = np.random.default_rng(seed)
    codes, ticks = rng.integers(0, largest, n), np.sort(rng.integers(-5, 50, n))
    for i in rng.integers(0, n, shuffled) if n else ():
        ticks[[0, i]] = ticks[[i, 0]]
    for own in (ticks, ticks / 3, np.repeat(ticks, 2)[::2]):  # which is not contiguous
        order = sorted_rows(codes, own)
        expected = np.lexsort((own, codes))
        assert_array_equal(np.arange(n) if order is None else order, expected)


def test_sorting_gives_up_in_time():
    n = 20_000  # of one series, backwards: insertion would take the square of it
    order = sorted_rows(np.zeros(n, np.intp), np.arange(n)[::-1])
    assert_array_equal(order, np.arange(n)[::-1])
