"""What people get wrong: every outcome is a right result, or an error of ours that names the place.

After each refusal, what was asked is as it was, to the last bit.
"""

import datetime
import re
from decimal import Decimal

import joblib
import numpy as np
import pytest
from extras import optional
from scipy import sparse

from sklearn_hippo import HiPPOMemory, HiPPOTransformer, Panel
from sklearn_hippo._validation import check_panel

pd, pl, pa = (optional(name) for name in ("pandas", "polars", "pyarrow"))
nan, inf = np.nan, np.inf

# What Python, NumPy and pandas say of mistakes that nobody looked for.
RAW = re.compile(
    "has no len|not iterable|not subscriptable|truth value|inhomogeneous|could not convert|unhashable|broadcast|"
    "has no attribute|setting an array|object is not|not supported between|unsupported operand|Cannot cast|"
    "cannot reshape|out of bounds for axis|only integer|invalid literal|ufunc|unexpected keyword|KeyError"
)


def refuses(call, message):
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        call()
    told = str(caught.value)
    assert re.search(message, told), told
    assert not RAW.search(re.sub(r"at position [^:]*: .*", "", told)), told
    assert "\n" not in told.strip() or len(told.splitlines()) < 4


# --- X ---------------------------------------------------------------------------------------------------

T2 = [0.0, 1.0]
FRAMES = {
    "text column": (lambda: pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0]}), "Column 'a' must hold real numbers"),
    "dates": (lambda: pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), "Column 'a' must hold real numbers"),
    "long": (lambda: pd.DataFrame({"id": ["u", "u"], "x": [1.0, 2.0]}), "read by Panel.from_long"),
    "multi-index": (
        lambda: pd.DataFrame({"x": [1.0, 2.0]}, pd.MultiIndex.from_tuples([(0, 0), (0, 1)])),
        "long table with a multi-index",
    ),
    "cells and numbers": (
        lambda: pd.DataFrame({"a": [T2, T2], "b": [1.0, 2.0]}),
        "Column 'a' holds series, column 'b'",
    ),
    "a number among cells": (lambda: pd.DataFrame({"a": [T2, 3.0]}), "Series 1, channel 'a': the cell holds no series"),
    "a word among cells": (lambda: pd.DataFrame({"a": [T2, "x"]}), "Series 1 must hold real numbers"),
    "cells of other lengths": (
        lambda: pd.DataFrame({"a": [T2], "b": [[1.0]]}),
        "Series 0: channel 'b' has 1 ob|X has 2 f",
    ),
    "cells of other times": (
        lambda: pd.DataFrame({"a": [(T2, T2)], "b": [([0.0, 2.0], T2)]}),
        "Series 0: the times of channel 'b' differ|X has 2 features",
    ),
    "cells of other widths": (
        lambda: pd.DataFrame({"a": [np.ones((3, 2)), np.ones((3, 1))]}),
        "Channel 'a': the cell of series 0 has 2 channels, that of series 1 has 1",
    ),
    "no columns": (lambda: pd.DataFrame(index=[0, 1]), "X is empty: it has 2 rows"),
    "no rows": (lambda: pd.DataFrame({"a": []}), "X is empty: it has 0 rows"),
    "infinite": (lambda: pd.DataFrame({"a": [1.0, inf], "b": [1.0, 2.0]}, ["u", "v"]), "Series 1 .id 'v'.*position 0"),
    "grouped": (
        lambda: pd.DataFrame({"a": [1, 2], "b": [1.0, 2.0]}).groupby("a"),
        "X is a DataFrameGroupBy: read it by",
    ),
    "grouped by polars": (
        lambda: pl.DataFrame({"a": [1, 2]}).group_by("a"),
        "X is a GroupBy: read it by Panel.from_long",
    ),
    "lazy": (lambda: pl.LazyFrame({"a": [1.0]}), "X is a LazyFrame: its values are needed"),
    "polars text": (lambda: pl.DataFrame({"a": ["x"]}), "Column 'a' must hold real numbers"),
    "arrow text": (lambda: pa.table({"a": ["x"]}), "Column 'a' must hold real numbers"),
    "arrow lists of text": (lambda: pa.table({"a": [["x"]]}), "must hold real numbers"),
    "a column of text": (lambda: pd.Series(["ab", "cd"]), "Series 0 must hold real numbers"),
    "a column of numbers": (lambda: pd.Series([1.0, 2.0]), "Series 0 is a single number"),
    "polars column of numbers": (lambda: pl.Series([1.0, 2.0]), "the cell holds no series"),
}
XS = {
    "None": (lambda: None, "X is a NoneType, no collection of series"),
    "a number": (lambda: 5, "X is a int, no collection of series"),
    "text": (lambda: "abc", "X is a str"),
    "bytes": (lambda: b"abc", "X is a bytes"),
    "a dictionary": (lambda: {"a": [1.0]}, "X is a dict"),
    "a set": (lambda: {1.0}, "X is a set"),
    "a generator": (lambda: (x for x in [T2]), "X is a generator"),
    "an object": (object, "X is a object"),
    "an array of no dimension": (lambda: np.array(3.0), "X is a float"),
    "one series": (lambda: np.ones(4), "Expected 2D array, got 1D array"),
    "one list": (lambda: [1.0, 2.0], "Series 0 is a single number"),
    "four dimensions": (lambda: np.ones((2, 2, 2, 2)), "X has 4 dimensions"),
    "no list": (list, "The list of series is empty"),
    "no tuple": (tuple, "The list of series is empty"),
    "no rows of an array": (lambda: np.ones((0, 5)), r"0 sample\(s\)"),
    "no columns of an array": (lambda: np.ones((5, 0)), r"0 feature\(s\)"),
    "no channels": (lambda: np.ones((2, 3, 0)), "X is empty: its shape"),
    "complex": (lambda: np.ones((2, 3)) * 1j, "Complex data not supported"),
    "an array of text": (lambda: np.array([["a", "b"]]), "X must hold real numbers"),
    "an array of dates": (lambda: np.array([["2020-01-01"]], "M8[D]"), "X must hold real numbers"),
    "an array of objects": (lambda: np.array([[1.0, "a"]], dtype=object), r"at position \(0, 1\)"),
    "a number beyond all": (lambda: [[1.0], [10**400]], "Series 1 must hold real numbers, got 10+... at position 0"),
    "sparse": (lambda: sparse.eye_array(3).tocsr(), "sparse data is not supported"),
    "infinite": (lambda: [[1.0], [2.0, -inf]], "Series 1, channel 0: infinite value at position 1"),
    "infinite in an array": (lambda: np.array([[1.0, inf]]), "Series 0, channel 0: infinite value at position 1"),
    "text in a list": (lambda: [[1.0], "abc"], "Series 1 must hold real numbers"),
    "a word in a series": (lambda: [[1.0], [1.0, "a"]], "Series 1 must hold real numbers"),
    "dictionaries": (lambda: [{"a": 1.0}], "Series 0 must hold real numbers"),
    "a tuple of one": (lambda: [(T2,)], r"Series 0 is a tuple of 1; \(times, values\) is needed"),
    "a tuple of three": (lambda: [(T2, T2, T2)], "Series 0 is a tuple of 3"),
    "values longer than times": (lambda: [(T2, [1.0, 2.0, 3.0])], "Series 0 has 3 observations and times of shape"),
    "times of two dimensions": (lambda: [(np.ones((2, 2)), T2)], "Series 0 has 2 observations and times of shape"),
    "times that decrease": (
        lambda: [[1.0], ([3.0, 2.0], T2)],
        "Series 1: times decrease at position 1, from 3.0 to 2.0",
    ),
    "a time that is NaN": (lambda: [([0.0, nan], T2)], "Series 0: the time at position 1 is nan"),
    "a time that is infinite": (lambda: [([0.0, inf], T2)], "Series 0: the time at position 1 is inf"),
    "a time that is none": (lambda: [([0.0, None], T2)], "Times of series 0: no time at position 1"),
    "no time": (
        lambda: [(np.array(["NaT", "2020"], "M8[s]"), T2)],
        r"Times of series 0: no time \(NaT\) at position 0",
    ),
    "times of text": (lambda: [(["2020", "2021"], T2)], "Times of series 0 must be numbers, datetimes or timedeltas"),
    "complex times": (lambda: [([1j, 2j], T2)], "Complex data not supported: times of series 0"),
    "too large times": (lambda: [([-1.7e308, 1.7e308], T2)], "Series 0 lasts so long that float64 has no room"),
    "too fine times": (lambda: [([2**60, 2**60 + 1], T2)], r"integers beyond 2\*\*53"),
    "times of two kinds": (
        lambda: [(T2, T2), ([datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)], T2)],
        "different kinds .series 0: numbers, series 1: datetime",
    ),
    "mixed times": (lambda: [([datetime.date(2020, 1, 1), 5.0], T2)], "Times of series 0: times of different kinds"),
    "other channels": (lambda: [np.ones((3, 1)), np.ones((3, 2))], "Series 1 has 2 channels, series 0 has 1"),
    "ragged inside": (lambda: [[[1.0, 2.0], [3.0]]], "Series 0 is not a rectangular array of numbers"),
    "three dimensions inside": (lambda: [np.ones((2, 2, 2))], r"Series 0 has shape \(2, 2, 2\)"),
    "a panel inside": (lambda: [Panel([1.0])], "A Panel holds series of different lengths"),
    "an empty panel": (lambda: Panel([1.0])[[]], "X has no series"),
} | FRAMES


