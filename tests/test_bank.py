import copy
import json
import os
import pickle
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from extras import optional
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_hippo import HiPPOTransformer, MemoryBank, Panel, _streams

EXACT = ["legs", "legs_lti", "lagt"]
CHANNELS = ("x", "y")
WIDE = {"id": "who", "time": "t", "values": CHANNELS}


def fitted(measure="legs", order=6, channels=CHANNELS, **kwargs):
    if measure not in EXACT:
        kwargs = {"method": "recurrence", "discretization": "linear"} | kwargs
    training = Panel([np.zeros(len(channels)), np.ones(len(channels))], [0.0, 5.0], channel_names=channels)
    return HiPPOTransformer(measure, order, timescale=None if measure == "legs" else 5.0, **kwargs).fit(training)


def events(seed, n=120, n_ids=5, missing=0.2, n_channels=2, lateness=0.0, kind=str):
    """A table in the order in which events arrive, no later than that; some times are tied, some gaps tiny."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(size=n) * rng.choice([1, 1, 0.01, 1e-6, 5, 0], size=n)
    times, who = 3 + np.cumsum(gaps), rng.integers(0, n_ids, n)
    values = rng.normal(size=(n, n_channels)).cumsum(axis=0)
    values[rng.uniform(size=values.shape) < missing] = np.nan
    arrival = np.argsort(times + rng.uniform(0, 0.999 * lateness, n), kind="stable")
    ids = np.array([kind(k) for k in who], dtype=object if kind is str else None)
    table = {"who": ids, "t": times, **{name: values[:, c] for c, name in enumerate(CHANNELS[:n_channels])}}
    return {name: column[arrival] for name, column in table.items()}


def some(table, rows):
    return {name: column[rows] for name, column in table.items()}


def close(actual, expected, tolerance=1e-9):
    scale = np.nanmax(np.abs(expected), initial=1e-300)
    assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


def check(bank, transformer, table):
    """Whether a bank has what the transformer makes of the whole table."""
    panel = Panel.from_long(table, **WIDE)
    close(bank.transform(panel.ids), transformer.transform(panel))
    assert sorted(bank.ids) == sorted(panel.ids.tolist())
    place = {item: k for k, item in enumerate(bank.ids)}
    order = [place[item] for item in panel.ids]
    assert_array_equal(bank.n_observations[order], panel.lengths)
    assert_array_equal(bank.times[order], panel.times[panel.offsets[1:] - 1])


def bits(bank):
    """Everything that a bank is."""
    streams, n = bank._streams, bank._streams.n
    arrays = [getattr(streams.state, name)[:n] for name in vars(streams.state)]
    return [array.tobytes() for array in [*arrays, streams.latest[:n], *streams.log]] + [
        str((bank._index, bank._ids, bank._n_late, bank._kind, bank._id_kind, streams.limit))
    ]


@pytest.fixture
def soon(monkeypatch):
    """Events enter the states when there are a few, not thousands."""
    monkeypatch.setattr(_streams, "LEAST", 7)


# --- the features are those of the transformer ---------------------------------------------------------


@pytest.mark.parametrize("past", ["zero", "constant"])
@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", [*EXACT, "legt", "fout"])
def test_features_are_those_of_the_transformer(measure, interpolation, past, soon):
    kwargs = {"interpolation": interpolation, "past": past, "add_duration": True}
    if measure not in EXACT:
        kwargs["discretization"] = "linear" if interpolation == "linear" else "zoh"
    transformer, table = fitted(measure, **kwargs), events(0)
    bank = MemoryBank(transformer)
    for part in np.array_split(np.arange(120), 17):
        bank.update(some(table, part), **WIDE)
        check(bank, transformer, some(table, slice(0, part[-1] + 1)))
    assert bank.get_feature_names_out().tolist() == transformer.get_feature_names_out().tolist()


@st.composite
def histories(draw):
    lateness = draw(st.sampled_from([0.0, 0.0, 0.5, 20.0]))
    return {
        "table": events(draw(st.integers(0, 99)), draw(st.integers(1, 60)), draw(st.integers(1, 4)),
                        draw(st.sampled_from([0.0, 0.3, 0.9])), lateness=lateness),
        "lateness": lateness,
        "measure": draw(st.sampled_from([*EXACT, "legt"])),
        "kwargs": {"interpolation": draw(st.sampled_from(["linear", "hold"])), "add_duration": draw(st.booleans())},
        "cuts": sorted(draw(st.lists(st.integers(0, 60), max_size=8))),
        "least": draw(st.sampled_from([1, 3, 10, 8192])),
        "acts": draw(st.lists(st.sampled_from(["go on", "save", "pickle", "read"]), min_size=9, max_size=9)),
    }  # fmt: skip


def stored(bank, path):
    bank.save(path)
    return MemoryBank.load(path)


@given(histories())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_late_events_and_interruptions(monkeypatch, tmp_path, history):
    optional("pyarrow")
    table, lateness = history["table"], history["lateness"]
    monkeypatch.setattr(_streams, "LEAST", history["least"])
    transformer = fitted(history["measure"], **history["kwargs"])
    bank, straight = (MemoryBank(transformer, lateness=lateness) for _ in range(2))
    for part, act in zip(np.split(np.arange(len(table["t"])), history["cuts"]), history["acts"], strict=False):
        bank.update(some(table, part), **WIDE)
        straight.update(some(table, part), **WIDE)
        if act == "save":
            bank = stored(bank, tmp_path / "bank.arrow")
        elif act == "pickle":
            bank = pickle.loads(pickle.dumps(bank))
        elif act == "read":
            bank.transform()
    check(bank, transformer, table)
    assert_array_equal(bank.transform(), straight.transform())  # to the last bit
    in_time = np.argsort(table["t"], kind="stable")
    check(MemoryBank(transformer).update(some(table, in_time), **WIDE), transformer, table)


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shards_and_stretches(monkeypatch, history, random):
    table, lateness = history["table"], history["lateness"]
    monkeypatch.setattr(_streams, "LEAST", history["least"])
    transformer, n = fitted(history["measure"], **history["kwargs"]), len(table["t"])
    shard = {who: random.randrange(3) for who in set(table["who"])}
    of = np.array([shard[who] for who in table["who"]])
    shards = [MemoryBank(transformer, lateness=lateness) for _ in range(3)]
    for part in np.split(np.arange(n), history["cuts"]):
        for k, bank in enumerate(shards):
            bank.update(some(table, part[of[part] == k]), **WIDE)
    a, b, c = shards
    check(a.merge(b.merge(c)), transformer, table)
    # Stretches of time, of which each but the last is complete.
    table = some(table, np.argsort(table["t"], kind="stable"))
    banks = [MemoryBank(transformer, lateness=lateness).update(some(table, part), **WIDE)
             for part in np.split(np.arange(n), history["cuts"])]  # fmt: skip
    total = banks[0]
    for bank in banks[1:]:
        before = bits(total), bits(bank)
        merged = total.merge(bank)
        assert (bits(total), bits(bank)) == before
        total = merged
    check(total, transformer, table)


def test_stretches_that_overlap_by_what_may_be_late():
    transformer, times = fitted(), np.array([0.0, 1.0, 3.0, 2.25, 4.0, 2.5])
    table = {"who": ["a"] * 6, "t": times, "x": times**2, "y": -times}
    first, second = (
        MemoryBank(transformer, lateness=2.0).update({name: column[part] for name, column in table.items()}, **WIDE)
        for part in (slice(0, 3), slice(3, 5))
    )
    late = {name: column[5:] for name, column in table.items()}
    check(first.merge(second).update(late, **WIDE), transformer, table)
    with pytest.raises(ValueError, match="Who 'a': the events of the second bank begin before"):
        second.merge(first)  # which has events that are later than the second may wait for


def test_what_waits_is_stored_with_how_long_it_waits(soon, tmp_path):
    optional("pyarrow")
    transformer, table = fitted(), events(21, lateness=50.0)
    bank = MemoryBank(transformer, lateness=50.0).update(some(table, slice(0, 60)), **WIDE)
    assert bank._streams.limit > 2 * 7  # much waits
    with_holes = copy.deepcopy(bank).drop(["1"])
    for one in (bank, with_holes):
        for again in (stored(one, tmp_path / "bank"), pickle.loads(pickle.dumps(one))):
            assert again._streams.limit == one._streams.limit
            assert_array_equal(again.update(some(table, slice(60, None)), **WIDE).transform(),
                               copy.deepcopy(one).update(some(table, slice(60, None)), **WIDE).transform())  # fmt: skip


def test_late_events_after_a_merge(soon):
    transformer, table = fitted(), events(3, lateness=4.0)
    first = MemoryBank(transformer, lateness=4.0).update(some(table, slice(0, 50)), **WIDE)
    second = MemoryBank(transformer, lateness=4.0).update(some(table, slice(50, 53)), **WIDE)
    merged = first.merge(second)  # which overlap, by events that still wait
    check(merged.update(some(table, slice(53, None)), **WIDE), transformer, table)
    later = MemoryBank(transformer, lateness=4.0).update(some(table, slice(40, None)), **WIDE)
    before = bits(first), bits(later)
    with pytest.raises(ValueError, match=r"Who '\d': the events of the second bank begin before"):
        first.merge(later)
    assert (bits(first), bits(later)) == before


@pytest.mark.parametrize("interpolation", ["linear", "hold"])
@pytest.mark.parametrize("measure", EXACT)
@pytest.mark.parametrize("n", [1, 2, 30])
def test_at_a_later_time(measure, interpolation, n):
    transformer, table = fitted(measure, interpolation=interpolation, add_duration=True), events(1, n, 2)
    bank = MemoryBank(transformer).update(table, **WIDE)
    later = {"who": np.array(bank.ids, dtype=object), "t": bank.times + [0.5, 40.0][: len(bank)]}
    held = {name: np.append(column, later.get(name, [np.nan] * len(bank))) for name, column in table.items()}
    panel = Panel.from_long(held, **WIDE)  # as if there was an observation of no channel
    before = bits(bank)
    close(bank.transform(panel.ids, at=later["t"][[bank.ids.index(item) for item in panel.ids]]),
          transformer.transform(panel))  # fmt: skip
    close(bank.transform(at=bank.times), bank.transform())
    assert bits(bank) == before
    assert bank.transform(at=1e3).shape == bank.transform().shape
    with pytest.raises(ValueError, match=r"Who '.': at=1.0 is before its last event, at"):
        bank.transform(at=1.0)


def test_events_one_by_one(soon):
    transformer, table = fitted("lagt"), events(5, lateness=2.0)
    bank, batch = (MemoryBank(transformer, lateness=2.0) for _ in range(2))
    for k in range(120):
        event = {name: column[k].item() if name != "who" else column[k] for name, column in table.items()}
        bank.update(event, **WIDE)
        batch.update(some(table, [k]), **WIDE)
    check(bank, transformer, table)
    assert bits(bank) == bits(batch)  # the fast path is no other
    tall = MemoryBank(transformer, lateness=2.0)
    for k in range(120):
        for name in CHANNELS:
            event = {"who": table["who"][k], "t": table["t"][k].item(), "kind": name, "v": table[name][k].item()}
            tall.update(event, id="who", time="t", values="v", channel="kind")
    close(tall.transform(bank.ids), bank.transform())


def test_the_same_whatever_waits(monkeypatch):
    transformer, table = fitted("legs_lti", 16), events(2, 3000, 40)
    found = []
    for least in (1, 50, 8192):
        monkeypatch.setattr(_streams, "LEAST", least)
        bank = MemoryBank(transformer, n_jobs=2)
        for part in np.array_split(np.arange(3000), 30):
            bank.update(some(table, part), **WIDE)
        check(bank, transformer, table)
        found.append(bank.transform())
    close(found[0], found[1], 1e-12)
    close(found[0], found[2], 1e-12)


def test_threads_do_not_show(soon, monkeypatch):
    monkeypatch.setattr(_streams, "TOGETHER", 3)
    transformer, table = fitted("lagt"), events(20, 300, 20)
    banks = [MemoryBank(transformer, n_jobs=n_jobs, lateness=1.0) for n_jobs in (1, 3)]
    for part in np.array_split(np.arange(300), 4):
        for bank in banks:
            bank.update(some(table, part), **WIDE)
    assert bits(banks[0]) == bits(banks[1])
    check(banks[1], transformer, table)


def test_large_values(soon):
    transformer, table = fitted(), events(4, missing=0.1)
    table["x"] = table["x"] * 1e290
    check(MemoryBank(transformer).update(table, **WIDE), transformer, table)
    bank = MemoryBank(transformer).update(some(table, slice(0, 60)), **WIDE)
    with pytest.raises(ValueError, match=r"Position 3, of who '.', channel 'x': the value 1e\+302 is too large"):
        bank.update(some(table, slice(60, 70)) | {"x": np.array([1, 1, 1, 1e302] + [1.0] * 6)}, **WIDE)
    check(bank.update(some(table, slice(60, None)), **WIDE), transformer, table)


# --- forms of events -----------------------------------------------------------------------------------


def test_tall_tables(soon):
    transformer, table = fitted(), events(6)
    tall = {name: np.repeat(table[name], 2) for name in ("who", "t")}
    tall |= {"kind": np.tile(CHANNELS, 120), "v": np.stack([table["x"], table["y"]], axis=1).ravel()}
    bank = MemoryBank(transformer)
    for part in np.array_split(np.arange(240), 9):  # which cut observations in two
        bank.update(some(tall, part), id="who", time="t", values="v", channel="kind")
    panel = Panel.from_long(table, **WIDE)
    close(bank.transform(panel.ids), transformer.transform(panel))
    before = bits(bank)
    event = {"who": ["a", "b"], "t": [1e6, 1e6], "kind": ["x", "z"], "v": [1.0, 2.0]}
    with pytest.raises(ValueError, match=r"'z' at position 1, of who 'b' is none of the channels \['x', 'y'\]"):
        bank.update(event, id="who", time="t", values="v", channel="kind")
    assert bits(bank) == before


@pytest.mark.parametrize(
    "form", ["pandas", "arrow", "batch", "polars", "lists", "categories", "grouped", "integers", "float32"]
)
def test_forms_of_tables(form):
    transformer, table = fitted(), events(7, 60, kind=int if form == "integers" else str)
    given, keys = table, WIDE
    if form in ("pandas", "categories", "grouped"):
        pd = optional("pandas")
        given = pd.DataFrame(table)
        if form == "categories":
            given["who"] = given["who"].astype("category")
        if form == "grouped":
            given, keys = given.groupby("who"), WIDE | {"id": None}
    elif form in ("arrow", "batch"):
        given = optional("pyarrow").table({name: column.tolist() for name, column in table.items()})
        given = given.to_batches()[0] if form == "batch" else given
    elif form == "polars":
        given = optional("polars").DataFrame({name: column.tolist() for name, column in table.items()})
    elif form == "float32":
        given = {name: column if name == "who" else column.astype(np.float32) for name, column in table.items()}
        for column in given.values():
            column.flags.writeable = False
    elif form == "lists":
        given = {name: column.tolist() for name, column in table.items()}
    bank = MemoryBank(transformer).update(given, **keys)
    panel = Panel.from_long(given, **keys)
    # The transformer rounds features of float32 to that, the bank does not.
    close(bank.transform(panel.ids), transformer.transform(panel), 1e-6 if form == "float32" else 1e-9)
    if form != "grouped":
        assert bank.ids == panel.ids.tolist()


@pytest.mark.parametrize("kind", ["str", "int", "tuple", "date", "datetime", "float"])
def test_ids_of_every_kind_and_their_file(kind, tmp_path):
    optional("pyarrow")
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-01"], "M8[D]")
    ids = {"str": ["a", "b", "a"], "int": np.array([7, -3, 7]), "date": days, "datetime": days.astype("M8[ns]"),
           "float": np.array([0.5, 1.5, 0.5]), "tuple": ["u", "v", "u"]}[kind]  # fmt: skip
    table = {"who": ids, "ward": [1, 1, 1], "t": [0.0, 1.0, 2.0], "x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]}
    keys = WIDE | ({"id": ["who", "ward"]} if kind == "tuple" else {})
    bank = MemoryBank(fitted()).update(table, **keys)
    plain = {"str": ["a", "b"], "int": [7, -3], "tuple": [("u", 1), ("v", 1)], "float": [0.5, 1.5],
             "date": [date(2024, 1, 1), date(2024, 1, 2)],
             "datetime": [datetime(2024, 1, 1), datetime(2024, 1, 2)]}[kind]  # fmt: skip
    assert bank.ids == plain
    assert plain[1] in bank
    again = stored(bank, tmp_path / "bank")
    assert again.ids == plain
    later = table | {"t": [3.0, 3.0, 4.0]}
    assert_array_equal(again.update(later, **keys).transform(), bank.update(later, **keys).transform())
    if kind != "tuple":
        wrong = {"who": [table["who"][0], b"x"], "t": [9.0, 9.0], "x": [1.0, 1.0], "y": [1.0, 1.0]}
        with pytest.raises(TypeError, match="the id b'x' at position 1 is of another kind"):
            bank.update(wrong, **keys)


def test_datetimes():
    transformer = fitted("lagt", channels=("x",))
    start = datetime(2024, 5, 1, tzinfo=UTC)
    keys = {"id": "who", "time": "t", "values": "x"}
    bank = MemoryBank(transformer, lateness=timedelta(minutes=1))
    for k, x in enumerate([1.0, 3.0, 2.0]):
        bank.update({"who": "a", "t": start + timedelta(seconds=[0, 40, 20][k]), "x": x}, **keys)
    expected = transformer.transform([([0.0, 20.0, 40.0, 60.0], [1.0, 2.0, 3.0, np.nan])])
    close(bank.transform(at=start + timedelta(seconds=60)), expected)
    assert bank.times.tolist() == [start.timestamp() + 40]
    for wrong in (datetime(2024, 5, 1), 12.0):
        with pytest.raises(ValueError, match="another kind"):
            bank.update({"who": "a", "t": wrong, "x": 1.0}, **keys)
    with pytest.raises(ValueError, match="at is of another kind"):
        bank.transform(at=5.0)
    assert bank.expire(start) == []
    assert bank.expire(start + timedelta(hours=1)) == ["a"]


def test_frames():
    pd = optional("pandas")
    transformer = fitted().set_output(transform="pandas")
    table = events(8, 40)
    bank = MemoryBank(transformer).update(table, **WIDE)
    panel = Panel.from_long(table, **WIDE)
    pd.testing.assert_frame_equal(bank.transform(panel.ids), transformer.transform(panel))
    assert isinstance(bank.set_output(transform="default").transform(), np.ndarray)
    pl = optional("polars")
    frame = bank.set_output(transform="polars").transform(["1", "0"])
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == ["who", *transformer.get_feature_names_out()]
    assert frame["who"].to_list() == ["1", "0"]
    with pytest.raises(ValueError, match="transform must be"):
        bank.set_output(transform="numpy")


# --- what is refused -----------------------------------------------------------------------------------

REFUSED = {
    "masked id": ({"who": np.ma.array(["0", "1"], mask=[0, 1])}, "Column 'who' has no id at position 1"),
    "lists as ids": ({"who": [[], []]}, "the id .* is of another kind|holds what is no id"),
    "no id": ({"who": ["0", None]}, "Column 'who' has no id at position 1"),
    "nan id": ({"who": np.array(["0", np.nan], dtype=object)}, "Column 'who' has no id at position 1"),
    "another kind of id": ({"who": [0, 1]}, "the id 0 at position 0 is of another kind"),
    "a list": ({"who": ["0", []]}, "of another kind"),
    "no time": ({"t": [2e3, np.nan]}, "no finite time at position 1, of who '1'"),
    "a time too far": ({"t": [2e3, 1e302]}, r"Position 1, of who '1': the time 1e\+302 is too far away"),
    "infinite": ({"x": [1.0, np.inf]}, "infinite value at position 1, of who '1'"),
    "late": ({"t": [2e3, 1.0]}, r"Position 1, of who '1': the time 1.0 is before the last one .*lateness=0"),
    "kind of times": ({"t": np.array(["2024", "2025"], "M8[s]")}, "another kind"),
    "words": ({"x": ["1", "b"]}, "column 'x' must hold real numbers"),
    "no column": ({"y": None}, "has no column 'y'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_update_changes_nothing(case, soon):
    change, message = REFUSED[case]
    transformer, table = fitted(), events(9)
    bank = MemoryBank(transformer).update(table, **WIDE)
    wrong = {"who": ["0", "1"], "t": [2e3, 2e3], "x": [1.0, 2.0], "y": [1.0, 2.0]} | change
    wrong = {name: column for name, column in wrong.items() if column is not None}
    before = bits(bank)
    with pytest.raises((ValueError, TypeError), match=f"(?i){message}"):
        bank.update(wrong, **WIDE)
    with pytest.raises((ValueError, TypeError)):  # nor do new ids come in
        bank.update({name: ["new" if name == "who" else column[0], *column] for name, column in wrong.items()}, **WIDE)
    assert bits(bank) == before
    check(bank, transformer, table)


def test_an_entry_that_fails_changes_nothing(soon, monkeypatch):
    transformer, table = fitted(), events(9)
    bank = MemoryBank(transformer, lateness=1.0).update(some(table, slice(0, 60)), **WIDE)
    before = bits(bank)

    def fail(*args):
        raise MemoryError

    with monkeypatch.context() as context:
        context.setattr("sklearn_hippo._state.Evolution.absorb_rows", fail)
        with pytest.raises(MemoryError):
            bank.update(some(table, slice(60, None)), **WIDE)
    assert bits(bank) == before
    check(bank.update(some(table, slice(60, None)), **WIDE), transformer, table)


def test_channels_of_the_transformer():
    bank = MemoryBank(fitted())
    table = {"who": ["a"], "t": [0.0], "x": [1.0], "y": [1.0]}
    for names in (["y", "x"], "x", ["x", "t2"]):
        with pytest.raises(ValueError, match=r"has the channels|have the channels|no column 't2'"):
            bank.update(table, id="who", time="t", values=names)
    unnamed = MemoryBank(HiPPOTransformer(order=2).fit([[1.0, 2.0]]))
    assert unnamed.update(table, id="who", time="t", values="y").transform().tolist() == [[1.0, 0.0]]
    assert len(bank) == 0
    assert bank.transform().shape == (0, 12)
    bank.update({name: [] for name in table}, **WIDE)
    assert bank._kind is None


def test_what_has_no_online_form():
    training = [[1.0, 2.0, 3.0]]
    for transformer, message in [
        (HiPPOTransformer("chebs"), "has no online form"),
        (HiPPOTransformer("legt"), "only approaches its projection: train with"),
        (HiPPOTransformer("legt", method="recurrence", discretization="bilinear"), "exactly"),
    ]:
        with pytest.raises(ValueError, match=message):
            MemoryBank(transformer.fit(training))
    with pytest.raises(TypeError, match="fitted HiPPOTransformer"):
        MemoryBank("legs")
    with pytest.raises(ValueError, match="not fitted"):
        MemoryBank(HiPPOTransformer())
    for wrong in (
        {"lateness": -1.0},
        {"lateness": -timedelta(1)},
        {"lateness": np.timedelta64("NaT")},
        {"lateness": np.inf},
        {"late": "never"},
        {"n_jobs": 0},
    ):
        with pytest.raises(ValueError, match="|".join(wrong)):
            MemoryBank(fitted(), **wrong)
    assert MemoryBank(fitted(), lateness=timedelta(0)).lateness == 0


def test_late_events_are_counted(soon):
    transformer, table = fitted(), events(10)
    bank = MemoryBank(transformer, late="count", lateness=1.0)
    for part in np.array_split(np.arange(120), 5):
        bank.update(some(table, part), **WIDE)
        late = {"who": ["0", "0", "1"], "t": [0.0, 0.5, 1e-9], "x": [9.0] * 3, "y": [9.0] * 3}
        bank.update(late, **WIDE)
    check(bank, transformer, table)
    assert bank.n_late == {"0": 10, "1": 5}
    bank.update({"who": "0", "t": 1.0, "x": 9.0, "y": 9.0}, **WIDE)
    bank.update({"who": "0", "t": 1e4, "x": 9.0, "y": 9.0}, **WIDE)
    bank.update({"who": "0", "t": 1e4 - 1.5, "x": 9.0, "y": 9.0}, **WIDE)
    assert bank.n_late == {"0": 12, "1": 5}
    assert copy.deepcopy(bank).n_late == bank.n_late
    assert bank.drop(["0"]).n_late == {"1": 5}


def test_unknown_ids():
    bank = MemoryBank(fitted()).update(events(11), **WIDE)
    before = bits(bank)
    for use in (bank.transform, bank.drop):
        with pytest.raises(ValueError, match="There is no id 'z' in this bank, which has 5"):
            use(["0", "z"])
        with pytest.raises(TypeError, match="sequence of ids"):
            use("0")
        with pytest.raises(ValueError, match="no id 0 in"):
            use([0])
    with pytest.raises(TypeError, match="numbers, strings"):
        bank.transform([[]])
    assert bits(bank) == before
    assert bank.transform(["1", "1"]).shape == (2, 12)


# --- fewer, more, again --------------------------------------------------------------------------------


def test_dropped_ids_begin_anew(soon):
    transformer, table = fitted(), events(12, 200, 8)
    bank = MemoryBank(transformer)
    bank.update(some(table, slice(0, 100)), **WIDE)
    gone = ["1", "4", "6"]
    bank.drop(gone)
    assert sorted(bank.ids) == ["0", "2", "3", "5", "7"]
    bank.update(some(table, slice(100, 150)), **WIDE)
    bank.drop(["0", "2", "3", "5", "7"])  # more holes than rows
    assert sorted(bank.ids) == gone
    bank.update(some(table, slice(150, None)), **WIDE)
    number = np.arange(200)
    kept = np.where(np.isin(table["who"], gone), number >= 100, number >= 150)
    check(bank, transformer, some(table, kept))


def test_expired_ids():
    transformer, table = fitted(), events(13)
    bank = MemoryBank(transformer).update(table, **WIDE)
    last = dict(zip(bank.ids, bank.times, strict=True))
    limit = sorted(last.values())[2]
    assert sorted(bank.expire(limit)) == sorted(item for item, time in last.items() if time < limit)
    assert len(bank) == 3
    with pytest.raises(ValueError, match="before"):
        bank.expire(np.nan)


def test_banks_that_do_not_merge():
    table = events(14)
    bank = MemoryBank(fitted()).update(table, **WIDE)
    for other, message in [
        (MemoryBank(fitted(order=7)), "order=6 and 7"),
        (MemoryBank(fitted("lagt")), "measure='legs' and 'lagt'"),
        (MemoryBank(fitted(), lateness=1.0), "lateness=0.0 and 1.0"),
        (MemoryBank(fitted(channels=("x", "z"))), "channel_names"),
        (MemoryBank(fitted()).update(events(14, kind=int), **WIDE), "ids of these banks"),
        (MemoryBank(fitted()).update(table | {"t": table["t"].astype("M8[s]")}, **WIDE), "times of these banks"),
        (bank, r"Who '.': the events of the second bank begin before"),
    ]:
        before = bits(bank), bits(other)
        with pytest.raises(ValueError, match=message):
            bank.merge(other)
        assert (bits(bank), bits(other)) == before
    with pytest.raises(TypeError, match="merges with another one"):
        bank.merge(None)


def test_several_threads(soon):
    transformer, table = fitted(), events(15, 400, 4)
    bank = MemoryBank(transformer)

    def run(who):
        mine = some(table, table["who"] == who)
        for k in range(len(mine["t"])):
            bank.update(some(mine, [k]), **WIDE).transform([who])

    threads = [threading.Thread(target=run, args=(str(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(bank, transformer, table)


# --- files ---------------------------------------------------------------------------------------------


def test_a_killed_process_goes_on_from_its_last_save(tmp_path):
    optional("pyarrow")
    transformer, path = fitted("legs", 8), tmp_path / "bank.arrow"
    table = events(16, 400, 6, lateness=3.0)
    bank = MemoryBank(transformer, lateness=3.0).update(some(table, slice(0, 200)), **WIDE)
    bank.save(path)
    before = path.read_bytes()
    code = (
        "import os, sys; import sklearn_hippo._bank_file as f; from sklearn_hippo import MemoryBank\n"
        f"bank = MemoryBank.load({str(path)!r}); bank.drop(bank.ids[:3])\n"
        "os.fsync = lambda handle: os._exit(9)\n"
        f"bank.save({str(path)!r})"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert path.read_bytes() == before
    again = MemoryBank.load(path, transformer)
    assert bits(again) == bits(bank)
    for part in np.array_split(np.arange(200, 400), 3):
        again.update(some(table, part), **WIDE)
        bank.update(some(table, part), **WIDE)
    assert bits(again) == bits(bank)
    check(again, transformer, table)


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    optional("pyarrow")
    bank, path = MemoryBank(fitted()).update(events(17), **WIDE), tmp_path / "bank.arrow"
    bank.save(path)
    before = path.read_bytes()
    for item in (2**70, "\ud800"):
        table = {"who": [item], "t": [0.0], "x": [1.0], "y": [1.0]}
        with pytest.raises(TypeError, match="ids cannot be stored"):
            MemoryBank(fitted()).update(table, **WIDE).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["bank.arrow"]
    with pytest.raises(FileNotFoundError):
        bank.save(tmp_path / "no such folder" / "bank.arrow")


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes are Unix's")
def test_a_file_behind_a_link_keeps_its_mode(tmp_path):
    optional("pyarrow")
    bank, path, link = MemoryBank(fitted()).update(events(17), **WIDE), tmp_path / "bank.arrow", tmp_path / "link"
    bank.save(path)
    path.chmod(0o640)
    link.symlink_to(path)
    bank.save(link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert bits(MemoryBank.load(link)) == bits(bank)


def test_damaged_and_foreign_files(tmp_path):
    pa = optional("pyarrow")
    bank, path = MemoryBank(fitted(), lateness=5.0).update(events(18), **WIDE), tmp_path / "bank.arrow"
    bank.save(path)
    whole = path.read_bytes()
    table = pa.ipc.open_file(path).read_all()

    def write(table):
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)

    for content in (b"", whole[:100], whole[: len(whole) // 2], whole[:-1], b"something else"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not the file of a bank"):
            MemoryBank.load(path)
    write(table.replace_schema_metadata(None))
    with pytest.raises(ValueError, match="not the file of a bank"):
        MemoryBank.load(path)
    described = json.loads(table.schema.metadata[b"sklearn_hippo.MemoryBank"])
    for change in ({"format": 2}, {"lateness": -1}, {"parameters": {"measure": "no"}}, {"late": 3}, {"id_names": None}):
        write(table.replace_schema_metadata({"sklearn_hippo.MemoryBank": json.dumps(described | change)}))
        with pytest.raises(ValueError, match="not the file of a bank"):
            MemoryBank.load(path)
    for name, column in [
        ("id_0", ["0"] * 5), ("id_0", ["0", "1", "2", "3", None]), ("count", [-1] * 5), ("count", [1.0] * 5),
        ("core", [1.0] * 5), ("latest", [0.0] * 5), ("time", [0.0] * 5), ("late", [-1] * 5),
        ("waiting_times", [[0.0]] * 5), ("waiting_values", [[[1.0]]] * 5), ("extra", [1] * 5),
    ]:  # fmt: skip
        place = table.column_names.index(name) if name in table.column_names else None
        wrong = table.append_column(name, [column]) if place is None else table.set_column(place, name, [column])
        write(wrong)
        with pytest.raises(ValueError, match="not the file of a bank"):
            MemoryBank.load(path)
    rng = np.random.default_rng(0)
    for at, bit in zip(rng.integers(0, len(whole), 600), rng.integers(0, 8, 600), strict=True):
        content = bytearray(whole)
        content[at] ^= 1 << bit
        path.write_bytes(content)
        try:  # between the columns there are bytes that nobody reads
            assert bits(MemoryBank.load(path)) == bits(bank)
        except ValueError as error:
            assert "not the file of a bank" in str(error)  # noqa: PT017
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="order=7 and 6"):
        MemoryBank.load(path, fitted(order=7))
    assert bits(MemoryBank.load(path)) == bits(bank)


def test_an_empty_bank_has_a_file(tmp_path):
    optional("pyarrow")
    transformer = fitted("lagt", add_duration=True)
    bank = stored(MemoryBank(transformer), tmp_path / "bank")
    table = events(19)
    check(bank.update(table, **WIDE), transformer, table)


def test_size_of_a_bank():
    n = 20_000
    bank = MemoryBank(fitted(order=16, channels=("x",)))
    table = {"who": np.arange(n), "t": np.zeros(n), "x": np.zeros(n)}
    bank.update(table, id="who", time="t", values="x")
    arrays = [*vars(bank._streams.state).values(), bank._streams.latest, *bank._streams._log]
    used = sum(array.nbytes for array in arrays) + sys.getsizeof(bank._index) + sys.getsizeof(bank._ids)
    assert used / n + 2 * 32 - 16 * 8 < 600  # two integers of Python as well


V = {"time": "t", "values": CHANNELS}


def pair(a, b, time=0.0):
    return {"a": [a], "b": [b], "t": [time], "x": [1.0], "y": [2.0]}


def test_ids_of_several_parts_are_of_one_kind_in_each():
    bank = MemoryBank(fitted()).update(pair(1, "u"), id=["a", "b"], **V)
    for other in ("1", 1.0, True, np.float64(1)):
        with pytest.raises(TypeError, match=r"Column 'a': .* at position 0 is of another kind"):
            bank.update(pair(other, "u", 1.0), id=["a", "b"], **V)
    assert bank.update(pair(np.int32(1), "u", 1.0), id=["a", "b"], **V).ids == [(1, "u")]
    with pytest.raises(ValueError, match=r"no id \(True, 'u'\)"):
        bank.transform([(True, "u")])
    for ids in (["a"], ["b", "a"]):
        with pytest.raises(ValueError, match="ids of these banks are of different kinds"):
            bank.merge(MemoryBank(fitted()).update(pair(1, "u"), id=ids, **V))


def test_a_bank_that_was_emptied_begins_anew(tmp_path):
    optional("pyarrow")
    bank = MemoryBank(fitted()).update(pair(1, "u"), id=["a", "b"], **V)
    assert bank.expire(9.0) == [(1, "u")]
    bank.save(tmp_path / "empty")
    for empty in (bank, MemoryBank.load(tmp_path / "empty")):
        assert empty.update(pair("k", "u"), id="a", **V).ids == ["k"]


def test_frames_without_ids():
    optional("polars")
    bank = MemoryBank(fitted()).set_output(transform="polars")
    assert bank.transform().shape == (0, 12)
    bank.update(pair(1, "u"), id=["a", "b"], **V)
    assert bank.transform([]).columns[:2] == ["a", "b"]


def test_instants_are_other_ids_than_hours_of_clocks(tmp_path):
    pd = optional("pandas")
    optional("pyarrow")
    hours = pd.to_datetime(["2024-10-27 00:30", "2024-10-27 01:30"], utc=True).tz_convert("Europe/Berlin")
    table = pd.DataFrame({"a": hours, "t": [0.0, 1.0], "x": 1.0, "y": 2.0})  # half past two, twice
    bank = MemoryBank(fitted()).update(table, id="a", **V)
    assert bank.ids == [hour.to_pydatetime().astimezone(UTC) for hour in hours]
    assert all(hour in bank for hour in hours)
    bank.save(tmp_path / "file")
    again = MemoryBank.load(tmp_path / "file")
    assert again.ids == bank.ids
    with pytest.raises(TypeError, match="position 0 has a time zone, or has none"):
        again.update(pair(datetime(2020, 1, 1), 0), id="a", **V)
    fine = np.array(["2020-01-01T00:00:00.000000001"], "M8[ns]")
    with pytest.raises(ValueError, match="finer than a microsecond"):
        bank.update(pair(0, 0) | {"a": fine}, id="a", **V)


def test_large_integers_as_ids(tmp_path):
    optional("pyarrow")
    bank = MemoryBank(fitted()).update(pair(2**63 + 5, 0), id="a", **V)
    bank.save(tmp_path / "file")
    assert MemoryBank.load(tmp_path / "file").ids == [2**63 + 5]


def test_views_of_strings():
    pa = optional("pyarrow")
    if not hasattr(pa, "string_view"):
        pytest.skip("this release has none")
    channel = pa.array(["x", "y"], pa.string_view())
    table = pa.table({"a": [1, 1], "t": [0.0, 0.0], "which": channel, "v": [1.0, 2.0]})
    bank = MemoryBank(fitted()).update(table, id="a", time="t", values="v", channel="which")
    assert_array_equal(bank.transform(), MemoryBank(fitted()).update(pair(1, 0), id="a", **V).transform())


def test_one_event_of_arrays_without_axes_and_copies_that_do_not_share():
    bank = MemoryBank(fitted()).update({name: np.array(cells[0]) for name, cells in pair(1, 2).items()}, id="a", **V)
    other = copy.copy(bank).set_output(transform="pandas")
    assert isinstance(bank.transform(), np.ndarray)
    assert other.ids == bank.ids == [1]


def test_times_while_others_write():
    bank, wrong, done = MemoryBank(fitted()), [], threading.Event()

    def read():
        while not done.is_set():
            try:
                bank.times  # noqa: B018
            except Exception as error:
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(2000):
        bank.update(pair(k, 0, float(k)), id="a", **V)
        if k % 20 == 19:
            bank.expire(k - 5.0)
    done.set()
    reader.join()
    assert not wrong