def is_there(make):
    """The input; skips where its library is not installed."""
    return make()


TRANSFORMER = HiPPOTransformer(order=2).fit([[1.0, 2.0], [3.0, 4.0, 6.0]])
READERS = {
    "check_panel": lambda X: check_panel(X),
    "fit": lambda X: TRANSFORMER.fit(X),
    "fit_transform": lambda X: TRANSFORMER.fit_transform(X),
    "transform": lambda X: TRANSFORMER.transform(X),
    "transform_online": lambda X: TRANSFORMER.transform_online(X),
}


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", XS)
def test_no_series(name, reader):
    make, message = XS[name]
    before = joblib.hash(vars(TRANSFORMER))
    refuses(lambda: READERS[reader](is_there(make)), message)
    assert joblib.hash(vars(TRANSFORMER)) == before


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("torch")
    pytest.importorskip("skorch")
    from sklearn_hippo import HiPPORNNClassifier

    fitted = HiPPORNNClassifier(hidden_size=4, order=4, max_epochs=1, random_state=0, early_stopping=False)
    return fitted.fit([[1.0, 2.0], [3.0, 4.0, 6.0]] * 3, [0, 1] * 3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("name", XS)
def test_no_series_for_a_network(name, network):
    make, message = XS[name]
    before = joblib.hash(network.__getstate__())
    refuses(lambda: network.fit(is_there(make), [0, 1]), message)
    refuses(lambda: network.predict_proba(is_there(make)), message)
    assert joblib.hash(network.__getstate__()) == before


# --- panels ----------------------------------------------------------------------------------------------

PADDED = np.zeros((2, 3, 2))
PANEL = Panel([1.0, 2.0, 3.0], None, [0, 1, 3])
PANELS = {
    "no values": (lambda: Panel(None), "values must have shape"),
    "text": (lambda: Panel("abc"), "Values must hold real numbers"),
    "three dimensions": (lambda: Panel(PADDED), "use Panel.from_padded"),
    "no channel": (lambda: Panel(np.ones((3, 0))), "values have no channel"),
    "offsets of floats": (lambda: Panel(T2, None, [0.0, 2.0]), "offsets must be a one-dimensional array"),
    "offsets of none": (lambda: Panel(T2, None, [0, None]), "offsets must be a one-dimensional array"),
    "offsets of two dimensions": (lambda: Panel(T2, None, [[0, 2]]), "offsets must be a one-dimensional array"),
    "no offsets": (lambda: Panel(T2, None, []), "offsets must be a one-dimensional array"),
    "offsets that decrease": (lambda: Panel(T2, None, [0, 2, 1, 2]), "series 1 goes from 2 to 1"),
    "offsets that begin late": (lambda: Panel(T2, None, [1, 2]), "they begin with 1"),
    "offsets that end early": (lambda: Panel(T2, None, [0, 1]), "end with 1"),
    "few times": (lambda: Panel(T2, [0.0]), r"times must have shape \(2,\)"),
    "one time": (lambda: Panel(T2, 5.0), r"times must have shape \(2,\)"),
    "names of numbers": (lambda: Panel(T2, channel_names=[1]), "channel_names must be 1 different strings"),
    "a number for names": (lambda: Panel(T2, channel_names=5), "channel_names must be 1 different strings"),
    "many names": (lambda: Panel(T2, channel_names=["a", "b"]), "channel_names must be 1 different strings"),
    "one name twice": (lambda: Panel(np.ones((2, 2)), channel_names=["a", "a"]), "must be 2 different strings"),
    "many ids": (lambda: Panel(T2, ids=["a", "b"]), r"ids must have shape \(1,\)"),
    "list: none": (lambda: Panel.from_list(None), "A sequence of series is needed, got NoneType"),
    "list: a number": (lambda: Panel.from_list(5), "A sequence of series is needed, got int"),
    "list: a generator": (lambda: Panel.from_list(x for x in [T2]), "A sequence of series is needed, got generator"),
    "list: a dictionary": (lambda: Panel.from_list({"a": T2}), "A sequence of series is needed, got dict"),
    "list: ids": (lambda: Panel.from_list([T2], ids=[None]), "ids: there is no id of series 0"),
    "padded: text": (lambda: Panel.from_padded("abc"), "X must hold real numbers"),
    "padded: none": (lambda: Panel.from_padded(None), "X must have shape"),
    "padded: lengths below zero": (lambda: Panel.from_padded(PADDED, [-1, 2]), "Series 0: length -1 is not between"),
    "padded: lengths too long": (
        lambda: Panel.from_padded(PADDED, [1, 4]),
        "Series 1: length 4 is not between 0 and 3",
    ),
    "padded: lengths of text": (lambda: Panel.from_padded(PADDED, "ab"), "lengths must be 2 integers"),
    "padded: few lengths": (lambda: Panel.from_padded(PADDED, [1]), "lengths must be 2 integers"),
    "padded: float lengths": (lambda: Panel.from_padded(PADDED, [1.0, 2.0]), "lengths must be 2 integers"),
    "padded: time by name": (
        lambda: Panel.from_padded(PADDED, time_channel="t"),
        "time_channel must be an instance of",
    ),
    "padded: half a channel": (
        lambda: Panel.from_padded(PADDED, time_channel=0.5),
        "time_channel must be an instance of",
    ),
    "padded: no such channel": (lambda: Panel.from_padded(PADDED, time_channel=2), "time_channel=2, but X has 2"),
    "padded: times by a bool": (lambda: Panel.from_padded(PADDED, time_channel=True), "the number of a channel"),
    "a dict for a series": (lambda: Panel.from_list([{"a": [1, 2]}]), "Series 0 must hold real numbers, got {'a'"),
    "padded: nothing but times": (
        lambda: Panel.from_padded(PADDED[..., :1], time_channel=0),
        "X has no channel but that of the times",
    ),
    "3D: two dimensions": (lambda: Panel.from_numpy3D(np.ones((2, 2))), "X must have shape"),
    "aeon: text": (lambda: Panel.from_aeon("abc"), "A collection of aeon is an array or a list of arrays, got str"),
    "aeon: flat": (lambda: Panel.from_aeon([np.ones(3)]), r"Series 0 has shape \(3,\)"),
    "aeon: nothing": (lambda: Panel.from_aeon([]), "The collection is empty"),
    "pyrregular: a number": (lambda: Panel.from_pyrregular(5), "has the dims ts_id, signal_id and time_id"),
    "concat: nothing": (lambda: Panel.concat([]), "a sequence of panels, got an empty one"),
    "concat: lists": (lambda: Panel.concat([[1.0]]), "a sequence of panels, got list"),
    "index: text": (lambda: PANEL["a"], "A Panel is indexed by an integer"),
    "index: half": (lambda: PANEL[0.5], "A Panel is indexed by an integer"),
    "index: none": (lambda: PANEL[None], "A Panel is indexed by an integer"),
    "index: too far": (lambda: PANEL[2], "Index 2 is out of bounds for a panel of 2 series"),
    "index: too far back": (lambda: PANEL[-3], "Index -3 is out of bounds for a panel of 2 series"),
    "index: a list too far": (lambda: PANEL[[0, 7]], "Index 7 is out of bounds for a panel of 2 series"),
    "index: a short mask": (lambda: PANEL[[True]], r"A mask for this panel has shape \(2,\)"),
    "index: two axes": (lambda: PANEL[0, 1], "A Panel has one axis"),
    "padding with text": (lambda: PANEL.to_padded("a"), "fill must be an instance of"),
    "columns of one name": (lambda: PANEL.to_long(id="time"), "have the same name"),
}


@pytest.mark.parametrize("name", PANELS)
def test_no_panel(name):
    refuses(*PANELS[name])


# --- long tables -----------------------------------------------------------------------------------------

LONG = {"id": [1, 1, 2], "t": [0.0, 1.0, 0.0], "x": [1.0, 2.0, 3.0], "kind": ["a", "b", "a"]}
TABLES = {
    "none": (None, {}, "A long table is a DataFrame"),
    "a list": ([[1, 2]], {}, "A long table is a DataFrame"),
    "an array": (np.ones((3, 3)), {}, "A long table is a DataFrame"),
    "text": ("abc", {}, "A long table is a DataFrame"),
    "no rows": ({"id": [], "t": [], "x": []}, {}, "The table has no rows"),
    "a number for a column": (LONG | {"x": 5.0}, {}, "Column 'x' is a float, not a sequence"),
    "none for a column": (LONG | {"x": None}, {}, "Column 'x' is a NoneType, not a sequence"),
    "a generator for a column": (LONG | {"x": (x for x in T2)}, {}, "Column 'x' is a generator, not a sequence"),
    "a number for ids": (LONG | {"id": 7}, {}, "Column 'id' is a int, not a sequence"),
    "text for times": (LONG | {"t": "abc"}, {}, "Column 't' is a str, not a sequence"),
    "a short column": (LONG | {"x": [1.0]}, {}, "Column 'x' has 1 rows, column 'id' has 3"),
    "words": (LONG | {"x": ["a", "b", "c"]}, {}, "Column 'x' must hold real numbers"),
    "a word": (LONG | {"x": [1.0, "b", 2.0]}, {}, "Column 'x' must hold real numbers"),
    "complex": (LONG | {"x": [1j, 1, 2]}, {}, "Complex data not supported: column 'x'"),
    "an infinite value": (LONG | {"x": [1.0, -inf, 2.0]}, {}, "Column 'x': infinite value at position 1, of id 1"),
    "series in cells": (LONG | {"x": [T2, T2, T2]}, {}, "Column 'x' holds a series in every cell"),
    "two dimensions of values": (LONG | {"x": np.ones((3, 2))}, {}, "Column 'x' holds a series in every cell"),
    "two dimensions of ids": (LONG | {"id": np.ones((3, 2))}, {}, r"Column 'id' holds no ids: its shape is \(3, 2\)"),
    "no id": (LONG | {"id": [1, None, 2]}, {}, "Column 'id' has no id at position 1"),
    "an id that is NaN": (LONG | {"id": [1.0, nan, 2.0]}, {}, "Column 'id' has no id at position 1"),
    "ids of two kinds": (LONG | {"id": [1, "a", 2]}, {}, "Column 'id' mixes ids of different types"),
    "times of text": (LONG | {"t": ["a", "b", "c"]}, {}, "Column 't' must be numbers, datetimes or timedeltas"),
    "no time": (LONG | {"t": [0.0, None, 1.0]}, {}, "Column 't': no time at position 1"),
    "a time that is NaN": (LONG | {"t": [0.0, nan, 1.0]}, {}, "no finite time at position 1, of id 1"),
    "a time that is infinite": (LONG | {"t": [0.0, inf, 1.0]}, {}, "no finite time at position 1, of id 1"),
    "no such column": (LONG, {"values": "y"}, "The table has no column 'y'"),
    "no such id": (LONG, {"id": "who"}, "The table has no column 'who'"),
    "a number for a name": (LONG, {"id": 5}, "The table has no column 5"),
    "no values": (LONG, {"values": None}, "values names no columns"),
    "an empty list of values": (LONG, {"values": []}, "values names no columns"),
    "values twice": (LONG, {"values": ["x", "x"]}, "values names a column twice"),
    "no time column": (LONG, {"time": None}, "The table has no column None"),
    "two time columns": (LONG, {"time": ["t", "x"]}, "time and channel name one column each"),
    "no id column": (LONG, {"id": None}, "from_long needs id="),
    "two channel columns": (LONG, {"channel": ["kind", "id"]}, "time and channel name one column each"),
    "no channel": (
        LONG | {"kind": ["a", None, "b"]},
        {"channel": "kind"},
        "Column 'kind' has no channel at position 1",
    ),
    "an unknown channel": (
        LONG,
        {"channel": "kind", "channels": ["z"]},
        r"None of the channels \['z'\] is in the column",
    ),
    "channels of a wide table": (LONG, {"channels": ["x"]}, "channels chooses among those"),
}


@pytest.mark.parametrize("library", ["dict", "pandas", "polars"])
@pytest.mark.parametrize("name", TABLES)
def test_no_long_table(name, library):
    table, change, message = TABLES[name]
    if library != "dict":
        try:
            table = (pd if library == "pandas" else pl).DataFrame(table)
        except Exception:  # nor is it a frame
            return
        if set(table.columns) != set(LONG) and set(table.columns) != {"id", "t", "x"}:
            message = "has no column"
    arguments = {"id": "id", "time": "t", "values": "x"} | change
    with_frames = {
        "ids of two kinds": None if library == "pandas" else "Column 'id'",
        "a number for a column": None, "none for a column": None, "a number for ids": None,
        "text for times": "Column 't'",
        "no time": "Column 't'", "a time that is NaN": "Column 't'", "words": "Column 'x'", "a word": "Column 'x'",
        "two dimensions of values": "Column 'x'", "two dimensions of ids": "Column 'id'", "complex": "olumn 'x'",
        "series in cells": "Column 'x'", "no id": "Column 'id' has no id at position 1",
    }  # fmt: skip
    message = with_frames.get(name, message) if library != "dict" else message
    if message is None:  # a frame repeats a number, and codes ids
        return
    refuses(lambda: Panel.from_long(table, **arguments), message)


# --- memories --------------------------------------------------------------------------------------------

ONE = HiPPOMemory("lagt", order=3, timescale=2.0).update([1.0, 2.0], [0.0, 5.0])
MANY = HiPPOMemory("legs", order=3, n_channels=2, n_streams=3).update(np.ones((3, 2, 2)), [0.0, 5.0])
UPDATES = {
    "text": (ONE, ("abc", 6.0), "alues must"),
    "words": (ONE, (["a"], [6.0]), "alues must"),
    "a dictionary": (ONE, ({"a": 1.0}, 6.0), "alues must"),
    "complex": (ONE, ([1j], [6.0]), "omplex data not supported|alues must be real"),
    "infinite": (ONE, ([1.0, inf], [6.0, 7.0]), "infinite.*position 1|position 1.*infinite"),
    "one infinite number": (ONE, (inf, 6.0), "nfinite"),
    "times back": (ONE, ([1.0], [4.0]), "decrease"),
    "a number back": (ONE, (1.0, 4.0), "decrease"),
    "times back inside": (ONE, ([1.0, 2.0], [8.0, 7.0]), "decrease"),
    "a time that is NaN": (ONE, (1.0, nan), "nan|not finite"),
    "a time that is infinite": (ONE, (1.0, inf), "inf|not finite"),
    "a time of text": (ONE, (1.0, "b"), "must be numbers, datetimes or timedeltas"),
    "no time": (ONE, ([1.0], [None]), "no time at position 0"),
    "more times": (ONE, ([1.0], [6.0, 7.0]), "imes"),
    "no times after times": (ONE, (1.0, None), "imes"),
    "four dimensions": (ONE, (np.ones((1, 1, 1, 1)), 6.0), "shape"),
    "few streams": (MANY, (np.ones((2, 1, 2)), [6.0]), "shape"),
    "few channels": (MANY, (np.ones((3, 1, 1)), [6.0]), "shape"),
    "a number for all": (MANY, (1.0, 6.0), "shape"),
    "times of other streams": (MANY, (np.ones((3, 2, 2)), np.ones((2, 2))), "times"),
    "one stream back": (MANY, (np.ones((3, 1, 2)), [[6.0], [4.0], [6.0]]), "Stream 1: times decrease"),
    "one stream infinite": (MANY, (np.array([[[1, 1]], [[1, 1]], [[1, inf]]]), [6.0]), "Stream 2.*channel 1|stream 2"),
}


@pytest.mark.parametrize("name", UPDATES)
def test_no_update(name):
    memory, arguments, message = UPDATES[name]
    before = joblib.hash(memory.to_dict())
    refuses(lambda: memory.update(*arguments), message)
    assert joblib.hash(memory.to_dict()) == before


MEMORIES = {
    "a measure without an online form": (lambda: HiPPOMemory("chebs").update(1.0), "The 'measure' parameter"),
    "no timescale": (lambda: HiPPOMemory("lagt").update(1.0), "needs a timescale"),
    "a timescale of text": (lambda: HiPPOMemory("lagt", timescale="a").update(1.0), "The 'timescale' parameter"),
    "order 0": (lambda: HiPPOMemory(order=0).update(1.0), "The 'order' parameter"),
    "no streams": (lambda: HiPPOMemory(n_streams=0).update(1.0), "The 'n_streams' parameter"),
    "merge: a list": (lambda: ONE.merge([1.0]), "merges with another one, not with a list"),
    "merge: other parameters": (lambda: ONE.merge(MANY), "Only memories with the same parameters merge"),
    "merge: overlap": (lambda: ONE.merge(ONE), "Stream 0: the memories overlap"),
    "reconstruct: text": (lambda: ONE.reconstruct("abc"), "imes must"),
    "reconstruct: a number": (lambda: ONE.reconstruct(1.0), r"times must have shape \(n_times,\)"),
    "reconstruct: other streams": (lambda: MANY.reconstruct(np.ones((2, 4))), r"times must have shape \(n_times,\) or"),
    "nothing seen": (lambda: HiPPOMemory().reconstruct([1.0]), "has not seen any observations"),
    "from_dict: nothing": (lambda: HiPPOMemory.from_dict({}), "not a memory in format"),
    "from_dict: half": (
        lambda: HiPPOMemory.from_dict({k: v for k, v in ONE.to_dict().items() if k != "state_core"}), "lacks the entry",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMORIES)
def test_no_memory(name):
    before = joblib.hash([ONE.to_dict(), MANY.to_dict()])
    refuses(*MEMORIES[name])
    assert joblib.hash([ONE.to_dict(), MANY.to_dict()]) == before


# --- back from coefficients ------------------------------------------------------------------------------

C = [[1.0, 2.0]]
BACK = {
    "no features": (lambda: TRANSFORMER.inverse_transform(None), "Expected 2D array|Input X"),
    "text": (lambda: TRANSFORMER.inverse_transform("abc"), "X must hold real numbers"),
    "one row": (lambda: TRANSFORMER.inverse_transform([1.0, 2.0]), "Expected 2D array"),
    "other features": (
        lambda: TRANSFORMER.inverse_transform([[1.0, 2.0, 3.0]]),
        "X has 3 features, but HiPPOTransformer",
    ),
    "infinite": (lambda: TRANSFORMER.inverse_transform([[1.0, inf]]), "infinity"),
    "times of text": (lambda: TRANSFORMER.inverse_transform(C, "abc"), "imes of series 0 must be numbers"),
    "one time": (lambda: TRANSFORMER.inverse_transform(C, 5.0), "times must be 1-D"),
    "a dictionary": (lambda: TRANSFORMER.inverse_transform(C, {"a": 1}), "imes of series 0 must be numbers"),
    "series": (lambda: TRANSFORMER.inverse_transform(C, [(T2, T2)]), "times must be 1-D"),
    "too many": (lambda: TRANSFORMER.inverse_transform(C, [T2, T2]), "times are given for 2 series, X has 1"),
    "back": (lambda: TRANSFORMER.inverse_transform(C, [2.0, 1.0]), "times decrease at position 1"),
    "NaN": (lambda: TRANSFORMER.inverse_transform(C, [nan]), "the time at position 0 is nan"),
    "every 0": (lambda: TRANSFORMER.transform_online([T2], every=0), "every == 0, must be >= 1"),
    "every a": (lambda: TRANSFORMER.transform_online([T2], every="a"), "every must be an instance of"),
    "names": (lambda: TRANSFORMER.get_feature_names_out(["a", "b"]), "input_features should have length"),
    "not fitted": (lambda: HiPPOTransformer().transform([T2]), "is not fitted yet"),
    "other channels": (lambda: TRANSFORMER.transform([np.ones((3, 2))]), "X has 2 channels, but HiPPOTransformer"),
    "a measure": (lambda: HiPPOTransformer("legz").fit([T2]), "The 'measure' parameter"),
    "an order": (lambda: HiPPOTransformer(order="a").fit([T2]), "The 'order' parameter"),
    "a huge order": (lambda: HiPPOTransformer(order=10**12).fit([T2]), "order=1000000000000 would need"),
    "a timescale": (lambda: HiPPOTransformer("lagt", timescale=-1.0).fit([T2]), "The 'timescale' parameter"),
    "no timescale": (
        lambda: HiPPOTransformer("lagt").fit([[1.0]]),
        "The timescale of measure='lagt' cannot be learned",
    ),
    "a channel never seen": (
        lambda: HiPPOTransformer().fit([[[1.0, nan]], [[2.0, nan]]]),
        "Channel 1 has no observation",
    ),
}


@pytest.mark.parametrize("name", BACK)
def test_no_way_back(name):
    before = joblib.hash(vars(TRANSFORMER))
    refuses(*BACK[name])
    assert joblib.hash(vars(TRANSFORMER)) == before


# --- what looks wrong and is right -----------------------------------------------------------------------

RIGHT = {
    "Decimals": ([[Decimal("1.5"), None]], [[1.5, 0.0]]),
    "booleans": (np.array([[True, False, True, False]]), None),
    "a list of None": ([None, [1.0]], [[nan, nan], [1.0, 0.0]]),
    "a series of nothing": ([[], [1.0]], [[nan, nan], [1.0, 0.0]]),
    "Fortran order": (np.asfortranarray([[1.0, 1.0], [2.0, 2.0]]), [[1.0, 0.0], [2.0, 0.0]]),
    "the other byte order": ([np.ones(3, ">f8")], [[1.0, 0.0]]),
    "read-only": ([np.broadcast_to(1.0, (3,))], [[1.0, 0.0]]),
    "half precision": ([np.ones(3, np.float16)], [[1.0, 0.0]]),
    "long double": ([np.ones(3, np.longdouble)], [[1.0, 0.0]]),
    "masked": (np.ma.masked_values([[1.0, -9.0, 1.0]], -9.0), [[1.0, 0.0]]),
    "ties": ([([0.0, 0.0, 1.0], [5.0, 1.0, 1.0])], [[1.0, 0.0]]),
    "negative zero": ([[-0.0, 0.0]], [[0.0, 0.0]]),
    "the smallest numbers": ([[5e-324, 5e-324]], [[5e-324, 0.0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_all_the_same(name):
    X, expected = RIGHT[name]
    found = HiPPOTransformer(order=2).fit(X).transform(X)
    if expected is not None:
        np.testing.assert_allclose(found, expected, rtol=1e-15, atol=0)
